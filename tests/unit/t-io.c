// SPDX-License-Identifier: GPL-2.0-only
/* Both I/O engines against a file: each operation, short and interrupted system calls, a disk that is full. */
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "host-io/io.h"
#include "unit.h"
#ifdef HAVE_URING
#include "host-io/ring.h"
#endif

/* ---- system calls of the plain engine, in this program's hands ---- */

static struct {
	size_t cut;		/* bytes that one call moves at most */
	int err, times;		/* fails so often first */
	bool no_fallocate;
} trouble;
static int write_flags;		/* of the last write, by either engine */

static bool fails(void)
{
	if (!trouble.times)
		return false;
	trouble.times--;
	errno = trouble.err;
	return true;
}

static size_t cut(const struct iovec *v)
{
	return trouble.cut && v->iov_len > trouble.cut ? trouble.cut : v->iov_len;
}

ssize_t preadv2(int fd, const struct iovec *v, int n, off_t off, int flags)
{
	return fails() ? -1 : pread(fd, v->iov_base, cut(v), off);
}

ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t off, int flags)
{
	write_flags = flags;
	return fails() ? -1 : pwrite(fd, v->iov_base, cut(v), off);
}

#ifdef HAVE_URING
static void note_flags(const struct io_uring *r)
{
	const struct io_uring_sqe *s;

	for (unsigned int k = r->sq.sqe_head; k != r->sq.sqe_tail; k++) {
		s = &r->sq.sqes[(k & r->sq.ring_mask) << !!(r->flags & IORING_SETUP_SQE128)];
		if (s->opcode == IORING_OP_WRITE || s->opcode == IORING_OP_WRITE_FIXED)
			write_flags = s->rw_flags;
	}
}

int io_uring_submit_and_get_events(struct io_uring *r)
{
	static int (*real)(struct io_uring *r);

	note_flags(r);
	real = real ? real : (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit_and_get_events");
	return real(r);
}

int io_uring_submit_and_wait(struct io_uring *r, unsigned int n)
{
	static int (*real)(struct io_uring *r, unsigned int n);

	note_flags(r);
	real = real ? real : (int (*)(struct io_uring *, unsigned int))dlsym(RTLD_NEXT, "io_uring_submit_and_wait");
	return real(r, n);
}
#endif

int fdatasync(int fd)
{
	return fails() ? -1 : syscall(SYS_fdatasync, fd);
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
	if (trouble.no_fallocate)
		errno = EOPNOTSUPP;
	return trouble.no_fallocate ? -1 : syscall(SYS_fallocate, fd, mode, off, len);
}

/* ---- */

#define SIZE (1u << 20)

static struct io_engine *engine(int which)
{
	struct io_engine *io = NULL;
	struct hv_err e = { 0 };

	if (!which)
		return io_open_plain(&e);
#ifdef HAVE_URING
	io = io_open_uring(8, &e);
#endif
	if (!io)
		unit_skip("no io_uring here");
	return io;
}

struct op {
	struct io_op op;
	int res, calls;
};

static void done(struct io_op *op, int res)
{
	struct op *o = (struct op *)op;

	o->res = res;
	o->calls++;
}

static void begin(struct io_engine *io, struct op *o, enum io_kind kind, int fd, uint64_t off, void *buf, uint64_t len)
{
	*o = (struct op){ .op = { .kind = kind, .fd = fd, .off = off, .len = len, .buf = buf, .done = done } };
	io->ops->queue(io, &o->op);
}

static void finish(struct io_engine *io, struct op *o)
{
	while (!o->calls)
		ck_assert_int_eq(io->ops->run(io, true), 0);
	ck_assert_int_eq(o->calls, 1);
}

static int do_op(struct io_engine *io, enum io_kind kind, int fd, uint64_t off, void *buf, uint64_t len)
{
	struct op o;

	begin(io, &o, kind, fd, off, buf, len);
	finish(io, &o);
	return o.res;
}

static int file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	return fd;
}

static uint8_t data[SIZE], back[SIZE];

