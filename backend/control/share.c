// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvdrv-share beside hvdrvd: one for each target that takes `depth` requests at once. Each device on it has a connection from its
 * worker to that process (turns.h). When it ends unexpectedly another is started, and the workers get new connections.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon.h"
#include "turns.h"
#include "util/sock.h"

#define SHARE_UID 32767u	/* beside the workers': no domain has this number */
#define DEVICES (TURNS_DEVICES / 2)	/* of one target: connections of devices that have gone may linger */
#define RETRY 1			/* s: one that ends at once, or cannot be started, is not tried at once */

extern char **environ;

struct share {
	struct daemon *d;
	struct target is;		/* which; its descriptor is not used */
	char path[1024];		/* for the log */
	uint32_t depth;
	uint32_t ids;			/* connections so far */
	pid_t pid;
	int sock;			/* -1: none runs */
	struct event *readable, *retry;
	int64_t since_ns;
	bool leaving;			/* the last device has gone: it ends by itself */
	TAILQ_ENTRY(share) link;
};

/* ---- devices of it ---- */

static void each(struct share *s, void (*fn)(struct share *s, struct dev *v))
{
	struct dom *dom;
	struct dev *v;

	TAILQ_FOREACH(dom, &s->d->doms, link)
		TAILQ_FOREACH(v, &dom->devs, link)
			if (v->share == s)
				fn(s, v);
}

static unsigned int members(const struct share *s)
{
	unsigned int n = 0;
	struct dom *dom;
	struct dev *v;

	TAILQ_FOREACH(dom, &s->d->doms, link)
		TAILQ_FOREACH(v, &dom->devs, link)
			n += v->share == s;
	return n;
}

static void told(void *arg, const struct wire_msg *m)
{
}

/* fd -1: nobody gives turns now. */
static void tell_worker(struct dev *v, int fd)
{
	struct wire_msg m = { .type = WIRE_SHARE, .dev = v->id.id };

	if (v->dom->worker)
		link_send(v->dom->worker, &m, fd, told, NULL);
}

static void set_free(struct share *s, struct dev *v)
{
	tell_worker(v, -1);
}

/* Both ends get a connection. When hvdrv-share ends in this moment, all is done again. */
static int connect_dev(struct share *s, struct dev *v, bool again)
{
	struct turns_ctl m = { TURNS_VERSION, TURNS_ADD, ++s->ids, v->params.weight, again };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv))
		return -errno;
	v->share_id = m.id;
	hv_sock_send(s->sock, &m, sizeof(m), &sv[0], 1);
	tell_worker(v, sv[1]);
	close(sv[0]);
	close(sv[1]);
	return 0;
}

static void connect_again(struct share *s, struct dev *v)
{
	if (connect_dev(s, v, true))
		tell_worker(v, -1);
}

/* ---- the process ---- */

static int spawn(struct share *s, int theirs, struct hv_err *e)
{
	char prog[512], depth[16], uid[16];
	char *argv[] = { "hvdrv-share", depth, uid, NULL };
	posix_spawn_file_actions_t fa;
	int rc;

	snprintf(depth, sizeof(depth), "%u", s->depth);
	snprintf(uid, sizeof(uid), "%u", s->d->opt.worker_uid + SHARE_UID);
	snprintf(prog, sizeof(prog), "%s/hvdrv-share", s->d->opt.libexec);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, theirs, 3);
	rc = posix_spawn(&s->pid, prog, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	return rc ? hv_err(e, rc, "%s cannot be started: %s", prog, strerror(rc)) : 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);

static int start(struct share *s, struct hv_err *e)
{
	int sv[2], theirs, rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv))
		return hv_err(e, errno, "socketpair: %s", strerror(errno));
	theirs = fcntl(sv[1], F_DUPFD_CLOEXEC, 10);	/* dup2() to itself would keep close-on-exec */
	close(sv[1]);
	rc = theirs < 0 ? hv_err(e, errno, "descriptors: %s", strerror(errno)) : spawn(s, theirs, e);
	if (theirs >= 0)
		close(theirs);
	if (rc) {
		close(sv[0]);
		return rc;
	}
	s->sock = sv[0];
	s->since_ns = hv_now_ns();
	s->readable = event_new(s->d->base, s->sock, EV_READ | EV_PERSIST, on_readable, s);
	event_add(s->readable, NULL);
	return 0;
}

static void stop(struct share *s)
{
	if (s->sock < 0)
		return;
	event_free(s->readable);
	close(s->sock);
	s->sock = -1;
}

static void share_free(struct share *s)
{
	TAILQ_REMOVE(&s->d->shares, s, link);
	stop(s);
	if (s->retry)
		event_free(s->retry);
	free(s);
}

static void try_again(evutil_socket_t fd, short what, void *arg);

