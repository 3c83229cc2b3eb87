// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv-share in the process: the test is hvdrvd and the workers, honest ones and others. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "share/arbiter.h"
#include "unit.h"
#include "util/log.h"
#include "util/sock.h"

/* A test's clock: seconds pass when it says so. */
static int64_t later;
int64_t __real_hv_now_ns(void);
int64_t __wrap_hv_now_ns(void);
int64_t __wrap_hv_now_ns(void)
{
	return __real_hv_now_ns() + later;
}

struct world {
	struct arbiter a;
	int ctl;			/* hvdrvd's end */
	int worker[8];
	uint32_t waiting[8], has[8], served[8];	/* as the worker counts */
};

static void step(struct world *w)
{
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(arbiter_step(&w->a, 0), 0);
}

static void world(struct world *w, uint32_t depth)
{
	int sv[2];

	memset(w, 0, sizeof(*w));
	later = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	arbiter_init(&w->a, depth, sv[0]);
	w->ctl = sv[1];
}

static void ctl(struct world *w, enum turns_type type, uint32_t id, uint32_t weight, uint32_t again, int fd)
{
	struct turns_ctl m = { TURNS_VERSION, type, id, weight, again };

	ck_assert_int_eq(hv_sock_send(w->ctl, &m, sizeof(m), &fd, fd >= 0), 0);
}

static void add(struct world *w, uint32_t id, uint32_t weight, bool again)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	ctl(w, TURNS_ADD, id, weight, again, sv[0]);
	close(sv[0]);
	w->worker[id] = sv[1];
	step(w);
}

static void ask(struct world *w, uint32_t id, uint32_t held, uint32_t wait, uint32_t back)
{
	struct turns_ask m = { TURNS_VERSION, held, wait, back };

	w->waiting[id] += wait;
	w->has[id] += held - back;
	ck_assert_int_eq(hv_sock_send(w->worker[id], &m, sizeof(m), NULL, 0), 0);
	step(w);
}

/* Turns that came since the last time; -1: the connection is closed. */
static int got(struct world *w, uint32_t id)
{
	int fds[HV_SOCK_FDS], n = 0;
	struct turns_give m;
	ssize_t r;

	while ((r = hv_sock_recv(w->worker[id], &m, sizeof(m), fds)) == sizeof(m)) {
		ck_assert_uint_eq(m.version, TURNS_VERSION);
		n += m.turns;
	}
	ck_assert(r == -EAGAIN || n == 0);
	w->has[id] += n;
	w->served[id] += n;
	w->waiting[id] -= n;
	return r == -EAGAIN ? n : -1;
}

static void end(struct world *w)
{
	close(w->ctl);
	for (int i = 0; i < 8; i++)
		if (w->worker[i])
			close(w->worker[i]);
	step(w);
	ck_assert(arbiter_done(&w->a));
	ck_assert_uint_eq(w->a.sched.busy, 0);
	close(w->a.ctl);
}

/* hvdrvd was told that this one was dropped. */
static bool told_dropped(struct world *w, uint32_t id)
{
	int fds[HV_SOCK_FDS];
	struct turns_ctl m;

	return hv_sock_recv(w->ctl, &m, sizeof(m), fds) == sizeof(m) && m.type == TURNS_EV_DROPPED && m.id == id;
}

/* Workers with more to do than turns, one request after the other. */
static void load(struct world *w, uint32_t from, uint32_t to, uint32_t requests)
{
	while (requests) {
		uint32_t ended = 0;

		for (uint32_t i = from; i <= to; i++) {
			uint32_t back;

			got(w, i);
			back = w->has[i] ? 1 : 0;
			ended += back;
			if (back || w->waiting[i] < 4)
				ask(w, i, 0, w->waiting[i] < 4 ? 4 - w->waiting[i] : 0, back);
		}
		requests -= ended < requests ? ended : requests;
	}
	for (uint32_t i = from; i <= to; i++)
		got(w, i);
}

