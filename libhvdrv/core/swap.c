// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <string.h>
#include "core/swap.h"

static int map_queue(struct hv_host *h, uint32_t domid, const struct hv_queue_refs *refs, uint32_t i, struct hv_swap *s,
		     struct hv_err *e)
{
	struct hv_swap_queue *q = &s->queue[i];

	q->records = h->ops->map_grants(h, domid, refs->record, s->record_pages);
	if (q->records)
		q->pages = h->ops->map_grants(h, domid, refs->page, HV_SWAP_RING_PAGES);
	return q->pages ? 0 : hv_err(e, EFAULT, "the records of queue %u cannot be mapped: %s", i, strerror(errno));
}

int hv_swap_open(struct hv_host *h, uint32_t domid, const struct hv_offer *o, struct hv_slot *slot, struct hv_swap_saved *saved,
		 struct hv_swap *s, struct hv_err *e)
{
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->slot = slot;
	s->depth = o->depth;
	s->record_pages = o->record_pages;
	if (o->queue_pages < HV_SWAP_RING_PAGES)
		return hv_err(e, EPROTO, "its queues have less than %u pages", HV_SWAP_RING_PAGES);
	s->saved = saved;
	for (uint32_t i = 0; !rc && i < slot->num_queues; i++)
		rc = map_queue(h, domid, &o->queue[i], i, s, e);
	return rc;
}

void hv_swap_close(struct hv_host *h, struct hv_swap *s)
{
	for (uint32_t i = 0; i < HVDRV_MAX_QUEUES; i++) {
		if (s->queue[i].records)
			h->ops->unmap_grants(h, s->queue[i].records, s->record_pages);
		if (s->queue[i].pages)
			h->ops->unmap_grants(h, s->queue[i].pages, HV_SWAP_RING_PAGES);
	}
	memset(s, 0, sizeof(*s));
}

void hv_swap_hold(const struct hv_swap *s, bool hold)
{
	for (uint32_t i = 0; i < s->slot->num_queues; i++)
		__atomic_store_n(&s->slot->state[i]->hold, hold, __ATOMIC_SEQ_CST);
}

