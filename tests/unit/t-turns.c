// SPDX-License-Identifier: GPL-2.0-only
/* The worker's part of turns: nothing is begun without one, none is kept or lost; with hvdrv-share itself at the other end, too. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"
#include "front.h"
#include "share/arbiter.h"
#include "unit.h"
#include "util/sock.h"

#define L (&hv_blkif_xen)
#define OP(x) (hv_blkif_xen.op_##x)
#define RING 1u			/* page of the guest; that of device d is 10 * d further */
#define DATA 100u
#define PORT 1u
#define NOBODY 62u

struct world {
	struct bench *b;
	struct front f[2];
	int share;			/* hvdrv-share's end of device 0's connection */
	uint32_t waits, back;		/* as device 0 has said */
};

static struct wk_dev *dev(struct world *w, uint32_t id)
{
	return wk_dev_find(w->b->wk, id);
}

static void add(struct world *w, uint32_t id, bool by_turns)
{
	struct hv_err e = { 0 };
	const char *path = unit_path(id ? "disk1" : "disk0");

	unit_write(path, "", 0);
	ck_assert_int_eq(truncate(path, 1 << 20), 0);
	w->b->by_turns = by_turns;
	front_init(&w->f[id], L, bench_page(w->b, RING + 10 * id), 2);
	ck_assert_msg(!bench_add(w->b, id, path, O_RDWR, &bench_limits, 1, 2, RING + 10 * id, PORT + id, &e), "%s", e.text);
}

static bool world(struct world *w, int engine)
{
	memset(w, 0, sizeof(*w));
	w->share = -1;
	w->b = bench_new(engine);
	if (w->b)
		add(w, 0, true);
	return w->b;
}

/* Requests that are at a target. */
static unsigned int begun(struct world *w)
{
	unsigned int n = 0;

	for (uint32_t id = 0; id < 2; id++)
		if (dev(w, id))
			n += dev(w, id)->turns.needed ? dev(w, id)->turns.begun : wk_dev_inflight(dev(w, id));
	return n;
}

/* All that can be done; what was said is heard a moment later. */
static void spin(struct world *w)
{
	struct worker *wk = w->b->wk;

	for (int quiet = 0; quiet < 8; quiet++) {
		while (wk_serve(wk))
			quiet = 0;
		if (!begun(w))
			bench_kick(w->b, NOBODY);	/* or there may be nothing to wait for */
		ck_assert_int_eq(wk->io->ops->run(wk->io, true), 0);
	}
}

static void ask_raw(struct world *w, struct wire_msg m, int fd)
{
	m.version = WIRE_VERSION;
	m.seq = 9;
	ck_assert_int_eq(wire_send(w->b->ctl[1], &m, &fd, fd >= 0), 0);
	wk_on_ctl(&w->b->wk->ctl);
	spin(w);
}

static void connect_share(struct world *w)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	ask_raw(w, (struct wire_msg){ .type = WIRE_SHARE }, sv[0]);
	close(sv[0]);
	w->share = sv[1];
	w->waits = w->back = 0;
}

/* What device 0 says: *held of its first message. False: its end is closed. */
static bool heard(struct world *w, uint32_t *held)
{
	int fds[HV_SOCK_FDS];
	struct turns_ask m;
	ssize_t n;

	while ((n = hv_sock_recv(w->share, &m, sizeof(m), fds)) == sizeof(m)) {
		ck_assert_uint_eq(m.version, TURNS_VERSION);
		w->waits += m.wait;
		w->back += m.back;
		if (held)
			*held = m.held;
	}
	return n == -EAGAIN;
}

static void give(struct world *w, uint32_t turns)
{
	struct turns_give m = { TURNS_VERSION, turns };

	ck_assert_int_eq(hv_sock_send(w->share, &m, sizeof(m), NULL, 0), 0);
	spin(w);
}

/* n requests of the guest to a device, each of a sector that no other has. */
static void submit(struct world *w, uint32_t id, uint32_t n)
{
	static uint64_t handle;
	const struct front_seg s = { DATA, 0, 0 };

	while (n--) {
		front_direct(L, front_next(&w->f[id]), OP(write), HVDRV_HANDLE(handle % 64, 1), handle % 2048, &s, 1);
		handle++;
	}
	front_show(&w->f[id]);
	dev(w, id)->queue[0].pending = true;
	spin(w);
}

