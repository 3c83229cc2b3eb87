// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <hvdrv/hvdrv.h>
#include "api/priv.h"
#include "core/record.h"
#include "util/log.h"

int hvdrv_open(struct hvdrv **out)
{
	struct hvdrv *h = *out = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->host = hv_host_store_open(&h->e);
	return h->host ? 0 : -h->e.code;
}

void hvdrv_close(struct hvdrv *h)
{
	if (!h)
		return;
	hv_host_close(h->host);
	free(h);
}

const char *hvdrv_error(const struct hvdrv *h)
{
	return h->e.text;
}

/* ---- waiting ---- */

/* Until the nodes are gone. */
static int wait_gone(struct hv_waiter *w)
{
	int rc = 0;

	for (;;) {
		char *s = hv_wait_key(w, "domid");

		if (!s)
			return 0;
		free(s);
		if (rc)
			return rc;
		rc = hv_wait_change(w);
	}
}

/* ---- attach ---- */

/* The guest that has the backend alone could not be made to share it. */
static void explain_joining(struct hv_waiter *w, unsigned int timeout)
{
	char *why = hv_wait_key(w, "error");

	hv_err(&w->h->e, ETIMEDOUT, "another guest has its device alone and did not come to share it within %u s%s%s: see `hvdrv show` of that "
	       "guest", timeout, why ? ": " : "", why ? why : "");
	free(why);
}

static int explain_timeout(struct hv_waiter *w, unsigned int timeout, int rc)
{
	char *status = hv_wait_key(w, "status"), *os = hv_readf(w->h->host, 0, "%s/os/type", w->at.front);
	struct hv_err *e = &w->h->e;

	if (rc == -EINTR)
		hv_err(e, EINTR, "interrupted: nothing was attached");
	else if (hv_is(status, "waiting-for-guest") && !os)
		hv_err(e, ETIMEDOUT, "the guest did not answer within %u s: its extension is missing; install hvdrv-guest-dkms in it and run "
		       "`modprobe hvdrv`", timeout);
	else if (hv_is(status, "joining"))
		explain_joining(w, timeout);
	else if (hv_is(status, "connected"))
		hv_err(e, ETIMEDOUT, "the guest's disk did not answer a read within %u s: see the guest's kernel log", timeout);
	else
		hv_err(e, ETIMEDOUT, "it was not ready within %u s (%s): see hvdrvd's log", timeout, status ? status : "new");
	free(status);
	free(os);
	return -e->code;
}

static int wait_ready(struct hv_waiter *w, unsigned int timeout)
{
	int rc = 0;

	for (;;) {
		char *status = hv_wait_key(w, "status"), *why = NULL;
		bool ready = hv_is(status, "ready"), failed = hv_is(status, "failed"), gone = !status;

		if (failed)
			why = hv_wait_key(w, "error");
		free(status);
		if (failed)
			hv_err(&w->h->e, hv_read_u64(w->h->host, EIO, 4095, "%s/error-code", w->at.admin), "%s",
			       why ? why : "it failed");
		else if (gone)
			hv_err(&w->h->e, EIO, "it was detached meanwhile, or the guest has gone");
		free(why);
		if (failed || gone)
			return -w->h->e.code;
		if (ready)
			return 0;
		if (rc)
			return explain_timeout(w, timeout, rc);
		rc = hv_wait_change(w);
	}
}

static void undo_attach(struct hv_waiter *w)
{
	struct hv_err keep = w->h->e;

	hv_writef(w->h->host, 0, "detach-force", "%s/request", w->at.admin);
	w->end_ns = hv_now_ns() + 20 * 1000000000ll;
	wait_gone(w);
	w->h->e = keep;
}

static void read_disk(struct hv_waiter *w, char disk[32])
{
	char *s = hv_readf(w->h->host, 0, "%s/disk", w->at.front);

	snprintf(disk, 32, "%s", s ? s : "");
	free(s);
}

static int attach(struct hvdrv *h, struct hv_dev_id *id, const struct hv_params *p, unsigned int timeout, char disk[32])
{
	struct hv_waiter w;
	int rc = hv_device_create(h->host, p, id, &h->e);

	if (rc)
		return rc;
	hv_wait_begin(&w, h, id, timeout, NULL);
	rc = wait_ready(&w, timeout);
	if (rc)
		undo_attach(&w);
	else
		read_disk(&w, disk);
	hv_wait_end(&w);
	return rc;
}

static int prepare(struct hvdrv *h, const char *domain, const char *name, const char *params, struct hv_dev_id *id,
		   struct hv_params *p)
{
	int rc = hv_params_parse(params, p, &h->e);
	char named[64];

