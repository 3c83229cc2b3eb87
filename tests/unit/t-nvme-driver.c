// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key test for NVMe: a really generated driver, executed here, against the host's end of the queue; and one from a
 * description in which offsets and numbers are changed, against a host that reads the changed description.
 */
#include "gen.h"
#include "ramdisk.h"

struct world {
	struct hv_image img;
	struct hv_nvme_layout layout;
	struct ramdisk *d;
	struct load *l;
};

static bool world(struct world *w, uint32_t depth, const char *driver, const char *host)
{
	memset(w, 0, sizeof(*w));
	if (!gen_image(driver, &w->img))
		return false;
	gen_nvme_layout(host, &w->layout);
	w->d = ramdisk_new(&w->img, (struct ramdisk_format){ .nvme = &w->layout }, depth, "nvme driver");
	w->l = &w->d->load;
	ck_assert(!ramdisk_arm(w->d));
	return true;
}

static void end(struct world *w)
{
	ramdisk_free(w->d);
	hv_image_free(&w->img);
}

/* The host runs only when it is sent an event and sleeps again, the guest's handler only when it is sent one. */
static bool exchange(struct world *w)
{
	bool event = false;

	if (!w->l->notify)
		return false;
	w->l->notify = false;
	hv_nvmeq_disarm(&w->d->nvmeq);
	do {
		ramdisk_take(w->d, 1 + rng_below(&w->l->rng, 64));
		event |= ramdisk_end(w->d, rng_below(&w->l->rng, 64));
	} while ((ramdisk_arm(w->d) || w->d->nheld) && !w->d->broken);
	if (event)
		ramdisk_event(w->d);
	return true;
}

static void finish(struct world *w)
{
	while (w->l->inflight && !*w->l->bad && exchange(w))
		;
	if (w->l->inflight && !*w->l->bad)
		snprintf(w->l->bad, sizeof(w->l->bad), "%u requests never ended", w->l->inflight);
}

static void compare_disk(struct world *w)
{
	if (memcmp(w->d->disk, w->l->disk, sizeof(w->d->disk)) && !*w->l->bad)
		snprintf(w->l->bad, sizeof(w->l->bad), "the disk is not what was written");
}

static void run(struct world *w, unsigned int requests)
{
	while (w->l->ended < requests && !*w->l->bad) {
		load_submit(w->l, 1 + rng_below(&w->l->rng, rng_below(&w->l->rng, 4) ? 8 : w->l->depth));
		if (rng_below(&w->l->rng, 3) && !exchange(w) && w->l->inflight)
			finish(w);		/* nobody is told anything and something is in flight: stuck */
	}
	finish(w);
	compare_disk(w);
}

static const uint32_t depths[] = { 64, 128, 5 };

/* Depth 128 on a queue of 63: the driver keeps what does not fit. */
START_TEST(verified)
{
	struct world w;

	if (!world(&w, depths[_i], gen_nvme, gen_nvme))
		return;
	run(&w, 5000);
	ck_assert_msg(!*w.l->bad, "%s", w.l->bad);
	ck_assert_uint_ge(w.l->ended, 5000);
	ck_assert_uint_eq(w.d->begun, w.l->ended);
	ck_assert_uint_gt(w.l->bytes, 10 << 20);
	ck_assert_uint_eq(w.d->refused + w.d->twice + w.d->broken, 0);
	ck_assert_uint_eq(stub_call(&w.l->stub, HVDRV_ENTRY_DETACH, 0), 0);
	end(&w);
}
END_TEST

/* While the host holds the queue nothing enters it, and nothing is lost. */
START_TEST(held)
{
	struct hvdrv_state *st;
	struct world w;

	if (!world(&w, 64, gen_nvme, gen_nvme))
		return;
	st = w.l->stub.ctx.state;
	for (int i = 0; i < 50 && !*w.l->bad; i++) {
		uint32_t tail;

		load_submit(w.l, 1 + rng_below(&w.l->rng, 64));
		st->hold = 1;
		tail = st->tail;
		load_submit(w.l, 8);
		ck_assert_uint_eq(st->tail, tail);
		finish(&w);			/* what is in flight ends all the same */
		st->hold = 0;
	}
	ck_assert_uint_gt(w.l->busies, 0);
	run(&w, w.l->ended + 100);
	ck_assert_msg(!*w.l->bad, "%s", w.l->bad);
	end(&w);
}
END_TEST