bool hv_swap_inside(const struct hv_swap *s)
{
	for (uint32_t i = 0; i < s->slot->num_queues; i++)
		if (__atomic_load_n(&s->slot->state[i]->inside, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

bool hv_swap_idle(const struct hv_swap *s)
{
	for (uint32_t i = 0; i < s->slot->num_queues; i++) {
		const struct hvdrv_state *st = s->slot->state[i];

		if (__atomic_load_n(&st->event, __ATOMIC_ACQUIRE) != __atomic_load_n(&st->tail, __ATOMIC_ACQUIRE) + 1)
			return false;
	}
	return true;
}

bool hv_swap_adopted(const struct hv_swap *s)
{
	for (uint32_t i = 0; i < s->slot->num_queues; i++) {
		const struct hvdrv_state *st = s->slot->state[i];

		if (__atomic_load_n(&st->adopted, __ATOMIC_ACQUIRE) != st->adopt)
			return false;
	}
	return true;
}

/* ---- save and restore ---- */

static void save(struct hv_swap *s)
{
	s->saved->generation = s->slot->generation;
	memcpy(s->saved->code, s->slot->code, HVDRV_SLOT_SIZE);
	for (uint32_t i = 0; i < s->slot->num_queues; i++) {
		struct hv_saved_queue *to = &s->saved->queue[i];

		memcpy(&to->state, s->slot->state[i], sizeof(to->state));
		memcpy(to->pages, s->queue[i].pages, sizeof(to->pages));
		for (uint32_t tag = 0; tag < s->depth; tag++) {
			to->rec_state[tag] = s->queue[i].records[tag].state;
			to->rec_status[tag] = s->queue[i].records[tag].status;
		}
	}
	/* whole, before the first byte of the guest's memory is changed: whoever finds it after our death may put it back */
	__atomic_store_n(&s->saved->valid, 1, __ATOMIC_SEQ_CST);
}

void hv_swap_restore(struct hv_swap *s)
{
	memcpy(s->slot->code, s->saved->code, HVDRV_SLOT_SIZE);
	s->slot->generation = s->saved->generation + 2;	/* + 1 was the one that is taken back */
	for (uint32_t i = 0; i < s->slot->num_queues; i++) {
		const struct hv_saved_queue *from = &s->saved->queue[i];
		struct hvdrv_state *st = s->slot->state[i];

		memcpy(st, &from->state, sizeof(*st));
		/* the bytes of the code were others for a while: a new number all the same */
		__atomic_store_n(&st->generation, s->slot->generation, __ATOMIC_RELEASE);
		memcpy(s->queue[i].pages, from->pages, sizeof(from->pages));
		for (uint32_t tag = 0; tag < s->depth; tag++) {
			s->queue[i].records[tag].state = from->rec_state[tag];
			s->queue[i].records[tag].status = from->rec_status[tag];
		}
	}
}

/* ---- replace ---- */

/*
 * A request that the guest waits for (READY, or BEGUN since an earlier switch) and that the host has taken under the same handle is BEGUN, or DONE when it
 * was answered: the answer may lie in the old queue, unseen. One that the host does not know stays READY: it is posted again.
 * What the host has taken is a worker's word: it says BEGUN or DONE, or is not listened to.
 * have NULL: nothing is known, each is posted again.
 */
static void mark_record(struct hv_swap_queue *q, uint32_t tag, const struct hv_inflight *have)
{
	struct hvdrv_record *rec = &q->records[tag];
	uint8_t state = rec->state, op = rec->op;

	if (state != HVDRV_REC_READY && state != HVDRV_REC_BEGUN)
		return;
	if (!have) {
		state = HVDRV_REC_READY;
		rec->state = state;
	} else if ((have->state == HVDRV_REC_BEGUN || have->state == HVDRV_REC_DONE) && have->handle == rec->handle) {
		state = have->state;
		rec->status = have->status;
		rec->state = state;
	}
	if (state == HVDRV_REC_BEGUN)
		q->begun[tag / 64] |= 1ull << (tag % 64);
	q->carried[state]++;
	if (op < HVDRV_OPS)
		q->ops[op]++;
}

static void replace_queue(struct hv_swap *s, uint32_t i, const struct hv_inflight_table *t, hv_swap_ring_fn ring)
{
	struct hv_swap_queue *q = &s->queue[i];
	struct hvdrv_state *st = s->slot->state[i];

	memset(q->begun, 0, sizeof(q->begun));
	memset(q->carried, 0, sizeof(q->carried));
	memset(q->ops, 0, sizeof(q->ops));
	for (uint32_t tag = 0; tag < s->depth; tag++)
		mark_record(q, tag, t ? &t->tag[tag] : NULL);
	memset(q->pages, 0, HV_SWAP_RING_PAGES * HVDRV_PAGE);
	ring(q->pages, q->carried[HVDRV_REC_BEGUN]);
	st->need_kick = 1;		/* a polled queue's worker sleeps until it is told of the first command */
}

static void ask_to_adopt(struct hv_swap *s)
{
	for (uint32_t i = 0; i < s->slot->num_queues; i++) {
		__atomic_store_n(&s->slot->state[i]->adopt, s->slot->generation, __ATOMIC_RELEASE);
		__atomic_store_n(&s->slot->state[i]->hold, 0, __ATOMIC_RELEASE);
	}
}

void hv_swap_replace(struct hv_swap *s, const struct hv_image *img, const struct hv_inflight_table *t, hv_swap_ring_fn ring)
{
	uint32_t generation = s->slot->generation + 1;

	save(s);
	for (uint32_t i = 0; i < s->slot->num_queues; i++)
		replace_queue(s, i, &t[i], ring);
	hv_place(s->slot, img, generation);
	ask_to_adopt(s);
}

void hv_swap_renew(struct hv_swap *s, hv_swap_ring_fn ring)
{
	save(s);
	for (uint32_t i = 0; i < s->slot->num_queues; i++)
		replace_queue(s, i, NULL, ring);
	hv_slot_renew(s->slot, s->slot->generation + 1);
	ask_to_adopt(s);
}
