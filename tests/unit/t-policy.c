// SPDX-License-Identifier: GPL-2.0-only
/* What policy decides, and when. No Xen, no guest, no clock. */
#include "core/policy.h"
#include "unit.h"

#define S 1000000000ll
#define HOLD (10 * S)
#define NOW (1000 * S)

/* One look: what is remembered, what is seen, what comes out. */
static const struct {
	const char *what;
	struct hv_policy p;
	struct hv_policy_view v;
	enum hv_policy_action action;
	int64_t wait;
} rows[] = {
	{ "alone, for the first time", { .automatic = true }, { true, false, true, "virtual" }, HV_POLICY_SWITCH },
	{ "an admin's word", { .automatic = false }, { true, false, true, "virtual" }, HV_POLICY_STAY },
	{ "an admin's word, beside others", { .automatic = false }, { true, false, false, "paravirtual" }, HV_POLICY_STAY },
	{ "not ready", { .automatic = true }, { false, false, true, "virtual" }, HV_POLICY_STAY },
	{ "not ready, and others wait", { .automatic = true }, { false, false, false, "paravirtual" }, HV_POLICY_STAY },
	{ "alone, as it should be", { .automatic = true, .ended_ns = NOW - 1 }, { true, false, true, "paravirtual" }, HV_POLICY_STAY },
	{ "beside others, as it should be", { .automatic = true }, { true, false, false, "virtual" }, HV_POLICY_STAY },
	{ "others have come", { .automatic = true }, { true, false, false, "paravirtual" }, HV_POLICY_SWITCH },
	{ "alone, and trusted", { .automatic = true }, { true, false, true, "virtual", true }, HV_POLICY_SWITCH },
	{ "alone, trusted, as it should be", { .automatic = true, .ended_ns = NOW - 1 }, { true, false, true, "direct", true }, HV_POLICY_STAY },
	{ "mediated, may have more after the hold-down", { .automatic = true, .ended_ns = NOW - S }, { true, false, true, "paravirtual", true },
	  HV_POLICY_WAIT, 9 * S },
	{ "direct, another on the controller: at once", { .automatic = true, .ended_ns = NOW - 1 }, { true, false, true, "direct" }, HV_POLICY_SWITCH },
	{ "direct, another on the disk: at once", { .automatic = true, .ended_ns = NOW - 1 }, { true, false, false, "direct" }, HV_POLICY_SWITCH },
	{ "direct, another on the disk, kept by its guest: nobody can hold it", { .automatic = true, .failed = true, .ended_ns = NOW - S, .tries = 3 },
	  { true, false, false, "direct" }, HV_POLICY_WAIT, 9 * S },
	{ "direct, nobody serves it", { .automatic = true }, { false, true, false, "direct" }, HV_POLICY_STAY },
	{ "direct by an admin's word", { .automatic = false }, { true, false, true, "direct" }, HV_POLICY_STAY },
	{ "others have come just after a switch: they are not kept waiting", { .automatic = true, .ended_ns = NOW - 1, .shared_ns = NOW - 2 },
	  { true, false, false, "paravirtual" }, HV_POLICY_SWITCH },
	{ "alone again", { .automatic = true, .ended_ns = NOW - 50 * S, .shared_ns = NOW }, { true, false, true, "virtual" }, HV_POLICY_WAIT, HOLD },
	{ "alone for a while", { .automatic = true, .ended_ns = NOW - 50 * S, .shared_ns = NOW - 4 * S }, { true, false, true, "virtual" },
	  HV_POLICY_WAIT, 6 * S },
	{ "alone after a switch of policy", { .automatic = true, .ended_ns = NOW - 3 * S, .shared_ns = NOW - 9 * S },
	  { true, false, true, "virtual" }, HV_POLICY_WAIT, 7 * S },
	{ "a moment too early", { .automatic = true, .shared_ns = NOW - HOLD + 1 }, { true, false, true, "virtual" }, HV_POLICY_WAIT, 1 },
	{ "in time", { .automatic = true, .shared_ns = NOW - HOLD }, { true, false, true, "virtual" }, HV_POLICY_SWITCH },
	{ "failed to go back", { .automatic = true, .failed = true, .ended_ns = NOW }, { true, false, true, "virtual" }, HV_POLICY_WAIT, HOLD },
	{ "failed to share", { .automatic = true, .failed = true, .ended_ns = NOW - S }, { true, false, false, "paravirtual" }, HV_POLICY_WAIT, 9 * S },
	{ "failed to share, once more", { .automatic = true, .failed = true, .ended_ns = NOW - HOLD }, { true, false, false, "paravirtual" },
	  HV_POLICY_SWITCH },
	{ "its guest keeps it", { .automatic = true, .failed = true, .ended_ns = NOW, .tries = 1, .since_ns = NOW - 2 * S },
	  { true, false, false, "paravirtual" }, HV_POLICY_WAIT, S / 2 },
	{ "its guest keeps it, once more", { .automatic = true, .failed = true, .ended_ns = NOW - S / 2, .tries = 1, .since_ns = NOW - 2 * S },
	  { true, false, false, "paravirtual" }, HV_POLICY_SWITCH },
	{ "its guest keeps it for 5 s soon", { .automatic = true, .failed = true, .ended_ns = NOW, .tries = 2, .since_ns = NOW - 5 * S + 9 },
	  { true, false, false, "paravirtual" }, HV_POLICY_WAIT, 9 },
	{ "its guest keeps it for 5 s", { .automatic = true, .failed = true, .ended_ns = NOW, .tries = 2, .since_ns = NOW - 5 * S },
	  { true, false, false, "paravirtual" }, HV_POLICY_REVOKE },
	{ "its guest keeps it for the third time", { .automatic = true, .failed = true, .ended_ns = NOW, .tries = 3, .since_ns = NOW - S },
	  { true, false, false, "paravirtual" }, HV_POLICY_REVOKE },
	{ "kept by its guest, but not ready", { .automatic = true, .failed = true, .ended_ns = NOW, .tries = 3, .since_ns = NOW - 9 * S },
	  { false, false, false, "paravirtual" }, HV_POLICY_STAY },
	{ "kept by its guest, but the others have left", { .automatic = true, .failed = true, .ended_ns = NOW, .tries = 3, .since_ns = NOW },
	  { true, false, true, "virtual" }, HV_POLICY_WAIT, HOLD },
	{ "kept by its guest, by an admin's word", { .failed = true, .tries = 3 }, { true, false, false, "paravirtual" }, HV_POLICY_STAY },
	{ "nobody serves it", { .automatic = true }, { false, true, false, "paravirtual" }, HV_POLICY_WAIT, 5 * S },
	{ "nobody serves it for 5 s", { .automatic = true, .tries = 1, .since_ns = NOW - 5 * S }, { false, true, false, "paravirtual" },
	  HV_POLICY_REVOKE },
	{ "nobody serves it, but it shares", { .automatic = true }, { false, true, false, "virtual" }, HV_POLICY_STAY },
	{ "nobody serves it, nor waits for it", { .automatic = true }, { false, true, true, "paravirtual" }, HV_POLICY_STAY },
	{ "held, and nobody serves it", { .automatic = true, .revoked = true }, { false, true, false, "paravirtual" }, HV_POLICY_STAY },
	{ "held", { .automatic = true, .revoked = true, .failed = true, .ended_ns = NOW - S / 4 }, { true, false, false, "paravirtual" },
	  HV_POLICY_WAIT, S * 3 / 4 },
	{ "held, once more", { .automatic = true, .revoked = true, .failed = true, .tries = 9, .since_ns = 1, .ended_ns = NOW - S },
	  { true, false, false, "paravirtual" }, HV_POLICY_SWITCH },
	{ "held, and the others have left", { .automatic = true, .revoked = true, .ended_ns = NOW }, { true, false, true, "paravirtual" },
	  HV_POLICY_RELEASE },
	{ "held, and an admin's word", { .revoked = true, .ended_ns = NOW }, { true, false, false, "paravirtual" }, HV_POLICY_RELEASE },
	{ "held, and shares all the same", { .automatic = true, .revoked = true }, { true, false, false, "virtual" }, HV_POLICY_RELEASE },
	{ "held, and not ready", { .revoked = true }, { false, false, true, "paravirtual" }, HV_POLICY_STAY },
};

