// SPDX-License-Identifier: GPL-2.0-only
/* The engine without io_uring: each request is done at once, one after the other; descriptors by poll(2). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "host-io/io.h"

#define WATCHES 24		/* three, and one for each device */

struct plain {
	struct io_engine io;
	struct io_op *first, **last;
	struct io_watch *watch[WATCHES];
};

static struct plain *plain(struct io_engine *io)
{
	return (struct plain *)io;
}

static void plain_close(struct io_engine *io)
{
	free(io);
}

static void plain_queue(struct io_engine *io, struct io_op *op)
{
	struct plain *p = plain(io);

	op->moved = 0;
	op->next = NULL;
	*p->last = op;
	p->last = &op->next;
}

static int plain_watch(struct io_engine *io, struct io_watch *w)
{
	for (int i = 0; i < WATCHES; i++) {
		if (plain(io)->watch[i])
			continue;
		plain(io)->watch[i] = w;
		return 0;
	}
	return -ENOSPC;
}

static void plain_unwatch(struct io_engine *io, struct io_watch *w)
{
	for (int i = 0; i < WATCHES; i++)
		if (plain(io)->watch[i] == w)
			plain(io)->watch[i] = NULL;
}

static int whole(struct io_op *op)
{
	for (;;) {
		int64_t r = io_step(op);

		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r < 0)
			return r;
		op->moved += r;
		if (op->kind == IO_FLUSH || op->moved >= op->len)
			return 0;
		if (!r)
			return -EIO;	/* the file is shorter than it was */
	}
}

static void do_requests(struct plain *p)
{
	struct io_op *op;

	while ((op = p->first)) {
		p->first = op->next;
		if (!p->first)
			p->last = &p->first;
		op->done(op, op->pass ? -EOPNOTSUPP : whole(op));
	}
}

static void serve_watch(struct io_watch *w)
{
	w->reply = 0;
	if (w->buf)
		w->got = read(w->fd, w->buf, w->size);
	w->ready(w);
	if (w->reply && write(w->fd, w->buf, w->reply) < 0)
		w->reply = 0;		/* the device is gone: nothing comes from it any more */
}

static int plain_buffers(struct io_engine *io, void *mem, size_t size)
{
	return 0;
}

static int plain_run(struct io_engine *io, bool wait)
{
	struct plain *p = plain(io);
	struct io_watch *w[WATCHES];
	struct pollfd pfd[WATCHES];
	bool busy = p->first;
	int n = 0;

	do_requests(p);
	for (int i = 0; i < WATCHES; i++) {
		if (!p->watch[i])
			continue;
		w[n] = p->watch[i];
		pfd[n] = (struct pollfd){ .fd = w[n]->fd, .events = POLLIN };
		n++;
	}
	if (poll(pfd, n, busy || !wait ? 0 : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		if (pfd[i].revents)
			serve_watch(w[i]);
	return 0;
}

static const struct io_engine_ops plain_ops = {
	.name = "plain", .close = plain_close, .queue = plain_queue, .watch = plain_watch, .unwatch = plain_unwatch,
	.run = plain_run, .buffers = plain_buffers,
};

struct io_engine *io_open_plain(struct hv_err *e)
{
	struct plain *p = calloc(1, sizeof(*p));

	if (!p) {
		hv_err(e, ENOMEM, "no memory");
		return NULL;
	}
	p->io.ops = &plain_ops;
	p->last = &p->first;
	return &p->io;
}
