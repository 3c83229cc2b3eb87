// SPDX-License-Identifier: GPL-2.0-only
#include "unit.h"
#include "util/err.h"
#include "util/exit.h"
#include "util/str.h"

static const struct {
	const char *text;
	uint64_t max;
	int rc;
	uint64_t v;
} numbers[] = {
	{ "0", UINT64_MAX, 0, 0 }, { "42", 42, 0, 42 }, { "0x2a", 42, 0, 42 }, { "0xFf", 255, 0, 255 }, { "010", 99, 0, 10 },
	{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX }, { "0xffffffffffffffff", UINT64_MAX, 0, UINT64_MAX },
	{ "43", 42, -ERANGE, 0 }, { "18446744073709551616", UINT64_MAX, -ERANGE, 0 }, { "99999999999999999999999", 1, -ERANGE, 0 },
	{ "", 9, -EINVAL, 0 }, { "x", 9, -EINVAL, 0 }, { "0x", 9, -EINVAL, 0 }, { "0xg", 9, -EINVAL, 0 }, { "-1", 9, -EINVAL, 0 },
	{ "+1", 9, -EINVAL, 0 }, { " 1", 9, -EINVAL, 0 }, { "1 ", 9, -EINVAL, 0 }, { "1\n", 9, -EINVAL, 0 }, { "a", 99, -EINVAL, 0 },
	{ "0X1", 9, -EINVAL, 0 }, { "1.5", 9, -EINVAL, 0 }, { "0x-5", 9, -EINVAL, 0 }, { "1k", 9999, -EINVAL, 0 },
};

START_TEST(number)
{
	uint64_t v = 7;

	ck_assert_int_eq(hv_str_u64(numbers[_i].text, numbers[_i].max, &v), numbers[_i].rc);
	if (!numbers[_i].rc)
		ck_assert_uint_eq(v, numbers[_i].v);
}
END_TEST

static const struct {
	const char *text;
	int rc;
	uint64_t v;
} sizes[] = {
	{ "512", 0, 512 }, { "4k", 0, 4096 }, { "512M", 0, 512ull << 20 }, { "20G", 0, 20ull << 30 }, { "3T", 0, 3ull << 40 },
	{ "0x10k", 0, 16384 }, { "16777215T", 0, 16777215ull << 40 }, { "16777216T", -ERANGE, 0 }, { "18014398509481984k", -ERANGE, 0 },
	{ "", -EINVAL, 0 }, { "k", -EINVAL, 0 }, { "4K", -EINVAL, 0 }, { "4kk", -EINVAL, 0 }, { "4kB", -EINVAL, 0 }, { "-4k", -EINVAL, 0 },
	{ "4 k", -EINVAL, 0 }, { "1P", -EINVAL, 0 }, { "0000000000000000000000000000000000001", -EINVAL, 0 },
};

START_TEST(size)
{
	uint64_t v = 7;

	ck_assert_int_eq(hv_str_size(sizes[_i].text, &v), sizes[_i].rc);
	if (!sizes[_i].rc)
		ck_assert_uint_eq(v, sizes[_i].v);
}
END_TEST

static const struct {
	const char *in, *out;
} escapes[] = {
	{ "", "" }, { "plain text ~", "plain text ~" }, { "a\nb", "a\\x0ab" }, { "\x1b[31m", "\\x1b[31m" }, { "back\\slash", "back\\x5cslash" },
	{ "\x7f", "\\x7f" }, { "\xff\x80", "\\xff\\x80" }, { "tab\t", "tab\\x09" },
};

START_TEST(escape)
{
	char out[64];

	ck_assert_str_eq(hv_str_escape(escapes[_i].in, out, sizeof(out)), escapes[_i].out);
}
END_TEST

/* Whatever the size, it is not exceeded, and an escape is never cut in half. */
START_TEST(escape_cut)
{
	char in[40], out[80];

	memset(in, 1, sizeof(in));
	in[39] = 0;
	for (size_t room = 1; room < 64; room++) {
		memset(out, 'Z', sizeof(out));
		hv_str_escape(in, out, room);
		ck_assert_uint_lt(strlen(out), room);
		ck_assert_uint_eq(strlen(out) % 4, 0);
		ck_assert_int_eq(out[room], 'Z');
	}
}
END_TEST

