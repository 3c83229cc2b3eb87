// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv list, hvdrv show. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "util/str.h"
#include "util/table.h"

/* ---- list ---- */

/* Columns that a person reads: size in units, /dev/NAME. */
static void add_shown(struct json_object *row, bool bytes)
{
	char size[32], disk[48], safe[40];

	if (bytes)
		snprintf(size, sizeof(size), "%llu", (unsigned long long)row_number(row, "size_bytes"));
	else
		human_size(row_number(row, "size_bytes"), size, sizeof(size));
	json_object_object_add(row, "_size", json_object_new_string(size));
	if (row_text(row, "disk")) {
		snprintf(disk, sizeof(disk), "/dev/%s", hv_str_escape(row_text(row, "disk"), safe, sizeof(safe)));
		json_object_object_add(row, "_disk", json_object_new_string(disk));
	}
}

/* Only devices whose driver's key is not good any more: what hvdrvd says, not xenstore. */
static int list_revoked(struct opts *o)
{
	static const struct hv_column cols[] = {
		{ "GUEST", "domain", 0 }, { "ID", "domid", 1 }, { "DEVICE", "name", 0 }, { "MODE", "mode", 0 },
		{ "SIGNED BY", "signer", 0 }, { "KEY", "signer_key", 0 }, { "WHY", "signer_error", 0 },
	};
	struct json_object *rows;
	int st = row_devices(o, o->argc ? o->argv[0] : NULL, NULL, &rows);

	if (st)
		return st;
	for (size_t i = json_object_array_length(rows); i-- > 0;)
		if (!row_text(json_object_array_get_idx(rows, i), "signer_error"))
			json_object_array_del_idx(rows, i, 1);
	if (o->json) {
		hv_json_print(stdout, "devices", rows);
		return 0;
	}
	hv_table_print(stdout, cols, 7, rows);
	json_object_put(rows);
	return 0;
}

int cmd_list(struct opts *o)
{
	static const struct hv_column cols[] = {
		{ "GUEST", "domain", 0 }, { "ID", "domid", 1 }, { "DEVICE", "name", 0 }, { "MODE", "mode", 0 },
		{ "STATE", "state", 0 }, { "SIZE", "_size", 1 }, { "IN GUEST", "_disk", 0 }, { "BACKEND", "backend", 0 },
	};
	const char *dom = o->argc ? o->argv[0] : NULL;
	struct json_object *rows;
	char *json;
	int rc;

	if (o->revoked)
		return list_revoked(o);
	rc = hvdrv_list(o->h, dom, &json);
	if (rc)
		return cli_fail(o, rc, NULL, NULL);
	rows = json_tokener_parse(json);
	free(json);
	if (o->json) {
		hv_json_print(stdout, "devices", rows);
		return 0;
	}
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		add_shown(json_object_array_get_idx(rows, i), o->bytes);
	hv_table_print(stdout, cols, 8, rows);
	json_object_put(rows);
	return 0;
}

/* ---- show ---- */

static void line(const char *key, const char *v)
{
	char safe[1200];

	if (v && *v)
		printf("  %-10s %s\n", key, hv_str_escape(v, safe, sizeof(safe)));
}

static void show_ops(struct json_object *row)
{
	static const char *const ops[] = { "read", "write", "flush", "discard", "write_zeroes" };
	char key[40], amount[32];

	for (int i = 0; i < 5; i++) {
		uint64_t n;

		snprintf(key, sizeof(key), "%s_requests", ops[i]);
		n = row_number(row, key);
		snprintf(key, sizeof(key), "%s_bytes", ops[i]);
		human_size(row_number(row, key), amount, sizeof(amount));
		printf("  %-12s %10llu requests  %s\n", ops[i], (unsigned long long)n, i == 2 ? "" : amount);
	}
}

static void show_rejects(struct json_object *row)
{
	struct json_object *rej;

	if (!json_object_object_get_ex(row, "rejects", &rej))
		return;
	json_object_object_foreach(rej, key, v)
		if (json_object_get_uint64(v))
			printf("  refused: %-16s %llu\n", key, (unsigned long long)json_object_get_uint64(v));
}

