/* SPDX-License-Identifier: GPL-2.0-only */
/* What a device's data lies on: a file or a block device of dom0. Opened by hvdrvd, used by the worker. */
#ifndef BACKEND_TARGET_H
#define BACKEND_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/params.h"

struct target {
	int fd;
	bool block;			/* a block device */
	bool buffered;			/* it cannot do O_DIRECT: served through dom0's page cache */
	bool created;			/* by this attach (size=) */
	bool discard;
	uint32_t block_size;		/* logical: 512 or 4096 */
	uint32_t discard_granularity;
	uint64_t bytes;			/* a multiple of block_size */
	dev_t dev;			/* identity: the file's filesystem and inode, or the block device's number */
	ino_t ino;
};

/*
 * Opens what p names. Fresh: a first attach, so size= may make the file, and the header is looked at. Unless ro or
 * shared it is refused while somebody else in dom0 has it (mounted, a loop device, xen-blkback). 0 or -errno with
 * what, why, what to do.
 */
int target_open(const struct hv_params *p, bool fresh, struct target *t, struct hv_err *e);
void target_close(struct target *t);

/* The attach failed: a file that it made goes. */
void target_undo(const struct hv_params *p, struct target *t);

/* The size now. 0 or -errno. */
int target_size(const struct target *t, uint64_t *bytes);

bool target_same(const struct target *a, const struct target *b);

/* The name of a disk-image format whose header fd begins with, or NULL. (header.c) */
const char *target_image_format(int fd, uint64_t bytes);

/* Who in dom0 holds it beside hvdrv: "loop0", ...; false when nobody. (holder.c) */
bool target_holder(const struct target *t, const char *path, char *who, size_t size);

#endif