START_TEST(hex)
{
	uint8_t in[256], back[256];
	char text[513];

	for (int i = 0; i < 256; i++)
		in[i] = i;
	hv_str_hex(in, sizeof(in), text);
	ck_assert_uint_eq(strlen(text), 512);
	ck_assert_int_eq(hv_str_unhex(text, back, sizeof(back)), 0);
	ck_assert_mem_eq(in, back, sizeof(in));
	ck_assert_int_eq(hv_str_unhex("0aFf", back, 2), 0);
	ck_assert_int_eq(back[1], 255);
	ck_assert_int_eq(hv_str_unhex("0af", back, 2), -EINVAL);
	ck_assert_int_eq(hv_str_unhex("0aff0", back, 2), -EINVAL);
	ck_assert_int_eq(hv_str_unhex("0ag0", back, 2), -EINVAL);
	ck_assert_int_eq(hv_str_unhex(" aff", back, 2), -EINVAL);
	ck_assert_int_eq(hv_str_unhex("0x0f", back, 2), -EINVAL);
	ck_assert_int_eq(hv_str_unhex("", back, 0), 0);
}
END_TEST

static const struct {
	const char *s;
	bool ok;
} names[] = {
	{ "a", true }, { "data", true }, { "0", true }, { "Web-1.log_2", true }, { "1234567890123456789012345678901", true },
	{ "", false }, { "12345678901234567890123456789012", false }, { ".hidden", false }, { "..", false }, { "-v", false }, { "_x", false },
	{ "a/b", false }, { "a b", false }, { "a,b", false }, { "a\n", false }, { "\xc3\xa4", false }, { "a:b", false }, { "a=b", false },
};

START_TEST(name)
{
	ck_assert_int_eq(hv_str_is_name(names[_i].s, 31), names[_i].ok);
}
END_TEST

START_TEST(error)
{
	char big[2048];
	struct hv_err e = { 0 };

	ck_assert_int_eq(hv_err(NULL, ENOENT, "nobody reads %d", 1), -ENOENT);
	ck_assert_int_eq(hv_err(&e, EBUSY, "disk %s", "a"), -EBUSY);
	ck_assert_int_eq(e.code, EBUSY);
	ck_assert_str_eq(e.text, "disk a");
	ck_assert_int_eq(hv_err_in(&e, "attach %d", 5), -EBUSY);
	ck_assert_str_eq(e.text, "attach 5: disk a");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	hv_err(&e, EIO, "%s", big);
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
	hv_err_in(&e, "%s", big);		/* no room for the old one: cut, not overrun */
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
	ck_assert_int_eq(e.code, EIO);
}
END_TEST

/* Callers who do not want the text pass NULL to both. */
START_TEST(error_nobody_reads)
{
	ck_assert_int_lt(hv_err_in(NULL, "prefix"), 0);		/* and it is no success */
}
END_TEST

START_TEST(exit_status)
{
	ck_assert_int_eq(hv_exit_status(0), 0);
	ck_assert_int_eq(hv_exit_status(-ENOENT), 3);
	ck_assert_int_eq(hv_exit_status(-ESRCH), 3);
	ck_assert_int_eq(hv_exit_status(-EBUSY), 4);
	ck_assert_int_eq(hv_exit_status(-EEXIST), 4);
	ck_assert_int_eq(hv_exit_status(-EACCES), 5);
	ck_assert_int_eq(hv_exit_status(-ENOTSUP), 77);
	ck_assert_int_eq(hv_exit_status(-EIO), 1);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("str", (const TTest *[]){ escape_cut, hex, error, error_nobody_reads, exit_status, NULL });

	unit_loop(s, "number", number, N(numbers));
	unit_loop(s, "size", size, N(sizes));
	unit_loop(s, "escape", escape, N(escapes));
	unit_loop(s, "name", name, N(names));
	return s;
}
