/* SPDX-License-Identifier: LGPL-2.1-only */
/* The host's own truth about requests in flight: kept by the worker, used when a driver is replaced. */
#ifndef HV_RING_INFLIGHT_H
#define HV_RING_INFLIGHT_H

#include <stdint.h>
#include <hvdrv/abi.h>

/* What the host knows of the request that it took last under a tag. */
struct hv_inflight {
	uint16_t handle;
	uint8_t state;			/* HVDRV_REC_FREE: nothing taken yet; BEGUN; DONE: answered */
	uint8_t status;			/* of DONE */
};

struct hv_inflight_table {
	struct hv_inflight tag[HVDRV_MAX_DEPTH];
};

#endif
