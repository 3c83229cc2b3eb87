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
	if (t->block && !p->ro && !p->shared)
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
	unsigned long long v = 0;
	char path[128];
	FILE *f;

	for (int part = 0; part < 2; part++) {		/* a partition's queue is its disk's */
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(t->dev), minor(t->dev),
			 part ? "../" : "", what);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &v) != 1)
			v = 0;
		fclose(f);
		break;
	}
	return v;
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

/* Can holes be punched? Asked beyond the end, where nothing changes. */
static bool can_punch(const struct target *t)
{
	uint64_t at = (t->bytes + 4095) / 4096 * 4096;

	return !fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 4096);
}

static int examine(const struct hv_params *p, struct target *t, struct hv_err *e)
{
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
	if (p->ro)
		return 0;
	if (t->block) {
		t->discard = sysfs_number(t, "discard_max_bytes") > 0;
		t->discard_granularity = t->discard ? sysfs_number(t, "discard_granularity") : 0;
	} else {
		t->discard = can_punch(t);
		t->discard_granularity = t->discard ? 4096 : 0;
	}
	return 0;
}

int target_open(const struct hv_params *p, bool fresh, struct target *t, struct hv_err *e)
{
	const char *format;
	char who[128];
	int rc = 0;

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	if (fresh && p->size)
		rc = make_file(p, t, e);
	if (!rc)
		rc = open_backend(p, t, e);
	if (!rc)
		rc = examine(p, t, e);
	if (!rc && fresh && !p->raw && (format = target_image_format(t->fd, t->bytes)))
		rc = hv_err(e, EINVAL, "%s looks like a %s image: backends are raw; convert it, or say format=raw to serve its bytes",
			    p->backend, format);
	if (!rc && fresh && !p->ro && !p->shared && target_holder(t, p->backend, who, sizeof(who)))
		rc = hv_err(e, EBUSY, "%s is in use in dom0 by %s: release it, or say ro or shared", p->backend, who);
	if (rc) {
		target_undo(p, t);
		target_close(t);
	}
	return rc;
}

void target_close(struct target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

void target_undo(const struct hv_params *p, struct target *t)
{
	if (t->created)
		unlink(p->backend);
	t->created = false;
}

bool target_same(const struct target *a, const struct target *b)
{
	return a->block == b->block && a->dev == b->dev && a->ino == b->ino;
}
