// SPDX-License-Identifier: GPL-2.0-only
/*
 * A worker: started with five descriptors and nothing else, spoken to over a socket pair. It also holds a listening
 * socket at RUN/worker/DOMID: a hvdrvd that is started after a crash of the former one finds the worker there, tells
 * it to finish, and starts its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon.h"
#include "outbox.h"
#include "util/fault.h"
#include "util/sock.h"
#include "util/str.h"

extern char **environ;

struct waiting {
	uint32_t seq;
	link_reply_fn fn;
	void *arg;
	TAILQ_ENTRY(waiting) link;
};

struct link {
	struct daemon *d;
	struct dom *dom;
	const struct link_events *ev;
	int sock;
	pid_t pid;
	uint32_t seq;
	struct event *readable;
	struct outbox *out;
	bool quitting;
	TAILQ_HEAD(, waiting) waiting;
};

static void socket_path(const struct daemon *d, uint32_t domid, char *path, size_t size)
{
	snprintf(path, size, "%s/worker/%u", d->opt.run, domid);
}

static void tell_end(const struct link *l, int st)
{
	char why[48];

	snprintf(why, sizeof(why), WIFSIGNALED(st) ? "killed by signal %d" : "ended with status %d",
		 WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st));
	event_worker_ended(l->dom, l->pid, l->quitting ? NULL : why);
}

/* Of our end of the socket. */
static void let_go(struct link *l)
{
	if (l->readable)
		event_free(l->readable);
	outbox_free(l->out);
	if (l->sock >= 0)
		close(l->sock);
}

/* The worker has ended, or is not ours any more: tell everyone who waits, then the domain. */
static void link_gone(struct link *l)
{
	struct waiting *w;
	int st;

	let_go(l);
	kill(l->pid, SIGKILL);		/* its end of the socket is closed: it can serve nobody */
	waitpid(l->pid, &st, 0);
	if (!l->quitting) {
		struct hv_about a = { l->dom->domid, l->dom->name, NULL };

		if (WIFSIGNALED(st))
			hv_log(HV_ERROR, &a, "the worker was killed by signal %d", WTERMSIG(st));
		else
			hv_log(HV_ERROR, &a, "the worker ended with status %d", WEXITSTATUS(st));
	}
	tell_end(l, st);
	while ((w = TAILQ_FIRST(&l->waiting))) {
		TAILQ_REMOVE(&l->waiting, w, link);
		w->fn(w->arg, NULL);
		free(w);
	}
	l->ev->gone(l->dom);
	free(l);
}