/* The driver writes its own fields of the state page and no other. */
START_TEST(own_fields)
{
	struct hvdrv_state *st, before;
	struct world w;

	if (!world(&w, 64, gen_nvme, gen_nvme))
		return;
	st = w.l->stub.ctx.state;
	memset(st->pad0, 0x5a, sizeof(st->pad0));
	memset(st->pad1, 0x5a, sizeof(st->pad1));
	memset(st->reserved, 0x5a, sizeof(st->reserved));
	before = *st;
	run(&w, 1000);
	before.tail = st->tail;
	before.event = st->event;
	memcpy(before.drv, st->drv, sizeof(before.drv));
	ck_assert_mem_eq(st, &before, sizeof(before));
	ck_assert_uint_eq(st->tail, w.l->ended);
	ck_assert_uint_eq(st->event, w.l->ended + 1);
	end(&w);
}
END_TEST

/* Replaced again and again under load, in turn by one with another layout: nothing is lost, doubled or changed. */
START_TEST(replaced)
{
	static const struct gen_change changes[] = {
		{ "prp1       = { at = 24;", "prp1       = { at = 32;" }, { "prp2       = { at = 32;", "prp2       = { at = 24;" },
		{ "cid        = { at = 12;", "cid        = { at = 10;" }, { "read         = 2;", "read         = 7;" }, { NULL, NULL }
	};
	struct hv_nvme_layout other_layout;
	struct hv_image other;
	struct world w;
	int times = 0;

	gen_conf(unit_path("other.conf"), gen_nvme, changes);
	if (!world(&w, _i ? 128 : 64, gen_nvme, gen_nvme))
		return;
	ck_assert(gen_image(unit_path("other.conf"), &other));
	gen_nvme_layout(unit_path("other.conf"), &other_layout);
	while (w.l->ended < 3000 && !*w.l->bad) {
		load_submit(w.l, 1 + rng_below(&w.l->rng, w.l->depth));
		ramdisk_take(w.d, rng_below(&w.l->rng, 64));
		if (ramdisk_end(w.d, rng_below(&w.l->rng, 64)) && rng_below(&w.l->rng, 2))
			ramdisk_event(w.d);
		load_submit(w.l, rng_below(&w.l->rng, 4));
		times++;
		ramdisk_replace(w.d, times & 1 ? &other : &w.img, (struct ramdisk_format){ .nvme = times & 1 ? &other_layout : &w.layout });
		hv_nvmeq_disarm(&w.d->nvmeq);
		w.l->notify = false;
		load_event(w.l);		/* the kick */
		ck_assert(w.l->notify || !w.l->stub.ctx.state->tail);	/* a host that waits for the guest to adopt is told */
		ramdisk_take(w.d, rng_below(&w.l->rng, 64));
	}
	w.l->notify = true;
	finish(&w);
	compare_disk(&w);
	ck_assert_msg(!*w.l->bad, "%s (after %d replacements, %u requests)", w.l->bad, times, w.l->ended);
	ck_assert_int_gt(times, 20);
	ck_assert_uint_eq(w.l->stub.adopts, times);
	end(&w);
}
END_TEST

/* ---- the description is the only place ---- */

