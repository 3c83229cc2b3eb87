// SPDX-License-Identifier: GPL-2.0-only
/* Data in pages that the guest has granted for good: what goes by them, what does not, and a guest that lies about them. */
#include <fcntl.h>
#include <unistd.h>
#include "served.h"
#include "unit.h"

#define POOL 200u		/* the pool: pages 200 to 200 + PAGES - 1 */
#define PAGES 80u
#define DATA 400u		/* pages that are not of the pool */

/* The device with a pool of these references, which are read again by again(). False: this engine is not to be had. */
static bool pooled(struct world *w, uint32_t pool[PAGES], int engine)
{
	if (!world_open(w, engine))
		return false;
	for (uint32_t i = 0; i < PAGES; i++)
		pool[i] = POOL + i;
	w->b->pool = pool;
	w->b->pool_pages = PAGES;
	world_add(w, NULL);
	return true;
}

static struct wire_stats *stats(struct world *w)
{
	return &dev(w)->stats;
}

static uint32_t pool_pages(struct world *w)
{
	struct wire_counts c = { 0 };

	wk_stats_report(dev(w), &c);
	return c.pool_pages;
}

static void again(struct world *w)
{
	wk_dev_remove(dev(w));
	memset(bench_page(w->b, RING), 0, 2 * HVDRV_PAGE);
	world_add(w, NULL);
}

static int page_op(struct world *w, uint8_t op, uint32_t ref)
{
	return data_op(w, op, 0, &(struct front_seg){ ref, 0, 7 }, 1);
}

/* All in the pool: right data, and not one hypercall. */
START_TEST(no_call)
{
	uint8_t got[HVDRV_PAGE];
	uint32_t pool[PAGES];
	struct world w;

	if (!pooled(&w, pool, _i))
		return;
	ck_assert_uint_eq(pool_pages(&w), PAGES);
	w.b->copy_errno = EFAULT;			/* Xen copies nothing here */
	memset(bench_page(w.b, POOL + 3), 0x5a, HVDRV_PAGE);
	ck_assert_int_eq(page_op(&w, OP(write), POOL + 3), 0);
	ck_assert_int_eq(pread(w.fd, got, HVDRV_PAGE, 0), (ssize_t)HVDRV_PAGE);
	ck_assert_int_eq(got[0], 0x5a);
	ck_assert_int_eq(got[HVDRV_PAGE - 1], 0x5a);
	ck_assert_int_eq(page_op(&w, OP(read), POOL + PAGES - 1), 0);
	ck_assert_mem_eq(bench_page(w.b, POOL + PAGES - 1), got, HVDRV_PAGE);
	ck_assert_uint_eq(stats(&w)->copies, 0);
	ck_assert_uint_eq(stats(&w)->pool_requests, 2);
	ck_assert_uint_eq(stats(&w)->errors, 0);
	bench_free(w.b);
}
END_TEST

/* The references just beside are what they ever were: copied by Xen, if they are granted. */
START_TEST(beside)
{
	const uint32_t refs[] = { POOL - 1, POOL + PAGES };
	uint32_t pool[PAGES];
	struct world w;

	if (!pooled(&w, pool, _i))
		return;
	for (size_t i = 0; i < N(refs); i++) {
		memset(bench_page(w.b, refs[i]), 0x31 + i, HVDRV_PAGE);
		ck_assert_int_eq(page_op(&w, OP(write), refs[i]), 0);
		ck_assert_uint_eq(stats(&w)->copies, 2 * i + 1);
		w.b->grant[refs[i]] = 0;
		ck_assert_int_eq(page_op(&w, OP(read), refs[i]), -1);
		ck_assert_uint_eq(stats(&w)->rejects[HV_REJ_DATA_PAGE], i + 1);
	}
	ck_assert_int_eq(page_op(&w, OP(read), 0), -1);
	ck_assert_int_eq(page_op(&w, OP(read), UINT32_MAX), -1);
	ck_assert_uint_eq(stats(&w)->pool_requests, 0);
	bench_free(w.b);
}
END_TEST

/* A segment that leaves its page is refused whatever page it is: the next page of the pool is not written. */
START_TEST(outside)
{
	uint32_t pool[PAGES];
	struct world w;

	if (!pooled(&w, pool, _i))
		return;
	memset(bench_page(w.b, POOL + 1), 0xaa, HVDRV_PAGE);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &(struct front_seg){ POOL, 4, 9 }, 1), -1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &(struct front_seg){ POOL, 255, 255 }, 1), -1);
	ck_assert_int_eq(((uint8_t *)bench_page(w.b, POOL + 1))[0], 0xaa);
	ck_assert_uint_eq(stats(&w)->rejects[HV_REJ_SEGMENT], 2);
	bench_free(w.b);
}
END_TEST

