// SPDX-License-Identifier: GPL-2.0-only
/*
 * One device, driven by what its keys say: dev_reconcile() reads them and does the next step. It can be called at
 * any time and any number of times; which watch fired does not matter.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon.h"

#define FORCE_LIMIT 10		/* s: a guest that does not react to a forced detach */
#define LEAVE_LIMIT 5		/* s: a guest that does not say that it has freed its memory */

struct hv_about dev_about(const struct dev *v)
{
	return (struct hv_about){ v->id.domid, v->dom->name, v->params.name };
}

static struct hv_host *host(const struct dev *v)
{
	return v->dom->d->host;
}

void dev_status_why(struct dev *v, const char *word, const char *reason)
{
	v->since_ns = hv_now_ns();
	hv_writef(host(v), 0, word, "%s/status", v->at.admin);
	event_state(v, word, reason);
}

void dev_status(struct dev *v, const char *word)
{
	dev_status_why(v, word, NULL);
}

void dev_set_state(struct dev *v, enum hv_xenbus_state s)
{
	char text[8];

	snprintf(text, sizeof(text), "%d", s);
	hv_writef(host(v), 0, text, "%s/state", v->at.back);
}

enum hv_xenbus_state dev_guest_state(struct dev *v)
{
	return hv_read_u64(host(v), HV_XB_UNKNOWN, HV_XB_CLOSED, "%s/state", v->at.front);
}

/* ---- new, fail, free ---- */

static int read_params(struct dev *v, struct hv_err *e)
{
	char *text = hv_readf(host(v), 0, "%s/params", v->at.admin);
	char *name = hv_readf(host(v), 0, "%s/name", v->at.admin);
	int rc = text && name ? hv_params_parse(text, &v->params, e) : hv_err(e, EPROTO, "its keys are incomplete");

	if (name)
		snprintf(v->params.name, sizeof(v->params.name), "%s", name);
	free(text);
	free(name);
	return rc;
}

struct dev *dev_new(struct dom *dom, uint32_t id)
{
	struct dev *v = calloc(1, sizeof(*v));
	struct hv_err e = { 0 };
	int rc;

	if (!v)
		return NULL;
	v->dom = dom;
	v->id = (struct hv_dev_id){ .domid = dom->domid, .id = id };
	memcpy(v->id.uuid, dom->uuid, sizeof(v->id.uuid));
	hv_dev_paths(&v->id, &v->at);
	v->target.fd = v->target.claim = v->target.ng = v->lent = v->lent_ng = -1;
	v->since_ns = hv_now_ns();
	v->weigh = true;		/* it may have been written while no hvdrvd ran */
	TAILQ_INSERT_TAIL(&dom->devs, v, link);
	count_seen(v);
	host(v)->ops->watch(host(v), v->at.front);
	policy_begin(v);
	rc = read_params(v, &e);
	event_state(v, "attached", NULL);
	if (rc)
		dev_fail(v, &e);
	return v;
}

static void let_go(struct dev *v)
{
	retarget_abort(v, false, "the device is going");
	direct_drop(v);
	dev_unserve(v);
	share_leave(v);
	hv_slot_unmap(host(v), &v->slot);
	policy_leaves(v);
	target_close(&v->target);
	if (v->timer)
		event_free(v->timer);
	v->timer = NULL;
}

static void dev_free(struct dev *v)
{
	struct dom *dom = v->dom;

	if (dom->worker)
		link_forget(dom->worker, v);
	host(v)->ops->unwatch(host(v), v->at.front);
	let_go(v);
	TAILQ_REMOVE(&dom->devs, v, link);
	free(v);
	dom_check_empty(dom);
}

void dev_drop(struct dev *v)
{
	dev_free(v);
}

void dev_fail(struct dev *v, const struct hv_err *e)
{
	struct hv_about a = dev_about(v);
	char code[16];

	v->phase = DEV_FAILED;
	hv_log(HV_ERROR, &a, "%s", e->text);
	snprintf(code, sizeof(code), "%d", e->code);
	hv_writef(host(v), 0, e->text, "%s/error", v->at.admin);
	hv_writef(host(v), 0, code, "%s/error-code", v->at.admin);
	dev_status_why(v, "failed", e->text);
	target_undo(&v->params, &v->target);
	direct_leave(v);
	let_go(v);
}