static void dispatch(struct link *l, const struct wire_msg *m)
{
	struct waiting *w;

	if (!m->seq) {
		l->ev->event(l->dom, m);
		return;
	}
	TAILQ_FOREACH(w, &l->waiting, link) {
		if (w->seq != m->seq)
			continue;
		TAILQ_REMOVE(&l->waiting, w, link);
		w->fn(w->arg, m);
		free(w);
		return;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	int fds[HV_SOCK_FDS] = { -1, -1, -1, -1 };
	struct wire_msg m;
	int rc = wire_recv(fd, &m, fds);

	if (rc == -EAGAIN)
		return;
	hv_sock_close(fds);		/* a worker sends none */
	if (!rc && m.version == WIRE_VERSION)
		dispatch(l, &m);
	else
		link_gone(l);
}

/* Asks a worker that a former hvdrvd left to end. The connection, or -1 when none is there. */
static int ask_old(struct daemon *d, uint32_t domid, const char *path)
{
	struct wire_msg m = { .version = WIRE_VERSION, .type = WIRE_QUIT, .seq = 1 };
	int fd = hv_sock_connect(path, SOCK_SEQPACKET);

	if (fd >= 0)
		recover_tell_worker(d, domid, fd);	/* before it ends: on which queues */
	if (fd >= 0 && wire_send(fd, &m, NULL, 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Until it has answered all that it has begun and has ended: its rings are in order, its targets closed. 0; -EBUSY. */
static int wait_old(int fd)
{
	const struct timeval limit = { .tv_sec = 30 };
	char buf[sizeof(struct wire_msg)];
	ssize_t n;

	if (fd < 0)
		return 0;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		;			/* until it closes its end */
	n = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? -EBUSY : 0;
	close(fd);
	return n;
}

/* For answers about each device and some more, unread: a hvdrvd that starts, or is kept from its CPU, does not read for a while. */
static void make_room(int sock)
{
	const int bytes = 2 * HVDRV_SLOTS * (int)sizeof(struct wire_msg);

	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));	/* the kernel doubles what it allows of that */
}

struct spawn_fds {
	int ctl, listener, gntdev, evtchn;
};

static int spawn_worker(struct link *l, const struct spawn_fds *fds, struct hv_err *e)
{
	const int from[] = { fds->ctl, fds->listener, fds->gntdev, fds->evtchn };
	char domid[16], uid[16], prog[512];
	char *argv[] = { "hvdrv-worker", domid, uid, l->dom->name, NULL };
	posix_spawn_file_actions_t fa;
	int rc;

	snprintf(domid, sizeof(domid), "%u", l->dom->domid);
	snprintf(uid, sizeof(uid), "%u", l->d->opt.worker_uid + l->dom->domid);
	snprintf(prog, sizeof(prog), "%s/hvdrv-worker", l->d->opt.libexec);
	posix_spawn_file_actions_init(&fa);
	/* all are above 10 (see above_10), so that none is overwritten before it is used */
	for (int i = 0; i < 4; i++)
		posix_spawn_file_actions_adddup2(&fa, from[i], 3 + i);
	rc = posix_spawn(&l->pid, prog, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	hv_fault_inherited();
	return rc ? hv_err(e, rc, "%s cannot be started: %s", prog, strerror(rc)) : 0;
}

static int above_10(int fd)
{
	int up = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);

	if (fd >= 0)
		close(fd);
	return up;
}

static int open_all(struct link *l, struct spawn_fds *fds, struct hv_err *e)
{
	char path[108];
	int sv[2];

	socket_path(l->d, l->dom->domid, path, sizeof(path));
	if (wait_old(ask_old(l->d, l->dom->domid, path)))	/* two workers on one ring would each answer what the other has taken */
		return hv_err(e, EBUSY, "the worker that a former hvdrvd left does not end: see what its backend waits for");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return hv_err(e, errno, "socketpair: %s", strerror(errno));
	l->sock = sv[0];
	evutil_make_socket_nonblocking(l->sock);
	make_room(sv[1]);
	fds->ctl = above_10(sv[1]);
	fds->listener = above_10(hv_sock_listen(path, SOCK_SEQPACKET));
	fds->gntdev = above_10(open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC));
	fds->evtchn = above_10(open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC | O_NONBLOCK));
	if (fds->ctl < 0 || fds->listener < 0 || fds->gntdev < 0 || fds->evtchn < 0)
		return hv_err(e, errno, "a worker's descriptors cannot be opened: %s", strerror(errno));
	return 0;
}

static void close_all(struct spawn_fds *fds)
{
	const int all[] = { fds->ctl, fds->listener, fds->gntdev, fds->evtchn };

	for (int i = 0; i < 4; i++)
		if (all[i] >= 0)
			close(all[i]);
}

static int listen_to(struct link *l, struct hv_err *e)
{
	l->readable = event_new(l->d->base, l->sock, EV_READ | EV_PERSIST, on_readable, l);
	l->out = outbox_new(l->d->base, l->sock);
	return l->readable && l->out ? 0 : hv_err(e, ENOMEM, "no memory");
}

