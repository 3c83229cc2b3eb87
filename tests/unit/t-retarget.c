// SPDX-License-Identifier: GPL-2.0-only
/* The order of a switch: every state with every event, the ways through, the clocks. No Xen, no guest. */
#include <errno.h>
#include "core/retarget.h"
#include "unit.h"

#define MS 1000000ll

static const struct hv_err why = { .code = EIO, .text = "it broke" };

/* Events from IDLE on, one letter each: s start, o ok, b busy, f failed; a millisecond each. Gives back the last action. */
static enum hv_rt_action play(struct hv_retarget *r, const char *events)
{
	enum hv_rt_action a = HV_RT_NONE;
	int64_t now = 1000 * MS;

	for (; *events; events++) {
		enum hv_rt_event ev = *events == 's' ? HV_RT_EV_START : *events == 'o' ? HV_RT_EV_OK :
				      *events == 'b' ? HV_RT_EV_BUSY : HV_RT_EV_FAILED;

		now += MS;
		a = hv_retarget_step(r, ev, now, ev == HV_RT_EV_FAILED ? &why : NULL);
	}
	return a;
}

/* The ways through: what is asked for last, and what came of it. */
static const struct {
	const char *events;
	enum hv_rt_state state;
	enum hv_rt_action action;
	enum hv_rt_result result;
} ways[] = {
	{ "s", HV_RT_PREPARE, HV_RT_DO_PREPARE, HV_RT_RUNS },
	{ "so", HV_RT_HOLD, HV_RT_DO_HOLD, HV_RT_RUNS },
	{ "soo", HV_RT_PAUSE, HV_RT_DO_PAUSE, HV_RT_RUNS },
	{ "sooo", HV_RT_SWAP, HV_RT_DO_SWAP, HV_RT_RUNS },
	{ "soooo", HV_RT_ADOPT, HV_RT_DO_RESUME, HV_RT_RUNS },
	{ "sooooo", HV_RT_DONE, HV_RT_END, HV_RT_COMMITTED },
	{ "sf", HV_RT_DONE, HV_RT_END, HV_RT_UNDONE },			/* nothing was touched: nothing to release */
	{ "sof", HV_RT_RELEASE, HV_RT_DO_RELEASE, HV_RT_RUNS },
	{ "sofo", HV_RT_DONE, HV_RT_END, HV_RT_UNDONE },
	{ "soof", HV_RT_RELEASE, HV_RT_DO_RELEASE, HV_RT_RUNS },	/* the pause itself failed: nothing to unpause */
	{ "soob", HV_RT_HOLD, HV_RT_DO_UNPAUSE_HOLD, HV_RT_RUNS },
	{ "soobobo", HV_RT_PAUSE, HV_RT_DO_PAUSE, HV_RT_RUNS },
	{ "soobof", HV_RT_RELEASE, HV_RT_DO_RELEASE, HV_RT_RUNS },
	{ "soobf", HV_RT_RELEASE, HV_RT_DO_RELEASE, HV_RT_RUNS },
	{ "sooof", HV_RT_RESTORE, HV_RT_DO_RESTORE, HV_RT_RUNS },
	{ "sooofo", HV_RT_RELEASE, HV_RT_DO_RELEASE, HV_RT_RUNS },
	{ "sooofoo", HV_RT_DONE, HV_RT_END, HV_RT_UNDONE },
	{ "soooof", HV_RT_DONE, HV_RT_END, HV_RT_UNCONFIRMED },		/* the guest has run: no undoing */
};

START_TEST(each_way)
{
	struct hv_retarget r;

	hv_retarget_init(&r, 0);
	ck_assert_int_eq(play(&r, ways[_i].events), ways[_i].action);
	ck_assert_int_eq(r.state, ways[_i].state);
	ck_assert_int_eq(r.result, ways[_i].result);
	ck_assert_int_eq(r.why.code, strchr(ways[_i].events, 'f') ? EIO : 0);
}
END_TEST

