// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the guest counts of a device with hardware queues. Its memory is its own: each number is read once, only what it has grown
 * by since the last look is believed, only while the device has such queues, and nothing is done with it but adding it up to be
 * shown. So whatever the guest writes there, what is told never falls, and never wraps.
 */
#include <string.h>
#include "daemon.h"

#define NUMBERS(type) (sizeof(type) / sizeof(uint64_t))

_Static_assert(sizeof(struct hvdrv_counts) == NUMBERS(struct hvdrv_counts) * sizeof(uint64_t), "numbers only");
_Static_assert(sizeof(struct hvdrv_times) == NUMBERS(struct hvdrv_times) * sizeof(uint64_t), "numbers only");
_Static_assert(HVDRV_TIMES == WIRE_HIST, "the same buckets as a worker's");

static void look_at(const void *page, void *was, void *told, size_t n, bool counts)
{
	const uint64_t *shared = page;
	uint64_t *last = was, *sum = told;

	for (size_t i = 0; i < n; i++) {
		uint64_t now = __atomic_load_n(&shared[i], __ATOMIC_RELAXED);

		if (counts && now > last[i])
			sum[i] = count_sum(sum[i], now - last[i]);
		last[i] = now;
	}
}

void count_guest(struct dev *v)
{
	struct guest_counts *g = &v->counts.guest;

	for (uint32_t q = 0; v->slot.code && q < v->slot.num_queues; q++) {
		const struct hvdrv_state *st = v->slot.state[q];

		look_at(&st->counts, &g->last[q], &g->sum, NUMBERS(st->counts), direct_is(v));
		look_at(&st->times, &g->last_times[q], &g->times, NUMBERS(st->times), direct_is(v));
	}
	g->any |= direct_is(v);
}

void count_guest_anew(struct dev *v)
{
	struct guest_counts *g = &v->counts.guest;

	count_guest(v);
	memset(&g->sum, 0, sizeof(g->sum));
	memset(&g->times, 0, sizeof(g->times));
	g->any = direct_is(v);
}

/* Posted, and not taken back: what the guest says, up to what a queue holds. */
static uint64_t in_flight(const struct dev *v)
{
	uint64_t n = 0;

	for (uint32_t q = 0; direct_is(v) && v->slot.code && q < v->slot.num_queues; q++) {
		const struct hvdrv_state *st = v->slot.state[q];
		uint32_t posted = __atomic_load_n(&st->tail, __ATOMIC_RELAXED);
		uint32_t left = posted + 1 - __atomic_load_n(&st->event, __ATOMIC_RELAXED);

		n += left < v->offer.depth ? left : v->offer.depth;
	}
	return n;
}

void count_guest_told(struct dev *v, struct guest_told *t)
{
	const struct guest_counts *g = &v->counts.guest;

	count_guest(v);
	memset(t, 0, sizeof(*t));
	t->any = g->any;
	for (int op = 0; op < HVDRV_OPS; op++) {
		t->as.requests[op] = g->sum.requests[op];
		t->as.bytes[op] = g->sum.sectors[op] > UINT64_MAX / HVDRV_SECTOR ? UINT64_MAX : g->sum.sectors[op] * HVDRV_SECTOR;
	}
	t->as.errors = g->sum.errors;
	t->as.latency_ns = g->times.sum_ns;
	memcpy(t->as.latency, g->times.took, sizeof(t->as.latency));
	t->looks = g->sum.looks;
	t->in_flight = in_flight(v);
}
