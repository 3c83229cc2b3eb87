/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What a switch does to the guest's memory while the domain is paused: another driver at the same address, new queues,
 * and records that say what the host has begun. The host's own table is the truth; of what the guest wrote only a
 * record's handle and state are read, to see which requests it still waits for.
 */
#ifndef HV_CORE_SWAP_H
#define HV_CORE_SWAP_H

#include "core/place.h"
#include "ring/inflight.h"

#define HV_SWAP_RING_PAGES 2u		/* of a queue's pages: what a driver's queue is made of, new at each switch */

/* The queue's records and pages, mapped. */
struct hv_swap_queue {
	struct hvdrv_record *records;
	uint8_t *pages;			/* HV_SWAP_RING_PAGES */
	uint64_t begun[HVDRV_MAX_DEPTH / 64];	/* out: tags whose answer the guest expects through the new queue */
	unsigned int carried[HVDRV_REC_DONE + 1];	/* out: records by state; FREE unused */
	unsigned int ops[HVDRV_OPS];	/* out: of those carried */
};

/* What a switch overwrites. No pointers: it may lie in a file that outlives the process (core/journal.h). */
struct hv_saved_queue {
	struct hvdrv_state state;
	uint8_t rec_state[HVDRV_MAX_DEPTH], rec_status[HVDRV_MAX_DEPTH];
	uint8_t pages[HV_SWAP_RING_PAGES * HVDRV_PAGE];
};

struct hv_swap_saved {
	uint32_t valid;			/* 1: whole, and the guest's memory may have been changed since */
	uint32_t generation;		/* of the code saved */
	uint8_t code[HVDRV_SLOT_SIZE];
	struct hv_saved_queue queue[HVDRV_MAX_QUEUES];
};

struct hv_swap {
	struct hv_slot *slot;
	uint32_t depth, record_pages;
	struct hv_swap_queue queue[HVDRV_MAX_QUEUES];
	struct hv_swap_saved *saved;
};

/* Maps records and ring pages. saved: room for the old state, the caller's. 0 or -errno with e; hv_swap_close() in any case. */
int hv_swap_open(struct hv_host *h, uint32_t domid, const struct hv_offer *o, struct hv_slot *slot, struct hv_swap_saved *saved,
		 struct hv_swap *s, struct hv_err *e);
void hv_swap_close(struct hv_host *h, struct hv_swap *s);

/* hold=1 or 0 on each queue. */
void hv_swap_hold(const struct hv_swap *s, bool hold);
bool hv_swap_inside(const struct hv_swap *s);	/* is a CPU in the slot? Certain only while the domain is paused */
bool hv_swap_adopted(const struct hv_swap *s);
bool hv_swap_idle(const struct hv_swap *s);	/* hardware queues: all that was posted has been taken back */

/* How a format's empty queue looks: pages are zeroed already. */
typedef void (*hv_swap_ring_fn)(uint8_t *pages, unsigned int begun);

/*
 * Under pause, nobody inside, the worker held: saves what is there, then replaces. t: the worker's tables, one per queue;
 * ring prepares the new queues. hold is 0 afterwards, `adopt` asked for.
 */
void hv_swap_replace(struct hv_swap *s, const struct hv_image *img, const struct hv_inflight_table *t, hv_swap_ring_fn ring);

/*
 * The same with the driver that is there, when nobody knows what a worker that has died had taken: all that the guest waits
 * for becomes READY, and begins again. That is right for whatever the worker had begun, or even answered unseen: the guest has
 * not been told, so to it the request has not ended.
 */
void hv_swap_renew(struct hv_swap *s, hv_swap_ring_fn ring);

/* Under the same pause: everything as hv_swap_replace() or hv_swap_renew() found it, hold still 1. */
void hv_swap_restore(struct hv_swap *s);

#endif