START_TEST(weights)
{
	struct world w;
	uint32_t before;

	world(&w, 1);
	for (uint32_t i = 1; i <= 3; i++)
		add(&w, i, 1 << (i - 1), false);
	load(&w, 1, 3, 1000);
	for (uint32_t i = 1; i <= 3; i++)
		ck_assert_msg(w.served[i] * 70 > 9000u << (i - 1) && w.served[i] * 70 < 11000u << (i - 1), "%u: %u", i, w.served[i]);
	ctl(&w, TURNS_WEIGHT, 1, 6, 0, -1);
	ctl(&w, TURNS_WEIGHT, 77, 6, 0, -1);		/* nobody's */
	ctl(&w, TURNS_WEIGHT, 2, 0, 0, -1);		/* no weight */
	step(&w);
	before = w.served[1];
	load(&w, 1, 3, 600);
	ck_assert_msg(w.served[1] - before > 270 && w.served[1] - before < 330, "%u", w.served[1] - before);
	end(&w);
}
END_TEST

/* A worker that dies gives its turns and its share away. */
START_TEST(death)
{
	struct world w;

	world(&w, 2);
	add(&w, 1, 1, false);
	add(&w, 2, 1, false);
	ask(&w, 1, 0, 10, 0);
	ask(&w, 2, 0, 10, 0);
	ck_assert_int_eq(got(&w, 1), 2);
	ck_assert_int_eq(got(&w, 2), 0);
	close(w.worker[1]);
	w.worker[1] = 0;
	step(&w);
	ck_assert_int_eq(got(&w, 2), 2);
	ck_assert(!told_dropped(&w, 1));		/* hvdrvd sees that itself */
	end(&w);
}
END_TEST

static const struct {
	const char *what;
	struct turns_ask first, then;
	bool again, only_first;
} lies[] = {
	{ "another version", { TURNS_VERSION + 1 }, .only_first = true },
	{ "held and was never there", { TURNS_VERSION, 1 }, .only_first = true },
	{ "held more than can be", { TURNS_VERSION, TURNS_HELD + 1 }, .again = true, .only_first = true },
	{ "held twice", { TURNS_VERSION, 1 }, { TURNS_VERSION, 1 }, .again = true },
	{ "waits for too much", { TURNS_VERSION, 0, TURNS_WAITING + 1 }, .only_first = true },
	{ "waits for too much later", { TURNS_VERSION, 0, TURNS_WAITING }, { TURNS_VERSION, 0, TURNS_WAITING } },
	{ "waits for very much", { TURNS_VERSION, 0, 1 }, { TURNS_VERSION, 0, UINT32_MAX } },
	{ "gives back what it has not", { TURNS_VERSION }, { TURNS_VERSION, 0, 0, 1 } },
	{ "gives back very much", { TURNS_VERSION, 1 }, { TURNS_VERSION, 0, 0, UINT32_MAX }, .again = true },
	{ "says nothing", { TURNS_VERSION }, { TURNS_VERSION } },
};

/* Whoever lies loses its own connection; the one beside it is served as before. */
START_TEST(lie)
{
	struct world w;

	world(&w, 1);
	add(&w, 1, 1, false);
	add(&w, 2, 1, lies[_i].again);
	ask(&w, 1, 0, 2, 0);
	hv_sock_send(w.worker[2], &lies[_i].first, sizeof(lies[_i].first), NULL, 0);
	step(&w);
	if (!lies[_i].only_first)
		hv_sock_send(w.worker[2], &lies[_i].then, sizeof(lies[_i].then), NULL, 0);
	step(&w);
	ck_assert_int_eq(got(&w, 2), -1);
	ck_assert(told_dropped(&w, 2));
	ck_assert_int_eq(got(&w, 1), 1);
	ask(&w, 1, 0, 1, 1);
	ck_assert_int_eq(got(&w, 1), 1);
	end(&w);
}
END_TEST

/* Messages that are none, with descriptors; nothing stays open. */
START_TEST(rubbish)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[HV_SOCK_FDS] = { null, null, null, null }, before, after;
	struct turns_ask m = { TURNS_VERSION };
	struct world w;
	char big[100] = "";

	world(&w, 1);
	before = dup(null);
	close(before);
	for (uint32_t i = 1; i <= 3; i++) {
		add(&w, i, 1, false);
		if (i == 1)
			hv_sock_send(w.worker[i], big, sizeof(big), fds, 4);
		else if (i == 2)
			hv_sock_send(w.worker[i], big, 3, fds, 2);
		else
			hv_sock_send(w.worker[i], &m, sizeof(m), fds, 4);
		step(&w);
		ck_assert_int_eq(got(&w, i), i == 3 ? 0 : -1);
	}
	hv_sock_send(w.ctl, big, sizeof(big), fds, 4);
	hv_sock_send(w.ctl, big, 1, fds, 1);
	end(&w);
	after = dup(null);
	ck_assert_int_le(after, before);
	close(after);
	close(null);
}
END_TEST

