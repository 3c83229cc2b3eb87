// SPDX-License-Identifier: LGPL-2.1-only
#include <string.h>
#include "core/policy.h"

const char *hv_policy_mode(bool alone, bool direct)
{
	return !alone ? "virtual" : direct ? "direct" : "paravirtual";
}

/* The first moment at which it may switch; 0: it may at once. */
static int64_t not_before(const struct hv_policy *p, bool alone, int64_t hold_down_ns)
{
	int64_t since = 0;

	if (p->revoked)
		return p->ended_ns + HV_POLICY_RETRY_NS;
	if (p->failed && p->tries)
		return p->ended_ns + HV_POLICY_SOON_NS;
	if (p->failed || alone)
		since = p->ended_ns;
	if (alone && p->shared_ns > since)
		since = p->shared_ns;
	return since ? since + hold_down_ns : 0;
}

/* Has its guest kept others waiting for too long? */
static bool too_long(const struct hv_policy *p, int64_t now_ns)
{
	return !p->revoked && p->tries && (p->tries >= HV_POLICY_TRIES || now_ns - p->since_ns >= HV_POLICY_PATIENCE_NS);
}

static enum hv_policy_action later(const struct hv_policy *p, int64_t at, int64_t now_ns, int64_t *wait_ns)
{
	/* it is given up in time, whatever is waited for */
	if (p->tries && !p->revoked && at > p->since_ns + HV_POLICY_PATIENCE_NS)
		at = p->since_ns + HV_POLICY_PATIENCE_NS;
	*wait_ns = at - now_ns;
	return HV_POLICY_WAIT;
}

/* One that nobody serves is waited for as one that is tried in vain. */
static enum hv_policy_action decide_stuck(struct hv_policy *p, int64_t now_ns, int64_t *wait_ns)
{
	if (p->revoked)
		return HV_POLICY_STAY;
	if (!p->tries) {
		p->tries = 1;
		p->since_ns = now_ns;
	}
	return too_long(p, now_ns) ? HV_POLICY_REVOKE : later(p, INT64_MAX, now_ns, wait_ns);
}

static enum hv_policy_action decide_switch(struct hv_policy *p, bool alone, int64_t now_ns, int64_t hold_down_ns, int64_t *wait_ns)
{
	int64_t at = not_before(p, alone, hold_down_ns);

	if (too_long(p, now_ns))
		return HV_POLICY_REVOKE;
	if (at > now_ns)
		return later(p, at, now_ns, wait_ns);
	p->sharing = !alone;
	if (!p->tries)
		p->since_ns = now_ns;
	return HV_POLICY_SWITCH;
}

enum hv_policy_action hv_policy_decide(struct hv_policy *p, const struct hv_policy_view *v, int64_t now_ns, int64_t hold_down_ns,
				       int64_t *wait_ns)
{
	bool as_wished = !strcmp(v->mode, hv_policy_mode(v->alone, v->direct));
	/* out of hardware queues: for somebody who waits, as out of a disk that others have come to */
	bool hardware = !strcmp(v->mode, "direct"), leaves = hardware && !v->direct;

	if (!v->alone)
		p->shared_ns = now_ns;
	if (v->ready && p->revoked && (!p->automatic || as_wished))
		return HV_POLICY_RELEASE;
	if (!p->automatic)
		return HV_POLICY_STAY;
	if (v->alone || hardware)
		p->tries = 0;			/* nobody is kept waiting, or nobody can hold it: the guest has the controller */
	if (!v->ready)
		return v->stuck && !hardware && !v->alone && !as_wished ? decide_stuck(p, now_ns, wait_ns) : HV_POLICY_STAY;
	if (!as_wished)
		return decide_switch(p, v->alone && !leaves, now_ns, hold_down_ns, wait_ns);
	p->failed = false;
	p->tries = 0;
	return HV_POLICY_STAY;
}

void hv_policy_ended(struct hv_policy *p, enum hv_policy_outcome o, int64_t now_ns)
{
	p->failed = o != HV_POLICY_DONE;
	p->tries = o == HV_POLICY_KEPT && p->sharing ? p->tries + 1 : 0;
	p->ended_ns = now_ns;
}

void hv_policy_revoked(struct hv_policy *p, int64_t now_ns)
{
	p->revoked = true;
	p->revoked_ns = p->ended_ns = now_ns;
	p->tries = 0;
}

void hv_policy_released(struct hv_policy *p)
{
	p->revoked = p->failed = false;
	p->tries = 0;
}
