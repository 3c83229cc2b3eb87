/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the public functions share: the handle, and waiting for a device's keys to change. */
#ifndef HV_API_PRIV_H
#define HV_API_PRIV_H

#include <string.h>
#include <hvdrv/hvdrv.h>
#include "core/keys.h"

struct hvdrv {
	struct hv_host *host;
	struct hv_err e;
};

struct hv_waiter {
	struct hvdrv *h;
	struct hv_dev_paths at;
	const char *const *keys;
	int64_t end_ns;
};

/* keys: those in the admin's folder that are waited for, up to NULL; NULL: all of them. A switch writes forty, each an event */
void hv_wait_begin(struct hv_waiter *w, struct hvdrv *h, const struct hv_dev_id *id, unsigned int seconds, const char *const *keys);
void hv_wait_end(struct hv_waiter *w);
int hv_wait_change(struct hv_waiter *w);	/* until something changes: 0; -ETIMEDOUT; -EINTR */
char *hv_wait_key(struct hv_waiter *w, const char *key);	/* in the admin's folder; malloc'ed */

/* The device, if hvdrvd is there to do something with it. 0 or -errno. */
int hv_api_find(struct hvdrv *h, const char *domain, const char *name, struct hv_dev_id *id);

static inline bool hv_is(const char *s, const char *word)
{
	return s && !strcmp(s, word);
}

#endif
