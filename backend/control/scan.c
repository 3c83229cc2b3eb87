// SPDX-License-Identifier: GPL-2.0-only
/*
 * xenstore's events. Which domains and devices there are is always read from xenstore itself; an event only says
 * where to look.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/record.h"
#include "daemon.h"
#include "util/str.h"

#define EVENTS 256		/* taken before what they are about is looked at: a guest may make new ones all the time */

struct dom *dom_find(struct daemon *d, uint32_t domid)
{
	struct dom *dom;

	TAILQ_FOREACH(dom, &d->doms, link)
		if (dom->domid == domid)
			return dom;
	return NULL;
}

struct dev *dev_find(struct dom *dom, uint32_t id)
{
	struct dev *v;

	TAILQ_FOREACH(v, &dom->devs, link)
		if (v->id.id == id)
			return v;
	return NULL;
}

/* ---- the worker's events ---- */

static void on_worker_event(struct dom *dom, const struct wire_msg *m)
{
	struct dev *v = dev_find(dom, m->dev);
	struct hv_err e = { 0 };

	if (!v)
		return;
	if (m->type == WIRE_EV_FIRST_READ) {
		dev_first_read(v);
	} else if (m->type == WIRE_EV_FAILED && v->phase == DEV_LIVE) {
		hv_err(&e, EPROTO, "the guest damaged its queue (%s): the device is ended", hv_reject_name(m->error.reject));
		dev_end(v, &e);
	}
}

static void on_worker_gone(struct dom *dom)
{
	bool quickly = !link_quitting(dom->worker) && dom_worker_dies_quickly(dom);
	struct dev *v, *next;

	dom->worker = NULL;
	if (dom->d->stopping) {
		scan_stop(dom->d);
		return;
	}
	TAILQ_FOREACH_SAFE(v, &dom->devs, link, next)
		dev_worker_gone(v, quickly);
	dom_check_empty(dom);
}

const struct link_events dom_link_events = { .event = on_worker_event, .gone = on_worker_gone };

/* ---- domains ---- */

static struct dom *dom_new(struct daemon *d, uint32_t domid, const char *uuid)
{
	struct dom *dom = calloc(1, sizeof(*dom));

	if (!dom)
		return NULL;
	dom->d = d;
	dom->domid = domid;
	memcpy(dom->uuid, uuid, sizeof(dom->uuid));
	dom->name = hv_domain_name(d->host, domid);
	if (!dom->name)
		dom->name = strdup("?");
	TAILQ_INIT(&dom->devs);
	TAILQ_INSERT_TAIL(&d->doms, dom, link);
	return dom;
}

/* A domain without devices needs no worker; one that is gone needs nothing. */
void dom_check_empty(struct dom *dom)
{
	if (!TAILQ_EMPTY(&dom->devs))
		return;
	if (dom->worker) {
		link_quit(dom->worker);		/* on_worker_gone() comes back here */
		return;
	}
	if (!dom->dying && !dom->d->stopping)
		return;
	TAILQ_REMOVE(&dom->d->doms, dom, link);
	dom_os_free(dom);
	free(dom->name);
	free(dom);
}

static void attach_record(void *arg, const struct hv_params *p)
{
	struct dom *dom = arg;
	struct hv_about a = { dom->domid, dom->name, p->name };
	struct hv_dev_id id = { .domid = dom->domid };
	struct hv_err e = { 0 };

	if (hv_device_create(dom->d->host, p, &id, &e) && e.code != EEXIST)
		hv_log(HV_ERROR, &a, "the recorded device is not attached: %s", e.text);
}

/* Devices that were recorded for this guest, each time a domain with its UUID appears. */
static void attach_recorded(struct dom *dom)
{
	struct hv_about a = { dom->domid, dom->name, NULL };
	struct hv_err e = { 0 };

	if (dom->recorded)
		return;
	dom->recorded = true;
	if (hv_record_each(dom->d->opt.state, dom->uuid, attach_record, dom, &e))
		hv_log(HV_ERROR, &a, "its recorded devices are not attached: %s", e.text);
}

static void scan_devices(struct dom *dom);

/* NULL: it is not there any more. */
static struct dom *dom_seen(struct daemon *d, uint32_t domid)
{
	struct hv_domain info;
	char uuid[HV_UUID_LEN + 1];
	struct dom *dom = dom_find(d, domid);