static uint32_t answers(struct world *w, uint32_t id)
{
	uint32_t n = 0;
	uint64_t h;
	int st;

	while (front_answer(&w->f[id], &h, &st)) {
		ck_assert_int_eq(st, 0);
		n++;
	}
	return n;
}

static void end(struct world *w)
{
	if (w->share >= 0)
		close(w->share);
	bench_free(w->b);
}

/* Nothing without a turn; what is given is used once and given back once; the device beside it is not concerned. */
START_TEST(turns)
{
	struct world w;
	uint32_t held = 7;

	if (!world(&w, _i))
		return;
	add(&w, 1, false);
	submit(&w, 0, 5);
	submit(&w, 1, 3);
	ck_assert_uint_eq(answers(&w, 0), 0);		/* no connection yet */
	ck_assert_uint_eq(answers(&w, 1), 3);
	connect_share(&w);
	ck_assert(heard(&w, &held));
	ck_assert_uint_eq(held, 0);
	ck_assert_uint_eq(w.waits, 5);
	ck_assert_uint_eq(answers(&w, 0), 0);
	give(&w, 2);
	ck_assert_uint_eq(answers(&w, 0), 2);
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.waits, 5);
	ck_assert_uint_eq(w.back, 2);
	submit(&w, 0, 4);
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.waits, 9);
	give(&w, 7);
	give(&w, 100);					/* more than was asked for: not believed */
	ck_assert_uint_eq(answers(&w, 0), 7);
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.back, 9);
	ck_assert_uint_eq(dev(&w, 0)->stats.turns, 9);
	ck_assert_uint_eq(dev(&w, 1)->stats.turns, 0);
	submit(&w, 0, 1);
	ck_assert_uint_eq(answers(&w, 0), 0);
	give(&w, 1);
	ck_assert_uint_eq(answers(&w, 0), 1);
	end(&w);
}
END_TEST

/* A device that waits leaves buffers to the guest's others, and asks for no more than may wait. */
START_TEST(bounded)
{
	struct world w;

	if (!world(&w, _i))
		return;
	add(&w, 1, false);
	connect_share(&w);
	submit(&w, 0, 30);
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.waits, TURNS_WAITING);
	ck_assert_uint_eq(wk_dev_inflight(dev(&w, 0)), TURNS_WAITING);
	submit(&w, 1, 30);
	ck_assert_uint_eq(answers(&w, 1), 30);
	for (uint32_t done = 0; done < 30; done++) {
		ck_assert_uint_eq(answers(&w, 0), 0);
		give(&w, 1);
		ck_assert_uint_eq(answers(&w, 0), 1);
		ck_assert(heard(&w, NULL));
		ck_assert_uint_eq(w.back, done + 1);
		ck_assert_uint_le(w.waits - w.back, TURNS_WAITING);
	}
	ck_assert_uint_eq(w.waits, 30);
	end(&w);
}
END_TEST

/* hvdrv-share dies: nothing is begun until the next, which is told what waits; then on, each request once. */
START_TEST(another)
{
	struct world w;

	if (!world(&w, _i))
		return;
	connect_share(&w);
	submit(&w, 0, 6);
	give(&w, 2);
	ck_assert_uint_eq(answers(&w, 0), 2);
	close(w.share);
	spin(&w);
	ck_assert_int_eq(dev(&w, 0)->turns.conn.fd, -1);
	submit(&w, 0, 1);
	ck_assert_uint_eq(answers(&w, 0), 0);
	connect_share(&w);
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.waits, 5);
	ck_assert_uint_eq(w.back, 0);
	give(&w, 5);
	ck_assert_uint_eq(answers(&w, 0), 5);
	connect_share(&w);				/* a second while the first is there */
	ck_assert(heard(&w, NULL));
	submit(&w, 0, 1);
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.waits, 1);
	give(&w, 1);
	ck_assert_uint_eq(answers(&w, 0), 1);
	end(&w);
}
END_TEST

