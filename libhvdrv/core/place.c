// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <string.h>
#include "core/place.h"

static int map_code(struct hv_host *h, uint32_t domid, const struct hv_offer *o, struct hv_slot *s, struct hv_err *e)
{
	if (s->foreign)
		s->code = h->ops->map_frames(h, domid, o->slot_gfn, HVDRV_SLOT_PAGES);
	else
		s->code = h->ops->map_grants(h, domid, o->slot_gref, HVDRV_SLOT_PAGES);
	return s->code ? 0 : hv_err(e, EFAULT, "the guest's slot cannot be mapped (%s): %s", strerror(errno),
				    s->foreign ? "its frame numbers are not the guest's" : "its grants are not valid");
}

int hv_slot_map(struct hv_host *h, uint32_t domid, const struct hv_offer *o, bool foreign, struct hv_slot *s,
		struct hv_err *e)
{
	int rc;

	memset(s, 0, sizeof(*s));
	s->foreign = foreign;
	s->guest_va = o->slot_va;
	rc = map_code(h, domid, o, s, e);
	for (; !rc && s->num_queues < o->num_queues; s->num_queues++) {
		s->state[s->num_queues] = h->ops->map_grants(h, domid, &o->queue[s->num_queues].state, 1);
		if (!s->state[s->num_queues])
			rc = hv_err(e, EFAULT, "the state page of queue %u cannot be mapped: %s", s->num_queues, strerror(errno));
	}
	if (rc)
		hv_slot_unmap(h, s);
	return rc;
}

void hv_slot_unmap(struct hv_host *h, struct hv_slot *s)
{
	for (uint32_t q = 0; q < HVDRV_MAX_QUEUES; q++)
		if (s->state[q])
			h->ops->unmap_grants(h, s->state[q], 1);
	if (s->code && s->foreign)
		h->ops->unmap_frames(h, s->code, HVDRV_SLOT_PAGES);
	else if (s->code)
		h->ops->unmap_grants(h, s->code, HVDRV_SLOT_PAGES);
	memset(s, 0, sizeof(*s));
}

bool hv_slot_empty(const struct hv_slot *s)
{
	for (uint32_t i = 0; i < HVDRV_SLOT_SIZE; i++)
		if (s->code[i] != HVDRV_SLOT_FILL)
			return false;
	return true;
}

void hv_slot_wipe(struct hv_slot *s)
{
	memset(s->code, HVDRV_SLOT_FILL, HVDRV_SLOT_SIZE);
}

void hv_place(struct hv_slot *s, const struct hv_image *img, uint32_t generation)
{
	memcpy(s->code, img->payload, img->h.payload_size);
	memset(s->code + img->h.payload_size, HVDRV_SLOT_FILL, HVDRV_SLOT_SIZE - img->h.payload_size);
	hv_slot_renew(s, generation);
}

void hv_slot_renew(struct hv_slot *s, uint32_t generation)
{
	s->generation = generation;
	for (uint32_t q = 0; q < s->num_queues; q++) {
		memset(s->state[q]->drv, 0, sizeof(s->state[q]->drv));
		/* the numbers of another driver's polled queue: who serves must not see them before the guest has adopted */
		s->state[q]->tail = 0;
		s->state[q]->event = 1;
		/* after the last byte of code: a CPU that sees the new generation sees the code, too */
		__atomic_store_n(&s->state[q]->generation, generation, __ATOMIC_RELEASE);
	}
}
