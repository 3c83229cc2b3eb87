// SPDX-License-Identifier: GPL-2.0-only
/*
 * A switch of one device: does what the machine in core/retarget.c says. Between pause and unpause nothing is waited for:
 * no xenstore, no worker, no event loop; all that could be made before was made in PREPARE. The same machine takes over the
 * requests of a worker that has died: the driver stays, its queues are new.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/journal.h"
#include "core/retarget.h"
#include "core/swap.h"
#include "daemon.h"
#include "ring/virtq.h"
#include "util/fault.h"

#define LOOK_US 500		/* how often `inside` and `adopted` are looked at, while waited for */
#define GENERATOR_US 100000
#define WINDOW_US 20000
#define FAULT(t, name) hv_fault((t)->renew ? "renew-" name : name)

struct retarget {
	struct dev *v;
	struct hv_retarget m;
	struct hv_swap swap;
	struct hv_journal *journal;
	struct hv_image img;
	char image_id[65];
	struct signer signer;
	char from[16], to[16], who[48];
	uint64_t seq;
	bool renew;			/* a worker has died: no other driver, no worker to ask, no record */
	bool quiet;			/* of a device that is held: tried so often that only what comes of it is told */
	bool kept;			/* it failed by what the guest did */
	bool compiles;			/* its driver is being made */
	bool asked, held;		/* HOLD was sent and not refused; the worker has answered it */
	struct hv_inflight_table table[HVDRV_MAX_QUEUES];
	struct event *look;
};

static struct hv_host *host(const struct retarget *t)
{
	return t->v->dom->d->host;
}

static void advance(struct retarget *t, enum hv_rt_event ev, const struct hv_err *e);

static void look_after(struct retarget *t, long us)
{
	struct timeval tv = { .tv_usec = us };

	event_add(t->look, &tv);
}

/* ---- what is told of it ---- */

static unsigned int sum(const struct retarget *t, enum hvdrv_record_state s)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < t->v->slot.num_queues; i++)
		n += t->swap.queue[i].carried[s];
	return n;
}

static struct switch_note note_of(const struct retarget *t)
{
	struct switch_note n = { .seq = t->seq, .who = t->who, .from = t->from, .to = t->to, .result = t->m.result,
		.reason = t->m.why.text, .freeze_ns = t->m.freeze_ns, .stall_ns = t->m.stall_ns,
		.signer = &t->signer, .carried = { sum(t, HVDRV_REC_READY), sum(t, HVDRV_REC_BEGUN), sum(t, HVDRV_REC_DONE) } };

	for (uint32_t i = 0; i < t->v->slot.num_queues; i++)
		for (int op = 0; op < HVDRV_OPS; op++)
			n.ops[op] += t->swap.queue[i].ops[op];
	return n;
}

static void tell_begin(struct retarget *t)
{
	const struct switch_note n = note_of(t);

	if (t->quiet)
		count_switch_begin(t->v);
	else
		note_begin(t->v, &n);
}

static void record_end(struct retarget *t)
{
	const struct switch_note n = note_of(t);
	struct hv_about a = dev_about(t->v);

	if (t->quiet && t->m.result == HV_RT_UNDONE) {
		hv_log(HV_DEBUG, &a, "held still: %s", t->m.why.text);
		return;
	}
	if (t->quiet)
		note_begin(t->v, &n);
	/* what policy tries again and again is said once */
	note_end(t->v, &n, policy_said_so(t->v, t->who, &t->m.why) ? HV_DEBUG : HV_WARN);
}

/* Of a renewal: only the log tells. The record is of switches, which somebody asked for. */
static void log_renewed(struct retarget *t)
{
	struct hv_about a = dev_about(t->v);

	if (t->m.result == HV_RT_UNDONE)
		hv_log(HV_WARN, &a, "not taken over by another worker: %s", t->m.why.text);
	else
		hv_log(HV_INFO, &a, "taken over by another worker%s; freeze %lld us, stall %lld us, %u requests begin again",
		       t->m.result == HV_RT_COMMITTED ? "" : ", but its guest has not looked yet", (long long)t->m.freeze_ns / 1000,
		       (long long)t->m.stall_ns / 1000, sum(t, HVDRV_REC_READY));
}

