// SPDX-License-Identifier: GPL-2.0-only
/*
 * labx NAME TIMEOUT CMD [ARG...] - in dom0: run CMD in the guest NAME through its labd.
 * Passes stdin, returns stdout, stderr and the exit status; 125 when the guest does not answer
 * within TIMEOUT seconds, or has gone; 1 when there is none of this name.
 * labx NAME - its domid. (xl says that as well; but a scenario asks so often that its start is felt.)
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
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xenstore.h>
#include "frame.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The lock file holds the number of the last session there: the same one is a server not yet renewed. */
static struct libxenvchan *try_session(struct xs_handle *xs, int domid, int n, int *lock)
{
	char path[64], last[32] = "";
	struct libxenvchan *v = NULL;
	char *session = NULL;

	snprintf(path, sizeof(path), "/run/lab/labx-%d-%d", domid, n);
	*lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*lock < 0)
		return NULL;
	if (flock(*lock, LOCK_EX | LOCK_NB) || pread(*lock, last, sizeof(last) - 1, 0) < 0)
		goto out;
	snprintf(path, sizeof(path), "/local/domain/%d/data/lab/session/%d", domid, n);
	session = xs_read(xs, XBT_NULL, path, NULL);
	if (!session || !strcmp(session, last))
		goto out;
	snprintf(path, sizeof(path), "/local/domain/%d/data/lab/%d", domid, n);
	v = libxenvchan_client_init(NULL, domid, path);
	if (v && (ftruncate(*lock, 0) || pwrite(*lock, session, strlen(session), 0) < 0))
		fprintf(stderr, "labx: session file: %s\n", strerror(errno));
out:
	free(session);
	if (!v)
		close(*lock);
	return v;
}

/* One that has crashed will not answer, however long it is waited for. */
static bool is_there(struct xs_handle *xs, int domid)
{
	char path[64], *name;

	snprintf(path, sizeof(path), "/local/domain/%d/name", domid);
	name = xs_read(xs, XBT_NULL, path, NULL);
	free(name);
	return name;
}

static struct libxenvchan *any_session(struct xs_handle *xs, int domid, int *lock)
{
	struct libxenvchan *v = NULL;

	for (int n = 0; n < LAB_SESSIONS && !v; n++)
		v = try_session(xs, domid, n, lock);
	return v;
}

/* Most often there is one. A watch costs a thread, and each answer of xenstore a change to it. */
static struct libxenvchan *connect_guest(struct xs_handle *xs, int domid, double limit, int *lock)
{
	struct libxenvchan *v = any_session(xs, domid, lock);
	char path[64];

	if (v)
		return v;
	snprintf(path, sizeof(path), "/local/domain/%d/data/lab", domid);
	xs_watch(xs, path, "lab");
	for (double end = now() + limit; !v && now() < end && is_there(xs, domid);) {
		struct pollfd p = { .fd = xs_fileno(xs), .events = POLLIN };
		char **w;

		v = any_session(xs, domid, lock);
		if (!v && poll(&p, 1, 1000) > 0)
			while ((w = xs_check_watch(xs)))
				free(w);
	}
	return v;
}

/* As xl does: a domain is the one whose name is this. -1: none. */
static int domid_of(struct xs_handle *xs, const char *want)
{
	unsigned int n = 0;
	char **ids = xs_directory(xs, XBT_NULL, "/local/domain", &n), path[64], *name;
	int found = -1;

	for (unsigned int i = 0; i < n && found < 0; i++) {
		snprintf(path, sizeof(path), "/local/domain/%s/name", ids[i]);
		name = xs_read(xs, XBT_NULL, path, NULL);
		if (name && !strcmp(name, want))
			found = atoi(ids[i]);
		free(name);
	}
	free(ids);
	return found;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t r = write(fd, p, n);

		if (r < 0)
			return -1;
		p += r;
		n -= r;
	}
	return 0;
}

static int send_args(struct libxenvchan *v, int argc, char **argv)
{
	char buf[FRAME_MAX];
	size_t n = 0;

	for (int i = 0; i < argc; i++) {
		size_t l = strlen(argv[i]) + 1;

		if (n + l > sizeof(buf)) {
			fprintf(stderr, "labx: arguments too long\n");
			exit(125);
		}
		memcpy(buf + n, argv[i], l);
		n += l;
	}
	return frame_put(v, FRAME_ARGS, buf, n);
}

static int send_stdin(struct libxenvchan *v, int *fd)
{
	char buf[FRAME_MAX];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n > 0)
		return frame_put(v, FRAME_STDIN, buf, n);
	*fd = -1;
	return frame_put(v, FRAME_STDIN_END, NULL, 0);
}

/* What the guest has sent; 1 with the exit status once the command has ended, -1 when the guest is gone. */
static int take_output(struct libxenvchan *v, int *status)
{
	char data[FRAME_MAX];
	struct frame f;
	int r;

	while ((r = frame_get(v, &f, data)) > 0) {
		if (f.type == FRAME_OUT)
			write_all(1, data, f.len);
		else if (f.type == FRAME_ERR)
			write_all(2, data, f.len);
		else if (f.type == FRAME_STATUS) {
			memcpy(status, data, sizeof(uint32_t));
			return 1;
		}
	}
	return r;
}

static int run(struct libxenvchan *v, struct xs_handle *xs, int domid)
{
	int in = 0, status, r;

	/* frames first: their event may have been consumed while a frame of ours waited for room */
	while ((r = take_output(v, &status)) == 0) {
		struct pollfd p[2] = {
			{ .fd = libxenvchan_fd_for_select(v), .events = POLLIN },
			/* a full ring would block here while labd blocks on its own: send only what fits */
			{ .fd = libxenvchan_buffer_space(v) > FRAME_MAX + 64 ? in : -1, .events = POLLIN },
		};

		/* a domain that dies closes nothing: look whether it is still there */
		if (poll(p, 2, 1000) == 0 && !xs_is_domain_introduced(xs, domid))
			break;
		if (p[0].revents)
			libxenvchan_wait(v);
		if (p[1].revents && send_stdin(v, &in) < 0)
			in = -1;
	}
	if (r > 0)
		return status;
	fprintf(stderr, "labx: the guest went away\n");
	return 125;
}

int main(int argc, char **argv)
{
	struct xs_handle *xs = xs_open(0);
	struct libxenvchan *v;
	int lock, st, domid;

	if (argc != 2 && argc < 4) {
		fprintf(stderr, "usage: labx NAME [TIMEOUT CMD [ARG...]]\n");
		return 125;
	}
	signal(SIGPIPE, SIG_IGN);
	domid = xs ? domid_of(xs, argv[1]) : -1;
	if (domid < 0) {
		fprintf(stderr, "labx: no guest %s runs\n", argv[1]);
		return 1;
	}
	if (argc == 2)
		return printf("%d\n", domid) < 0;
	mkdir("/run/lab", 0755);
	v = connect_guest(xs, domid, atof(argv[2]), &lock);
	if (!v) {
		fprintf(stderr, "labx: %s has gone, or does not answer within %s s\n", argv[1], argv[2]);
		return 125;
	}
	v->blocking = 0;
	st = send_args(v, argc - 3, argv + 3) ? 125 : run(v, xs, domid);
	frame_put(v, FRAME_BYE, NULL, 0);
	libxenvchan_close(v);
	return st;
}
