/* SPDX-License-Identifier: GPL-2.0-only */
/* What the fuzzers of the queue formats have in common: the limits of a device, and what a request within them must be. */
#ifndef FUZZ_BLK_H
#define FUZZ_BLK_H

#include "fuzz.h"
#include "ring/blk.h"

/* The limits from the input. Returns its octet of flags, whose upper two bits are the format's own. */
uint8_t blk_limits(struct input *in, struct hv_blkif_limits *lim);

/* A request that was passed keeps to the limits, whatever its format. */
void blk_check(const struct hv_blkif_limits *lim, const struct hv_blk_req *q);

#endif