/* timed: how many of the requests the times are of, or all. */
static void show_latency(struct json_object *row, const char *timed)
{
	printf("  latency      p50 %.0f us, p99 %.0f us, max %.0f us (upper ends of powers of two%s)\n",
	       row_number(row, "latency_p50_ns") / 1e3, row_number(row, "latency_p99_ns") / 1e3, row_number(row, "latency_max_ns") / 1e3, timed);
}

/* Of hardware queues, which have no worker: the guest's own word; it times some of its requests. */
static void show_guest_counters(struct json_object *row)
{
	uint64_t n = row_requests(row), looks = row_number(row, "looks");
	char timed[40];

	show_ops(row);
	if (row_number(row, "latency_count")) {
		snprintf(timed, sizeof(timed), "; %llu were timed", (unsigned long long)row_number(row, "latency_count"));
		show_latency(row, timed);
	}
	printf("  errors %llu, looks for completions per request %.2f\n", (unsigned long long)row_number(row, "errors"),
	       n ? (double)looks / n : 0);
}

/* pages: of the device's pool, whatever the mode. */
static void show_counters(struct json_object *row, uint64_t pages)
{
	show_ops(row);
	show_latency(row, "");
	printf("  errors %llu, hypercalls per request %.2f\n", (unsigned long long)row_number(row, "errors"), row_calls_per_request(row));
	if (pages)
		printf("  pool of %llu pages: %llu requests by it, %llu by grant copy\n", (unsigned long long)pages,
		       (unsigned long long)row_number(row, "pool_requests"), (unsigned long long)(row_number(row, "read_requests") +
		       row_number(row, "write_requests") - row_number(row, "pool_requests")));
	show_rejects(row);
}

/* Each mode that the device has served in, or serves in. */
static void show_modes(struct json_object *row)
{
	const char *now = row_text(row, "mode");
	struct json_object *modes = row_object(row, "modes");

	if (!modes)
		return;
	json_object_object_foreach(modes, mode, counts) {
		bool by_guest = row_text(counts, "counted_by") != NULL;

		if (!row_requests(counts) && !row_number(counts, "errors") && !by_guest && (!now || strcmp(mode, now)))
			continue;
		printf("  in mode %s since %s%s:\n", mode, row_text(row, "served_since") ? row_text(row, "served_since") : "?",
		       by_guest ? " (counted by the guest)" : "");
		if (by_guest)
			show_guest_counters(counts);
		else
			show_counters(counts, row_number(row, "pool_pages"));
	}
}

static void show_times(struct json_object *switches, const char *what)
{
	struct json_object *t = row_object(switches, what);

	if (row_number(t, "count"))
		printf("  %-12s p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", what, row_number(t, "p50_ns") / 1e6,
		       row_number(t, "p99_ns") / 1e6, row_number(t, "max_ns") / 1e6);
}

static void show_switches(struct json_object *row)
{
	struct json_object *sw = row_object(row, "switches");
	unsigned long long done = row_number(sw, "committed"), undone = row_number(sw, "undone"), lost = row_number(sw, "unconfirmed");
	unsigned long long revoked = row_number(sw, "revoked");

	if (!sw || !(done + undone + lost + revoked))
		return;
	printf("  switches     %llu committed, %llu undone, %llu unconfirmed", done, undone, lost);
	if (revoked)
		printf(", %llu times revoked", revoked);
	printf(" since %s\n", row_text(sw, "since"));
	printf("               carried %llu ready, %llu begun, %llu done\n", (unsigned long long)row_number(sw, "carried_ready"),
	       (unsigned long long)row_number(sw, "carried_begun"), (unsigned long long)row_number(sw, "carried_done"));
	show_times(sw, "freeze");
	show_times(sw, "stall");
}

