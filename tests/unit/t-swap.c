// SPDX-License-Identifier: GPL-2.0-only
/* A switch in the guest's memory: what is carried and what not, what is new, and that undoing leaves every byte as it was. */
#include "core/swap.h"
#include "host/fake/fake.h"
#include "img.h"
#include "unit.h"

#define QUEUES 3u
#define DEPTH 64u
#define RECORDS HVDRV_RECORD_PAGES(DEPTH)
#define CODE 100u		/* the guest's frames */
#define MEM 200u		/* of each queue: state, records, ring */
#define PER_QUEUE (1 + RECORDS + HV_SWAP_RING_PAGES)

struct world {
	struct fake *f;
	struct hv_host *h;
	struct hv_offer o;
	struct hv_slot slot;
	struct hv_swap s;
	struct hv_swap_saved saved;
	struct hv_image img;
	struct rng rng;
};

static void *queue_page(struct world *w, uint32_t q, uint32_t page)
{
	return fake_page(w->f, 5, MEM + q * PER_QUEUE + page);
}

static struct hvdrv_state *state(struct world *w, uint32_t q)
{
	return queue_page(w, q, 0);
}

static struct hvdrv_record *record(struct world *w, uint32_t q, uint32_t tag)
{
	return (struct hvdrv_record *)queue_page(w, q, 1) + tag;
}

static void offer(struct world *w)
{
	w->o = (struct hv_offer){ .num_queues = QUEUES, .depth = DEPTH, .record_pages = RECORDS, .queue_pages = 2 + DEPTH };
	for (unsigned int i = 0; i < HVDRV_SLOT_PAGES; i++)
		w->o.slot_gref[i] = fake_grant(w->f, 5, CODE + i, false);
	for (uint32_t q = 0; q < QUEUES; q++) {
		struct hv_queue_refs *r = &w->o.queue[q];
		uint32_t gfn = MEM + q * PER_QUEUE;

		r->state = fake_grant(w->f, 5, gfn++, false);
		for (uint32_t i = 0; i < RECORDS; i++)
			r->record[i] = fake_grant(w->f, 5, gfn++, false);
		for (uint32_t i = 0; i < HV_SWAP_RING_PAGES; i++)
			r->page[i] = fake_grant(w->f, 5, gfn++, false);
	}
}

static void world(struct world *w)
{
	uint8_t body[3000];
	struct hv_err e = { 0 };

	memset(w, 0, sizeof(*w));
	rng_init(&w->rng, "swap");
	w->f = fake_new();
	fake_domain_add(w->f, 5, "web1");
	w->h = fake_open(w->f);
	for (uint32_t i = 0; i < QUEUES * PER_QUEUE; i++)
		rng_fill(&w->rng, fake_page(w->f, 5, MEM + i), HVDRV_PAGE);
	for (uint32_t i = 0; i < HVDRV_SLOT_PAGES; i++)
		rng_fill(&w->rng, fake_page(w->f, 5, CODE + i), HVDRV_PAGE);
	offer(w);
	rng_fill(&w->rng, body, sizeof(body));
	img_make(&w->img, body, sizeof(body), true);
	ck_assert_int_eq(hv_slot_map(w->h, 5, &w->o, false, &w->slot, &e), 0);
	w->slot.generation = 41;
	ck_assert_msg(!hv_swap_open(w->h, 5, &w->o, &w->slot, &w->saved, &w->s, &e), "%s", e.text);
}

static void done(struct world *w)
{
	hv_swap_close(w->h, &w->s);
	hv_swap_close(w->h, &w->s);		/* twice does no harm */
	hv_slot_unmap(w->h, &w->slot);
	ck_assert_uint_eq(fake_mapped(w->f), 0);
	hv_image_free(&w->img);
	hv_host_close(w->h);
	fake_free(w->f);
}

static void ring(uint8_t *pages, unsigned int begun)
{
	memcpy(pages + 100, &begun, sizeof(begun));
}

