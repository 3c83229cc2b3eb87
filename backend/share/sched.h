/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is next on a device that takes `depth` requests at once: start-time fair queueing over weights. Each flow (a guest's
 * device) has a start tag for the request that waits first; the lowest is next, the virtual time is its tag, and the
 * flow's next tag is 1/weight later. So those who wait are served as their weights are to each other, whoever does not wait
 * leaves its share to the others, and whoever comes back begins at the virtual time: no credit for the past.
 *
 * A request costs the same whatever its size: weights are about requests. Pure: no clock, no memory, no input or output.
 */
#ifndef SHARE_SCHED_H
#define SHARE_SCHED_H

#include <stdbool.h>
#include <stdint.h>
#include "turns.h"

#define SCHED_COST 1000000u	/* virtual time of a request at weight 1 */
#define SCHED_WEIGHT_MAX 1000u

struct sched_flow {
	bool used;
	bool late;		/* holds its turns for too long: they are not counted, and it gets no more */
	uint32_t weight;
	uint32_t waiting, turns;
	uint64_t start;		/* tag of what waits first */
	uint64_t next;		/* tag of what comes behind the last that was served */
};

struct sched {
	uint32_t depth;
	uint32_t busy;		/* turns given, but those of late flows */
	uint64_t now;		/* virtual time */
	uint32_t after;		/* flow that was served last: of equals, those behind it are first */
	struct sched_flow flow[TURNS_DEVICES];
};

void sched_init(struct sched *s, uint32_t depth);

int sched_add(struct sched *s, uint32_t weight);	/* a new flow: its number, or -1: no room */
void sched_held(struct sched *s, uint32_t f, uint32_t n);	/* it has n turns that another gave */
void sched_remove(struct sched *s, uint32_t f);		/* its turns are free again */
void sched_weight(struct sched *s, uint32_t f, uint32_t weight);

void sched_wait(struct sched *s, uint32_t f, uint32_t n);	/* n more requests wait */
void sched_back(struct sched *s, uint32_t f, uint32_t n);	/* n turns are given back: at most those that it has */
void sched_late(struct sched *s, uint32_t f);		/* until it gives one back */

/* Gives the next turn: the flow that gets it, or -1: nobody waits, or all turns are given. */
int sched_next(struct sched *s);

#endif