static void show_switch(struct json_object *row)
{
	struct json_object *sw = json_object_object_get(row, "switch");
	char safe[300];
	const char *why;

	if (!sw)
		return;
	why = row_text(sw, "reason");
	printf("  last switch  %llu, %s to %s for %s: %s%s%s\n", (unsigned long long)row_number(sw, "seq"), row_text(sw, "from"), row_text(sw, "to"),
	       row_text(sw, "who"), row_text(sw, "result"), why && *why ? ": " : "",
	       hv_str_escape(why ? why : "", safe, sizeof(safe)));
	printf("               freeze %.3f ms, stall %.3f ms, carried %llu ready, %llu begun, %llu done\n",
	       row_number(sw, "freeze_ns") / 1e6, row_number(sw, "stall_ns") / 1e6, (unsigned long long)row_number(sw, "carried_ready"),
	       (unsigned long long)row_number(sw, "carried_begun"), (unsigned long long)row_number(sw, "carried_done"));
}

/* By whose word. */
static void show_os(struct json_object *row)
{
	struct json_object *os = row_object(row, "os");
	const char *kernel = row_text(os, "kernel"), *has = row_text(os, "kernel_release"), *why = row_text(os, "kernel_unknown");
	const char *says = row_text(os, "release");

	if (!says || !*says) {
		if (kernel && has && *has)
			printf("  %-10s %s, as %s says, which it was started with; the guest does not say\n", "runs", has, kernel);
		return;
	}
	printf("  %-10s %s %s (%s), as the guest says", "runs", row_text(os, "type"), says, row_text(os, "arch"));
	if (kernel)
		printf(" and %s, which it was started with%s\n", kernel,
		       has && *has && strcmp(says, has) ? ", does not" : "");	/* an image may have none */
	else
		printf("; what it was started with is not known: %s\n", why ? why : "?");
}

static void show_share(struct json_object *row)
{
	if (row_number(row, "depth"))
		printf("  %-10s weight %llu, backend's depth %llu, turns %llu, waiting %llu\n", "share",
		       (unsigned long long)row_number(row, "weight"), (unsigned long long)row_number(row, "depth"),
		       (unsigned long long)row_number(row, "turns"), (unsigned long long)row_number(row, "waiting_for_turn"));
}

static void show_one(struct json_object *row)
{
	char size[32], head[200], safe[100];

	snprintf(head, sizeof(head), "%s", row_text(row, "domain") ? row_text(row, "domain") : "?");
	printf("%s(%llu)/%s\n", hv_str_escape(head, safe, sizeof(safe)), (unsigned long long)row_number(row, "domid"),
	       row_text(row, "name") ? row_text(row, "name") : "?");
	add_shown(row, false);
	line("state", row_text(row, "state"));
	line("error", row_text(row, "error"));
	line("class", row_text(row, "class"));
	line("mode", row_text(row, "mode"));
	line("wanted", row_text(row, "want"));
	line("path", row_text(row, "path"));
	line("backend", row_text(row, "backend"));
	line("range", row_text(row, "range"));
	human_size(row_number(row, "size_bytes"), size, sizeof(size));
	line("size", size);
	line("cache", row_text(row, "cache"));
	line("io", row_text(row, "io"));
	show_share(row);
	line("in guest", row_text(row, "_disk"));
	line("driver", row_text(row, "image"));
	line("signed by", row_text(row, "signer"));
	line("but", row_text(row, "signer_error"));
	show_os(row);
	show_switch(row);
	show_switches(row);
	if (row_number(row, "queues"))
		printf("  %-10s %llu, %llu in flight\n", "queues", (unsigned long long)row_number(row, "queues"),
		       (unsigned long long)row_number(row, "in_flight"));
	if (row_object(row, "worker_silent"))
		printf("  its worker (process %llu) does not answer: no counters\n", (unsigned long long)row_number(row, "worker_pid"));
	show_modes(row);
}

int cmd_show(struct opts *o)
{
	struct json_object *rows;
	int st = row_devices(o, o->argv[0], o->argc == 2 ? o->argv[1] : NULL, &rows);

	if (st)
		return st;
	if (o->json) {
		hv_json_print(stdout, "devices", rows);
		return 0;
	}
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		show_one(json_object_array_get_idx(rows, i));
	json_object_put(rows);
	return 0;
}
