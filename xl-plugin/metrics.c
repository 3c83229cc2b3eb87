// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv metrics: what `show` knows of all devices, in Prometheus' text format 0.0.4. Times are seconds, sizes bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "util/exit.h"

static const char *const ops[] = { "read", "write", "flush", "discard", "write_zeroes" };
#define NOPS (sizeof(ops) / sizeof(ops[0]))

/* ---- text ---- */

static void head(const char *name, const char *type, const char *help)
{
	printf("# HELP hvdrv_%s %s\n# TYPE hvdrv_%s %s\n", name, help, name, type);
}

/* Length of the UTF-8 sequence at s, or 0: none that is valid. */
static int utf8(const unsigned char *s)
{
	int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	for (int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* A label's value: \, " and newline are escaped; bytes that are no UTF-8 become "?". */
static void label(const char *comma, const char *key, const char *value)
{
	printf("%s%s=\"", comma, key);
	for (const unsigned char *s = (const unsigned char *)(value ? value : ""); *s;) {
		int n = utf8(s);

		if (*s == '\\' || *s == '"')
			printf("\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", stdout);
		else if (n)
			fwrite(s, 1, n, stdout);
		else
			putchar('?');
		s += n ? n : 1;
	}
	putchar('"');
}

static void labels(struct json_object *row, const char *mode)
{
	printf("domid=\"%llu\"", (unsigned long long)row_number(row, "domid"));
	label(",", "domain", row_text(row, "domain"));
	label(",", "device", row_text(row, "name"));
	if (mode)
		label(",", "mode", mode);
}

/* One sample: more is a further label, or NULL. */
static void sample(const char *name, struct json_object *row, const char *mode, const char *more, const char *value, uint64_t v)
{
	printf("hvdrv_%s{", name);
	labels(row, mode);
	if (more)
		label(",", more, value);
	printf("} %llu\n", (unsigned long long)v);
}

/* Nanoseconds as seconds, exactly. */
static void put_seconds(uint64_t ns)
{
	printf("%llu.%09llu", (unsigned long long)(ns / 1000000000), (unsigned long long)(ns % 1000000000));
}

static void histogram(const char *name, struct json_object *row, const char *mode, struct json_object *buckets, uint64_t count,
		      uint64_t sum_ns)
{
	for (size_t i = 0; buckets && i < json_object_array_length(buckets); i++) {
		struct json_object *p = json_object_array_get_idx(buckets, i);

		printf("hvdrv_%s_bucket{", name);
		labels(row, mode);
		printf(",le=\"");
		put_seconds(json_object_get_uint64(json_object_array_get_idx(p, 0)));
		printf("\"} %llu\n", (unsigned long long)json_object_get_uint64(json_object_array_get_idx(p, 1)));
	}
	printf("hvdrv_%s_bucket{", name);
	labels(row, mode);
	printf(",le=\"+Inf\"} %llu\nhvdrv_%s_sum{", (unsigned long long)count, name);
	labels(row, mode);
	printf("} ");
	put_seconds(sum_ns);
	printf("\nhvdrv_%s_count{", name);
	labels(row, mode);
	printf("} %llu\n", (unsigned long long)count);
}

/* ---- a metric of all devices ---- */

typedef void (*mode_fn)(struct json_object *row, const char *mode, struct json_object *counts, const void *arg);

static void each_mode(struct json_object *rows, mode_fn fn, const void *arg)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i), *modes = row_object(row, "modes");

		if (!modes)
			continue;
		json_object_object_foreach(modes, mode, counts)
			fn(row, mode, counts, arg);
	}
}

static void op_samples(struct json_object *row, const char *mode, struct json_object *counts, const void *arg)
{
	const char *what = arg;
	char name[40], key[40];

	snprintf(name, sizeof(name), "%s_total", what);
	for (size_t i = 0; i < NOPS; i++) {
		snprintf(key, sizeof(key), "%s_%s", ops[i], what);
		if (row_object(counts, key))
			sample(name, row, mode, "op", ops[i], row_number(counts, key));
	}
}

struct plain {
	const char *name, *key, *help;
};

static void plain_sample(struct json_object *row, const char *mode, struct json_object *counts, const void *arg)
{
	const struct plain *p = arg;

	if (row_object(counts, p->key))
		sample(p->name, row, mode, NULL, NULL, row_number(counts, p->key));
}

static void reject_samples(struct json_object *row, const char *mode, struct json_object *counts, const void *arg)
{
	struct json_object *rejects = row_object(counts, "rejects");

	if (!rejects)
		return;
	json_object_object_foreach(rejects, reason, n)
		sample("refused_total", row, mode, "reason", reason, json_object_get_uint64(n));
}

static void latency(struct json_object *row, const char *mode, struct json_object *counts, const void *arg)
{
	if (row_object(counts, "latency_count"))
		histogram("request_latency_seconds", row, mode, row_object(counts, "latency_buckets"),
			  row_number(counts, "latency_count"), row_number(counts, "latency_sum_ns"));
}