/* What a state does not know changes nothing: a late answer, an event twice. */
START_TEST(ignored)
{
	static const char *const to[HV_RT_STATES] = { "", "s", "so", "soo", "sooo", "sooof", "soooo", "sof", "sooooo" };
	static const char *const known[HV_RT_STATES] = { "s", "of", "of", "obf", "of", "o", "of", "of", "" };

	for (int st = 0; st < HV_RT_STATES; st++) {
		for (const char *ev = "sobf"; *ev; ev++) {
			char one[2] = { *ev, 0 };
			struct hv_retarget r;

			hv_retarget_init(&r, 0);
			play(&r, to[st]);
			ck_assert_int_eq(r.state, st);
			ck_assert_int_eq(play(&r, one) == HV_RT_NONE, !strchr(known[st], *ev));
			ck_assert_int_eq((int)r.state == st, !strchr(known[st], *ev));
		}
	}
}
END_TEST

/* The deadline counts from pause to the end of the swap; one that comes too late is taken back, and says so. */
START_TEST(deadline)
{
	struct hv_retarget r;

	for (int over = 0; over <= 1; over++) {
		hv_retarget_init(&r, 5 * MS);
		play(&r, "sooo");
		ck_assert_int_eq(hv_retarget_step(&r, HV_RT_EV_OK, r.paused_ns + 5 * MS + over, NULL),
				 over ? HV_RT_DO_RESTORE : HV_RT_DO_RESUME);
		ck_assert_int_eq(r.why.code, over ? ETIME : 0);
	}
	ck_assert_ptr_nonnull(strstr(r.why.text, "deadline is 5000 us"));
	hv_retarget_init(&r, 0);
	ck_assert_int_eq(r.deadline_ns, HV_RT_DEADLINE_NS);
}
END_TEST

START_TEST(limits)
{
	struct hv_retarget r;

	hv_retarget_init(&r, 0);
	play(&r, "s");
	ck_assert_int_eq(hv_retarget_limit(&r), INT64_MAX);
	hv_retarget_step(&r, HV_RT_EV_OK, 7 * MS, NULL);
	ck_assert_int_eq(hv_retarget_limit(&r), 7 * MS + HV_RT_HOLD_NS);
	hv_retarget_step(&r, HV_RT_EV_OK, 8 * MS, NULL);
	hv_retarget_step(&r, HV_RT_EV_BUSY, 9 * MS, NULL);
	ck_assert_int_eq(hv_retarget_limit(&r), 7 * MS + HV_RT_HOLD_NS);	/* a pause for nothing does not begin it anew */
	hv_retarget_step(&r, HV_RT_EV_OK, 10 * MS, NULL);
	hv_retarget_step(&r, HV_RT_EV_OK, 10 * MS, NULL);
	r.freeze_ns = MS;
	hv_retarget_step(&r, HV_RT_EV_OK, 11 * MS, NULL);
	ck_assert_int_eq(hv_retarget_limit(&r), 11 * MS + HV_RT_ADOPT_NS);
	hv_retarget_step(&r, HV_RT_EV_OK, 12 * MS, NULL);
	ck_assert_int_eq(r.stall_ns, 5 * MS);
	ck_assert_int_eq(hv_retarget_limit(&r), INT64_MAX);
}
END_TEST

/* The first reason is told, not what failed while it was undone. */
START_TEST(first_reason)
{
	const struct hv_err second = { .code = EPERM, .text = "and this" };
	struct hv_retarget r;

	hv_retarget_init(&r, 0);
	play(&r, "sof");
	hv_retarget_step(&r, HV_RT_EV_FAILED, 2000 * MS, &second);
	ck_assert_int_eq(r.result, HV_RT_UNDONE);
	ck_assert_str_eq(r.why.text, "it broke");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("retarget", (const TTest *[]){ ignored, deadline, limits, first_reason, NULL });

	unit_loop(s, "each-way", each_way, N(ways));
	return s;
}
