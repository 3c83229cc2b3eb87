// SPDX-License-Identifier: GPL-2.0-only
/* A guest that does not let go of its device: it is held, the others go on, and it is served again when it lets go. */
#include <unistd.h>
#include "beside.h"
#include "unit.h"

/* ---- guest 5 has its device alone, guest 6 joins, and a CPU of 5 stays in the driver ---- */

/* One try, of policy, that the guest prevents. */
static void one_try(struct world *w)
{
	hold(w, NULL);
	ck_assert_uint_eq(state(w)->hold, 1);
	pass(w, 2 * SECOND);
	ck_assert_uint_eq(state(w)->hold, 0);
}

/* All that it is given: 2 s, half a second, 2 s, half a second. */
static void tries(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 2; i++) {
		one_try(w);
		ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 0);	/* served on, until it is given up */
		answer(WIRE_GO, WIRE_OK, 0);
		ck_other(w, "joining", "1");
		pass(w, SECOND / 2);
		look_now(w);
	}
}

static void kept(struct world *w, const char *more)
{
	start_with(w, more);
	through(w);
	state(w)->inside = 1;
	join(w, w->disk, ",shared");
	ck_other(w, "joining", "1");
}

static void ck_held(struct world *w, const char *seq)
{
	ck_record(w, seq, "revoked", "policy");
	ck_reason(w, "a CPU of the guest stayed in the driver for 2000 ms");
	ck_assert(is(w, ADMIN "retarget/to", "virtual"));
	ck_assert(is(w, ADMIN "status", "held"));
	ck_assert(is(w, ADMIN "error", "a CPU of the guest stayed in the driver for 2000 ms"));
	ck_assert(is(w, BACK "state", "4"));
	ck_paravirtual(w, "2");
	ck_quiet(w);
}

static void revoked(struct world *w)
{
	kept(w, ",mode=auto,shared");
	tries(w);
	hold(w, NULL);				/* not of a try: this one has no end */
	look(w);
	ck_assert_uint_eq(asked(), 0);
	ck_held(w, "4");
	ck_other(w, "waiting-for-guest", "2");
}

/* The background's next try; the guest has let go. */
static void lets_go(struct world *w)
{
	state(w)->inside = 0;
	pass(w, SECOND);
	look_now(w);
	hold(w, NULL);
	ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 1);
	ck_assert_uint_eq(question(WIRE_GO)->go.format, WIRE_BLKIF);
	answer(WIRE_GO, WIRE_OK, 0);
}

START_TEST(held_and_served_again)
{
	struct world w;

	revoked(&w);
	for (int i = 0; i < 5; i++) {
		ck_assert_uint_eq(asked(), 0);
		pass(&w, SECOND);
		look_now(&w);
		one_try(&w);
		ck_assert_uint_eq(asked(), 0);		/* it is held on */
		ck_held(&w, "4");			/* and only told once */
	}
	lets_go(&w);
	ck_assert(is(&w, ADMIN "status", "held"));
	adopt(&w);
	ck_record(&w, "5", "committed", "policy");
	ck_virtual(&w, "3");
	ck_assert(is(&w, ADMIN "status", "ready"));
	ck_assert(is(&w, ADMIN "error", NULL));
	ck_quiet(&w);
	ck_assert_uint_eq(asked(), 0);
	/* and it is as ever: alone again, and joined again */
	leave(&w);
	pass(&w, 2 * HOUR);
	look_now(&w);
	through(&w);
	ck_record(&w, "6", "committed", "policy");
}
END_TEST

