// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include "host-io/io.h"

static int64_t zero_by_writing(const struct io_op *op)
{
	static const uint8_t zeros[65536] __attribute__((aligned(4096)));
	uint64_t n = op->len - op->moved < sizeof(zeros) ? op->len - op->moved : sizeof(zeros);
	ssize_t r = pwrite(op->fd, zeros, n, op->off + op->moved);

	return r < 0 ? -errno : r;
}

/* Zeroes: by range, else by a hole (reads as zeroes, too), else by writing them. */
static int64_t zero(const struct io_op *op)
{
	if (!fallocate(op->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, op->off, op->len))
		return op->len;
	if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENODEV)
		return -errno;
	if (!fallocate(op->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, op->off, op->len))
		return op->len;
	if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENODEV)
		return -errno;
	return zero_by_writing(op);
}

int64_t io_step(const struct io_op *op)
{
	struct iovec iov = { op->buf + op->moved, op->len - op->moved };
	ssize_t r;

	switch (op->kind) {
	case IO_READ:
		r = preadv2(op->fd, &iov, 1, op->off + op->moved, 0);
		break;
	case IO_WRITE:
		r = pwritev2(op->fd, &iov, 1, op->off + op->moved, op->fua ? RWF_DSYNC : 0);
		break;
	case IO_FLUSH:
		r = fdatasync(op->fd);
		break;
	case IO_DISCARD:
		r = fallocate(op->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, op->off, op->len);
		return r < 0 ? -errno : (int64_t)op->len;
	case IO_DROP:
		r = posix_fadvise(op->fd, op->off, op->len, POSIX_FADV_DONTNEED);
		return r ? -r : (int64_t)op->len;
	default:
		return zero(op);
	}
	return r < 0 ? -errno : r;
}
