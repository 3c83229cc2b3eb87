// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that does not let go of its device, so that others cannot share it, is revoked: its worker holds the device as in a switch,
 * which has no end until the guest lets go. What the host does rests on that alone, not on anything that the guest could write.
 * Policy tries the switch on (policy.c); the guest's requests wait, and the switch carries them.
 */
#include <errno.h>
#include <string.h>
#include "daemon.h"

static struct hv_host *host(const struct dev *v)
{
	return v->dom->d->host;
}

void revoke_say(struct dev *v)
{
	dev_status_why(v, "held", v->policy_why.text);
}

/* As a switch that has failed for good. */
static void record(struct dev *v)
{
	struct switch_note n = {
		.seq = hv_read_u64(host(v), 0, UINT64_MAX - 1, "%s/retarget/seq", v->at.admin) + 1, .who = "policy", .from = v->mode,
		.to = hv_policy_mode(false, false), .result = HV_RT_REVOKED, .reason = v->policy_why.text,
		.signer = &v->signer
	};

	note_begin(v, &n);
	note_end(v, &n, HV_WARN);
}

static void held(struct dev *v)
{
	hv_policy_revoked(&v->policy, hv_now_ns());
	record(v);
	hv_writef(host(v), 0, v->policy_why.text, "%s/error", v->at.admin);
	revoke_say(v);
	policy_poke(v->dom->d);
}

static void on_held(void *arg, const struct wire_msg *m)
{
	struct dev *v = arg;
	struct hv_about a = dev_about(v);

	v->revoking = false;
	if (m && m->type == WIRE_HELD) {
		held(v);
	} else {
		hv_policy_ended(&v->policy, HV_POLICY_FAILED, hv_now_ns());
		if (m)
			hv_log(HV_ERROR, &a, "the worker cannot hold it: %.*s", (int)sizeof(m->error.text), m->error.text);
	}
	if (m)
		dev_reconcile(v);	/* what was put off meanwhile */
}

void revoke_begin(struct dev *v)
{
	struct wire_msg m = { .type = WIRE_HOLD, .dev = v->id.id };

	if (v->phase != DEV_LIVE) {
		hv_err(&v->policy_why, ETIMEDOUT, "its worker has ended, and the guest does not let another one take over");
		held(v);		/* nobody serves it: so it stays */
		return;
	}
	v->revoking = true;
	if (link_send(v->dom->worker, &m, -1, on_held, v))
		on_held(v, NULL);	/* it is about to be found dead */
}

static void ignored(void *arg, const struct wire_msg *m)
{
}

void revoke_kept(struct dev *v)
{
	struct wire_msg m = { .type = WIRE_HOLD, .dev = v->id.id };

	link_send(v->dom->worker, &m, -1, ignored, NULL);
}

void revoke_over(struct dev *v)
{
	struct hv_about a = dev_about(v);

	hv_policy_released(&v->policy);
	hv_log(HV_INFO, &a, "its guest has let go: served again after %lld ms", (long long)(hv_now_ns() - v->policy.revoked_ns) / 1000000);
	hv_rmf(host(v), 0, "%s/error", v->at.admin);
	dev_status(v, "ready");
}

void revoke_release(struct dev *v)
{
	struct wire_msg m = { .type = WIRE_GO, .dev = v->id.id };

	link_send(v->dom->worker, &m, -1, ignored, NULL);
	revoke_over(v);
}
