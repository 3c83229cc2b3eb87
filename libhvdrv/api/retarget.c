// SPDX-License-Identifier: LGPL-2.1-only
/* A switch is asked for through the key `want`, or the request `refresh`; hvdrvd writes what became of it into retarget/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "api/ask.h"
#include "util/str.h"

/* where hvdrvd says that it is done with it */
static const char *const answers[] = { "retarget/result", "refresh", NULL };

struct wish {
	const char *dir, *mode;		/* mode NULL: the one that it has, with the driver that is best now */
	uint64_t deadline_ns;
};

static int put_wish(struct hv_host *h, hv_txn t, void *arg)
{
	const struct wish *w = arg;
	char text[24];
	int rc;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)w->deadline_ns);
	rc = hv_writef(h, t, text, "%s/deadline-ns", w->dir);
	if (rc)
		return rc;
	if (w->mode)
		return hv_writef(h, t, w->mode, "%s/want", w->dir);
	hv_rmf(h, t, "%s/refresh", w->dir);		/* what was said of the one before */
	return hv_writef(h, t, "refresh", "%s/request", w->dir);
}

/* The record of the last switch, all of it at one time: the next one overwrites it, a switch back at once. */
struct record {
	const char *dir;
	char *result, *who, *reason;
	struct hvdrv_switch sw;
};

static void forget(struct record *r)
{
	free(r->result);
	free(r->who);
	free(r->reason);
	r->result = r->who = r->reason = NULL;
}

static int read_record(struct hv_host *h, hv_txn t, void *arg)
{
	static const char *const numbers[] = { "seq", "freeze-ns", "stall-ns", "carried-ready", "carried-begun", "carried-done" };
	struct record *r = arg;
	uint64_t n[6];

	forget(r);
	r->result = hv_readf(h, t, "%s/retarget/result", r->dir);
	if (hv_is(r->result, "running"))
		return 0;
	r->who = hv_readf(h, t, "%s/retarget/who", r->dir);
	r->reason = hv_readf(h, t, "%s/retarget/reason", r->dir);
	for (int i = 0; i < 6; i++) {
		char *text = hv_readf(h, t, "%s/retarget/%s", r->dir, numbers[i]);

		if (!text || hv_str_u64(text, UINT64_MAX, &n[i]))
			n[i] = 0;
		free(text);
	}
	r->sw = (struct hvdrv_switch){ n[0], n[1], n[2], n[3], n[4], n[5] };
	return 0;
}

static bool is_revert(const struct record *r)
{
	return r->who && !strncmp(r->who, "revert-of:", 10);
}

static int switch_ended(struct hv_waiter *w, const struct record *r, struct hvdrv_switch *sw)
{
	*sw = r->sw;
	/* the record is that of a switch back: ours was not taken over, and is overwritten already */
	if (is_revert(r))
		return hv_err(&w->h->e, ECANCELED, "the guest did not take over its requests in time: %s", hv_is(r->result, "committed") ?
			      "it was switched back" : "it could not be switched back, see hvdrvd's log");
	if (hv_is(r->result, "committed"))
		return 0;
	return hv_err(&w->h->e, ECANCELED, "%s: %s", hv_is(r->result, "undone") ? "nothing was changed" : "the guest keeps the driver that it had",
		      r->reason && *r->reason ? r->reason : "see hvdrvd's log");
}

static bool in_force(struct hv_waiter *w, const char *mode)
{
	char *now = hv_readf(w->h->host, 0, "%s/mode", w->at.back), *path = hv_readf(w->h->host, 0, "%s/path", w->at.back);
	bool is = hv_is(hv_is(path, "direct") ? path : now, mode);	/* direct is told as a path */

	free(now);
	free(path);
	return is;
}

/* hvdrvd's answer to a refresh that is no switch. True: there is one, *rc tells. */
static bool look_at_refresh(struct hv_waiter *w, int *rc)
{
	char *said = hv_wait_key(w, "refresh"), *why;
	bool current = hv_is(said, "current"), failed = hv_is(said, "failed");

	free(said);
	if (current)
		*rc = 0;
	if (!failed)
		return current;
	why = hv_wait_key(w, "error");
	*rc = hv_err(&w->h->e, ECANCELED, "nothing was changed: %s", why ? why : "see hvdrvd's log");
	free(why);
	return true;
}

enum how { UNDER_WAY, LATE, OVER };

/* OVER: *rc tells how. LATE: the guest has not taken over, hvdrvd is about to switch back. mode NULL: a refresh. */
static enum how look_at_switch(struct hv_waiter *w, const char *mode, uint64_t before, struct hvdrv_switch *sw, int *rc)
{
	struct record r = { .dir = w->at.admin };
	enum how how = UNDER_WAY;
	bool running;