/* ---- what the machine asks for ---- */

int retarget_check_guest(const struct dev *v, struct hv_err *e)
{
	struct hv_host *h = v->dom->d->host;
	struct hv_domain d;
	int rc = h->ops->domain(h, v->id.domid, &d);

	if (rc || d.dying)
		return hv_err(e, ESRCH, "the guest is going");
	if (d.paused)
		return hv_err(e, EBUSY, "the guest is paused: `xl unpause` it first");
	return 0;
}

static enum wire_format format_of(const struct hv_image_header *h)
{
	return dev_format(h->device);
}

/* All that whoever finds it after our death needs; the begun requests are added in do_resume(). */
static int write_journal(struct retarget *t, struct hv_err *e)
{
	const struct dev *v = t->v;
	struct hv_journal *j;
	char dir[256];

	switch_dir(v->dom->d, dir, sizeof(dir));
	j = t->journal = hv_journal_new(dir, v->id.domid, v->id.id, e);
	if (!j)
		return -e->code;
	j->foreign = v->slot.foreign;
	j->format = format_of(&t->img.h);
	j->seq = t->seq;
	j->renew = t->renew;
	snprintf(j->mode, sizeof(j->mode), "%s", t->to);
	snprintf(j->driver, sizeof(j->driver), "%s", t->img.h.device);
	memcpy(j->image_id, t->image_id, sizeof(j->image_id));
	memcpy(j->signer, t->signer.name, sizeof(j->signer));
	memcpy(j->key, t->signer.key, sizeof(j->key));
	j->ring_pages = t->img.h.queue_fixed_pages;
	j->generation = v->slot.generation + 1;
	j->offer = v->offer;
	return 0;
}

/* What the new driver is to be served from is what the guest's disk was all the time, and as large. */
int retarget_check_target(const struct dev *v, struct hv_err *e)
{
	struct hv_params p = v->params;
	struct target now;
	int rc;

	p.shared = true;		/* it is held already, by us */
	rc = target_open(&p, false, &now, e);
	if (rc)
		return rc;
	if (!target_same(&now, &v->target))
		rc = hv_err(e, ESTALE, "%s is another target than the one that is served: put it back", v->params.backend);
	else if (now.bytes < v->target.bytes || now.block_size != v->target.block_size)
		rc = hv_err(e, ERANGE, "%s is narrower than the guest's disk (%llu bytes in blocks of %u, not %llu in blocks of %u)",
			    v->params.backend, (unsigned long long)now.bytes, now.block_size,
			    (unsigned long long)v->target.bytes, v->target.block_size);
	target_close(&now);
	return rc;
}

/* The driver, for a target and a controller that are right. Once it is there what else is waited for does not change it. */
static int choose(struct retarget *t, struct hv_err *e)
{
	int rc = t->renew ? 0 : retarget_check_target(t->v, e);

	if (!rc && direct_mode(t->to))
		rc = direct_check(t->v, e);
	if (rc || t->renew)
		return rc;
	rc = dev_find_image(t->v, t->to, &t->img, t->image_id, e);
	t->compiles = rc == -EINPROGRESS;
	if (!rc)
		signer_of(t->v->dom->d, &t->img.h, &t->signer);
	return rc;
}

static int prepare(struct retarget *t, struct hv_err *e)
{
	int rc = retarget_check_guest(t->v, e);

	if (rc == -EBUSY && t->renew)
		return -EINPROGRESS;	/* paused, it cannot notice that it is not served */
	t->kept = rc == -EBUSY;
	if (!rc && !t->img.payload)
		rc = choose(t, e);
	if (!rc && direct_mode(t->to))
		rc = direct_prepare(t->v, e);
	if (!rc)
		rc = write_journal(t, e);
	if (rc)
		return rc;
	return hv_swap_open(host(t), t->v->id.domid, &t->v->offer, &t->v->slot, &t->journal->saved, &t->swap, e);
}

