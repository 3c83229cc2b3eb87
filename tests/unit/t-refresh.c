// SPDX-License-Identifier: GPL-2.0-only
/* A driver is replaced by the one that would be chosen today in the same mode: when it is, when not, and what is said. */
#include <unistd.h>
#include "core/store.h"
#include "switch.h"
#include "unit.h"

/* Asked as libhvdrv asks. */
static void refresh(struct world *w)
{
	hv_rmf(w->d.host, 0, "%srefresh", ADMIN);
	request(w, "refresh");
}

/* A whole switch in mode virtual, nothing in flight. */
static void through(struct world *w)
{
	ck_assert(is(w, ADMIN "retarget/result", "running"));
	ck_assert(is(w, ADMIN "retarget/from", "virtual"));
	ck_assert(is(w, ADMIN "retarget/to", "virtual"));
	hold(w, NULL);
	ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 1);
	ck_assert_uint_eq(question(WIRE_GO)->go.format, WIRE_BLKIF);
	answer(WIRE_GO, WIRE_OK, 0);
	adopt(w);
}

static void ck_driver(struct world *w, const char *id, const char *generation, const char *signer)
{
	ck_assert(placed(w, id));
	ck_assert(is(w, BACK "mode", "virtual"));
	ck_assert(is(w, BACK "driver/hash", id));
	ck_assert(is(w, BACK "driver/generation", generation));
	ck_assert(is(w, BACK "driver/signer", signer));
	ck_quiet(w);
}

/* Nothing was changed, and no switch is in the record. */
static void ck_refused(struct world *w, const char *why)
{
	char *text = hv_readf(w->d.host, 0, "%serror", ADMIN);

	ck_assert(is(w, ADMIN "refresh", "failed"));
	ck_assert_ptr_nonnull(text);
	ck_contains(text, why);
	free(text);
}

/* A newer version: once; then it is the best that there is. */
START_TEST(newer)
{
	struct world w;
	char id[65];

	live(&w);
	put_version(&w, 2, id);
	refresh(&w);
	through(&w);
	ck_record(&w, "1", "committed", "admin");
	ck_driver(&w, id, "2", "next");
	ck_assert(is(&w, ADMIN "refresh", NULL));
	refresh(&w);
	ck_assert(is(&w, ADMIN "refresh", "current"));
	ck_assert_uint_eq(asked(), 0);
	ck_record(&w, "1", "committed", "admin");
	ck_driver(&w, id, "2", "next");
}
END_TEST

/* The key of the one that runs is not trusted any more: another of the same version, by a key that is. */
START_TEST(other_key)
{
	struct world w;
	char id[65];

	live(&w);
	put_version(&w, 1, id);
	ck_assert_int_eq(unlink(unit_path("keys/test.pub")), 0);
	refresh(&w);
	through(&w);
	ck_record(&w, "1", "committed", "admin");
	ck_driver(&w, id, "2", "next");
}
END_TEST

/* The same one, which a key that is trusted has signed: the guest does not run the other key's any more. */
START_TEST(signed_again)
{
	struct world w;

	live(&w);
	ck_assert_int_eq(unlink(unit_path("keys/test.pub")), 0);
	put_again(&w);
	refresh(&w);
	through(&w);
	ck_record(&w, "1", "committed", "admin");
	ck_driver(&w, w.blkif, "2", "next");
	refresh(&w);
	ck_assert(is(&w, ADMIN "refresh", "current"));
}
END_TEST

START_TEST(current)
{
	struct world w;

	live(&w);
	refresh(&w);
	ck_assert(is(&w, ADMIN "refresh", "current"));
	ck_assert(is(&w, ADMIN "retarget/seq", NULL));
	ck_assert_uint_eq(asked(), 0);
	ck_driver(&w, w.blkif, "1", "test");
}
END_TEST

/* None that may be placed; another switch is under way; nobody serves it. */
START_TEST(refused)
{
	struct world w;
	char id[65];

	live(&w);
	put_version(&w, 2, id);
	if (_i == 0) {
		ck_assert_int_eq(unlink(unit_path("keys/test.pub")) | unlink(unit_path("keys/next.pub")), 0);
		refresh(&w);
		ck_refused(&w, "not trusted");
		ck_driver(&w, w.blkif, "1", "test");
	} else if (_i == 1) {
		want(&w, "paravirtual");
		refresh(&w);
		ck_refused(&w, "a switch is under way");
		hold(&w, NULL);
		answer(WIRE_GO, WIRE_OK, 0);
		adopt(&w);
		ck_paravirtual(&w, "2");
	} else {
		guest_state(&w, "5");
		refresh(&w);
		ck_refused(&w, "not served now");
	}
}
END_TEST

/* A CPU stays in the driver: undone, as any switch. */
START_TEST(undone)
{
	struct world w;
	char id[65];

	live(&w);
	put_version(&w, 2, id);
	state(&w)->inside = 1;
	refresh(&w);
	hold(&w, NULL);
	pass(&w, 3 * SECOND);
	answer(WIRE_GO, WIRE_OK, 0);
	ck_record(&w, "1", "undone", "admin");
	ck_reason(&w, "stayed in the driver");
	ck_driver(&w, w.blkif, "1", "test");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("refresh", (const TTest *[]){ newer, other_key, signed_again, current, undone, NULL });

	unit_loop(s, "refused", refused, 3);
	return s;
}
