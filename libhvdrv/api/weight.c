// SPDX-License-Identifier: LGPL-2.1-only
/* A weight is asked for through the key `weight`; hvdrvd has it in `params` when it is in force. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "api/priv.h"

/* 0 with p; -ENOENT: the device has gone. */
static int read_params(struct hv_waiter *w, struct hv_params *p)
{
	char *text = hv_wait_key(w, "params");
	int rc = text ? hv_params_parse(text, p, &w->h->e) : hv_err(&w->h->e, ENOENT, "it was detached meanwhile");

	free(text);
	return rc;
}

static int wait_weight(struct hv_waiter *w, unsigned int weight, unsigned int timeout)
{
	struct hv_params p;
	int rc = 0;

	for (;;) {
		int gone = read_params(w, &p);

		if (gone || p.weight == weight)
			return gone;
		if (hv_read_u64(w->h->host, 0, UINT32_MAX, "%s/weight", w->at.admin) != weight)
			return hv_err(&w->h->e, ECANCELED, "another weight was set meanwhile: see `hvdrv show`");
		if (rc == -EINTR)
			return hv_err(&w->h->e, EINTR, "interrupted: the weight may change yet, see `hvdrv show`");
		if (rc)
			return hv_err(&w->h->e, ETIMEDOUT, "the weight did not change within %u s: see hvdrvd's log", timeout);
		rc = hv_wait_change(w);
	}
}

static int set_weight(struct hv_waiter *w, unsigned int weight, unsigned int timeout)
{
	struct hv_params p;
	char text[16];
	int rc = read_params(w, &p);

	if (rc)
		return rc;
	if (!p.depth)
		return hv_err(&w->h->e, EINVAL, "it has no weight: attach it, and all others on its backend, with depth=N");
	snprintf(text, sizeof(text), "%u", weight);
	rc = hv_writef(w->h->host, 0, text, "%s/weight", w->at.admin);
	return rc ? hv_err(&w->h->e, -rc, "xenstore: %s", strerror(-rc)) : wait_weight(w, weight, timeout);
}

int hvdrv_weight(struct hvdrv *h, const char *domain, const char *name, unsigned int weight, unsigned int timeout)
{
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc;

	if (!weight || weight > HV_WEIGHT_MAX)
		return hv_err(&h->e, EINVAL, "weight %u: must be a number from 1 to %u", weight, HV_WEIGHT_MAX);
	rc = hv_api_find(h, domain, name, &id);
	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout, NULL);
	rc = set_weight(&w, weight, timeout);
	hv_wait_end(&w);
	return rc;
}