/* What the guest says and what the host knows -> what the record becomes. */
static const struct {
	uint8_t guest, host;
	bool same;			/* handle */
	uint8_t want;
} cases[] = {
	{ HVDRV_REC_FREE, HVDRV_REC_FREE, true, HVDRV_REC_FREE },
	{ HVDRV_REC_FREE, HVDRV_REC_BEGUN, true, HVDRV_REC_FREE },	/* it does not wait for it: no answer is owed */
	{ HVDRV_REC_FREE, HVDRV_REC_DONE, true, HVDRV_REC_FREE },
	{ HVDRV_REC_READY, HVDRV_REC_FREE, true, HVDRV_REC_READY },
	{ HVDRV_REC_READY, HVDRV_REC_BEGUN, true, HVDRV_REC_BEGUN },
	{ HVDRV_REC_READY, HVDRV_REC_DONE, true, HVDRV_REC_DONE },
	{ HVDRV_REC_READY, HVDRV_REC_BEGUN, false, HVDRV_REC_READY },	/* the host's is an older one of this tag */
	{ HVDRV_REC_READY, HVDRV_REC_DONE, false, HVDRV_REC_READY },
	{ HVDRV_REC_BEGUN, HVDRV_REC_BEGUN, true, HVDRV_REC_BEGUN },	/* from an earlier switch */
	{ HVDRV_REC_BEGUN, HVDRV_REC_DONE, true, HVDRV_REC_DONE },
	{ 77, HVDRV_REC_BEGUN, true, 77 },				/* nonsense stays the guest's */
	{ HVDRV_REC_READY, HVDRV_REC_READY, true, HVDRV_REC_READY },	/* and a worker's is not counted */
	{ HVDRV_REC_READY, HVDRV_REC_DONE + 1, true, HVDRV_REC_READY }, { HVDRV_REC_READY, 255, true, HVDRV_REC_READY },
};

START_TEST(records)
{
	struct hv_inflight_table *t = calloc(QUEUES, sizeof(*t));
	unsigned int begun = 0, ready = 0;
	struct world w;

	world(&w);
	for (uint32_t q = 0; q < QUEUES; q++) {
		for (uint32_t tag = 0; tag < DEPTH; tag++) {
			uint16_t handle = HVDRV_HANDLE(tag, 3);
			int c = (tag + q) % N(cases);

			*record(&w, q, tag) = (struct hvdrv_record){ .state = cases[c].guest, .handle = handle, .op = HVDRV_OP_WRITE };
			t[q].tag[tag] = (struct hv_inflight){ handle + !cases[c].same * 0x1000, cases[c].host, HVDRV_ST_NOSPC };
		}
	}
	hv_swap_replace(&w.s, &w.img, t, ring);
	for (uint32_t q = 0; q < QUEUES; q++) {
		begun = ready = 0;
		for (uint32_t tag = 0; tag < DEPTH; tag++) {
			int c = (tag + q) % N(cases);

			ck_assert_uint_eq(record(&w, q, tag)->state, cases[c].want);
			if (cases[c].want == HVDRV_REC_DONE)
				ck_assert_uint_eq(record(&w, q, tag)->status, HVDRV_ST_NOSPC);
			ck_assert_uint_eq(w.s.queue[q].begun[0] >> tag & 1, cases[c].want == HVDRV_REC_BEGUN);
			begun += cases[c].want == HVDRV_REC_BEGUN;
			ready += cases[c].want == HVDRV_REC_READY;
		}
		ck_assert_uint_eq(w.s.queue[q].carried[HVDRV_REC_BEGUN], begun);
		ck_assert_uint_eq(w.s.queue[q].carried[HVDRV_REC_READY], ready);
		ck_assert_mem_eq((uint8_t *)queue_page(&w, q, 1 + RECORDS) + 100, &begun, sizeof(begun));
		ck_assert_uint_eq(state(&w, q)->generation, 42);
		ck_assert_uint_eq(state(&w, q)->adopt, 42);
		ck_assert_uint_eq(state(&w, q)->hold, 0);
		ck_assert_uint_eq(state(&w, q)->need_kick, 1);
	}
	ck_assert_mem_eq(fake_page(w.f, 5, CODE), w.img.payload, w.img.h.payload_size < HVDRV_PAGE ? w.img.h.payload_size : HVDRV_PAGE);
	free(t);
	done(&w);
}
END_TEST

