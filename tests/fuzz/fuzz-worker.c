// SPDX-License-Identifier: GPL-2.0-only
/*
 * A worker between a hvdrvd that says anything and a guest that writes anything. The input is a list of steps: a
 * message, whole or raw; a write into a ring; an event; serving; a lost connection. After each input everything
 * must have been given back: mappings, event channels, request objects.
 */
#include <errno.h>
#include <sys/socket.h>
#include "fuzz.h"
#include "util/sock.h"
#include "worker/worker.h"

#define MAPS 64

static struct worker *wk;
static struct {
	uint8_t *va;
	unsigned int n;
} maps[MAPS];
static unsigned int bound;
static struct input *input;
static int peer = -1;

/* ---- the guest ---- */

static void *g_map(void *g, const uint32_t *refs, unsigned int n)
{
	for (int i = 0; i < MAPS; i++) {
		if (maps[i].va || !refs[0])
			continue;
		maps[i].n = n;
		maps[i].va = calloc(n, HVDRV_PAGE);
		return maps[i].va;
	}
	errno = EINVAL;
	return NULL;
}

static void g_unmap(void *g, void *va, unsigned int n)
{
	int i = 0;

	while (i < MAPS && maps[i].va != va)
		i++;
	MUST(i < MAPS && maps[i].n == n);
	free(va);
	maps[i].va = NULL;
}

static int g_copy(void *g, struct guest_copy *c, unsigned int n)
{
	static uint8_t page[HVDRV_PAGE];

	MUST(n <= WK_REQS * HVDRV_MAX_SEGS);
	for (; n; n--, c++) {
		MUST(c->off + c->len <= HVDRV_PAGE);
		c->status = c->ref % 7 ? 0 : -1;
		if (!c->to_guest)
			in_bytes(input, c->local, c->len);
		else
			memcpy(page, c->local, c->len);		/* the sanitizer judges */
	}
	return 0;
}

static int g_bind(void *g, uint32_t port)
{
	if (!port)
		return -ENOENT;
	bound++;
	return port & 0xff;
}

static void g_unbind(void *g, uint32_t port)
{
	MUST(bound--);
}

static void g_notify(void *g, uint32_t port)
{
	MUST(port < 256);
}

static const struct guest_ops ops = {
	.map = g_map, .unmap = g_unmap, .copy = g_copy, .bind = g_bind, .unbind = g_unbind, .notify = g_notify,
};

/* ---- hvdrvd ---- */

static void connect_to_worker(void)
{
	int sv[2];

	if (peer >= 0)
		close(peer);
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv));
	peer = sv[1];
	wk->ctl.fd = sv[0];
	wk->ctl.ready = wk_on_ctl;
	wk->io->ops->watch(wk->io, &wk->ctl);
}

static void hear(void)
{
	struct wire_msg m;
	int fds[HV_SOCK_FDS];
	ssize_t n;

	while ((n = hv_sock_recv(peer, &m, sizeof(m), fds)) > 0) {
		MUST(n == (ssize_t)wire_len(m.type) && m.version == WIRE_VERSION && fds[0] == -1);
		if (m.type == WIRE_ERROR)
			MUST(memchr(m.error.text, 0, sizeof(m.error.text)));
		if (m.type == WIRE_HELLO)
			MUST(m.hello.n <= HVDRV_SLOTS);
	}
}

static void say(const void *m, size_t size, bool with_target)
{
	int fd = with_target ? memfd_create("target", MFD_CLOEXEC) : -1;

	if (fd >= 0)
		MUST(!ftruncate(fd, 1 << 20));
	hv_sock_send(peer, m, size, &fd, fd >= 0);
	if (fd >= 0)
		close(fd);
	wk->io->ops->run(wk->io, false);
	if (wk->ctl.fd < 0)
		connect_to_worker();
	hear();
}