static void remove_nodes(struct dev *v)
{
	struct hv_about a = dev_about(v);
	int rc = hv_device_remove(host(v), &v->id);

	if (rc)
		hv_log(HV_ERROR, &a, "its xenstore keys cannot be removed: %s", strerror(-rc));
	event_state(v, "detached", v->dom->dying ? "the guest has gone" : NULL);
}

/* ---- closing ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg);

static void limit(struct dev *v, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	if (!v->timer)
		v->timer = event_new(v->dom->d->base, -1, 0, on_timer, v);
	event_add(v->timer, &tv);
}

static void detached(struct dev *v)
{
	struct hv_about a = dev_about(v);

	hv_log(HV_INFO, &a, "detached");
	target_undo(&v->params, &v->target);
	remove_nodes(v);
	dev_free(v);
}

/* The guest may free its memory now; when it has, the nodes go. */
static void leave(struct dev *v)
{
	v->phase = DEV_LEAVING;
	dev_set_state(v, HV_XB_CLOSED);
	limit(v, LEAVE_LIMIT);
}

static void released(struct dev *v)
{
	direct_leave(v);
	v->direct.awaited = v->direct.leaving;
	if (v->direct.awaited)
		return;			/* until then the guest's pages are not free: dev_left_direct() goes on */
	/* only when the stub itself has closed is it certain that no CPU runs in the slot */
	if (v->slot.code && v->guest_closed)
		hv_slot_wipe(&v->slot);
	let_go(v);
	if (v->detach) {
		leave(v);
		return;
	}
	/* closed by the guest (its module or itself going down): ready for it to come back */
	v->phase = DEV_NEW;
	v->guest_closed = v->resumed = v->answered = false;
	hv_policy_released(&v->policy);
	*v->mode = 0;			/* no driver is placed */
	/* a kernel that goes down waits for our Closing, 5 s long, and for no other state: then it says Closed, see while_gone() */
	dev_set_state(v, dev_guest_state(v) == HV_XB_CLOSING ? HV_XB_CLOSING : HV_XB_CLOSED);
	dev_status(v, "closed-by-guest");
}

void dev_left_direct(struct dev *v)
{
	if (v->direct.awaited)
		released(v);
}

static void drained(void *arg, const struct wire_msg *m)
{
	struct hv_about a = dev_about(arg);

	if (!m)
		return;			/* dev_worker_gone() is called for each device */
	if (m->type == WIRE_ERROR)
		hv_log(HV_ERROR, &a, "%.*s: what the guest wrote last may be lost", (int)sizeof(m->error.text), m->error.text);
	released(arg);
}

static void ignored(void *arg, const struct wire_msg *m)
{
}

/* All that was begun ends, the target's cache is written, nothing of the guest stays mapped. */
static void drain(struct dev *v)
{
	struct wire_msg del = { .type = WIRE_DEL, .dev = v->id.id };

	v->phase = DEV_DRAINING;
	if (!v->dom->worker)
		released(v);
	else if (link_send(v->dom->worker, &del, -1, drained, v))
		link_kill(v->dom->worker);	/* it may be at work in the guest's memory: that goes back when it has ended */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dev *v = arg;
	struct hv_about a = dev_about(v);

	if (v->phase == DEV_LEAVING) {
		detached(v);
	} else if (v->phase == DEV_CLOSING) {
		hv_log(HV_WARN, &a, "the guest does not react: taken away by force");
		drain(v);
	}
}

static void begin_close(struct dev *v)
{
	struct hv_about a = dev_about(v);

	hv_log(HV_INFO, &a, v->force ? "detach by force" : "detach");
	v->phase = DEV_CLOSING;
	hv_rmf(host(v), 0, "%s/in-use", v->at.front);
	hv_rmf(host(v), 0, "%s/request", v->at.admin);
	dev_status(v, "closing");
	hv_writef(host(v), 0, v->force ? "1" : "0", "%s/force", v->at.back);
	hv_writef(host(v), 0, "0", "%s/online", v->at.back);
	dev_set_state(v, HV_XB_CLOSING);
	if (v->force)
		limit(v, FORCE_LIMIT);
}

