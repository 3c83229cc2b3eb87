// SPDX-License-Identifier: GPL-2.0-only
/* What is counted of a device, by the worker and here, and as it is told: the rows of `hvdrv show --json`, libhvdrv(3). */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <json-c/json.h>
#include "core/retarget.h"
#include "daemon.h"
#include "util/json.h"

#define FIRST_POWER 10		/* buckets that are told: the powers of two from a microsecond to eight seconds */
#define LAST_POWER 33

static const char *const ops[HVDRV_OPS] = { "read", "write", "flush", "discard", "write_zeroes" };
/* Of a hardware queue the worker sees no request: the guest counts. */
enum { VIRTUAL, PARAVIRTUAL, MODES };
static const char *const modes[MODES] = { "virtual", "paravirtual" };
static const int mode_of[WIRE_DIRECT] = { [WIRE_BLKIF] = VIRTUAL, [WIRE_NVME] = PARAVIRTUAL, [WIRE_VIRTQ] = VIRTUAL };
static const char *const askers[COUNT_ASKERS] = { "admin", "policy", "revert" };

static void add_time(struct json_object *o, const char *k, time_t t)
{
	char text[32];
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	json_object_object_add(o, k, json_object_new_string(text));
}

/* ---- switches ---- */

static enum count_asker asker_of(const char *who)
{
	if (!strncmp(who, "revert-of:", 10))
		return COUNT_REVERT;
	return strcmp(who, "policy") ? COUNT_ADMIN : COUNT_POLICY;
}

void count_seen(struct dev *v)
{
	v->counts.seen = time(NULL);
}

void count_served(struct dev *v)
{
	v->counts.served = time(NULL);
	v->counts.served_ns = hv_now_ns();
	count_guest_anew(v);
}

void count_switch_begin(struct dev *v)
{
	v->counts.switch_ns = hv_now_ns();
}

static bool took_place(enum hv_rt_result r)
{
	return r == HV_RT_COMMITTED || r == HV_RT_UNCONFIRMED;
}

void count_switch(struct dev *v, const struct switch_note *n)
{
	struct dev_counts *c = &v->counts;

	c->switches[n->result][asker_of(n->who)]++;
	for (int i = 0; i < COUNT_KINDS; i++)
		c->carried[i] += n->carried[i];
	/* one that was given up before the pause, or before the hold, has none */
	if (n->freeze_ns || took_place(n->result))
		hv_hist_add(&c->freeze, n->freeze_ns);
	if (n->stall_ns || took_place(n->result))
		hv_hist_add(&c->stall, n->stall_ns);
}

static void add_pair(struct json_object *buckets, uint64_t end_ns, uint64_t below)
{
	struct json_object *pair = json_object_new_array();

	json_object_array_add(pair, json_object_new_uint64(end_ns));
	json_object_array_add(pair, json_object_new_uint64(below));
	json_object_array_add(buckets, pair);
}

static void add_times(struct json_object *row, const char *key, const struct hv_hist *h)
{
	struct json_object *o = json_object_new_object(), *buckets = json_object_new_array();

	hv_json_add_u64(o, "count", h->count);
	hv_json_add_u64(o, "sum_ns", h->sum);
	hv_json_add_u64(o, "p50_ns", hv_hist_quantile(h, 500));
	hv_json_add_u64(o, "p99_ns", hv_hist_quantile(h, 990));
	hv_json_add_u64(o, "max_ns", h->max);
	for (unsigned int p = FIRST_POWER; p <= LAST_POWER; p++)
		add_pair(buckets, 1ull << p, hv_hist_below(h, p));
	json_object_object_add(o, "buckets", buckets);
	json_object_object_add(row, key, o);
}

static void add_by(struct json_object *row, const struct dev_counts *c)
{
	struct json_object *by = json_object_new_object();

	for (int who = 0; who < COUNT_ASKERS; who++) {
		struct json_object *o = json_object_new_object();

		for (int r = HV_RT_COMMITTED; r < HV_RT_RESULTS; r++)
			hv_json_add_u64(o, hv_retarget_result_name(r), c->switches[r][who]);
		json_object_object_add(by, askers[who], o);
	}
	json_object_object_add(row, "by", by);
}

static void add_switches(struct json_object *row, const struct dev_counts *c)
{
	static const char *const kinds[COUNT_KINDS] = { "carried_ready", "carried_begun", "carried_done" };
	struct json_object *o = json_object_new_object();

	add_time(o, "since", c->seen);
	for (int r = HV_RT_COMMITTED; r < HV_RT_RESULTS; r++) {
		uint64_t n = 0;

		for (int who = 0; who < COUNT_ASKERS; who++)
			n += c->switches[r][who];
		hv_json_add_u64(o, hv_retarget_result_name(r), n);
	}
	add_by(o, c);
	for (int i = 0; i < COUNT_KINDS; i++)
		hv_json_add_u64(o, kinds[i], c->carried[i]);
	add_times(o, "freeze", &c->freeze);
	add_times(o, "stall", &c->stall);
	json_object_object_add(row, "switches", o);
}

