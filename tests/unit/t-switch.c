// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvdrvd's part of a switch against the fake host: whatever happens, the guest runs, with the old driver or the new, no CPU
 * is turned away any more, and the keys and the worker know which.
 */
#include <sys/stat.h>
#include <unistd.h>
#include "core/store.h"
#include "switch.h"
#include "unit.h"

/* ---- it goes well ---- */

/* Requests in all states that there are, as the guest and as the worker sees them. */
static void in_flight(struct world *w, struct hv_inflight_table *t)
{
	memset(t, 0, sizeof(*t));
	for (uint32_t tag = 0; tag < 4; tag++)
		*record(w, tag) = (struct hvdrv_record){
			.state = tag < 3 ? HVDRV_REC_READY : HVDRV_REC_FREE, .handle = HVDRV_HANDLE(tag, 1), .op = HVDRV_OP_READ
		};
	t->tag[1] = (struct hv_inflight){ HVDRV_HANDLE(1, 1), HVDRV_REC_BEGUN, 0 };
	t->tag[2] = (struct hv_inflight){ HVDRV_HANDLE(2, 1), HVDRV_REC_DONE, HVDRV_ST_NOSPC };
	t->tag[3] = (struct hv_inflight){ HVDRV_HANDLE(3, 1), HVDRV_REC_BEGUN, 0 };
}

static void to_paravirtual(struct world *w, const struct hv_inflight_table *t)
{
	const struct wire_msg *m;

	memset(ring(w), 0xaa, 2 * HVDRV_PAGE);
	want(w, "paravirtual");
	ck_assert(is(w, ADMIN "retarget/seq", "1"));
	ck_assert(is(w, ADMIN "retarget/state", "running"));
	ck_assert(is(w, ADMIN "retarget/from", "virtual"));
	ck_assert(is(w, ADMIN "retarget/to", "paravirtual"));
	ck_assert(is(w, ADMIN "retarget/result", "running"));
	ck_assert_uint_eq(state(w)->hold, 1);
	ck_assert(journal_left(w));
	look(w);
	ck_assert_uint_eq(asked(), 1);			/* not before the worker holds it */
	state(w)->inside = 1;
	hold(w, t);
	look(w);
	ck_assert(placed(w, w->blkif));			/* nor while a CPU is inside */
	state(w)->inside = state(w)->need_kick = 0;
	look(w);
	ck_assert_int_eq(fake_pauses(w->f, DOMID), 0);
	ck_assert(placed(w, w->nvme));
	ck_assert_uint_eq(state(w)->hold, 0);
	ck_assert_uint_eq(state(w)->generation, 2);
	ck_assert_uint_eq(state(w)->adopt, 2);
	ck_assert_uint_eq(state(w)->need_kick, 1);
	ck_octets(ring(w), 2 * HVDRV_PAGE, 0);
	m = question(WIRE_GO);
	ck_assert_uint_eq(m->go.renewed, 1);
	ck_assert_uint_eq(m->go.format, WIRE_NVME);
	ck_assert_uint_eq(m->go.begun[0][0], 1 << 1);
	answer(WIRE_GO, WIRE_OK, 0);
	ck_assert(is(w, ADMIN "retarget/result", "running"));
	adopt(w);
}

static void ck_first(struct world *w)
{
	static const uint8_t become[] = { HVDRV_REC_READY, HVDRV_REC_BEGUN, HVDRV_REC_DONE, HVDRV_REC_FREE };

	ck_record(w, "1", "committed", "admin");
	ck_assert(is(w, ADMIN "retarget/reason", ""));
	ck_assert(is(w, ADMIN "retarget/carried", "3"));
	ck_assert(is(w, ADMIN "retarget/carried-ready", "1"));
	ck_assert(is(w, ADMIN "retarget/carried-begun", "1"));
	ck_assert(is(w, ADMIN "retarget/carried-done", "1"));
	ck_assert_uint_gt(hv_read_u64(w->d.host, 0, 60 * SECOND, ADMIN "retarget/freeze-ns"), 0);
	ck_assert_uint_gt(hv_read_u64(w->d.host, 0, 60 * SECOND, ADMIN "retarget/stall-ns"), 0);
	for (uint32_t tag = 0; tag < 4; tag++)
		ck_assert_uint_eq(record(w, tag)->state, become[tag]);
	ck_assert_uint_eq(record(w, 2)->status, HVDRV_ST_NOSPC);
	ck_paravirtual(w, "2");
	ck_quiet(w);
}

