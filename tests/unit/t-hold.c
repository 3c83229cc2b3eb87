// SPDX-License-Identifier: GPL-2.0-only
/* The worker while the driver is replaced: held, its table, and on again, on the old queues or on new ones. */
#include <fcntl.h>
#include <unistd.h>
#include "served.h"
#include "unit.h"
#include "util/sock.h"

#define DATA 100u

static struct wire_msg hold(struct world *w)
{
	struct wire_msg m = { .type = WIRE_HOLD, .version = WIRE_VERSION, .seq = 8 }, r;

	ck_assert_int_eq(wire_send(w->b->ctl[1], &m, NULL, 0), 0);
	wk_on_ctl(&w->b->wk->ctl);
	ck_assert(bench_told(w->b, WIRE_HELD, &r));
	ck_assert_uint_eq(r.seq, 8);
	return r;
}

/* Until what is in flight has ended at the target. */
static void until_parked(struct world *w, unsigned int n)
{
	struct wk_req *rq;
	unsigned int got = 0;

	while (got < n) {
		ck_assert_int_eq(w->b->wk->io->ops->run(w->b->wk->io, true), 0);
		wk_serve(w->b->wk);
		got = 0;
		STAILQ_FOREACH(rq, &dev(w)->parked, list)
			got++;
	}
}

static uint32_t go_on(struct world *w, struct wire_go go)
{
	struct wire_msg m = { .type = WIRE_GO, .go = go };

	return bench_ask(w->b, m, -1).type;
}

/* Three requests: answered and not seen (1), begun (2), not taken (3); handles as drivers make them. */
static struct hv_inflight_table held_with_three(struct world *w)
{
	const struct front_seg s = { DATA, 0, 7 };
	struct wire_msg r;

	front_direct(L, front_next(&w->f), OP(write), HVDRV_HANDLE(1, 5), 0, &s, 1);
	go(w);
	front_direct(L, front_next(&w->f), OP(write), HVDRV_HANDLE(2, 6), 8, &s, 1);
	front_show(&w->f);
	dev(w)->queue[0].pending = true;
	wk_serve(w->b->wk);
	ck_assert_uint_eq(wk_dev_inflight(dev(w)), 1);
	r = hold(w);
	front_direct(L, front_next(&w->f), OP(read), HVDRV_HANDLE(3, 7), 8, &s, 1);
	front_show(&w->f);
	dev(w)->queue[0].pending = true;
	until_parked(w, 1);
	return r.held.queue[0];
}

/* Held: nothing is taken, nothing answered; the table says what the guest may wait for. Then on as it was. */
START_TEST(held)
{
	struct hv_inflight_table t;
	struct world w;
	uint64_t id;
	int st;

	if (!world(&w, _i, NULL))
		return;
	t = held_with_three(&w);
	ck_assert_uint_eq(t.tag[1].state, HVDRV_REC_DONE);
	ck_assert_uint_eq(t.tag[1].handle, HVDRV_HANDLE(1, 5));
	ck_assert_uint_eq(t.tag[1].status, HVDRV_ST_OK);
	ck_assert_uint_eq(t.tag[2].state, HVDRV_REC_BEGUN);
	ck_assert_uint_eq(t.tag[3].state, HVDRV_REC_FREE);
	ck_assert_uint_eq(wk_dev_inflight(dev(&w)), 1);
	ck_assert(front_answer(&w.f, &id, &st) && id == HVDRV_HANDLE(1, 5));
	ck_assert(!front_answer(&w.f, &id, &st));
	w.b->notified[PORT] = 0;
	ck_assert_uint_eq(go_on(&w, (struct wire_go){ 0 }), WIRE_OK);
	ck_assert_uint_ge(w.b->notified[PORT], 1);		/* the kick */
	ck_assert(front_answer(&w.f, &id, &st) && id == HVDRV_HANDLE(2, 6) && !st);
	ck_assert(front_answer(&w.f, &id, &st) && id == HVDRV_HANDLE(3, 7) && !st);
	ck_assert_uint_eq(go_on(&w, (struct wire_go){ 0 }), WIRE_ERROR);	/* it is not held */
	hold(&w);
	ck_assert_uint_eq(go_on(&w, (struct wire_go){ .renewed = 1, .format = WIRE_FORMATS }), WIRE_ERROR);
	ck_assert_uint_eq(go_on(&w, (struct wire_go){ 0 }), WIRE_OK);
	bench_free(w.b);
}
END_TEST

static bool told_held(struct world *w, struct wire_msg *r)
{
	wk_serve(w->b->wk);
	return bench_told(w->b, WIRE_HELD, r);
}