/* In one batch: by the pool, by Xen, and both in one request. Xen fails: only those that needed it. */
START_TEST(batch)
{
	const struct front_seg s[] = { { POOL, 0, 7 }, { DATA, 0, 7 }, { POOL + 1, 0, 7 } };
	const int want[] = { 0, -1, -1 };
	uint32_t pool[PAGES];
	struct world w;
	uint64_t id;
	int st;

	if (!pooled(&w, pool, _i))
		return;
	for (int fails = 0; fails < 2; fails++) {
		w.b->copy_errno = fails ? EFAULT : 0;
		put(&w, OP(write), 0, 0, s, 1);
		put(&w, OP(write), 1, 8, s + 1, 1);
		put(&w, OP(write), 2, 16, s, 3);
		go(&w);
		for (int i = 0; i < 3; i++) {
			ck_assert(front_answer(&w.f, &id, &st));
			ck_assert_uint_lt(id, 3);
			ck_assert_int_eq(st, fails ? want[id] : 0);
		}
		ck_assert_uint_eq(stats(&w)->copies, fails + 1);
		ck_assert_uint_eq(stats(&w)->pool_requests, fails + 1);
	}
	bench_free(w.b);
}
END_TEST

/* Both ways at random, the pool's references in any order: what is written is on the disk, and comes back. */
START_TEST(mixed)
{
	uint32_t pool[PAGES];
	struct world w;
	struct rng r;

	if (!pooled(&w, pool, _i))
		return;
	rng_init(&r, "pool mixed");
	for (uint32_t i = PAGES - 1; i; i--) {
		uint32_t k = rng_below(&r, i + 1), t = pool[i];

		pool[i] = pool[k];
		pool[k] = t;
	}
	again(&w);
	ck_assert_uint_eq(pool_pages(&w), PAGES);
	w.b->copy_errno = EFAULT;			/* each of them is found */
	for (uint32_t i = 0; i < PAGES; i++)
		ck_assert_int_eq(page_op(&w, OP(read), POOL + i), 0);
	w.b->copy_errno = 0;
	for (int round = 0; round < 200; round++) {
		struct front_seg s[HVDRV_MAX_SEGS];
		int n = 1 + rng_below(&r, HVDRV_MAX_SEGS);
		uint64_t sector = rng_below(&r, 2048 - 63 * 8);

		for (int i = 0; i < n; i++) {
			s[i] = (struct front_seg){ (rng_below(&r, 3) ? POOL : DATA) + i, rng_below(&r, 4), 4 + rng_below(&r, 4) };
			rng_fill(&r, bench_page(w.b, s[i].gref), HVDRV_PAGE);
		}
		ck_round_trip(&w, OP(write), sector, s, n);
	}
	ck_assert_uint_eq(stats(&w)->errors, 0);
	bench_free(w.b);
}
END_TEST

/* A guest that ends its grants: Xen keeps what is mapped, so the pool goes on; what is not in it is refused. */
START_TEST(grants_ended)
{
	uint32_t pool[PAGES];
	struct world w;

	if (!pooled(&w, pool, _i))
		return;
	memset(w.b->grant + POOL, 0, PAGES);
	ck_assert_int_eq(page_op(&w, OP(write), POOL + 5), 0);
	ck_assert_int_eq(page_op(&w, OP(read), POOL + 5), 0);
	again(&w);					/* mapped anew it cannot be */
	ck_assert_uint_eq(pool_pages(&w), 0);
	ck_assert_int_eq(page_op(&w, OP(read), POOL + 5), -1);
	ck_assert_int_eq(page_op(&w, OP(read), DATA), 0);
	bench_free(w.b);
}
END_TEST

static const uint32_t lies[] = { 0, 900, 901, BENCH_PAGES + 7, UINT32_MAX };

/* A pool with one reference that is none of the guest's: no pool, and the device is served by Xen's copies. */
START_TEST(lie)
{
	uint32_t pool[PAGES];
	struct world w;

	if (!pooled(&w, pool, _i % BENCH_ENGINES))
		return;
	w.b->grant[900] = 0;
	w.b->grant[901] = 2;				/* read-only: a pool is written */
	pool[PAGES / 2] = lies[_i / BENCH_ENGINES];
	again(&w);
	ck_assert_uint_eq(pool_pages(&w), 0);
	ck_assert_int_eq(page_op(&w, OP(write), POOL), 0);
	ck_assert_int_eq(page_op(&w, OP(read), POOL), 0);
	ck_assert_uint_eq(stats(&w)->copies, 2);
	ck_assert_uint_eq(stats(&w)->pool_requests, 0);
	bench_free(w.b);
}
END_TEST

