// SPDX-License-Identifier: GPL-2.0-only
/* Requests on their way: Linux AIO by its system calls, so that a guest needs no library; a thread for the rest. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "stamp.h"

#define PAGE 4096u
#define LOOK_NS 10000000		/* a wait looks as often for the thread and for signals */

enum { SLOW_IDLE, SLOW_BUSY, SLOW_DONE, SLOW_TAKEN };

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int open_block(struct disk *d)
{
	uint64_t bytes;
	int block;

	if (ioctl(d->fd, BLKGETSIZE64, &bytes) || ioctl(d->fd, BLKSSZGET, &block))
		return -errno;
	d->block = true;
	d->sectors = bytes / SECTOR;
	d->align = d->coarse = block / SECTOR;
	return 0;
}

/* A plain file, for tests: without O_DIRECT where the file system has none, or wants more than a sector. */
static void open_file(struct disk *d, uint64_t bytes)
{
	uint8_t *buf = aligned_alloc(PAGE, PAGE);

	if (buf && pread(d->fd, buf + SECTOR, SECTOR, 0) < 0 && errno == EINVAL)
		fcntl(d->fd, F_SETFL, fcntl(d->fd, F_GETFL) & ~O_DIRECT);
	free(buf);
	d->sectors = bytes / SECTOR;
	d->align = 1;
	/* a hole's ends inside a page go through the page cache, beside direct writes of the same page */
	d->coarse = PAGE / SECTOR;
}

int disk_open(struct disk *d, const char *path, bool write)
{
	int flags = (write ? O_RDWR : O_RDONLY) | O_CLOEXEC;
	struct stat st;

	d->fd = open(path, flags | O_DIRECT);
	if (d->fd < 0 && errno == EINVAL)
		d->fd = open(path, flags);
	if (d->fd < 0 || fstat(d->fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return open_block(d);
	if (!S_ISREG(st.st_mode))
		return -ENOTBLK;
	open_file(d, st.st_size);
	return 0;
}

static long slow_call(const struct disk *d, const struct req *r)
{
	uint64_t range[2] = { r->at * SECTOR, (uint64_t)r->n * SECTOR };
	int rc;

	if (!d->block)
		rc = fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, range[0], range[1]);
	else
		rc = ioctl(d->fd, r->op == ZERO ? BLKZEROOUT : BLKDISCARD, range);
	return rc ? -errno : (long)range[1];
}

/* One small discard before anything is written: a device that has none is not asked for it; other errors come again. */
void disk_probe(struct disk *d, uint64_t at, uint64_t n)
{
	uint64_t first = (at + d->coarse - 1) / d->coarse * d->coarse;
	struct req r = { .op = DISCARD, .at = first, .n = d->coarse };
	long res = first + d->coarse <= at + n ? slow_call(d, &r) : -EOPNOTSUPP;

	d->discards = res != -EOPNOTSUPP && res != -ENOTTY && res != -EINVAL;
	/* the kernel writes zeroes where a device has no such request */
	d->zeroes = d->block || d->discards;
}

static void *slow_thread(void *arg)
{
	struct engine *e = arg;

	for (;;) {
		while (sem_wait(&e->go))
			;
		if (e->slow.op == OPS)
			return NULL;
		e->slow.res = slow_call(&e->disk, &e->slow);
		e->slow.end = now_ns();
		atomic_store(&e->slow_state, SLOW_DONE);
	}
}

int engine_start(struct engine *e, unsigned int depth, uint32_t max_sectors)
{
	size_t room = ((size_t)max_sectors * SECTOR + 2 * PAGE - 1) / PAGE * PAGE;

	e->depth = depth;
	e->req = calloc(depth, sizeof(*e->req));
	e->idle = calloc(depth, sizeof(*e->idle));
	e->ended = calloc(depth + 1, sizeof(*e->ended));
	e->ready = calloc(depth, sizeof(*e->ready));
	e->events = calloc(depth, sizeof(*e->events));
	if (!e->req || !e->idle || !e->ended || !e->ready || !e->events)
		return -ENOMEM;
	for (unsigned int i = 0; i < depth; i++) {
		e->req[i].buf = aligned_alloc(PAGE, room);
		if (!e->req[i].buf)
			return -ENOMEM;
		e->idle[e->n_idle++] = &e->req[i];
	}
	if (syscall(SYS_io_setup, depth, &e->ctx) || sem_init(&e->go, 0, 0))
		return -errno;
	return -pthread_create(&e->thread, NULL, slow_thread, e);
}

/* A request to fill in, to be given to engine_ready. */
struct req *engine_idle(struct engine *e)
{
	return e->n_idle ? e->idle[e->n_idle - 1] : NULL;
}

bool engine_slow_idle(struct engine *e)
{
	return atomic_load(&e->slow_state) == SLOW_IDLE;
}

static void fill_cb(const struct engine *e, struct req *r)
{
	static const int opcode[] = { [READ] = IOCB_CMD_PREAD, [WRITE] = IOCB_CMD_PWRITE, [FLUSH] = IOCB_CMD_FSYNC };

	r->cb = (struct iocb){ .aio_data = (uintptr_t)r, .aio_lio_opcode = opcode[r->op], .aio_fildes = e->disk.fd };
	if (r->op == FLUSH)
		return;
	r->cb.aio_buf = (uintptr_t)r->data;
	r->cb.aio_nbytes = (uint64_t)r->n * SECTOR;
	r->cb.aio_offset = r->at * SECTOR;
	r->cb.aio_rw_flags = r->fua ? RWF_DSYNC : 0;
}

void engine_ready(struct engine *e, struct req *r)
{
	e->flying++;
	if (r == &e->slow) {
		r->start = now_ns();
		atomic_store(&e->slow_state, SLOW_BUSY);
		sem_post(&e->go);
		return;
	}
	e->n_idle--;
	fill_cb(e, r);
	e->ready[e->n_ready++] = &r->cb;
}

static void end(struct engine *e, struct req *r, long res, uint64_t at)
{
	r->res = res;
	r->end = at;
	e->ended[e->n_ended++] = r;
}

static struct req *req_of(uint64_t data)
{
	return (struct req *)(uintptr_t)data;
}

void engine_submit(struct engine *e)
{
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < e->n_ready; i++)
		req_of(e->ready[i]->aio_data)->start = start;
	for (i = 0; i < e->n_ready; ) {
		long n = syscall(SYS_io_submit, e->ctx, (long)(e->n_ready - i), e->ready + i);

		if (n > 0)
			i += n;
		else if (errno == EAGAIN)
			usleep(100);
		else if (errno != EINTR) {
			end(e, req_of(e->ready[i]->aio_data), -errno, now_ns());
			i++;
		}
	}
	e->n_ready = 0;
}