/* A message as hvdrvd sends them. */
static void say_whole(void)
{
	uint8_t kind = in_u8(input), bits = in_u8(input);
	struct wire_msg m = { .version = WIRE_VERSION, .type = kind % (WIRE_EV_FAILED + 2), .seq = 1 };

	m.dev = bits & 3;
	if (m.type == WIRE_ADD) {
		memcpy(m.add.name, "data", 5);
		m.add.lim = (struct hv_blkif_limits){
			.sectors = 2048, .block = bits & 4 ? 4096 : 512, .max_segs = HVDRV_MAX_SEGS,
			.max_bytes = HVDRV_MAX_SEGS * HVDRV_PAGE, .read_only = bits & 8, .flush = true, .fua = true, .discard = true,
			.write_zeroes = true,
		};
		m.add.first = bits & 16 ? bits & 32 ? UINT64_MAX / 512 - 100 : 2048 : 0;
		m.add.by_turns = bits >> 6 & 1;
		m.add.num_queues = in_u8(input) % 10;
		m.add.format = kind / (WIRE_EV_FAILED + 2) % (WIRE_FORMATS + 1);
		m.add.ring_pages = in_u8(input) % 6;
		m.add.queue_pages = in_u8(input) % 164;
		for (int q = 0; q < (int)HVDRV_MAX_QUEUES; q++) {
			m.add.port[q] = in_u8(input);
			m.add.page_ref[q][0] = 1;
		}
		m.add.pool_pages = bits & 32 ? HVDRV_MAX_POOL + 1 : bits & 16 ? 3 : 0;
		for (int i = 0; i < 3; i++)
			m.add.pool_ref[i] = 5 + i;
	} else {
		in_bytes(input, (uint8_t *)&m + offsetof(struct wire_msg, hello), bits >> 4);
	}
	/* as a connection for turns the target ends at once */
	say(&m, wire_len(m.type), m.type == WIRE_ADD || (m.type == WIRE_SHARE && bits & 4));
}

static void say_raw(void)
{
	union { struct wire_msg m; uint8_t octets[sizeof(struct wire_msg) + 64]; } buf = { 0 };
	size_t n = in_u16(input) % sizeof(buf);

	in_bytes(input, buf.octets, n);
	if (n % 8 == 0)
		n = wire_len(buf.m.type);
	say(&buf, n, n & 1);
}

/* ---- steps ---- */

static void write_ring(void)
{
	uint8_t which = in_u8(input);
	uint16_t at = in_u16(input), n = in_u8(input);

	if (which >= MAPS || !maps[which].va || at + n > (int)(maps[which].n * HVDRV_PAGE))
		return;
	in_bytes(input, maps[which].va + at, n);
}

static void fire(void)
{
	wk->ports[0] = in_u8(input);
	wk->events.got = sizeof(uint32_t);
	wk_on_events(&wk->events);
}

static void serve(void)
{
	for (int i = 0; i < 64 && (wk_serve(wk) || i < 2); i++)
		wk->io->ops->run(wk->io, false);
	hear();
}

static void step(void)
{
	switch (in_u8(input) % 8) {
	case 0: say_whole(); break;
	case 1: say_raw(); break;
	case 2: close(peer); peer = -1; wk->io->ops->run(wk->io, false); connect_to_worker(); break;
	case 3: fire(); break;
	case 4: case 5: write_ring(); break;
	default: serve(); break;
	}
}

static void start(void)
{
	struct hv_err e;

	wk = calloc(1, sizeof(*wk));
	MUST(wk);
	wk->about.domid = 1;
	wk->guest.ops = &ops;
	wk->ctl.fd = -1;
	MUST(!wk_serve_init(wk));
	wk->io = io_open_plain(&e);
	MUST(wk->io);
	connect_to_worker();
}

static void end_devices(void)
{
	struct wk_dev *d, *next;
	struct wk_req *rq;
	int n = 0;

	TAILQ_FOREACH(d, &wk->devs, link)
		if (d->turns.needed)
			wk_turns_connect(d, -1);	/* what waits for a turn goes on */
	serve();
	TAILQ_FOREACH_SAFE(d, &wk->devs, link, next) {
		MUST(!wk_dev_inflight(d));
		wk_dev_remove(d);
	}
	SLIST_FOREACH(rq, &wk->free_reqs, free)
		n++;
	MUST(n == WK_REQS && !bound);
	for (int i = 0; i < MAPS; i++)
		MUST(!maps[i].va);
	wk->quit = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	input = &in;
	if (!wk)
		start();
	while (in.left)
		step();
	end_devices();
	return 0;
}
