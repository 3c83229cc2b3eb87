// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>
#include "daemon.h"
#include "util/json.h"
#include "util/sock.h"

struct listener {
	struct daemon *d;
	int fd;
	char uuid[HV_UUID_LEN + 1];	/* empty: all guests */
	struct event *readable, *writable;
	char *queue[EVENTS_QUEUE];	/* a ring: what its socket did not take */
	unsigned int first, n;
	uint64_t lost;			/* since the last one that is queued */
	TAILQ_ENTRY(listener) link;
};

struct listeners {
	TAILQ_HEAD(, listener) all;
	unsigned int n;
	uint64_t seq;
};

static void listener_free(struct listener *l)
{
	struct listeners *ls = l->d->listeners;

	TAILQ_REMOVE(&ls->all, l, link);
	ls->n--;
	event_free(l->readable);
	event_free(l->writable);
	close(l->fd);
	for (unsigned int i = 0; i < l->n; i++)
		free(l->queue[(l->first + i) % EVENTS_QUEUE]);
	free(l);
}

/* ---- sending: what does not go now is queued, what the queue does not hold is lost ---- */

static char *lost_text(uint64_t lost)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"event\":\"lost\",\"count\":%llu}", (unsigned long long)lost);
	return strdup(text);
}

static void put(struct listener *l, char *text)
{
	l->queue[(l->first + l->n++) % EVENTS_QUEUE] = text;
}

/* Its place in the stream is where they are missing. False: there is no room, or no memory, for it. */
static bool put_lost(struct listener *l)
{
	char *text = l->n < EVENTS_QUEUE ? lost_text(l->lost) : NULL;

	if (!text)
		return false;
	put(l, text);
	l->lost = 0;
	return true;
}

/* 0; -EAGAIN: the rest later; another: the listener has gone. */
static int send_queued(struct listener *l)
{
	int rc = 0;

	while (!rc && (l->n || (l->lost && put_lost(l)))) {
		char *text = l->queue[l->first];

		rc = hv_sock_send(l->fd, text, strlen(text), NULL, 0);
		if (rc)
			break;
		free(text);
		l->first = (l->first + 1) % EVENTS_QUEUE;
		l->n--;
	}
	return rc;
}

static void push(struct listener *l)
{
	int rc = send_queued(l);

	/* an error of the socket is met as its end by on_readable(), too: the listener may be in use here */
	if (rc == -EAGAIN)
		event_add(l->writable, NULL);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	push(arg);
}

static void queue(struct listener *l, const char *text)
{
	char *copy = NULL;

	if (l->lost && !put_lost(l))
		l->lost++;
	else if (l->n == EVENTS_QUEUE || !(copy = strdup(text)))
		l->lost++;
	else
		put(l, copy);
	push(l);
}

/* It has nothing to say: its end, or something to be thrown away. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	char text[64];
	ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);

	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		listener_free(arg);
}

/* ---- events ---- */

static void add_now(struct json_object *o)
{
	struct timespec ts;
	char day[32], text[48];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", gmtime_r(&ts.tv_sec, &tm));
	snprintf(text, sizeof(text), "%s.%03ldZ", day, ts.tv_nsec / 1000000);
	hv_json_add(o, "time", text);
}

/* NULL: nobody listens. */
static struct json_object *event_new_of(struct dom *dom, const char *what)
{
	struct listeners *ls = dom->d->listeners;
	struct json_object *o;

	if (!ls || !ls->n)
		return NULL;
	o = json_object_new_object();
	hv_json_add(o, "event", what);
	hv_json_add_u64(o, "seq", ++ls->seq);
	add_now(o);
	hv_json_add(o, "domain", dom->name);
	hv_json_add_u64(o, "domid", dom->domid);
	return o;
}

static void tell(struct dom *dom, struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	struct listener *l, *next;

	TAILQ_FOREACH_SAFE(l, &dom->d->listeners->all, link, next)
		if (!*l->uuid || !strcmp(l->uuid, dom->uuid))
			queue(l, text);
	json_object_put(o);
}

