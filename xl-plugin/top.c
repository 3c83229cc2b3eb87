// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvdrv top: what each device did since the last table. As xentop, the first table comes at once; where nothing earlier is known,
 * its rates are averages since the device is served.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "cli.h"
#include "util/exit.h"
#include "util/str.h"
#include "util/table.h"

static const struct hv_column cols[] = {
	{ "GUEST", "domain", 0 }, { "ID", "domid", 1 }, { "DEVICE", "name", 0 }, { "MODE", "mode", 0 }, { "READ/s", "_read", 1 },
	{ "WRITE/s", "_write", 1 }, { "MB/s", "_mb", 1 }, { "P99 us", "_p99", 1 }, { "IN FLIGHT", "in_flight", 1 },
	{ "CALLS/REQ", "_calls", 1 }, { "SWITCHES", "_switches", 1 },
};

/* ---- differences ---- */

/* The row of the same device in the sample before, if it counts from the same start; else NULL. */
static struct json_object *before(struct json_object *rows, struct json_object *row)
{
	for (size_t i = 0; rows && i < json_object_array_length(rows); i++) {
		struct json_object *r = json_object_array_get_idx(rows, i);

		if (row_number(r, "domid") == row_number(row, "domid") && row_number(r, "id") == row_number(row, "id") &&
		    row_number(r, "served_ns") < row_number(row, "served_ns") &&
		    row_requests(r) <= row_requests(row) && row_object(r, "modes"))
			return r;
	}
	return NULL;
}

static double grown(struct json_object *row, struct json_object *old, const char *key)
{
	return row_number(row, key) - (old ? row_number(old, key) : 0);
}

static uint64_t pair(struct json_object *buckets, size_t i, int which)
{
	struct json_object *p = buckets && i < json_object_array_length(buckets) ? json_object_array_get_idx(buckets, i) : NULL;

	return p ? json_object_get_uint64(json_object_array_get_idx(p, which)) : 0;
}

/* Upper end of the bucket with the 99th of a hundred that were answered since; 0: none was. */
static uint64_t p99_ns(struct json_object *row, struct json_object *old)
{
	struct json_object *now = row_object(row, "latency_buckets"), *then = row_object(old, "latency_buckets");
	uint64_t n = grown(row, old, "latency_count"), need = n - n / 100;

	if (!n || !now)
		return 0;
	for (size_t i = 0; i < json_object_array_length(now); i++)
		if (pair(now, i, 1) - pair(then, i, 1) >= need)
			return pair(now, i, 0);
	return row_number(row, "latency_max_ns");
}

static void put(struct json_object *row, const char *key, int digits, double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*f", digits, v);
	json_object_object_add(row, key, json_object_new_string(text));
}

static void add_rates(struct json_object *row, struct json_object *old)
{
	double seconds = grown(row, old, "served_ns") / 1e9, requests = row_requests(row) - (old ? row_requests(old) : 0);
	struct json_object *sw = row_object(row, "switches");
	uint64_t p99 = p99_ns(row, old);

	if (sw)
		put(row, "_switches", 0, row_number(sw, "committed") + row_number(sw, "undone") + row_number(sw, "unconfirmed"));
	if (seconds <= 0 || !row_object(row, "modes"))
		return;			/* not served, or its worker does not answer: dashes */
	put(row, "_read", 0, grown(row, old, "read_requests") / seconds);
	put(row, "_write", 0, grown(row, old, "write_requests") / seconds);
	put(row, "_mb", 1, (grown(row, old, "read_bytes") + grown(row, old, "write_bytes")) / 1e6 / seconds);
	if (p99)
		put(row, "_p99", 0, p99 / 1e3);
	if (requests > 0)
		put(row, "_calls", 2, (grown(row, old, "copy_hypercalls") + grown(row, old, "events_sent")) / requests);
}

/* ---- the screen ---- */

struct screen {
	bool on;
	struct termios saved;
};

static void screen_begin(struct screen *s)
{
	struct termios t;

	if (!isatty(0) || tcgetattr(0, &s->saved))
		return;
	t = s->saved;
	t.c_lflag &= ~(ICANON | ECHO);
	s->on = !tcsetattr(0, TCSANOW, &t);
}

static void screen_end(struct screen *s)
{
	if (s->on)
		tcsetattr(0, TCSANOW, &s->saved);
}

/* Not more than the terminal has, or it would scroll. */
static void print_cut(const char *text)
{
	struct winsize ws = { 0 };
	int lines, width;

	if (ioctl(1, TIOCGWINSZ, &ws) || !ws.ws_row || !ws.ws_col)
		ws = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	fputs("\033[H\033[J", stdout);
	for (lines = ws.ws_row - 1; *text && lines; lines--) {
		const char *end = strchr(text, '\n');

		width = end ? end - text : (int)strlen(text);
		printf("%.*s\n", width < ws.ws_col ? width : ws.ws_col - 1, text);
		text = end ? end + 1 : text + width;
	}
	fflush(stdout);
}

static void print_screen(struct json_object *rows)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return;
	fprintf(f, "hvdrv: %zu devices; q ends\n\n", json_object_array_length(rows));
	hv_table_print(f, cols, sizeof(cols) / sizeof(cols[0]), rows);
	fclose(f);
	print_cut(text);
	free(text);
}

/* False: it is to end, by a signal or a key. */
static bool wait_next(const struct screen *s, unsigned int ms)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	char key;
	int n = poll(&p, s->on ? 1 : 0, ms);

	if (n < 0)
		return false;
	return !n || (read(0, &key, 1) == 1 && key != 'q' && key != 'Q');
}

/* One table. old: the sample before, or NULL; *rows gets this one. The exit status. */
static int one_table(struct opts *o, struct json_object *old, struct json_object **rows)
{
	int st = row_devices(o, o->argc ? o->argv[0] : NULL, NULL, rows);

	for (size_t i = 0; !st && i < json_object_array_length(*rows); i++) {
		struct json_object *row = json_object_array_get_idx(*rows, i);

		add_rates(row, before(old, row));
	}
	if (!st && o->batch) {
		hv_table_print(stdout, cols, sizeof(cols) / sizeof(cols[0]), *rows);
		fflush(stdout);
	} else if (!st) {
		print_screen(*rows);
	}
	return st;
}

int cmd_top(struct opts *o)
{
	struct json_object *old = NULL, *rows = NULL;
	struct screen s = { .on = false };
	int st = 0;

	if (!o->batch && !isatty(1)) {
		fprintf(stderr, "hvdrv: top: standard output is not a terminal: use --batch\n");
		return HV_EXIT_USAGE;
	}
	if (!o->batch)
		screen_begin(&s);
	for (unsigned int i = 1; !st; i++) {
		st = one_table(o, old, &rows);
		if (st)
			break;
		json_object_put(old);
		old = rows;
		if (ferror(stdout) || i == o->iterations || !wait_next(&s, o->delay_ms))
			break;
	}
	json_object_put(old);
	screen_end(&s);
	return st;
}
