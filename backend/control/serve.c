// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who serves a device: its guest's worker, started when there is none. Between two workers stands a fence: what the one
 * before had begun at the target goes on after its death, and must have ended before the next one begins anything, or an
 * old write would land on a newer one. Each worker gets an open file of its own, with a lock that falls when the last
 * request of that file has ended (Linux: locks_remove_file() at the last reference).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon.h"

#define FENCE_US 10000
#define FENCE_TOLD_NS 3000000000ll	/* so long is usual; then the log says what is waited for */
#define AGAIN_US 1000000		/* a guest that cannot be taken over now */
#define QUICK_NS 500000000ll		/* a worker that serves for less than this has died quickly */
#define QUICK_DEATHS 5			/* one after the other: it will not get better */

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	dev_serve(arg);
}

static void again(struct dev *v, long us)
{
	struct timeval tv = { .tv_sec = us / 1000000, .tv_usec = us % 1000000 };

	v->phase = DEV_QUEUED;
	if (!v->again)
		v->again = event_new(v->dom->d->base, -1, 0, on_again, v);
	event_add(v->again, &tv);
}

static int start_worker(struct dom *dom, struct hv_err *e)
{
	if (dom->worker)
		return 0;
	dom->worker = link_start(dom->d, dom, &dom_link_events, e);
	dom->served_ns = 0;
	return dom->worker ? 0 : -e->code;
}

/*
 * The lock is on one byte far behind any data, another for each device: guests may share a target. What was begun by commands holds
 * the character device, not the block node: each has its own.
 */
static int lend_target(struct dev *v)
{
	uint64_t number = (uint64_t)v->id.domid * HVDRV_SLOTS + v->id.id;

	if (v->lent < 0)
		v->lent = target_reopen(&v->target, number, !v->params.ro);
	if (v->lent < 0)
		return v->lent;
	if (v->lent_ng < 0 && v->target.ng >= 0)
		v->lent_ng = target_reopen_ng(&v->target, number);
	return v->target.ng >= 0 && v->lent_ng < 0 ? v->lent_ng : 0;
}

static void wait_for_fence(struct dev *v)
{
	struct hv_about a = dev_about(v);
	int64_t now = hv_now_ns();

	if (!v->fenced_ns)
		v->fenced_ns = now;
	if (now - v->fenced_ns > FENCE_TOLD_NS) {
		hv_log(HV_WARN, &a, "what a worker that has ended began at %s has not ended yet: waiting for it", v->params.backend);
		v->fenced_ns = INT64_MAX;	/* told once */
	}
	again(v, FENCE_US);
}

void dev_serve(struct dev *v)
{
	struct hv_about a = dev_about(v);
	struct hv_err e = { 0 };
	int rc;

	v->phase = DEV_QUEUED;
	if (v->again)
		event_del(v->again);
	if (v->dom->worker && link_quitting(v->dom->worker))
		return;			/* dev_worker_gone() comes back here */
	rc = start_worker(v->dom, &e);
	if (!rc) {
		rc = lend_target(v);
		if (rc == -EAGAIN) {
			wait_for_fence(v);
			return;
		}
		if (rc)
			hv_err(&e, -rc, "%s cannot be opened for a worker: %s", v->params.backend, strerror(-rc));
	}
	if (rc) {
		dev_end(v, &e);
		return;
	}
	if (v->fenced_ns)
		hv_log(HV_INFO, &a, "what the worker before had begun has ended");
	v->fenced_ns = 0;
	if (!v->resumed || direct_is(v))
		dev_add_to_worker(v);		/* hardware queues are none of a worker's: nothing is taken over */
	else if (retarget_renew(v, &e))
		dev_end(v, &e);
}

void dev_serve_later(struct dev *v)
{
	again(v, AGAIN_US);
}

void dev_lent(struct dev *v)
{
	if (v->lent >= 0)
		close(v->lent);
	if (v->lent_ng >= 0)
		close(v->lent_ng);
	v->lent = v->lent_ng = -1;
}

void dev_unserve(struct dev *v)
{
	dev_lent(v);
	if (v->again)
		event_free(v->again);
	v->again = NULL;
	v->fenced_ns = 0;
}

bool dom_worker_dies_quickly(struct dom *dom)
{
	bool quick = !dom->served_ns || hv_now_ns() - dom->served_ns < QUICK_NS;

	dom->quick_deaths = quick ? dom->quick_deaths + 1 : 0;
	return dom->quick_deaths >= QUICK_DEATHS;
}
