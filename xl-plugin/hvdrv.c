// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv(1): the command. Everything it does is in libhvdrv; this reads arguments and prints. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <hvdrv/hvdrv.h>
#include <json-c/json.h>
#include "util/exit.h"
#include "util/str.h"
#include "util/table.h"

struct opts {
	struct hvdrv *h;
	bool json, force, persist, bytes;
	unsigned int timeout;
	uint64_t deadline_ns;		/* 0: the library's */
	int argc;
	char **argv;
};

static const struct option long_opts[] = {
	{ "json", 0, NULL, 'J' }, { "bytes", 0, NULL, 'b' }, { "force", 0, NULL, 'f' }, { "persist", 0, NULL, 'p' },
	{ "timeout", 1, NULL, 't' }, { "deadline", 1, NULL, 'd' },
	{ "help", 0, NULL, 'h' }, { "version", 0, NULL, 'V' }, { NULL, 0, NULL, 0 }
};

static int usage_error(const char *what)
{
	fprintf(stderr, "hvdrv: %s; try `hvdrv --help`\n", what);
	return HV_EXIT_USAGE;
}

static int fail(struct opts *o, int rc, const char *dom, const char *name)
{
	if (dom && name)
		fprintf(stderr, "hvdrv: %s/%s: %s\n", dom, name, hvdrv_error(o->h));
	else
		fprintf(stderr, "hvdrv: %s\n", hvdrv_error(o->h));
	return hv_exit_status(rc);
}

/* ---- list ---- */

static void human_size(uint64_t v, char *out, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double d = v;
	int u = 0;

	while (d >= 1024 && u < 4) {
		d /= 1024;
		u++;
	}
	snprintf(out, size, d >= 100 || d == (uint64_t)d ? "%.0f %s" : "%.1f %s", d, units[u]);
}

static uint64_t number(struct json_object *row, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(row, key, &v) ? json_object_get_uint64(v) : 0;
}

static const char *text(struct json_object *row, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(row, key, &v) && v ? json_object_get_string(v) : NULL;
}

/* Columns that a person reads: size in units, /dev/NAME. */
static void add_shown(struct json_object *row, bool bytes)
{
	char size[32], disk[48], safe[40];

	if (bytes)
		snprintf(size, sizeof(size), "%llu", (unsigned long long)number(row, "size_bytes"));
	else
		human_size(number(row, "size_bytes"), size, sizeof(size));
	json_object_object_add(row, "_size", json_object_new_string(size));
	if (text(row, "disk")) {
		snprintf(disk, sizeof(disk), "/dev/%s", hv_str_escape(text(row, "disk"), safe, sizeof(safe)));
		json_object_object_add(row, "_disk", json_object_new_string(disk));
	}
}

