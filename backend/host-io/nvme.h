/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests as NVMe commands for the generic character device, and what a command's status means. Pure. */
#ifndef BACKEND_HOST_IO_NVME_H
#define BACKEND_HOST_IO_NVME_H

#include <linux/nvme_ioctl.h>
#include "host-io/io.h"

/*
 * The command for what is left of op, or for as much as one may carry: how many bytes that is (0 for a flush). -ERANGE: not all
 * of op is in the device's part of the namespace; -EINVAL: no whole blocks; -EOPNOTSUPP: no such command.
 */
int64_t nvme_command(struct io_op *op, struct nvme_uring_cmd *c);

/* Where op's bytes are on the namespace, if the whole of op is the device's: 0, -ERANGE, or -EINVAL. The only fence there is. */
int nvme_place(const struct io_pass *p, uint64_t off, uint64_t len, uint64_t *at);

int nvme_errno(int status);		/* of a status as a completion has it: 0 or -errno */
bool nvme_again(int status);		/* it may be another when the command is sent again */
bool nvme_by_kernel(int status);	/* the kernel's: the controller did not get it, or is reset; may go once more */

#endif
