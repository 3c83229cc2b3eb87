// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include "front.h"

static void put(uint8_t *e, unsigned int at, unsigned int size, uint64_t v)
{
	memcpy(e + at, &v, size);
}

void front_segs(const struct hv_blkif_layout *l, uint8_t *to, const struct front_seg *s, int n)
{
	for (int i = 0; i < n; i++, to += l->seg_stride) {
		put(to, l->seg_gref, 4, s[i].gref);
		put(to, l->seg_first, 1, s[i].first);
		put(to, l->seg_last, 1, s[i].last);
	}
}

void front_direct(const struct hv_blkif_layout *l, uint8_t *e, uint8_t op, uint64_t id, uint64_t sector, const struct front_seg *s, int n)
{
	memset(e, 0, l->stride);
	put(e, l->operation, 1, op);
	put(e, l->nseg, 1, n);
	put(e, l->id, 8, id);
	put(e, l->sector, 8, sector);
	front_segs(l, e + l->segs, s, n < l->seg_direct ? n : l->seg_direct);
}

void front_indirect(const struct hv_blkif_layout *l, uint8_t *e, uint8_t op, uint64_t id, uint64_t sector, uint32_t page, int n)
{
	memset(e, 0, l->stride);
	put(e, l->operation, 1, l->op_indirect);
	put(e, l->ind_op, 1, op);
	put(e, l->ind_nseg, 2, n);
	put(e, l->ind_id, 8, id);
	put(e, l->ind_sector, 8, sector);
	put(e, l->ind_page, 4, page);
}

void front_range(const struct hv_blkif_layout *l, uint8_t *e, uint8_t op, uint64_t id, uint64_t sector, uint64_t sectors)
{
	memset(e, 0, l->stride);
	put(e, l->operation, 1, op);
	put(e, l->id, 8, id);
	put(e, l->sector, 8, sector);
	put(e, l->range_sectors, 8, sectors);
}

void front_set(uint8_t *ring, uint16_t at, uint32_t v)
{
	__atomic_store_n((uint32_t *)(ring + at), v, __ATOMIC_SEQ_CST);
}

uint32_t front_get(const uint8_t *ring, uint16_t at)
{
	return __atomic_load_n((const uint32_t *)(ring + at), __ATOMIC_SEQ_CST);
}

void front_init(struct front *f, const struct hv_blkif_layout *l, void *ring, uint32_t pages)
{
	memset(f, 0, sizeof(*f));
	f->l = l;
	f->ring = ring;
	f->entries = hv_blkring_entries(l, pages);
	front_set(ring, l->req_event, 1);
	front_set(ring, l->rsp_event, 1);
}

static uint8_t *entry(struct front *f, uint32_t i)
{
	return f->ring + f->l->first + (i & (f->entries - 1)) * f->l->stride;
}

uint8_t *front_next(struct front *f)
{
	return entry(f, f->prod++);
}

void front_show(struct front *f)
{
	front_set(f->ring, f->l->req_prod, f->prod);
}

bool front_answer(struct front *f, uint64_t *id, int *status)
{
	const uint8_t *e;
	int16_t st;

	if (front_get(f->ring, f->l->rsp_prod) == f->cons)
		return false;
	e = entry(f, f->cons++);
	memcpy(id, e + f->l->rsp_id, 8);
	memcpy(&st, e + f->l->rsp_status, 2);
	*status = st;
	return true;
}
