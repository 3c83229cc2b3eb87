/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random requests through a driver, verified: every byte read is what was written last, every request ends once.
 * Ranges of requests in flight do not overlap, so that there is one right answer.
 */
#ifndef LOAD_H
#define LOAD_H

#include "stub.h"
#include "unit.h"

#define LOAD_SECTORS 2048u

struct load {
	struct stub stub;
	struct rng rng;
	uint32_t depth;
	uint8_t *(*page)(void *arg, uint32_t ref);	/* the guest's page of this reference */
	void *arg;
	uint32_t first_ref;				/* of depth * 63 pages for data */
	bool joined;					/* only the ends of a request are within a page, as any format can say */
	uint8_t disk[LOAD_SECTORS * HVDRV_SECTOR];	/* what is on it */
	uint8_t busy[LOAD_SECTORS];
	struct { uint64_t sector, sectors; uint8_t op; } flight[HVDRV_MAX_DEPTH];
	unsigned int inflight, ended, busies, bytes;
	bool notify;					/* the driver wants the host to have an event */
	char bad[160];					/* the first thing that was wrong; "" none */
};

/* The driver is placed in the stub's slot already; its attach entry is called here. */
void load_begin(struct load *l);
void load_submit(struct load *l, unsigned int n);	/* n random requests, as many as there are tags */
void load_event(struct load *l);			/* the host's event: completions are verified */

#endif