static const struct {
	const char *what;
	struct gen_change change[4];
} altered[] = {
	{ "offsets of the pages", { { "prp1       = { at = 24;", "prp1       = { at = 32;" }, { "prp2       = { at = 32;", "prp2       = { at = 24;" } } },
	{ "offset of an identifier", { { "cid        = { at =  2;", "cid        = { at = 16;" } } },
	{ "offset of the first block", { { "slba       = { at = 40;", "slba       = { at = 54;" } } },
	{ "offset of a count", { { "nlb        = { at = 48;", "nlb        = { at = 52;" } } },
	{ "opcode of read", { { "read         = 2;", "read         = 18;" } } },
	{ "opcode of write", { { "write        = 1;", "write        = 66;" }, { "write_fua    = 1;", "write_fua    = 66;" } } },
	{ "opcode of flush", { { "flush        = 0;", "flush        = 11;" } } },
	{ "opcode of write-zeroes", { { "write_zeroes = 8;", "write_zeroes = 5;" } } },
	{ "opcode of discard", { { "discard      = 9;", "discard      = 0x84;" } } },
	{ "a range", { { "length     = { at =  4;", "length     = { at =  0;" }, { "attributes = { at =  0;", "attributes = { at =  4;" } } },
	{ "offset of a completion's identifier", { { "cid        = { at = 12;", "cid        = { at = 10;" }, { "sq_id      = { at = 10;", "sq_id      = { at = 12;" } } },
	{ "offset of a status", { { "status     = { at = 14;", "status     = { at =  2;" } } },
	{ "value of a status", { { "ok          = 0;", "ok          = 5;" } } },
	{ "a field offset and an opcode number", { { "nsid       = { at =  4;", "nsid       = { at = 60;" }, { "read         = 2;", "read         = 21;" } } },
};

/* The altered driver and a host that reads the altered description: all data verifies. */
START_TEST(altered_both)
{
	const char *conf = unit_path("altered.conf");
	struct world w;

	gen_conf(conf, gen_nvme, altered[_i].change);
	if (!world(&w, 128, conf, conf))
		return;
	run(&w, 1000);
	ck_assert_msg(!*w.l->bad, "%s: %s", altered[_i].what, w.l->bad);
	ck_assert_uint_ge(w.l->ended, 1000);
	end(&w);
}
END_TEST

/* One side altered, whichever: it must be seen. */
START_TEST(altered_one)
{
	const char *conf = unit_path("altered.conf");
	bool driver = _i & 1;
	struct world w;

	gen_conf(conf, gen_nvme, altered[_i / 2].change);
	if (!world(&w, 64, driver ? conf : gen_nvme, driver ? gen_nvme : conf))
		return;
	run(&w, 300);
	ck_assert_msg(*w.l->bad, "%s, %s: data moved all the same", altered[_i / 2].what, driver ? "driver" : "host");
	printf("%s, %s altered: %s\n", altered[_i / 2].what, driver ? "driver" : "host", w.l->bad);
	end(&w);
}
END_TEST

/* The host's own layout is that of the description. */
START_TEST(same_as_host)
{
	struct hv_nvme_layout l;

	gen_nvme_layout(gen_nvme, &l);
	ck_assert_mem_eq(&l, &hv_nvme_mediated, sizeof(l));
}
END_TEST

/* A driver that is handed what cannot be ends its queue and touches nothing else. */
START_TEST(distrusts)
{
	struct world w;

	if (!world(&w, 64, gen_nvme, gen_nvme))
		return;
	ck_assert_uint_eq(stub_call(&w.l->stub, HVDRV_ENTRY_SUBMIT, 64) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);	/* no such tag */
	ck_assert_uint_eq(stub_call(&w.l->stub, HVDRV_ENTRY_SUBMIT, UINT32_MAX) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);
	ck_assert_uint_eq(w.l->stub.ctx.state->tail, 0);
	load_submit(w.l, 4);
	memset(w.l->stub.ctx.pages + HVDRV_PAGE, 0x7f, HVDRV_PAGE);	/* more completions than commands */
	load_event(w.l);
	ck_assert(w.l->stub.dead);
	ck_assert_uint_eq(w.l->ended, 0);
	ck_assert_uint_eq(w.l->stub.ctx.state->stale, w.l->inflight);	/* no more than were asked for */
	end(&w);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("nvme-driver", (const TTest *[]){ held, own_fields, same_as_host, distrusts, NULL });

	unit_loop(s, "verified", verified, N(depths));
	unit_loop(s, "replaced", replaced, 2);
	unit_loop(s, "altered-both", altered_both, N(altered));
	unit_loop(s, "altered-one", altered_one, 2 * N(altered));
	return s;
}