/* What was begun in one switch ends in the next, or is begun still. */
static void back_to_virtual(struct world *w, struct hv_inflight_table *t, bool ended)
{
	static uint8_t empty[HVDRV_PAGE];
	const struct wire_msg *m;

	record(w, 0)->state = record(w, 2)->state = HVDRV_REC_FREE;
	if (ended)
		t->tag[1].state = HVDRV_REC_DONE;
	want(w, "virtual");
	hold(w, t);
	m = question(WIRE_GO);
	ck_assert_uint_eq(m->go.renewed, 1);
	ck_assert_uint_eq(m->go.format, WIRE_BLKIF);
	ck_assert_uint_eq(m->go.begun[0][0], ended ? 0 : 1 << 1);
	hv_blkring_prepare(&hv_blkif_xen, empty, !ended);
	ck_assert_mem_eq(ring(w), empty, sizeof(empty));
	answer(WIRE_GO, WIRE_OK, 0);
	adopt(w);
	ck_record(w, "2", "committed", "admin");
	ck_assert(is(w, ADMIN "retarget/carried", "1"));
	ck_assert_uint_eq(record(w, 1)->state, ended ? HVDRV_REC_DONE : HVDRV_REC_BEGUN);
	ck_virtual(w, "3");
	ck_quiet(w);
}

START_TEST(there_and_back)
{
	struct hv_inflight_table t;
	struct world w;

	live(&w);
	in_flight(&w, &t);
	to_paravirtual(&w, &t);
	ck_first(&w);
	back_to_virtual(&w, &t, _i);
}
END_TEST

START_TEST(foreign)
{
	char dir[300];
	struct world w;

	start(&w);
	run_dirs(&w, dir, sizeof(dir));
	serve(&w, ",place=foreign");
	go_to(&w, "paravirtual");
	ck_paravirtual(&w, "2");
}
END_TEST

/* ---- what is wished ---- */

static void wish(void *arg)
{
	struct world *w = arg;
	static const char *const none[] = { "virtual", "", "paravirtua", "virtual ", "nvme" };

	for (size_t i = 0; i < N(none); i++)
		want(w, none[i]);
	hv_rmf(w->d.host, 0, "%swant", ADMIN);
	spin(w);
}

START_TEST(nothing_to_do)
{
	struct world w;
	char *said;

	live(&w);
	said = unit_capture(STDERR_FILENO, wish, &w);
	ck_contains(said, "want is ignored: there is no mode \"nvme\": virtual, paravirtual, direct, auto");
	ck_assert_ptr_eq(strstr(said, "no switch"), NULL);
	free(said);
	ck_assert(is(&w, ADMIN "retarget/seq", NULL));
	ck_assert_uint_eq(asked(), 0);
	ck_virtual(&w, "1");
	ck_quiet(&w);
}
END_TEST

/* Wished while a switch runs: looked at when that has ended, and only the last word counts. */
START_TEST(wished_meanwhile)
{
	struct world w;

	live(&w);
	want(&w, "paravirtual");
	want(&w, "virtual");
	if (_i == 1)
		want(&w, "paravirtual");
	ck_assert_uint_eq(asked(), 1);
	hold(&w, NULL);
	answer(WIRE_GO, WIRE_OK, 0);
	adopt(&w);
	if (_i == 0) {
		ck_assert(is(&w, ADMIN "retarget/seq", "2"));
		hold(&w, NULL);
		answer(WIRE_GO, WIRE_OK, 0);
		adopt(&w);
		ck_record(&w, "2", "committed", "admin");
		ck_virtual(&w, "3");
	} else {
		ck_record(&w, "1", "committed", "admin");
		ck_paravirtual(&w, "2");
	}
	ck_quiet(&w);
}
END_TEST

