// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket RUN/hvdrvd.sock, for root: one JSON message asks, one answers.
 *   {"cmd": "ping"}                       is a hvdrvd there, and which
 *   {"cmd": "show", "domid": 5}           its devices with their counters
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>
#include "daemon.h"
#include "util/sock.h"

#define MAX_CLIENTS 32

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
	/* a show under way */
	struct json_object *devices;
	unsigned int waiting;		/* for the workers' counters */
};

struct stat_wait {
	struct client *c;
	struct json_object *row;
};

static void client_free(struct client *c)
{
	c->r->clients--;
	event_free(c->readable);
	close(c->fd);
	free(c);
}

static void answer(struct client *c, struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	hv_sock_send(c->fd, text, strlen(text), NULL, 0);
	json_object_put(o);
}

static void add(struct json_object *o, const char *k, const char *v)
{
	json_object_object_add(o, k, json_object_new_string(v));
}

static void add_u64(struct json_object *o, const char *k, uint64_t v)
{
	json_object_object_add(o, k, json_object_new_uint64(v));
}

static void answer_error(struct client *c, int code, const char *text)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "error", json_object_new_int(code));
	add(o, "text", text);
	answer(c, o);
}

/* ---- show ---- */

/* The upper end of the bucket that holds the p-th of a thousand. */
static uint64_t quantile(const uint64_t *hist, uint64_t total, unsigned int permille)
{
	uint64_t need = (total * permille + 999) / 1000, seen = 0;

	for (int b = 0; b < WIRE_HIST; b++) {
		seen += hist[b];
		if (seen >= need && seen)
			return 2ull << b;
	}
	return 0;
}

static void add_latency(struct json_object *row, const struct wire_stats *s)
{
	uint64_t total = 0;

	for (int b = 0; b < WIRE_HIST; b++)
		total += s->latency[b];
	add_u64(row, "latency_p50_ns", quantile(s->latency, total, 500));
	add_u64(row, "latency_p99_ns", quantile(s->latency, total, 990));
	add_u64(row, "latency_max_ns", quantile(s->latency, total, 1000));
}

static void add_stats(struct json_object *row, const struct wire_stats *s)
{
	static const char *const ops[] = { "read", "write", "flush", "discard", "write_zeroes" };
	struct json_object *rej = json_object_new_object();
	char key[40];

	for (int i = 0; i < HVDRV_OPS; i++) {
		snprintf(key, sizeof(key), "%s_requests", ops[i]);
		add_u64(row, key, s->requests[i]);
		if (i == HVDRV_OP_FLUSH)
			continue;
		snprintf(key, sizeof(key), "%s_bytes", ops[i]);
		add_u64(row, key, s->bytes[i]);
	}
	add_u64(row, "errors", s->errors);
	add_u64(row, "in_flight", s->inflight);
	add_u64(row, "copy_hypercalls", s->copies);
	add_u64(row, "events_sent", s->events_out);
	add_u64(row, "events_received", s->events_in);
	add_latency(row, s);
	for (int i = 1; i < HV_REJECTS; i++)
		add_u64(rej, hv_reject_name(i), s->rejects[i]);
	json_object_object_add(row, "rejects", rej);
}

static void finish_show(struct client *c)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "devices", c->devices);
	c->devices = NULL;
	answer(c, o);
	client_free(c);
}

static void got_stats(void *arg, const struct wire_msg *m)
{
	struct stat_wait *w = arg;
	struct client *c = w->c;

	if (m && m->type == WIRE_STATS)
		add_stats(w->row, &m->stats);
	free(w);
	if (!--c->waiting)
		finish_show(c);
}

static struct json_object *row_of(const struct dev *v)
{
	static const char *const phases[] = {
		"new", "waiting-for-guest", "generating", "placed", "starting", "connected", "closing", "draining",
		"leaving", "failed",
	};
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "id", json_object_new_int(v->id.id));
	add(row, "name", v->params.name);
	add(row, "phase", phases[v->phase]);
	if (v->target.fd >= 0) {
		add(row, "cache", v->target.buffered ? "buffered" : "direct");
		add_u64(row, "size_bytes", v->target.bytes);
		add_u64(row, "block_size", v->target.block_size);
	}
	if (*v->image_id)
		add(row, "image", v->image_id);
	if (v->phase == DEV_LIVE)
		add_u64(row, "queues", v->offer.num_queues);
	return row;
}

static void ask_stats(struct client *c, struct dev *v, struct json_object *row)
{
	struct wire_msg m = { .type = WIRE_STATS, .dev = v->id.id };
	struct stat_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return;
	*w = (struct stat_wait){ c, row };
	if (link_send(v->dom->worker, &m, -1, got_stats, w))
		free(w);
	else
		c->waiting++;
}

static void show(struct client *c, uint32_t domid)
{
	struct dom *dom = dom_find(c->r->d, domid);
	struct dev *v;

	c->devices = json_object_new_array();
	if (dom) {
		TAILQ_FOREACH(v, &dom->devs, link) {
			struct json_object *row = row_of(v);

			json_object_array_add(c->devices, row);
			if (v->phase == DEV_LIVE && dom->worker)
				ask_stats(c, v, row);
		}
	}
	event_del(c->readable);		/* one question each */
	if (!c->waiting)
		finish_show(c);
}

/* ---- clients ---- */

static void on_question(struct client *c, const char *text)
{
	struct json_object *q = json_tokener_parse(text), *cmd = NULL, *domid = NULL;
	const char *name = "";

	if (q && json_object_object_get_ex(q, "cmd", &cmd))
		name = json_object_get_string(cmd);
	if (!strcmp(name, "show") && json_object_object_get_ex(q, "domid", &domid)) {
		show(c, json_object_get_int(domid));
	} else if (!strcmp(name, "ping")) {
		struct json_object *o = json_object_new_object();

		add(o, "version", PACKAGE_VERSION);
		json_object_object_add(o, "pid", json_object_new_int(getpid()));
		answer(c, o);
		client_free(c);
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

	for (int i = 0; i < HV_SOCK_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
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
	free(d->requests);
	d->requests = NULL;
}
