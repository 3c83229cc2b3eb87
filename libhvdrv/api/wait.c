// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include "api/priv.h"
#include "util/log.h"

static void drain_events(struct hvdrv *h)
{
	char *path;

	while ((path = h->host->ops->next_event(h->host)))
		free(path);
}

void hv_wait_begin(struct hv_waiter *w, struct hvdrv *h, const struct hv_dev_id *id, unsigned int seconds)
{
	w->h = h;
	w->end_ns = hv_now_ns() + seconds * 1000000000ll;
	hv_dev_paths(id, &w->at);
	h->host->ops->watch(h->host, w->at.admin);
}

void hv_wait_end(struct hv_waiter *w)
{
	w->h->host->ops->unwatch(w->h->host, w->at.admin);
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
