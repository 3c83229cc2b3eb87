// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "ring/desc.h"

/* The chain of pages, one copied at a time. */
struct reader {
	hv_copy_page_fn copy;
	void *arg;
	uint32_t pages, next, left;
	const uint32_t *at;
	union { struct hvdrv_desc d; struct hvdrv_desc_more m; uint8_t raw[HVDRV_PAGE]; } page;
};

static int next_page(struct reader *r, struct hv_err *e)
{
	int rc;

	if (!r->next || ++r->pages > HVDRV_DESC_PAGES)
		return hv_err(e, EPROTO, "the guest's descriptor ends too early");
	rc = r->copy(r->arg, r->next, &r->page);
	if (rc)
		return hv_err(e, -rc, "page %u of the guest's descriptor cannot be read (grant reference %u)", r->pages, r->next);
	if (r->page.m.magic != HVDRV_DESC_MAGIC)
		return hv_err(e, EPROTO, "page %u of the guest's descriptor is no descriptor", r->pages);
	return 0;
}

static int next_ref(struct reader *r, uint32_t *ref, struct hv_err *e)
{
	int rc;

	if (!r->left) {
		rc = next_page(r, e);
		if (rc)
			return rc;
		r->next = r->page.m.next;
		r->at = r->page.m.gref;
		r->left = HVDRV_DESC_MORE;
	}
	*ref = *r->at++;
	r->left--;
	return *ref ? 0 : hv_err(e, EPROTO, "the guest's descriptor holds grant reference 0");
}

static uint32_t pool_pages(const struct hvdrv_desc *d)
{
	return d->version >= 2 ? d->pool_pages : 0;
}

static int check_numbers(const struct hvdrv_desc *d, uint32_t depth, uint32_t queue_pages, uint32_t max_queues,
			 struct hv_err *e)
{
	uint32_t rp = HVDRV_RECORD_PAGES(depth), pool = pool_pages(d);

	if (d->version < HVDRV_ABI_MIN || d->version > HVDRV_ABI_MAX)
		return hv_err(e, EPROTO, "the guest's descriptor has version %u, this host knows %u to %u", d->version,
			      HVDRV_ABI_MIN, HVDRV_ABI_MAX);
	if (!d->num_queues || d->num_queues > max_queues || d->num_queues > HVDRV_MAX_QUEUES)
		return hv_err(e, EPROTO, "the guest offers %u queues, 1 to %u were asked for", d->num_queues, max_queues);
	if (d->depth != depth || d->queue_pages != queue_pages || d->record_pages != rp)
		return hv_err(e, EPROTO, "the guest offers depth %u, %u and %u pages; %u, %u and %u were asked for", d->depth,
			      d->record_pages, d->queue_pages, depth, rp, queue_pages);
	if (pool > HVDRV_MAX_POOL)
		return hv_err(e, EPROTO, "the guest offers a pool of %u pages, %u at most were asked for", pool, HVDRV_MAX_POOL);
	if (d->num_grefs != d->num_queues * (1 + rp + queue_pages) + pool)
		return hv_err(e, EPROTO, "the guest's descriptor counts %u pages", d->num_grefs);
	if (d->slot_index >= HVDRV_SLOTS || d->slot_va % HVDRV_PAGE || d->slot_va + HVDRV_SLOT_SIZE < d->slot_va)
		return hv_err(e, EPROTO, "the guest's slot %u at 0x%llx cannot be", d->slot_index,
			      (unsigned long long)d->slot_va);
	return 0;
}

static void take_head(const struct hvdrv_desc *d, struct hv_offer *o)
{
	memset(o, 0, sizeof(*o));
	o->abi = d->version;
	o->num_queues = d->num_queues;
	o->depth = d->depth;
	o->record_pages = d->record_pages;
	o->queue_pages = d->queue_pages;
	o->slot_va = d->slot_va;
	o->slot_index = d->slot_index;
	o->pool_pages = pool_pages(d);
	memcpy(o->slot_gfn, d->slot_gfn, sizeof(o->slot_gfn));
	memcpy(o->slot_gref, d->slot_gref, sizeof(o->slot_gref));
	for (uint32_t q = 0; q < o->num_queues; q++)
		o->queue[q].port = d->port[q];
}

static int take_queue(struct reader *r, struct hv_offer *o, struct hv_queue_refs *q, struct hv_err *e)
{
	int rc = next_ref(r, &q->state, e);

	for (uint32_t i = 0; !rc && i < o->record_pages; i++)
		rc = next_ref(r, &q->record[i], e);
	for (uint32_t i = 0; !rc && i < o->queue_pages; i++)
		rc = next_ref(r, &q->page[i], e);
	return rc;
}

int hv_desc_read(hv_copy_page_fn copy, void *arg, uint32_t ref, uint32_t want_depth, uint32_t want_queue_pages,
		 uint32_t max_queues, struct hv_offer *o, struct hv_err *e)
{
	struct reader r = { .copy = copy, .arg = arg, .next = ref };
	int rc = next_page(&r, e);

	if (!rc)
		rc = check_numbers(&r.page.d, want_depth, want_queue_pages, max_queues, e);
	if (rc)
		return rc;
	take_head(&r.page.d, o);
	r.next = r.page.d.next;
	r.at = r.page.d.gref;
	r.left = HVDRV_DESC_FIRST;
	for (uint32_t q = 0; !rc && q < o->num_queues; q++)
		rc = take_queue(&r, o, &o->queue[q], e);
	for (uint32_t i = 0; !rc && i < o->pool_pages; i++)
		rc = next_ref(&r, &o->pool[i], e);
	return rc;
}
