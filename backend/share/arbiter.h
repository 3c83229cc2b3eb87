/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hvdrv-share: one per target that is shared with a depth. Hands its turns out to the workers that ask (turns.h), in the order
 * of sched.h. It trusts hvdrvd; of a worker it believes what can be: one that says what cannot loses its connection, one that
 * keeps its turns is served no more until it gives one back, and its turns are not waited for.
 */
#ifndef SHARE_ARBITER_H
#define SHARE_ARBITER_H

#include "share/sched.h"

#define ARBITER_LATE_NS 10000000000ll	/* a turn is kept for so long while others wait: the others go on */
#define ARBITER_MUTE_NS 1000000000ll	/* a worker that had another connection has not said what it holds */

struct peer {
	int fd;			/* -1: none; else flow of the same number */
	uint32_t id;
	bool greeted, again;
	uint32_t give;		/* turns to be told of */
	int64_t moved_ns;	/* it came, got its first turn, or gave one back */
};

struct arbiter {
	struct sched sched;
	int ctl;
	bool alone;		/* hvdrvd sends no more: it ends when the last peer has gone */
	struct peer peer[TURNS_DEVICES];
};

void arbiter_init(struct arbiter *a, uint32_t depth, int ctl);

/* One round: what has come, then all turns that can be given. Waits up to timeout_ms (-1: until something comes). */
int arbiter_step(struct arbiter *a, int timeout_ms);	/* 0; -errno: nothing can be waited for */
bool arbiter_done(const struct arbiter *a);

/* How long a step may wait: some things happen with time. */
int arbiter_timeout(const struct arbiter *a);

#endif
