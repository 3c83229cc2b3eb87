// SPDX-License-Identifier: GPL-2.0-only
/* The lab's checker: what a sector's content means, given what was acknowledged. */
#include "unit.h"
#include "stamp.h"

#define FIRST 100u
#define SECTORS 16u
#define AT 105u

/* A model with sector AT at sequence 7; the buffers are one sector each. */
static struct model m;
static uint64_t buf[SECTOR / 8];

static void start(enum kind kind, bool seen)
{
	m = (struct model){ .seed = 3, .run = 1000 };
	ck_assert_int_eq(model_init(&m, FIRST, SECTORS), 0);
	model_set(&m, AT, 1, kind, 7);
	m.s[AT - FIRST].seen = seen;
	memset(buf, 0, sizeof(buf));
}

static void stamped(uint64_t at, uint64_t seq)
{
	model_fill(&m, buf, at, 1, seq);
}

/* What is found in sector AT: a stamp of this sector, sequence, seed and run; or zeroes */
static const struct {
	enum kind want;
	bool seen;
	uint64_t sector, seq, seed, run;
	enum verdict v;
} found[] = {
	{ STAMPED, false, AT, 7, 3, 1000, GOOD }, { STAMPED, true, AT, 7, 3, 1000, GOOD },
	{ STAMPED, false, AT, 6, 3, 1000, LOST }, { STAMPED, true, AT, 6, 3, 1000, STALE },
	{ STAMPED, false, AT, 8, 3, 1000, ORPHAN }, { STAMPED, true, AT, 8, 3, 1000, ORPHAN },
	{ STAMPED, false, AT, 7, 3, 999, LOST }, { STAMPED, true, AT, 9, 3, 999, STALE },
	{ STAMPED, false, AT + 1, 7, 3, 1000, MISDIRECTED }, { STAMPED, true, AT - 1, 6, 3, 1000, MISDIRECTED },
	{ STAMPED, false, AT, 7, 4, 1000, MISDIRECTED },
	{ STAMPED, false, .v = LOST }, { STAMPED, true, .v = STALE },
	{ ZEROED, false, .v = GOOD }, { ZEROED, true, .v = GOOD },
	{ ZEROED, false, AT, 6, 3, 1000, LOST }, { ZEROED, true, AT, 6, 3, 1000, STALE },
	{ ZEROED, true, AT, 8, 3, 1000, ORPHAN }, { ZEROED, true, AT + 1, 6, 3, 1000, MISDIRECTED },
	{ UNKNOWN, false, AT + 1, 6, 3, 1000, GOOD }, { UNKNOWN, false, .v = GOOD },
};

START_TEST(judge)
{
	const struct model writer = { .seed = found[_i].seed, .run = found[_i].run };

	start(found[_i].want, found[_i].seen);
	if (found[_i].sector)
		model_fill(&writer, buf, found[_i].sector, 1, found[_i].seq);
	ck_assert_int_eq(model_judge(&m, AT, buf), found[_i].v);
	free(m.s);
}
END_TEST

START_TEST(every_bit_is_covered)
{
	start(STAMPED, false);
	stamped(AT, 7);
	for (unsigned int bit = 0; bit < SECTOR * 8; bit++) {
		buf[bit / 64] ^= 1ull << bit % 64;
		ck_assert_int_eq(model_judge(&m, AT, buf), CORRUPT);
		buf[bit / 64] ^= 1ull << bit % 64;
	}
	ck_assert_int_eq(model_judge(&m, AT, buf), GOOD);
	free(m.s);
}
END_TEST

START_TEST(halves_of_two_writes)
{
	uint64_t other[SECTOR / 8];

	start(STAMPED, false);
	stamped(AT, 7);
	memcpy(other, buf, sizeof(buf));
	stamped(AT, 6);
	memcpy(buf, other, sizeof(buf) / 2);
	ck_assert_int_eq(model_judge(&m, AT, buf), CORRUPT);
	free(m.s);
}
END_TEST

static void check_twice(void *unused)
{
	model_check(&m, AT, 1, (uint8_t *)buf);
	model_check(&m, AT, 1, (uint8_t *)buf);
}

START_TEST(counted_once)
{
	char *said;

	start(STAMPED, false);
	stamped(AT, 5);
	said = unit_capture(2, check_twice, NULL);
	ck_assert_str_eq(said, "stamp: sector 105: lost: expected the stamp of sequence 7, "
			 "found sector 105 sequence 5 seed 3 of this run\n");
	free(said);
	ck_assert_uint_eq(m.count[LOST], 1);
	ck_assert_uint_eq(m.good_bytes, 0);
	free(m.s);
}
END_TEST

START_TEST(read_back_makes_stale)
{
	start(STAMPED, false);
	stamped(AT, 7);
	model_check(&m, AT, 1, (uint8_t *)buf);
	ck_assert_uint_eq(m.good_bytes, SECTOR);
	stamped(AT, 6);
	ck_assert_int_eq(model_judge(&m, AT, buf), STALE);
	model_set(&m, AT, 1, STAMPED, 8);
	ck_assert_int_eq(model_judge(&m, AT, buf), LOST);
	free(m.s);
}
END_TEST

START_TEST(no_two_overlap)
{
	start(UNKNOWN, false);
	ck_assert(model_take(&m, AT, 4));
	for (uint64_t at = AT - 2; at < AT + 4; at++)
		ck_assert(!model_take(&m, at, 3));
	ck_assert(model_take(&m, AT - 2, 2) && model_take(&m, AT + 4, 3));
	model_release(&m, AT, 4);
	ck_assert(!model_take(&m, AT - 1, 2) && model_take(&m, AT, 4));
	free(m.s);
}
END_TEST

START_TEST(log_kept)
{
	const char *path = unit_path("log");
	struct model back = { 0 };

	start(ZEROED, true);
	model_set(&m, FIRST, 2, STAMPED, 1);
	model_set(&m, FIRST + SECTORS - 1, 1, STAMPED, (1ull << 60) - 1);
	ck_assert_int_eq(model_save(&m, path), 0);
	ck_assert_int_eq(model_load(&back, path), 0);
	ck_assert(back.seed == m.seed && back.run == m.run && back.first == m.first && back.n == m.n);
	m.s[AT - FIRST].seen = 0;
	ck_assert_mem_eq(back.s, m.s, SECTORS * sizeof(*m.s));
	free(back.s);
	free(m.s);
}
END_TEST

static const char *const bad_logs[] = {
	"", "stamp 2 1 1 0 8\nend\n", "stamp 1 1 1 0 0\nend\n", "stamp 1 1 1 0 8\n", "stamp 1 1 1 8 8\n7 1 s 1\nend\n",
	"stamp 1 1 1 8 8\n8 9 s 1\nend\n", "stamp 1 1 1 8 8\n17 1 s 1\nend\n", "stamp 1 1 1 8 8\n8 1 s\nend\n",
	"stamp 1 1 1 0 9223372036854775807\nend\n",
};

START_TEST(bad_log)
{
	const char *path = unit_path("log");
	struct model back = { 0 };

	unit_write(path, bad_logs[_i], strlen(bad_logs[_i]));
	ck_assert_int_eq(model_load(&back, path), -EINVAL);
	free(back.s);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("stamp", (const TTest *[]){ every_bit_is_covered, halves_of_two_writes, counted_once,
			    read_back_makes_stale, no_two_overlap, log_kept, NULL });

	unit_loop(s, "judge", judge, N(found));
	unit_loop(s, "bad log", bad_log, N(bad_logs));
	return s;
}
