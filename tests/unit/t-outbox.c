// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control/outbox.h"
#include "unit.h"
#include "util/sock.h"

#define MESSAGES 300			/* far more than the socket takes */
#define SIZE 9000

struct world {
	struct event_base *base;
	struct outbox *o;
	int sv[2], sent, file;
};

static void start(struct world *w)
{
	w->base = event_base_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, w->sv), 0);
	w->o = outbox_new(w->base, w->sv[0]);
	w->file = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert(w->base && w->o && w->file >= 0);
	w->sent = 0;
}

static void end(struct world *w)
{
	outbox_free(w->o);
	event_base_free(w->base);
	close(w->sv[0]);
	close(w->sv[1]);
	close(w->file);
}

/* Every third one has a descriptor. */
static int put(struct world *w)
{
	int number = w->sent++;
	char buf[SIZE];

	memset(buf, number, sizeof(buf));
	return outbox_send(w->o, buf, 1 + number * 29 % SIZE, &w->file, number % 3 == 0);
}

/* The next one that the other end reads; false: nothing is there. */
static bool get(struct world *w, int number)
{
	int fds[HV_SOCK_FDS];
	struct stat is, want;
	char buf[SIZE + 1];
	ssize_t n = hv_sock_recv(w->sv[1], buf, sizeof(buf), fds);

	if (n == -EAGAIN)
		return false;
	ck_assert_int_eq(n, 1 + number * 29 % SIZE);
	ck_octets(buf, n, number);
	ck_assert_int_eq(fds[0] >= 0, number % 3 == 0);
	if (fds[0] >= 0) {
		ck_assert(!fstat(fds[0], &is) && !fstat(w->file, &want) && is.st_ino == want.st_ino && is.st_rdev == want.st_rdev);
		close(fds[0]);
	}
	return true;
}

/* Nobody reads for a while: nothing is lost, and all of it comes in order, what is sent meanwhile behind what is late. */
START_TEST(late)
{
	int before = unit_open_fds(), read = 0;
	struct world w;

	start(&w);
	while (w.sent < MESSAGES)
		ck_assert_int_eq(put(&w), 0);
	while (get(&w, read))
		read++;
	ck_assert_msg(read > 0 && read < MESSAGES / 2, "the socket took %d", read);
	ck_assert_int_eq(put(&w), 0);		/* there is room, but it is not its turn */
	while (read < w.sent) {
		event_base_loop(w.base, EVLOOP_NONBLOCK);
		while (get(&w, read))
			read++;
	}
	ck_assert(!get(&w, read));
	ck_assert_int_eq(event_base_get_num_events(w.base, EVENT_BASE_COUNT_ADDED), 0);	/* no loop that turns for nothing */
	ck_assert_int_eq(put(&w), 0);
	ck_assert(get(&w, read));		/* at once again */
	end(&w);
	ck_assert_int_eq(unit_open_fds(), before);
}
END_TEST

/* The other end goes while something is late, or the outbox does: what was kept is closed. */
START_TEST(gone)
{
	int before = unit_open_fds();
	struct world w;

	start(&w);
	while (w.sent < MESSAGES)
		ck_assert_int_eq(put(&w), 0);
	ck_assert_int_gt(unit_open_fds(), before + 5);
	if (_i) {
		close(w.sv[1]);
		event_base_loop(w.base, EVLOOP_NONBLOCK);
		ck_assert_int_eq(event_base_get_num_events(w.base, EVENT_BASE_COUNT_ADDED), 0);
		ck_assert_int_eq(put(&w), -EPIPE);
		w.sv[1] = -1;
	}
	end(&w);
	ck_assert_int_eq(unit_open_fds(), before);
}
END_TEST

/* No descriptor is left to keep one with: the caller is told, and what was sent before stands. */
START_TEST(no_descriptors)
{
	struct world w;
	int read = 0, fd;

	start(&w);
	while (w.sent < 200)
		ck_assert_int_eq(put(&w), 0);
	while (w.sent % 3)
		ck_assert_int_eq(put(&w), 0);
	while ((fd = dup(w.file)) >= 0)
		;
	ck_assert_int_eq(put(&w), -EMFILE);
	w.sent--;
	for (fd = w.file + 1; fd < 1024; fd++)
		if (fd != w.sv[0] && fd != w.sv[1] && fcntl(fd, F_GETFD) == 0)
			close(fd);			/* not what has FD_CLOEXEC, which is what is kept */
	while (read < w.sent) {
		event_base_loop(w.base, EVLOOP_NONBLOCK);
		while (get(&w, read))
			read++;
	}
	end(&w);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("outbox", (const TTest *[]){ late, no_descriptors, NULL });

	unit_loop(s, "gone", gone, 2);
	return s;
}
