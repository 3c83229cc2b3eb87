/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages between hvdrvd and a worker: one struct per message over SOCK_SEQPACKET, fixed size. hvdrvd asks, the
 * worker answers each in turn with the same seq; events have seq 0. WIRE_VERSION covers everything here: a worker
 * of another version is only told to quit.
 */
#ifndef BACKEND_WIRE_H
#define BACKEND_WIRE_H

#include <stdint.h>
#include "ring/blkif.h"
#include "ring/inflight.h"

#define WIRE_VERSION 3u
#define WIRE_RING_PAGES 4u		/* of a queue's pages: the ring's, which come first */

enum wire_type {
	WIRE_HELLO,	/* answer: the worker's devices */
	WIRE_ADD,	/* with descriptor: the target; answer: OK or ERROR */
	WIRE_DEL,	/* answer when all that was begun has ended, the target is synced, nothing of the guest is mapped */
	WIRE_RESIZE,
	WIRE_STATS,
	WIRE_HOLD,	/* take nothing, answer nothing; answer: HELD. What is begun goes on */
	WIRE_HELD,	/* what was taken, per queue and tag */
	WIRE_GO,	/* held no more: on the queues as they were, or on new ones; every queue is kicked */
	WIRE_QUIT,	/* as DEL for all, then the worker ends */
	WIRE_OK,
	WIRE_ERROR,
	WIRE_EV_FIRST_READ,
	WIRE_EV_FAILED,	/* the device is served no more: what the guest wrote cannot be */
};

#define WIRE_HIST 32		/* buckets: bucket b counts latencies in [2^b, 2^(b+1)) ns */

struct wire_stats {
	uint64_t requests[HVDRV_OPS], bytes[HVDRV_OPS];
	uint64_t errors, rejects[HV_REJECTS];
	uint64_t copies, events_out, events_in;		/* hypercalls: copy batches, notifications; wake-ups */
	uint64_t latency[WIRE_HIST];			/* taken from the ring to answered */
	uint64_t orphans;				/* requests carried over a switch that the guest does not wait for */
	uint32_t inflight, queues;
};

/* How a queue's memory is laid out: which driver is in the slot. */
enum wire_format { WIRE_BLKIF, WIRE_NVME, WIRE_FORMATS };

struct wire_go {
	uint32_t renewed;				/* 1: other queues, of this format */
	uint32_t format;
	uint64_t begun[HVDRV_MAX_QUEUES][HVDRV_MAX_DEPTH / 64];	/* tags that the guest expects an answer for */
};

struct wire_add {
	char name[HVDRV_NAME_MAX + 1];
	struct hv_blkif_limits lim;
	uint32_t format, num_queues, queue_pages, ring_pages;
	uint32_t port[HVDRV_MAX_QUEUES];		/* the guest's */
	uint32_t state_ref[HVDRV_MAX_QUEUES];
	uint32_t page_ref[HVDRV_MAX_QUEUES][HVDRV_MAX_QUEUE_PAGES];
	uint8_t block_device;				/* the target: discard, zeroes by block-device calls */
};

struct wire_msg {
	uint32_t version, type, seq, dev;
	union {
		struct { uint32_t n; uint32_t dev[HVDRV_SLOTS]; } hello;
		struct wire_add add;
		struct { uint64_t sectors; } resize;
		struct wire_stats stats;
		struct { struct hv_inflight_table queue[HVDRV_MAX_QUEUES]; } held;
		struct wire_go go;
		struct { uint32_t code, reject; char text[200]; } error;
	};
};

#endif
