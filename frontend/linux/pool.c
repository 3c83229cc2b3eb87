// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue's pool: pages of our own, granted to the host for good, which requests carry their data in. Data is copied
 * here and by the host, but no page of a request is granted, and the host needs no hypercall. A request for which not
 * enough pages are free is granted page by page, as without a pool; so a small pool, or none, is never a failure.
 */
#include "stub.h"
#include <linux/module.h>
#include <linux/moduleparam.h>

#define MAX_PER_QUEUE 1024u
/* Of each frame of the grant table, so that other drivers, and our requests beside the pool, find references: a quarter or half. */
#define GRANTS_PER_FRAME 128u

static unsigned int pool_pages = 256;
module_param(pool_pages, uint, 0644);
MODULE_PARM_DESC(pool_pages, "pages per queue that data is carried in, granted to the host for good; 0 to 1024");

static unsigned int wanted(const struct hv_dev *hv)
{
	unsigned int n = min3(READ_ONCE(pool_pages), MAX_PER_QUEUE, hv->lim.pool_pages / hv->nq);
	int left = gnttab_max_grant_frames() * GRANTS_PER_FRAME - atomic_read(&hv_count.pool);

	return hv->abi < 2 || left <= 0 ? 0 : min_t(unsigned int, n, left);
}

void hv_pool_alloc(struct hv_queue *q)
{
	struct hv_pool *p = &q->pool;
	unsigned int i, n = wanted(q->dev);

	if (!n)
		return;
	p->free = kvmalloc_array(n, sizeof(*p->free), GFP_KERNEL);
	if (!p->free)
		return;
	hv_share_most(&p->mem, n, q->dev->xb->otherend_id);
	for (i = 0; i < p->mem.n; i++)
		p->free[i] = i;
	p->nfree = p->mem.n;
	atomic_add(p->mem.n, &hv_count.pool);
}

void hv_pool_free(struct hv_queue *q)
{
	struct hv_pool *p = &q->pool;

	atomic_sub(p->mem.n, &hv_count.pool);
	kvfree(p->free);
	hv_share_free(&p->mem);
	memset(p, 0, sizeof(*p));
}

bool hv_pool_take(struct hv_queue *q, unsigned int n, u16 *index)
{
	struct hv_pool *p = &q->pool;
	unsigned long flags;
	bool enough;

	raw_spin_lock_irqsave(&q->lock, flags);
	enough = n <= p->nfree;
	if (enough) {
		p->nfree -= n;
		memcpy(index, p->free + p->nfree, n * sizeof(*index));
	}
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return enough;
}

void hv_pool_put(struct hv_queue *q, unsigned int n, const u16 *index)
{
	struct hv_pool *p = &q->pool;
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	memcpy(p->free + p->nfree, index, n * sizeof(*index));
	p->nfree += n;
	raw_spin_unlock_irqrestore(&q->lock, flags);
}