static void do_prepare(struct retarget *t)
{
	struct hv_err e = { 0 };
	int rc = prepare(t, &e);

	if (rc == -EINPROGRESS)
		look_after(t, t->img.payload ? WINDOW_US : GENERATOR_US);
	else
		advance(t, rc ? HV_RT_EV_FAILED : HV_RT_EV_OK, &e);
}

static void on_held(void *arg, const struct wire_msg *m)
{
	struct retarget *t = arg;
	struct hv_err e = { 0 };

	if (!m)
		return;			/* the worker has gone: dev_worker_gone() ends the switch */
	if (m->type != WIRE_HELD) {
		t->asked = false;
		hv_err(&e, EPROTO, "the worker cannot hold it: %.*s", (int)sizeof(m->error.text), m->error.text);
		advance(t, HV_RT_EV_FAILED, &e);
		return;
	}
	memcpy(t->table, m->held.queue, sizeof(t->table));
	t->held = true;
	event_active(t->look, 0, 0);
}

static void do_hold(struct retarget *t)
{
	struct wire_msg m = { .type = WIRE_HOLD, .dev = t->v->id.id };
	struct hv_err e = { 0 };
	int rc;

	m.hold.drain = direct_mode(t->to);	/* what is begun cannot be answered by hardware */
	FAULT(t, "prepared");
	hv_swap_hold(&t->swap, true);
	FAULT(t, "holding");
	if (t->renew) {
		t->held = true;
		look_after(t, 0);
		return;
	}
	rc = link_send(t->v->dom->worker, &m, -1, on_held, t);
	t->asked = !rc;
	if (rc) {
		hv_err(&e, -rc, "the worker does not answer: %s", strerror(-rc));
		advance(t, HV_RT_EV_FAILED, &e);
	} else {
		look_after(t, LOOK_US);
	}
}

static void do_pause(struct retarget *t)
{
	struct hv_err e = { 0 };
	int rc;

	FAULT(t, "held");
	hv_journal_set(t->journal, HV_JOURNAL_PAUSING);
	FAULT(t, "pausing");
	rc = host(t)->ops->pause(host(t), t->v->id.domid);
	FAULT(t, "paused");
	if (rc) {
		hv_journal_set(t->journal, HV_JOURNAL_NONE);
		hv_err(&e, -rc, "the guest cannot be paused: %s", strerror(-rc));
		advance(t, HV_RT_EV_FAILED, &e);
	} else {
		advance(t, hv_swap_inside(&t->swap) ? HV_RT_EV_BUSY : HV_RT_EV_OK, NULL);
	}
}

static void unpause(struct retarget *t)
{
	struct hv_about a = dev_about(t->v);
	int rc = host(t)->ops->unpause(host(t), t->v->id.domid);

	if (rc)
		hv_log(HV_ERROR, &a, "the guest cannot be unpaused: %s; `xl unpause %u`", strerror(-rc), t->v->id.domid);
	t->m.freeze_ns += hv_now_ns() - t->m.paused_ns;
}

static void ring_blkif(uint8_t *pages, unsigned int begun)
{
	hv_blkring_prepare(&hv_blkif_xen, pages, begun);
}

static void ring_virtq(uint8_t *pages, unsigned int begun)
{
	hv_virtq_prepare(&hv_virtq_split, pages, begun);
}

static void ring_empty(uint8_t *pages, unsigned int begun)
{
}

