// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is granted to the host, and the descriptor that tells the host of it. */
#include "stub.h"
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <xen/page.h>

static int grant_page(struct hv_share *s, unsigned int i, domid_t domid, gfp_t gfp)
{
	int ref;

	s->page[i] = alloc_page(gfp | __GFP_ZERO);
	if (!s->page[i])
		return -ENOMEM;
	ref = gnttab_grant_foreign_access(domid, xen_page_to_gfn(s->page[i]), 0);
	if (ref < 0) {
		__free_page(s->page[i]);
		return ref;
	}
	s->ref[i] = ref;
	s->n++;
	atomic_inc(&hv_count.pages);
	atomic_inc(&hv_count.grants);
	return 0;
}

int hv_share_alloc(struct hv_share *s, unsigned int n, domid_t domid)
{
	unsigned int i;
	int rc = -ENOMEM;

	s->page = kcalloc(n, sizeof(*s->page), GFP_KERNEL);
	s->ref = kcalloc(n, sizeof(*s->ref), GFP_KERNEL);
	if (!s->page || !s->ref)
		goto fail;
	for (i = 0; i < n; i++) {
		rc = grant_page(s, i, domid, GFP_KERNEL);
		if (rc)
			goto fail;
	}
	rc = -ENOMEM;
	s->va = vmap(s->page, n, VM_MAP, PAGE_KERNEL);
	if (s->va)
		return 0;
fail:
	hv_share_free(s);
	return rc;
}

void hv_share_most(struct hv_share *s, unsigned int n, domid_t domid)
{
	s->page = kcalloc(n, sizeof(*s->page), GFP_KERNEL);
	s->ref = kcalloc(n, sizeof(*s->ref), GFP_KERNEL);
	while (s->page && s->ref && s->n < n)
		if (grant_page(s, s->n, domid, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN))
			break;
}

void hv_share_free(struct hv_share *s)
{
	unsigned int i;

	if (s->va)
		vunmap(s->va);
	for (i = 0; i < s->n; i++) {
		/* frees the page at once, or when the host has unmapped it */
		gnttab_end_foreign_access(s->ref[i], s->page[i]);
		atomic_dec(&hv_count.pages);
		atomic_dec(&hv_count.grants);
	}
	kfree(s->page);
	kfree(s->ref);
	memset(s, 0, sizeof(*s));
}

/* Appends references to the descriptor, going on to the next page of the chain when one is full. */
struct desc_writer {
	struct hv_share *pages;
	unsigned int page, left;
	u32 *at;
};

static void put_ref(struct desc_writer *w, grant_ref_t ref)
{
	if (!w->left) {
		struct hvdrv_desc_more *m = w->pages->va + ++w->page * PAGE_SIZE;

		m->magic = HVDRV_DESC_MAGIC;
		m->next = w->page + 1 < w->pages->n ? w->pages->ref[w->page + 1] : 0;
		w->at = m->gref;
		w->left = HVDRV_DESC_MORE;
	}
	*w->at++ = ref;
	w->left--;
}

static unsigned int desc_pages(unsigned int refs)
{
	return refs <= HVDRV_DESC_FIRST ? 1 : 1 + DIV_ROUND_UP(refs - HVDRV_DESC_FIRST, (unsigned int)HVDRV_DESC_MORE);
}

int hv_desc_write(struct hv_dev *hv)
{
	unsigned int refs = hv->nq * hv->queue[0].mem.n, pool = 0, i, k;
	struct desc_writer w;
	struct hvdrv_desc *d;
	int rc;

	for (i = 0; i < hv->nq; i++)
		pool += hv->queue[i].pool.mem.n;
	refs += pool;
	rc = hv_share_alloc(&hv->desc, desc_pages(refs), hv->xb->otherend_id);
	if (rc)
		return rc;
	d = hv->desc.va;
	d->magic = HVDRV_DESC_MAGIC;
	d->version = hv->abi;
	d->next = hv->desc.n > 1 ? hv->desc.ref[1] : 0;
	d->num_grefs = refs;
	d->num_queues = hv->nq;
	d->depth = hv->lim.depth;
	d->record_pages = HVDRV_RECORD_PAGES(hv->lim.depth);
	d->queue_pages = hv->lim.queue_pages;
	d->slot_va = (unsigned long)hv_slot_va(hv->slot);
	d->slot_index = hv->slot;
	d->pool_pages = pool;
	w = (struct desc_writer){ &hv->desc, 0, HVDRV_DESC_FIRST, d->gref };
	for (i = 0; i < hv->nq; i++) {
		d->port[i] = hv->queue[i].port;
		for (k = 0; k < hv->queue[i].mem.n; k++)
			put_ref(&w, hv->queue[i].mem.ref[k]);
	}
	for (i = 0; i < hv->nq; i++)
		for (k = 0; k < hv->queue[i].pool.mem.n; k++)
			put_ref(&w, hv->queue[i].pool.mem.ref[k]);
	return hv_desc_grant_slot(hv);
}

int hv_desc_grant_slot(struct hv_dev *hv)
{
	struct hvdrv_desc *d = hv->desc.va;
	unsigned int i;

	for (i = 0; i < HVDRV_SLOT_PAGES; i++) {
		struct page *page = vmalloc_to_page(hv_slot_va(hv->slot) + i * PAGE_SIZE);
		unsigned long gfn = xen_page_to_gfn(page);
		int ref = gnttab_grant_foreign_access(hv->xb->otherend_id, gfn, 0);

		if (ref < 0)
			return ref;
		d->slot_gfn[i] = gfn;
		d->slot_gref[i] = ref;
		atomic_inc(&hv_count.grants);
	}
	return 0;
}

void hv_desc_end_slot(struct hv_dev *hv)
{
	struct hvdrv_desc *d = hv->desc.va;
	unsigned int i, kept = 0;

	for (i = 0; d && i < HVDRV_SLOT_PAGES; i++) {
		if (!d->slot_gref[i])
			continue;
		if (gnttab_try_end_foreign_access(d->slot_gref[i]))
			atomic_dec(&hv_count.grants);
		else
			kept++;
	}
	if (kept)
		hv_slot_lose(hv->slot);
	else
		hv_slot_put(hv->slot);
	hv->slot = -1;
}