static struct json_object *event_new_dev(struct dev *v, const char *what)
{
	struct json_object *o = event_new_of(v->dom, what);

	if (o) {
		hv_json_add(o, "device", v->params.name);
		hv_json_add_u64(o, "id", v->id.id);
	}
	return o;
}

void event_state(struct dev *v, const char *state, const char *reason)
{
	struct json_object *o = event_new_dev(v, "state");

	if (!o)
		return;
	hv_json_add(o, "state", state);
	if (reason)
		hv_json_add(o, "reason", reason);
	tell(v->dom, o);
}

static struct json_object *switch_event(struct dev *v, const char *what, const struct switch_note *n)
{
	struct json_object *o = event_new_dev(v, what);

	if (o) {
		hv_json_add_u64(o, "switch", n->seq);
		hv_json_add(o, "who", n->who);
		hv_json_add(o, "from", n->from);
		hv_json_add(o, "to", n->to);
	}
	return o;
}

void event_switch_begin(struct dev *v, const struct switch_note *n)
{
	struct json_object *o = switch_event(v, "switch-begin", n);

	if (o)
		tell(v->dom, o);
}

void event_switch_end(struct dev *v, const struct switch_note *n)
{
	static const char *const kinds[COUNT_KINDS] = { "carried_ready", "carried_begun", "carried_done" };
	struct json_object *o = switch_event(v, "switch-end", n);

	if (!o)
		return;
	hv_json_add(o, "result", hv_retarget_result_name(n->result));
	hv_json_add(o, "reason", n->reason);
	hv_json_add_u64(o, "freeze_ns", n->freeze_ns);
	hv_json_add_u64(o, "stall_ns", n->stall_ns);
	for (int i = 0; i < COUNT_KINDS; i++)
		hv_json_add_u64(o, kinds[i], n->carried[i]);
	tell(v->dom, o);
}

static void worker_event(struct dom *dom, const char *what, pid_t pid, const char *reason)
{
	struct json_object *o = event_new_of(dom, what);

	if (!o)
		return;
	hv_json_add_u64(o, "pid", pid);
	if (reason)
		hv_json_add(o, "reason", reason);
	tell(dom, o);
}

void event_worker_started(struct dom *dom, pid_t pid)
{
	worker_event(dom, "worker-started", pid, NULL);
}

void event_worker_ended(struct dom *dom, pid_t pid, const char *reason)
{
	worker_event(dom, "worker-ended", pid, reason);
}

/* ---- listeners ---- */

static struct listeners *listeners(struct daemon *d)
{
	if (!d->listeners) {
		d->listeners = calloc(1, sizeof(*d->listeners));
		if (d->listeners)
			TAILQ_INIT(&d->listeners->all);
	}
	return d->listeners;
}

int events_listen(struct daemon *d, int fd, const char *uuid)
{
	struct listeners *ls = listeners(d);
	struct listener *l;

	if (ls && ls->n >= EVENTS_LISTENERS)
		return -EUSERS;
	l = ls ? calloc(1, sizeof(*l)) : NULL;
	if (!l)
		return -ENOMEM;
	l->d = d;
	l->fd = fd;
	snprintf(l->uuid, sizeof(l->uuid), "%s", uuid ? uuid : "");
	evutil_make_socket_nonblocking(fd);
	l->readable = event_new(d->base, fd, EV_READ | EV_PERSIST, on_readable, l);
	l->writable = event_new(d->base, fd, EV_WRITE, on_writable, l);
	event_add(l->readable, NULL);
	TAILQ_INSERT_TAIL(&ls->all, l, link);
	ls->n++;
	queue(l, "{\"event\":\"listening\",\"version\":\"" PACKAGE_VERSION "\"}");
	return 0;
}

void events_stop(struct daemon *d)
{
	struct listener *l;

	if (!d->listeners)
		return;
	while ((l = TAILQ_FIRST(&d->listeners->all)))
		listener_free(l);
	free(d->listeners);
	d->listeners = NULL;
}
