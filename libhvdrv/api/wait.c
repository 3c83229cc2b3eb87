// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "api/priv.h"
#include "util/log.h"

static void drain_events(struct hvdrv *h)
{
	char *path;

	while ((path = h->host->ops->next_event(h->host)))
		free(path);
}

static void each_watch(struct hv_waiter *w, int (*what)(struct hv_host *h, const char *path))
{
	static const char *const all[] = { "", NULL };
	char path[sizeof(w->at.admin) + 64];

	for (const char *const *k = w->keys ? w->keys : all; *k; k++) {
		snprintf(path, sizeof(path), "%s%s%s", w->at.admin, **k ? "/" : "", *k);
		what(w->h->host, path);
	}
}

void hv_wait_begin(struct hv_waiter *w, struct hvdrv *h, const struct hv_dev_id *id, unsigned int seconds, const char *const *keys)
{
	w->h = h;
	w->keys = keys;
	w->end_ns = hv_now_ns() + seconds * 1000000000ll;
	hv_dev_paths(id, &w->at);
	each_watch(w, h->host->ops->watch);
}

void hv_wait_end(struct hv_waiter *w)
{
	each_watch(w, w->h->host->ops->unwatch);
	drain_events(w->h);
}

int hv_wait_change(struct hv_waiter *w)
{
	struct pollfd p = { .fd = w->h->host->ops->watch_fd(w->h->host), .events = POLLIN };
	int64_t left = w->end_ns - hv_now_ns();
	int r = left > 0 ? poll(&p, 1, left / 1000000 + 1) : 0;

	if (r < 0)
		return errno == EINTR ? -EINTR : -errno;
	if (!r)
		return -ETIMEDOUT;
	drain_events(w->h);
	return 0;
}

char *hv_wait_key(struct hv_waiter *w, const char *key)
{
	return hv_readf(w->h->host, 0, "%s/%s", w->at.admin, key);
}

int hv_api_find(struct hvdrv *h, const char *domain, const char *name, struct hv_dev_id *id)
{
	int rc = hv_domain_find(h->host, domain, &id->domid, &h->e);

	if (!rc)
		rc = hv_device_find(h->host, id->domid, name, id, &h->e);
	return rc ? rc : hvdrv_ping(h);
}
