// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/fs.h>
#include "target/target.h"
#include "util/file.h"

static int make_file(const struct hv_params *p, struct target *t, struct hv_err *e)
{
	int fd = open(p->backend, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	if (fd < 0 && errno == EEXIST)
		return hv_err(e, EEXIST, "%s is there already: size= makes a new file; leave it out to use this one", p->backend);
	if (fd < 0)
		return hv_err(e, errno, "%s cannot be made: %s", p->backend, strerror(errno));
	t->created = true;
	rc = ftruncate(fd, p->size) ? hv_err(e, errno, "%s cannot have %llu bytes: %s", p->backend,
					     (unsigned long long)p->size, strerror(errno)) : 0;
	close(fd);
	return rc;
}

/* Is it opened so that nobody else in dom0 can have it? */
static bool exclusive(const struct hv_params *p, const struct target *t)
{
	return t->block && !p->ro && !p->shared;
}

static int open_backend(const struct hv_params *p, struct target *t, struct hv_err *e)
{
	int flags = (p->ro ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
	struct stat st;

	if (stat(p->backend, &st))
		return hv_err(e, errno, "%s: %s%s", p->backend, strerror(errno),
			      errno == ENOENT && !p->size ? " (size= would make it)" : "");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return hv_err(e, EINVAL, "%s is neither a file nor a block device", p->backend);
	t->block = S_ISBLK(st.st_mode);
	t->dev = t->block ? st.st_rdev : st.st_dev;
	t->ino = t->block ? 0 : st.st_ino;
	/* O_EXCL on a block device: refused while it is mounted or held by another driver */
	if (exclusive(p, t) && t->claim < 0)
		flags |= O_EXCL;
	t->fd = open(p->backend, flags | O_DIRECT);
	if (t->fd < 0 && errno == EINVAL) {
		t->buffered = true;
		t->fd = open(p->backend, flags);
	}
	if (t->fd < 0 && errno == EBUSY)
		return hv_err(e, EBUSY, "%s is in use in dom0 (mounted, or held by another driver): release it, or say ro or shared",
			      p->backend);
	if (t->fd < 0)
		return hv_err(e, errno, "%s: %s", p->backend, strerror(errno));
	return 0;
}

static uint64_t sysfs_number(const struct target *t, const char *what)
{
	char path[128];
	uint64_t v;

	for (int part = 0; part < 2; part++) {		/* a partition's queue is its disk's */
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(t->dev), minor(t->dev),
			 part ? "../" : "", what);
		if (!hv_file_number(path, &v))
			return v;
	}
	return 0;
}

int target_size(const struct target *t, uint64_t *bytes)
{
	struct stat st;

	if (t->block ? ioctl(t->fd, BLKGETSIZE64, bytes) : fstat(t->fd, &st))
		return -errno;
	if (!t->block)
		*bytes = st.st_size;
	*bytes -= *bytes % t->block_size;
	return 0;
}

/* Can holes be punched? Asked beyond the file's end, where nothing changes. */
static bool can_punch(const struct target *t, uint64_t size)
{
	uint64_t at = (size + 4095) / 4096 * 4096;

	return !fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 4096);
}

/* From here on t is the window only. */
static int narrow(const struct hv_params *p, struct target *t, struct hv_err *e)
{
	uint32_t mask = t->block_size / 512 - 1;

	if (!p->sectors)
		return 0;
	if ((p->first | p->sectors) & mask)
		return hv_err(e, EINVAL, "range=%llu+%llu: both must be multiples of %u, %s has blocks of %u bytes",
			      (unsigned long long)p->first, (unsigned long long)p->sectors, mask + 1, p->backend, t->block_size);
	if (p->first > t->bytes / 512 || p->sectors > t->bytes / 512 - p->first)
		return hv_err(e, EINVAL, "range=%llu+%llu goes beyond the end of %s, which has %llu sectors",
			      (unsigned long long)p->first, (unsigned long long)p->sectors, p->backend,
			      (unsigned long long)t->bytes / 512);
	t->window = true;
	t->first = p->first * 512;
	t->bytes = p->sectors * 512;
	return 0;
}