/* Wished before the guest had come: the driver of `mode` first, then the switch. */
START_TEST(wished_before)
{
	char dir[300];
	struct world w;

	start(&w);
	run_dirs(&w, dir, sizeof(dir));
	attach(&w, "");
	want(&w, "paravirtual");
	offer_keys(&w);
	guest_state(&w, "3");
	ck_assert(placed(&w, w.blkif));
	answer(WIRE_ADD, WIRE_OK, 0);
	mapped = fake_mapped(w.f) - RECORDS - HV_SWAP_RING_PAGES;
	hold(&w, NULL);
	answer(WIRE_GO, WIRE_OK, 0);
	adopt(&w);
	ck_record(&w, "1", "committed", "admin");
	ck_paravirtual(&w, "2");
	ck_quiet(&w);
}
END_TEST

/* Said, since who comes next would take the driver for the old one. */
static void adopt_unseen(void *arg)
{
	struct world *w = arg;

	fake_fail(w->f, "begin", 1, EIO);
	adopt(w);
}

START_TEST(keys_not_written)
{
	struct world w;
	char *said;

	live(&w);
	want(&w, "paravirtual");
	hold(&w, NULL);
	answer(WIRE_GO, WIRE_OK, 0);
	said = unit_capture(STDERR_FILENO, adopt_unseen, &w);
	ck_contains(said, "the driver's keys cannot be written to xenstore");
	free(said);
	ck_record(&w, "1", "committed", "admin");
	ck_quiet(&w);
}
END_TEST

/* ---- it is undone ---- */

static void no_image(struct world *w)
{
	char path[512];

	hv_store_path(w->repo, w->nvme, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
}

static void no_run_dir(struct world *w)
{
	char path[300];

	run_dirs(w, path, sizeof(path));
	ck_assert_int_eq(rmdir(path), 0);
}

static void paused(struct world *w) { w->d.host->ops->pause(w->d.host, DOMID); }
static void no_domain(struct world *w) { fake_fail(w->f, "domain", 1, EIO); }
static void no_records(struct world *w) { fake_fail(w->f, "map_grants", 1, ENOMEM); }
static void no_ring(struct world *w) { fake_fail(w->f, "map_grants", 2, ENOMEM); }
static void worker_deaf(struct world *w) { workers.fail_send = EPIPE; }
static void pause_fails(struct world *w) { fake_fail(w->f, "pause", 1, EPERM); }
static void no_time(struct world *w) { admin(w, "deadline-ns", "1"); }
static void in_the_slot(struct world *w) { state(w)->inside = 1; }

enum worker { UNASKED, REFUSES, SILENT, HOLDS };

static const struct {
	const char *name;
	void (*trouble)(struct world *w);
	enum worker worker;
	const char *says;
	bool waits;			/* until the limit of HOLD has passed */
	const char *generation;		/* afterwards */
} undone[] = {
	{ "no image", no_image, UNASKED, "no driver image for linux", false, "1" },
	{ "no journal", no_run_dir, UNASKED, "No such file", false, "1" },
	{ "paused", paused, UNASKED, "is paused", false, "1" },
	{ "no domain", no_domain, UNASKED, "is going", false, "1" },
	{ "no records", no_records, UNASKED, "cannot be mapped", false, "1" },
	{ "no ring", no_ring, UNASKED, "cannot be mapped", false, "1" },
	{ "worker deaf", worker_deaf, UNASKED, "does not answer", false, "1" },
	{ "worker refuses", NULL, REFUSES, "cannot hold it", false, "1" },
	{ "worker silent", NULL, SILENT, "worker did not hold it within 2000 ms", true, "1" },
	{ "in the slot", in_the_slot, HOLDS, "stayed in the driver for 2000 ms", true, "1" },
	{ "pause fails", pause_fails, HOLDS, "cannot be paused", false, "1" },
	{ "no time", no_time, HOLDS, "its deadline is 0 us", false, "3" },
};

static void ck_undone(struct world *w, int i)
{
	ck_record(w, "1", "undone", "admin");
	ck_reason(w, undone[i].says);
	ck_assert(is(w, ADMIN "retarget/carried", undone[i].trouble == no_time ? "3" : "0"));
	if (undone[i].trouble == paused) {
		ck_assert_int_eq(fake_pauses(w->f, DOMID), 1);
		w->d.host->ops->unpause(w->d.host, DOMID);
	}
	if (undone[i].trouble == no_run_dir)
		mkdir(unit_path("state/switch"), 0700);
	ck_virtual(w, undone[i].generation);
	ck_quiet(w);
}

/* What the worker was told: to go on where it was, if it may be held; and that nobody is called by a late answer. */
static void ck_worker(struct world *w, int i)
{
	const struct sent *sent = workers.last->sent;

	ck_assert_uint_eq(asked(), undone[i].worker == SILENT ? 2 : undone[i].worker == HOLDS);
	if (undone[i].worker == SILENT) {
		ck_assert_ptr_null(sent[0].fn);
		answer(WIRE_HOLD, WIRE_HELD, 0);
	}
	if (!asked())
		return;
	ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 0);
	answer(WIRE_GO, WIRE_OK, 0);
	spin(w);
}