static int cmd_list(struct opts *o)
{
	static const struct hv_column cols[] = {
		{ "GUEST", "domain", 0 }, { "ID", "domid", 1 }, { "DEVICE", "name", 0 }, { "MODE", "mode", 0 },
		{ "STATE", "state", 0 }, { "SIZE", "_size", 1 }, { "IN GUEST", "_disk", 0 }, { "BACKEND", "backend", 0 },
	};
	const char *dom = o->argc ? o->argv[0] : NULL;
	struct json_object *rows;
	char *json;
	int rc;

	rc = hvdrv_list(o->h, dom, &json);
	if (rc)
		return fail(o, rc, NULL, NULL);
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
		n = number(row, key);
		snprintf(key, sizeof(key), "%s_bytes", ops[i]);
		human_size(number(row, key), amount, sizeof(amount));
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

static void show_counters(struct json_object *row)
{
	uint64_t total = number(row, "read_requests") + number(row, "write_requests") + number(row, "flush_requests") +
			 number(row, "discard_requests") + number(row, "write_zeroes_requests");
	double calls = number(row, "copy_hypercalls") + number(row, "events_sent");

	show_ops(row);
	printf("  latency      p50 %.0f us, p99 %.0f us, max %.0f us (upper ends of powers of two)\n",
	       number(row, "latency_p50_ns") / 1e3, number(row, "latency_p99_ns") / 1e3, number(row, "latency_max_ns") / 1e3);
	printf("  errors %llu, in flight %llu, hypercalls per request %.2f\n", (unsigned long long)number(row, "errors"),
	       (unsigned long long)number(row, "in_flight"), total ? calls / total : 0.0);
	show_rejects(row);
}

static void show_switch(struct json_object *row)
{
	struct json_object *sw = json_object_object_get(row, "switch");
	char safe[300];
	const char *why;

	if (!sw)
		return;
	why = text(sw, "reason");
	printf("  last switch  %llu, %s to %s for %s: %s%s%s\n", (unsigned long long)number(sw, "seq"), text(sw, "from"), text(sw, "to"),
	       text(sw, "who"), text(sw, "result"), why && *why ? ": " : "",
	       hv_str_escape(why ? why : "", safe, sizeof(safe)));
	printf("               freeze %.3f ms, stall %.3f ms, carried %llu ready, %llu begun, %llu done\n",
	       number(sw, "freeze_ns") / 1e6, number(sw, "stall_ns") / 1e6, (unsigned long long)number(sw, "carried_ready"),
	       (unsigned long long)number(sw, "carried_begun"), (unsigned long long)number(sw, "carried_done"));
}

static void show_one(struct json_object *row)
{
	char size[32], head[200], safe[100];

	snprintf(head, sizeof(head), "%s", text(row, "domain") ? text(row, "domain") : "?");
	printf("%s(%llu)/%s\n", hv_str_escape(head, safe, sizeof(safe)), (unsigned long long)number(row, "domid"),
	       text(row, "name") ? text(row, "name") : "?");
	add_shown(row, false);
	line("state", text(row, "state"));
	line("error", text(row, "error"));
	line("class", text(row, "class"));
	line("mode", text(row, "mode"));
	line("path", text(row, "path"));
	line("backend", text(row, "backend"));
	human_size(number(row, "size_bytes"), size, sizeof(size));
	line("size", size);
	line("cache", text(row, "cache"));
	line("in guest", text(row, "_disk"));
	line("driver", text(row, "image"));
	show_switch(row);
	if (number(row, "queues")) {
		printf("  %-10s %llu\n", "queues", (unsigned long long)number(row, "queues"));
		show_counters(row);
	}
}

static int cmd_show(struct opts *o)
{
	struct json_object *rows;
	char *json;
	int rc;

	rc = hvdrv_show(o->h, o->argv[0], o->argc == 2 ? o->argv[1] : NULL, &json);
	if (rc)
		return fail(o, rc, NULL, NULL);
	rows = json_tokener_parse(json);
	free(json);
	if (o->json) {
		hv_json_print(stdout, "devices", rows);
		return 0;
	}
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		show_one(json_object_array_get_idx(rows, i));
	json_object_put(rows);
	return 0;
}

/* ---- attach, detach, resize ---- */

static int cmd_attach(struct opts *o)
{
	char disk[32], safe[40];
	int rc;

	rc = hvdrv_attach(o->h, o->argv[0], o->argv[1], o->argv[2], o->timeout, o->persist ? HVDRV_PERSIST : 0, disk);
	if (rc)
		return fail(o, rc, o->argv[0], o->argv[1]);
	printf("/dev/%s\n", hv_str_escape(disk, safe, sizeof(safe)));
	return 0;
}

static int cmd_detach(struct opts *o)
{
	int rc;

	if (o->force)
		fprintf(stderr, "hvdrv: %s/%s: by force: requests in flight end with an error, what the guest has not flushed is lost\n",
			o->argv[0], o->argv[1]);
	rc = hvdrv_detach(o->h, o->argv[0], o->argv[1], o->timeout,
			  (o->force ? HVDRV_FORCE : 0) | (o->persist ? HVDRV_PERSIST : 0));
	return rc ? fail(o, rc, o->argv[0], o->argv[1]) : 0;
}

static int cmd_resize(struct opts *o)
{
	uint64_t bytes;
	char size[32];
	int rc;

	rc = hvdrv_resize(o->h, o->argv[0], o->argv[1], o->timeout, &bytes);
	if (rc)
		return fail(o, rc, o->argv[0], o->argv[1]);
	human_size(bytes, size, sizeof(size));
	printf("%s\n", size);
	return 0;
}

static int cmd_retarget(struct opts *o)
{
	struct hvdrv_switch sw;
	int rc;

	if (strcmp(o->argv[2], "virtual") && strcmp(o->argv[2], "paravirtual"))
		return usage_error("retarget: the mode is virtual or paravirtual");
	rc = hvdrv_retarget(o->h, o->argv[0], o->argv[1], o->argv[2], o->deadline_ns, o->timeout, &sw);
	if (rc)
		return fail(o, rc, o->argv[0], o->argv[1]);
	if (!sw.seq)
		printf("%s already\n", o->argv[2]);
	else
		printf("%s, switch %llu: freeze %.3f ms, stall %.3f ms, carried %llu ready, %llu begun, %llu done\n", o->argv[2],
		       (unsigned long long)sw.seq, sw.freeze_ns / 1e6, sw.stall_ns / 1e6, (unsigned long long)sw.ready,
		       (unsigned long long)sw.begun, (unsigned long long)sw.done);
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(struct opts *);
	const char *help;
	int min, max;			/* arguments */
	const char *usage;
} cmds[] = {
	{ "list", cmd_list, "[DOM]                              devices of a guest, or of all", 0, 1,
	  "list takes one guest, or none for all" },
	{ "attach", cmd_attach, "DOM NAME class=block,backend=PATH[,ro][,shared][,size=N]", 3, 3,
	  "attach needs a guest, a device's name, and class=block,backend=PATH[,...]" },
	{ "detach", cmd_detach, "DOM NAME [--force]                 flush and take away", 2, 2,
	  "detach needs a guest and a device's name" },
	{ "resize", cmd_resize, "DOM NAME                           the backend has grown", 2, 2,
	  "resize needs a guest and a device's name" },
	{ "retarget", cmd_retarget, "DOM NAME virtual|paravirtual       replace the driver in place", 3, 3,
	  "retarget needs a guest, a device's name, and virtual or paravirtual" },
	{ "show", cmd_show, "DOM [NAME]                         everything, with counters", 1, 2,
	  "show needs a guest, and takes a device" },
};
#define NCMDS (sizeof(cmds) / sizeof(cmds[0]))

static int help(void)
{
	printf("usage: hvdrv [COMMAND] ...   devices of guests whose drivers this host places, see hvdrv(1)\n\n");
	for (size_t i = 0; i < NCMDS; i++)
		printf("  %-8s %s\n", cmds[i].name, cmds[i].help);
	printf("\n  --json          list, show: JSON\n  --bytes         list: sizes in bytes\n"
	       "  --timeout S     attach, detach, resize, retarget: limit [30]\n"
	       "  --deadline NS   retarget: limit of the pause [30000000]\n"
	       "  --persist       attach: comes with the guest from now on; detach: no more\n"
	       "  --force         detach: also when it is in use\n");
	return 0;
}

/* For the shell's completion: the words that may come next, one per line. */
static int complete(int argc, char **argv)
{
	if (argc <= 1) {
		for (size_t i = 0; i < NCMDS; i++)
			puts(cmds[i].name);
		return 0;
	}
	for (const struct option *l = long_opts; l->name; l++)
		printf("--%s\n", l->name);
	(void)argv;
	return 0;
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct opts *o)
{
	uint64_t v;
	int c;

	while ((c = getopt_long(argc, argv, "Jbfpt:d:hV", long_opts, NULL)) != -1) {
		switch (c) {
		case 'J': o->json = true; break;
		case 'b': o->bytes = true; break;
		case 'f': o->force = true; break;
		case 'p': o->persist = true; break;
		case 't':
			if (hv_str_u64(optarg, 3600, &v) || !v)
				return usage_error("--timeout: 1 to 3600 seconds");
			o->timeout = v;
			break;
		case 'd':
			if (hv_str_u64(optarg, 60000000000ull, &v) || !v)
				return usage_error("--deadline: 1 to 60000000000 nanoseconds");
			o->deadline_ns = v;
			break;
		case 'h': return help();
		case 'V': printf("hvdrv %s\n", PACKAGE_VERSION); return 0;
		default: return HV_EXIT_USAGE;
		}
	}
	o->argc = argc - optind;
	o->argv = argv + optind;
	return -1;
}

static void on_signal(int sig)
{
}

static int run(struct opts *o, int (*fn)(struct opts *))
{
	struct sigaction sa = { .sa_handler = on_signal };	/* no SA_RESTART: a waiting call returns and undoes */
	int rc = hvdrv_open(&o->h);

	if (rc) {
		int st = o->h ? fail(o, rc, NULL, NULL) : HV_EXIT_FAILED;

		hvdrv_close(o->h);
		return st;
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	rc = fn(o);
	hvdrv_close(o->h);
	return rc;
}

int main(int argc, char **argv)
{
	struct opts o = { .timeout = 30 };
	const char *name = "list";
	int st;

	if (argc > 1 && !strcmp(argv[1], "complete"))
		return complete(argc - 2, argv + 2);
	st = parse(argc, argv, &o);
	if (st >= 0)
		return st;
	if (o.argc) {
		name = *o.argv++;
		o.argc--;
	}
	for (size_t i = 0; i < NCMDS; i++) {
		if (strcmp(cmds[i].name, name))
			continue;
		if (o.argc < cmds[i].min || o.argc > cmds[i].max)
			return usage_error(cmds[i].usage);
		return run(&o, cmds[i].fn);
	}
	fprintf(stderr, "hvdrv: no command \"%s\"; try `hvdrv --help`\n", name);
	return HV_EXIT_USAGE;
}
