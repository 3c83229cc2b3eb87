// SPDX-License-Identifier: GPL-2.0-only
/*
 * What hvdrvd knows of a guest's devices, with what its worker has counted. A worker that does not answer in time is told of as
 * silent: whoever asks must not wait for what is stopped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include "core/store.h"
#include "daemon.h"
#include "util/json.h"

#define WORKER_LIMIT_MS 1000

struct wait {
	struct show *s;			/* NULL: it was told that the worker is silent */
	struct dom *dom;
	struct json_object *row;
	struct guest_told guest;
	TAILQ_ENTRY(wait) link;
};

struct show {
	struct json_object *devices;
	TAILQ_HEAD(, wait) waits;	/* for the workers' counters */
	struct event *limit;
	show_done_fn done;
	void *arg;
};

/* A queue that is held while nothing is under way that ends it takes nothing for ever. */
static bool held(const struct dev *v)
{
	bool any = false;

	for (uint32_t i = 0; !v->retarget && v->slot.code && i < v->slot.num_queues; i++)
		any |= __atomic_load_n(&v->slot.state[i]->hold, __ATOMIC_SEQ_CST) != 0;
	return any;
}

/* Is the placed image in the repository, whole, and signed by a key that is trusted today? */
static int look_at_image(const struct dev *v, struct hv_err *e)
{
	const struct options *opt = &v->dom->d->opt;
	struct hv_image img = { 0 };
	struct hv_keyring ring;
	char path[512], id[65];
	int rc;

	hv_store_path(opt->repo, v->image_id, path, sizeof(path));
	rc = hv_image_load(path, &img, e);
	if (rc)
		return rc;
	hv_image_id(&img, id);
	rc = strcmp(id, v->image_id) ? hv_err(e, EINVAL, "%s does not have the hash that its name says", path) : 0;
	if (!rc)
		rc = hv_keyring_load(opt->keys, &ring, e);
	if (!rc) {
		rc = hv_image_verify(&img, &ring, e);
		hv_keyring_free(&ring);
	}
	hv_image_free(&img);
	return rc < 0 ? rc : 0;
}

static void add_driver(struct json_object *row, const struct dev *v)
{
	struct hv_err e;

	hv_json_add(row, "image", v->image_id);
	hv_json_add(row, "signer", v->signer.name);
	hv_json_add(row, "signer_key", v->signer.key);
	if (*v->signer.key && signer_good(v->dom->d, &v->signer, &e) == -EPERM)
		hv_json_add(row, "signer_error", e.text);
}

static struct json_object *row_of(struct dev *v, bool inspect)
{
	static const char *const phases[] = {
		"new", "joining", "waiting-for-guest", "generating", "placed", "starting", "connected", "closing", "draining",
		"leaving", "failed",
	};
	struct json_object *row = json_object_new_object();
	struct hv_err e = { 0 };

	json_object_object_add(row, "id", json_object_new_int(v->id.id));
	hv_json_add(row, "name", v->params.name);
	hv_json_add(row, "phase", phases[v->phase]);
	hv_json_add_u64(row, "state_ns", hv_now_ns() - v->since_ns);
	if (retarget_is_switch(v))
		hv_json_add_u64(row, "switch_ns", hv_now_ns() - v->counts.switch_ns);
	if (v->target.fd >= 0) {
		hv_json_add(row, "cache", v->target.buffered ? "buffered" : "direct");
		hv_json_add(row, "io", dev_io(v));
		hv_json_add_u64(row, "size_bytes", v->target.bytes);
		hv_json_add_u64(row, "block_size", v->target.block_size);
	}
	if (*v->image_id)
		add_driver(row, v);
	dev_show_os(v, row);
	if (v->dom->worker)
		hv_json_add_u64(row, "worker_pid", link_pid(v->dom->worker));
	if (v->phase == DEV_LIVE)
		hv_json_add_u64(row, "queues", v->offer.num_queues);
	if (inspect && v->phase == DEV_LIVE) {
		json_object_object_add(row, "held", json_object_new_boolean(held(v)));
		hv_json_add(row, "image_error", look_at_image(v, &e) ? e.text : "");
	}
	count_add_device(row, v);
	return row;
}

static void finish(struct show *s)
{
	s->done(s->arg, s->devices);
	event_free(s->limit);
	free(s);
}

static void silent(struct json_object *row)
{
	json_object_object_add(row, "worker_silent", json_object_new_boolean(1));
}

static void got_stats(void *arg, const struct wire_msg *m)
{
	struct wait *w = arg;
	struct show *s = w->s;

	if (s && m && m->type == WIRE_STATS)
		count_add_served(w->row, &m->stats, &w->guest);
	if (s)
		TAILQ_REMOVE(&s->waits, w, link);
	else
		w->dom->unanswered--;
	free(w);
	if (s && TAILQ_EMPTY(&s->waits))
		finish(s);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct show *s = arg;
	struct wait *w;

	while ((w = TAILQ_FIRST(&s->waits))) {
		silent(w->row);
		TAILQ_REMOVE(&s->waits, w, link);
		w->s = NULL;
		w->dom->unanswered++;
	}
	finish(s);
}

static void ask_worker(struct show *s, struct dev *v, struct json_object *row)
{
	struct wire_msg m = { .type = WIRE_STATS, .dev = v->id.id };
	struct wait *w = calloc(1, sizeof(*w));

	if (!w)
		return;
	*w = (struct wait){ .s = s, .dom = v->dom, .row = row };
	count_guest_told(v, &w->guest);
	/* not asked again and again: its socket must have room for what matters when it goes on */
	if (v->dom->unanswered || link_send(v->dom->worker, &m, -1, got_stats, w)) {
		silent(row);
		free(w);
	} else {
		TAILQ_INSERT_TAIL(&s->waits, w, link);
	}
}

static void add_image(struct json_object *ids, const char *id)
{
	if (*id)
		json_object_array_add(ids, json_object_new_string(id));
}

struct json_object *show_images(struct daemon *d)
{
	struct json_object *ids = json_object_new_array();
	struct dom *dom;
	struct dev *v;

	TAILQ_FOREACH(dom, &d->doms, link)
		TAILQ_FOREACH(v, &dom->devs, link) {
			add_image(ids, v->image_id);
			if (v->retarget)
				add_image(ids, retarget_image(v));
		}
	return ids;
}

int show_start(struct daemon *d, uint32_t domid, bool inspect, show_done_fn done, void *arg)
{
	const struct timeval limit = { .tv_usec = WORKER_LIMIT_MS * 1000 % 1000000, .tv_sec = WORKER_LIMIT_MS / 1000 };
	struct show *s = calloc(1, sizeof(*s));
	struct dom *dom = dom_find(d, domid);
	struct dev *v;

	if (!s)
		return -ENOMEM;
	s->devices = json_object_new_array();
	s->done = done;
	s->arg = arg;
	s->limit = event_new(d->base, -1, 0, on_limit, s);
	TAILQ_INIT(&s->waits);
	for (v = dom ? TAILQ_FIRST(&dom->devs) : NULL; v; v = TAILQ_NEXT(v, link)) {
		struct json_object *row = row_of(v, inspect);

		json_object_array_add(s->devices, row);
		if (v->phase == DEV_LIVE && dom->worker)
			ask_worker(s, v, row);
	}
	if (TAILQ_EMPTY(&s->waits))
		finish(s);
	else
		event_add(s->limit, &limit);
	return 0;
}
