// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit.h"
#include "util/notify.h"
#include "util/sock.h"
#include <sys/un.h>

static void pair(int sv[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
}

START_TEST(message)
{
	int sv[2], fds[HV_SOCK_FDS];
	char buf[16];

	pair(sv);
	ck_assert_int_eq(hv_sock_send(sv[0], "hello", 5, NULL, 0), 0);
	ck_assert_int_eq(hv_sock_recv(sv[1], buf, sizeof(buf), fds), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	for (int i = 0; i < HV_SOCK_FDS; i++)
		ck_assert_int_eq(fds[i], -1);
	close(sv[0]);
	ck_assert_int_eq(hv_sock_recv(sv[1], buf, sizeof(buf), fds), 0);
	ck_assert_int_eq(hv_sock_send(sv[1], "x", 1, NULL, 0), -EPIPE);	/* no signal */
}
END_TEST

/* Each number of descriptors arrives, working and close-on-exec. */
START_TEST(descriptors)
{
	int sv[2], fds[HV_SOCK_FDS], sent[HV_SOCK_FDS];
	char buf[8];

	pair(sv);
	for (int i = 0; i < HV_SOCK_FDS; i++)
		sent[i] = dup(1);
	ck_assert_int_eq(hv_sock_send(sv[0], "x", 1, sent, _i), 0);
	ck_assert_int_eq(hv_sock_recv(sv[1], buf, sizeof(buf), fds), 1);
	for (int i = 0; i < HV_SOCK_FDS; i++) {
		if (i < _i)
			ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		else
			ck_assert_int_eq(fds[i], -1);
	}
}
END_TEST

/* A message that is too long is refused, and its descriptors do not stay. */
START_TEST(too_long)
{
	int sv[2], fds[HV_SOCK_FDS], sent[2] = { 1, 2 }, before;
	char buf[4];

	pair(sv);
	before = unit_open_fds();
	ck_assert_int_eq(hv_sock_send(sv[0], "too long", 8, sent, 2), 0);
	ck_assert_int_eq(hv_sock_recv(sv[1], buf, sizeof(buf), fds), -EMSGSIZE);
	ck_assert_int_eq(unit_open_fds(), before);
}
END_TEST

START_TEST(listening)
{
	const char *p = unit_path("sock");
	struct stat st;
	char longer[200];
	int l, c, again;

	ck_assert_int_eq(hv_sock_connect(p, SOCK_SEQPACKET), -ENOENT);
	l = hv_sock_listen(p, SOCK_SEQPACKET);
	ck_assert_int_ge(l, 0);
	ck_assert_int_eq(stat(p, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);	/* for its owner only */
	c = hv_sock_connect(p, SOCK_SEQPACKET);
	ck_assert_int_ge(c, 0);
	ck_assert_int_eq(hv_sock_connect(p, SOCK_STREAM), -EPROTOTYPE);
	again = hv_sock_listen(p, SOCK_SEQPACKET);	/* a left-over is replaced */
	ck_assert_int_ge(again, 0);
	close(again);
	ck_assert_int_eq(hv_sock_connect(p, SOCK_SEQPACKET), -ECONNREFUSED);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = 0;
	ck_assert_int_eq(hv_sock_listen(longer, SOCK_SEQPACKET), -ENAMETOOLONG);
	ck_assert_int_eq(hv_sock_connect(longer, SOCK_SEQPACKET), -ENAMETOOLONG);
	ck_assert_int_lt(hv_sock_listen(unit_path("no/such/folder"), SOCK_SEQPACKET), 0);
}
END_TEST

START_TEST(notify)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char buf[64] = "";

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", unit_path("notify"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	unsetenv("NOTIFY_SOCKET");
	hv_notify("READY=1");
	ck_assert_int_lt(recv(fd, buf, sizeof(buf), 0), 0);
	setenv("NOTIFY_SOCKET", unit_path("nobody"), 1);
	hv_notify("READY=1");
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	hv_notify("READY=1");
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), 0), 7);
	ck_assert_str_eq(buf, "READY=1");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("sock", (const TTest *[]){ message, too_long, listening, notify, NULL });

	unit_loop(s, "descriptors", descriptors, HV_SOCK_FDS + 1);
	return s;
}