	if (dom || d->host->ops->domain(d->host, domid, &info) || info.dying || hv_domain_uuid(d->host, domid, uuid))
		return dom;
	return dom_new(d, domid, uuid);
}

static void scan_domain(struct daemon *d, uint32_t domid)
{
	struct dom *dom = dom_seen(d, domid);

	if (!dom)
		return;
	attach_recorded(dom);
	scan_devices(dom);
}

static void each_domain(struct daemon *d, const char *dir, void (*fn)(struct daemon *d, uint32_t domid))
{
	unsigned int n;
	char **ids = hv_listf(d->host, &n, "%s", dir);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t id;

		if (!hv_str_u64(ids[i], 32767, &id) && id)
			fn(d, id);
	}
	free(ids);
}

/* Domains that have gone: everything that they were given is released. */
static void release_gone(struct daemon *d)
{
	struct dom *dom, *ndom;
	struct dev *v, *next;
	struct hv_domain info;

	TAILQ_FOREACH_SAFE(dom, &d->doms, link, ndom) {
		if (!d->host->ops->domain(d->host, dom->domid, &info) && !info.dying)
			continue;
		dom->dying = true;
		if (TAILQ_EMPTY(&dom->devs)) {
			dom_check_empty(dom);
			continue;
		}
		TAILQ_FOREACH_SAFE(v, &dom->devs, link, next)
			dev_release(v);
	}
}

/* ---- devices ---- */

static void scan_device(void *arg, uint32_t id)
{
	struct dom *dom = arg;
	struct dev *v = dev_find(dom, id);

	if (v)
		return;
	v = dev_new(dom, id);
	if (v)
		dev_reconcile(v);
}

static void scan_devices(struct dom *dom)
{
	hv_device_each(dom->d->host, dom->domid, scan_device, dom);
}

/* After a restart, those that their guests use: what a guest has for itself must be known before another is let in. */
static void scan_connected(void *arg, uint32_t id)
{
	struct dom *dom = arg;

	if (hv_read_u64(dom->d->host, 0, HV_XB_CLOSED, HV_BACK "/%u/%u/state", dom->domid, id) == HV_XB_CONNECTED)
		scan_device(dom, id);
}

static void take_up_domain(struct daemon *d, uint32_t domid)
{
	struct dom *dom = dom_seen(d, domid);

	if (dom)
		hv_device_each(d->host, domid, scan_connected, dom);
}

/* Nodes of a domain that went while no hvdrvd ran. */
static void remove_stale(void *arg, uint32_t id)
{
	struct dom *dom = arg;
	struct hv_dev_id stale = { .domid = dom->domid, .id = id };

	hv_log(HV_INFO, NULL, "domain %u has gone: the keys of its device %u are removed", dom->domid, id);
	hv_rmf(dom->d->host, 0, HV_BACK "/%u/%u", stale.domid, stale.id);
}

static void sweep_domain(struct daemon *d, uint32_t domid)
{
	struct dom ghost = { .d = d, .domid = domid };

	if (dom_find(d, domid))
		return;
	hv_device_each(d->host, domid, remove_stale, &ghost);
	hv_rmf(d->host, 0, HV_BACK "/%u", domid);
}

/* ---- events ---- */

static void on_front(struct daemon *d, const char *path)
{
	struct dom *dom;
	struct dev *v;
	unsigned int domid, id;

	if (sscanf(path, "/local/domain/%u/device/hvdrv/%u", &domid, &id) != 2)
		return;
	dom = dom_find(d, domid);
	v = dom ? dev_find(dom, id) : NULL;
	if (v)
		v->touched = true;
}

static void on_admin(struct daemon *d, const char *path)
{
	char uuid[HV_UUID_LEN + 1];
	struct dom *dom;
	struct dev *v;
	unsigned int id;

	if (sscanf(path, HV_ADMIN "/%36[0-9a-f-]/%u", uuid, &id) != 2 ||
	    (!strstr(path, "/request") && !strstr(path, "/want") && !strstr(path, "/weight")))
		return;
	TAILQ_FOREACH(dom, &d->doms, link) {
		if (strcmp(dom->uuid, uuid))
			continue;
		v = dev_find(dom, id);
		if (!v)
			return;
		v->wanted |= !!strstr(path, "/want");
		v->weigh |= !!strstr(path, "/weight");
		v->touched = true;
		return;
	}
}

