/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Host I/O and the worker's only wait: an engine does reads and writes of files and block devices, and watches
 * descriptors meanwhile. Two engines: io_uring, and a plain one that does each request at once.
 */
#ifndef BACKEND_HOST_IO_H
#define BACKEND_HOST_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/err.h"

enum io_kind { IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD, IO_ZERO };

struct io_op {
	enum io_kind kind;
	int fd;
	bool fua;			/* write: on stable storage when it is done */
	uint64_t off;
	uint64_t len;
	uint8_t *buf;
	void (*done)(struct io_op *op, int res);	/* 0, or -errno; called from io_run() */
	uint64_t moved;			/* engine's: bytes so far */
	struct io_op *next;		/* engine's */
};

/*
 * A descriptor that is watched: ready() is called when it is readable. With buf, the engine reads up to size bytes
 * first (got; 0 or less: the end, or -errno), and after ready() writes the first `reply` bytes back to fd: what an
 * event channel device wants, at no system call of its own.
 */
struct io_watch {
	int fd;
	void (*ready)(struct io_watch *w);
	void *buf;
	unsigned int size, reply;
	int got;
	bool armed, due;		/* engine's */
	struct io_watch *next;		/* engine's */
};

struct io_engine;
struct io_engine_ops {
	const char *name;
	void (*close)(struct io_engine *io);
	void (*queue)(struct io_engine *io, struct io_op *op);	/* the caller keeps op and buf until done */
	int (*watch)(struct io_engine *io, struct io_watch *w);
	void (*unwatch)(struct io_engine *io, struct io_watch *w);	/* w may be freed after it */
	int (*run)(struct io_engine *io, bool wait);	/* submit, wait for one event if wait, call back */
	int (*buffers)(struct io_engine *io, void *mem, size_t size);	/* where all bufs lie: pinned once */
};

struct io_engine {
	const struct io_engine_ops *ops;
};

/* NULL: not to be had here (e says why). */
struct io_engine *io_open_uring(unsigned int depth, struct hv_err *e);
struct io_engine *io_open_plain(struct hv_err *e);

/* What both use: one blocking step of op. Bytes moved (0 for flush and the like), or -errno. */
int64_t io_step(const struct io_op *op);

#endif
