// SPDX-License-Identifier: GPL-2.0-only
/* Turns by weight: what holds whatever comes, against a device that is played here. */
#include "share/sched.h"
#include "unit.h"

#define FLOWS 5u

/* A device and those who use it. */
struct play {
	struct sched s;
	struct rng *r;
	uint32_t fifo[64], busy;	/* which flow's request is at the device */
	uint64_t served[TURNS_DEVICES];
};

static void play(struct play *p, struct rng *r, uint32_t depth, const uint32_t *weights, uint32_t n)
{
	memset(p, 0, sizeof(*p));
	p->r = r;
	sched_init(&p->s, depth);
	for (uint32_t f = 0; f < n; f++)
		ck_assert_int_eq(sched_add(&p->s, weights[f]), f);
}

/* As ck_assert, without its system call each time. */
static void must(bool what, const char *else_what)
{
	if (!what)
		ck_abort_msg("%s", else_what);
}

/* All turns that can be given; work conserving: none is left while somebody waits. */
static void fill(struct play *p)
{
	int f;

	while ((f = sched_next(&p->s)) >= 0) {
		must(p->busy < p->s.depth, "more turns than the depth");
		p->fifo[p->busy++] = f;
		p->served[f]++;
	}
	must(p->s.busy == p->busy, "turns are counted wrong");
	for (uint32_t i = 0; i < TURNS_DEVICES; i++)
		must(p->busy == p->s.depth || !p->s.flow[i].used || !p->s.flow[i].waiting, "a turn is left and somebody waits");
}

/* One request ends: any of those at the device. The flow, or -1: none was there. */
static int end_one(struct play *p)
{
	uint32_t at, f;

	if (!p->busy)
		return -1;
	at = rng_below(p->r, p->busy);
	f = p->fifo[at];
	p->fifo[at] = p->fifo[--p->busy];
	sched_back(&p->s, f, 1);
	return f;
}

/* Requests of a flow that always has `queue` of them. */
static void run(struct play *p, const uint32_t *queue, uint32_t n, uint32_t requests)
{
	while (requests--) {
		for (uint32_t f = 0; f < n; f++)
			while (p->s.flow[f].waiting + p->s.flow[f].turns < queue[f])
				sched_wait(&p->s, f, 1);
		fill(p);
		end_one(p);
	}
}

static void ck_share(const struct play *p, const uint64_t *before, uint32_t f, double part, double all, double within)
{
	double got = (p->served[f] - before[f]) / all;

	ck_assert_msg(got > part * (1 - within) && got < part * (1 + within), "flow %u got %.4f, should %.4f", f, got, part);
}

/* 1:2:4 over 1000 requests with depth 1: what is asked for is 10 %, what is here is one request. */
START_TEST(one_two_four)
{
	static const uint32_t w[] = { 1, 2, 4 }, queue[] = { 2, 2, 2 };
	struct play p;
	struct rng r;

	rng_init(&r, "one-two-four");
	play(&p, &r, 1, w, 3);
	run(&p, queue, 3, 1000);
	for (int f = 0; f < 3; f++)
		ck_assert_msg(p.served[f] * 7 + 7 >= 1000 * w[f] && p.served[f] * 7 <= 1000 * w[f] + 7, "%d: %llu", f,
			      (unsigned long long)p.served[f]);
}
END_TEST

/* Any weights, any depth, all wait: served as the weights, over any stretch. */
START_TEST(weights)
{
	uint32_t w[FLOWS], queue[FLOWS], sum;
	uint64_t before[FLOWS];
	struct play p;
	struct rng r;

	rng_init(&r, "weights");
	for (int round = 0; round < 40; round++) {
		uint32_t depth = 1 + rng_below(&r, 8);

		sum = 0;
		for (uint32_t f = 0; f < FLOWS; f++) {
			w[f] = 1 + rng_below(&r, round % 4 ? 20 : SCHED_WEIGHT_MAX);
			queue[f] = 2 * depth;
			sum += w[f];
		}
		play(&p, &r, depth, w, FLOWS);
		run(&p, queue, FLOWS, rng_below(&r, 500));
		memcpy(before, p.served, sizeof(before));
		run(&p, queue, FLOWS, 12 * sum);
		for (uint32_t f = 0; f < FLOWS; f++)
			ck_share(&p, before, f, (double)w[f] / sum, 12.0 * sum, 0.1 + 1.0 / 12);
	}
}
END_TEST

