// SPDX-License-Identifier: GPL-2.0-only
/* hvdrvd's questions to hvdrv-keeper: one that is away, stopped or slow holds up nobody; what was asked is asked for until it is done. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control/daemon.h"
#include "unit.h"
#include "util/sock.h"

static const struct keep_device dev = { 5, 0 };
static unsigned int poked;

void policy_poke(struct daemon *d)
{
	poked++;
}

/* What came back. */
struct said {
	unsigned int times;
	int rc;
	uint32_t type;
	struct hv_err e;
};

static void on_said(void *arg, int rc, const struct keep_msg *a, const struct hv_err *e)
{
	struct said *s = arg;

	s->times++;
	s->rc = rc;
	s->type = rc ? 0 : a->type;
	s->e = *e;
}

static void on_deleted(void *arg)
{
	((struct said *)arg)->times++;
}

/* ---- the keeper: a socket, which is looked at when a test says so ---- */

static int start(struct daemon *d, bool keeper)
{
	static char run[256];
	char path[300];
	int fd;

	memset(d, 0, sizeof(*d));
	poked = 0;
	snprintf(run, sizeof(run), "%s", unit_path("run"));
	mkdir(run, 0700);
	snprintf(path, sizeof(path), "%s/keeper", run);
	mkdir(path, 0700);
	d->opt.run = run;
	d->base = event_base_new();
	if (!keeper)
		return -1;
	strcat(path, "/nvme0");
	fd = hv_sock_listen(path, SOCK_SEQPACKET);
	ck_assert_int_ge(fd, 0);
	ck_assert(!fcntl(fd, F_SETFL, O_NONBLOCK));
	return fd;
}

static void end(struct daemon *d, int fd)
{
	keepers_stop(d);
	event_base_free(d->base);
	if (fd >= 0)
		close(fd);
}

static void spin(struct daemon *d)
{
	for (int i = 0; i < 5; i++)
		event_base_loop(d->base, EVLOOP_NONBLOCK);
}

/* The oldest question that waits; 0: none does. It is answered with a, if there is one. */
static uint32_t take(int listener, const struct keep_msg *a)
{
	int fds[HV_SOCK_FDS], fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	static struct keep_msg q;

	if (fd < 0)
		return 0;
	ck_assert_int_eq(hv_sock_recv(fd, &q, sizeof(q), fds), sizeof(q));
	ck_assert_uint_eq(q.version, KEEP_VERSION);
	if (a)
		hv_sock_send(fd, a, sizeof(*a), NULL, 0);
	close(fd);
	return q.type + 1;
}

static int ask(struct daemon *d, uint32_t type, enum keep_type want, struct said *s)
{
	struct keep_msg q = { .type = type };

	return keepers_ask(d, "nvme0", &q, want, on_said, s);
}

START_TEST(answered)
{
	const struct keep_msg has = { .type = KEEP_HAS }, error = { .type = KEEP_ERROR, .error = { .code = ENOSPC, .text = "none" } };
	struct said s = { 0 };
	struct daemon d;
	int fd = start(&d, true);

	ck_assert_int_eq(ask(&d, KEEP_LIST, KEEP_HAS, &s), 0);
	spin(&d);
	ck_assert_uint_eq(s.times, 0);
	ck_assert_uint_eq(take(fd, &has), KEEP_LIST + 1);
	spin(&d);
	ck_assert(s.times == 1 && !s.rc && s.type == KEEP_HAS);
	ask(&d, KEEP_ADD, KEEP_QUEUES, &s);
	take(fd, &error);
	spin(&d);
	ck_assert(s.times == 2 && s.rc == -ENOSPC);
	ck_assert_str_eq(s.e.text, "hvdrv-keeper: none");
	ask(&d, KEEP_ADD, KEEP_QUEUES, &s);
	take(fd, &has);
	spin(&d);
	ck_assert(s.times == 3 && s.rc == -EPROTO);
	ask(&d, KEEP_ADD, KEEP_QUEUES, &s);		/* it dies in it */
	take(fd, NULL);
	spin(&d);
	ck_assert(s.times == 4 && s.rc == -ENOTCONN);
	end(&d, fd);
}
END_TEST

