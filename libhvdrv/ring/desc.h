/* SPDX-License-Identifier: LGPL-2.1-only */
/* The descriptor that a guest grants: copied once, checked against what the host asked for. */
#ifndef HV_RING_DESC_H
#define HV_RING_DESC_H

#include <hvdrv/abi.h>
#include "util/err.h"

struct hv_queue_refs {
	uint32_t state;
	uint32_t record[HVDRV_RECORD_PAGES(HVDRV_MAX_DEPTH)];
	uint32_t page[HVDRV_MAX_QUEUE_PAGES];
	uint32_t port;
};

/* What the guest offers. Numbers are checked; that references and frames are the guest's own, Xen checks at use. */
struct hv_offer {
	uint32_t abi;
	uint32_t num_queues, depth, record_pages, queue_pages;
	uint64_t slot_va;
	uint32_t slot_index;
	uint64_t slot_gfn[HVDRV_SLOT_PAGES];
	uint32_t slot_gref[HVDRV_SLOT_PAGES];
	struct hv_queue_refs queue[HVDRV_MAX_QUEUES];
	uint32_t pool_pages;			/* 0: no pool */
	uint32_t pool[HVDRV_MAX_POOL];
};

/* Copies the granted page REF of the guest; 0 or -errno. */
typedef int (*hv_copy_page_fn)(void *arg, uint32_t ref, void *page);

/*
 * Reads the chain that begins at ref. want_*: what the host published, which the guest must have followed.
 * 0; -EPROTO what the guest wrote cannot be (e says what); or what copy returned.
 */
int hv_desc_read(hv_copy_page_fn copy, void *arg, uint32_t ref, uint32_t want_depth, uint32_t want_queue_pages,
		 uint32_t max_queues, struct hv_offer *o, struct hv_err *e);

#endif
