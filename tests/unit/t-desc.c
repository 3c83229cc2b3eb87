// SPDX-License-Identifier: GPL-2.0-only
/* The descriptor that a guest grants: each number that it could lie about. */
#include "ring/desc.h"
#include "unit.h"

#define DEPTH 128u
#define QPAGES 130u

struct guest {
	union { struct hvdrv_desc d; struct hvdrv_desc_more m; uint8_t raw[HVDRV_PAGE]; } page[8];	/* granted as 1 + index */
	uint32_t written;
	int fail_at, copies;
};

static int copy(void *arg, uint32_t ref, void *to)
{
	struct guest *g = arg;

	if (++g->copies == g->fail_at || !ref || ref > 8)
		return -EFAULT;
	memcpy(to, &g->page[ref - 1], HVDRV_PAGE);
	return 0;
}

static uint32_t *ref_at(struct guest *g, uint32_t i)
{
	if (i < HVDRV_DESC_FIRST)
		return &g->page[0].d.gref[i];
	i -= HVDRV_DESC_FIRST;
	return &g->page[1 + i / HVDRV_DESC_MORE].m.gref[i % HVDRV_DESC_MORE];
}

static void fill(struct guest *g, uint32_t queues)
{
	struct hvdrv_desc *d = &g->page[0].d;

	memset(g, 0, sizeof(*g));
	d->magic = HVDRV_DESC_MAGIC;
	d->version = 1;
	d->num_queues = queues;
	d->depth = DEPTH;
	d->record_pages = HVDRV_RECORD_PAGES(DEPTH);
	d->queue_pages = QPAGES;
	d->num_grefs = queues * (1 + d->record_pages + QPAGES);
	d->slot_va = 0xffffffffc0200000;
	d->slot_index = 3;
	for (uint32_t i = 0; i < HVDRV_SLOT_PAGES; i++) {
		d->slot_gfn[i] = 5000 + i;
		d->slot_gref[i] = 600 + i;
	}
	for (uint32_t q = 0; q < queues; q++)
		d->port[q] = 20 + q;
	g->written = d->num_grefs;
	for (uint32_t i = 0; i < g->written; i++)
		*ref_at(g, i) = 10000 + i;
	for (int p = 1; p < 8; p++)
		g->page[p].m.magic = HVDRV_DESC_MAGIC;
	for (int p = 0; p < 3; p++)
		g->page[p].m.magic = HVDRV_DESC_MAGIC;
	g->page[0].d.next = 2;
	for (int p = 1; p < 7; p++)
		g->page[p].m.next = p + 2;
}

/* What version 2 has more. */
static void add_pool(struct guest *g, uint32_t pages)
{
	g->page[0].d.version = 2;
	g->page[0].d.pool_pages = pages;
	g->page[0].d.num_grefs += pages;
	for (uint32_t i = 0; i < pages; i++)
		*ref_at(g, g->written++) = 50000 + i;
}

static int read_it(struct guest *g, struct hv_offer *o, struct hv_err *e)
{
	return hv_desc_read(copy, g, 1, DEPTH, QPAGES, HVDRV_MAX_QUEUES, o, e);
}

START_TEST(whole)
{
	uint32_t queues = _i + 1, n = 0;
	struct hv_offer o;
	struct hv_err e = { 0 };
	struct guest g;

	fill(&g, queues);
	ck_assert_msg(!read_it(&g, &o, &e), "%s", e.text);
	ck_assert_uint_eq(o.num_queues, queues);
	ck_assert_uint_eq(o.slot_index, 3);
	ck_assert_uint_eq(o.slot_gfn[3], 5003);
	ck_assert_uint_eq(o.slot_gref[3], 603);
	for (uint32_t q = 0; q < queues; q++) {
		ck_assert_uint_eq(o.queue[q].port, 20 + q);
		ck_assert_uint_eq(o.queue[q].state, 10000 + n++);
		for (uint32_t i = 0; i < o.record_pages; i++)
			ck_assert_uint_eq(o.queue[q].record[i], 10000 + n++);
		for (uint32_t i = 0; i < QPAGES; i++)
			ck_assert_uint_eq(o.queue[q].page[i], 10000 + n++);
	}
}
END_TEST

static const uint32_t pools[] = { 0, 1, 256, HVDRV_MAX_POOL };

