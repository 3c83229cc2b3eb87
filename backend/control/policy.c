// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that are left to policy (mode=auto): looked at whenever a device came, went, was served or has switched. What is to be
 * done is decided in core/policy.c; here it is seen who is where, and done. All of it happens from the event loop: the device
 * that caused the look may be gone by then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon.h"

static const char who_policy[] = "policy";

static void look_in(struct daemon *d, int64_t ns);

/* Another guest's device with a part of the same file or disk. */
static bool is_neighbour(const struct dev *v, const struct dev *o)
{
	return o->dom != v->dom && o->target.fd >= 0 && target_same_device(&o->target, &v->target);
}

/* Or with a part of the same controller. */
static bool is_beside(const struct dev *v, const struct dev *o)
{
	return is_neighbour(v, o) || direct_shares(v, o);
}

typedef bool (*neighbour_fn)(const struct dev *o);

/* The first neighbour that fn is true for (NULL: any), or NULL. */
static struct dev *neighbour(const struct dev *v, neighbour_fn fn)
{
	struct dom *dom;
	struct dev *o;

	TAILQ_FOREACH(dom, &v->dom->d->doms, link)
		TAILQ_FOREACH(o, &dom->devs, link)
			if (is_neighbour(v, o) && (!fn || fn(o)))
				return o;
	return NULL;
}

/* Left to policy, and not yet as it has to be beside others. */
static bool has_it_alone(const struct dev *o)
{
	return o->policy.automatic && !o->policy.revoked && (o->retarget || (*o->mode && strcmp(o->mode, hv_policy_mode(false, false))));
}

bool policy_lets_in(const struct dev *v)
{
	char controller[16];

	return !neighbour(v, has_it_alone) && !direct_neighbour(v) && !direct_undeleted(v, controller);
}

/* Whether it may have hardware queues is asked of its keeper: only where that is of interest. */
static struct hv_policy_view view(struct dev *v, bool asked)
{
	bool alone = !neighbour(v, NULL);
	int direct = alone && (asked || v->policy.automatic) ? direct_wanted(v) : 0;

	return (struct hv_policy_view){
		.ready = v->phase == DEV_LIVE && v->answered && !v->retarget && !v->revoking && !v->wanted && direct >= 0 &&
			(!v->detach || v->policy.revoked),
		.stuck = v->resumed && (v->phase == DEV_QUEUED || v->phase == DEV_STARTING), .alone = alone, .mode = v->mode,
		.direct = direct > 0
	};
}

enum hv_policy_action policy_decide(struct dev *v, bool asked, const char **mode, int64_t *wait_ns)
{
	struct hv_policy_view seen = view(v, asked);

	*mode = hv_policy_mode(seen.alone, seen.direct);
	return hv_policy_decide(&v->policy, &seen, hv_now_ns(), v->dom->d->opt.hold_down_ns, wait_ns);
}

/* ---- what is told to it ---- */

static void revoked_before(struct dev *v)
{
	char *why = hv_readf(v->dom->d->host, 0, "%s/error", v->at.admin);

	hv_policy_revoked(&v->policy, hv_now_ns());
	hv_err(&v->policy_why, ETIMEDOUT, "%s", why ? why : "its guest does not let go of it");
	free(why);
}

void policy_begin(struct dev *v)
{
	char *want = hv_readf(v->dom->d->host, 0, "%s/want", v->at.admin);
	char *status = hv_readf(v->dom->d->host, 0, "%s/status", v->at.admin);

	v->policy.automatic = want && !strcmp(want, "auto");
	if (status && !strcmp(status, "held"))		/* by a former hvdrvd: nobody waits for it once more */
		revoked_before(v);
	free(want);
	free(status);
}

bool policy_told(struct dev *v, const char *want)
{
	bool automatic = !strcmp(want, "auto");
	struct hv_err e;

	if (!hv_mode_check(want, &e))
		v->policy.automatic = automatic;
	policy_poke(v->dom->d);
	return automatic;
}

void policy_answered(struct dev *v)
{
	v->answered = true;
	if (v->resumed)
		v->policy.ended_ns = hv_now_ns();	/* a restart of ours is no reason for a switch at once */
	policy_poke(v->dom->d);
}

