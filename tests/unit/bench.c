// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bench.h"
#include "unit.h"
#include "util/sock.h"

#define NOBODY 63u
#define LOCAL 100u		/* the worker's number of a port: the guest's and this */

const struct hv_blkif_limits bench_limits = {
	.sectors = 2048, .block = 512, .max_segs = HVDRV_MAX_SEGS, .max_bytes = HVDRV_MAX_SEGS * HVDRV_PAGE, .flush = true, .fua = true,
	.discard = true, .write_zeroes = true,
};

void *bench_page(struct bench *b, uint32_t n)
{
	return b->mem + (size_t)n * HVDRV_PAGE;
}

static bool granted(const struct bench *b, uint32_t ref, bool write)
{
	return ref && ref < BENCH_PAGES && (b->grant[ref] == 1 || (!write && b->grant[ref]));
}

/* Pages that do not follow each other: seen once more, side by side. */
static void *gather(struct bench *b, const uint32_t *refs, unsigned int n)
{
	uint8_t *at = mmap(NULL, (size_t)n * HVDRV_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(at != MAP_FAILED);
	for (unsigned int i = 0; i < n; i++)
		ck_assert(mremap(bench_page(b, refs[i]), 0, HVDRV_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + (size_t)i * HVDRV_PAGE) !=
			  MAP_FAILED);
	return at;
}

static void *map(void *arg, const uint32_t *refs, unsigned int n)
{
	struct bench *b = arg;
	bool follow = true;

	errno = b->map_errno ? b->map_errno : EINVAL;
	if (b->map_errno)
		return NULL;
	for (unsigned int i = 0; i < n; i++) {
		if (!granted(b, refs[i], true))
			return NULL;
		follow &= refs[i] == refs[0] + i;
	}
	b->maps++;
	return follow ? bench_page(b, refs[0]) : gather(b, refs, n);
}

static void unmap(void *arg, void *va, unsigned int n)
{
	struct bench *b = arg;

	b->maps--;
	if ((uint8_t *)va < b->mem || (uint8_t *)va >= b->mem + BENCH_PAGES * HVDRV_PAGE)
		munmap(va, (size_t)n * HVDRV_PAGE);
}

static int copy(void *arg, struct guest_copy *c, unsigned int n)
{
	struct bench *b = arg;

	if (b->on_copy)
		b->on_copy(b->on_copy_arg);
	if (b->copy_errno)
		return -b->copy_errno;
	for (; n--; c++) {
		uint8_t *at = bench_page(b, granted(b, c->ref, c->to_guest) ? c->ref : 0) + c->off;

		c->status = !granted(b, c->ref, c->to_guest) || c->off + c->len > HVDRV_PAGE ? -1 : 0;
		if (!c->status)
			memcpy(c->to_guest ? at : c->local, c->to_guest ? c->local : at, c->len);
	}
	return 0;
}

static int bind_port(void *arg, uint32_t remote)
{
	struct bench *b = arg;

	if (b->bind_errno)
		return -b->bind_errno;
	b->ports++;
	return remote + LOCAL;
}

static void unbind(void *arg, uint32_t port)
{
	((struct bench *)arg)->ports--;
}

static void notify(void *arg, uint32_t port)
{
	((struct bench *)arg)->notified[port - LOCAL]++;
}

static int event_fd(void *arg)
{
	return ((struct bench *)arg)->events[0];
}

static const struct guest_ops ops = {
	.map = map, .unmap = unmap, .copy = copy, .bind = bind_port, .unbind = unbind, .notify = notify, .fd = event_fd,
};

static struct io_engine *engine_of(int engine)
{
	struct io_engine *io = NULL;
	struct hv_err e = { 0 };

	if (!engine)
		return io_open_plain(&e);
#ifdef HAVE_URING
	io = io_open_uring(256, &e);
#endif
	if (!io)
		unit_skip("no io_uring here");
	return io;
}

static void watch(struct bench *b, struct io_watch *w, int fd, void (*ready)(struct io_watch *))
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	w->fd = fd;
	w->ready = ready;
	ck_assert_int_eq(b->wk->io->ops->watch(b->wk->io, w), 0);
}

struct bench *bench_new(int engine)
{
	struct io_engine *io = engine_of(engine);
	struct bench *b = calloc(1, sizeof(*b));

	if (!io)
		return NULL;
	b->wk = calloc(1, sizeof(*b->wk));
	b->wk->io = io;
	b->wk->about = (struct hv_about){ 5, "web1", NULL };
	b->wk->guest = (struct guest){ &ops, b };
	b->mem = mmap(NULL, BENCH_PAGES * HVDRV_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(b->grant, 1, sizeof(b->grant));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b->events), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, b->ctl), 0);
	fcntl(b->ctl[1], F_SETFL, O_NONBLOCK);
	fcntl(b->events[1], F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(wk_serve_init(b->wk), 0);
	io->ops->buffers(io, b->wk->buf, b->wk->buf_size);
	watch(b, &b->wk->events, b->events[0], wk_on_events);
	watch(b, &b->wk->ctl, b->ctl[0], wk_on_ctl);
	return b;
}

