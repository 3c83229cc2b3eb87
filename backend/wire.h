/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages between hvdrvd and a worker: one struct per message over SOCK_SEQPACKET, as much of it as its type needs: what is unread
 * waits in the socket, and that is not large. hvdrvd asks, the worker answers each in turn with the same seq; events have seq 0.
 * WIRE_VERSION covers everything here: a worker of another version is only told to quit.
 */
#ifndef BACKEND_WIRE_H
#define BACKEND_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include "ring/blkif.h"
#include "ring/inflight.h"

#define WIRE_VERSION 8u
#define WIRE_RING_PAGES 4u		/* of a queue's pages: the ring's, which come first */

enum wire_type {
	WIRE_HELLO,	/* answer: the worker's devices */
	WIRE_ADD,	/* with descriptors: the target, maybe its generic character device; answer: OK, what is used, or ERROR */
	WIRE_DEL,	/* answer when all that was begun has ended, the target is synced, nothing of the guest is mapped */
	WIRE_RESIZE,
	WIRE_STATS,
	WIRE_HOLD,	/* take nothing, answer nothing; answer: HELD. What is begun goes on; or, drain, is answered before HELD */
	WIRE_HELD,	/* what was taken, per queue and tag */
	WIRE_GO,	/* held no more: on the queues as they were, or on new ones; every queue is kicked */
	WIRE_SHARE,	/* with descriptor: hvdrv-share's connection for the device; without: nobody gives turns now (turns.h) */
	WIRE_QUIT,	/* as DEL for all, then the worker ends */
	WIRE_OK,
	WIRE_ERROR,
	WIRE_EV_FIRST_READ,
	WIRE_EV_FAILED,	/* the device is served no more: what the guest wrote cannot be */
};

#define WIRE_HIST 32		/* buckets: bucket b counts latencies in [2^b, 2^(b+1)) ns */

struct wire_stats {			/* what was answered while the queues had one format, that is, in one mode */
	uint64_t requests[HVDRV_OPS], bytes[HVDRV_OPS];
	uint64_t errors, rejects[HV_REJECTS];
	uint64_t copies, events_out, events_in;		/* hypercalls: copy batches, notifications; wake-ups */
	uint64_t latency[WIRE_HIST];			/* taken from the ring to answered */
	uint64_t latency_ns;				/* of all together */
	uint64_t orphans;				/* requests carried over a switch that the guest does not wait for */
	uint64_t pool_requests;				/* whose data all went through the pool */
	uint64_t turns;					/* given by hvdrv-share */
	uint64_t passed;				/* of requests: done by NVMe commands (io.h) */
};

/* How a queue's memory is laid out: which driver is in the slot. Of a hardware queue (DIRECT) nothing is the worker's to do. */
enum wire_format { WIRE_BLKIF, WIRE_NVME, WIRE_VIRTQ, WIRE_DIRECT, WIRE_FORMATS };

struct wire_counts {
	uint32_t inflight, queues, pool_pages, waiting;	/* waiting: of inflight, for a turn */
	struct wire_stats of[WIRE_FORMATS];
};

struct wire_go {
	uint32_t renewed;				/* 1: other queues, of this format */
	uint32_t format;
	uint64_t begun[HVDRV_MAX_QUEUES][HVDRV_MAX_DEPTH / 64];	/* tags that the guest expects an answer for */
};

/* A target that takes NVMe commands: of the second descriptor. */
struct wire_pass {
	uint32_t nsid, block, max_bytes;
	uint64_t at;					/* bytes of the namespace before the target's first */
	uint64_t max_discard, max_zeroes;		/* bytes in one command; 0: it has no such command */
};

struct wire_add {
	char name[HVDRV_NAME_MAX + 1];
	struct hv_blkif_limits lim;
	uint64_t first;					/* sectors of the target before the device's first */
	uint32_t format, num_queues, queue_pages, ring_pages;
	uint32_t port[HVDRV_MAX_QUEUES];		/* the guest's */
	uint32_t state_ref[HVDRV_MAX_QUEUES];
	uint32_t page_ref[HVDRV_MAX_QUEUES][HVDRV_MAX_QUEUE_PAGES];
	uint32_t pool_pages, pool_ref[HVDRV_MAX_POOL];	/* 0: the guest has none */
	struct wire_pass pass;
	uint8_t block_device;				/* the target: discard, zeroes by block-device calls */
	uint8_t kick;					/* the queues are new to a guest that waits: tell it */
	uint8_t by_turns;				/* begins nothing before SHARE */
};

struct wire_msg {
	uint32_t version, type, seq, dev;
	union {
		struct { uint32_t n; uint32_t dev[HVDRV_SLOTS]; } hello;
		struct wire_add add;
		struct { uint32_t pool_pages, passes; } added;
		struct { uint64_t sectors; } resize;
		struct wire_counts stats;
		struct { uint32_t drain; } hold;
		struct { struct hv_inflight_table queue[HVDRV_MAX_QUEUES]; } held;
		struct wire_go go;
		struct { uint32_t code, reject; char text[200]; } error;
	};
};

/* Bytes of a message of that type, of one that is unknown those up to `dev`. */
size_t wire_len(uint32_t type);
/* As hv_sock_send() and hv_sock_recv() (util/sock.h). wire_recv: 0; -EAGAIN: none now; -EPIPE: the peer has gone, or is none of ours.
 * What the message's type does not have is as it was. */
int wire_send(int fd, const struct wire_msg *m, const int *fds, int n);
int wire_recv(int fd, struct wire_msg *m, int fds[]);

#endif