/* The guest has it open: it goes on as before. */
static void refuse_close(struct dev *v)
{
	struct hv_about a = dev_about(v);

	hv_log(HV_INFO, &a, "not detached: it is in use in the guest");
	v->detach = false;
	v->phase = DEV_LIVE;
	hv_rmf(host(v), 0, "%s/in-use", v->at.front);
	hv_writef(host(v), 0, "1", "%s/online", v->at.back);
	dev_set_state(v, HV_XB_CONNECTED);
	hv_writef(host(v), 0, "in use in the guest", "%s/error", v->at.admin);
	dev_status(v, "in-use");
}

static bool guest_says_in_use(struct dev *v)
{
	char *s = hv_readf(host(v), 0, "%s/in-use", v->at.front);

	free(s);
	return s != NULL;
}

static void while_closing(struct dev *v, enum hv_xenbus_state guest)
{
	if (guest == HV_XB_CLOSED) {
		v->guest_closed = true;
		drain(v);
	} else if (!v->force && guest_says_in_use(v)) {
		refuse_close(v);
	}
}

/* ---- requests: what an admin wrote to .../request ---- */

static void do_resize(struct dev *v)
{
	struct wire_msg m = { .type = WIRE_RESIZE, .dev = v->id.id };
	struct hv_about a = dev_about(v);
	char text[120] = "";
	uint64_t bytes;
	int rc = target_size(&v->target, &bytes);

	if (v->target.window)
		snprintf(text, sizeof(text), "it is a range of its backend, which stays as it is: attach it again with another range");
	else if (rc)
		snprintf(text, sizeof(text), "the size of its target cannot be read: %s", strerror(-rc));
	else if (bytes < v->target.bytes)
		snprintf(text, sizeof(text), "its target has become smaller (%llu bytes): a disk only grows", (unsigned long long)bytes);
	if (*text) {
		hv_log(HV_ERROR, &a, "not resized: %s", text);
		hv_writef(host(v), 0, text, "%s/error", v->at.admin);
		hv_writef(host(v), 0, "failed", "%s/resize", v->at.admin);
		return;
	}
	hv_log(HV_INFO, &a, "resized from %llu to %llu bytes", (unsigned long long)v->target.bytes, (unsigned long long)bytes);
	v->target.bytes = bytes;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes / HVDRV_SECTOR);
	m.resize.sectors = bytes / HVDRV_SECTOR;
	/* the worker first: it must take what the guest may send once it knows */
	link_send(v->dom->worker, &m, -1, ignored, NULL);
	hv_writef(host(v), 0, text, "%s/limits/sectors", v->at.back);
	dev_set_state(v, HV_XB_CONNECTED);		/* written again: the guest looks at the limits */
	hv_writef(host(v), 0, "done", "%s/resize", v->at.admin);
}

/* `want` was written: the mode that an admin wishes. One try; what becomes of it is in the record. */
static void follow_want(struct dev *v)
{
	struct hv_about a = dev_about(v);
	struct hv_err e = { 0 };
	char *want;

	if (!v->wanted || v->phase != DEV_LIVE || v->retarget || v->revoking)
		return;
	v->wanted = false;
	path_follow(v);
	want = hv_readf(host(v), 0, "%s/want", v->at.admin);
	if (!want || policy_told(v, want) || !strcmp(want, v->mode)) {
		free(want);
		return;
	}
	if (hv_mode_check(want, &e))
		hv_log(HV_WARN, &a, "want is ignored: %s", e.text);
	else if (retarget_start(v, want, "admin", hv_read_u64(host(v), 0, INT64_MAX, "%s/deadline-ns", v->at.admin), &e))
		hv_log(HV_WARN, &a, "no switch to %s: %s", want, e.text);
	free(want);
}