/* Nobody waits for longer than the others' weights say: between two of its requests each other has at most its part, and one. */
START_TEST(no_starvation)
{
	static const uint32_t w[] = { 1, 1000, 1000, 1000, 37 }, queue[] = { 1, 30, 30, 30, 3 };
	uint64_t last = 0, longest = 0;
	struct play p;
	struct rng r;

	rng_init(&r, "no-starvation");
	play(&p, &r, 1, w, FLOWS);
	for (uint64_t i = 1; i < 40000; i++) {
		uint64_t n = p.served[0];

		run(&p, queue, FLOWS, 1);
		if (p.served[0] == n)
			continue;
		longest = i - last > longest ? i - last : longest;
		last = i;
	}
	ck_assert_uint_ge(p.served[0], 10);
	ck_assert_uint_le(longest, 3 * 1001 + 38 + FLOWS);
}
END_TEST

/* Who does not wait gives its share to the others; who comes back has no credit. */
START_TEST(idle)
{
	static const uint32_t w[] = { 1, 2, 4 }, all[] = { 2, 2, 2 }, two[] = { 2, 2, 0 };
	uint64_t before[3];
	struct play p;
	struct rng r;

	rng_init(&r, "idle");
	play(&p, &r, 1, w, 3);
	run(&p, all, 3, 700);
	run(&p, two, 3, 10);			/* what it has left is served */
	memcpy(before, p.served, sizeof(before));
	run(&p, two, 3, 3000);
	ck_share(&p, before, 0, 1 / 3.0, 3000, 0.01);
	ck_share(&p, before, 1, 2 / 3.0, 3000, 0.01);
	memcpy(before, p.served, sizeof(before));
	run(&p, all, 3, 70);			/* 3000 turns later: at once its weight, and no more */
	ck_share(&p, before, 0, 1 / 7.0, 70, 0.11);
	ck_share(&p, before, 1, 2 / 7.0, 70, 0.11);
	ck_share(&p, before, 2, 4 / 7.0, 70, 0.11);
}
END_TEST

/* A weight that changes holds from the next turns on, raised from 1 to 1000 as well as lowered. */
START_TEST(live)
{
	static const uint32_t w[] = { 1, 100 }, queue[] = { 4, 4 };
	uint64_t before[2];
	struct play p;
	struct rng r;

	rng_init(&r, "live");
	play(&p, &r, 1, w, 2);
	run(&p, queue, 2, 250);
	sched_weight(&p.s, 0, 100);
	memcpy(before, p.served, sizeof(before));
	run(&p, queue, 2, 100);
	ck_share(&p, before, 0, 0.5, 100, 0.05);
	sched_weight(&p.s, 1, 300);
	memcpy(before, p.served, sizeof(before));
	run(&p, queue, 2, 400);
	ck_share(&p, before, 1, 0.75, 400, 0.02);
	sched_weight(&p.s, 0, 1000);
	sched_weight(&p.s, 1, 1);
	memcpy(before, p.served, sizeof(before));
	run(&p, queue, 2, 4004);
	ck_assert_uint_ge(p.served[1] - before[1], 2);
	ck_assert_uint_le(p.served[1] - before[1], 6);
}
END_TEST