/* Takes what has ended, and the time at once: judging data takes long, and is not the disk's. */
void engine_collect(struct engine *e, bool wait)
{
	struct timespec t = { .tv_nsec = wait ? LOOK_NS : 0 };
	long n = syscall(SYS_io_getevents, e->ctx, wait ? 1L : 0L, (long)e->depth, e->events, &t);
	uint64_t at = now_ns();

	if (atomic_load(&e->slow_state) == SLOW_DONE) {
		atomic_store(&e->slow_state, SLOW_TAKEN);
		end(e, &e->slow, e->slow.res, e->slow.end);
	}
	for (long i = 0; i < n; i++)
		end(e, req_of(e->events[i].data), e->events[i].res, at);
}

/* The oldest that ended and was not looked at. */
struct req *engine_ended(struct engine *e)
{
	struct req *r;

	if (!e->n_ended)
		return NULL;
	r = e->ended[0];
	memmove(e->ended, e->ended + 1, --e->n_ended * sizeof(*e->ended));
	e->flying--;
	return r;
}

void engine_put(struct engine *e, struct req *r)
{
	if (r == &e->slow)
		atomic_store(&e->slow_state, SLOW_IDLE);
	else
		e->idle[e->n_idle++] = r;
}

void engine_stop(struct engine *e)
{
	e->slow.op = OPS;
	sem_post(&e->go);
	pthread_join(e->thread, NULL);
	syscall(SYS_io_destroy, e->ctx);
	close(e->disk.fd);
	for (unsigned int i = 0; i < e->depth; i++)
		free(e->req[i].buf);
	free(e->req);
	free(e->idle);
	free(e->ended);
	free(e->ready);
	free(e->events);
}