/* A pool, with the fewest and with the most of everything else. */
START_TEST(pool)
{
	uint32_t pages = pools[_i / 2], queues = _i & 1 ? HVDRV_MAX_QUEUES : 1;
	struct hv_err e = { 0 };
	struct hv_offer o;
	struct guest g;

	fill(&g, queues);
	add_pool(&g, pages);
	ck_assert_msg(!read_it(&g, &o, &e), "%s", e.text);
	ck_assert_uint_eq(o.abi, 2);
	ck_assert_uint_eq(o.pool_pages, pages);
	for (uint32_t i = 0; i < pages; i++)
		ck_assert_uint_eq(o.pool[i], 50000 + i);
	ck_assert_uint_eq(o.queue[queues - 1].page[QPAGES - 1], 10000 + g.written - pages - 1);
}
END_TEST

/* A guest of version 1 has none, whatever it left in the field that was reserved then. */
START_TEST(no_pool_in_version_1)
{
	struct hv_err e = { 0 };
	struct hv_offer o;
	struct guest g;

	fill(&g, 1);
	g.page[0].d.pool_pages = 77;
	ck_assert_msg(!read_it(&g, &o, &e), "%s", e.text);
	ck_assert_uint_eq(o.abi, 1);
	ck_assert_uint_eq(o.pool_pages, 0);
}
END_TEST

static void magic(struct guest *g) { g->page[0].d.magic++; }
static void second_magic(struct guest *g) { g->page[1].m.magic = 0; }
static void version_0(struct guest *g) { g->page[0].d.version = 0; }
static void version_new(struct guest *g) { g->page[0].d.version = HVDRV_ABI_MAX + 1; }
static void no_queue(struct guest *g) { g->page[0].d.num_queues = 0; }
static void queues_9(struct guest *g) { g->page[0].d.num_queues = 9; }
static void queues_many(struct guest *g) { g->page[0].d.num_queues = UINT32_MAX; }
static void depth_low(struct guest *g) { g->page[0].d.depth = 1; }
static void depth_high(struct guest *g) { g->page[0].d.depth = UINT32_MAX; }
static void record_pages(struct guest *g) { g->page[0].d.record_pages--; }
static void queue_pages(struct guest *g) { g->page[0].d.queue_pages = 1000; }
static void count_low(struct guest *g) { g->page[0].d.num_grefs--; }
static void count_high(struct guest *g) { g->page[0].d.num_grefs = UINT32_MAX; }
static void slot_index(struct guest *g) { g->page[0].d.slot_index = HVDRV_SLOTS; }
static void slot_va(struct guest *g) { g->page[0].d.slot_va++; }
static void slot_wraps(struct guest *g) { g->page[0].d.slot_va = 0ull - HVDRV_PAGE; }
static void ref_0(struct guest *g) { g->page[0].d.gref[5] = 0; }
static void late_ref_0(struct guest *g) { *ref_at(g, g->written - 1) = 0; }
static void ends_early(struct guest *g) { g->page[0].d.next = 0; }
static void bad_page(struct guest *g) { g->page[0].d.next = 4000000; }
static void pool_huge(struct guest *g) { add_pool(g, 8); g->page[0].d.pool_pages = HVDRV_MAX_POOL + 1; }
static void pool_wraps(struct guest *g) { add_pool(g, 8); g->page[0].d.pool_pages = UINT32_MAX; g->page[0].d.num_grefs -= 9; }
static void pool_not_counted(struct guest *g) { add_pool(g, 8); g->page[0].d.num_grefs -= 8; }
static void pool_ref_0(struct guest *g) { add_pool(g, 8); *ref_at(g, g->written - 3) = 0; }

static const struct {
	void (*lie)(struct guest *g);
	const char *says;
	int rc;
} lies[] = {
	{ magic, "no descriptor", -EPROTO }, { second_magic, "page 2 ", -EPROTO }, { version_0, "version 0", -EPROTO }, { version_new, "version 4", -EPROTO },
	{ no_queue, "0 queues", -EPROTO }, { queues_9, "9 queues", -EPROTO }, { queues_many, "queues", -EPROTO }, { depth_low, "depth 1,", -EPROTO },
	{ depth_high, "depth", -EPROTO }, { record_pages, "depth", -EPROTO }, { queue_pages, "1000 pages", -EPROTO }, { count_low, "counts", -EPROTO },
	{ count_high, "counts", -EPROTO }, { slot_index, "slot 16", -EPROTO }, { slot_va, "slot 3", -EPROTO }, { slot_wraps, "slot 3", -EPROTO },
	{ ref_0, "reference 0", -EPROTO }, { late_ref_0, "reference 0", -EPROTO }, { ends_early, "too early", -EPROTO },
	{ bad_page, "4000000", -EFAULT }, { pool_huge, "pool of 2049", -EPROTO }, { pool_wraps, "pool of 4294967295", -EPROTO },
	{ pool_not_counted, "counts", -EPROTO }, { pool_ref_0, "reference 0", -EPROTO },
};

