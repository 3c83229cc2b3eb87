// SPDX-License-Identifier: GPL-2.0-only
/* A device's driver is replaced by the one that would be chosen for it today, in the same mode. */
#include <errno.h>
#include <string.h>
#include "core/trust.h"
#include "daemon.h"

/* 0: there is one, *same tells whether it is the one that the guest has, by the same word; -EINPROGRESS: one is made. */
static int look(struct dev *v, bool *same, struct hv_err *e)
{
	struct hv_image img;
	char id[65], key[33];
	int rc = dev_find_image(v, v->mode, &img, id, e);

	if (rc)
		return rc;
	/* another who has signed the same code: what the first one has signed is not what the guest runs from then on */
	hv_key_fingerprint(img.h.key, key);
	*same = !strcmp(id, v->image_id) && !strcmp(key, v->signer.key);
	hv_image_free(&img);
	return 0;
}

static int begin(struct dev *v, bool *same, struct hv_err *e)
{
	int rc = retarget_check(v, e);

	if (rc)
		return rc;
	if (v->policy.revoked || v->revoking)
		return hv_err(e, EBUSY, "the device is held until its guest lets go of its driver");
	if (direct_is(v))
		return hv_err(e, EBUSY, "its driver is at hardware queues: switch it to paravirtual, and back with --path direct");
	rc = look(v, same, e);
	if ((rc && rc != -EINPROGRESS) || (!rc && *same))
		return rc;
	return retarget_start(v, v->mode, "admin", hv_read_u64(v->dom->d->host, 0, INT64_MAX, "%s/deadline-ns", v->at.admin), e);
}

void dev_refresh(struct dev *v)
{
	struct hv_host *h = v->dom->d->host;
	struct hv_about a = dev_about(v);
	struct hv_err e = { 0 };
	bool same = false;

	if (begin(v, &same, &e)) {
		hv_log(HV_WARN, &a, "its driver is not replaced by another of this mode: %s", e.text);
		hv_writef(h, 0, e.text, "%s/error", v->at.admin);
		hv_writef(h, 0, "failed", "%s/refresh", v->at.admin);
	} else if (same) {
		hv_writef(h, 0, "current", "%s/refresh", v->at.admin);
	}
}
