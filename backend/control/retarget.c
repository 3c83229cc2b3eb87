// SPDX-License-Identifier: GPL-2.0-only
/*
 * A switch of one device: does what the machine in core/retarget.c says. Between pause and unpause nothing is waited for:
 * no xenstore, no worker, no event loop; all that could be made before was made in PREPARE.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/journal.h"
#include "core/retarget.h"
#include "core/swap.h"
#include "daemon.h"
#include "util/fault.h"

#define LOOK_US 500		/* how often `inside` and `adopted` are looked at, while waited for */
#define GENERATOR_US 100000

struct retarget {
	struct dev *v;
	struct hv_retarget m;
	struct hv_swap swap;
	struct hv_journal *journal;
	struct hv_image img;
	char image_id[65];
	char from[16], to[16], who[48];
	uint64_t seq;
	bool held;			/* the worker has answered HOLD */
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

/* ---- the record: what is happening, and what happened (hvdrv-xenstore(7)) ---- */

struct keyed {
	const char *key;
	const char *text;
	uint64_t number;
};

#define TEXT(k, v) { (k), (v), 0 }
#define NUMBER(k, v) { (k), NULL, (v) }

struct record {
	const char *dir;
	struct keyed keys[12];
	int n;
};

static int write_record(struct hv_host *h, hv_txn x, void *arg)
{
	const struct record *r = arg;
	char num[24];
	int rc = 0;

	for (int i = 0; !rc && i < r->n; i++) {
		snprintf(num, sizeof(num), "%llu", (unsigned long long)r->keys[i].number);
		rc = hv_writef(h, x, r->keys[i].text ? r->keys[i].text : num, "%s/retarget/%s", r->dir, r->keys[i].key);
	}
	return rc;
}

static void record_begin(struct retarget *t)
{
	struct record r = { t->v->at.admin, {
		NUMBER("seq", t->seq), TEXT("state", "running"), TEXT("from", t->from), TEXT("to", t->to), TEXT("who", t->who),
		TEXT("result", "running"), TEXT("reason", "")
	}, 7 };

	hv_transact(host(t), write_record, &r);
}

static unsigned int sum(const struct retarget *t, enum hvdrv_record_state s)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < t->v->slot.num_queues; i++)
		n += t->swap.queue[i].carried[s];
	return n;
}

static void record_end(struct retarget *t)
{
	struct record r = { t->v->at.admin, {
		TEXT("state", "done"), TEXT("result", hv_retarget_result_name(t->m.result)), TEXT("reason", t->m.why.text),
		NUMBER("freeze-ns", t->m.freeze_ns), NUMBER("stall-ns", t->m.stall_ns),
		NUMBER("carried", sum(t, HVDRV_REC_READY) + sum(t, HVDRV_REC_BEGUN) + sum(t, HVDRV_REC_DONE)),
		NUMBER("carried-ready", sum(t, HVDRV_REC_READY)), NUMBER("carried-begun", sum(t, HVDRV_REC_BEGUN)),
		NUMBER("carried-done", sum(t, HVDRV_REC_DONE))
	}, 9 };
	struct hv_about a = dev_about(t->v);

	hv_log(t->m.result == HV_RT_COMMITTED ? HV_INFO : HV_WARN, &a,
	       "switch %llu from %s to %s for %s: %s%s%s; freeze %lld us, stall %lld us, carried %u ready, %u begun, %u done",
	       (unsigned long long)t->seq, t->from, t->to, t->who, hv_retarget_result_name(t->m.result), t->m.why.code ? ": " : "",
	       t->m.why.text, (long long)t->m.freeze_ns / 1000, (long long)t->m.stall_ns / 1000, sum(t, HVDRV_REC_READY),
	       sum(t, HVDRV_REC_BEGUN), sum(t, HVDRV_REC_DONE));
	hv_transact(host(t), write_record, &r);
}

/* ---- what the machine asks for ---- */

static int check_domain(struct retarget *t, struct hv_err *e)
{
	struct hv_domain d;
	int rc = host(t)->ops->domain(host(t), t->v->id.domid, &d);

	if (rc || d.dying)
		return hv_err(e, ESRCH, "the guest is going");
	if (d.paused)
		return hv_err(e, EBUSY, "the guest is paused: `xl unpause` it first");
	return 0;
}

static enum wire_format format_of(const struct hv_image_header *h)
{
	return !strcmp(h->device, "nvme") ? WIRE_NVME : WIRE_BLKIF;
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
	snprintf(j->mode, sizeof(j->mode), "%s", t->to);
	snprintf(j->driver, sizeof(j->driver), "%s", t->img.h.device);
	memcpy(j->image_id, t->image_id, sizeof(j->image_id));
	j->ring_pages = t->img.h.queue_fixed_pages;
	j->generation = v->slot.generation + 1;
	j->offer = v->offer;
	return 0;
}

