// SPDX-License-Identifier: LGPL-2.1-only
/* A switch is asked for through the key `want`; hvdrvd writes what became of it into retarget/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "api/priv.h"

struct wish {
	const char *dir, *mode;
	uint64_t deadline_ns;
};

static int put_wish(struct hv_host *h, hv_txn t, void *arg)
{
	const struct wish *w = arg;
	char text[24];
	int rc;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)w->deadline_ns);
	rc = hv_writef(h, t, text, "%s/deadline-ns", w->dir);
	return rc ? rc : hv_writef(h, t, w->mode, "%s/want", w->dir);
}

static uint64_t record_number(struct hv_waiter *w, const char *key)
{
	return hv_read_u64(w->h->host, 0, UINT64_MAX, "%s/retarget/%s", w->at.admin, key);
}

static int switch_ended(struct hv_waiter *w, const char *result, struct hvdrv_switch *sw)
{
	char *why;

	*sw = (struct hvdrv_switch){
		record_number(w, "seq"), record_number(w, "freeze-ns"), record_number(w, "stall-ns"), record_number(w, "carried-ready"),
		record_number(w, "carried-begun"), record_number(w, "carried-done")
	};
	if (hv_is(result, "committed"))
		return 0;
	why = hv_wait_key(w, "retarget/reason");
	hv_err(&w->h->e, ECANCELED, "%s: %s", hv_is(result, "undone") ? "nothing was changed" : "it is switched back",
	       why && *why ? why : "see hvdrvd's log");
	free(why);
	return -ECANCELED;
}

static int wait_switched(struct hv_waiter *w, uint64_t before, unsigned int timeout, struct hvdrv_switch *sw)
{
	int rc = 0;

	for (;;) {
		char *result = record_number(w, "seq") > before ? hv_wait_key(w, "retarget/result") : NULL;
		bool ended = result && !hv_is(result, "running");

		if (ended)
			rc = switch_ended(w, result, sw);
		free(result);
		if (ended)
			return rc;
		if (rc == -EINTR)
			return hv_err(&w->h->e, EINTR, "interrupted: the switch goes on, see `hvdrv show`");
		if (rc)
			return hv_err(&w->h->e, ETIMEDOUT, "the switch did not end within %u s: see hvdrvd's log", timeout);
		rc = hv_wait_change(w);
	}
}

static int want(struct hv_waiter *w, const char *mode, uint64_t deadline_ns, unsigned int timeout, struct hvdrv_switch *sw)
{
	struct wish wish = { w->at.admin, mode, deadline_ns };
	uint64_t before = record_number(w, "seq");
	char *now = hv_readf(w->h->host, 0, "%s/mode", w->at.back);
	bool already = hv_is(now, mode), served = now;
	int rc;

	free(now);
	if (!served)
		return hv_err(&w->h->e, EAGAIN, "the device is not served yet: see `hvdrv show`");
	*sw = (struct hvdrv_switch){ 0 };
	rc = hv_transact(w->h->host, put_wish, &wish);
	if (!rc && already)
		return 0;
	return rc ? hv_err(&w->h->e, -rc, "xenstore: %s", strerror(-rc)) : wait_switched(w, before, timeout, sw);
}

int hvdrv_retarget(struct hvdrv *h, const char *domain, const char *name, const char *mode, uint64_t deadline_ns,
		   unsigned int timeout, struct hvdrv_switch *sw)
{
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc;

	if (strcmp(mode, "virtual") && strcmp(mode, "paravirtual"))
		return hv_err(&h->e, EINVAL, "there is no mode \"%s\": virtual, paravirtual", mode);
	rc = hv_api_find(h, domain, name, &id);
	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout);
	rc = want(&w, mode, deadline_ns, timeout, sw);
	hv_wait_end(&w);
	return rc;
}