static void read_request(struct dev *v)
{
	char *r = hv_readf(host(v), 0, "%s/request", v->at.admin);

	if (!r)
		return;
	hv_rmf(host(v), 0, "%s/request", v->at.admin);
	if (!strcmp(r, "detach")) {
		v->detach = true;
		if (v->policy.revoked)
			revoke_say(v);		/* the toolstack has written another word */
	} else if (!strcmp(r, "detach-force")) {
		v->detach = v->force = true;
	} else if (!strcmp(r, "resize") && v->phase == DEV_LIVE) {
		do_resize(v);
	} else if (!strcmp(r, "refresh")) {
		dev_refresh(v);
	}
	free(r);
}

/* ---- the steps ---- */

/* The target is open, and nobody objects: on to the guest. */
static void target_opened(struct dev *v, bool connected)
{
	if (v->params.size) {			/* made: from now on it is used as it is */
		char text[1400];

		v->params.size = 0;
		hv_params_print(&v->params, text, sizeof(text));
		hv_writef(host(v), 0, text, "%s/params", v->at.admin);
	}
	hv_writef(host(v), 0, v->target.buffered ? "buffered" : "direct", "%s/cache", v->at.admin);
	v->resumed = connected;
	if (connected) {
		dev_connect(v);
		return;
	}
	v->phase = DEV_WAITING;
	dev_status(v, "waiting-for-guest");
	dev_set_state(v, HV_XB_INIT_WAIT);
	dev_reconcile(v);
}

/* Nothing of it is shown to its guest before the guest that has the target alone shares it. */
static void let_in(struct dev *v)
{
	struct hv_err e = { 0 };

	if (!policy_lets_in(v)) {
		if (v->phase != DEV_JOINING)
			dev_status(v, "joining");
		v->phase = DEV_JOINING;
	} else if (dev_publish_limits(v, &e)) {
		dev_fail(v, &e);
	} else {
		if (v->phase == DEV_JOINING)
			hv_rmf(host(v), 0, "%s/error", v->at.admin);	/* why it took so long */
		target_opened(v, false);
	}
}

static void open_target(struct dev *v, enum hv_xenbus_state back, enum hv_xenbus_state guest)
{
	struct hv_err e = { 0 };
	bool connected = back == HV_XB_CONNECTED && guest == HV_XB_CONNECTED;
	bool fresh = !connected && guest <= HV_XB_INITIALISING;
	int rc = target_open_beside(&v->params, fresh, own_claim(v), &v->target, &e);

	if (!rc)
		rc = check_conflicts(v, &e);
	policy_poke(v->dom->d);			/* who was alone is not any more */
	if (rc && connected)
		dev_end(v, &e);
	else if (rc)
		dev_fail(v, &e);
	else if (connected)
		target_opened(v, true);
	else
		let_in(v);
}

/* The guest's own reason why it does not offer a slot. */
static bool guest_refuses(struct dev *v, struct hv_err *e)
{
	char *s = hv_readf(host(v), 0, "%s/error", v->at.front);
	bool refuses = s && *s;

	if (refuses)
		hv_err(e, EREMOTEIO, "the guest says: %.200s", s);
	free(s);
	return refuses;
}

static void start_detach(struct dev *v, enum hv_xenbus_state guest)
{
	switch (v->phase) {
	case DEV_LIVE:
		if (v->policy.revoked && !v->force)
			break;			/* it could not end what it has begun; when it lets go it is served, and closes */
		begin_close(v);
		dev_reconcile(v);	/* a guest may have closed before its worker ended in the midst of it */
		break;
	case DEV_NEW: case DEV_JOINING: case DEV_WAITING: case DEV_GENERATING: case DEV_FAILED:
		if (guest == HV_XB_INITIALISED || guest == HV_XB_CONNECTED || guest == HV_XB_CLOSING)
			begin_close(v);		/* it has granted memory: it is told to let go */
		else
			detached(v);
		break;
	case DEV_QUEUED:
		if (!v->force || !v->resumed)
			break;
		dev_unserve(v);			/* a guest that stays in its driver, a target that does not answer: taken away */
		begin_close(v);
		break;
	default:
		break;				/* under way, or looked at again when the step has ended */
	}
}