/* Every byte is as it was, but for the generation, when the code was another one for a moment. */
static void ck_memory(struct world *w, const uint8_t *before)
{
	uint32_t generation = state(w)->generation;

	ck_assert_mem_eq(before, fake_page(w->f, DOMID, CODE), HVDRV_SLOT_SIZE);
	state(w)->generation = ((const struct hvdrv_state *)(before + HVDRV_SLOT_SIZE))->generation;
	ck_assert_mem_eq(before + HVDRV_SLOT_SIZE, fake_page(w->f, DOMID, QUEUE), FRAMES * HVDRV_PAGE);
	state(w)->generation = generation;
}

START_TEST(is_undone)
{
	uint8_t *before = malloc(HVDRV_SLOT_SIZE + FRAMES * HVDRV_PAGE);
	struct hv_inflight_table t;
	struct world w;
	struct rng r;

	live(&w);
	rng_init(&r, undone[_i].name);
	rng_fill(&r, ring(&w), (2 + DEPTH) * HVDRV_PAGE);
	rng_fill(&r, state(&w)->drv, sizeof(state(&w)->drv));
	in_flight(&w, &t);
	if (undone[_i].trouble)
		undone[_i].trouble(&w);
	memcpy(before, fake_page(w.f, DOMID, CODE), HVDRV_SLOT_SIZE);
	memcpy(before + HVDRV_SLOT_SIZE, fake_page(w.f, DOMID, QUEUE), FRAMES * HVDRV_PAGE);
	want(&w, "paravirtual");
	if (undone[_i].worker == HOLDS)
		hold(&w, &t);
	if (undone[_i].worker == REFUSES)
		answer(WIRE_HOLD, WIRE_ERROR, EINVAL);
	look(&w);
	if (undone[_i].waits) {
		pass(&w, SECOND);
		ck_assert_uint_eq(state(&w)->hold, 1);
		pass(&w, SECOND);
	}
	workers.fail_send = 0;
	ck_worker(&w, _i);
	ck_undone(&w, _i);
	ck_memory(&w, before);
	free(before);
	/* and nothing of it is in the way of the next one */
	fake_fail(w.f, NULL, 0, 0);
	if (undone[_i].trouble == no_image)
		return;
	state(&w)->inside = 0;
	admin(&w, "deadline-ns", "60000000000");
	go_to(&w, "paravirtual");
	ck_assert_uint_eq(state(&w)->generation, 1 + strtoul(undone[_i].generation, NULL, 10));
}
END_TEST

/* A CPU goes in between the look and the pause: seen under pause, and waited for. */
static int (*true_pause)(struct hv_host *h, uint32_t domid);
static struct world *seen;
static int pauses;

static int pause_late(struct hv_host *h, uint32_t domid)
{
	state(seen)->inside = ++pauses == 1;
	return true_pause(h, domid);
}

