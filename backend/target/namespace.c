// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic character device of an NVMe namespace, beside its block node: found by sysfs, and believed to be the same namespace
 * only if its name, controller, number and all that Identify says fit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/nvme_ioctl.h>
#include "nvme-id.h"
#include "target/namespace.h"
#include "util/file.h"

/* ---- sysfs ---- */

static uint64_t read_number(const char *dir, const char *what)
{
	char path[PATH_MAX];
	uint64_t v;

	snprintf(path, sizeof(path), "%.3000s/%s", dir, what);
	return hv_file_number(path, &v) ? 0 : v;
}

static bool same_place(const char *a, const char *b)
{
	char ra[PATH_MAX], rb[PATH_MAX];

	return realpath(a, ra) && realpath(b, rb) && !strcmp(ra, rb);
}

int namespace_find(const char *sysfs, dev_t disk, struct namespace *n, struct hv_err *e)
{
	char dir[256], real[PATH_MAX], path[320], other[320], text[32];
	unsigned int ctrl, number, maj, min;
	const char *name;
	int end = 0;

	memset(n, 0, sizeof(*n));
	snprintf(dir, sizeof(dir), "%.200s/dev/block/%u:%u", sysfs, major(disk), minor(disk));
	name = realpath(dir, real) ? strrchr(real, '/') + 1 : "";
	if (sscanf(name, "nvme%un%u%n", &ctrl, &number, &end) != 2 || name[end])
		return hv_err(e, ENODEV, "no NVMe namespace");
	snprintf(n->name, sizeof(n->name), "ng%un%u", ctrl, number);
	snprintf(path, sizeof(path), "%.200s/class/nvme-generic/%s/dev", sysfs, n->name);
	if (hv_file_line(path, text, sizeof(text)) || sscanf(text, "%u:%u", &maj, &min) != 2)
		return hv_err(e, ENODEV, "the kernel has no generic character device for it");
	n->dev = makedev(maj, min);
	snprintf(path, sizeof(path), "%.200s/class/nvme-generic/%s/device", sysfs, n->name);
	snprintf(other, sizeof(other), "%.250s/device", dir);
	if (!same_place(path, other))
		return hv_err(e, ENODEV, "%s is of another controller", n->name);
	n->nsid = read_number(dir, "nsid");
	n->max_bytes = read_number(dir, "queue/max_hw_sectors_kb") * 1024;
	n->max_segments = read_number(dir, "queue/max_segments");
	n->max_discard = read_number(dir, "queue/discard_max_bytes");
	n->max_zeroes = read_number(dir, "queue/write_zeroes_max_bytes");
	if (!n->nsid || n->nsid == UINT32_MAX)
		return hv_err(e, ENODEV, "the kernel does not say which namespace it is");
	return 0;
}

/* ---- Identify ---- */

static uint64_t le(const uint8_t *p, int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

int namespace_check(const uint8_t id[4096], uint32_t block, uint64_t bytes, struct hv_err *e)
{
	const uint8_t *lbaf = nvme_lba_format(id);

	if (le(lbaf, 2) || id[29] & 7)
		return hv_err(e, ENOTSUP, "its blocks have metadata");
	if (lbaf[2] > 12 || 1u << lbaf[2] != block)
		return hv_err(e, ENOTSUP, "its blocks do not have the %u bytes that its block node says", block);
	if (le(id, 8) != bytes / block)
		return hv_err(e, ENOTSUP, "it does not have the size that its block node says");
	return 0;
}

static int identify(int fd, uint32_t nsid, uint8_t *id)
{
	struct nvme_admin_cmd c = {
		.opcode = 0x06, .nsid = nsid, .addr = (uintptr_t)id, .data_len = 4096	/* cdw10 0: the namespace */
	};
	int rc = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &c);

	return rc < 0 ? -errno : rc ? -EIO : 0;
}

static int same_namespace(int fd, const struct namespace *n, uint32_t block, uint64_t bytes, struct hv_err *e)
{
	uint8_t *id;
	int rc = ioctl(fd, NVME_IOCTL_ID);

	if (rc < 0 || (uint32_t)rc != n->nsid)
		return hv_err(e, ENODEV, "%s is of another namespace", n->name);
	if (posix_memalign((void **)&id, 4096, 4096))
		return hv_err(e, ENOMEM, "no memory");
	rc = identify(fd, n->nsid, id);
	if (rc)
		hv_err(e, -rc, "%s does not identify itself: %s", n->name, strerror(-rc));
	else
		rc = namespace_check(id, block, bytes, e);
	free(id);
	return rc;
}

/* How much one command may carry: whole pages, of which one more is touched when the data begins inside one. */
static int limit(struct namespace *n, uint32_t block, struct hv_err *e)
{
	uint64_t pages = n->max_bytes / 4096;

	if (n->max_segments < pages)
		pages = n->max_segments;
	n->max_bytes = pages * 4096 < NAMESPACE_MAX ? pages * 4096 : NAMESPACE_MAX;
	n->max_discard -= n->max_discard % block;
	n->max_zeroes -= n->max_zeroes % block;
	return n->max_bytes >= 8192 ? 0 : hv_err(e, ENOTSUP, "a command of it carries less than two pages");
}

int namespace_open(struct namespace *n, uint32_t block, uint64_t bytes, struct hv_err *e)
{
	char path[48];
	struct stat st;
	int rc = limit(n, block, e), fd;

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "/dev/%s", n->name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return hv_err(e, errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != n->dev)
		rc = hv_err(e, ENODEV, "%s is not the device that sysfs tells of", path);
	else
		rc = same_namespace(fd, n, block, bytes, e);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}
