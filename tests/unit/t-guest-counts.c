// SPDX-License-Identifier: GPL-2.0-only
/* What a guest with hardware queues counts: added up over switches, and never worse than its word, whatever it writes. */
#include "control/daemon.h"
#include "unit.h"

bool direct_is(const struct dev *v)
{
	return !strcmp(v->mode, "direct");
}

#define NUMBERS(type) (sizeof(type) / sizeof(uint64_t))

static struct hvdrv_state page[2];

static struct dev *device(void)
{
	static struct dev v;

	memset(&v, 0, sizeof(v));
	memset(page, 0, sizeof(page));
	v.slot.code = (uint8_t *)page;
	v.slot.num_queues = 2;
	v.slot.state[0] = &page[0];
	v.slot.state[1] = &page[1];
	v.offer.depth = 64;
	page[0].event = page[1].event = 1;
	strcpy(v.mode, "virtual");
	count_guest_anew(&v);
	return &v;
}

static void to(struct dev *v, const char *mode)
{
	count_guest(v);			/* as a switch does, before the mode is another one */
	strcpy(v->mode, mode);
}

START_TEST(over_switches)
{
	struct dev *v = device();
	struct guest_told t;

	page[0].counts.requests[HVDRV_OP_READ] = 1000;		/* not its to count yet */
	count_guest_told(v, &t);
	ck_assert(!t.any && !t.as.requests[HVDRV_OP_READ]);
	to(v, "direct");
	page[0].counts.requests[HVDRV_OP_READ] += 5;
	page[1].counts.requests[HVDRV_OP_READ] += 2;
	page[1].counts.sectors[HVDRV_OP_READ] += 16;
	page[1].counts.errors += 1;
	page[0].tail = 9;
	page[0].event = 7;					/* 6 were taken */
	page[1].counts.looks += 40;
	count_guest_told(v, &t);
	ck_assert(t.any && t.as.requests[HVDRV_OP_READ] == 7 && t.as.bytes[HVDRV_OP_READ] == 8192);
	ck_assert(t.as.errors == 1 && t.looks == 40 && t.in_flight == 3);
	page[0].counts.requests[HVDRV_OP_READ] += 1;
	to(v, "paravirtual");
	page[0].counts.requests[HVDRV_OP_READ] += 100;		/* nor any more */
	count_guest_told(v, &t);
	ck_assert(t.any && t.as.requests[HVDRV_OP_READ] == 8 && !t.in_flight);
	to(v, "direct");
	page[0].counts.requests[HVDRV_OP_READ] += 1;
	count_guest_told(v, &t);
	ck_assert_uint_eq(t.as.requests[HVDRV_OP_READ], 9);
	count_guest_anew(v);					/* another worker */
	count_guest_told(v, &t);
	ck_assert(t.any && !t.as.requests[HVDRV_OP_READ]);
	to(v, "virtual");
	count_guest_anew(v);
	count_guest_told(v, &t);
	ck_assert(!t.any);
}
END_TEST

/* Times are counted as requests are; what was there before it had queues is not told. */
START_TEST(times)
{
	struct dev *v = device();
	struct guest_told t;

	page[0].times.took[20] = 7;
	to(v, "direct");
	page[0].times.took[20] += 2;
	page[1].times.took[20] += 1;
	page[1].times.took[HVDRV_TIMES - 1] += 1;
	page[0].times.sum_ns += 3500000;
	count_guest_told(v, &t);
	ck_assert(t.as.latency[20] == 3 && t.as.latency[WIRE_HIST - 1] == 1 && t.as.latency_ns == 3500000);
	to(v, "paravirtual");
	page[0].times.took[20] += 1;
	count_guest_told(v, &t);
	ck_assert_uint_eq(t.as.latency[20], 3);
	count_guest_anew(v);
	count_guest_told(v, &t);
	ck_assert(!t.as.latency[20] && !t.as.latency_ns);
}
END_TEST

/* Anything at all in its pages: what is told does not fall, does not wrap, and no more is in flight than there can be. */
START_TEST(whatever_it_writes)
{
	struct guest_told t, before = { 0 };
	struct dev *v = device();
	struct rng r;

	rng_init(&r, "guest counts");
	to(v, "direct");
	for (int i = 0; i < 20000; i++) {
		uint64_t *n = (uint64_t *)&page[rng_below(&r, 2)].counts;

		n[rng_below(&r, NUMBERS(struct hvdrv_counts))] = rng_below(&r, 4) ? (uint64_t)rng_below(&r, UINT32_MAX) << rng_below(&r, 33) : UINT64_MAX;
		n = (uint64_t *)&page[rng_below(&r, 2)].times;
		n[rng_below(&r, NUMBERS(struct hvdrv_times))] = rng_below(&r, 4) ? rng_below(&r, UINT32_MAX) : UINT64_MAX;
		page[0].tail = rng_below(&r, UINT32_MAX);
		page[1].event = rng_below(&r, UINT32_MAX);
		count_guest_told(v, &t);
		ck_assert_uint_le(t.in_flight, 128);
		for (int op = 0; op < HVDRV_OPS; op++) {
			ck_assert_uint_ge(t.as.requests[op], before.as.requests[op]);
			ck_assert_uint_ge(t.as.bytes[op], before.as.bytes[op]);
		}
		for (int b = 0; b < WIRE_HIST; b++)
			ck_assert_uint_ge(t.as.latency[b], before.as.latency[b]);
		ck_assert(t.as.errors >= before.as.errors && t.looks >= before.looks);
		before = t;
	}
	ck_assert_uint_eq(t.as.requests[HVDRV_OP_READ], UINT64_MAX);	/* it has said so much that it is that */
}
END_TEST

Suite *unit_suite(void)
{
	const TTest *const plain[] = { over_switches, times, whatever_it_writes, NULL };

	return unit_new("guest counts", plain);
}