/* New, or released by a guest that went down. */
static void while_gone(struct dev *v, enum hv_xenbus_state guest)
{
	uint64_t ours = hv_read_u64(host(v), 0, HV_XB_CLOSED, "%s/state", v->at.back);

	if (ours == HV_XB_CLOSING && guest == HV_XB_CLOSED)
		dev_set_state(v, HV_XB_CLOSED);
	else if (guest != HV_XB_CLOSED && !(ours == HV_XB_CLOSING && guest == HV_XB_CLOSING))
		open_target(v, ours, guest);
}

void dev_reconcile(struct dev *v)
{
	enum hv_xenbus_state guest = dev_guest_state(v);
	struct hv_err e = { 0 };

	read_request(v);
	follow_want(v);
	share_weigh(v);
	if (v->retarget || v->revoking)
		return;			/* looked at again when that has ended */
	if (v->detach && v->phase != DEV_CLOSING && v->phase != DEV_LEAVING) {
		start_detach(v, guest);
		return;
	}
	switch (v->phase) {
	case DEV_NEW:
		while_gone(v, guest);
		break;
	case DEV_JOINING:
		let_in(v);
		break;
	case DEV_WAITING:
		if (guest_refuses(v, &e))
			dev_fail(v, &e);
		else if (guest == HV_XB_INITIALISED)
			dev_connect(v);
		break;
	case DEV_GENERATING:
		dev_connect(v);
		break;
	case DEV_LIVE:
		if (guest == HV_XB_CLOSING || guest == HV_XB_CLOSED) {
			v->guest_closed = guest == HV_XB_CLOSED;
			drain(v);
		}
		break;
	case DEV_CLOSING:
		while_closing(v, guest);
		break;
	case DEV_LEAVING:
		if (guest == HV_XB_INITIALISING || guest == HV_XB_UNKNOWN)
			detached(v);
		break;
	case DEV_QUEUED: case DEV_STARTING: case DEV_DRAINING: case DEV_FAILED:
		break;
	}
}

/* An error ends a device that the guest has offered memory for: it is told, and lets go. */
void dev_end(struct dev *v, const struct hv_err *e)
{
	struct wire_msg del = { .type = WIRE_DEL, .dev = v->id.id };
	bool with_worker = v->phase == DEV_LIVE || v->phase == DEV_STARTING;

	if (v->slot.code && v->phase != DEV_LIVE && !v->resumed)
		hv_slot_wipe(&v->slot);		/* nobody was told of the driver yet */
	if (with_worker && v->dom->worker)
		link_send(v->dom->worker, &del, -1, ignored, NULL);
	dev_fail(v, e);
	hv_writef(host(v), 0, "1", "%s/force", v->at.back);
	dev_set_state(v, HV_XB_CLOSED);
}

/* Its worker has ended, not by our word: another one goes on with what the guest waits for. */
static void serve_again(struct dev *v, bool quickly)
{
	struct hv_err e = { 0 };

	if (quickly) {
		hv_err(&e, EPIPE, "its worker has ended again and again: see hvdrvd's log; detach and attach it again");
		dev_end(v, &e);
		return;
	}
	v->resumed |= v->phase != DEV_STARTING;
	share_leave(v);			/* the connection was the worker's */
	if (!v->policy.revoked)
		dev_status(v, "recovering");
	dev_serve(v);
	policy_poke(v->dom->d);		/* others may wait for it */
}

void dev_worker_gone(struct dev *v, bool quickly)
{
	v->revoking = false;
	retarget_abort(v, true, "its worker has ended");
	switch (v->phase) {
	case DEV_QUEUED: case DEV_STARTING: case DEV_LIVE: case DEV_CLOSING:
		serve_again(v, quickly);
		break;
	case DEV_DRAINING:
		released(v);
		break;
	default:
		break;
	}
}

void dev_first_read(struct dev *v)
{
	if (v->phase != DEV_LIVE || v->answered)
		return;				/* a worker that says it late, or again */
	if (!v->policy.revoked)
		dev_status(v, "ready");
	policy_answered(v);
}

void dev_release(struct dev *v)
{
	struct hv_about a = dev_about(v);

	hv_log(HV_INFO, &a, "the guest has gone: released");
	retarget_abort(v, false, "the guest has gone");	/* before its record goes, or that would be made again */
	direct_leave(v);
	remove_nodes(v);
	dev_free(v);
}