/* What the worker had taken, and what the guest has put there since, is carried. */
START_TEST(carries)
{
	struct hv_inflight_table t = { 0 };
	struct world w;

	revoked(&w);
	for (uint32_t tag = 0; tag < 3; tag++)
		*record(&w, tag) = (struct hvdrv_record){ .state = HVDRV_REC_READY, .handle = HVDRV_HANDLE(tag, 1), .op = HVDRV_OP_WRITE };
	t.tag[1] = (struct hv_inflight){ HVDRV_HANDLE(1, 1), HVDRV_REC_BEGUN, 0 };
	t.tag[2] = (struct hv_inflight){ HVDRV_HANDLE(2, 1), HVDRV_REC_DONE, HVDRV_ST_NOSPC };
	state(&w)->inside = 0;
	pass(&w, SECOND);
	look_now(&w);
	hold(&w, &t);
	ck_assert_uint_eq(question(WIRE_GO)->go.begun[0][0], 1 << 1);
	ck_assert_int_eq(record(&w, 0)->state, HVDRV_REC_READY);
	ck_assert_int_eq(record(&w, 1)->state, HVDRV_REC_BEGUN);
	ck_assert_int_eq(record(&w, 2)->state, HVDRV_REC_DONE);
	answer(WIRE_GO, WIRE_OK, 0);
	adopt(&w);
	ck_record(&w, "5", "committed", "policy");
	ck_assert(is(&w, ADMIN "retarget/carried", "3"));
	ck_assert(is(&w, ADMIN "status", "ready"));
}
END_TEST

static void tries_aloud(void *arg)
{
	struct world *w = arg;

	tries(w);
	hold(w, NULL);
	for (int i = 0; i < 3; i++) {
		pass(w, SECOND);
		look_now(w);
		one_try(w);
	}
}

/* The log has each of it once. */
START_TEST(said_once)
{
	struct world w;
	char *said, *first;

	kept(&w, ",mode=auto,shared");
	said = unit_capture(STDERR_FILENO, tries_aloud, &w);
	first = strstr(said, "switch 2 from paravirtual to virtual for policy: undone: a CPU of the guest");
	ck_assert_msg(first, "%s", said);
	ck_contains(said, "switch 4 from paravirtual to virtual for policy: revoked: a CPU of the guest");
	ck_assert_ptr_null(strstr(said, "switch 3 "));
	ck_assert_ptr_null(strstr(said, "switch 5 "));
	free(said);
}
END_TEST

/* It fails at once, three times: no need to wait for 5 s. Guests that are there are not served either while they are paused. */
START_TEST(paused)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	w.d.host->ops->pause(w.d.host, DOMID);
	join(&w, w.disk, ",shared");
	for (int i = 0; i < 2; i++) {
		ck_other(&w, "joining", "1");
		pass(&w, SECOND / 2);
		look_now(&w);
	}
	hold(&w, NULL);
	look(&w);
	ck_record(&w, "5", "revoked", "policy");
	ck_reason(&w, "is paused");
	ck_other(&w, "waiting-for-guest", "2");
	ck_assert_int_eq(fake_pauses(w.f, DOMID), 1);
	w.d.host->ops->unpause(w.d.host, DOMID);
	lets_go(&w);
	adopt(&w);
	ck_record(&w, "6", "committed", "policy");
}
END_TEST

/* Switched, but the guest does not look, again and again. Held, that is no reason to go back any more. */
START_TEST(never_adopts)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	join(&w, w.disk, ",shared");
	for (int i = 0; i < 3; i++) {
		hold(&w, NULL);
		answer(WIRE_GO, WIRE_OK, 0);
		pass(&w, 2 * SECOND);
		ck_assert(is(&w, ADMIN "retarget/to", "paravirtual"));	/* back */
		hold(&w, NULL);
		answer(WIRE_GO, WIRE_OK, 0);
		adopt(&w);
		pass(&w, SECOND / 2);
		look_now(&w);
		if (asked() && question(WIRE_HOLD) && is(&w, ADMIN "retarget/state", "done"))
			break;
	}
	hold(&w, NULL);
	look(&w);
	ck_assert(is(&w, ADMIN "status", "held"));
	ck_reason(&w, "did not take over");
	ck_other(&w, "waiting-for-guest", "2");
	pass(&w, SECOND);
	look_now(&w);
	hold(&w, NULL);
	answer(WIRE_GO, WIRE_OK, 0);
	pass(&w, 2 * SECOND);
	ck_assert(is(&w, ADMIN "retarget/result", "unconfirmed"));
	ck_assert(is(&w, BACK "mode", "virtual"));
	ck_assert(is(&w, ADMIN "status", "ready"));
	ck_assert_uint_eq(asked(), 0);
	ck_quiet(&w);
}
END_TEST