	snprintf(named, sizeof(named), "name=%s", name);
	if (!rc && (strlen(name) > HVDRV_NAME_MAX || strchr(name, ',')))
		rc = hv_err(&h->e, EINVAL, "name %s: use up to %u letters, digits and . _ -", name, HVDRV_NAME_MAX);
	if (!rc) {
		struct hv_params only;

		snprintf(named, sizeof(named), "name=%s,class=block,backend=/x", name);
		rc = hv_params_parse(named, &only, &h->e);
		memcpy(p->name, only.name, sizeof(p->name));
	}
	if (!rc)
		rc = hv_domain_find(h->host, domain, &id->domid, &h->e);
	if (!rc)
		rc = hvdrv_ping(h);
	return rc ? rc : hv_domain_uuid(h->host, id->domid, id->uuid);
}

int hvdrv_attach(struct hvdrv *h, const char *domain, const char *name, const char *params, unsigned int timeout,
		 unsigned int flags, char disk[32])
{
	struct hv_dev_id id;
	struct hv_params p;
	struct hv_err keep;
	int rc = prepare(h, domain, name, params, &id, &p);

	if (rc)
		return rc;
	/* the record first: a full /var must leave nothing attached */
	if (flags & HVDRV_PERSIST) {
		struct hv_params recorded = p;

		recorded.size = 0;
		rc = hv_record_add(HV_STATE_DIR, id.uuid, "persist", &recorded, &h->e);
		if (rc)
			return rc;
	}
	rc = attach(h, &id, &p, timeout, disk);
	if (rc && (flags & HVDRV_PERSIST)) {
		keep = h->e;
		hv_record_remove(HV_STATE_DIR, id.uuid, p.name, &h->e);
		h->e = keep;
	}
	return rc;
}

/* ---- detach, resize ---- */

struct request {
	const char *dir, *what, *status;
};

static int put_request(struct hv_host *h, hv_txn t, void *arg)
{
	const struct request *r = arg;
	int rc = hv_writef(h, t, r->what, "%s/request", r->dir);

	if (!rc && r->status)
		rc = hv_writef(h, t, r->status, "%s/status", r->dir);
	return rc;
}

static int wait_detached(struct hv_waiter *w, unsigned int timeout)
{
	int rc = 0;

	for (;;) {
		char *status = hv_wait_key(w, "status");
		bool busy = hv_is(status, "in-use"), gone = !status;

		free(status);
		if (gone)
			return 0;
		if (busy)
			return hv_err(&w->h->e, EBUSY, "it is in use in the guest and goes on: unmount or close it there, or use --force");
		if (rc == -EINTR)
			return hv_err(&w->h->e, EINTR, "interrupted: it may still be detached");
		if (rc)
			return hv_err(&w->h->e, ETIMEDOUT, "the guest did not let go of it within %u s: look at the guest, or use --force", timeout);
		rc = hv_wait_change(w);
	}
}

int hvdrv_detach(struct hvdrv *h, const char *domain, const char *name, unsigned int timeout, unsigned int flags)
{
	struct request r = { .what = flags & HVDRV_FORCE ? "detach-force" : "detach", .status = "detach-requested" };
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc = hv_api_find(h, domain, name, &id);

	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout, NULL);
	r.dir = w.at.admin;
	rc = hv_transact(h->host, put_request, &r);
	rc = rc ? hv_err(&h->e, -rc, "xenstore: %s", strerror(-rc)) : wait_detached(&w, timeout);
	hv_wait_end(&w);
	if (!rc && (flags & HVDRV_PERSIST))
		rc = hv_record_remove(HV_STATE_DIR, id.uuid, name, &h->e);
	return rc;
}

static int wait_resized(struct hv_waiter *w, unsigned int timeout)
{
	int rc = 0;

	for (;;) {
		char *r = hv_wait_key(w, "resize"), *why;
		bool done = hv_is(r, "done"), failed = hv_is(r, "failed");

		free(r);
		if (done)
			return 0;
		if (failed) {
			why = hv_wait_key(w, "error");
			hv_err(&w->h->e, EIO, "not resized: %s", why ? why : "?");
			free(why);
			return -EIO;
		}
		if (rc)
			return hv_err(&w->h->e, -rc, "not resized within %u s: see hvdrvd's log", timeout);
		rc = hv_wait_change(w);
	}
}

int hvdrv_resize(struct hvdrv *h, const char *domain, const char *name, unsigned int timeout, uint64_t *bytes)
{
	struct request r = { .what = "resize" };
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc = hv_api_find(h, domain, name, &id);

	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout, NULL);
	hv_rmf(h->host, 0, "%s/resize", w.at.admin);
	r.dir = w.at.admin;
	rc = hv_transact(h->host, put_request, &r);
	rc = rc ? hv_err(&h->e, -rc, "xenstore: %s", strerror(-rc)) : wait_resized(&w, timeout);
	if (!rc)
		*bytes = hv_read_u64(h->host, 0, UINT64_MAX / 512, "%s/limits/sectors", w.at.back) * 512;
	hv_wait_end(&w);
	return rc;
}