START_TEST(inside_after_all)
{
	struct hv_host_ops ops;
	struct world w;

	live(&w);
	ops = *w.d.host->ops;
	true_pause = ops.pause;
	ops.pause = pause_late;
	w.d.host->ops = &ops;
	seen = &w;
	want(&w, "paravirtual");
	pass(&w, SECOND);
	hold(&w, NULL);
	look(&w);
	ck_assert_int_eq(pauses, 1);
	ck_assert_int_eq(fake_pauses(w.f, DOMID), 0);
	ck_assert(placed(&w, w.blkif));
	ck_assert_uint_eq(state(&w)->hold, 1);
	if (_i) {
		pass(&w, SECOND);		/* the limit counts from the first hold */
		ck_record(&w, "1", "undone", "admin");
		ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 0);
	} else {
		state(&w)->inside = 0;
		look(&w);
		ck_assert_int_eq(pauses, 2);
		answer(WIRE_GO, WIRE_OK, 0);
		adopt(&w);
		ck_record(&w, "1", "committed", "admin");
		ck_paravirtual(&w, "2");
	}
	ck_quiet(&w);
}
END_TEST

/* The worker goes while it holds the device, before or after it has said so: undone, and another one takes over. */
START_TEST(worker_goes)
{
	struct world w;

	live(&w);
	want(&w, "paravirtual");
	state(&w)->inside = 1;
	if (_i)
		hold(&w, NULL);
	worker_ends();
	spin(&w);
	ck_record(&w, "1", "undone", "admin");
	ck_reason(&w, "its worker has ended");
	ck_assert(is(&w, ADMIN "status", "recovering"));
	ck_assert_uint_eq(state(&w)->hold, 1);		/* a CPU is in the driver still */
	ck_assert_uint_eq(asked(), 0);
	state(&w)->inside = 0;
	look(&w);
	answer(WIRE_ADD, WIRE_OK, 0);
	adopt(&w);
	ck_assert(is(&w, ADMIN "status", "ready"));
	ck_quiet(&w);
	ck_virtual(&w, "2");
	go_to(&w, "paravirtual");
	ck_record(&w, "2", "committed", "admin");
}
END_TEST

/* ---- the guest does not take over ---- */

static void never_adopted(struct world *w)
{
	hold(w, NULL);
	answer(WIRE_GO, WIRE_OK, 0);
	pass(w, SECOND / 2);
	ck_assert(is(w, ADMIN "retarget/result", "running"));
	pass(w, SECOND);
}

static void first_unconfirmed(void *w)
{
	never_adopted(w);
}

START_TEST(unconfirmed)
{
	struct world w;
	char *said;

	live(&w);
	want(&w, "paravirtual");
	said = unit_capture(STDERR_FILENO, first_unconfirmed, &w);
	ck_contains(said, "switch 1 from virtual to paravirtual for admin: unconfirmed: the guest did not take over its requests");
	free(said);
	ck_paravirtual(&w, "2");
	ck_assert(is(&w, ADMIN "retarget/seq", "2"));
	ck_assert(is(&w, ADMIN "retarget/from", "paravirtual"));
	ck_assert(is(&w, ADMIN "retarget/to", "virtual"));
	ck_assert(is(&w, ADMIN "retarget/who", "revert-of:1"));
	if (_i) {
		never_adopted(&w);		/* there is no third */
		ck_record(&w, "2", "unconfirmed", "revert-of:1");
		ck_assert_uint_eq(asked(), 0);
	} else {
		hold(&w, NULL);
		answer(WIRE_GO, WIRE_OK, 0);
		adopt(&w);
		ck_record(&w, "2", "committed", "revert-of:1");
	}
	ck_virtual(&w, "3");
	ck_quiet(&w);
}
END_TEST

/* The switch back cannot even begin: it stays with the new driver, and says so. */
START_TEST(cannot_revert)
{
	char path[512];
	struct world w;

	live(&w);
	want(&w, "paravirtual");
	hv_store_path(w.repo, w.blkif, path, sizeof(path));
	unlink(path);
	never_adopted(&w);
	ck_record(&w, "2", "undone", "revert-of:1");
	ck_reason(&w, "no driver image");
	ck_paravirtual(&w, "2");
	ck_quiet(&w);
}
END_TEST