/* None is there: that, too, is told from the loop, never from the call. */
START_TEST(away)
{
	struct said s = { 0 };
	struct daemon d;

	start(&d, false);
	ck_assert_int_eq(ask(&d, KEEP_ASK, KEEP_CONTROLLER, &s), 0);
	ck_assert_uint_eq(s.times, 0);
	spin(&d);
	ck_assert(s.times == 1 && s.rc == -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(s.e.text, "no hvdrv-keeper serves nvme0 (No such file"));
	end(&d, -1);
}
END_TEST

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	++*(unsigned int *)arg;
}

/* It is stopped, and asked more often than it could ever take: the loop goes on, and each question has its end. */
START_TEST(never_answers)
{
	const struct timeval tick = { .tv_usec = 10000 };
	unsigned int ticks = 0;
	struct said s = { 0 };
	struct daemon d;
	int fd = start(&d, true);
	struct event *e = event_new(d.base, -1, EV_PERSIST, on_tick, &ticks);
	int64_t begin = hv_now_ns();

	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(ask(&d, KEEP_LIST, KEEP_HAS, &s), 0);
	ck_assert_int_lt(hv_now_ns() - begin, 500000000);
	event_add(e, &tick);
	while (s.times < 40 && hv_now_ns() - begin < 20000000000ll)
		event_base_loop(d.base, EVLOOP_ONCE);
	ck_assert_uint_eq(s.times, 40);
	ck_assert_int_eq(s.rc, -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(s.e.text, "timed out"));
	ck_assert_uint_ge(ticks, 10);			/* of a hundred: the machine may be slow */
	event_free(e);
	end(&d, fd);
}
END_TEST

/* Whoever asked goes: nobody is told, and what was asked is done all the same, in that order. */
START_TEST(forgotten)
{
	const struct keep_msg done = { .type = KEEP_DONE };
	struct said s = { 0 };
	struct daemon d;
	int fd = start(&d, true);

	ask(&d, KEEP_ADD, KEEP_QUEUES, &s);
	ck_assert_int_eq(keepers_delete(&d, "nvme0", dev, on_deleted, &s), 0);
	ck_assert(keepers_owe(&d, "nvme0", 1) && !keepers_owe(&d, "nvme1", 1) && !keepers_owe(&d, "nvme0", dev.domid));
	keepers_forget(&d, &s);
	ck_assert_uint_eq(take(fd, NULL), KEEP_ADD + 1);
	ck_assert_uint_eq(take(fd, &done), KEEP_DEL + 1);
	spin(&d);
	ck_assert(!s.times && poked);
	ck_assert(!keepers_owe(&d, "nvme0", 1));
	end(&d, fd);
}
END_TEST

/* It fails: who waits is told once, and it is owed until it is done, or until the same queues are to be made anew. */
START_TEST(owed)
{
	const struct keep_msg error = { .type = KEEP_ERROR, .error = { .code = EIO, .text = "no" } };
	struct said s = { 0 };
	struct daemon d;
	int fd = start(&d, true);

	keepers_delete(&d, "nvme0", dev, on_deleted, &s);
	take(fd, &error);
	spin(&d);
	ck_assert_uint_eq(s.times, 1);
	ck_assert(keepers_owe(&d, "nvme0", 1));
	keepers_delete(&d, "nvme0", dev, on_deleted, &s);	/* asked for again at once, and one at a time */
	take(fd, &error);
	spin(&d);
	ck_assert_uint_eq(s.times, 2);
	keepers_delete_not(&d, "nvme0", dev);
	ck_assert(!keepers_owe(&d, "nvme0", 1));
	keepers_delete_any(&d, "nvme0", dev);			/* maybe there are none: nobody has to wait */
	ck_assert(!keepers_owe(&d, "nvme0", 1));
	take(fd, &error);
	spin(&d);
	keepers_delete(&d, "nvme0", dev, on_deleted, &s);
	keepers_delete_not(&d, "nvme0", dev);			/* unanswered */
	ck_assert_uint_eq(take(fd, NULL), KEEP_DEL + 1);
	spin(&d);
	ck_assert_uint_eq(s.times, 2);
	ck_assert_uint_eq(take(fd, NULL), 0);
	end(&d, fd);
}
END_TEST

Suite *unit_suite(void)
{
	const TTest *const plain[] = { answered, away, never_answers, forgotten, owed, NULL };

	return unit_new("keepers", plain);
}