/* The same page a hundred times: mapped a hundred times, and each is that page. */
START_TEST(one_page_only)
{
	uint32_t pool[PAGES];
	struct world w;

	if (!pooled(&w, pool, _i))
		return;
	for (uint32_t i = 0; i < PAGES; i++)
		pool[i] = POOL;
	again(&w);
	memset(bench_page(w.b, POOL), 0x42, HVDRV_PAGE);
	ck_assert_int_eq(page_op(&w, OP(write), POOL), 0);
	memset(bench_page(w.b, POOL), 0, HVDRV_PAGE);
	ck_assert_int_eq(page_op(&w, OP(read), POOL), 0);
	ck_assert_int_eq(((uint8_t *)bench_page(w.b, POOL))[77], 0x42);
	ck_assert_uint_eq(stats(&w)->copies, 0);
	bench_free(w.b);
}
END_TEST

/* A device's pool is no other device's: there the same reference is a grant like any. */
START_TEST(other_device)
{
	struct front other;
	uint32_t pool[PAGES];
	struct world w;
	uint64_t id;
	int st;

	if (!pooled(&w, pool, _i))
		return;
	w.b->pool = NULL;
	front_init(&other, L, bench_page(w.b, 11), 2);
	ck_assert_int_eq(bench_add(w.b, 1, w.path, O_RDWR, &bench_limits, 1, 2, 11, 2, NULL), 0);
	w.b->grant[POOL + 1] = 0;
	for (uint32_t i = 0; i < 2; i++)
		front_direct(L, front_next(&other), OP(read), i, 0, &(struct front_seg){ POOL + i, 0, 7 }, 1);
	front_show(&other);
	bench_kick(w.b, 2);
	bench_run(w.b);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert(front_answer(&other, &id, &st));
		ck_assert_int_eq(st, id ? -1 : 0);
	}
	ck_assert_uint_eq(wk_dev_find(w.b->wk, 1)->stats.copies, 1);
	ck_assert_uint_eq(wk_dev_find(w.b->wk, 1)->stats.pool_requests, 0);
	ck_assert_uint_eq(wk_dev_find(w.b->wk, 1)->pool.n, 0);
	ck_assert_int_eq(page_op(&w, OP(read), POOL + 1), 0);		/* of the first it is still the pool's */
	bench_free(w.b);
}
END_TEST

START_TEST(size)
{
	static uint32_t many[HVDRV_MAX_POOL];
	struct hv_err e = { 0 };
	uint32_t pool[PAGES];
	struct world w;

	if (!pooled(&w, pool, _i))
		return;
	for (uint32_t i = 0; i < HVDRV_MAX_POOL; i++)
		many[i] = 1000 + i;
	w.b->pool = many;
	w.b->pool_pages = HVDRV_MAX_POOL + 1;
	ck_assert_int_eq(bench_add(w.b, 1, w.path, O_RDWR, &bench_limits, 1, 2, 11, 2, &e), -EINVAL);
	ck_contains(e.text, "a pool of 2049");
	w.b->pool_pages = HVDRV_MAX_POOL;
	again(&w);
	ck_assert_uint_eq(pool_pages(&w), HVDRV_MAX_POOL);
	ck_assert_int_eq(page_op(&w, OP(read), 1000 + HVDRV_MAX_POOL - 1), 0);
	ck_assert_uint_eq(stats(&w)->pool_requests, 1);
	bench_free(w.b);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("pool", NULL);

	unit_loop(s, "no-call", no_call, BENCH_ENGINES);
	unit_loop(s, "beside", beside, BENCH_ENGINES);
	unit_loop(s, "outside", outside, BENCH_ENGINES);
	unit_loop(s, "batch", batch, BENCH_ENGINES);
	unit_loop(s, "mixed", mixed, BENCH_ENGINES);
	unit_loop(s, "grants-ended", grants_ended, BENCH_ENGINES);
	unit_loop(s, "lie", lie, BENCH_ENGINES * N(lies));
	unit_loop(s, "one-page-only", one_page_only, BENCH_ENGINES);
	unit_loop(s, "other-device", other_device, BENCH_ENGINES);
	unit_loop(s, "size", size, BENCH_ENGINES);
	return s;
}
