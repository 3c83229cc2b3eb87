/* SPDX-License-Identifier: GPL-2.0-only */
/* What a device's data lies on: a file or a block device of dom0. Opened by hvdrvd, used by the worker. */
#ifndef BACKEND_TARGET_H
#define BACKEND_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/params.h"
#include "target/namespace.h"

struct target {
	int fd;
	bool block;			/* a block device */
	bool buffered;			/* it cannot do O_DIRECT: served through dom0's page cache */
	bool created;			/* by this attach (size=) */
	bool discard;
	uint32_t block_size;		/* logical: 512 or 4096 */
	uint32_t discard_granularity;
	uint64_t bytes;			/* a multiple of block_size; of the window, where there is one */
	uint64_t first;			/* bytes before the window */
	bool window;			/* range=: a part of it, never more */
	int claim;			/* -1, or: its exclusive claim, shared with another window of the same block device */
	dev_t dev;			/* identity: the file's filesystem and inode, or the block device's number */
	ino_t ino;
	dev_t disk;			/* of a block device: the whole disk, */
	uint64_t disk_at;		/* and where on it the device begins, in bytes */
	int ng;				/* of an NVMe namespace, or a partition of one, that is claimed: its generic character device */
	struct namespace ns;		/* if that is not -1; else the reason: */
	struct hv_err no_ng;
};

/*
 * Opens what p names. Fresh: a first attach, so size= may make the file, and the header is looked at. Unless ro or
 * shared it is refused while somebody else in dom0 has it (mounted, a loop device, xen-blkback). 0 or -errno with
 * what, why, what to do.
 */
int target_open(const struct hv_params *p, bool fresh, struct target *t, struct hv_err *e);

/*
 * The same where hvdrvd itself has the block device for another window of it: claim (or -1) is what target_claim() gives for
 * that one. The kernel keeps others out as long as either is open.
 */
int target_open_beside(const struct hv_params *p, bool fresh, int claim, struct target *t, struct hv_err *e);
int target_claim(const struct hv_params *p, const struct target *t);	/* -1: it has none */

void target_close(struct target *t);

/*
 * Opens it once more, as an open file of its own (same flags). fence: with a lock on this number that no other open file
 * has, which is held as long as a request that was begun on it has not ended, whoever began it. The descriptor, -EAGAIN when
 * another has it, or -errno.
 */
int target_reopen(const struct target *t, uint64_t number, bool fence);
int target_reopen_ng(const struct target *t, uint64_t number);	/* its generic character device, always with the lock */

/* The attach failed: a file that it made goes. */
void target_undo(const struct hv_params *p, struct target *t);

/* The size now, of the whole file or device. 0 or -errno. */
int target_size(const struct target *t, uint64_t *bytes);

bool target_same(const struct target *a, const struct target *b);

/* disk.c: the same file, the same block device, or partitions of one disk, whatever their windows. */
bool target_same_device(const struct target *a, const struct target *b);

/* Has any byte of the one to do with the other? What has no window counts up to where it may grow. (disk.c) */
bool target_overlap(const struct target *a, const struct target *b);

/* nvme.c: the controller whose namespace (or a part of one) it is; false: none, or one with several ways to it. */
bool target_controller(const struct target *t, char name[16]);

/* nvme.c: the PCI vendor of that controller, as "144d"; "": it has none. */
void target_vendor(const struct target *t, char vendor[16]);

struct target_nvme {
	char controller[16];		/* nvme0 */
	uint32_t nsid;
	uint64_t registers;		/* their machine address */
};

/* A whole namespace. 0; -ENODEV it is none; or -errno. */
int target_namespace(const struct target *t, struct target_nvme *n);

void target_find_disk(struct target *t);	/* disk, disk_at (disk.c) */

/* The name of a disk-image format whose header the bytes from `first` on begin with, or NULL. (header.c) */
const char *target_image_format(int fd, uint64_t first, uint64_t bytes);

/* Who in dom0 holds it beside hvdrv: "loop0", ...; false when nobody. (holder.c) */
bool target_holder(const struct target *t, const char *path, char *who, size_t size);

#endif
