// SPDX-License-Identifier: GPL-2.0-only
/* hvdrvd and the hvdrv-share that it starts, the built one: the test is the guest, the admin and the worker. */
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control.h"
#include "turns.h"
#include "unit.h"
#include "util/sock.h"

#define SECOND "/local/domain/0/hvdrv/" UUID "/1/"

static void begin(struct world *w)
{
	make_world(w);
	start_daemon(w);
	w->d.opt.libexec = ".";			/* tests run where the programs are built */
	w->nodes = fake_nodes(w->f);
	w->watches = fake_watches(w->f);
}

/* Until the worker is asked something, or nothing comes. */
static struct sent *asked(struct world *w, uint32_t type)
{
	for (int i = 0; i < 300; i++) {
		spin(w);
		for (unsigned int k = 0; workers.last && k < workers.last->n; k++)
			if (workers.last->sent[k].m.type == type)
				return &workers.last->sent[k];
		usleep(10000);
	}
	ck_abort_msg("the worker was not asked (%u)", type);
	return NULL;
}

/* The next connection that the worker is given. */
static int connection(struct world *w)
{
	struct sent *s = asked(w, WIRE_SHARE);
	int fd = s->fd;

	while (workers.last->sent[0].m.type != WIRE_SHARE)
		answer(workers.last->sent[0].m.type, WIRE_OK, 0);
	answer(WIRE_SHARE, WIRE_OK, 0);
	return fd;
}

static void ask_turns(int fd, uint32_t held, uint32_t wait, uint32_t back)
{
	struct turns_ask m = { TURNS_VERSION, held, wait, back };

	ck_assert_int_eq(hv_sock_send(fd, &m, sizeof(m), NULL, 0), 0);
}

/* Turns within a second; -1: the connection is closed. */
static int turns(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int fds[HV_SOCK_FDS];
	struct turns_give m;

	if (poll(&p, 1, ms) != 1)
		return 0;
	return hv_sock_recv(fd, &m, sizeof(m), fds) == sizeof(m) ? (int)m.turns : -1;
}

static int live(struct world *w, const char *more)
{
	int fd;

	attach(w, more);
	offer_keys(w);
	guest_state(w, "3");
	ck_assert_uint_eq(workers.last->sent[0].m.add.by_turns, 1);
	fd = connection(w);
	guest_state(w, "4");
	return fd;
}

/* The only child that this test has. */
static void kill_share(void)
{
	size_t len;
	char *text = unit_read("/proc/thread-self/children", &len);

	ck_assert_ptr_nonnull(text);
	ck_assert_int_gt(atoi(text), 0);
	ck_assert_int_eq(kill(atoi(text), SIGKILL), 0);
	free(text);
}

static void weight(struct world *w, const char *text)
{
	ck_assert_int_eq(w->d.host->ops->write(w->d.host, 0, ADMIN "weight", text), 0);
	spin(w);
}

static bool params_have(struct world *w, const char *part)
{
	char *text = w->d.host->ops->read(w->d.host, 0, ADMIN "params");
	bool has = text && strstr(text, part);

	free(text);
	return has;
}

static void detach(struct world *w)
{
	request(w, "detach");
	guest_state(w, "6");
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(w);
	guest_state(w, "1");
	spin(w);
	ck_released(w);
}

/* No process of hvdrv-share is left that has not been waited for. */
static void ck_no_child(struct world *w)
{
	for (int i = 0; i < 300 && !TAILQ_EMPTY(&w->d.shares); i++) {
		spin(w);
		usleep(10000);
	}
	ck_assert(TAILQ_EMPTY(&w->d.shares));
}

START_TEST(life)
{
	struct world w;
	int fd;

	begin(&w);
	fd = live(&w, ",shared,depth=2");
	ck_assert(params_have(&w, "depth=2,weight=100"));
	ask_turns(fd, 0, 5, 0);
	ck_assert_int_eq(turns(fd, 1000), 2);
	weight(&w, "7");
	ck_assert(params_have(&w, "depth=2,weight=7"));
	weight(&w, "0");
	weight(&w, "1001");
	weight(&w, "many");
	ck_assert(params_have(&w, "depth=2,weight=7"));
	close(fd);				/* the worker's end, as DEL does */
	detach(&w);
	ck_no_child(&w);
}
END_TEST