static void do_swap(struct retarget *t)
{
	static const hv_swap_ring_fn rings[WIRE_FORMATS] = { [WIRE_BLKIF] = ring_blkif, [WIRE_NVME] = ring_empty,
		[WIRE_VIRTQ] = ring_virtq, [WIRE_DIRECT] = ring_empty };
	hv_swap_ring_fn ring = rings[format_of(&t->img.h)];

	if (t->renew)
		hv_swap_renew(&t->swap, ring);
	else
		hv_swap_replace(&t->swap, &t->img, t->table, ring);
	FAULT(t, "swapped");
	advance(t, HV_RT_EV_OK, NULL);
}

static void ignored(void *arg, const struct wire_msg *m)
{
}

static void tell_worker(struct retarget *t, bool renewed)
{
	struct wire_msg m = { .type = WIRE_GO, .dev = t->v->id.id };

	m.go.renewed = renewed;
	m.go.format = format_of(&t->img.h);
	for (uint32_t i = 0; renewed && i < t->v->slot.num_queues; i++)
		memcpy(m.go.begun[i], t->swap.queue[i].begun, sizeof(m.go.begun[i]));
	/* also when it has not answered yet: it would hold the device for ever */
	if (t->asked)
		link_send(t->v->dom->worker, &m, -1, ignored, NULL);
}

static void do_resume(struct retarget *t)
{
	struct dev *v = t->v;

	for (uint32_t i = 0; i < v->slot.num_queues; i++)
		memcpy(t->journal->begun[i], t->swap.queue[i].begun, sizeof(t->journal->begun[i]));
	count_guest(v);			/* nobody runs in the old driver any more */
	hv_journal_set(t->journal, HV_JOURNAL_RESUMING);
	FAULT(t, "resuming");
	unpause(t);
	FAULT(t, "unpaused");
	hv_journal_set(t->journal, HV_JOURNAL_RESUMED);
	FAULT(t, "resumed");
	v->image = t->img.h;
	memcpy(v->image_id, t->image_id, sizeof(v->image_id));
	v->signer = t->signer;
	snprintf(v->mode, sizeof(v->mode), "%s", t->to);
	look_after(t, LOOK_US);
	if (t->renew) {
		dev_add_to_worker(v);	/* the last line: when there is no worker any more, t is gone */
		return;
	}
	tell_worker(t, true);
	FAULT(t, "told");
}

static void do_release(struct retarget *t)
{
	hv_swap_hold(&t->swap, false);
	FAULT(t, "released");
	if (!t->v->policy.revoked)
		tell_worker(t, false);
	advance(t, HV_RT_EV_OK, NULL);
}

/* Still paused: as it was, and on. */
static void do_restore(struct retarget *t)
{
	hv_swap_restore(&t->swap);
	FAULT(t, "restored");
	unpause(t);
	hv_journal_set(t->journal, HV_JOURNAL_NONE);
	advance(t, HV_RT_EV_OK, NULL);
}

static void do_unpause_hold(struct retarget *t)
{
	unpause(t);
	hv_journal_set(t->journal, HV_JOURNAL_NONE);
	look_after(t, LOOK_US);
}

static void retarget_free(struct retarget *t)
{
	char dir[256];

	if (t->v->dom->worker)
		link_forget(t->v->dom->worker, t);	/* an answer that comes now is too late */
	switch_dir(t->v->dom->d, dir, sizeof(dir));
	event_free(t->look);
	hv_image_free(&t->img);
	hv_swap_close(host(t), &t->swap);
	hv_journal_end(dir, t->journal);
	free(t);
}

/* Hardware queues that are not used, or not any more: not before somebody else is behind the guest's queues. */
static void settle_direct(struct retarget *t)
{
	if (!direct_is(t->v))
		direct_leave(t->v);
}

/* Also when it was put back: its generation is a new one, which must not be used twice. */
static bool was_replaced(const struct retarget *t)
{
	return t->swap.saved && t->swap.saved->valid;
}

static void publish(struct retarget *t)
{
	struct hv_about a = dev_about(t->v);
	int rc;

	path_settle(t->v);
	rc = dev_publish_driver(t->v);

	if (rc)
		hv_log(HV_ERROR, &a, "the driver's keys cannot be written to xenstore: %s; do not restart hvdrvd before another switch",
		       strerror(-rc));
}

