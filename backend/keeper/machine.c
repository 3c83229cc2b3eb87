// SPDX-License-Identifier: GPL-2.0-only
/* The controller by its character device, the guest's pages by the kernel's gntdev. */
#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include "gntdev.h"
#include "keeper/machine.h"
#include "util/file.h"

static int admin(void *arg, uint8_t opcode, uint32_t nsid, void *data, uint32_t len, uint32_t cdw10, uint32_t cdw11, uint32_t *result)
{
	const struct machine *m = arg;
	struct nvme_admin_cmd c = { .opcode = opcode, .nsid = nsid, .addr = (uintptr_t)data, .data_len = len, .cdw10 = cdw10, .cdw11 = cdw11 };
	int st = ioctl(m->controller, NVME_IOCTL_ADMIN_CMD, &c);

	if (result)
		*result = c.result;
	return st < 0 ? -errno : st;
}

static void *map(void *arg, uint32_t domid, const uint32_t *refs, unsigned int n)
{
	return gntdev_map(((const struct machine *)arg)->gntdev, domid, refs, n);
}

static int unmap(void *arg, void *va, unsigned int n)
{
	return gntdev_unmap(((const struct machine *)arg)->gntdev, va, n);
}

/* The kernel counts its admin queue, too. */
static int kernel_queues(void *arg)
{
	const struct machine *m = arg;
	char path[96];
	uint64_t n;
	int rc;

	snprintf(path, sizeof(path), "/sys/class/nvme/%s/queue_count", m->name);
	rc = hv_file_number(path, &n);
	if (rc)
		return rc;
	return n && n < 65536 ? (int)n - 1 : -EPROTO;
}

bool machine_is_live(const struct machine *m)
{
	char path[96], state[16];

	snprintf(path, sizeof(path), "/sys/class/nvme/%s/state", m->name);
	return !hv_file_line(path, state, sizeof(state)) && !strcmp(state, "live");
}

const struct keeper_ops machine_ops = { admin, map, unmap, kernel_queues };
