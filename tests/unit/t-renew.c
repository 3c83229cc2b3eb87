// SPDX-License-Identifier: GPL-2.0-only
/* A worker dies while its guest uses the device: another one goes on, behind what the first had begun at the target. */
#include <sys/socket.h>
#include <unistd.h>
#include "switch.h"
#include "unit.h"

/* A request in flight: the tag's record in this state. */
static void flies(struct world *w, uint32_t tag, enum hvdrv_record_state st)
{
	*record(w, tag) = (struct hvdrv_record){ .handle = HVDRV_HANDLE(tag, 3), .op = HVDRV_OP_WRITE, .state = st };
}

/* The next worker is asked to serve it, on new queues; then the guest has taken over. */
static void taken_over(struct world *w)
{
	ck_assert_uint_eq(question(WIRE_ADD)->add.kick, 1);
	answer(WIRE_ADD, WIRE_OK, 0);
	adopt(w);
	ck_assert(is(w, ADMIN "status", "ready"));
	ck_assert(is(w, BACK "state", "4"));
	ck_quiet(w);
}

static void wait_s(struct world *w, int s)
{
	const struct timeval span = { .tv_sec = s, .tv_usec = 100000 };

	event_base_loopexit(w->d.base, &span);
	event_base_loop(w->d.base, 0);
}

START_TEST(begins_again)
{
	struct link *first;
	struct world w;

	live(&w);
	if (_i)
		go_to(&w, "paravirtual");
	flies(&w, 1, HVDRV_REC_READY);
	flies(&w, 2, HVDRV_REC_BEGUN);		/* carried over by a switch before */
	flies(&w, 3, HVDRV_REC_DONE);		/* and this has ended: not again */
	flies(&w, 4, HVDRV_REC_FREE);
	memset(ring(&w), 0x5a, 2 * HVDRV_PAGE);
	first = workers.last;
	worker_ends();
	ck_assert(is(&w, ADMIN "status", "recovering"));
	look(&w);
	ck_assert_ptr_nonnull(workers.last);
	ck_assert_ptr_ne(workers.last, first);
	ck_assert_uint_eq(question(WIRE_ADD)->add.format, _i ? WIRE_NVME : WIRE_BLKIF);
	ck_assert_int_eq(record(&w, 1)->state, HVDRV_REC_READY);
	ck_assert_int_eq(record(&w, 2)->state, HVDRV_REC_READY);
	ck_assert_int_eq(record(&w, 3)->state, HVDRV_REC_DONE);
	ck_assert_int_eq(record(&w, 4)->state, HVDRV_REC_FREE);
	ck_assert_int_ne(ring(&w)[2 * HVDRV_PAGE - 1], 0x5a);
	ck_assert_uint_eq(state(&w)->adopt, state(&w)->generation);
	ck_assert_uint_eq(state(&w)->hold, 0);
	taken_over(&w);
	if (_i)
		ck_paravirtual(&w, "3");
	else
		ck_virtual(&w, "2");
	ck_assert(is(&w, ADMIN "retarget/seq", _i ? "1" : NULL));	/* nobody's switch */
	go_to(&w, _i ? "virtual" : "paravirtual");
}
END_TEST

/* Before the guest was told of the driver there is nothing to take over. */
START_TEST(not_yet_used)
{
	struct world w;

	start(&w);
	attach(&w, "");
	offer_keys(&w);
	guest_state(&w, "3");
	question(WIRE_ADD);
	worker_ends();
	ck_assert_uint_eq(question(WIRE_ADD)->add.kick, 0);
	answer(WIRE_ADD, WIRE_OK, 0);
	ck_assert(is(&w, ADMIN "status", "connected"));
	ck_assert(is(&w, BACK "driver/generation", "1"));
}
END_TEST

/* A request of the dead worker is at the target still: it holds the open file. Nothing begins before it has ended. */
START_TEST(fence)
{
	struct world w;
	int flying;

	live(&w);
	flying = dup(workers.target);
	worker_ends();
	look(&w);
	look(&w);
	ck_assert_uint_eq(asked(), 0);
	ck_assert_int_eq(fake_pauses(w.f, DOMID), 0);
	ck_assert_uint_eq(state(&w)->generation, 1);
	close(flying);
	look(&w);
	look(&w);
	taken_over(&w);
}
END_TEST

static void long_after(void *w)
{
	pass(w, 4 * SECOND);
	look(w);
}

START_TEST(fence_is_told)
{
	struct world w;
	int flying;
	char *said;

	live(&w);
	flying = dup(workers.target);
	worker_ends();
	look(&w);
	said = unit_capture(STDERR_FILENO, long_after, &w);
	ck_contains(said, "has not ended yet: waiting for it");
	free(said);
	said = unit_capture(STDERR_FILENO, long_after, &w);
	ck_assert_str_eq(said, "");		/* once */
	free(said);
	close(flying);
	look(&w);
	look(&w);
	taken_over(&w);
}
END_TEST

/* Nothing is written by a worker of a read-only device: there is nothing to wait for. */
START_TEST(no_fence_when_read_only)
{
	struct world w;
	char dir[300];
	int flying;

	start(&w);
	run_dirs(&w, dir, sizeof(dir));
	serve(&w, ",ro");
	flying = dup(workers.target);
	worker_ends();
	look(&w);
	taken_over(&w);
	close(flying);
}
END_TEST