/* ---- the worker's ---- */

/* The upper end of the bucket that holds the p-th of a thousand. */
static uint64_t quantile(const uint64_t *hist, uint64_t total, unsigned int permille)
{
	uint64_t need = total / 1000 * permille + (total % 1000 * permille + 999) / 1000, seen = 0;

	for (int b = 0; b < WIRE_HIST; b++) {
		seen = count_sum(seen, hist[b]);
		if (seen >= need && seen)
			return 2ull << b;
	}
	return 0;
}

static void add_latency(struct json_object *row, const struct wire_stats *s)
{
	struct json_object *buckets = json_object_new_array();
	uint64_t total = 0, below = 0;

	for (int b = 0; b < WIRE_HIST; b++)
		total = count_sum(total, s->latency[b]);
	hv_json_add_u64(row, "latency_count", total);
	hv_json_add_u64(row, "latency_sum_ns", s->latency_ns);
	hv_json_add_u64(row, "latency_p50_ns", quantile(s->latency, total, 500));
	hv_json_add_u64(row, "latency_p99_ns", quantile(s->latency, total, 990));
	hv_json_add_u64(row, "latency_max_ns", quantile(s->latency, total, 1000));
	/* the last bucket holds what is above all powers, too */
	for (unsigned int p = 1; p < WIRE_HIST && p <= LAST_POWER; p++) {
		below = count_sum(below, s->latency[p - 1]);
		if (p >= FIRST_POWER)
			add_pair(buckets, 1ull << p, below);
	}
	json_object_object_add(row, "latency_buckets", buckets);
}

static void add_requests(struct json_object *row, const struct wire_stats *s)
{
	char key[40];

	for (int i = 0; i < HVDRV_OPS; i++) {
		snprintf(key, sizeof(key), "%s_requests", ops[i]);
		hv_json_add_u64(row, key, s->requests[i]);
		if (i == HVDRV_OP_FLUSH)
			continue;
		snprintf(key, sizeof(key), "%s_bytes", ops[i]);
		hv_json_add_u64(row, key, s->bytes[i]);
	}
	hv_json_add_u64(row, "errors", s->errors);
}

static void add_counts(struct json_object *row, const struct wire_stats *s)
{
	struct json_object *rej = json_object_new_object();

	add_requests(row, s);
	hv_json_add_u64(row, "orphans", s->orphans);
	hv_json_add_u64(row, "turns", s->turns);
	hv_json_add_u64(row, "copy_hypercalls", s->copies);
	hv_json_add_u64(row, "pool_requests", s->pool_requests);
	hv_json_add_u64(row, "passthrough_requests", s->passed);
	hv_json_add_u64(row, "events_sent", s->events_out);
	hv_json_add_u64(row, "events_received", s->events_in);
	add_latency(row, s);
	for (int i = 1; i < HV_REJECTS; i++)
		hv_json_add_u64(rej, hv_reject_name(i), s->rejects[i]);
	json_object_object_add(row, "rejects", rej);
}

static void add_to(struct wire_stats *sum, const struct wire_stats *s)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)s;

	_Static_assert(sizeof(*s) % sizeof(*to) == 0, "counters only");
	for (size_t i = 0; i < sizeof(*s) / sizeof(*to); i++)
		to[i] = count_sum(to[i], from[i]);
}

static void add_guest(struct json_object *all, const struct guest_told *g)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "counted_by", json_object_new_string("guest"));
	add_requests(o, &g->as);
	add_latency(o, &g->as);
	hv_json_add_u64(o, "looks", g->looks);
	json_object_object_add(all, "direct", o);
}

/* The sums first: these are the members that a row had before there were modes. */
void count_add_served(struct json_object *row, const struct wire_counts *c, const struct guest_told *g)
{
	struct json_object *all = json_object_new_object();
	struct wire_stats sum = { 0 }, of[MODES] = { 0 };

	for (int f = 0; f < WIRE_DIRECT; f++) {
		add_to(&sum, &c->of[f]);
		add_to(&of[mode_of[f]], &c->of[f]);
	}
	add_to(&sum, &g->as);
	add_counts(row, &sum);
	hv_json_add_u64(row, "in_flight", c->inflight + g->in_flight);
	hv_json_add_u64(row, "waiting_for_turn", c->waiting);
	hv_json_add_u64(row, "pool_pages", c->pool_pages);
	for (int m = 0; m < MODES; m++) {
		struct json_object *o = json_object_new_object();

		add_counts(o, &of[m]);
		json_object_object_add(all, modes[m], o);
	}
	if (g->any)
		add_guest(all, g);
	json_object_object_add(row, "modes", all);
}

void count_add_device(struct json_object *row, const struct dev *v)
{
	if (v->phase == DEV_LIVE) {
		add_time(row, "served_since", v->counts.served);
		hv_json_add_u64(row, "served_ns", hv_now_ns() - v->counts.served_ns);
	}
	add_switches(row, &v->counts);
}