static int examine(const struct hv_params *p, struct target *t, struct hv_err *e)
{
	uint64_t whole;
	int ssz = 512, rc;

	if (t->block && ioctl(t->fd, BLKSSZGET, &ssz))
		return hv_err(e, errno, "%s: %s", p->backend, strerror(errno));
	if (ssz != 512 && ssz != 4096)
		return hv_err(e, ENOTSUP, "%s has a logical block size of %d: 512 and 4096 are served", p->backend, ssz);
	t->block_size = ssz;
	rc = target_size(t, &t->bytes);
	if (rc)
		return hv_err(e, -rc, "%s: %s", p->backend, strerror(-rc));
	if (!t->bytes)
		return hv_err(e, EINVAL, "%s is empty: a device needs at least one block", p->backend);
	whole = t->bytes;
	if (t->block)
		target_find_disk(t);
	rc = narrow(p, t, e);
	if (rc || p->ro)
		return rc;
	if (t->block) {
		/* the worker punches holes (io_uring has no other discard), which the block layer does by zeroing that may unmap */
		t->discard = sysfs_number(t, "discard_max_bytes") > 0 && sysfs_number(t, "write_zeroes_max_bytes") > 0;
		t->discard_granularity = t->discard ? sysfs_number(t, "discard_granularity") : 0;
	} else {
		t->discard = can_punch(t, whole);
		t->discard_granularity = t->discard ? 4096 : 0;
	}
	return 0;
}

static uint64_t disk_size(const struct target *t)
{
	uint64_t sectors;
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major(t->disk), minor(t->disk));
	return hv_file_number(path, &sectors) ? 0 : sectors * HVDRV_SECTOR;
}

/*
 * Commands pass by dom0's page cache, so nobody in dom0 may use the device meanwhile: only where it is claimed. What the cache has
 * is written and dropped before the guest's first request.
 */
static void find_ng(const struct hv_params *p, struct target *t)
{
	if (!t->block || !exclusive(p, t) || t->buffered) {
		hv_err(&t->no_ng, ENOTSUP, "no block device of its own");
		return;
	}
	if (namespace_find("/sys", t->disk, &t->ns, &t->no_ng))
		return;
	t->ng = namespace_open(&t->ns, t->block_size, disk_size(t), &t->no_ng);
	if (t->ng >= 0)
		ioctl(t->fd, BLKFLSBUF);
}

int target_open(const struct hv_params *p, bool fresh, struct target *t, struct hv_err *e)
{
	return target_open_beside(p, fresh, -1, t, e);
}

int target_open_beside(const struct hv_params *p, bool fresh, int claim, struct target *t, struct hv_err *e)
{
	const char *format;
	char who[128];
	int rc = 0;

	memset(t, 0, sizeof(*t));
	t->fd = t->ng = -1;
	t->claim = claim >= 0 ? fcntl(claim, F_DUPFD_CLOEXEC, 0) : -1;
	if (fresh && p->size)
		rc = make_file(p, t, e);
	if (!rc)
		rc = open_backend(p, t, e);
	if (!rc)
		rc = examine(p, t, e);
	if (!rc && fresh && !p->raw && (format = target_image_format(t->fd, t->first, t->bytes)))
		rc = hv_err(e, EINVAL, "%s looks like a %s image: backends are raw; convert it, or say format=raw to serve its bytes",
			    p->backend, format);
	if (!rc && fresh && !p->ro && !p->shared && target_holder(t, p->backend, who, sizeof(who)))
		rc = hv_err(e, EBUSY, "%s is in use in dom0 by %s: release it, or say ro or shared", p->backend, who);
	if (!rc)
		find_ng(p, t);
	if (rc) {
		target_undo(p, t);
		target_close(t);
	}
	return rc;
}

#define FENCE_AT (1ll << 62)		/* a byte that no data has */

static int reopen(int of, uint64_t number, bool fence)
{
	struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FENCE_AT + (int64_t)number, .l_len = 1 };
	char path[32];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", of);
	fd = open(path, (fcntl(of, F_GETFL) & (O_ACCMODE | O_DIRECT)) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fence && fcntl(fd, F_OFD_SETLK, &lk))
		rc = errno == EACCES ? -EAGAIN : -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int target_reopen(const struct target *t, uint64_t number, bool fence)
{
	return reopen(t->fd, number, fence);
}

int target_reopen_ng(const struct target *t, uint64_t number)
{
	return reopen(t->ng, number, true);
}

int target_claim(const struct hv_params *p, const struct target *t)
{
	if (t->fd < 0 || !exclusive(p, t))
		return -1;
	return t->claim >= 0 ? t->claim : t->fd;
}

void target_close(struct target *t)
{
	if (t->ng >= 0) {
		ioctl(t->fd, BLKFLSBUF);	/* what dom0 has read meanwhile may be old */
		close(t->ng);
	}
	if (t->fd >= 0)
		close(t->fd);
	if (t->claim >= 0)
		close(t->claim);
	t->fd = t->claim = t->ng = -1;
}

void target_undo(const struct hv_params *p, struct target *t)
{
	if (t->created)
		unlink(p->backend);
	t->created = false;
}