/* Undone: every byte that the guest can see is what it was, but for the generation, which is a new one. */
START_TEST(restored)
{
	struct hv_inflight_table *t = calloc(QUEUES, sizeof(*t));
	const uint32_t frames[][2] = { { CODE, HVDRV_SLOT_PAGES }, { MEM, QUEUES * PER_QUEUE } };
	uint8_t *before = malloc((HVDRV_SLOT_PAGES + QUEUES * PER_QUEUE) * HVDRV_PAGE), *at = before;
	struct world w;

	world(&w);
	rng_fill(&w.rng, t, QUEUES * sizeof(*t));
	for (uint32_t q = 0; q < QUEUES; q++)
		state(&w, q)->generation = 41;
	hv_swap_hold(&w.s, true);
	for (int i = 0; i < 2; i++, at += HVDRV_PAGE * frames[i - 1][1])
		memcpy(at, fake_page(w.f, 5, frames[i][0]), HVDRV_PAGE * frames[i][1]);
	hv_swap_replace(&w.s, &w.img, t, ring);
	ck_assert_int_ne(memcmp(before, fake_page(w.f, 5, CODE), HVDRV_PAGE), 0);
	hv_swap_restore(&w.s);
	for (uint32_t q = 0; q < QUEUES; q++) {
		ck_assert_uint_eq(state(&w, q)->generation, 43);	/* a CPU that saw 42 for a moment serialises again */
		state(&w, q)->generation = 41;
	}
	at = before;
	for (int i = 0; i < 2; i++, at += HVDRV_PAGE * frames[i - 1][1])
		ck_assert_mem_eq(at, fake_page(w.f, 5, frames[i][0]), HVDRV_PAGE * frames[i][1]);
	ck_assert_uint_eq(state(&w, 1)->hold, 1);
	free(before);
	free(t);
	done(&w);
}
END_TEST

START_TEST(looks)
{
	struct world w;

	world(&w);
	for (uint32_t q = 0; q < QUEUES; q++) {
		state(&w, q)->inside = 0;
		state(&w, q)->adopt = state(&w, q)->adopted = 9;
	}
	ck_assert(!hv_swap_inside(&w.s));
	ck_assert(hv_swap_adopted(&w.s));
	state(&w, 2)->inside = 1;
	state(&w, 1)->adopted = 8;
	ck_assert(hv_swap_inside(&w.s));
	ck_assert(!hv_swap_adopted(&w.s));
	hv_swap_hold(&w.s, true);
	ck_assert_uint_eq(state(&w, 0)->hold, 1);
	hv_swap_hold(&w.s, false);
	ck_assert_uint_eq(state(&w, 2)->hold, 0);
	done(&w);
}
END_TEST

/* Each mapping that can fail: said, and all of it given back. */
START_TEST(cannot_map)
{
	struct hv_err e = { 0 };
	struct world w;

	world(&w);
	hv_swap_close(w.h, &w.s);
	fake_fail(w.f, "map_grants", _i + 1, ENOMEM);
	ck_assert_int_eq(hv_swap_open(w.h, 5, &w.o, &w.slot, &w.saved, &w.s, &e), -EFAULT);
	ck_contains(e.text, "records of queue");
	fake_fail(w.f, "map_grants", 0, 0);
	done(&w);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("swap", (const TTest *[]){ records, restored, looks, NULL });

	unit_loop(s, "cannot-map", cannot_map, 2 * QUEUES);
	return s;
}
