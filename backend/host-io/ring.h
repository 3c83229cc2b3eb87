/* SPDX-License-Identifier: GPL-2.0-only */
/* Making an io_uring. */
#ifndef BACKEND_HOST_IO_RING_H
#define BACKEND_HOST_IO_RING_H

#include <liburing.h>
#include <stdbool.h>

/*
 * A ring that does what the engine does, and no more; for NVMe commands, too, where that may be had: *personality is the number that
 * these need then, 0: it cannot do them. 0 or -errno.
 */
int ring_open(struct io_uring *r, unsigned int depth, int *personality);

#endif