/* To drain: what is begun is answered on the old queue, nothing new is taken, then it is held. Or the switch is given up before. */
START_TEST(drained)
{
	struct wire_msg m = { .type = WIRE_HOLD, .version = WIRE_VERSION, .seq = 8, .hold = { .drain = 1 } }, r;
	const struct front_seg s = { DATA, 0, 7 };
	bool given_up = _i >= BENCH_ENGINES;
	struct world w;
	uint64_t id, first;
	int st;

	if (!world(&w, _i % BENCH_ENGINES, NULL))
		return;
	front_direct(L, front_next(&w.f), OP(write), HVDRV_HANDLE(2, 6), 8, &s, 1);
	front_show(&w.f);
	dev(&w)->queue[0].pending = true;
	wk_serve(w.b->wk);
	ck_assert_uint_eq(wk_dev_inflight(dev(&w)), 1);
	ck_assert_int_eq(wire_send(w.b->ctl[1], &m, NULL, 0), 0);
	wk_on_ctl(&w.b->wk->ctl);
	front_direct(L, front_next(&w.f), OP(read), HVDRV_HANDLE(3, 7), 8, &s, 1);
	front_show(&w.f);
	dev(&w)->queue[0].pending = true;
	if (given_up)
		ck_assert_uint_eq(go_on(&w, (struct wire_go){ 0 }), WIRE_OK);
	bench_run(w.b);
	ck_assert(front_answer(&w.f, &id, &st) && !st);
	first = id;			/* given up, both are in flight: in any order */
	ck_assert(first == HVDRV_HANDLE(2, 6) || given_up);
	ck_assert(told_held(&w, &r) == !given_up);
	if (!given_up) {
		ck_assert_uint_eq(r.seq, 8);
		ck_assert_uint_eq(r.held.queue[0].tag[2].state, HVDRV_REC_DONE);
		ck_assert_uint_eq(r.held.queue[0].tag[3].state, HVDRV_REC_FREE);
		ck_assert(!front_answer(&w.f, &id, &st));
		/* a hardware queue: nothing is the worker's; and back */
		ck_assert_uint_eq(go_on(&w, (struct wire_go){ .renewed = 1, .format = WIRE_DIRECT }), WIRE_OK);
		bench_run(w.b);
		ck_assert(!front_answer(&w.f, &id, &st));
		hold(&w);
		memset(bench_page(w.b, RING), 0, 2 * HVDRV_PAGE);
		hv_blkring_prepare(L, bench_page(w.b, RING), 0);
		front_init(&w.f, L, bench_page(w.b, RING), 2);
		ck_assert_uint_eq(go_on(&w, (struct wire_go){ .renewed = 1, .format = WIRE_BLKIF }), WIRE_OK);
		front_direct(L, front_next(&w.f), OP(read), HVDRV_HANDLE(3, 7), 8, &s, 1);
		go(&w);
	}
	ck_assert(front_answer(&w.f, &id, &st) && id + first == HVDRV_HANDLE(2, 6) + HVDRV_HANDLE(3, 7) && !st);
	bench_free(w.b);
}
END_TEST

/* On new queues of the other format: what was begun is answered there once, when the guest waits for it. */
START_TEST(renewed)
{
	const struct hv_nvme_layout *n = &hv_nvme_mediated;
	struct wire_go to = { .renewed = 1, .format = WIRE_NVME };
	struct hvdrv_state *state;
	uint8_t *sq, *cq;
	struct world w;
	uint16_t word;

	for (int waits = 0; waits <= 1; waits++) {
		if (!world(&w, _i, NULL))
			return;
		held_with_three(&w);
		sq = memset(bench_page(w.b, RING), 0, 2 * HVDRV_PAGE);
		cq = sq + HVDRV_PAGE;
		state = bench_page(w.b, BENCH_STATE);
		state->event = 1;
		to.begun[0][0] = waits ? 1 << 2 : 0;
		ck_assert_uint_eq(go_on(&w, to), WIRE_OK);
		memcpy(&word, cq + n->cpl_cid, 2);
		ck_assert_uint_eq(word, waits ? HVDRV_HANDLE(2, 6) : 0);
		ck_assert_uint_eq(dev(&w)->stats.orphans, !waits);
		ck_assert_uint_eq(wk_dev_inflight(dev(&w)), 0);

		sq[n->opcode] = n->op_flush;		/* and it serves the new format */
		word = HVDRV_HANDLE(9, 1);
		memcpy(sq + n->cid, &word, 2);
		sq[n->nsid] = 1;
		__atomic_store_n(&state->tail, 1, __ATOMIC_SEQ_CST);
		bench_kick(w.b, PORT);
		bench_run(w.b);
		memcpy(&word, cq + waits * HV_NVME_COMPLETION + n->cpl_cid, 2);
		ck_assert_uint_eq(word, HVDRV_HANDLE(9, 1));
		ck_assert_uint_eq(cq[waits * HV_NVME_COMPLETION + n->cpl_status] & 1, 1);
		ck_assert_uint_eq(dev(&w)->stats.requests[HVDRV_OP_FLUSH], 1);
		bench_free(w.b);
	}
}
END_TEST

