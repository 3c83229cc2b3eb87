// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters per format of the queues. Whoever counts adds to d->stats; when the format changes, another one's take that place, and
 * come back with it. A request that was begun before a switch is counted where it is answered.
 */
#include "worker/worker.h"

void wk_stats_turn(struct wk_dev *d, uint32_t format)
{
	d->other[d->counting] = d->stats;
	d->stats = d->other[format];
	d->counting = format;
}

void wk_stats_report(const struct wk_dev *d, struct wire_counts *out)
{
	for (uint32_t f = 0; f < WIRE_FORMATS; f++)
		out->of[f] = f == d->counting ? d->stats : d->other[f];
	out->inflight = wk_dev_inflight(d);
	out->queues = d->num_queues;
	out->pool_pages = d->pool.n;
	out->waiting = d->turns.waits;
}