static void whole(struct io_engine *io, int fd)
{
	struct rng r;

	rng_init(&r, "io");
	rng_fill(&r, data, SIZE);
	ck_assert_int_eq(do_op(io, IO_WRITE, fd, 0, data, SIZE), 0);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 0, back, SIZE), 0);
	ck_assert_mem_eq(data, back, SIZE);
	ck_assert_int_eq(do_op(io, IO_FLUSH, fd, 0, NULL, 0), 0);
	ck_assert_int_eq(do_op(io, IO_ZERO, fd, 8192, NULL, 65536 * 3 + 4096), 0);
	memset(data + 8192, 0, 65536 * 3 + 4096);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 0, back, SIZE), 0);
	ck_assert_mem_eq(data, back, SIZE);
	ck_assert_int_eq(do_op(io, IO_DISCARD, fd, 512 * 1024, NULL, 4096), 0);
	memset(data + 512 * 1024, 0, 4096);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 0, back, SIZE), 0);
	ck_assert_mem_eq(data, back, SIZE);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), SIZE);		/* nothing makes it longer */
}

START_TEST(operations)
{
	struct io_engine *io = engine(_i);

	if (!io)
		return;
	whole(io, file(unit_path("f")));
	io->ops->close(io);
}
END_TEST

/* A filesystem that cannot zero a range (tmpfs), nor punch a hole for it. */
START_TEST(zero_the_slow_way)
{
	struct io_engine *io = engine(_i);
	char path[64];
	int fd;

	if (!io)
		return;
	snprintf(path, sizeof(path), "/dev/shm/hvdrv-unit-%d", getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		unit_skip("no /dev/shm here");
		return;
	}
	unlink(path);
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	whole(io, fd);
	memset(data, 7, SIZE);
	ck_assert_int_eq(do_op(io, IO_WRITE, fd, 0, data, SIZE), 0);
	trouble.no_fallocate = true;
	ck_assert_int_eq(do_op(io, IO_ZERO, fd, 4096, NULL, 65536 * 2 + 4096), 0);
	trouble.no_fallocate = false;
	memset(data + 4096, 0, 65536 * 2 + 4096);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 0, back, SIZE), 0);
	ck_assert_mem_eq(data, back, SIZE);
	io->ops->close(io);
}
END_TEST

/* A write with FUA is on stable storage when it is done: the kernel is told so. One without waits for no disk. */
START_TEST(fua)
{
	struct io_engine *io = engine(_i);
	struct op o = { .op = { .kind = IO_WRITE, .fua = true, .off = 4096, .len = 4096, .buf = data, .done = done } };
	int fd;

	if (!io)
		return;
	fd = file(unit_path("f"));
	memset(data, 9, 4096);
	o.op.fd = fd;
	io->ops->queue(io, &o.op);
	finish(io, &o);
	ck_assert_int_eq(o.res, 0);
	ck_assert_int_eq(pread(fd, back, 4096, 4096), 4096);
	ck_assert_mem_eq(data, back, 4096);
	ck_assert_int_eq(write_flags, RWF_DSYNC);
	ck_assert_int_eq(do_op(io, IO_WRITE, fd, 0, data, 4096), 0);
	ck_assert_int_eq(write_flags, 0);
	io->ops->close(io);
}
END_TEST

/* Part of a transfer, then an interruption: it goes on to the end. */
START_TEST(short_and_interrupted)
{
	struct io_engine *io = engine(0);
	int fd = file(unit_path("f"));

	trouble.cut = 5000;
	whole(io, fd);
	for (int k = IO_READ; k <= IO_FLUSH; k++) {
		trouble.err = EINTR;
		trouble.times = 3;
		ck_assert_int_eq(do_op(io, k, fd, 0, data, k == IO_FLUSH ? 0 : 40000), 0);
		ck_assert_msg(!trouble.times, "kind %d was not tried again", k);
		trouble.err = EIO;
		trouble.times = 1;
		ck_assert_int_eq(do_op(io, k, fd, 0, data, k == IO_FLUSH ? 0 : 40000), -EIO);
		ck_assert_int_eq(trouble.times, 0);
	}
	io->ops->close(io);
}
END_TEST

