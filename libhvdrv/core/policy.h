/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Which driver a device has that an admin has left to policy (mode=auto): the device's own queue while its guest is alone on what
 * it is served from, the shared ring while other guests are there, too. Pure: what to do is asked each time something has changed.
 *
 * To share is never put off, others wait for it. To go back is: the hold-down counts from the last automatic switch and from the
 * last time that others were there. A switch that failed is tried again after the hold-down, whatever its direction.
 *
 * A guest must not keep others waiting: what it prevents itself (a CPU that stays in the driver, say) is tried again soon, and after
 * a few tries, or seconds, the device is revoked: not served any more, while the switch is tried on. A failure of the host's is no
 * reason for that. Hardware queues cannot be held by anybody but their guest: who wants the controller then waits.
 */
#ifndef HV_CORE_POLICY_H
#define HV_CORE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* What policy remembers of a device; all zero: nothing yet. Times are those of hv_now_ns(), 0: never. */
struct hv_policy {
	bool automatic;			/* left to policy */
	bool failed;			/* its last automatic switch */
	int64_t ended_ns;		/* when that was over */
	int64_t shared_ns;		/* when others were last seen there */
	bool sharing;			/* the switch that was asked for last is one to share */
	bool revoked;			/* it is held, */
	int64_t revoked_ns;		/* from when on */
	unsigned int tries;		/* to share, that its guest has prevented, one after the other */
	int64_t since_ns;		/* when the first of these began */
};

#define HV_POLICY_TRIES 3u
#define HV_POLICY_PATIENCE_NS 5000000000ll	/* or as long as this, whichever comes first */
#define HV_POLICY_SOON_NS 500000000ll		/* between two of the tries */
#define HV_POLICY_RETRY_NS 1000000000ll		/* between two of a device that is held */

/* What there is to see. */
struct hv_policy_view {
	bool ready;			/* served, and no switch is under way */
	bool stuck;			/* no worker serves it, since its guest cannot be taken over by one */
	bool alone;			/* no other guest has a part of the same file or disk */
	const char *mode;		/* in force */
	bool direct;			/* alone, it may have hardware queues */
};

enum hv_policy_action {
	HV_POLICY_STAY, HV_POLICY_WAIT, HV_POLICY_SWITCH,
	HV_POLICY_REVOKE,		/* hold it, then hv_policy_revoked() */
	HV_POLICY_RELEASE		/* it may go on as it was, then hv_policy_released() */
};

/* How an automatic switch ended. */
enum hv_policy_outcome { HV_POLICY_DONE, HV_POLICY_FAILED, HV_POLICY_KEPT /* by what its guest did */ };

/* The mode for a guest that is alone, or is not; that may have hardware queues, or not. */
const char *hv_policy_mode(bool alone, bool direct);

/* What is to be done now: SWITCH to hv_policy_mode(), WAIT *wait_ns and ask again, STAY until something changes. */
enum hv_policy_action hv_policy_decide(struct hv_policy *p, const struct hv_policy_view *v, int64_t now_ns, int64_t hold_down_ns,
				       int64_t *wait_ns);

/* An automatic switch has ended, or could not begin. */
void hv_policy_ended(struct hv_policy *p, enum hv_policy_outcome o, int64_t now_ns);

void hv_policy_revoked(struct hv_policy *p, int64_t now_ns);	/* it is held from now on */
void hv_policy_released(struct hv_policy *p);			/* it is served again, or gone */

#endif
