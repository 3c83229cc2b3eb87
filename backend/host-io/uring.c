// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine on io_uring: requests and watched descriptors complete in one queue, one system call submits and waits. A request may
 * go as NVMe commands to a namespace's generic character device instead of by the block layer (nvme.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "host-io/io.h"
#include "host-io/nvme.h"
#include "host-io/ring.h"

#define DROP_MAX (1u << 30)	/* of the page cache in one request, whose length has 32 bits */
#define PAUSE_NS 20000000	/* before a command goes once more */
#define TRIES 5			/* of one that the controller did not carry out */
#define WAITS 3000		/* of one that did not get to it, for as long as it may be reset: a minute */

struct uring {
	struct io_engine io;
	struct io_uring r;
	uint8_t *fixed;			/* registered memory */
	size_t fixed_size;
	struct io_watch *due;		/* to be written back and armed again */
	bool put_off;			/* that was put off once: not again */
	int personality;		/* of commands */
	struct __kernel_timespec pause;
};

#define TAG_WATCH 1ul		/* low bits of user_data: a struct io_watch, else a struct io_op */
#define TAG_PAUSE 4ul		/* which goes once more now */
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

/* One command of perhaps several. What is refused here completes as a request that does nothing. */
static void prepare_command(struct uring *u, struct io_uring_sqe *s, struct io_op *op)
{
	struct nvme_uring_cmd c;
	int64_t n = u->personality ? nvme_command(op, &c) : -EOPNOTSUPP;

	if (n < 0) {
		op->refused = n;
		io_uring_prep_nop(s);
		return;
	}
	op->step = n;
	memset(s, 0, 2 * sizeof(*s));		/* entries of this ring have twice the size */
	s->opcode = IORING_OP_URING_CMD;
	s->fd = op->pass->fd;
	s->cmd_op = NVME_URING_CMD_IO;
	s->personality = u->personality;
	memcpy(s->cmd, &c, sizeof(c));
}

static void prepare(struct uring *u, struct io_uring_sqe *s, struct io_op *op)
{
	uint8_t *buf = op->buf + op->moved;
	uint64_t off = op->off + op->moved, len = op->len - op->moved;

	if (op->pass) {
		prepare_command(u, s, op);
		return;
	}
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
	case IO_DROP:
		op->step = len < DROP_MAX ? len : DROP_MAX;
		io_uring_prep_fadvise(s, op->fd, off, op->step, POSIX_FADV_DONTNEED);
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
	op->refused = 0;
	op->tries = 0;
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

/* Goes on by steps that the engine has chosen. True: not at its end. */
static bool next_step(struct uring *u, struct io_op *op)
{
	op->moved += op->step;
	if (op->moved >= op->len)
		return false;
	op->tries = 0;
	submit_op(u, op);
	return true;
}

/*
 * How often it may be tried. Of what does not get to the controller while that is reset, which takes its time, Linux 6.1 says EINVAL,
 * whatever the command is, or that the path has an error.
 */
static unsigned int tries(int res)
{
	if (res == -EINTR || res == -EAGAIN || res == -EINVAL || (res > 0 && nvme_by_kernel(res)))
		return WAITS;
	return res > 0 && nvme_again(res) ? TRIES : 1;
}

static void submit_later(struct uring *u, struct io_op *op)
{
	struct io_uring_sqe *s = get_sqe(u);

	io_uring_prep_timeout(s, &u->pause, 0, 0);
	io_uring_sqe_set_data(s, (void *)((uintptr_t)op | TAG_PAUSE));
}

/*
 * A command has ended. The block layer would try again what was not carried out, as after a reset of the controller; nobody does it
 * for commands but we.
 */
static void on_command(struct uring *u, struct io_op *op, int res)
{
	if (op->refused) {
		op->done(op, op->refused);
	} else if (res && ++op->tries < tries(res)) {
		submit_later(u, op);
	} else if (res) {
		op->done(op, res == -EINTR || res == -EAGAIN ? -EIO : res < 0 ? res : nvme_errno(res));
	} else if (op->kind == IO_FLUSH || !next_step(u, op)) {
		op->done(op, 0);
	}
}

static void on_op(struct uring *u, struct io_op *op, int res)
{
	bool bytes = op->kind == IO_READ || op->kind == IO_WRITE;

	if (op->pass) {
		on_command(u, op, res);
		return;
	}

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
	if (op->kind == IO_DROP && !res && next_step(u, op))
		return;
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
		else if (data & TAG_PAUSE)
			submit_op(u, (struct io_op *)(data & ~TAG_PAUSE));
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
	u->pause.tv_nsec = PAUSE_NS;
	rc = ring_open(&u->r, depth, &u->personality);
	if (!rc) {
		u->io.passes = u->personality > 0;
		return &u->io;
	}
	hv_err(e, -rc, "io_uring: %s", strerror(-rc));
	free(u);
	return NULL;
}