/* The file has become shorter: not data that was never there. */
START_TEST(beyond_the_end)
{
	struct io_engine *io = engine(_i);
	int fd;

	if (!io)
		return;
	fd = file(unit_path("f"));
	ck_assert_int_eq(ftruncate(fd, 6000), 0);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 0, back, 6000), 0);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 0, back, 8192), -EIO);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 8192, back, 512), -EIO);
	io->ops->close(io);
}
END_TEST

START_TEST(refused_by_the_file)
{
	struct io_engine *io = engine(_i);
	int ro, closed = 900;

	if (!io)
		return;
	close(file(unit_path("f")));
	ro = open(unit_path("f"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(do_op(io, IO_READ, ro, 0, back, 512), 0);
	ck_assert_int_eq(do_op(io, IO_WRITE, ro, 0, back, 512), -EBADF);
	ck_assert_int_eq(do_op(io, IO_ZERO, ro, 0, NULL, 4096), -EBADF);
	ck_assert_int_eq(do_op(io, IO_DISCARD, ro, 0, NULL, 4096), -EBADF);
	ck_assert_int_eq(do_op(io, IO_READ, closed, 0, back, 512), -EBADF);
	ck_assert_int_eq(do_op(io, IO_FLUSH, closed, 0, NULL, 0), -EBADF);
	io->ops->close(io);
}
END_TEST

/* A disk of dom0 that is full, and has room again. */
START_TEST(no_space)
{
	struct io_engine *io = engine(_i);
	const char *dir;
	char path[320];
	int fd;

	if (!io)
		return;
	dir = unit_small_fs();
	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/f", dir);
	fd = file(path);
	umount2(dir, MNT_DETACH);		/* goes with the last descriptor, however this ends */
	ck_assert_int_eq(do_op(io, IO_WRITE, fd, 0, data, 32768), 0);
	ck_assert_int_eq(do_op(io, IO_WRITE, fd, 65536, data, 65536), -ENOSPC);
	ck_assert_int_eq(do_op(io, IO_DISCARD, fd, 0, NULL, SIZE), 0);
	ck_assert_int_eq(do_op(io, IO_WRITE, fd, 65536, data, 32768), 0);
	io->ops->close(io);
	close(fd);
}
END_TEST

/* More at once than the engine's queue holds. */
START_TEST(many)
{
	struct io_engine *io = engine(_i);
	static struct op op[64];
	int fd;

	if (!io)
		return;
	fd = file(unit_path("f"));
	for (int i = 0; i < 64; i++)
		memset(data + 4096 * i, i + 1, 4096);
	for (int i = 0; i < 64; i++)
		begin(io, &op[i], IO_WRITE, fd, 4096 * i, data + 4096 * i, 4096);
	for (int i = 0; i < 64; i++) {
		finish(io, &op[i]);
		ck_assert_int_eq(op[i].res, 0);
	}
	ck_assert_int_eq(pread(fd, back, 64 * 4096, 0), 64 * 4096);
	ck_assert_mem_eq(data, back, 64 * 4096);
	io->ops->close(io);
}
END_TEST

/* Registered memory is used as any other. */
START_TEST(fixed_buffers)
{
	struct io_engine *io = engine(_i);
	int fd, rc;

	if (!io)
		return;
	fd = file(unit_path("f"));
	rc = io->ops->buffers(io, data, SIZE);
	if (rc)
		unit_skip("buffers cannot be pinned here");
	memset(data, 3, SIZE);
	ck_assert_int_eq(do_op(io, IO_WRITE, fd, 4096, data + 4096, 65536), 0);
	memset(data, 4, SIZE);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 4096, data + 8192, 65536), 0);
	ck_assert_int_eq(data[8191], 4);
	ck_assert_int_eq(data[8192], 3);
	ck_assert_int_eq(data[8192 + 65535], 3);
	ck_assert_int_eq(data[8192 + 65536], 4);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 4096, back, 4096), 0);	/* and beside it */
	ck_assert_int_eq(back[4095], 3);
	io->ops->close(io);
}
END_TEST