/* One that floods is heard once a round: the others are served between. */
START_TEST(flood)
{
	struct turns_ask m = { TURNS_VERSION, 0, 1, 0 };
	struct world w;
	int n = 0;

	world(&w, 1);
	add(&w, 1, 1, false);
	add(&w, 2, 1000, false);
	while (n < 100 && !hv_sock_send(w.worker[2], &m, sizeof(m), NULL, 0))
		n++;
	hv_sock_send(w.worker[1], &m, sizeof(m), NULL, 0);
	ck_assert_int_eq(arbiter_step(&w.a, 0), 0);
	ck_assert_int_eq(got(&w, 1), 1);
	step(&w);
	step(&w);
	step(&w);
	ck_assert_int_eq(got(&w, 2), -1);	/* more than may wait */
	end(&w);
}
END_TEST

/* After another hvdrv-share: nothing is given before all have said what they hold, but not for ever. */
START_TEST(again)
{
	struct world w;

	world(&w, 2);
	add(&w, 1, 1, true);
	add(&w, 2, 1, true);
	ask(&w, 1, 1, 5, 0);
	ck_assert_int_eq(got(&w, 1), 0);	/* two may hold its turns */
	ask(&w, 2, 2, 5, 0);
	ck_assert_int_eq(got(&w, 1) + got(&w, 2), 0);	/* three are at the device */
	ask(&w, 2, 0, 0, 1);
	ck_assert_int_eq(got(&w, 1) + got(&w, 2), 0);
	ask(&w, 1, 0, 0, 1);
	ck_assert_int_eq(got(&w, 1) + got(&w, 2), 1);
	add(&w, 3, 1, true);
	ask(&w, 2, 0, 0, 1);
	got(&w, 1);
	ck_assert_int_eq(got(&w, 2), 0);	/* of the third nothing is known */
	later += ARBITER_MUTE_NS;
	step(&w);
	ck_assert_int_eq(got(&w, 1) + got(&w, 2), 1);
	end(&w);
}
END_TEST

/* A worker that keeps its turn: after a time the others go on; it goes on when it gives the turn back. */
START_TEST(late)
{
	struct world w;

	world(&w, 1);
	add(&w, 1, 1, false);
	add(&w, 2, 1, false);
	ask(&w, 1, 0, 2, 0);
	ck_assert_int_eq(got(&w, 1), 1);
	ask(&w, 2, 0, 10, 0);
	ck_assert_int_eq(arbiter_timeout(&w.a) > 0, 1);
	ck_assert_int_eq(got(&w, 2), 0);
	later += ARBITER_LATE_NS;
	step(&w);
	ck_assert_int_eq(got(&w, 2), 1);
	ck_assert_int_eq(got(&w, 1), 0);
	ask(&w, 2, 0, 0, 1);
	ck_assert_int_eq(got(&w, 2), 1);
	ask(&w, 1, 0, 0, 1);
	ask(&w, 2, 0, 0, 1);
	ck_assert_int_eq(got(&w, 1) + got(&w, 2), 1);
	end(&w);
}
END_TEST

/* hvdrvd closes: whoever is there is served to the end. */
START_TEST(alone)
{
	struct world w;

	world(&w, 1);
	add(&w, 1, 1, false);
	ask(&w, 1, 0, 3, 0);
	shutdown(w.ctl, SHUT_WR);
	step(&w);
	ck_assert(!arbiter_done(&w.a));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(got(&w, 1), 1);
		ask(&w, 1, 0, 0, 1);
	}
	ck_assert_int_eq(arbiter_timeout(&w.a), -1);
	end(&w);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("arbiter", (const TTest *[]){ weights, death, rubbish, flood, again, late, alone, NULL });

	unit_loop(s, "lie", lie, N(lies));
	return s;
}
