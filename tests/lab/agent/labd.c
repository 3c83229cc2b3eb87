// SPDX-License-Identifier: GPL-2.0-only
/*
 * labd - in a lab guest: runs the commands that labx (dom0) sends.
 * LAB_SESSIONS processes, each offering one vchan at data/lab/N, one command at a time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>
#include "frame.h"

struct child {
	pid_t pid;
	int in, out, err;
	char data[FRAME_MAX];		/* for its stdin: left bytes from at on, which its pipe has no room for yet */
	uint32_t at, left;
	bool end;			/* no more comes */
};

static int spawn(struct child *c, char *args, uint32_t len)
{
	char *argv[256];
	int n = 0, in[2], out[2], err[2];

	for (char *p = args; p < args + len && n < 255; p += strlen(p) + 1)
		argv[n++] = p;
	argv[n] = NULL;
	if (!n || args[len - 1] || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return -1;
	c->pid = fork();
	if (c->pid == 0) {
		setsid();
		signal(SIGPIPE, SIG_DFL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		execvp(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
	return c->pid < 0 ? -1 : 0;
}

/* Output of the command on its way to dom0; closes the pipe at its end. */
static int forward(struct libxenvchan *v, int *fd, uint32_t type)
{
	char buf[FRAME_MAX];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n > 0)
		return frame_put(v, type, buf, n);
	close(*fd);
	*fd = -1;
	return 0;
}

static void close_input(struct child *c)
{
	if (c->in >= 0)
		close(c->in);
	c->in = -1;
	c->left = 0;
}

/* As much as its pipe takes: it may not read before somebody has read what it says. */
static void feed(struct child *c)
{
	ssize_t n = 0;

	while (c->left && (n = write(c->in, c->data + c->at, c->left)) > 0) {
		c->at += n;
		c->left -= n;
	}
	if ((n < 0 && errno != EAGAIN) || (!c->left && c->end))
		close_input(c);
}

/* What labx has sent: input for the command, while there is room for it. -1 when it is gone. */
static int take_input(struct libxenvchan *v, struct child *c)
{
	char other[FRAME_MAX];
	struct frame f;
	int r = libxenvchan_is_open(v) ? 0 : -1;

	feed(c);
	while (!c->left && (r = frame_get(v, &f, c->in >= 0 ? c->data : other)) > 0) {
		if (c->in < 0)
			continue;
		c->at = 0;
		c->left = f.type == FRAME_STDIN ? f.len : 0;
		c->end = f.type == FRAME_STDIN_END;
		feed(c);
	}
	return r;
}

/* Until the command has ended and all that it printed is sent. */
static int serve_command(struct libxenvchan *v, struct child *c, uint32_t *status)
{
	int st;

	while (c->out >= 0 || c->err >= 0) {
		struct pollfd p[4] = {
			{ .fd = libxenvchan_fd_for_select(v), .events = POLLIN },
			{ .fd = c->out, .events = POLLIN }, { .fd = c->err, .events = POLLIN },
			{ .fd = c->in, .events = POLLOUT },
		};

		/* frames first: their event may have been consumed with an earlier frame's */
		if (take_input(v, c) < 0)
			return -1;
		poll(p, c->left ? 4 : 3, -1);
		if (p[0].revents)
			libxenvchan_wait(v);
		if (p[1].revents && forward(v, &c->out, FRAME_OUT))
			return -1;
		if (p[2].revents && forward(v, &c->err, FRAME_ERR))
			return -1;
	}
	waitpid(c->pid, &st, 0);
	c->pid = 0;
	*status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
	return 0;
}

static void session(struct libxenvchan *v)
{
	struct child c = { .in = -1, .out = -1, .err = -1 };
	static char args[FRAME_MAX];
	char data[FRAME_MAX];
	struct frame f;
	uint32_t status = 126;
	int r;

	while ((r = frame_get(v, &f, args)) == 0)
		libxenvchan_wait(v);
	if (r < 0 || f.type != FRAME_ARGS || spawn(&c, args, f.len))
		return;
	if (!serve_command(v, &c, &status) && !frame_put(v, FRAME_STATUS, &status, sizeof(status)))
		while (frame_get(v, &f, data) >= 0 && f.type != FRAME_BYE)
			libxenvchan_wait(v);
	if (c.pid > 0) {
		kill(-c.pid, SIGKILL);
		waitpid(c.pid, NULL, 0);
	}
	close_input(&c);
	if (c.out >= 0)
		close(c.out);
	if (c.err >= 0)
		close(c.err);
}

/* A session's number: labx tells a server that waits from one that is about to be renewed. */
static void announce(struct xs_handle *xs, int n, unsigned int session)
{
	char path[32], val[16];

	snprintf(path, sizeof(path), "data/lab/session/%d", n);
	xs_write(xs, XBT_NULL, path, val, snprintf(val, sizeof(val), "%u", session));
}

static void offer(int n)
{
	struct xs_handle *xs = xs_open(0);
	char path[32];

	snprintf(path, sizeof(path), "data/lab/%d", n);
	for (unsigned int s = 1;; s++) {
		struct libxenvchan *v = libxenvchan_server_init(NULL, 0, path, 65536, 65536);

		if (!v) {
			fprintf(stderr, "labd: vchan %s: %s\n", path, strerror(errno));
			sleep(1);
			continue;
		}
		v->blocking = 0;
		announce(xs, n, s);
		while (libxenvchan_is_open(v) == 2)	/* nobody connected yet */
			libxenvchan_wait(v);
		session(v);
		libxenvchan_close(v);
	}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	for (int n = 0; n < LAB_SESSIONS; n++)
		if (fork() == 0)
			offer(n);
	while (wait(NULL) > 0)
		;
	return 1;
}
