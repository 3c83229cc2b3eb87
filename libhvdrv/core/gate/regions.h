/* SPDX-License-Identifier: LGPL-2.1-only */
/* The memory that a driver may use: hvdrv-abi(7)'s, from the context pointer on; its own stack; constants of its image. */
#ifndef HV_CORE_GATE_REGIONS_H
#define HV_CORE_GATE_REGIONS_H

#include "core/gate/state.h"

/* What the header of an image says about the regions' sizes. */
struct gate_regions {
	uint32_t fixed_pages, pages_per_tag;
	uint32_t image;			/* bytes of the payload */
	bool direct;			/* frames and doorbells are there */
};
void gate_regions_init(struct gate_regions *r, const struct hv_image_header *h);

/* Of so many bytes at this address. NULL, or why not. What comes out of memory that others may change is any number. */
const char *gate_load(const struct gate_regions *r, struct gate_state *st, struct gate_names *n, const struct gate_val *at,
		      unsigned int bytes, struct gate_val *v);
const char *gate_store(const struct gate_regions *r, struct gate_state *st, const struct gate_val *at, unsigned int bytes,
		       const struct gate_val *v);

/* Inside the region, wherever it is used: for an address that is only computed. */
const char *gate_in_image(const struct gate_regions *r, int64_t off, unsigned int bytes);

/* What lies below the stack pointer is nobody's any more. */
void gate_stack_drop(struct gate_state *st);

#endif
