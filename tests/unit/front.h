/* SPDX-License-Identifier: GPL-2.0-only */
/* A block frontend that says exactly what a test wants, right or wrong, in any layout. */
#ifndef FRONT_H
#define FRONT_H

#include "ring/blkif.h"

struct front_seg {
	uint32_t gref;
	uint8_t first, last;
};

/* Fills a ring's entry (or a buffer) of l->stride bytes. */
void front_direct(const struct hv_blkif_layout *l, uint8_t *e, uint8_t op, uint64_t id, uint64_t sector, const struct front_seg *s, int n);
void front_indirect(const struct hv_blkif_layout *l, uint8_t *e, uint8_t op, uint64_t id, uint64_t sector, uint32_t page, int n);
void front_range(const struct hv_blkif_layout *l, uint8_t *e, uint8_t op, uint64_t id, uint64_t sector, uint64_t sectors);
void front_segs(const struct hv_blkif_layout *l, uint8_t *to, const struct front_seg *s, int n);

struct front {
	const struct hv_blkif_layout *l;
	uint8_t *ring;
	uint32_t entries, prod, cons;
};
void front_init(struct front *f, const struct hv_blkif_layout *l, void *ring, uint32_t pages);
uint8_t *front_next(struct front *f);		/* the entry to fill; counted, not shown yet */
void front_show(struct front *f);		/* all that were filled */
bool front_answer(struct front *f, uint64_t *id, int *status);
void front_set(uint8_t *ring, uint16_t at, uint32_t v);
uint32_t front_get(const uint8_t *ring, uint16_t at);

#endif
