/* SPDX-License-Identifier: LGPL-2.1-only */
/* A histogram of times in nanoseconds: eight buckets to each power of two, so a quantile is at most an eighth too high. */
#ifndef HV_UTIL_HIST_H
#define HV_UTIL_HIST_H

#include <stdint.h>

#define HV_HIST_LOW 10			/* all below 2^10 ns are one bucket, all from 2^40 ns on another */
#define HV_HIST_HIGH 40
#define HV_HIST_PARTS 8
#define HV_HIST_BUCKETS ((HV_HIST_HIGH - HV_HIST_LOW) * HV_HIST_PARTS + 2)

/* Zeroed memory is an empty one. */
struct hv_hist {
	uint64_t count, sum, max;
	uint64_t bucket[HV_HIST_BUCKETS];
};

void hv_hist_add(struct hv_hist *h, uint64_t ns);

/* The upper end of the bucket that holds the value which `permille` of a thousand do not exceed, not above max; 0: empty. */
uint64_t hv_hist_quantile(const struct hv_hist *h, unsigned int permille);

/* How many were below 2^power ns; exact for HV_HIST_LOW to HV_HIST_HIGH. */
uint64_t hv_hist_below(const struct hv_hist *h, unsigned int power);

#endif