/* Nobody gives turns and nobody will: hvdrvd says so, hvdrvd has gone, the device ends. */
START_TEST(on_its_own)
{
	struct world w;

	if (!world(&w, _i % BENCH_ENGINES))
		return;
	submit(&w, 0, 20);
	ck_assert_uint_eq(answers(&w, 0), 0);
	switch (_i / BENCH_ENGINES) {
	case 0:
		ask_raw(&w, (struct wire_msg){ .type = WIRE_SHARE }, -1);
		ck_assert_uint_eq(answers(&w, 0), 20);
		connect_share(&w);			/* and by turns again */
		submit(&w, 0, 2);
		ck_assert_uint_eq(answers(&w, 0), 0);
		give(&w, 2);
		ck_assert_uint_eq(answers(&w, 0), 2);
		break;
	case 1:
		close(w.b->ctl[1]);
		wk_on_ctl(&w.b->wk->ctl);
		w.b->ctl[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		spin(&w);
		ck_assert_uint_eq(answers(&w, 0), 20);
		break;
	default:
		ask_raw(&w, (struct wire_msg){ .type = WIRE_DEL }, -1);
		ck_assert_uint_eq(answers(&w, 0), TURNS_WAITING);	/* those that were taken */
		ck_assert_ptr_null(dev(&w, 0));
		break;
	}
	end(&w);
}
END_TEST

/* A switch while requests wait: what was taken goes on by turns, is parked, and is answered after it. */
START_TEST(held)
{
	struct world w;
	struct wire_msg m;

	if (!world(&w, _i))
		return;
	connect_share(&w);
	submit(&w, 0, 4);
	give(&w, 1);
	ck_assert_uint_eq(answers(&w, 0), 1);
	ask_raw(&w, (struct wire_msg){ .type = WIRE_HOLD }, -1);
	ck_assert(bench_told(w.b, WIRE_HELD, &m));
	submit(&w, 0, 5);				/* not taken */
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.waits, 4);
	give(&w, 3);
	ck_assert_uint_eq(answers(&w, 0), 0);
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.back, 4);			/* a held device keeps no turn */
	ask_raw(&w, (struct wire_msg){ .type = WIRE_GO }, -1);
	ck_assert_uint_eq(answers(&w, 0), 3);
	ck_assert(heard(&w, NULL));
	ck_assert_uint_eq(w.waits, 9);
	give(&w, 5);
	ck_assert_uint_eq(answers(&w, 0), 5);
	end(&w);
}
END_TEST

/* Asked with a device that is none, or needs none. */
START_TEST(no_device)
{
	struct wire_msg r;
	struct world w;

	if (!world(&w, 0))
		return;
	add(&w, 1, false);
	for (uint32_t id = 1; id <= 2; id++) {
		r = bench_ask(w.b, (struct wire_msg){ .type = WIRE_SHARE, .dev = id }, open("/dev/null", O_RDONLY | O_CLOEXEC));
		ck_assert_uint_eq(r.type, WIRE_ERROR);
	}
	end(&w);
}
END_TEST

static pid_t start_share(uint32_t depth, int ctl, int other)
{
	static struct arbiter a;
	pid_t pid = fork();

	if (pid)
		return pid;
	close(other);
	fcntl(ctl, F_SETFL, O_NONBLOCK);
	arbiter_init(&a, depth, ctl);
	while (!arbiter_done(&a))
		if (arbiter_step(&a, arbiter_timeout(&a)))
			_exit(1);
	_exit(0);
}

/* With hvdrv-share at the other end, killed in the middle: every request is answered, none twice. */
START_TEST(whole)
{
	struct world w;
	pid_t pid = 0;
	uint32_t n = 0, got = 0;
	int ctl[2];

	if (!world(&w, _i))
		return;
	for (int life = 0; life < 6; life++) {
		struct turns_ctl m = { TURNS_VERSION, TURNS_ADD, .id = life, .weight = 1, .again = life };
		int sv[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl), 0);
		pid = start_share(1 + life, ctl[1], ctl[0]);
		close(ctl[1]);
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
		ck_assert_int_eq(hv_sock_send(ctl[0], &m, sizeof(m), &sv[0], 1), 0);
		close(sv[0]);
		ask_raw(&w, (struct wire_msg){ .type = WIRE_SHARE }, sv[1]);
		close(sv[1]);
		for (int round = 0; round < 30; round++) {
			submit(&w, 0, 20);
			bench_run(w.b);
			n += 20;
			got += answers(&w, 0);
			ck_assert_uint_eq(got, n);
		}
		if (life == 5)
			break;
		submit(&w, 0, 3);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		close(ctl[0]);
		submit(&w, 0, 2);
		n += 5;
		got += answers(&w, 0);
	}
	close(ctl[0]);
	ck_assert_uint_eq(dev(&w, 0)->stats.requests[HVDRV_OP_WRITE], n);
	ck_assert_uint_eq(wk_dev_inflight(dev(&w, 0)), 0);
	wk_dev_remove(dev(&w, 0));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);	/* nobody is left: it ends */
	end(&w);
}
END_TEST