void policy_leaves(struct dev *v)
{
	struct dom *dom;
	struct dev *o;

	if (v->target.fd < 0)
		return;
	TAILQ_FOREACH(dom, &v->dom->d->doms, link)
		TAILQ_FOREACH(o, &dom->devs, link)
			if (is_beside(v, o))
				o->policy.shared_ns = hv_now_ns();	/* the hold-down of who may be alone now counts from here */
	policy_poke(v->dom->d);
}

bool policy_said_so(const struct dev *v, const char *who, const struct hv_err *why)
{
	return !strcmp(who, who_policy) && v->policy.failed && !strcmp(v->policy_why.text, why->text);
}

/* Who waits for v is told why it takes so long. */
static void tell_who_waits(const struct dev *v)
{
	struct daemon *d = v->dom->d;
	struct dom *dom;
	struct dev *o;

	TAILQ_FOREACH(dom, &d->doms, link)
		TAILQ_FOREACH(o, &dom->devs, link)
			if (o->phase == DEV_JOINING && is_beside(o, v))
				hv_writef(d->host, 0, v->policy_why.text, "%s/error", o->at.admin);
}

/* What it waits for may be of a device that has gone, which tells nobody. */
static void still_waits(struct dev *v)
{
	char controller[16], text[160];

	if (!direct_undeleted(v, controller))
		return;
	snprintf(text, sizeof(text), "the hardware queues that another guest had of %s are not deleted yet: look at hvdrv-keeper@%s", controller,
		 controller);
	hv_writef(v->dom->d->host, 0, text, "%s/error", v->at.admin);
}

static void ended(struct dev *v, enum hv_policy_outcome o, const struct hv_err *why)
{
	hv_policy_ended(&v->policy, o, hv_now_ns());
	v->policy_why = *why;
	if (o != HV_POLICY_DONE)
		tell_who_waits(v);
}

void policy_ended(struct dev *v, const char *who, enum hv_policy_outcome o, const struct hv_err *why)
{
	if (!strcmp(who, who_policy))
		ended(v, o, why);
	policy_poke(v->dom->d);
}

/* ---- looking ---- */

/* True: v, or any other, may be gone. */
static bool look_at(struct dev *v, int64_t *next_ns)
{
	struct hv_about a = dev_about(v);
	struct hv_err e = { 0 };
	const char *mode;
	int64_t wait;

	if (v->phase == DEV_JOINING) {
		if (!policy_lets_in(v)) {
			still_waits(v);
			return false;
		}
		dev_reconcile(v);
		return true;
	}
	switch (policy_decide(v, false, &mode, &wait)) {
	case HV_POLICY_SWITCH:
		break;
	case HV_POLICY_WAIT:
		if (wait < *next_ns)
			*next_ns = wait;
		return false;
	case HV_POLICY_REVOKE:
		revoke_begin(v);
		return true;
	case HV_POLICY_RELEASE:
		revoke_release(v);
		return true;
	default:
		return false;
	}
	/* the admin's limit of the pause counts for policy, too: it was given with `auto` */
	if (!retarget_start(v, mode, who_policy, hv_read_u64(v->dom->d->host, 0, INT64_MAX, "%s/deadline-ns", v->at.admin), &e))
		return true;
	if (!policy_said_so(v, who_policy, &e))
		hv_log(HV_WARN, &a, "no switch to %s for policy: %s", mode, e.text);
	ended(v, HV_POLICY_FAILED, &e);
	return true;
}

static void look(struct daemon *d)
{
	int64_t next = INT64_MAX;
	struct dom *dom;
	struct dev *v;

	TAILQ_FOREACH(dom, &d->doms, link) {
		TAILQ_FOREACH(v, &dom->devs, link) {
			if (look_at(v, &next)) {
				look_in(d, 0);		/* the lists may have changed: from their begin */
				return;
			}
		}
	}
	if (next != INT64_MAX)
		look_in(d, next);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	look(arg);
}

static void look_in(struct daemon *d, int64_t ns)
{
	/* rounded up: not before its time, or it would be looked at again and again */
	const struct timeval tv = { .tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000 + (ns > 0) };

	if (d->stopping)
		return;
	if (!d->policy_look)
		d->policy_look = event_new(d->base, -1, 0, on_look, d);
	event_add(d->policy_look, &tv);
}

void policy_poke(struct daemon *d)
{
	look_in(d, 0);
}

void policy_stop(struct daemon *d)
{
	if (d->policy_look)
		event_free(d->policy_look);
	d->policy_look = NULL;
}