START_TEST(one_look)
{
	struct hv_policy p = rows[_i].p;
	int64_t wait = -1;

	ck_assert_msg(hv_policy_decide(&p, &rows[_i].v, NOW, HOLD, &wait) == rows[_i].action, "%s", rows[_i].what);
	if (rows[_i].action == HV_POLICY_WAIT)
		ck_assert_msg(wait == rows[_i].wait, "%s: %lld", rows[_i].what, (long long)wait);
	ck_assert_msg(p.shared_ns == (rows[_i].v.alone ? rows[_i].p.shared_ns : NOW), "%s", rows[_i].what);
	ck_assert(p.automatic == rows[_i].p.automatic);
}
END_TEST

START_TEST(success_forgives)
{
	struct hv_policy p = { .automatic = true };
	struct hv_policy_view v = { true, false, false, "paravirtual" };
	int64_t wait;

	hv_policy_ended(&p, HV_POLICY_FAILED, NOW);
	ck_assert(p.failed);
	v.mode = "virtual";			/* an admin did it, and left it to policy again */
	ck_assert_int_eq(hv_policy_decide(&p, &v, NOW + 1, HOLD, &wait), HV_POLICY_STAY);
	ck_assert(!p.failed);
	v.mode = "paravirtual";
	ck_assert_int_eq(hv_policy_decide(&p, &v, NOW + 2, HOLD, &wait), HV_POLICY_SWITCH);
	hv_policy_ended(&p, HV_POLICY_DONE, NOW + 3);
	ck_assert(!p.failed);
	ck_assert_int_eq(p.ended_ns, NOW + 3);
}
END_TEST

