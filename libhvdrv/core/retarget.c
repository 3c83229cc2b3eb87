// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <string.h>
#include "core/retarget.h"

struct step {
	enum hv_rt_state next;
	enum hv_rt_action action;
};

#define IGNORED { HV_RT_STATES, HV_RT_NONE }

static const struct step table[HV_RT_STATES][HV_RT_EVENTS] = {
	/*                  START, OK, BUSY, FAILED */
	[HV_RT_IDLE] =    { { HV_RT_PREPARE, HV_RT_DO_PREPARE }, IGNORED, IGNORED, IGNORED },
	[HV_RT_PREPARE] = { IGNORED, { HV_RT_HOLD, HV_RT_DO_HOLD }, IGNORED, { HV_RT_DONE, HV_RT_END } },
	[HV_RT_HOLD] =    { IGNORED, { HV_RT_PAUSE, HV_RT_DO_PAUSE }, IGNORED, { HV_RT_RELEASE, HV_RT_DO_RELEASE } },
	[HV_RT_PAUSE] =   { IGNORED, { HV_RT_SWAP, HV_RT_DO_SWAP }, { HV_RT_HOLD, HV_RT_DO_UNPAUSE_HOLD },
			    { HV_RT_RELEASE, HV_RT_DO_RELEASE } },
	[HV_RT_SWAP] =    { IGNORED, { HV_RT_ADOPT, HV_RT_DO_RESUME }, IGNORED, { HV_RT_RESTORE, HV_RT_DO_RESTORE } },
	[HV_RT_RESTORE] = { IGNORED, { HV_RT_RELEASE, HV_RT_DO_RELEASE }, IGNORED, IGNORED },
	[HV_RT_ADOPT] =   { IGNORED, { HV_RT_DONE, HV_RT_END }, IGNORED, { HV_RT_DONE, HV_RT_END } },
	[HV_RT_RELEASE] = { IGNORED, { HV_RT_DONE, HV_RT_END }, IGNORED, { HV_RT_DONE, HV_RT_END } },
	[HV_RT_DONE] =    { IGNORED, IGNORED, IGNORED, IGNORED },
};

void hv_retarget_init(struct hv_retarget *r, int64_t deadline_ns)
{
	memset(r, 0, sizeof(*r));
	r->deadline_ns = deadline_ns ? deadline_ns : HV_RT_DEADLINE_NS;
}

/* The first reason is the one that counts: what fails while it is undone follows from it. */
static void note_why(struct hv_retarget *r, const struct hv_err *e)
{
	if (e && !r->why.code)
		r->why = *e;
}

static void clocks(struct hv_retarget *r, enum hv_rt_action a, int64_t now)
{
	switch (a) {
	case HV_RT_DO_HOLD:
		r->held_ns = now;
		break;
	case HV_RT_DO_PAUSE:
		r->paused_ns = now;
		break;
	case HV_RT_END:
		if (r->held_ns)
			r->stall_ns = now - r->held_ns;
		break;
	default:
		break;
	}
}

static enum hv_rt_result result_of(const struct hv_retarget *r, enum hv_rt_event ev)
{
	if (r->state == HV_RT_ADOPT)
		return ev == HV_RT_EV_OK ? HV_RT_COMMITTED : HV_RT_UNCONFIRMED;
	return HV_RT_UNDONE;
}

enum hv_rt_action hv_retarget_step(struct hv_retarget *r, enum hv_rt_event ev, int64_t now, const struct hv_err *e)
{
	struct hv_err late;
	const struct step *s;

	/* swapped, but too late: the guest has not run yet, it is taken back */
	if (r->state == HV_RT_SWAP && ev == HV_RT_EV_OK && now - r->paused_ns > r->deadline_ns) {
		hv_err(&late, ETIME, "the freeze took %lld us, its deadline is %lld us: give it more with --deadline",
		       (long long)(now - r->paused_ns) / 1000, (long long)r->deadline_ns / 1000);
		ev = HV_RT_EV_FAILED;
		e = &late;
	}
	s = &table[r->state][ev];
	if (s->next == HV_RT_STATES)
		return HV_RT_NONE;
	note_why(r, e);
	if (s->action == HV_RT_END)
		r->result = result_of(r, ev);
	clocks(r, s->action, now);
	r->state = s->next;
	return s->action;
}

int64_t hv_retarget_limit(const struct hv_retarget *r)
{
	switch (r->state) {
	case HV_RT_HOLD:
		return r->held_ns + HV_RT_HOLD_NS;
	case HV_RT_ADOPT:
		return r->paused_ns + r->freeze_ns + HV_RT_ADOPT_NS;
	default:
		return INT64_MAX;
	}
}

const char *hv_retarget_state_name(enum hv_rt_state s)
{
	static const char *const names[] = {
		"idle", "prepare", "hold", "pause", "swap", "restore", "adopt", "release", "done",
	};

	return s < HV_RT_STATES ? names[s] : "?";
}

const char *hv_retarget_result_name(enum hv_rt_result r)
{
	static const char *const names[] = { "running", "committed", "undone", "unconfirmed", "revoked" };

	return r < HV_RT_RESULTS ? names[r] : "?";
}