/* ---- something else happens meanwhile ---- */

START_TEST(detach_meanwhile)
{
	struct world w;

	live(&w);
	want(&w, "paravirtual");
	request(&w, "detach");
	look(&w);
	ck_assert(is(&w, BACK "state", "4"));
	ck_assert_uint_eq(asked(), 1);
	if (_i) {
		answer(WIRE_HOLD, WIRE_ERROR, EINVAL);
	} else {
		hold(&w, NULL);
		answer(WIRE_GO, WIRE_OK, 0);
		adopt(&w);
	}
	ck_record(&w, "1", _i ? "undone" : "committed", "admin");
	ck_quiet(&w);
	ck_assert(is(&w, BACK "state", "5"));
	guest_state(&w, "6");
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(&w);
	guest_state(&w, "1");
	ck_released(&w);
}
END_TEST

/* The guest closes by itself while it is held: the switch ends, then the device does. */
START_TEST(closed_meanwhile)
{
	struct world w;

	live(&w);
	want(&w, "paravirtual");
	guest_state(&w, "6");
	ck_assert_uint_eq(asked(), 1);
	hold(&w, NULL);
	answer(WIRE_GO, WIRE_OK, 0);
	pass(&w, 2 * SECOND);			/* nobody is there to adopt */
	hold(&w, NULL);
	answer(WIRE_GO, WIRE_OK, 0);
	pass(&w, 2 * SECOND);
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(&w);
	ck_assert(is(&w, ADMIN "status", "closed-by-guest"));
	mapped = 0;
	ck_quiet(&w);
	ck_octets(fake_page(w.f, DOMID, CODE), HVDRV_SLOT_SIZE, HVDRV_SLOT_FILL);
}
END_TEST

/* In HOLD, before and after the worker's answer, and in ADOPT. */
static void until(struct world *w, int step)
{
	want(w, "paravirtual");
	state(w)->inside = step == 1;
	if (step >= 1)
		hold(w, NULL);
	if (step == 2)
		answer(WIRE_GO, WIRE_OK, 0);
}

START_TEST(death_meanwhile)
{
	struct world w;

	live(&w);
	until(&w, _i);
	fake_domain_end(w.f, DOMID);
	spin(&w);
	ck_released(&w);
	ck_assert(!journal_left(&w));
	ck_assert_uint_eq(state(&w)->hold, 0);
	while (workers.last->n)			/* late answers reach nobody */
		answer(workers.last->sent[0].m.type, WIRE_HELD, 0);
	worker_ends();
	look(&w);
	ck_assert(TAILQ_EMPTY(&w.d.doms));
}
END_TEST

/* The guest damages its queue: the device ends, and the switch with it. */
START_TEST(failure_meanwhile)
{
	const struct wire_msg m = { .type = WIRE_EV_FAILED, .error.reject = HV_REJ_RING };
	struct world w;

	live(&w);
	until(&w, _i);
	workers.last->ev->event(workers.last->dom, &m);
	look(&w);
	ck_record(&w, "1", _i == 2 ? "unconfirmed" : "undone", "admin");
	ck_assert(is(&w, ADMIN "status", "failed"));
	mapped = 0;
	ck_quiet(&w);
	fake_domain_end(w.f, DOMID);
	spin(&w);
	ck_released(&w);
}
END_TEST

START_TEST(stop_meanwhile)
{
	struct world w;

	live(&w);
	until(&w, _i < 3 ? _i : 2);
	if (_i == 3)
		state(&w)->adopted = 2;
	scan_stop(&w.d);
	ck_assert(workers.last->quitting);
	ck_quiet(&w);
	ck_record(&w, "1", _i < 2 ? "undone" : "committed", "admin");
	if (_i >= 2)
		ck_assert(is(&w, ADMIN "retarget/reason", ""));
	else
		ck_reason(&w, "is stopping");
	if (_i < 2)
		ck_virtual(&w, "1");
	else
		ck_paravirtual(&w, "2");
	worker_ends();
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	ck_assert(is(&w, BACK "state", "4"));
}
END_TEST