	hv_transact(w->h->host, read_record, &r);
	running = hv_is(r.result, "running");
	/* what policy had begun before it was told is not the answer */
	if (!running && r.sw.seq > before && !hv_is(r.who, "policy")) {
		how = hv_is(r.result, "unconfirmed") && !is_revert(&r) ? LATE : OVER;
		if (how == OVER)
			*rc = switch_ended(w, &r, sw);
	} else if (!mode) {
		how = look_at_refresh(w, rc) ? OVER : UNDER_WAY;
	} else if (!running && in_force(w, mode)) {		/* it was already, or policy has been there before */
		how = OVER;
		*rc = 0;
	}
	forget(&r);
	return how;
}

static int too_long(struct hv_waiter *w, int rc, bool late, unsigned int timeout)
{
	if (rc == -EINTR)
		return hv_err(&w->h->e, EINTR, "interrupted: the switch goes on, see `hvdrv show`");
	if (late)
		return hv_err(&w->h->e, ECANCELED, "the guest did not take over its requests in time, and is not switched back yet: see `hvdrv show`");
	return hv_err(&w->h->e, ETIMEDOUT, "the switch did not end within %u s: see hvdrvd's log", timeout);
}

static int wait_switched(struct hv_waiter *w, const char *mode, uint64_t before, unsigned int timeout, struct hvdrv_switch *sw)
{
	bool late = false;
	int rc = 0;

	for (;;) {
		enum how how = look_at_switch(w, mode, before, sw, &rc);

		if (how == OVER)
			return rc;
		late |= how == LATE;
		if (rc)
			return too_long(w, rc, late, timeout);
		rc = hv_wait_change(w);
	}
}

static int want(struct hv_waiter *w, const char *mode, uint64_t deadline_ns, unsigned int timeout, struct hvdrv_switch *sw)
{
	struct wish wish = { w->at.admin, mode, deadline_ns };
	uint64_t before = hv_read_u64(w->h->host, 0, UINT64_MAX, "%s/retarget/seq", w->at.admin);
	char *now = hv_readf(w->h->host, 0, "%s/mode", w->at.back);
	bool served = now;
	int rc;

	free(now);
	if (!served)
		return hv_err(&w->h->e, EAGAIN, "the device is not served yet: see `hvdrv show`");
	*sw = (struct hvdrv_switch){ 0 };
	rc = hv_transact(w->h->host, put_wish, &wish);
	if (rc)
		return hv_err(&w->h->e, -rc, "xenstore: %s", strerror(-rc));
	return mode && !strcmp(mode, "auto") ? 0 : wait_switched(w, mode, before, timeout, sw);
}

/* The device, and a mode that there is. */
static int find(struct hvdrv *h, const char *domain, const char *name, const char *mode, struct hv_dev_id *id)
{
	int rc = hv_mode_check(mode, &h->e);

	return rc ? rc : hv_api_find(h, domain, name, id);
}

int hvdrv_retarget(struct hvdrv *h, const char *domain, const char *name, const char *mode, uint64_t deadline_ns,
		   unsigned int timeout, struct hvdrv_switch *sw)
{
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc = find(h, domain, name, mode, &id);

	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout, answers);
	rc = want(&w, mode, deadline_ns, timeout, sw);
	hv_wait_end(&w);
	return rc;
}

int hvdrv_refresh(struct hvdrv *h, const char *domain, const char *name, uint64_t deadline_ns, unsigned int timeout, struct hvdrv_switch *sw)
{
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc = hv_api_find(h, domain, name, &id);

	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout, answers);
	rc = want(&w, NULL, deadline_ns, timeout, sw);
	hv_wait_end(&w);
	return rc;
}

/* ---- dry run: hvdrvd knows, xenstore does not ---- */

static int said(struct hvdrv *h, struct json_object *answer, char **says)
{
	struct json_object *text = NULL, *code = NULL;
	const char *line;

	json_object_object_get_ex(answer, "text", &text);
	json_object_object_get_ex(answer, "error", &code);
	line = text ? json_object_get_string(text) : "hvdrvd is of another version";
	if (code || !text)
		return hv_err(&h->e, code && json_object_get_int(code) > 0 ? json_object_get_int(code) : EPROTO, "%s", line);
	*says = strdup(line);
	return *says ? 0 : hv_err(&h->e, ENOMEM, "no memory");
}

int hvdrv_retarget_dry_run(struct hvdrv *h, const char *domain, const char *name, const char *mode, char **says)
{
	struct json_object *q, *a = NULL;
	struct hv_dev_id id;
	int rc = find(h, domain, name, mode, &id);

	if (rc)
		return rc;
	q = hv_api_question("dry-run");
	json_object_object_add(q, "domid", json_object_new_int(id.domid));
	json_object_object_add(q, "id", json_object_new_int(id.id));
	json_object_object_add(q, "mode", json_object_new_string(mode));
	rc = hv_api_ask(h, q, HV_API_LIMIT, &a);
	if (!rc)
		rc = said(h, a, says);
	json_object_put(a);
	return rc;
}
