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

enum io_kind {
	IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD, IO_ZERO,
	IO_DROP,			/* what the page cache has of it, if it is not dirty */
};

/*
 * A namespace that is reached by NVMe commands, through its generic character device, and the part of it that is the device's.
 * The kernel looks at no block number of such a command: what is not in [first, end) is refused before it is made (nvme.c).
 */
struct io_pass {
	int fd;				/* the generic character device */
	uint32_t nsid;
	uint32_t block;			/* bytes of a logical block */
	uint64_t base;			/* bytes of the namespace before what io_op's off counts from */
	uint64_t first, end;		/* bytes of the namespace: the device's, and no more */
	uint32_t max_bytes;		/* of data in one command */
	uint64_t max_discard, max_zeroes;	/* bytes; max_zeroes 0: it cannot zero, zeroes are written */
};

struct io_op {
	enum io_kind kind;
	int fd;
	const struct io_pass *pass;	/* not NULL: by NVMe commands, instead of fd; only where the engine passes */
	bool fua;			/* write: on stable storage when it is done */
	uint64_t off;
	uint64_t len;
	uint8_t *buf;
	void (*done)(struct io_op *op, int res);	/* 0, or -errno; called from io_run() */
	uint64_t moved;			/* engine's: bytes so far */
	uint64_t step;			/* engine's: bytes that are under way */
	uint64_t range[2] __attribute__((aligned(16)));	/* engine's: of a discard by command */
	int refused;			/* engine's: -errno, it was not begun */
	unsigned int tries;		/* engine's */
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
	bool passes;			/* it can do NVMe commands: io_op's pass */
};

/*
 * NULL: not to be had here (e says why). io_uring's does with its ring what the engine does, and nothing else can be done with it; with
 * CAP_SYS_ADMIN it can do NVMe commands, also when its maker has given that capability up.
 */
struct io_engine *io_open_uring(unsigned int depth, struct hv_err *e);
struct io_engine *io_open_plain(struct hv_err *e);

/* What both use: one blocking step of op. Bytes moved (0 for flush and the like), or -errno. */
int64_t io_step(const struct io_op *op);

#endif