/* A flow that keeps its turns: the others go on at the full depth; when it gives one back it is one of them again. */
START_TEST(late)
{
	static const uint32_t queue[] = { 2, 2 };
	struct sched s;
	struct play p;
	struct rng r;
	uint64_t before[2];

	sched_init(&s, 1);
	sched_add(&s, 1);
	sched_add(&s, 1);
	sched_wait(&s, 0, 2);
	ck_assert_int_eq(sched_next(&s), 0);
	sched_wait(&s, 1, 500);
	ck_assert_int_eq(sched_next(&s), -1);
	sched_late(&s, 0);
	for (int i = 0; i < 400; i++) {
		ck_assert_int_eq(sched_next(&s), 1);
		sched_back(&s, 1, 1);
	}
	sched_back(&s, 0, 1);
	ck_assert_uint_eq(s.busy, 0);
	rng_init(&r, "late");
	memset(&p, 0, sizeof(p));
	p.s = s;
	p.r = &r;
	memcpy(before, p.served, sizeof(before));
	run(&p, queue, 2, 100);			/* no credit for having been late */
	ck_share(&p, before, 0, 0.5, 100, 0.05);
	sched_wait(&p.s, 0, 1);			/* one that goes while it is late takes its turns along */
	fill(&p);
	sched_late(&p.s, p.fifo[0]);
	sched_remove(&p.s, p.fifo[0]);
	ck_assert_uint_eq(p.s.busy, 0);
}
END_TEST

/* Anything in any order: the turns are counted right, and tags stay near each other though the time wraps. */
START_TEST(anything)
{
	struct play p;
	struct rng r;
	uint32_t n = 0;

	rng_init(&r, "anything");
	memset(&p, 0, sizeof(p));
	p.r = &r;
	sched_init(&p.s, 3);
	p.s.now = UINT64_MAX - SCHED_COST / 10;		/* it wraps */
	for (int i = 0; i < 200000; i++) {
		uint32_t f = rng_below(&r, 8), what = rng_below(&r, 20);

		if (what == 0 && n < 8) {
			int got = sched_add(&p.s, 1 + rng_below(&r, SCHED_WEIGHT_MAX));

			ck_assert_int_ge(got, 0);
			ck_assert_int_lt(got, 8);
			n++;
		} else if (what == 1 && rng_below(&r, 50) == 0 && p.s.flow[f].used) {
			for (uint32_t k = 0; k < p.busy; )
				if (p.fifo[k] == f)
					p.fifo[k] = p.fifo[--p.busy];
				else
					k++;
			sched_remove(&p.s, f);
			n--;
		} else if (what == 2 && p.s.flow[f].used) {
			sched_weight(&p.s, f, 1 + rng_below(&r, SCHED_WEIGHT_MAX));
		} else if (what < 12 && p.s.flow[f].used && p.s.flow[f].waiting < TURNS_WAITING) {
			sched_wait(&p.s, f, 1 + rng_below(&r, TURNS_WAITING - p.s.flow[f].waiting));
		} else {
			end_one(&p);
		}
		fill(&p);
		for (f = 0; f < 8; f++)
			must(!p.s.flow[f].waiting || p.s.flow[f].start - p.s.now <= SCHED_COST, "a tag is far away");
	}
	ck_assert_uint_lt(p.s.now, UINT64_MAX / 2);
	ck_assert_uint_gt(p.served[0] + p.served[7], 100);
}
END_TEST

START_TEST(room)
{
	struct sched s;

	sched_init(&s, 1);
	for (uint32_t i = 0; i < TURNS_DEVICES; i++)
		ck_assert_int_eq(sched_add(&s, 1), i);
	ck_assert_int_eq(sched_add(&s, 1), -1);
	sched_remove(&s, 9);
	ck_assert_int_eq(sched_add(&s, 1), 9);
	sched_held(&s, 9, 2);
	sched_wait(&s, 3, 1);
	ck_assert_int_eq(sched_next(&s), -1);	/* more is at the device than it takes */
	sched_back(&s, 9, 1);
	ck_assert_int_eq(sched_next(&s), -1);
	sched_back(&s, 9, 1);
	ck_assert_int_eq(sched_next(&s), 3);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("sched", (const TTest *[]){ one_two_four, weights, no_starvation, idle, live, late, anything, room, NULL });
}