static int prepare(struct retarget *t, struct hv_err *e)
{
	int rc = check_domain(t, e);

	if (!rc)
		rc = dev_find_image(t->v, t->to, &t->img, t->image_id, e);
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
		look_after(t, GENERATOR_US);
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

	hv_fault("prepared");
	hv_swap_hold(&t->swap, true);
	hv_fault("holding");
	rc = link_send(t->v->dom->worker, &m, -1, on_held, t);
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

	hv_fault("held");
	hv_journal_set(t->journal, HV_JOURNAL_PAUSING);
	hv_fault("pausing");
	rc = host(t)->ops->pause(host(t), t->v->id.domid);
	hv_fault("paused");
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

static void ring_empty(uint8_t *pages, unsigned int begun)
{
}

static void do_swap(struct retarget *t)
{
	hv_swap_replace(&t->swap, &t->img, t->table, format_of(&t->img.h) == WIRE_BLKIF ? ring_blkif : ring_empty);
	hv_fault("swapped");
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
	if (t->held)
		link_send(t->v->dom->worker, &m, -1, ignored, NULL);
}

static void do_resume(struct retarget *t)
{
	struct dev *v = t->v;

	for (uint32_t i = 0; i < v->slot.num_queues; i++)
		memcpy(t->journal->begun[i], t->swap.queue[i].begun, sizeof(t->journal->begun[i]));
	hv_journal_set(t->journal, HV_JOURNAL_RESUMING);
	hv_fault("resuming");
	unpause(t);
	hv_fault("unpaused");
	hv_journal_set(t->journal, HV_JOURNAL_RESUMED);
	hv_fault("resumed");
	v->image = t->img.h;
	memcpy(v->image_id, t->image_id, sizeof(v->image_id));
	snprintf(v->mode, sizeof(v->mode), "%s", t->to);
	tell_worker(t, true);
	hv_fault("told");
	look_after(t, LOOK_US);
}

static void do_release(struct retarget *t)
{
	hv_swap_hold(&t->swap, false);
	hv_fault("released");
	tell_worker(t, false);
	advance(t, HV_RT_EV_OK, NULL);
}

/* Still paused: as it was, and on. */
static void do_restore(struct retarget *t)
{
	hv_swap_restore(&t->swap);
	hv_fault("restored");
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

	switch_dir(t->v->dom->d, dir, sizeof(dir));
	event_free(t->look);
	hv_image_free(&t->img);
	hv_swap_close(host(t), &t->swap);
	hv_journal_end(dir, t->journal);
	free(t);
}

static void end(struct retarget *t)
{
	bool back = t->m.result == HV_RT_UNCONFIRMED && strncmp(t->who, "revert-of:", 10);
	struct dev *v = t->v;
	char to[16], who[48];
	struct hv_err e;

	snprintf(to, sizeof(to), "%s", t->from);
	snprintf(who, sizeof(who), "revert-of:%llu", (unsigned long long)t->seq);
	hv_fault("ending");
	/* not before: xenstore is slow, and the guest's requests wait until it is seen that it has adopted */
	if (t->m.result != HV_RT_UNDONE)
		dev_publish_driver(v);
	hv_fault("published");
	record_end(t);
	v->retarget = NULL;
	retarget_free(t);
	if (back)
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

static void limit_passed(struct retarget *t)
{
	struct hv_err e;

	if (t->m.state == HV_RT_ADOPT)
		hv_err(&e, ETIMEDOUT, "the guest did not take over its requests within %lld ms", HV_RT_ADOPT_NS / 1000000);
	else if (!t->held)
		hv_err(&e, ETIMEDOUT, "the worker did not hold it within %lld ms", HV_RT_HOLD_NS / 1000000);
	else
		hv_err(&e, ETIMEDOUT, "a CPU of the guest stayed in the driver for %lld ms", HV_RT_HOLD_NS / 1000000);
	advance(t, HV_RT_EV_FAILED, &e);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct retarget *t = arg;

	if (t->m.state == HV_RT_PREPARE)
		do_prepare(t);
	else if (t->m.state == HV_RT_HOLD && t->held && !hv_swap_inside(&t->swap))
		advance(t, HV_RT_EV_OK, NULL);
	else if (t->m.state == HV_RT_ADOPT && hv_swap_adopted(&t->swap))
		advance(t, HV_RT_EV_OK, NULL);
	else if (hv_now_ns() > hv_retarget_limit(&t->m))
		limit_passed(t);
	else
		look_after(t, LOOK_US);
}

int retarget_start(struct dev *v, const char *mode, const char *who, int64_t deadline_ns, struct hv_err *e)
{
	struct retarget *t;

	if (v->retarget)
		return hv_err(e, EBUSY, "a switch is under way");
	if (v->phase != DEV_LIVE || !v->dom->worker)
		return hv_err(e, EAGAIN, "the device is not served now");
	t = calloc(1, sizeof(*t));
	if (!t)
		return hv_err(e, ENOMEM, "no memory");
	t->v = v;
	t->look = event_new(v->dom->d->base, -1, 0, on_look, t);
	snprintf(t->from, sizeof(t->from), "%s", v->mode);
	snprintf(t->to, sizeof(t->to), "%s", mode);
	snprintf(t->who, sizeof(t->who), "%s", who);
	t->seq = 1 + hv_read_u64(host(t), 0, UINT64_MAX - 1, "%s/retarget/seq", v->at.admin);
	hv_retarget_init(&t->m, deadline_ns);
	v->retarget = t;
	v->generated = false;
	record_begin(t);
	advance(t, HV_RT_EV_START, NULL);
	return 0;
}

void retarget_abort(struct dev *v, const char *why)
{
	struct retarget *t = v->retarget;

	if (!t)
		return;
	if (v->dom->worker)
		link_forget(v->dom->worker, t);
	if (t->m.state == HV_RT_HOLD)
		hv_swap_hold(&t->swap, false);
	hv_err(&t->m.why, ECANCELED, "%s", why);
	t->m.result = HV_RT_UNDONE;
	if (t->m.state == HV_RT_ADOPT) {	/* the guest runs the new driver already: whoever comes next must know */
		t->m.result = hv_swap_adopted(&t->swap) ? HV_RT_COMMITTED : HV_RT_UNCONFIRMED;
		dev_publish_driver(v);
	}
	record_end(t);
	v->retarget = NULL;
	retarget_free(t);
}