/*
 * From hardware queues: what the controller has is waited for, 2 s at most. Once it has been reset it has nothing any more: what was posted
 * begins again, however little the old queue was taken back; also of a switch that waits already.
 */
START_TEST(from_direct)
{
	struct hvdrv_record *rec;
	struct world w;
	struct dev *v;

	live(&w);
	v = TAILQ_FIRST(&TAILQ_FIRST(&w.d.doms)->devs);
	strcpy(v->mode, "direct");
	rec = record(&w, 7);
	rec->handle = HVDRV_HANDLE(7, 3);
	rec->op = HVDRV_OP_WRITE;
	rec->state = HVDRV_REC_READY;
	state(&w)->tail = 3;
	state(&w)->event = 3;			/* one of three is at the controller still */
	v->direct.lost = _i == 1;
	want(&w, "paravirtual");
	hold(&w, NULL);
	look(&w);
	if (_i != 1) {
		ck_assert(is(&w, ADMIN "retarget/result", "running"));
		ck_assert_uint_eq(state(&w)->generation, 1);
	}
	v->direct.lost |= _i == 2;
	if (_i)
		look(&w);
	else
		pass(&w, 3 * SECOND);
	ck_assert_uint_eq(question(WIRE_GO)->go.renewed, _i != 0);
	ck_assert_uint_eq(question(WIRE_GO)->go.begun[0][0], 0);
	answer(WIRE_GO, WIRE_OK, 0);
	ck_assert_uint_eq(rec->state, HVDRV_REC_READY);
	if (_i) {
		adopt(&w);
		ck_record(&w, "1", "committed", "admin");
		ck_assert(is(&w, ADMIN "retarget/carried-ready", "1"));
		ck_paravirtual(&w, "2");
	} else {
		ck_record(&w, "1", "undone", "admin");
		ck_reason(&w, "did not end what the guest has begun");
	}
}
END_TEST

/* A driver that is older than one that was placed before is not placed, and nothing changes. */
START_TEST(older)
{
	struct world w;
	size_t len;
	char *kept;

	live(&w);
	kept = unit_read(unit_path("state/versions"), &len);
	ck_assert_str_eq(kept, "blkif linux 1\n");
	unit_write(unit_path("state/versions"), "blkif linux 1\nnvme linux 9\n", 27);
	want(&w, "paravirtual");
	spin(&w);
	ck_record(&w, "1", "undone", "admin");
	kept = hv_readf(w.d.host, 0, "%s", ADMIN "retarget/reason");
	ck_contains(kept, "version 1 of nvme, and version 9 was placed");
	ck_virtual(&w, "1");
	ck_quiet(&w);
}
END_TEST

START_TEST(older_allowed)
{
	struct world w;
	char dir[300];

	start(&w);
	run_dirs(&w, dir, sizeof(dir));
	unit_write(unit_path("state/versions"), "nvme linux 9\n", 13);
	serve(&w, ",allow-older=1");
	go_to(&w, "paravirtual");
	ck_paravirtual(&w, "2");
	/* what was placed once is not forgotten by that */
	ck_assert_str_eq(unit_read(unit_path("state/versions"), NULL), "nvme linux 9\nblkif linux 1\n");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("switch", (const TTest *[]){
		foreign, nothing_to_do, wished_before, keys_not_written, cannot_revert, closed_meanwhile, older, older_allowed, NULL
	});

	unit_loop(s, "there-and-back", there_and_back, 2);
	unit_loop(s, "wished-meanwhile", wished_meanwhile, 2);
	unit_loop(s, "is-undone", is_undone, N(undone));
	unit_loop(s, "inside-after-all", inside_after_all, 2);
	unit_loop(s, "worker-goes", worker_goes, 2);
	unit_loop(s, "unconfirmed", unconfirmed, 2);
	unit_loop(s, "detach-meanwhile", detach_meanwhile, 2);
	unit_loop(s, "death-meanwhile", death_meanwhile, 3);
	unit_loop(s, "failure-meanwhile", failure_meanwhile, 3);
	unit_loop(s, "from-direct", from_direct, 3);
	unit_loop(s, "stop-meanwhile", stop_meanwhile, 4);
	return s;
}