/* Most of what changes here are keys that we write ourselves, of a device that is known: as many reads of the folder otherwise. */
static void on_back(struct daemon *d, const char *path)
{
	unsigned int domid, id;
	int n = sscanf(path, HV_BACK "/%u/%u", &domid, &id);
	struct dom *dom = n > 0 ? dom_find(d, domid) : NULL;

	if (n > 0 && !(n == 2 && dom && dev_find(dom, id)))
		scan_domain(d, domid);
}

static struct dev *touched(struct daemon *d)
{
	struct dom *dom;
	struct dev *v;

	TAILQ_FOREACH(dom, &d->doms, link)
		TAILQ_FOREACH(v, &dom->devs, link)
			if (v->touched)
				return v;
	return NULL;
}

/* A guest that publishes a dozen keys is looked at once, not a dozen times: xenstore is read for each look. */
static void on_store(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	struct dev *v;
	char *path;

	for (int n = 0; n < EVENTS && !d->stopping && (path = d->host->ops->next_event(d->host)); n++) {
		if (!strcmp(path, "@releaseDomain"))
			release_gone(d);
		else if (!strcmp(path, "@introduceDomain"))
			each_domain(d, "/local/domain", scan_domain);
		else if (!strncmp(path, HV_BACK "/", strlen(HV_BACK) + 1))
			on_back(d, path);
		else if (!strncmp(path, HV_ADMIN "/", strlen(HV_ADMIN) + 1))
			on_admin(d, path);
		else
			on_front(d, path);
		free(path);
	}
	while (!d->stopping && (v = touched(d))) {
		v->touched = false;
		dev_reconcile(v);		/* v may be gone, and others touched */
	}
}

void scan_all(struct daemon *d)
{
	each_domain(d, HV_BACK, take_up_domain);
	each_domain(d, "/local/domain", scan_domain);
	each_domain(d, HV_BACK, sweep_domain);
}

int scan_start(struct daemon *d, struct hv_err *e)
{
	static const char *const paths[] = { HV_BACK, HV_ADMIN, "@releaseDomain", "@introduceDomain" };
	const struct hv_perms nobody = { 0, -1 };
	int rc = d->host->ops->mkdir(d->host, 0, HV_ADMIN);

	if (!rc)
		rc = d->host->ops->set_perms(d->host, 0, HV_ADMIN, &nobody);
	if (!rc)
		rc = d->host->ops->mkdir(d->host, 0, HV_BACK);
	for (int i = 0; !rc && i < 4; i++)
		rc = d->host->ops->watch(d->host, paths[i]);
	if (rc)
		return hv_err(e, -rc, "xenstore: %s", strerror(-rc));
	d->store_event = event_new(d->base, d->host->ops->watch_fd(d->host), EV_READ | EV_PERSIST, on_store, d);
	event_add(d->store_event, NULL);
	recover_guests(d);		/* first: a worker is told what became of its guest's queues */
	link_sweep(d);
	recover_finish(d);
	direct_sweep(d);
	scan_all(d);
	return 0;
}

/*
 * hvdrvd ends: each worker finishes what it has begun and ends; the guests' requests wait in their rings until the
 * next hvdrvd serves them. Called again as each worker goes.
 */
void scan_stop(struct daemon *d)
{
	struct dom *dom, *ndom;
	struct dev *v, *next;
	bool busy = false;

	d->stopping = true;
	policy_stop(d);
	TAILQ_FOREACH_SAFE(dom, &d->doms, link, ndom) {
		TAILQ_FOREACH(v, &dom->devs, link)
			retarget_abort(v, true, "hvdrvd is stopping");
		if (dom->worker) {
			link_quit(dom->worker);
			busy = true;
			continue;
		}
		if (TAILQ_EMPTY(&dom->devs))
			dom_check_empty(dom);
		else
			TAILQ_FOREACH_SAFE(v, &dom->devs, link, next)
				dev_drop(v);
	}
	if (!busy)
		event_base_loopbreak(d->base);
}
