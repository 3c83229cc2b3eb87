// SPDX-License-Identifier: LGPL-2.1-only
#include "util/hist.h"

static unsigned int index_of(uint64_t ns)
{
	unsigned int power = ns ? 63 - __builtin_clzll(ns) : 0;

	if (power < HV_HIST_LOW)
		return 0;
	if (power >= HV_HIST_HIGH)
		return HV_HIST_BUCKETS - 1;
	return 1 + (power - HV_HIST_LOW) * HV_HIST_PARTS + ((ns >> (power - 3)) & (HV_HIST_PARTS - 1));
}

/* The first value that is above the bucket. */
static uint64_t end_of(unsigned int i)
{
	unsigned int power = HV_HIST_LOW + (i - 1) / HV_HIST_PARTS, part = (i - 1) % HV_HIST_PARTS;

	if (!i)
		return 1ull << HV_HIST_LOW;
	if (i == HV_HIST_BUCKETS - 1)
		return UINT64_MAX;
	return (1ull << power) + ((uint64_t)(part + 1) << (power - 3));
}

void hv_hist_add(struct hv_hist *h, uint64_t ns)
{
	h->bucket[index_of(ns)]++;
	h->count++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
}

uint64_t hv_hist_quantile(const struct hv_hist *h, unsigned int permille)
{
	uint64_t need = (h->count * permille + 999) / 1000, seen = 0;

	for (unsigned int i = 0; h->count && i < HV_HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen && seen >= need)
			return end_of(i) < h->max ? end_of(i) : h->max;
	}
	return 0;
}

uint64_t hv_hist_below(const struct hv_hist *h, unsigned int power)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < HV_HIST_BUCKETS && end_of(i) <= 1ull << power; i++)
		n += h->bucket[i];
	return n;
}
