/* SPDX-License-Identifier: GPL-2.0-only */
/* NVMe commands for a namespace, past its block node. */
#ifndef BACKEND_TARGET_NAMESPACE_H
#define BACKEND_TARGET_NAMESPACE_H

#include <stdint.h>
#include <sys/types.h>
#include "util/err.h"

#define NAMESPACE_MAX (1u << 20)	/* of data in one command: more is never asked for */

struct namespace {
	char name[32];			/* of the generic character device: ng0n1 */
	dev_t dev;
	uint32_t nsid;
	uint64_t max_bytes, max_segments;	/* of one command */
	uint64_t max_discard, max_zeroes;	/* bytes; 0: it has no such command */
};

/* What sysfs (its mount point) says of the disk, a whole one. 0; -ENODEV with e when it has no such device. */
int namespace_find(const char *sysfs, dev_t disk, struct namespace *n, struct hv_err *e);

/* Is what Identify says what we can serve, and what its block node says? 0 or -ENOTSUP with e. */
int namespace_check(const uint8_t id[4096], uint32_t block, uint64_t bytes, struct hv_err *e);

/* Opens it, of a disk with blocks and a size as its block node says; n's limits are whole pages and blocks then. Or -errno with e. */
int namespace_open(struct namespace *n, uint32_t block, uint64_t bytes, struct hv_err *e);

#endif