static void tell_end(struct retarget *t)
{
	if (t->renew)
		log_renewed(t);
	else
		record_end(t);
}

static enum hv_policy_outcome outcome(const struct retarget *t)
{
	if (t->m.result == HV_RT_COMMITTED)
		return HV_POLICY_DONE;
	return t->kept ? HV_POLICY_KEPT : HV_POLICY_FAILED;
}

static void end(struct retarget *t)
{
	bool back = !t->renew && t->m.result == HV_RT_UNCONFIRMED && strncmp(t->who, "revert-of:", 10), undone;
	bool over = !t->renew && t->m.result != HV_RT_UNDONE && t->v->policy.revoked;
	struct dev *v = t->v;
	char to[16], who[48];
	struct hv_err e;

	snprintf(to, sizeof(to), "%s", t->from);
	snprintf(who, sizeof(who), "revert-of:%llu", (unsigned long long)t->seq);
	FAULT(t, "ending");
	/* not before: xenstore is slow, and the guest's requests wait until it is seen that it has adopted */
	if (was_replaced(t))
		publish(t);
	settle_direct(t);
	FAULT(t, "published");
	tell_end(t);
	undone = t->renew && t->m.result == HV_RT_UNDONE;
	v->retarget = NULL;
	policy_ended(v, t->who, outcome(t), &t->m.why);
	retarget_free(t);
	if (undone)
		dev_serve_later(v);
	else if (over)
		revoke_over(v);		/* late or not: it has the driver that it was to have */
	else if (back)
		retarget_start(v, to, who, HV_RT_HOLD_NS, &e);
	dev_reconcile(v);		/* what was put off meanwhile */
}

/* Does what is asked for; each step ends in advance(), now or from the event loop. */
static void perform(struct retarget *t, enum hv_rt_action a)
{
	switch (a) {
	case HV_RT_DO_PREPARE: do_prepare(t); break;
	case HV_RT_DO_HOLD: do_hold(t); break;
	case HV_RT_DO_PAUSE: do_pause(t); break;
	case HV_RT_DO_UNPAUSE_HOLD: do_unpause_hold(t); break;
	case HV_RT_DO_SWAP: do_swap(t); break;
	case HV_RT_DO_RESUME: do_resume(t); break;
	case HV_RT_DO_RESTORE: do_restore(t); break;
	case HV_RT_DO_RELEASE: do_release(t); break;
	case HV_RT_END: end(t); break;
	case HV_RT_NONE: break;
	}
}

static void advance(struct retarget *t, enum hv_rt_event ev, const struct hv_err *e)
{
	perform(t, hv_retarget_step(&t->m, ev, hv_now_ns(), e));
}

/* Nothing of a hardware queue is carried: it is waited for. Unless the queue is gone: then it begins again. */
static bool is_drained(const struct retarget *t)
{
	return !direct_mode(t->from) || t->renew || t->v->direct.lost || hv_swap_idle(&t->swap);
}

static void limit_passed(struct retarget *t)
{
	struct hv_err e;

	t->kept = t->m.state == HV_RT_ADOPT || t->held;
	if (t->m.state == HV_RT_ADOPT)
		hv_err(&e, ETIMEDOUT, "the guest did not take over its requests within %lld ms", HV_RT_ADOPT_NS / 1000000);
	else if (!is_drained(t))
		hv_err(&e, ETIMEDOUT, "the controller did not end what the guest has begun within %lld ms", HV_RT_HOLD_NS / 1000000);
	else if (!t->held)
		hv_err(&e, ETIMEDOUT, "the worker did not hold it within %lld ms", HV_RT_HOLD_NS / 1000000);
	else
		hv_err(&e, ETIMEDOUT, "a CPU of the guest stayed in the driver for %lld ms", HV_RT_HOLD_NS / 1000000);
	advance(t, HV_RT_EV_FAILED, &e);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct retarget *t = arg;

	if (t->compiles && generate_busy(t->v->dom->d))
		look_after(t, GENERATOR_US);		/* it need not look at the repository meanwhile */
	else if (t->m.state == HV_RT_PREPARE)
		do_prepare(t);
	else if (t->m.state == HV_RT_HOLD && t->held && is_drained(t) && !hv_swap_inside(&t->swap))
		advance(t, HV_RT_EV_OK, NULL);
	else if (t->m.state == HV_RT_ADOPT && hv_swap_adopted(&t->swap))
		advance(t, HV_RT_EV_OK, NULL);
	else if (hv_now_ns() > hv_retarget_limit(&t->m))
		limit_passed(t);
	else
		look_after(t, LOOK_US);
}