/* Those who wait have gone, or an admin says so: it goes on as it was. */
START_TEST(goes_on)
{
	struct world w;

	revoked(&w);
	if (_i)
		want(&w, "paravirtual");
	else
		leave(&w);
	look_now(&w);
	ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 0);
	answer(WIRE_GO, WIRE_OK, 0);
	look(&w);
	ck_assert(is(&w, ADMIN "status", "ready"));
	ck_assert(is(&w, ADMIN "error", NULL));
	ck_paravirtual(&w, "2");
	ck_quiet(&w);
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* An admin's own switch, which may fail like policy's, and then it is the admin's affair. */
START_TEST(admins_switch)
{
	struct world w;

	revoked(&w);
	want(&w, "virtual");
	if (_i)
		state(&w)->inside = 0;
	hold(&w, NULL);
	if (_i) {
		answer(WIRE_GO, WIRE_OK, 0);
		adopt(&w);
		ck_record(&w, "5", "committed", "admin");
		ck_virtual(&w, "3");
	} else {
		pass(&w, 2 * SECOND);
		ck_record(&w, "5", "undone", "admin");
		look_now(&w);
		ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 0);
		answer(WIRE_GO, WIRE_OK, 0);
		ck_paravirtual(&w, "2");
	}
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	ck_assert(is(&w, ADMIN "status", "ready"));
	ck_quiet(&w);
}
END_TEST

/* ---- detach, death ---- */

START_TEST(detached)
{
	struct world w;

	revoked(&w);
	ck_assert_int_eq(w.d.host->ops->write(w.d.host, 0, ADMIN "status", "detach-requested"), 0);
	request(&w, _i ? "detach-force" : "detach");
	if (!_i) {				/* not before it lets go */
		ck_assert(is(&w, ADMIN "status", "held"));
		ck_assert(is(&w, BACK "state", "4"));
		lets_go(&w);
		adopt(&w);
	}
	ck_assert(is(&w, ADMIN "status", "closing"));
	ck_assert(is(&w, BACK "state", "5"));
	guest_state(&w, "6");
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(&w);
	guest_state(&w, "1");
	ck_assert(is(&w, ADMIN "status", NULL));
	ck_assert(is(&w, BACK "state", NULL));
	ck_other(&w, "waiting-for-guest", "2");
}
END_TEST

/* Its guest dies: before it is held, while its worker is asked to, when it is, and in a try behind that. */
START_TEST(guest_dies)
{
	struct world w;

	if (_i < 2) {
		kept(&w, ",mode=auto,shared");
		if (_i)
			tries(&w);
	} else {
		revoked(&w);
	}
	if (_i == 3) {
		pass(&w, SECOND);
		look_now(&w);
	}
	fake_domain_end(w.f, DOMID);
	look(&w);
	ck_assert(is(&w, ADMIN "status", NULL));
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	ck_assert(!journal_left(&w));
	ck_other(&w, "waiting-for-guest", "2");
	while (workers.last->n)			/* late answers reach nobody */
		answer(workers.last->sent[0].m.type, WIRE_HELD, 0);
}
END_TEST

