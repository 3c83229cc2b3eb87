/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver's code on an emulated processor (Unicorn), between a stub and a host that are made up at random. What it reads
 * and writes, and how it returns, is compared with the contract, octet by octet; of the gate's own reasoning it knows nothing.
 */
#ifndef EMU_H
#define EMU_H

#include "core/check.h"
#include "unit.h"

struct emu;

/* NULL: no emulator in this build. */
struct emu *emu_new(void);
void emu_free(struct emu *m);

/* From now on this image's code. */
void emu_place(struct emu *m, const struct hv_image *img);

/* One call of an entry, all it is given at random, with at most so many instructions. NULL, or how it broke the contract. */
const char *emu_call(struct emu *m, enum hvdrv_entry entry, uint64_t insns, struct rng *r);

#endif
