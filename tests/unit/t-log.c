// SPDX-License-Identifier: GPL-2.0-only
/* Lines for people: what a guest wrote cannot reach a terminal or fill a disk. */
#include "unit.h"
#include "util/log.h"
#include "util/table.h"

struct line {
	struct hv_about about;
	const char *text;
};

static void log_line(void *arg)
{
	const struct line *l = arg;

	hv_log(HV_WARN, &l->about, "%s", l->text);
}

static char *logged(int domid, const char *guest, const char *device, const char *text)
{
	struct line l = { { domid, guest, device }, text };

	return unit_capture(2, log_line, &l);
}

START_TEST(line_of)
{
	unsetenv("JOURNAL_STREAM");
	ck_assert_str_eq(logged(5, "web1", "data", "here"), "web1(5)/data: here\n");
	ck_assert_str_eq(logged(5, NULL, NULL, "here"), "domain 5: here\n");
	ck_assert_str_eq(logged(-1, NULL, NULL, "here"), "here\n");
	ck_assert_str_eq(logged(5, "web1", NULL, "a\nb\x1b[2J"), "web1(5): a\\x0ab\\x1b[2J\n");
	setenv("JOURNAL_STREAM", "8:1", 1);
	ck_assert_str_eq(logged(5, "web1", NULL, "x"), "<4>web1(5): x\n");
}
END_TEST

/* One line whatever the lengths, complete to its end of line. */
START_TEST(line_is_bounded)
{
	static const size_t lengths[] = { 100, 255, 900, 1270, 1279, 1280, 1300, 4000 };
	char guest[4001], text[4001];

	memset(guest, 'g', sizeof(guest));
	memset(text, 1, sizeof(text));
	for (size_t i = 0; i < N(lengths); i++) {
		char *out;

		guest[lengths[i]] = text[lengths[i]] = 0;
		out = logged(5, guest, "data", text);
		ck_assert_uint_le(strlen(out), 1280);
		ck_assert_ptr_eq(strchr(out, '\n'), out + strlen(out) - 1);
		free(out);
		guest[lengths[i]] = 'g';
		text[lengths[i]] = 1;
	}
}
END_TEST

/* The name of a guest is text from outside, too. */
START_TEST(names_are_escaped)
{
	char *out = logged(5, "we\nb\x1b[2J", "da\rta", "x");

	ck_assert_ptr_null(strchr(out, '\x1b'));
	ck_assert_ptr_null(strchr(out, '\r'));
	ck_assert_ptr_eq(strchr(out, '\n'), out + strlen(out) - 1);
}
END_TEST

START_TEST(rate_burst)
{
	struct hv_rate r = { 0 };
	uint64_t dropped = 99, ok = 0;

	for (int i = 0; i < 1000; i++)
		ok += hv_rate_ok(&r, &dropped);
	ck_assert_uint_ge(ok, HV_RATE_BURST);
	ck_assert_uint_lt(ok, 1000);		/* more only if this took 990 s */
	ck_assert_uint_gt(r.dropped, 0);
}
END_TEST

START_TEST(rate_refills)
{
	const int64_t second = 1000000000;
	struct hv_rate r = { .used_ns = 1000 * second, .last_ns = hv_now_ns(), .dropped = 3 };
	uint64_t dropped = 99;

	ck_assert(!hv_rate_ok(&r, &dropped));
	ck_assert_uint_eq(r.dropped, 4);
	r.last_ns -= 1000 * second;
	ck_assert(hv_rate_ok(&r, &dropped));
	ck_assert_uint_eq(dropped, 4);
	ck_assert_uint_eq(r.dropped, 0);
}
END_TEST

static void flood(void *arg)
{
	struct hv_about a = { 5, "web1", NULL };

	for (int i = 0; i < 1000; i++)
		hv_log_guest(arg, HV_WARN, &a, "flood %d", i);
}

START_TEST(flood_is_cut)
{
	struct hv_rate r = { 0 };
	char *out;
	int lines = 0;

	unsetenv("JOURNAL_STREAM");
	out = unit_capture(2, flood, &r);
	for (char *p = out; (p = strchr(p, '\n')); p++)
		lines++;
	ck_assert_int_ge(lines, HV_RATE_BURST);
	ck_assert_int_lt(lines, 1000);
	r.last_ns -= 3600ll * 1000000000;
	ck_contains(unit_capture(2, flood, &r), "lines like the next ones were left out");
}
END_TEST

static void debug_line(void *arg)
{
	hv_log(HV_DEBUG, NULL, "detail");
}

START_TEST(debug_only_if_asked)
{
	ck_assert_str_eq(unit_capture(2, debug_line, NULL), "");
	hv_log_verbose(1);
	ck_contains(unit_capture(2, debug_line, NULL), "detail");
}
END_TEST

static const struct hv_column columns[] = { { "NAME", "name", 0 }, { "SIZE", "size", 1 }, { "NOTE", "note", 0 } };

static char *printed(const char *json, bool as_json)
{
	struct json_object *rows = json_tokener_parse(json);
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(rows);
	if (as_json) {
		hv_json_print(f, "devices", rows);
	} else {
		hv_table_print(f, columns, N(columns), rows);
		json_object_put(rows);
	}
	fclose(f);
	return text;
}

START_TEST(table)
{
	ck_assert_str_eq(printed("[]", false), "NAME  SIZE  NOTE\n");
	ck_assert_str_eq(printed("[{\"name\":\"a-long-name\",\"size\":5,\"note\":\"x\"},{\"name\":\"b\",\"size\":12345,\"note\":null}]", false),
			 "NAME          SIZE  NOTE\n"
			 "a-long-name      5  x\n"
			 "b            12345  -\n");
	ck_assert_str_eq(printed("[{\"size\":1,\"note\":\"\"}]", false), "NAME  SIZE  NOTE\n-        1  -\n");
}
END_TEST

START_TEST(table_escapes)
{
	char *out = printed("[{\"name\":\"a\\u001b[2Jb\\n\",\"size\":1}]", false);

	ck_contains(out, "a\\x1b[2Jb\\x0a");
	ck_assert_ptr_null(strchr(out, '\x1b'));
}
END_TEST

START_TEST(json)
{
	struct json_object *o = json_tokener_parse(printed("[{\"name\":\"/a\"}]", true)), *v;

	ck_assert_ptr_nonnull(o);
	ck_assert(json_object_object_get_ex(o, "schema", &v));
	ck_assert_int_eq(json_object_get_int(v), 1);
	ck_assert(json_object_object_get_ex(o, "devices", &v));
	ck_assert_uint_eq(json_object_array_length(v), 1);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("log", (const TTest *[]){ line_of, line_is_bounded, names_are_escaped, rate_burst, rate_refills, flood_is_cut,
						  debug_only_if_asked, table, table_escapes, json, NULL });
}