/* Not of a format that has more pages than the queue. */
START_TEST(too_few_pages)
{
	struct hv_err e = { 0 };
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	wk_dev_remove(dev(&w));
	ck_assert_msg(!bench_add(w.b, 0, unit_path("disk"), O_RDWR, &bench_limits, 1, 1, RING, PORT, &e), "%s", e.text);
	hold(&w);
	for (uint32_t f = WIRE_BLKIF + 1; f <= WIRE_FORMATS; f++)
		if (f != WIRE_DIRECT)
			ck_assert_uint_eq(go_on(&w, (struct wire_go){ .renewed = 1, .format = f }), WIRE_ERROR);
	ck_assert_uint_eq(go_on(&w, (struct wire_go){ .renewed = 1, .format = WIRE_BLKIF }), WIRE_OK);
	bench_free(w.b);
}
END_TEST

/* Over a time in which the guest's handles went by, unseen, nothing is remembered that a handle of then could be taken for. */
START_TEST(forgets_in_direct)
{
	struct wire_msg r;
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	ck_assert_uint_eq(held_with_three(&w).tag[1].state, HVDRV_REC_DONE);
	ck_assert_uint_eq(go_on(&w, (struct wire_go){ .renewed = 1, .format = WIRE_DIRECT }), WIRE_OK);
	r = hold(&w);
	for (uint32_t tag = 0; tag < HVDRV_MAX_DEPTH; tag++)
		ck_assert_uint_eq(r.held.queue[0].tag[tag].state, HVDRV_REC_FREE);
	ck_assert_uint_eq(go_on(&w, (struct wire_go){ .renewed = 1, .format = WIRE_NVME }), WIRE_OK);
	bench_free(w.b);
}
END_TEST

/* Each mode has counters of its own, which come back with it; what was begun before counts where it is answered. */
START_TEST(counted_per_mode)
{
	struct wire_go to = { .renewed = 1, .format = WIRE_NVME, .begun = { { 1 << 2 } } };
	struct wire_msg r;
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	held_with_three(&w);
	memset(bench_page(w.b, RING), 0, 2 * HVDRV_PAGE);
	ck_assert_uint_eq(go_on(&w, to), WIRE_OK);
	for (int back = 0; back <= 1; back++) {
		r = bench_ask(w.b, (struct wire_msg){ .type = WIRE_STATS }, -1);
		ck_assert_uint_eq(r.type, WIRE_STATS);
		for (int f = WIRE_BLKIF; f <= WIRE_NVME; f++) {
			ck_assert_uint_eq(r.stats.of[f].requests[HVDRV_OP_WRITE], 1);
			ck_assert_uint_eq(r.stats.of[f].bytes[HVDRV_OP_WRITE], HVDRV_PAGE);
			ck_assert_uint_gt(r.stats.of[f].latency_ns, 0);
		}
		hold(&w);
		to = (struct wire_go){ .renewed = 1, .format = WIRE_BLKIF };
		memset(bench_page(w.b, RING), 0, 2 * HVDRV_PAGE);
		ck_assert_uint_eq(go_on(&w, to), WIRE_OK);
		ck_assert_uint_eq(dev(&w)->counting, WIRE_BLKIF);
	}
	bench_free(w.b);
}
END_TEST

/* A guest that used one handle twice gets one answer for one mark; a device that is taken away while held ends. */
START_TEST(twice_the_handle)
{
	struct wire_go to = { .renewed = 1, .format = WIRE_NVME, .begun = { { 1 << 4 } } };
	const struct front_seg s = { DATA, 0, 7 };
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	for (int i = 0; i < 2; i++)
		front_direct(L, front_next(&w.f), OP(read), HVDRV_HANDLE(4, 1), 0, &s, 1);
	front_direct(L, front_next(&w.f), OP(read), 1ull << 40, 0, &s, 1);	/* no handle of ours */
	front_show(&w.f);
	dev(&w)->queue[0].pending = true;
	wk_serve(w.b->wk);
	hold(&w);
	until_parked(&w, 3);
	memset(bench_page(w.b, RING), 0, 2 * HVDRV_PAGE);
	ck_assert_uint_eq(go_on(&w, to), WIRE_OK);
	ck_assert_uint_eq(dev(&w)->stats.orphans, 2);
	ck_assert_uint_eq(dev(&w)->queue[0].nvme.produced, 1);
	hold(&w);
	ck_assert_uint_eq(bench_ask(w.b, (struct wire_msg){ .type = WIRE_DEL }, -1).type, WIRE_OK);
	ck_assert_ptr_null(dev(&w));
	ck_assert_uint_eq(w.b->maps, 0);
	bench_free(w.b);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("hold", NULL);

	unit_loop(s, "held", held, BENCH_ENGINES);
	unit_loop(s, "drained", drained, 2 * BENCH_ENGINES);
	unit_loop(s, "renewed", renewed, BENCH_ENGINES);
	unit_loop(s, "too-few-pages", too_few_pages, BENCH_ENGINES);
	unit_loop(s, "forgets-in-direct", forgets_in_direct, BENCH_ENGINES);
	unit_loop(s, "counted-per-mode", counted_per_mode, BENCH_ENGINES);
	unit_loop(s, "twice-the-handle", twice_the_handle, BENCH_ENGINES);
	return s;
}