/* The module goes: what comes then has nothing of it. */
START_TEST(guest_closes)
{
	struct world w;

	revoked(&w);
	state(&w)->inside = 0;
	guest_state(&w, "6");
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(&w);
	ck_assert(is(&w, ADMIN "status", "closed-by-guest"));
	guest_state(&w, "1");
	ck_assert(is(&w, ADMIN "status", "waiting-for-guest"));
	pass(&w, 2 * SECOND);
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* ---- a worker's end, and hvdrvd's ---- */

/* Another worker, for a guest that has let go: it is held from the begin, and switched in the next try. */
static void taken_over(struct world *w)
{
	state(w)->inside = 0;
	look(w);
	answer(WIRE_ADD, WIRE_OK, 0);
	hold(w, NULL);
	adopt(w);
	ck_assert(is(w, ADMIN "status", "held"));
	lets_go(w);
	adopt(w);
	ck_assert(is(w, BACK "mode", "virtual"));
	ck_assert(is(w, ADMIN "status", "ready"));
	ck_assert_uint_eq(asked(), 0);
	ck_quiet(w);
}

START_TEST(worker_dies)
{
	struct world w;

	if (_i == 0) {				/* before it has answered: nobody serves it, which is as good */
		kept(&w, ",mode=auto,shared");
		tries(&w);
		worker_ends();
		look(&w);
		pass(&w, 5 * SECOND);
		look_now(&w);
	} else {
		revoked(&w);
		if (_i == 2) {			/* in a try */
			pass(&w, SECOND);
			look_now(&w);
			ck_assert_uint_eq(asked(), 1);
		}
		worker_ends();
		look(&w);
	}
	ck_assert(is(&w, ADMIN "status", "held"));
	ck_other(&w, "waiting-for-guest", "2");
	pass(&w, 3 * SECOND);			/* the next worker cannot take over yet */
	ck_assert_uint_eq(asked(), 0);
	state(&w)->inside = 0;
	for (int i = 0; i < 300 && !asked(); i++)
		look(&w);			/* it is tried again after a second */
	taken_over(&w);
}
END_TEST

/* The guest was served by nobody when the other came: that one does not wait for ever. */
START_TEST(joined_while_nobody_serves)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	state(&w)->inside = 1;
	worker_ends();
	look(&w);
	join(&w, w.disk, ",shared");
	ck_other(&w, "joining", "1");
	ck_assert(is(&w, ADMIN "status", "recovering"));
	pass(&w, 4 * SECOND);
	look_now(&w);
	ck_other(&w, "joining", "1");
	pass(&w, SECOND);
	look_now(&w);
	ck_other(&w, "waiting-for-guest", "2");
	ck_record(&w, "2", "revoked", "policy");
	ck_reason(&w, "does not let another one take over");
	ck_assert(is(&w, ADMIN "status", "held"));
}
END_TEST

START_TEST(restarted)
{
	struct world w;

	revoked(&w);
	stop_daemon(&w);
	hv_host_close(w.d.host);
	start_daemon(&w);
	w.d.opt.hold_down_ns = HOUR;
	look(&w);
	ck_assert(is(&w, ADMIN "status", "held"));
	ck_other(&w, "waiting-for-guest", "2");
	ck_assert_uint_eq(asked(), 0);
	state(&w)->inside = 0;
	taken_over(&w);
}
END_TEST

/* The worker that is to hold it does not answer: it serves, so the other waits. */
START_TEST(worker_silent)
{
	struct world w;

	kept(&w, ",mode=auto,shared");
	tries(&w);
	ck_assert_uint_eq(asked(), 1);
	pass(&w, 20 * SECOND);
	look_now(&w);
	ck_other(&w, "joining", "1");
	want(&w, "virtual");			/* waits for the answer, too */
	ck_assert_uint_eq(asked(), 1);
	if (_i) {
		answer(WIRE_HOLD, WIRE_ERROR, EINVAL);
		look(&w);
		ck_assert(is(&w, ADMIN "status", "ready"));
	} else {
		hold(&w, NULL);
		ck_assert(is(&w, ADMIN "status", "held"));
	}
	ck_assert(is(&w, ADMIN "retarget/who", "admin"));
	ck_assert(is(&w, ADMIN "retarget/state", "running"));
	ck_other(&w, "waiting-for-guest", "2");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("revoke", (const TTest *[]){
		held_and_served_again, carries, said_once, paused, never_adopts, guest_closes, joined_while_nobody_serves, restarted, NULL
	});

	unit_loop(s, "goes-on", goes_on, 2);
	unit_loop(s, "admins-switch", admins_switch, 2);
	unit_loop(s, "detached", detached, 2);
	unit_loop(s, "guest-dies", guest_dies, 4);
	unit_loop(s, "worker-dies", worker_dies, 3);
	unit_loop(s, "worker-silent", worker_silent, 2);
	return s;
}
