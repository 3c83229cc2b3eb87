/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages between hvdrvd and hvdrv-keeper: one question, one answer, over a SOCK_SEQPACKET connection to RUN/keeper/CONTROLLER,
 * one struct per message, fixed size. KEEP_VERSION covers everything here.
 */
#ifndef BACKEND_KEEP_H
#define BACKEND_KEEP_H

#include <stdint.h>
#include <hvdrv/abi.h>

#define KEEP_VERSION 1u
#define KEEP_DEVICES 32u	/* with queues of one controller: one guest's */
#define KEEP_PAGES (HVDRV_MAX_POOL + HVDRV_MAX_QUEUES * HVDRV_MAX_QUEUE_PAGES)
#define KEEP_ENTRIES 64u	/* of a queue: one page of commands */

enum keep_type {
	KEEP_ASK,	/* answer: CONTROLLER */
	KEEP_ADD,	/* pages are mapped, a pair of queues is made for each; answer: QUEUES */
	KEEP_DEL,	/* queues deleted, then pages unmapped; answer: DONE, also when there were none */
	KEEP_LIST,	/* answer: HAS */
	KEEP_CONTROLLER,
	KEEP_QUEUES,
	KEEP_DONE,
	KEEP_HAS,
	KEEP_ERROR,
};

struct keep_controller {
	uint32_t spare;		/* pairs of queues that can be made */
	uint32_t granted, used;	/* of them: what the controller gave at its start, what the kernel uses */
	uint32_t oacs, oncs, mdts;	/* Identify Controller: optional commands, largest transfer as a power of two of pages */
	uint32_t metadata;	/* bytes of each block of the namespace */
};

/* Pages: for each queue all its queue pages (the first two are the queues), then the pool's. */
struct keep_add {
	uint32_t num_queues, queue_pages, num_pages;
	uint32_t ref[KEEP_PAGES];
};

struct keep_device {
	uint32_t domid, id;
};

struct keep_msg {
	uint32_t version, type;
	struct keep_device dev;
	union {
		uint32_t nsid;				/* ASK */
		struct keep_add add;
		uint32_t qid[HVDRV_MAX_QUEUES];		/* QUEUES */
		struct keep_controller controller;
		/* lost, a bit for each: the controller has been reset, and has these queues no more; they are to be deleted as any */
		struct { uint32_t n; struct keep_device dev[KEEP_DEVICES]; uint32_t lost; } has;
		struct { uint32_t code; char text[200]; } error;
	};
};

#endif