/* Tries that its guest prevents are counted one after the other, to share only; held, it is tried on, and nothing is counted. */
START_TEST(given_up)
{
	struct hv_policy p = { .automatic = true };
	struct hv_policy_view v = { true, false, true, "virtual" };
	int64_t wait, now = NOW;

	ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_SWITCH);
	hv_policy_ended(&p, HV_POLICY_KEPT, now);
	ck_assert_uint_eq(p.tries, 0);			/* to have it alone: that is its own affair */
	v = (struct hv_policy_view){ true, false, false, "paravirtual" };
	now += HOLD;
	for (unsigned int i = 0; i < HV_POLICY_TRIES; i++) {
		ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_SWITCH);
		hv_policy_ended(&p, HV_POLICY_KEPT, now);
		ck_assert_uint_eq(p.tries, i + 1);
		if (_i && i == 1) {			/* the host's own failure between them: they begin anew, after the hold-down */
			hv_policy_ended(&p, HV_POLICY_FAILED, now);
			ck_assert_int_eq(hv_policy_decide(&p, &v, now + S, HOLD, &wait), HV_POLICY_WAIT);
			ck_assert_int_eq(wait, HOLD - S);
			return;
		}
		now += HV_POLICY_SOON_NS;
	}
	ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_REVOKE);
	ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_REVOKE);	/* until it is held */
	hv_policy_revoked(&p, now);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_WAIT);
		ck_assert_int_eq(wait, HV_POLICY_RETRY_NS);
		now += wait;
		ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_SWITCH);
		hv_policy_ended(&p, i % 3 ? HV_POLICY_KEPT : HV_POLICY_FAILED, now);
	}
	hv_policy_released(&p);
	v.mode = "virtual";
	ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_STAY);
	v.mode = "paravirtual";				/* and in the end it begins with a full measure */
	ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_SWITCH);
	hv_policy_ended(&p, HV_POLICY_KEPT, now);
	ck_assert_int_eq(hv_policy_decide(&p, &v, now, HOLD, &wait), HV_POLICY_WAIT);
}
END_TEST

/* Whatever comes, goes and fails: after an automatic switch none back to alone within the hold-down, after one that failed none at all. */
START_TEST(no_flapping)
{
	struct hv_policy p = { .automatic = true };
	int64_t now = NOW, failed = 0, switched = 0, wait;
	struct hv_policy_view v = { true, false, true, "virtual" };
	unsigned int up = 0, down = 0;
	struct rng r;

	rng_init(&r, "policy");
	for (int i = 0; i < 20000; i++) {
		now += rng_below(&r, 3) * S;
		if (!rng_below(&r, 8))
			v.alone = !v.alone;
		v.ready = rng_below(&r, 10);
		if (v.ready && !strcmp(v.mode, hv_policy_mode(v.alone, v.direct)))
			failed = 0;		/* what it had tried is not wanted any more */
		if (hv_policy_decide(&p, &v, now, HOLD, &wait) != HV_POLICY_SWITCH)
			continue;
		ck_assert(v.ready);
		ck_assert_str_ne(v.mode, hv_policy_mode(v.alone, v.direct));
		ck_assert(!failed || now - failed >= HOLD);
		ck_assert(!v.alone || !switched || now - switched >= HOLD);
		switched = now;
		failed = rng_below(&r, 4) ? 0 : now;
		hv_policy_ended(&p, failed ? HV_POLICY_FAILED : HV_POLICY_DONE, now);
		if (!failed) {
			v.mode = hv_policy_mode(v.alone, v.direct);
			(*(v.alone ? &up : &down))++;
		}
	}
	ck_assert_uint_gt(up, 100);
	ck_assert_uint_gt(down, 100);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("policy", (const TTest *[]){ success_forgives, no_flapping, NULL });

	unit_loop(s, "one-look", one_look, N(rows));
	unit_loop(s, "given-up", given_up, 2);
	return s;
}