/* hvdrv-share is killed: another, with a connection that knows of the one before; at once again: not at once. */
START_TEST(killed)
{
	struct world w;
	int fd, next;

	begin(&w);
	fd = live(&w, ",depth=1");
	ask_turns(fd, 0, 2, 0);
	ck_assert_int_eq(turns(fd, 1000), 1);
	sleep(1);
	kill_share();
	next = connection(&w);
	ck_assert_int_ge(next, 0);
	ck_assert_int_eq(turns(fd, 1000), -1);
	close(fd);
	ask_turns(next, 1, 1, 0);
	ck_assert_int_eq(turns(next, 300), 0);	/* one is at the device */
	ask_turns(next, 0, 0, 1);
	ck_assert_int_eq(turns(next, 1000), 1);

	kill_share();			/* a second time within a second: the guest's requests go on without */
	fd = connection(&w);
	ck_assert_int_eq(fd, -1);
	close(next);
	next = connection(&w);			/* and by turns again */
	ck_assert_int_ge(next, 0);
	ask_turns(next, 0, 1, 0);
	ck_assert_int_eq(turns(next, 1000), 1);
	close(next);
	detach(&w);
	ck_no_child(&w);
}
END_TEST

/* The worker breaks the rules: its device ends, and says why. */
START_TEST(dropped)
{
	struct world w;
	char *why;
	int fd;

	begin(&w);
	fd = live(&w, ",depth=1");
	ask_turns(fd, 0, 0, 7);
	asked(&w, WIRE_DEL);
	ck_assert(is(&w, ADMIN "status", "failed"));
	why = w.d.host->ops->read(w.d.host, 0, ADMIN "error");
	ck_contains(why, "keep to its turns");
	free(why);
	close(fd);
	fake_domain_end(w.f, DOMID);
	spin(&w);
	ck_no_child(&w);
}
END_TEST

/* It cannot be started: refused at attach. */
START_TEST(cannot_start)
{
	struct world w;

	begin(&w);
	w.d.opt.libexec = "/none";
	attach(&w, ",depth=1");
	offer_keys(&w);
	guest_state(&w, "3");
	ck_assert(is(&w, ADMIN "status", "failed"));
	ck_no_child(&w);
}
END_TEST

/* All devices on a target say the same depth. */
START_TEST(depth)
{
	static const struct { const char *first, *second, *says; } rows[] = {
		{ ",shared,depth=2", ",shared,depth=2", NULL }, { ",shared,depth=2", ",shared,depth=3", "depth=2: say the same" },
		{ ",shared,depth=2", ",shared", "depth=2: say the same" }, { ",shared", ",shared,depth=2", "without depth=" },
		{ ",ro,depth=1", ",ro,depth=1", NULL }, { ",depth=1", ",depth=1", "attach both with ro or shared" },
	};
	struct hv_params p;
	struct hv_dev_id id = { .domid = DOMID };
	char text[700], *why;
	struct world w;

	for (size_t i = 0; i < N(rows); i++) {
		begin(&w);
		attach(&w, rows[i].first);
		snprintf(text, sizeof(text), "class=block,backend=%s%s", w.disk, rows[i].second);
		ck_assert_int_eq(hv_params_parse(text, &p, NULL), 0);
		strcpy(p.name, "second");
		ck_assert_int_eq(hv_device_create(w.d.host, &p, &id, NULL), 0);
		spin(&w);
		ck_assert(is(&w, SECOND "status", rows[i].says ? "failed" : "waiting-for-guest"));
		why = w.d.host->ops->read(w.d.host, 0, SECOND "error");
		ck_assert(!why == !rows[i].says);
		if (why)
			ck_contains(why, rows[i].says);
		free(why);
	}
}
END_TEST

/* A weight that was written while no hvdrvd ran is in force when one does. */
START_TEST(weight_before)
{
	struct world w;

	struct hv_dev_id id = { .domid = DOMID };
	struct hv_params p;
	char text[700];

	make_world(&w);
	w.d.host = fake_open(w.f);
	snprintf(text, sizeof(text), "class=block,backend=%s,depth=1", w.disk);
	ck_assert_int_eq(hv_params_parse(text, &p, NULL), 0);
	strcpy(p.name, "data");
	ck_assert_int_eq(hv_device_create(w.d.host, &p, &id, NULL), 0);
	ck_assert_int_eq(w.d.host->ops->write(w.d.host, 0, ADMIN "weight", "9"), 0);
	start_daemon(&w);
	ck_assert(is(&w, ADMIN "status", "waiting-for-guest"));
	ck_assert(params_have(&w, "depth=1,weight=9"));
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("share", (const TTest *[]){ life, killed, dropped, cannot_start, depth, weight_before, NULL });
}
