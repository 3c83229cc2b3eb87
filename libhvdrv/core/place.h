/* SPDX-License-Identifier: LGPL-2.1-only */
/* A guest's slot, and putting a driver into it. Only hvdrvd does this. */
#ifndef HV_CORE_PLACE_H
#define HV_CORE_PLACE_H

#include "core/image.h"
#include "host/host.h"
#include "ring/desc.h"

struct hv_slot {
	uint8_t *code;					/* the slot's pages, writable here */
	struct hvdrv_state *state[HVDRV_MAX_QUEUES];	/* each queue's state page */
	uint32_t num_queues;
	uint64_t guest_va;
	uint32_t generation;				/* of the code that is placed; ours, not what the state pages say */
	bool foreign;					/* code is a privileged mapping of frames, not of grants */
};

/*
 * Maps the slot and the state pages that the guest offers; foreign: the slot by frame numbers, without its grants.
 * 0; -EFAULT Xen refused (the references or frames are not what the guest says).
 */
int hv_slot_map(struct hv_host *h, uint32_t domid, const struct hv_offer *o, bool foreign, struct hv_slot *s,
		struct hv_err *e);
void hv_slot_unmap(struct hv_host *h, struct hv_slot *s);

bool hv_slot_empty(const struct hv_slot *s);
void hv_slot_wipe(struct hv_slot *s);		/* int3 all over; no CPU of the guest may be inside */

/*
 * Writes a verified image, then does as hv_slot_renew(). The guest must not be calling: it does not know the driver yet, or
 * is paused. Nothing is told to it here.
 */
void hv_place(struct hv_slot *s, const struct hv_image *img, uint32_t generation);

/* Zeroes each queue's driver area, resets its tail and event, and says that the code is of this generation. */
void hv_slot_renew(struct hv_slot *s, uint32_t generation);

#endif