static void per_mode(struct json_object *rows)
{
	static const struct plain plains[] = {
		{ "request_errors_total", "errors", "Requests that ended with an error." },
		{ "turns_total", "turns", "Turns that hvdrv-share has given." },
		{ "pool_requests_total", "pool_requests", "Requests whose data all went through the pool." },
		{ "passthrough_requests_total", "passthrough_requests", "Requests that went to the backend as NVMe commands." },
		{ "copy_hypercalls_total", "copy_hypercalls", "Batches of grant copies." },
		{ "events_sent_total", "events_sent", "Events sent to the guest." },
		{ "events_received_total", "events_received", "Events of the guest." },
		{ "looks_total", "looks", "Looks of a guest for completions of its hardware queues." },
		{ "orphans_total", "orphans", "Requests carried over a switch that the guest did not wait for." },
	};

	head("requests_total", "counter", "Answered requests; in mode direct as the guest counts them.");
	each_mode(rows, op_samples, "requests");
	head("bytes_total", "counter", "Bytes of answered requests; in mode direct as the guest counts them.");
	each_mode(rows, op_samples, "bytes");
	for (size_t i = 0; i < sizeof(plains) / sizeof(plains[0]); i++) {
		head(plains[i].name, "counter", plains[i].help);
		each_mode(rows, plain_sample, &plains[i]);
	}
	head("refused_total", "counter", "Requests of the guest that were refused, by reason.");
	each_mode(rows, reject_samples, NULL);
	head("request_latency_seconds", "histogram", "From taking a request to answering it.");
	each_mode(rows, latency, NULL);
}

static void each_number(struct json_object *rows, const char *name, const char *key)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (row_object(row, key))
			sample(name, row, NULL, NULL, NULL, row_number(row, key));
	}
}

static void devices(struct json_object *rows)
{
	head("device_info", "gauge", "A device: its mode and state.");
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		const char *mode = row_text(row, "mode"), *state = row_text(row, "state");

		sample("device_info", row, mode ? mode : "", "state", state ? state : "", 1);
	}
	head("device_size_bytes", "gauge", "Size of the device.");
	each_number(rows, "device_size_bytes", "size_bytes");
	head("in_flight", "gauge", "Requests that are served now.");
	each_number(rows, "in_flight", "in_flight");
	head("waiting_for_turn", "gauge", "Of these, requests that wait for a turn.");
	each_number(rows, "waiting_for_turn", "waiting_for_turn");
	head("pool_pages", "gauge", "Pages of the guest's pool that are mapped.");
	each_number(rows, "pool_pages", "pool_pages");
	head("worker_silent", "gauge", "1: the worker does not answer, its counters are not known.");
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		sample("worker_silent", row, NULL, NULL, NULL, row_object(row, "worker_silent") != NULL);
	}
}

static void switch_results(struct json_object *rows)
{
	head("switches_total", "counter", "Switches, by who asked and what became of them.");
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i), *by = row_object(row_object(row, "switches"), "by");

		if (!by)
			continue;
		json_object_object_foreach(by, who, results) {
			json_object_object_foreach(results, result, n) {
				printf("hvdrv_switches_total{");
				labels(row, NULL);
				label(",", "who", who);
				label(",", "result", result);
				printf("} %llu\n", (unsigned long long)json_object_get_uint64(n));
			}
		}
	}
}

static void switch_times(struct json_object *rows, const char *name, const char *key, const char *help)
{
	head(name, "histogram", help);
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i), *t = row_object(row_object(row, "switches"), key);

		if (t)
			histogram(name, row, NULL, row_object(t, "buckets"), row_number(t, "count"), row_number(t, "sum_ns"));
	}
}

static void switches(struct json_object *rows)
{
	static const char *const kinds[] = { "ready", "begun", "done" };
	char key[32];

	switch_results(rows);
	head("switch_carried_total", "counter", "Requests that were carried over switches, by what they were then.");
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i), *sw = row_object(row, "switches");

		for (int k = 0; sw && k < 3; k++) {
			snprintf(key, sizeof(key), "carried_%s", kinds[k]);
			sample("switch_carried_total", row, NULL, "kind", kinds[k], row_number(sw, key));
		}
	}
	switch_times(rows, "switch_freeze_seconds", "freeze", "How long the guest was paused in a switch.");
	switch_times(rows, "switch_stall_seconds", "stall", "How long nothing was taken or answered in a switch.");
}

int cmd_metrics(struct opts *o)
{
	struct json_object *rows;
	char version[32], *json;
	int rc = hvdrv_daemon_version(o->h, version);

	if (!rc)
		rc = hvdrv_show(o->h, NULL, NULL, &json);
	if (rc == -EPERM)
		return cli_fail(o, rc, NULL, NULL);
	/* that it does not run is what is to be known: no error here */
	head("up", "gauge", "1: hvdrvd answers.");
	printf("hvdrv_up %d\n", !rc);
	if (rc)
		return HV_EXIT_OK;
	head("build_info", "gauge", "Version of hvdrvd.");
	printf("hvdrv_build_info{");
	label("", "version", version);
	printf("} 1\n");
	rows = json_tokener_parse(json);
	free(json);
	devices(rows);
	per_mode(rows);
	switches(rows);
	json_object_put(rows);
	return fflush(stdout) ? HV_EXIT_FAILED : HV_EXIT_OK;
}