static void start_again(struct share *s)
{
	const struct timeval later = { .tv_sec = RETRY };
	struct hv_err e = { 0 };

	if (hv_now_ns() - s->since_ns >= RETRY * 1000000000ll && !start(s, &e)) {
		hv_log(HV_WARN, NULL, "hvdrv-share of %s has ended: started again", s->path);
		each(s, connect_again);
		return;
	}
	hv_log(HV_ERROR, NULL, "hvdrv-share of %s does not run%s%s: its guests are served without regard to weights", s->path,
	       *e.text ? ": " : "", e.text);
	each(s, set_free);
	if (!s->retry)
		s->retry = event_new(s->d->base, -1, 0, try_again, s);
	event_add(s->retry, &later);
}

static void try_again(evutil_socket_t fd, short what, void *arg)
{
	struct share *s = arg;

	if (s->leaving)
		share_free(s);
	else
		start_again(s);
}

static void ended(struct share *s)
{
	stop(s);
	kill(s->pid, SIGKILL);		/* its end of the socket is closed: it is of no use */
	waitpid(s->pid, NULL, 0);
	if (s->leaving)
		share_free(s);
	else
		start_again(s);
}

/* The worker broke the rules of turns: it would wait for ever. */
static void dropped(struct daemon *d, const struct share *s, uint32_t id)
{
	struct hv_err e = { 0 };
	struct dom *dom;
	struct dev *v;

	TAILQ_FOREACH(dom, &d->doms, link) {
		TAILQ_FOREACH(v, &dom->devs, link) {
			if (v->share != s || v->share_id != id)
				continue;
			hv_err(&e, EPROTO, "its worker does not keep to its turns: the device is ended; detach and attach it again");
			dev_end(v, &e);
			return;
		}
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	int fds[HV_SOCK_FDS];
	struct share *s = arg;
	struct turns_ctl m;
	ssize_t n = hv_sock_recv(fd, &m, sizeof(m), fds);

	if (n == sizeof(m) && m.type == TURNS_EV_DROPPED)
		dropped(s->d, s, m.id);
	else if (n != -EAGAIN)
		ended(s);
}

/* ---- devices come, go and change ---- */

static struct share *find(struct daemon *d, const struct target *t)
{
	struct share *s;

	TAILQ_FOREACH(s, &d->shares, link)
		if (!s->leaving && target_same(&s->is, t))
			return s;
	return NULL;
}

static struct share *share_new(struct dev *v, struct hv_err *e)
{
	struct share *s = calloc(1, sizeof(*s));

	if (!s) {
		hv_err(e, ENOMEM, "no memory");
		return NULL;
	}
	*s = (struct share){ .d = v->dom->d, .is = v->target, .depth = v->params.depth, .sock = -1 };
	snprintf(s->path, sizeof(s->path), "%s", v->params.backend);
	TAILQ_INSERT_TAIL(&s->d->shares, s, link);
	if (!start(s, e))
		return s;
	share_free(s);
	return NULL;
}

int share_join(struct dev *v, struct hv_err *e)
{
	struct share *s = find(v->dom->d, &v->target);
	int rc;

	if (s && members(s) >= DEVICES)
		return hv_err(e, ENOSPC, "%u devices are on %s already: no more can be dispatched fairly", DEVICES, v->params.backend);
	if (!s)
		s = share_new(v, e);
	if (!s)
		return -e->code;
	v->share = s;
	rc = s->sock < 0 ? 0 : connect_dev(s, v, false);
	if (s->sock < 0)
		set_free(s, v);
	return rc ? hv_err(e, -rc, "socketpair: %s", strerror(-rc)) : 0;
}

void share_leave(struct dev *v)
{
	struct share *s = v->share;

	v->share = NULL;
	if (!s || members(s))
		return;
	s->leaving = true;
	if (s->sock >= 0)
		shutdown(s->sock, SHUT_WR);	/* its workers may have requests yet: it ends when they do */
	else if (!s->retry)
		share_free(s);
}

void share_weigh(struct dev *v)
{
	struct turns_ctl m = { .version = TURNS_VERSION, .type = TURNS_WEIGHT, .id = v->share_id };
	struct hv_about a = dev_about(v);
	char text[1400];
	uint64_t want;

	if (!v->weigh)
		return;
	v->weigh = false;
	want = hv_read_u64(v->dom->d->host, 0, UINT32_MAX, "%s/weight", v->at.admin);
	if (!want || want == v->params.weight)
		return;
	if (!v->params.depth || want > HV_WEIGHT_MAX) {
		hv_log(HV_WARN, &a, "weight %llu is ignored: %s", (unsigned long long)want,
		       v->params.depth ? "1 to 1000 are weights" : "the device has no depth=");
		return;
	}
	v->params.weight = m.weight = want;
	if (v->share && v->share->sock >= 0)
		hv_sock_send(v->share->sock, &m, sizeof(m), NULL, 0);
	hv_log(HV_INFO, &a, "weight %u", v->params.weight);
	hv_params_print(&v->params, text, sizeof(text));
	hv_writef(v->dom->d->host, 0, text, "%s/params", v->at.admin);
}

void share_stop(struct daemon *d)
{
	struct share *s;

	while ((s = TAILQ_FIRST(&d->shares)))
		share_free(s);
}
