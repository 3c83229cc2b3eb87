/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's side around a placed driver, as frontend/linux/queue.c: records, the gate, completions by handle. */
#ifndef STUB_H
#define STUB_H

#include "core/place.h"

#define STUB_PAGES(depth) (1 + HVDRV_RECORD_PAGES(depth) + 2 + (depth))	/* state, records, queue pages */

struct stub {
	struct hvdrv_ctx ctx;
	struct hv_slot slot;		/* the host's view: code is writable, state is the queue's */
	hvdrv_entry_fn entry[HVDRV_ENTRIES];	/* the guest's view of the same pages: executable, not writable */
	uint16_t live[HVDRV_MAX_DEPTH];
	uint8_t gen[HVDRV_MAX_DEPTH];
	uint32_t adopts;
	bool dead;
};

/* mem: STUB_PAGES(depth) pages, granted as gref[0] on. The slot is empty. */
void stub_init(struct stub *s, uint8_t *mem, const uint32_t *gref, uint32_t depth);
void stub_free(struct stub *s);

struct hvdrv_record *stub_record(struct stub *s, uint32_t tag);
uint32_t stub_call(struct stub *s, enum hvdrv_entry e, uint32_t arg);	/* through the gate */
uint32_t stub_submit(struct stub *s, uint32_t tag);			/* the record is filled; BUSY, BROKEN: it is free again */
uint32_t stub_event(struct stub *s, struct hvdrv_done *done, unsigned int *n);

#endif