/* A worker in a process of its own, whose guest always has requests; never returns. */
static void busy_worker(int engine, int share, volatile uint64_t *served)
{
	struct wire_msg m = { .type = WIRE_SHARE, .version = WIRE_VERSION };
	const struct front_seg s = { DATA, 0, 0 };
	uint64_t handle = 0, id;
	struct world w;
	int st;

	if (!world(&w, engine))
		_exit(77);
	ck_assert_int_eq(wire_send(w.b->ctl[1], &m, &share, 1), 0);
	close(share);
	for (;;) {
		for (; handle < *served + 24; handle++)
			front_direct(L, front_next(&w.f[0]), OP(write), HVDRV_HANDLE(handle % 64, 1), handle % 2048, &s, 1);
		front_show(&w.f[0]);
		dev(&w, 0)->queue[0].pending = true;
		while (wk_serve(w.b->wk))
			;
		while (front_answer(&w.f[0], &id, &st))
			++*served;
		w.b->wk->io->ops->run(w.b->wk->io, true);
	}
}

/* Three workers and hvdrv-share, each a process: 1,000 requests, within 10 % of the weights. */
START_TEST(three_workers)
{
	volatile uint64_t *served = mmap(NULL, HVDRV_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t from[3], sum = 0, before = 0;
	pid_t pid[4];
	int ctl[2], sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl), 0);
	pid[3] = start_share(1, ctl[1], ctl[0]);
	for (uint32_t i = 0; i < 3; i++) {
		struct turns_ctl m = { TURNS_VERSION, TURNS_ADD, .id = i, .weight = 1 << i };

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
		ck_assert_int_eq(hv_sock_send(ctl[0], &m, sizeof(m), &sv[0], 1), 0);
		close(sv[0]);
		pid[i] = fork();
		if (!pid[i])
			busy_worker(_i, sv[1], &served[i]);
		close(sv[1]);
	}
	for (int i = 0; i < 3; i++)
		while (pid[i] && served[i] < 50) {
			if (waitpid(pid[i], NULL, WNOHANG))
				pid[i] = 0;	/* this engine is not to be had */
			usleep(1000);
		}
	for (int i = 0; i < 3; i++)
		before += from[i] = served[i];
	while (sum < before + 1000 && before) {
		usleep(100);
		sum = served[0] + served[1] + served[2];
	}
	for (int i = 0; i < 3; i++)
		from[i] = served[i] - from[i];
	for (int i = 0; i < 4; i++) {
		if (pid[i] && !kill(pid[i], SIGKILL))
			waitpid(pid[i], NULL, 0);
	}
	close(ctl[0]);
	close(ctl[1]);
	sum = from[0] + from[1] + from[2];
	for (uint32_t i = 0; before && i < 3; i++)
		ck_assert_msg(from[i] * 70 > (9 * sum) << i && from[i] * 70 < (11 * sum) << i, "%llu %llu %llu", (unsigned long long)from[0],
			      (unsigned long long)from[1], (unsigned long long)from[2]);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("turns", (const TTest *[]){ no_device, NULL });

	unit_loop(s, "turns", turns, BENCH_ENGINES);
	unit_loop(s, "bounded", bounded, BENCH_ENGINES);
	unit_loop(s, "another", another, BENCH_ENGINES);
	unit_loop(s, "on-its-own", on_its_own, 3 * BENCH_ENGINES);
	unit_loop(s, "held", held, BENCH_ENGINES);
	unit_loop(s, "whole", whole, BENCH_ENGINES);
	unit_loop(s, "three-workers", three_workers, BENCH_ENGINES);
	return s;
}
