/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The order of a switch (docs/design.md "Retarget"), as a table: what comes after what, whatever fails. Pure: the
 * caller does what hv_retarget_step() says, and tells it how that went. No Xen, no clock, no memory of the guest.
 *
 *   PREPARE -> HOLD -> PAUSE -> SWAP -> ADOPT -> done
 *                                |
 *        any failure before the guest runs again: back to what was, and says why
 */
#ifndef HV_CORE_RETARGET_H
#define HV_CORE_RETARGET_H

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

enum hv_rt_state {
	HV_RT_IDLE,
	HV_RT_PREPARE,		/* image, target, memory: nothing that the guest could notice */
	HV_RT_HOLD,		/* submit answers BUSY, the worker takes nothing; waits until no CPU is in the slot */
	HV_RT_PAUSE,		/* the domain is paused; is a CPU in the slot after all? */
	HV_RT_SWAP,		/* code, queue pages, records */
	HV_RT_RESTORE,		/* the same, back */
	HV_RT_ADOPT,		/* the guest runs: no way back but another switch */
	HV_RT_RELEASE,		/* held, and let go as it was */
	HV_RT_DONE,
	HV_RT_STATES
};

/* What has happened. */
enum hv_rt_event {
	HV_RT_EV_START,
	HV_RT_EV_OK,		/* what was to be done is done */
	HV_RT_EV_BUSY,		/* paused, but a CPU is in the slot */
	HV_RT_EV_FAILED,	/* it could not be done; the limit of this state has passed; the worker or the device failed */
	HV_RT_EVENTS
};

/* What the caller does next. Each but NONE and END ends in one call of hv_retarget_step(). */
enum hv_rt_action {
	HV_RT_NONE,
	HV_RT_DO_PREPARE,
	HV_RT_DO_HOLD,		/* hold=1, hold the worker, wait until every `inside` is 0, at most hold_limit_ns */
	HV_RT_DO_PAUSE,		/* pause the domain, look at `inside` again */
	HV_RT_DO_UNPAUSE_HOLD,	/* unpause, and wait as in DO_HOLD: within what is left of the limit */
	HV_RT_DO_SWAP,
	HV_RT_DO_RESUME,	/* unpause, start the worker on the new queues, kick; wait for adopted, at most adopt_limit_ns */
	HV_RT_DO_RESTORE,	/* still paused: everything as it was; unpause */
	HV_RT_DO_RELEASE,	/* hold=0, the worker goes on where it was, kick */
	HV_RT_END,		/* free what PREPARE made, write the record */
};

enum hv_rt_result {
	HV_RT_RUNS,
	HV_RT_COMMITTED,
	HV_RT_UNDONE,		/* as before; why says the reason */
	HV_RT_UNCONFIRMED,	/* the guest runs the new driver and has not adopted it in time: switch back */
	HV_RT_REVOKED,		/* never of one switch: policy has given up, the device is held */
	HV_RT_RESULTS
};

#define HV_RT_DEADLINE_NS 30000000ll	/* pause to unpause; as Xen's livepatch */
#define HV_RT_HOLD_NS 2000000000ll
#define HV_RT_ADOPT_NS 1000000000ll

struct hv_retarget {
	int64_t deadline_ns;		/* limit of the freeze */
	enum hv_rt_state state;
	enum hv_rt_result result;
	struct hv_err why;		/* of UNDONE and UNCONFIRMED */
	int64_t held_ns, paused_ns;	/* when these began; 0: not yet */
	int64_t freeze_ns;		/* pause to unpause, all pauses of the switch together */
	int64_t stall_ns;		/* hold to adopted, or to released */
};

/* deadline_ns 0: the default. */
void hv_retarget_init(struct hv_retarget *r, int64_t deadline_ns);

/*
 * ev has happened at now_ns (monotonic); e says why for FAILED, else NULL. An event that the state does not know is
 * ignored (NONE): a late answer of something that was given up.
 */
enum hv_rt_action hv_retarget_step(struct hv_retarget *r, enum hv_rt_event ev, int64_t now_ns, const struct hv_err *e);

/* Time at which the state fails by itself; INT64_MAX: never. */
int64_t hv_retarget_limit(const struct hv_retarget *r);

const char *hv_retarget_state_name(enum hv_rt_state s);
const char *hv_retarget_result_name(enum hv_rt_result r);

#endif