struct link *link_start(struct daemon *d, struct dom *dom, const struct link_events *ev, struct hv_err *e)
{
	struct spawn_fds fds = { -1, -1, -1, -1 };
	struct link *l = calloc(1, sizeof(*l));
	int rc;

	if (!l) {
		hv_err(e, ENOMEM, "no memory");
		return NULL;
	}
	*l = (struct link){ .d = d, .dom = dom, .ev = ev, .sock = -1 };
	TAILQ_INIT(&l->waiting);
	rc = open_all(l, &fds, e);
	if (!rc)
		rc = listen_to(l, e);
	if (!rc)
		rc = spawn_worker(l, &fds, e);
	close_all(&fds);
	if (rc) {
		let_go(l);
		free(l);
		return NULL;
	}
	event_add(l->readable, NULL);
	event_worker_started(dom, l->pid);
	return l;
}

int link_send(struct link *l, struct wire_msg *m, int fd, link_reply_fn fn, void *arg)
{
	return link_send_fds(l, m, &fd, fd >= 0, fn, arg);
}

int link_send_fds(struct link *l, struct wire_msg *m, const int *fds, int n, link_reply_fn fn, void *arg)
{
	struct waiting *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	*w = (struct waiting){ .seq = ++l->seq, .fn = fn, .arg = arg };
	m->version = WIRE_VERSION;
	m->seq = w->seq;
	TAILQ_INSERT_TAIL(&l->waiting, w, link);
	rc = outbox_send(l->out, m, wire_len(m->type), fds, n);
	if (rc) {
		TAILQ_REMOVE(&l->waiting, w, link);
		free(w);
	}
	return rc;
}

void link_forget(struct link *l, void *arg)
{
	struct waiting *w, *next;

	TAILQ_FOREACH_SAFE(w, &l->waiting, link, next) {
		if (w->arg != arg)
			continue;
		TAILQ_REMOVE(&l->waiting, w, link);
		free(w);
	}
}

static void quit_answered(void *arg, const struct wire_msg *m)
{
}

void link_quit(struct link *l)
{
	struct wire_msg m = { .type = WIRE_QUIT };
	char path[108];

	if (l->quitting)
		return;
	l->quitting = true;
	socket_path(l->d, l->dom->domid, path, sizeof(path));
	unlink(path);
	link_send(l, &m, -1, quit_answered, NULL);
}

void link_kill(struct link *l)
{
	kill(l->pid, SIGKILL);		/* not reaped before link_gone(): the number is still its own */
}

bool link_quitting(const struct link *l)
{
	return l->quitting;
}

pid_t link_pid(const struct link *l)
{
	return l->pid;
}

struct old_worker {
	uint64_t domid;
	int fd;
};

/* Calls ask_old() for each worker's socket; how many there are, *all to be freed. */
static int ask_all(struct daemon *d, struct old_worker **all)
{
	struct old_worker *more;
	char dir[96], path[108];
	struct dirent *de;
	uint64_t domid;
	int n = 0;
	DIR *dp;

	*all = NULL;
	snprintf(dir, sizeof(dir), "%s/worker", d->opt.run);
	dp = opendir(dir);
	while (dp && (de = readdir(dp))) {
		if (hv_str_u64(de->d_name, 32767, &domid))
			continue;
		more = realloc(*all, (n + 1) * sizeof(**all));
		if (!more)
			break;
		*all = more;
		socket_path(d, domid, path, sizeof(path));
		(*all)[n++] = (struct old_worker){ domid, ask_old(d, domid, path) };
	}
	if (dp)
		closedir(dp);
	return n;
}

void link_sweep(struct daemon *d)
{
	struct old_worker *old;
	char path[108];
	int n = ask_all(d, &old);	/* all are asked before the first is waited for */

	for (int i = 0; i < n; i++) {
		socket_path(d, old[i].domid, path, sizeof(path));
		if (!wait_old(old[i].fd))
			unlink(path);	/* one that stays is met again by link_start() */
	}
	free(old);
}
