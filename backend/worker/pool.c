// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device's pool: pages that belong to the guest's stub, which it has granted for good. They are mapped once; what a
 * request carries in them is copied here, without a call. A reference that is not one of them is copied by Xen as ever,
 * so a request may name either, and the driver in between need not know. They are never buffers of host I/O: a process
 * that is killed must have nothing of a guest pinned.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "worker/worker.h"

/* Where ref is among the first n, or would be. The guest chooses the references: not the steps of this, as with a hash. */
static uint32_t place_of(const struct wk_pool *p, uint32_t n, uint32_t ref)
{
	uint32_t low = 0;

	while (low < n) {
		uint32_t middle = low + (n - low) / 2;

		if (p->page[middle].ref < ref)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/* Into its place. (qsort() asks for the machine's memory: a call that a worker may not make.) */
static void insert(struct wk_pool *p, uint32_t n, struct wk_pool_page page)
{
	uint32_t at = place_of(p, n, page.ref);

	memmove(p->page + at + 1, p->page + at, (n - at) * sizeof(*p->page));
	p->page[at] = page;
}

void wk_pool_open(struct wk_dev *d, const struct wire_add *a)
{
	const struct guest *g = &d->wk->guest;
	struct hv_about about = d->wk->about;
	struct wk_pool *p = &d->pool;

	about.device = d->name;
	if (!a->pool_pages)
		return;
	p->page = calloc(a->pool_pages, sizeof(*p->page));
	p->map = p->page ? g->ops->map(g->arg, a->pool_ref, a->pool_pages) : NULL;
	if (!p->map) {
		hv_log(HV_WARN, &about, "the pool of %u pages cannot be mapped, all goes by grant copy: %s", a->pool_pages,
		       strerror(errno));
		free(p->page);
		p->page = NULL;
		return;
	}
	p->n = a->pool_pages;
	for (uint32_t i = 0; i < p->n; i++)
		insert(p, i, (struct wk_pool_page){ a->pool_ref[i], p->map + (size_t)i * HVDRV_PAGE });
}

void wk_pool_close(struct wk_dev *d)
{
	struct wk_pool *p = &d->pool;

	if (p->map)
		d->wk->guest.ops->unmap(d->wk->guest.arg, p->map, p->n);
	free(p->page);
	*p = (struct wk_pool){ 0 };
}

static uint8_t *page_of(const struct wk_pool *p, uint32_t ref)
{
	uint32_t at = place_of(p, p->n, ref);

	return at < p->n && p->page[at].ref == ref ? p->page[at].va : NULL;
}

bool wk_pool_copy(const struct wk_pool *p, const struct guest_copy *c)
{
	uint8_t *page = page_of(p, c->ref);

	if (!page)
		return false;
	if (c->to_guest)
		memcpy(page + c->off, c->local, c->len);
	else
		memcpy(c->local, page + c->off, c->len);
	return true;
}