void bench_free(struct bench *b)
{
	struct wk_dev *d;

	while ((d = TAILQ_FIRST(&b->wk->devs)))
		wk_dev_remove(d);
	ck_assert_uint_eq(b->maps, 0);
	ck_assert_uint_eq(b->ports, 0);
	b->wk->io->ops->unwatch(b->wk->io, &b->wk->events);
	if (b->wk->ctl.fd >= 0)
		b->wk->io->ops->unwatch(b->wk->io, &b->wk->ctl);
	b->wk->io->ops->close(b->wk->io);
	munmap(b->wk->buf, b->wk->buf_size);
	munmap(b->mem, BENCH_PAGES * HVDRV_PAGE);
	free(b->wk->reqs);
	free(b->wk);
	close(b->events[0]);
	close(b->events[1]);
	close(b->ctl[1]);
	free(b);
}

int bench_add(struct bench *b, uint32_t id, const char *path, int flags, const struct hv_blkif_limits *lim, uint32_t queues,
	      uint32_t ring_pages, uint32_t ring, uint32_t port, struct hv_err *e)
{
	struct wire_add a = { .lim = *lim, .num_queues = queues, .queue_pages = ring_pages + b->more, .ring_pages = ring_pages,
			      .by_turns = b->by_turns, .format = b->format };
	int fd = open(path, flags | O_CLOEXEC), rc;

	ck_assert_int_ge(fd, 0);
	snprintf(a.name, sizeof(a.name), "disk%u", id);
	for (uint32_t q = 0; q < queues && q < HVDRV_MAX_QUEUES; q++) {
		a.port[q] = port + q;
		a.state_ref[q] = BENCH_STATE + q;
		for (uint32_t i = 0; i < a.queue_pages && i < HVDRV_MAX_QUEUE_PAGES; i++)
			a.page_ref[q][i] = ring + q * a.queue_pages + i;
	}
	a.pool_pages = b->pool ? b->pool_pages : 0;
	if (b->pool)
		memcpy(a.pool_ref, b->pool, (b->pool_pages < HVDRV_MAX_POOL ? b->pool_pages : HVDRV_MAX_POOL) * sizeof(a.pool_ref[0]));
	rc = wk_dev_add(b->wk, id, &a, (const int[]){ fd, -1 }, e);
	if (rc)
		close(fd);
	return rc;
}

void bench_kick(struct bench *b, uint32_t port)
{
	uint32_t local = port + LOCAL, back[16];

	while (read(b->events[1], back, sizeof(back)) > 0)
		;				/* what the worker unmasked */
	ck_assert_int_eq(write(b->events[1], &local, sizeof(local)), sizeof(local));
}

static unsigned int inflight(struct bench *b)
{
	unsigned int n = 0;
	struct wk_dev *d;

	TAILQ_FOREACH(d, &b->wk->devs, link)
		n += wk_dev_inflight(d);
	return n;
}

/* The worker has read the event of nobody that was sent last, so it has seen all before it. */
static bool seen_all(const struct bench *b)
{
	int n = b->wk->events.got / (int)sizeof(uint32_t);

	return n > 0 && b->wk->ports[n - 1] == NOBODY + LOCAL;
}

void bench_run(struct bench *b)
{
	b->wk->events.got = 0;
	bench_kick(b, NOBODY);
	for (;;) {
		bool more = wk_serve_some(b->wk);

		if (!more && seen_all(b) && !inflight(b))
			return;
		ck_assert_int_ge(b->wk->io->ops->run(b->wk->io, !more), 0);
	}
}

bool bench_told(struct bench *b, uint32_t type, struct wire_msg *m)
{
	int fds[HV_SOCK_FDS];

	while (!wire_recv(b->ctl[1], m, fds))
		if (m->type == type)
			return true;
	return false;
}

struct wire_msg bench_ask(struct bench *b, struct wire_msg m, int fd)
{
	struct wire_msg r = { 0 };
	int fds[HV_SOCK_FDS];

	m.version = m.version ? m.version : WIRE_VERSION;
	m.seq = 77;
	ck_assert_int_eq(wire_send(b->ctl[1], &m, &fd, fd >= 0), 0);
	wk_on_ctl(&b->wk->ctl);
	bench_run(b);
	while (!wire_recv(b->ctl[1], &r, fds) && r.seq != 77)
		;
	ck_assert_uint_eq(r.version, m.type == WIRE_QUIT ? 0 : WIRE_VERSION);	/* told to end, it ends: no answer */
	return r;
}