/* ---- watched descriptors ---- */

struct watched {
	struct io_watch w;	/* first */
	uint32_t buf[4];
	int calls, got, reply;
};

static void ready(struct io_watch *w)
{
	struct watched *x = (struct watched *)w;

	x->calls++;
	x->got = w->got;
	w->reply = w->got > 0 ? x->reply : 0;
}

static void run_until(struct io_engine *io, struct watched *x, int calls)
{
	while (x->calls < calls)
		ck_assert_int_eq(io->ops->run(io, true), 0);
}

START_TEST(watch)
{
	struct io_engine *io = engine(_i);
	struct watched x = { .reply = 4 };
	uint32_t v = 42, echo = 0;
	int sv[2];

	if (!io)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	x.w = (struct io_watch){ .fd = sv[0], .ready = ready, .buf = x.buf, .size = sizeof(x.buf) };
	ck_assert_int_eq(io->ops->watch(io, &x.w), 0);
	ck_assert_int_eq(io->ops->run(io, false), 0);
	ck_assert_int_eq(x.calls, 0);
	for (int i = 1; i <= 3; i++) {
		v += i;
		ck_assert_int_eq(write(sv[1], &v, 4), 4);
		run_until(io, &x, i);
		ck_assert_int_eq(x.got, 4);
		ck_assert_uint_eq(x.buf[0], v);
		io->ops->run(io, false);		/* what was read goes back */
		ck_assert_int_eq(read(sv[1], &echo, 4), 4);
		ck_assert_uint_eq(echo, v);
	}
	io->ops->unwatch(io, &x.w);
	ck_assert_int_eq(write(sv[1], &v, 4), 4);
	memset(&x, 0xee, sizeof(x));			/* it is the caller's again */
	ck_assert_int_eq(io->ops->run(io, false), 0);
	io->ops->close(io);
}
END_TEST

/* Without a buffer: only told that something is there. And the end of the other side is told. */
START_TEST(watch_only)
{
	struct io_engine *io = engine(_i);
	struct watched x = { 0 }, end = { 0 };
	int sv[2], ev[2];

	if (!io)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ev), 0);
	x.w = (struct io_watch){ .fd = sv[0], .ready = ready };
	io->ops->watch(io, &x.w);
	ck_assert_int_eq(write(sv[1], "x", 1), 1);
	run_until(io, &x, 1);
	ck_assert_int_eq(read(sv[0], x.buf, 1), 1);
	io->ops->unwatch(io, &x.w);
	end.w = (struct io_watch){ .fd = ev[0], .ready = ready, .buf = end.buf, .size = 4 };
	io->ops->watch(io, &end.w);
	close(ev[1]);
	run_until(io, &end, 1);
	ck_assert_int_eq(end.got, 0);
	end.w.ready = NULL;
	if (!_i)
		io->ops->unwatch(io, &end.w);
}
END_TEST

/* What the page cache has of it goes, what is on the disk stays; the whole of a range longer than one request can name. */
START_TEST(drop)
{
	struct io_engine *io = engine(_i);
	int fd;

	if (!io)
		return;
	fd = file(unit_path("f"));
	memset(data, 5, SIZE);
	ck_assert_int_eq(do_op(io, IO_WRITE, fd, 0, data, SIZE), 0);
	ck_assert_int_eq(do_op(io, IO_FLUSH, fd, 0, NULL, 0), 0);
	ck_assert_int_eq(do_op(io, IO_DROP, fd, 0, NULL, 5ull << 30), 0);
	ck_assert_int_eq(do_op(io, IO_READ, fd, 0, back, SIZE), 0);
	ck_assert_mem_eq(data, back, SIZE);
	ck_assert_int_eq(do_op(io, IO_DROP, 900, 0, NULL, SIZE), -EBADF);
	io->ops->close(io);
}
END_TEST

