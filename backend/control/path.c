// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a device's data moves: by the pool, or by grant copy. The guest's stub chooses for each request what its pages
 * are, and the worker takes either at any time; so a change is a word to the stub, and nothing is waited for or lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon.h"

static struct hv_host *host(const struct dev *v)
{
	return v->dom->d->host;
}

void path_settle(struct dev *v)
{
	char *want = hv_readf(host(v), 0, "%s/want-path", v->at.admin);
	const char *wish = want ? want : v->params.path;

	snprintf(v->path, sizeof(v->path), "%s", direct_is(v) ? "direct" : v->pool_pages && strcmp(wish, "copy") ? "pool" : "copy");
	free(want);
}

int path_publish(struct hv_host *h, hv_txn t, void *arg)
{
	const struct dev *v = arg;
	char pages[16];
	int rc;

	snprintf(pages, sizeof(pages), "%u", v->pool_pages);
	rc = hv_writef(h, t, v->path, "%s/path", v->at.back);
	if (!rc)
		rc = hv_writef(h, t, pages, "%s/pool-pages", v->at.admin);
	return rc ? rc : hv_writef(h, t, v->path, "%s/path", v->at.admin);
}

void path_follow(struct dev *v)
{
	struct hv_about a = dev_about(v);
	char was[sizeof(v->path)], *now;
	int rc;

	memcpy(was, v->path, sizeof(was));
	path_settle(v);
	now = hv_readf(host(v), 0, "%s/path", v->at.back);
	if (now && !strcmp(now, v->path)) {
		free(now);
		return;
	}
	free(now);
	rc = hv_transact(host(v), path_publish, v);
	if (rc) {
		hv_log(HV_ERROR, &a, "the path %s cannot be written to xenstore: %s", v->path, strerror(-rc));
		memcpy(v->path, was, sizeof(was));
		return;
	}
	dev_set_state(v, HV_XB_CONNECTED);		/* written again: the guest looks */
	hv_log(HV_INFO, &a, "path %s", v->path);
}
