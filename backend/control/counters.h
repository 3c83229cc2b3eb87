/* SPDX-License-Identifier: GPL-2.0-only */
/* What hvdrvd counts of a device from when it first saw it. The worker's counters are the worker's (wire.h), and go with it. */
#ifndef CONTROL_COUNTERS_H
#define CONTROL_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "core/retarget.h"
#include "util/hist.h"
#include "wire.h"

enum count_asker { COUNT_ADMIN, COUNT_POLICY, COUNT_REVERT, COUNT_ASKERS };
#define COUNT_KINDS 3			/* of carried requests: ready, begun, done */
#define COUNT_RESULTS HV_RT_RESULTS

/* Of hardware queues, by the guest (guest-counts.c): as they were seen last, and what they have grown by since a worker serves. */
struct guest_counts {
	struct hvdrv_counts last[HVDRV_MAX_QUEUES], sum;
	struct hvdrv_times last_times[HVDRV_MAX_QUEUES], times;
	bool any;			/* it had such queues in that time */
};

/* The same as it is told. */
struct guest_told {
	struct wire_stats as;		/* requests, bytes, errors, and the times of some */
	uint64_t looks, in_flight;
	bool any;
};

struct dev_counts {
	time_t seen, served;		/* since when: here, and by the worker */
	int64_t served_ns;
	int64_t switch_ns;		/* the last switch began */
	uint64_t switches[COUNT_RESULTS][COUNT_ASKERS];
	uint64_t carried[COUNT_KINDS];
	struct hv_hist freeze, stall;
	struct guest_counts guest;
};

struct signer;

/* A switch, for whoever counts it or tells of it. While it runs only what stands before `result` is known. */
struct switch_note {
	uint64_t seq;
	const char *who, *from, *to;
	enum hv_rt_result result;
	const char *reason;
	const struct signer *signer;	/* of the driver that it was to; "": none was chosen */
	int64_t freeze_ns, stall_ns;
	unsigned int carried[COUNT_KINDS];
	unsigned int ops[HVDRV_OPS];	/* of these */
};

struct dev;
struct json_object;

/* Numbers may be a guest's word: they do not wrap. */
static inline uint64_t count_sum(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

void count_seen(struct dev *v);
void count_served(struct dev *v);	/* a worker, maybe a new one, counts from 0 */
void count_switch_begin(struct dev *v);
void count_switch(struct dev *v, const struct switch_note *n);

/*
 * guest-counts.c. What the guest has counted is looked at: at any time, and before the driver is another one. anew: the worker, too,
 * counts from 0. told: with a look.
 */
void count_guest(struct dev *v);
void count_guest_anew(struct dev *v);
void count_guest_told(struct dev *v, struct guest_told *t);

/* Into a row of `show`: what a worker has answered, and the guest has counted itself; what hvdrvd itself knows. */
void count_add_served(struct json_object *row, const struct wire_counts *c, const struct guest_told *g);
void count_add_device(struct json_object *row, const struct dev *v);

#endif