/* By commands: refused outside of the device's part, before the kernel sees it; a file that takes no commands is no namespace. */
START_TEST(commands)
{
	struct io_pass p = { .nsid = 1, .block = 512, .end = SIZE, .max_bytes = 65536 };
	struct io_engine *io = engine(_i);
	struct op o = { 0 };
	bool passes = io && io->passes;

	if (!io)
		return;
	p.fd = file(unit_path("f"));
	for (int beyond = 0; beyond < 2; beyond++) {
		o = (struct op){ .op = { .kind = IO_WRITE, .fd = p.fd, .pass = &p, .off = beyond * SIZE, .len = 4096, .buf = data, .done = done } };
		io->ops->queue(io, &o.op);
		ck_assert_int_eq(o.calls, 0);
		finish(io, &o);
		ck_assert_int_eq(o.res, beyond && passes ? -ERANGE : -EOPNOTSUPP);
	}
	io->ops->close(io);
	if (_i && !passes)
		unit_skip("no CAP_SYS_ADMIN, or no io_uring that can do commands");
}
END_TEST

#ifdef HAVE_URING
static int submit(struct io_uring *r, struct io_uring_sqe *s)
{
	struct io_uring_cqe *c = NULL;
	int res;

	ck_assert_int_eq(io_uring_submit_and_wait(r, 1), 1);
	ck_assert_int_eq(io_uring_peek_cqe(r, &c), 0);
	res = c->res;
	io_uring_cqe_seen(r, c);
	return res;
}

/* Whoever takes over a worker later can do with its ring what the engine does, and no more. */
START_TEST(narrow_ring)
{
	struct io_uring_sqe *s;
	struct io_uring r;
	int personality, fd = file(unit_path("f"));

	if (ring_open(&r, 8, &personality)) {
		unit_skip("no io_uring here");
		return;
	}
	s = io_uring_get_sqe(&r);
	io_uring_prep_write(s, fd, data, 512, 0);
	ck_assert_int_eq(submit(&r, s), 512);
	s = io_uring_get_sqe(&r);
	io_uring_prep_openat(s, AT_FDCWD, "/", O_RDONLY, 0);
	ck_assert_int_eq(submit(&r, s), -EACCES);
	s = io_uring_get_sqe(&r);
	io_uring_prep_write(s, fd, data, 512, 0);
	s->flags |= IOSQE_ASYNC;
	ck_assert_int_eq(submit(&r, s), -EACCES);
	ck_assert_int_eq(io_uring_register_personality(&r), -EACCES);
	ck_assert_int_eq(io_uring_register_files(&r, &fd, 1), -EACCES);
	ck_assert_int_eq(io_uring_register_buffers(&r, &(struct iovec){ data, 4096 }, 1), 0);
	io_uring_queue_exit(&r);
}
END_TEST
#endif

START_TEST(too_many_watches)
{
	struct io_engine *io = engine(0);
	struct watched x[25] = { 0 };

	for (int i = 0; i < 24; i++)
		ck_assert_int_eq(io->ops->watch(io, &x[i].w), 0);
	ck_assert_int_eq(io->ops->watch(io, &x[24].w), -ENOSPC);
	io->ops->unwatch(io, &x[3].w);
	ck_assert_int_eq(io->ops->watch(io, &x[24].w), 0);
	io->ops->close(io);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("io", (const TTest *[]){ short_and_interrupted, too_many_watches, NULL });

	unit_loop(s, "operations", operations, 2);
	unit_loop(s, "zero-the-slow-way", zero_the_slow_way, 2);
	unit_loop(s, "fua", fua, 2);
	unit_loop(s, "beyond-the-end", beyond_the_end, 2);
	unit_loop(s, "refused-by-the-file", refused_by_the_file, 2);
	unit_loop(s, "no-space", no_space, 2);
	unit_loop(s, "many", many, 2);
	unit_loop(s, "fixed-buffers", fixed_buffers, 2);
	unit_loop(s, "drop", drop, 2);
	unit_loop(s, "commands", commands, 2);
#ifdef HAVE_URING
	unit_loop(s, "narrow-ring", narrow_ring, 1);
#endif
	unit_loop(s, "watch", watch, 2);
	unit_loop(s, "watch-only", watch_only, 2);
	return s;
}
