// SPDX-License-Identifier: GPL-2.0-only
/* The engine on io_uring: requests and watched descriptors complete in one queue, one system call submits and waits. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "host-io/io.h"

struct uring {
	struct io_engine io;
	struct io_uring r;
	uint8_t *fixed;			/* registered memory */
	size_t fixed_size;
	struct io_watch *due;		/* to be written back and armed again */
	bool put_off;			/* that was put off once: not again */
};

#define TAG_WATCH 1ul		/* low bit of user_data: a struct io_watch, else a struct io_op */
#define IGNORE ((void *)2)	/* the completion of a removal */

static struct uring *uring(struct io_engine *io)
{
	return (struct uring *)io;
}

static struct io_uring_sqe *get_sqe(struct uring *u)
{
	struct io_uring_sqe *s = io_uring_get_sqe(&u->r);

	while (!s) {
		io_uring_submit(&u->r);
		s = io_uring_get_sqe(&u->r);
	}
	return s;
}

static void uring_close(struct io_engine *io)
{
	io_uring_queue_exit(&uring(io)->r);
	free(io);
}

static bool is_fixed(const struct uring *u, const uint8_t *buf)
{
	return u->fixed && buf >= u->fixed && buf < u->fixed + u->fixed_size;
}

static void prepare(struct uring *u, struct io_uring_sqe *s, const struct io_op *op)
{
	uint8_t *buf = op->buf + op->moved;
	uint64_t off = op->off + op->moved, len = op->len - op->moved;

	switch (op->kind) {
	case IO_READ:
		if (is_fixed(u, buf))
			io_uring_prep_read_fixed(s, op->fd, buf, len, off, 0);
		else
			io_uring_prep_read(s, op->fd, buf, len, off);
		break;
	case IO_WRITE:
		if (is_fixed(u, buf))
			io_uring_prep_write_fixed(s, op->fd, buf, len, off, 0);
		else
			io_uring_prep_write(s, op->fd, buf, len, off);
		s->rw_flags = op->fua ? RWF_DSYNC : 0;
		break;
	case IO_FLUSH:
		io_uring_prep_fsync(s, op->fd, IORING_FSYNC_DATASYNC);
		break;
	case IO_DISCARD:
		io_uring_prep_fallocate(s, op->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
		break;
	default:
		io_uring_prep_fallocate(s, op->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len);
		break;
	}
}

static void submit_op(struct uring *u, struct io_op *op)
{
	struct io_uring_sqe *s = get_sqe(u);

	prepare(u, s, op);
	io_uring_sqe_set_data(s, op);
}

static void uring_queue(struct io_engine *io, struct io_op *op)
{
	op->moved = 0;
	submit_op(uring(io), op);
}

static void arm(struct uring *u, struct io_watch *w)
{
	struct io_uring_sqe *s = get_sqe(u);

	if (w->buf)
		io_uring_prep_read(s, w->fd, w->buf, w->size, 0);
	else
		io_uring_prep_poll_multishot(s, w->fd, POLLIN);
	io_uring_sqe_set_data(s, (void *)((uintptr_t)w | TAG_WATCH));
	w->armed = true;
}

static int uring_watch(struct io_engine *io, struct io_watch *w)
{
	arm(uring(io), w);
	return 0;
}

static void forget_due(struct uring *u, struct io_watch *w)
{
	struct io_watch **at = &u->due;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
	w->due = false;
}

/* Waits until the kernel has let go of w: its last completion, or that there was none to cancel. */
static void uring_unwatch(struct io_engine *io, struct io_watch *w)
{
	struct uring *u = uring(io);
	struct io_uring_sqe *s = get_sqe(u);

	w->ready = NULL;
	forget_due(u, w);
	io_uring_prep_cancel64(s, (uintptr_t)w | TAG_WATCH, 0);
	io_uring_sqe_set_data(s, IGNORE);
	while (w->armed)
		u->io.ops->run(io, true);
}

/* What was read is written back with the next submission, before the next read is armed. */
static void write_back(struct uring *u, struct io_watch *w)
{
	struct io_uring_sqe *s = get_sqe(u);

	io_uring_prep_write(s, w->fd, w->buf, w->reply, 0);
	s->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data(s, IGNORE);
	w->reply = 0;
}

static void on_watch(struct uring *u, struct io_watch *w, const struct io_uring_cqe *c)
{
	bool ended = !(c->flags & IORING_CQE_F_MORE);

	if (ended)
		w->armed = false;
	w->got = c->res;
	if (w->ready && (c->res > 0 || (c->res == 0 && w->buf)))
		w->ready(w);
	if ((w->reply || (ended && w->ready)) && !w->due) {
		w->due = true;
		w->next = u->due;
		u->due = w;
	}
}

static void arm_due(struct uring *u)
{
	struct io_watch *w;

	u->put_off = false;
	while ((w = u->due)) {
		u->due = w->next;
		w->due = false;
		if (w->reply)
			write_back(u, w);
		if (!w->armed && w->ready)
			arm(u, w);
	}
}

/*
 * Submits, and waits unless something has ended. Opening the events again costs the kernel some way: what they have
 * brought goes first, and when that ends at once, as from a cache, its answer, too. Once only, so that a queue that
 * is always busy does not keep the others closed.
 */
static int submit(struct uring *u, bool wait)
{
	if (u->due && !u->put_off && io_uring_sq_ready(&u->r)) {
		int rc = io_uring_submit_and_get_events(&u->r);

		u->put_off = true;
		if (rc < 0 || io_uring_cq_ready(&u->r))
			return rc;
	}
	arm_due(u);
	return io_uring_submit_and_wait(&u->r, wait ? 1 : 0);
}

static int uring_buffers(struct io_engine *io, void *mem, size_t size)
{
	struct iovec iov = { mem, size };
	int rc = io_uring_register_buffers(&uring(io)->r, &iov, 1);

	if (rc)
		return rc;
	uring(io)->fixed = mem;
	uring(io)->fixed_size = size;
	return 0;
}

static void on_op(struct uring *u, struct io_op *op, int res)
{
	bool bytes = op->kind == IO_READ || op->kind == IO_WRITE;

	if (op->kind == IO_ZERO && (res == -EOPNOTSUPP || res == -EINVAL || res == -ENODEV)) {
		int64_t r;

		/* rare: a filesystem that cannot zero a range; the slow way is done here */
		while ((r = io_step(op)) > 0 && (op->moved += r) < op->len)
			;
		op->done(op, r < 0 ? r : 0);
		return;
	}
	if (res == -EINTR || res == -EAGAIN) {
		submit_op(u, op);
		return;
	}
	if (bytes && res > 0) {
		op->moved += res;
		if (op->moved < op->len) {
			submit_op(u, op);	/* a short one goes on */
			return;
		}
		res = 0;
	} else if (bytes && res == 0) {
		res = -EIO;			/* the file is shorter than it was */
	}
	op->done(op, res);
}

static int uring_run(struct io_engine *io, bool wait)
{
	struct uring *u = uring(io);
	struct io_uring_cqe *c;
	int rc = submit(u, wait);

	if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		return rc;
	while (!io_uring_peek_cqe(&u->r, &c)) {
		struct io_uring_cqe copy = *c;
		uintptr_t data = copy.user_data;

		io_uring_cqe_seen(&u->r, c);
		if ((void *)data == IGNORE)
			continue;
		if (data & TAG_WATCH)
			on_watch(u, (struct io_watch *)(data & ~TAG_WATCH), &copy);
		else
			on_op(u, (struct io_op *)data, copy.res);
	}
	return 0;
}

static const struct io_engine_ops uring_ops = {
	.name = "io_uring", .close = uring_close, .queue = uring_queue, .watch = uring_watch,
	.unwatch = uring_unwatch, .run = uring_run, .buffers = uring_buffers,
};

struct io_engine *io_open_uring(unsigned int depth, struct hv_err *e)
{
	struct uring *u = calloc(1, sizeof(*u));
	int rc;

	if (!u) {
		hv_err(e, ENOMEM, "no memory");
		return NULL;
	}
	u->io.ops = &uring_ops;
	/* completions only when we ask for them: no interrupts between (kernels before 6.1 do without) */
	rc = io_uring_queue_init(depth, &u->r, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	if (rc == -EINVAL)
		rc = io_uring_queue_init(depth, &u->r, 0);
	if (!rc) {
		io_uring_register_ring_fd(&u->r);	/* saves a look-up per call; failing does no harm */
		return &u->io;
	}
	hv_err(e, -rc, "io_uring: %s", strerror(-rc));
	free(u);
	return NULL;
}
