// SPDX-License-Identifier: GPL-2.0-only
/*
 * The worker's part of a switch. Held, it takes nothing and answers nothing, while what is begun at the target goes on.
 * Its table says what the guest may still wait for. Then it goes on: on the queues as they were, or on new ones, where
 * the requests that were begun are answered.
 */
#include <string.h>
#include "worker/worker.h"

/* NULL: an id that no driver of ours makes; it cannot be carried. */
static struct hv_inflight *entry_of(struct wk_queue *q, const struct hv_blk_req *r)
{
	uint32_t tag = HVDRV_HANDLE_TAG(r->id);

	return r->id <= UINT16_MAX && tag < HVDRV_MAX_DEPTH ? &q->table.tag[tag] : NULL;
}

void wk_note_taken(struct wk_req *rq)
{
	struct hv_inflight *t = entry_of(rq->q, &rq->r);

	if (t)
		*t = (struct hv_inflight){ rq->r.id, HVDRV_REC_BEGUN, 0 };
}

void wk_note_answered(struct wk_queue *q, const struct hv_blk_req *r, enum hvdrv_status st)
{
	struct hv_inflight *t = entry_of(q, r);

	q->format->answer(q, r, st);
	if (t && t->handle == r->id)
		*t = (struct hv_inflight){ r->id, HVDRV_REC_DONE, st };
}

void wk_hold(struct wk_dev *d, struct hv_inflight_table *tables)
{
	d->held = true;
	for (uint32_t i = 0; i < d->num_queues; i++)
		tables[i] = d->queue[i].table;
}

/* Which of the requests in flight on q does the guest wait for? Each mark is good for one: an id that was used twice is not. */
static void claim(struct wk_queue *q, const uint64_t *marks)
{
	struct worker *wk = q->dev->wk;
	uint64_t left[HVDRV_MAX_DEPTH / 64];

	memcpy(left, marks, sizeof(left));
	for (int i = 0; i < WK_REQS; i++) {
		struct wk_req *rq = &wk->reqs[i];
		const struct hv_inflight *t = rq->busy && rq->q == q ? entry_of(q, &rq->r) : NULL;
		uint32_t tag = HVDRV_HANDLE_TAG(rq->r.id);

		if (!rq->busy || rq->q != q)
			continue;
		rq->orphan = !t || t->handle != rq->r.id || !(left[tag / 64] >> tag % 64 & 1);
		if (!rq->orphan)
			left[tag / 64] &= ~(1ull << tag % 64);
	}
}

static unsigned int count(const uint64_t *marks)
{
	unsigned int n = 0;

	for (size_t i = 0; i < HVDRV_MAX_DEPTH / 64; i++)
		n += __builtin_popcountll(marks[i]);
	return n;
}

static void renew(struct wk_queue *q, const struct wk_format *f, const uint64_t *marks)
{
	claim(q, marks);
	/* what is taken by others meanwhile uses the same handles: what this queue has answered must not be taken for it */
	if (f == wk_format(WIRE_DIRECT))
		memset(&q->table, 0, sizeof(q->table));
	q->format = f;
	f->renew(q, count(marks));
}

void wk_go(struct wk_dev *d, const struct wire_go *go)
{
	struct worker *wk = d->wk;

	if (go->renewed) {
		wk_stats_turn(d, go->format);
		wk_way_turn(d, go->format);
	}
	for (uint32_t i = 0; i < d->num_queues; i++) {
		struct wk_queue *q = &d->queue[i];

		if (go->renewed)
			renew(q, wk_format(go->format), go->begun[i]);
		q->pending = true;		/* looked at once without an event */
		/* the kick: whoever was turned away is tried again, and a new driver takes over what is in flight */
		wk->guest.ops->notify(wk->guest.arg, q->port);
	}
	d->held = false;
	STAILQ_CONCAT(&wk->done, &d->parked);
}