START_TEST(lie)
{
	struct hv_offer o;
	struct hv_err e = { 0 };
	struct guest g;

	fill(&g, HVDRV_MAX_QUEUES);
	ck_assert_uint_gt(g.written, HVDRV_DESC_FIRST);		/* it takes two pages */
	lies[_i].lie(&g);
	ck_assert_int_eq(read_it(&g, &o, &e), lies[_i].rc);
	ck_contains(e.text, lies[_i].says);
}
END_TEST

/* A chain that bites its tail comes to an end. */
START_TEST(endless)
{
	struct hv_offer o;
	struct hv_err e;
	struct guest g;

	fill(&g, HVDRV_MAX_QUEUES);
	/* what a chain holds at most is more than the most that can be asked for, so: as if it were asked */
	ck_assert_uint_ge(HVDRV_DESC_FIRST + 3 * HVDRV_DESC_MORE, HVDRV_MAX_QUEUES * (1 + HVDRV_RECORD_PAGES(HVDRV_MAX_DEPTH) + HVDRV_MAX_QUEUE_PAGES));
	g.page[1].m.next = 1;
	g.page[0].d.next = 1;					/* its own head, read as a list */
	read_it(&g, &o, &e);
	ck_assert_int_le(g.copies, (int)HVDRV_DESC_PAGES);
}
END_TEST

START_TEST(fewer_asked_for)
{
	struct hv_offer o;
	struct hv_err e;
	struct guest g;

	fill(&g, 2);
	ck_assert_int_eq(hv_desc_read(copy, &g, 1, DEPTH, QPAGES, 1, &o, &e), -EPROTO);
	ck_contains(e.text, "1 to 1");
	ck_assert_int_eq(hv_desc_read(copy, &g, 1, DEPTH, QPAGES, 2, &o, &e), 0);
	ck_assert_int_eq(hv_desc_read(copy, &g, 1, DEPTH * 2, QPAGES, 2, &o, &e), -EPROTO);
	ck_assert_int_eq(hv_desc_read(copy, &g, 0, DEPTH, QPAGES, 2, &o, &e), -EPROTO);
}
END_TEST

START_TEST(copy_fails)
{
	for (int n = 1; n <= 2; n++) {
		struct hv_offer o;
		struct hv_err e;
		struct guest g;

		fill(&g, HVDRV_MAX_QUEUES);
		g.fail_at = n;
		ck_assert_int_eq(read_it(&g, &o, &e), -EFAULT);
		ck_contains(e.text, "cannot be read");
	}
}
END_TEST

START_TEST(random_pages)
{
	struct rng r;

	rng_init(&r, "descriptor");
	for (int round = 0; round < 20000; round++) {
		struct hv_offer o;
		struct hv_err e;
		struct guest g;

		fill(&g, 1 + rng_below(&r, 8));
		if (rng_below(&r, 2))
			add_pool(&g, rng_below(&r, 300));
		for (int k = rng_below(&r, 4); k >= 0; k--)
			*(uint32_t *)(g.page[rng_below(&r, 3)].raw + 4 * rng_below(&r, rng_below(&r, 2) ? 32 : 1024)) = rng_u64(&r);
		if (read_it(&g, &o, &e))
			continue;
		ck_assert(o.num_queues && o.num_queues <= HVDRV_MAX_QUEUES && o.depth == DEPTH && o.queue_pages == QPAGES);
		ck_assert(o.slot_index < HVDRV_SLOTS && !(o.slot_va % HVDRV_PAGE) && o.pool_pages <= HVDRV_MAX_POOL);
		for (uint32_t q = 0; q < o.num_queues; q++)
			ck_assert(o.queue[q].state && o.queue[q].page[QPAGES - 1]);
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("desc", (const TTest *[]){ no_pool_in_version_1, endless, fewer_asked_for, copy_fails, random_pages, NULL });

	unit_loop(s, "whole", whole, HVDRV_MAX_QUEUES);
	unit_loop(s, "pool", pool, 2 * N(pools));
	unit_loop(s, "lie", lie, N(lies));
	return s;
}