/* An admin's pause is left alone, and ends when the admin ends it. */
START_TEST(paused_guest)
{
	struct world w;

	live(&w);
	w.d.host->ops->pause(w.d.host, DOMID);
	worker_ends();
	wait_s(&w, 1);
	ck_assert_int_eq(fake_pauses(w.f, DOMID), 1);
	ck_assert_uint_eq(state(&w)->generation, 1);
	ck_assert_uint_eq(asked(), 0);
	w.d.host->ops->unpause(w.d.host, DOMID);
	wait_s(&w, 0);
	look(&w);
	taken_over(&w);
}
END_TEST

/* A CPU that stays in the driver: tried again and again, and taken away by force when the admin says so. */
START_TEST(stays_inside)
{
	struct world w;

	live(&w);
	state(&w)->inside = 1;
	worker_ends();
	look(&w);
	pass(&w, 3 * SECOND);
	ck_assert_uint_eq(asked(), 0);
	ck_assert_uint_eq(state(&w)->hold, 0);
	ck_assert_uint_eq(state(&w)->generation, 1);
	if (_i == 0) {
		state(&w)->inside = 0;
		wait_s(&w, 1);
		look(&w);
		taken_over(&w);
		return;
	}
	request(&w, "detach-force");
	ck_assert(is(&w, BACK "state", "5"));
	guest_state(&w, "6");
	while (asked())
		answer(workers.last->sent[0].m.type, WIRE_OK, 0);
	spin(&w);
	guest_state(&w, "1");
	ck_released(&w);
}
END_TEST

/* The next worker dies, too: while it is waited that the guest is outside, before it has answered, before the guest adopts. */
START_TEST(dies_again)
{
	struct world w;

	live(&w);
	flies(&w, 5, HVDRV_REC_READY);
	state(&w)->inside = _i == 0;
	worker_ends();
	look(&w);
	if (_i == 2) {
		answer(WIRE_ADD, WIRE_OK, 0);
		look(&w);
	}
	worker_ends();
	state(&w)->inside = 0;
	look(&w);
	ck_assert_int_eq(record(&w, 5)->state, HVDRV_REC_READY);
	taken_over(&w);
	ck_virtual(&w, _i == 0 ? "2" : "3");
}
END_TEST

/* One that dies at once, every time, would be started for ever. */
START_TEST(dies_always)
{
	struct world w;
	char *why;

	live(&w);
	for (int i = 1; i < 5; i++) {
		worker_ends();
		look(&w);
		taken_over(&w);
	}
	if (_i)
		pass(&w, 6 * SECOND);		/* this one has lived */
	worker_ends();
	look(&w);
	if (_i) {
		taken_over(&w);
		return;
	}
	ck_assert(is(&w, ADMIN "status", "failed"));
	why = hv_readf(w.d.host, 0, "%s", ADMIN "error");
	ck_contains(why, "again and again");
	free(why);
	ck_assert_uint_eq(fake_mapped(w.f), 0);
}
END_TEST

/* The guest goes, hvdrvd stops: at each step of it. */
START_TEST(ends_meanwhile)
{
	struct world w;

	live(&w);
	state(&w)->inside = _i % 3 == 0;
	worker_ends();
	look(&w);
	if (_i % 3 == 2)
		answer(WIRE_ADD, WIRE_OK, 0);
	if (_i < 3) {
		fake_domain_end(w.f, DOMID);
		spin(&w);
		ck_released(&w);
		ck_assert(!journal_left(&w));
		return;
	}
	stop_daemon(&w);
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	ck_assert_uint_eq(state(&w)->hold, 0);
	ck_assert(!journal_left(&w));
	state(&w)->inside = 0;
	hv_host_close(w.d.host);
	start_daemon(&w);
	look(&w);
	taken_over(&w);
}
END_TEST

/* While the device closes: the guest's last requests are answered, then it goes. */
START_TEST(closing)
{
	struct world w;

	live(&w);
	request(&w, "detach");
	ck_assert(is(&w, BACK "state", "5"));
	worker_ends();
	look(&w);
	ck_assert_uint_eq(question(WIRE_ADD)->add.kick, 1);
	answer(WIRE_ADD, WIRE_OK, 0);
	adopt(&w);
	guest_state(&w, "6");
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(&w);
	guest_state(&w, "1");
	ck_released(&w);
}
END_TEST

/* What the next worker needs cannot be had: the device fails, and says why. */
START_TEST(cannot)
{
	struct world w;

	live(&w);
	workers.fail_start = _i == 0 ? EMFILE : 0;
	workers.fail_send = _i == 1 ? EPIPE : 0;
	worker_ends();
	look(&w);
	if (_i == 2)
		answer(WIRE_ADD, WIRE_ERROR, ENOMEM);
	spin(&w);
	ck_assert(is(&w, ADMIN "status", "failed"));
	ck_assert(is(&w, BACK "state", "6"));
	ck_assert_int_eq(fake_pauses(w.f, DOMID), 0);
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	ck_assert(!journal_left(&w));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("renew", (const TTest *[]){
		not_yet_used, fence, fence_is_told, no_fence_when_read_only, paused_guest, closing, NULL
	});

	unit_loop(s, "begins-again", begins_again, 2);
	unit_loop(s, "stays-inside", stays_inside, 2);
	unit_loop(s, "dies-again", dies_again, 3);
	unit_loop(s, "dies-always", dies_always, 2);
	unit_loop(s, "ends-meanwhile", ends_meanwhile, 6);
	unit_loop(s, "cannot", cannot, 3);
	return s;
}
