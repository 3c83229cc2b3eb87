// SPDX-License-Identifier: GPL-2.0-only
/* Histograms of times: quantiles against a sorted list, the ends of the range, what is below a power of two. */
#include "unit.h"
#include "util/hist.h"

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(empty)
{
	struct hv_hist h = { 0 };

	ck_assert_uint_eq(hv_hist_quantile(&h, 500), 0);
	ck_assert_uint_eq(hv_hist_quantile(&h, 1000), 0);
	ck_assert_uint_eq(hv_hist_below(&h, 40), 0);
}
END_TEST

/* A quantile is never below the true one, and above it by at most an eighth (and one bucket's width at the low end). */
START_TEST(quantiles)
{
	static const unsigned int asked[] = { 1, 10, 500, 900, 990, 999, 1000 };
	static uint64_t all[2000];
	struct rng r;

	rng_init(&r, "quantiles");
	for (int round = 0; round < 50; round++) {
		struct hv_hist h = { 0 };
		uint32_t n = 1 + rng_below(&r, N(all));

		for (uint32_t i = 0; i < n; i++) {
			all[i] = rng_u64(&r) >> (24 + rng_below(&r, 40));	/* below 2^40 */
			hv_hist_add(&h, all[i]);
		}
		qsort(all, n, sizeof(all[0]), by_size);
		for (size_t k = 0; k < N(asked); k++) {
			uint64_t at = ((uint64_t)n * asked[k] + 999) / 1000, is = all[(at ? at : 1) - 1];
			uint64_t got = hv_hist_quantile(&h, asked[k]);

			ck_assert_uint_ge(got, is);
			ck_assert_uint_le(got, is < 1024 ? 1024 : is + is / 8 + 1);
		}
		ck_assert_uint_eq(hv_hist_quantile(&h, 1000), all[n - 1]);
	}
}
END_TEST

START_TEST(below)
{
	static uint64_t all[500];
	struct hv_hist h = { 0 };
	uint64_t sum = 0;
	struct rng r;

	rng_init(&r, "below");
	for (size_t i = 0; i < N(all); i++) {
		all[i] = rng_u64(&r) >> (22 + rng_below(&r, 42));
		sum += all[i];
		hv_hist_add(&h, all[i]);
	}
	for (unsigned int power = HV_HIST_LOW; power <= HV_HIST_HIGH; power++) {
		uint64_t n = 0;

		for (size_t i = 0; i < N(all); i++)
			n += all[i] < 1ull << power;
		ck_assert_uint_eq(hv_hist_below(&h, power), n);
	}
	ck_assert_uint_eq(h.sum, sum);
	ck_assert_uint_eq(h.count, N(all));
}
END_TEST

/* The ends: 0, the limits of the range, and what no clock says. */
START_TEST(ends)
{
	struct hv_hist h = { 0 };

	hv_hist_add(&h, 0);
	ck_assert_uint_eq(hv_hist_quantile(&h, 500), 0);
	hv_hist_add(&h, (1ull << HV_HIST_LOW) - 1);
	ck_assert_uint_eq(h.bucket[0], 2);
	hv_hist_add(&h, 1ull << HV_HIST_LOW);
	ck_assert_uint_eq(h.bucket[1], 1);
	hv_hist_add(&h, (1ull << HV_HIST_HIGH) - 1);
	ck_assert_uint_eq(h.bucket[HV_HIST_BUCKETS - 2], 1);
	hv_hist_add(&h, 1ull << HV_HIST_HIGH);
	hv_hist_add(&h, UINT64_MAX);
	ck_assert_uint_eq(h.bucket[HV_HIST_BUCKETS - 1], 2);
	ck_assert_uint_eq(hv_hist_quantile(&h, 1000), UINT64_MAX);
	ck_assert_uint_eq(hv_hist_below(&h, HV_HIST_HIGH), 4);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("hist", (const TTest *[]){ empty, quantiles, below, ends, NULL });
}