static struct retarget *retarget_new(struct dev *v, const char *mode, int64_t deadline_ns)
{
	struct retarget *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->v = v;
	t->look = event_new(v->dom->d->base, -1, 0, on_look, t);
	snprintf(t->from, sizeof(t->from), "%s", v->mode);
	snprintf(t->to, sizeof(t->to), "%s", mode);
	t->seq = hv_read_u64(host(t), 0, UINT64_MAX - 1, "%s/retarget/seq", v->at.admin);
	hv_retarget_init(&t->m, deadline_ns);
	v->retarget = t;
	return t;
}

int retarget_check(const struct dev *v, struct hv_err *e)
{
	if (v->phase != DEV_LIVE || !v->dom->worker)
		return hv_err(e, EAGAIN, "the device is not served now");
	if (v->retarget)
		return hv_err(e, EBUSY, "a switch is under way");
	return 0;
}

int retarget_start(struct dev *v, const char *mode, const char *who, int64_t deadline_ns, struct hv_err *e)
{
	struct retarget *t;
	int rc = retarget_check(v, e);

	if (rc)
		return rc;
	t = retarget_new(v, mode, deadline_ns);
	if (!t)
		return hv_err(e, ENOMEM, "no memory");
	t->seq++;
	snprintf(t->who, sizeof(t->who), "%s", who);
	t->quiet = v->policy.revoked && !strcmp(who, "policy");
	v->generated = false;
	direct_ask_anew(v);
	tell_begin(t);
	advance(t, HV_RT_EV_START, NULL);
	return 0;
}

int retarget_renew(struct dev *v, struct hv_err *e)
{
	struct retarget *t = retarget_new(v, v->mode, HV_RT_HOLD_NS);

	if (!t)
		return hv_err(e, ENOMEM, "no memory");
	t->renew = true;
	t->img.h = v->image;
	memcpy(t->image_id, v->image_id, sizeof(t->image_id));
	t->signer = v->signer;
	v->phase = DEV_STARTING;
	advance(t, HV_RT_EV_START, NULL);
	return 0;
}

const char *retarget_image(const struct dev *v)
{
	return v->retarget->image_id;
}

bool retarget_is_switch(const struct dev *v)
{
	return v->retarget && !v->retarget->renew;
}

void retarget_abort(struct dev *v, bool lives, const char *why)
{
	struct retarget *t = v->retarget;

	if (!t)
		return;
	if (t->m.state == HV_RT_HOLD)
		hv_swap_hold(&t->swap, false);
	t->m.result = HV_RT_UNDONE;
	if (t->m.state == HV_RT_ADOPT) {	/* the guest runs the new driver already: so does whoever comes next */
		t->m.result = lives || hv_swap_adopted(&t->swap) ? HV_RT_COMMITTED : HV_RT_UNCONFIRMED;
		publish(t);
	}
	if (t->m.result != HV_RT_COMMITTED)
		hv_err(&t->m.why, ECANCELED, "%s", why);
	settle_direct(t);
	tell_end(t);
	v->retarget = NULL;
	policy_ended(v, t->who, outcome(t), &t->m.why);
	retarget_free(t);
}
