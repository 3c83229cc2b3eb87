// SPDX-License-Identifier: LGPL-2.1-only
/* A path is asked for through the key `want-path`; hvdrvd writes the one in force into `path`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "api/priv.h"

static int wait_path(struct hv_waiter *w, const char *path, unsigned int timeout)
{
	int rc = 0;

	for (;;) {
		char *now = hv_wait_key(w, "path");
		bool there = hv_is(now, path);

		free(now);
		if (there)
			return 0;
		if (rc == -EINTR)
			return hv_err(&w->h->e, EINTR, "interrupted: the path may still change, see `hvdrv show`");
		if (rc)
			return hv_err(&w->h->e, ETIMEDOUT, "the path did not change within %u s: see hvdrvd's log", timeout);
		rc = hv_wait_change(w);
	}
}

static int want_path(struct hv_waiter *w, const char *path, unsigned int timeout)
{
	struct hv_host *h = w->h->host;
	uint64_t pages = hv_read_u64(h, 0, HVDRV_MAX_POOL, "%s/pool-pages", w->at.admin);
	char *now = hv_wait_key(w, "path");
	bool served = now, direct = hv_is(now, "direct");
	int rc;

	free(now);
	if (!served)
		return hv_err(&w->h->e, EAGAIN, "the device is not served yet: see `hvdrv show`");
	if (!pages && hv_is(path, "pool"))
		return hv_err(&w->h->e, EREMOTEIO, "path pool: the guest has no pool: its hvdrv is older, was loaded with pool_pages=0, or "
			      "had no memory or grants for it");
	rc = hv_writef(h, 0, path, "%s/want-path", w->at.admin);
	if (rc)
		return hv_err(&w->h->e, -rc, "xenstore: %s", strerror(-rc));
	if (direct)
		return 0;		/* for when it is not any more, which is a switch */
	return wait_path(w, hv_is(path, "copy") || !pages ? "copy" : "pool", timeout);
}

int hvdrv_set_path(struct hvdrv *h, const char *domain, const char *name, const char *path, unsigned int timeout)
{
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc = hv_path_check(path, &h->e);

	if (!rc)
		rc = hv_api_find(h, domain, name, &id);
	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout, NULL);
	rc = want_path(&w, path, timeout);
	hv_wait_end(&w);
	return rc;
}
