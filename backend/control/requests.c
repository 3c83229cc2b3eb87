// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket RUN/hvdrvd.sock, for root: one JSON message asks, one answers.
 *   {"cmd": "ping"}                       is a hvdrvd there, and which
 *   {"cmd": "show", "domid": 5}           its devices with their counters; "inspect": and what else can be wrong with them
 *   {"cmd": "events", "uuid": "..."}      a message for each event from now on; without uuid: of all guests
 *   {"cmd": "images"}                     the images that guests run, for `hvdrv-repo gc`
 *   {"cmd": "dry-run", ...}               could a device switch now? (dryrun.c)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>
#include "daemon.h"
#include "util/json.h"
#include "util/sock.h"

#define MAX_CLIENTS 32
#define DRY_RUN_US 20000		/* a question that waits for a keeper, which has a limit of its own */

struct requests {
	struct daemon *d;
	int fd;
	struct event *acceptable;
	unsigned int clients;
};

struct client {
	struct requests *r;
	int fd;
	struct event *readable;
	struct json_object *question;	/* a dry run that is not answered yet */
	struct event *again;
};

static void client_free(struct client *c)
{
	struct requests *r = c->r;

	event_free(c->readable);
	if (c->again)
		event_free(c->again);
	json_object_put(c->question);
	close(c->fd);
	free(c);
	if (!--r->clients && r->fd < 0)
		free(r);		/* the last answer after requests_stop() */
}

static void answer(struct client *c, struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	hv_sock_send(c->fd, text, strlen(text), NULL, 0);
	json_object_put(o);
}

static void answer_error(struct client *c, int code, const char *text)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "error", json_object_new_int(code));
	hv_json_add(o, "text", text);
	answer(c, o);
}

/* ---- show, events ---- */

static void shown(void *arg, struct json_object *devices)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "devices", devices);
	answer(arg, o);
	client_free(arg);
}

static void show(struct client *c, uint32_t domid, bool inspect)
{
	event_del(c->readable);		/* one question each */
	if (show_start(c->r->d, domid, inspect, shown, c)) {
		answer_error(c, ENOMEM, "no memory");
		client_free(c);
	}
}

/* The connection is the listener's from now on. */
static void listen_to_events(struct client *c, const char *uuid)
{
	int fd = dup(c->fd), rc = fd < 0 ? -errno : events_listen(c->r->d, fd, uuid);

	if (rc) {
		answer_error(c, -rc, rc == -EUSERS ? "as many listen to events as may" : strerror(-rc));
		if (fd >= 0)
			close(fd);
	}
	client_free(c);
}

static void ping(struct client *c)
{
	struct json_object *o = json_object_new_object();

	hv_json_add(o, "version", PACKAGE_VERSION);
	json_object_object_add(o, "pid", json_object_new_int(getpid()));
	json_object_object_add(o, "watch_pid", json_object_new_int(watch_pid(c->r->d)));
	answer(c, o);
	client_free(c);
}

static void images(struct client *c)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "images", show_images(c->r->d));
	answer(c, o);
	client_free(c);
}

static void try_dry_run(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval tv = { .tv_usec = DRY_RUN_US };
	struct client *c = arg;
	struct json_object *o = dry_run(c->r->d, c->question, what != 0);

	if (!o) {
		event_add(c->again, &tv);
		return;
	}
	answer(c, o);
	client_free(c);
}

static void begin_dry_run(struct client *c, struct json_object *q)
{
	event_del(c->readable);		/* one question each */
	c->question = json_object_get(q);
	c->again = event_new(c->r->d->base, -1, 0, try_dry_run, c);
	try_dry_run(-1, 0, c);
}

/* ---- clients ---- */

static void on_question(struct client *c, const char *text)
{
	struct json_object *q = json_tokener_parse(text), *v = NULL;
	const char *name = "";

	if (q && json_object_object_get_ex(q, "cmd", &v))
		name = json_object_get_string(v);
	if (!strcmp(name, "show") && json_object_object_get_ex(q, "domid", &v)) {
		show(c, json_object_get_int(v), json_object_object_get_ex(q, "inspect", NULL));
	} else if (!strcmp(name, "events")) {
		listen_to_events(c, json_object_object_get_ex(q, "uuid", &v) ? json_object_get_string(v) : NULL);
	} else if (!strcmp(name, "dry-run")) {
		begin_dry_run(c, q);
	} else if (!strcmp(name, "images")) {
		images(c);
	} else if (!strcmp(name, "ping")) {
		ping(c);
	} else {
		answer_error(c, EINVAL, "unknown command");
		client_free(c);
	}
	json_object_put(q);
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
	int fds[HV_SOCK_FDS] = { -1, -1, -1, -1 };
	struct client *c = arg;
	char text[4096];
	ssize_t n = hv_sock_recv(fd, text, sizeof(text) - 1, fds);

	hv_sock_close(fds);
	if (n <= 0) {
		client_free(c);
		return;
	}
	text[n] = 0;
	on_question(c, text);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct requests *r = arg;
	struct client *c;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (s < 0)
		return;
	c = r->clients < MAX_CLIENTS ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(s);
		return;
	}
	r->clients++;
	*c = (struct client){ .r = r, .fd = s };
	c->readable = event_new(r->d->base, s, EV_READ | EV_PERSIST, on_client, c);
	event_add(c->readable, NULL);
}

int requests_start(struct daemon *d, struct hv_err *e)
{
	struct requests *r = calloc(1, sizeof(*r));
	char path[108];

	if (!r)
		return hv_err(e, ENOMEM, "no memory");
	snprintf(path, sizeof(path), "%s/hvdrvd.sock", d->opt.run);
	r->d = d;
	r->fd = hv_sock_listen(path, SOCK_SEQPACKET);
	if (r->fd < 0) {
		int rc = r->fd;

		free(r);
		return hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	}
	evutil_make_socket_nonblocking(r->fd);
	r->acceptable = event_new(d->base, r->fd, EV_READ | EV_PERSIST, on_accept, r);
	event_add(r->acceptable, NULL);
	d->requests = r;
	return 0;
}

void requests_stop(struct daemon *d)
{
	char path[108];

	if (!d->requests)
		return;
	snprintf(path, sizeof(path), "%s/hvdrvd.sock", d->opt.run);
	unlink(path);
	event_free(d->requests->acceptable);
	close(d->requests->fd);
	d->requests->fd = -1;
	if (!d->requests->clients)
		free(d->requests);
	d->requests = NULL;
}
