// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key test: a really generated driver, executed here, against the worker's own code; and one from a description
 * in which offsets and numbers are changed, against a backend that reads the changed description. Data must verify.
 * Against a backend of another description it must not: then the layout stands in the description and nowhere else.
 */
#include "drive.h"

static void layout(struct drive *d, const char *conf)
{
	gen_layout(conf, &d->layout.blkif);
}

static void serve(struct drive *d)
{
	struct wk_dev *dev;

	d->b->more = rng_below(&d->l->rng, 2) * d->l->depth;	/* pages of segments: mapped, or copied each time */
	dev = drive_add(d, 2);
	dev->layout = &d->layout.blkif;
	hv_blkring_init(&dev->queue[0].ring, dev->layout, dev->queue[0].map, 2);
}

static const void *posted(const struct drive *d, size_t *size)
{
	*size = 4;
	return d->l->stub.ctx.pages + d->layout.blkif.req_prod;
}

static const struct drive_format format = { "driver", gen_device, layout, serve, posted };

/* Depth 128 on a ring of 64 entries: the driver keeps what does not fit. */
START_TEST(verified)
{
	drive_verified(&format, _i & 1, _i & 2 ? 128 : 64);
}
END_TEST

START_TEST(held)
{
	drive_held(&format);
}
END_TEST

/* Answers that the guest has not seen yet, from the ring's end that the driver has consumed. */
static void mark_done(struct drive *d, uint32_t from, uint32_t to)
{
	for (; from != to; from++) {
		const uint8_t *e = d->l->stub.ctx.pages + d->layout.blkif.first + (from & 63) * d->layout.blkif.stride;
		struct hvdrv_record *rec;
		uint64_t handle;
		int16_t st;

		memcpy(&handle, e + d->layout.blkif.rsp_id, 8);
		memcpy(&st, e + d->layout.blkif.rsp_status, 2);
		rec = stub_record(&d->l->stub, HVDRV_HANDLE_TAG(handle));
		ck_assert_uint_eq(rec->handle, handle);
		rec->state = HVDRV_REC_DONE;
		rec->status = st == d->layout.blkif.st_ok ? HVDRV_ST_OK : HVDRV_ST_IOERR;
	}
}

/* The host replaces the driver: the worker ends what it has begun, answers may be unseen, the rest was never taken. */
static void replace(struct drive *d, const struct hv_image *img, const struct hv_blkif_layout *l)
{
	struct hvdrv_state *st = d->l->stub.ctx.state;
	uint32_t consumed = d->l->stub.ctx.state->drv[4] | d->l->stub.ctx.state->drv[5] << 8 | d->l->stub.ctx.state->drv[6] << 16 |
			    (uint32_t)d->l->stub.ctx.state->drv[7] << 24, answered;
	struct wk_dev *dev = wk_dev_find(d->b->wk, 0);

	ck_assert_uint_eq(st->inside, 0);
	answered = dev->queue[0].ring.rsp_prod;
	wk_dev_remove(dev);
	mark_done(d, consumed, answered);
	memset(d->l->stub.ctx.pages, 0, d->l->stub.ctx.queue_pages * HVDRV_PAGE);
	hv_place(&d->l->stub.slot, img, st->generation + 1);
	d->layout.blkif = *l;
	st->adopt = st->generation;
	st->hold = 0;
	serve(d);
}

/* Replaced again and again under load, in turn by one with another layout: nothing is lost, doubled or changed. */
START_TEST(replaced)
{
	static const struct gen_change changes[] = {
		{ "gref      = { at = 0;", "gref      = { at = 4;" }, { "first     = { at = 4;", "first     = { at = 0;" },
		{ "last      = { at = 5;", "last      = { at = 1;" }, { "read         = 0;", "read         = 7;" }, { NULL, NULL }
	};
	struct hv_blkif_layout layouts[2];
	struct hv_image other;
	struct drive d;
	int times = 0;

	gen_conf(unit_path("other.conf"), gen_device, changes);
	if (!drive_new(&d, &format, _i & 1, _i & 2 ? 128 : 64, gen_device, gen_device))
		return;
	ck_assert(gen_image(unit_path("other.conf"), &other));
	layouts[0] = d.layout.blkif;
	gen_layout(unit_path("other.conf"), &layouts[1]);
	while (d.l->ended < 3000 && !*d.l->bad) {
		bool served = rng_below(&d.l->rng, 2), seen = rng_below(&d.l->rng, 2);

		load_submit(d.l, 1 + rng_below(&d.l->rng, d.l->depth));
		if (served) {
			bench_kick(d.b, DRIVE_PORT);
			bench_run(d.b);
		}
		if (served && seen)
			load_event(d.l);
		load_submit(d.l, rng_below(&d.l->rng, 4));
		d.l->stub.ctx.state->hold = 1;
		times++;
		replace(&d, times & 1 ? &other : &d.img, &layouts[times & 1]);
		if (rng_below(&d.l->rng, 2))
			load_submit(d.l, 3);		/* another entry than complete may be the first */
		load_event(d.l);			/* the kick */
		d.seen = d.b->notified[DRIVE_PORT];
		if (rng_below(&d.l->rng, 2))
			drive_exchange(&d);
	}
	drive_finish(&d);
	drive_compare(&d);
	ck_assert_msg(!*d.l->bad, "%s (after %d replacements, %u requests)", d.l->bad, times, d.l->ended);
	ck_assert_int_gt(times, 20);
	ck_assert_uint_eq(d.l->stub.adopts, times);
	drive_free(&d);
}
END_TEST

/* ---- the description is the only place ---- */

static const struct drive_altered altered[] = {
	{ "offsets of a segment", { { "gref      = { at = 0;", "gref      = { at = 4;" }, { "first     = { at = 4;", "first     = { at = 0;" },
				    { "last      = { at = 5;", "last      = { at = 1;" } } },
	{ "opcode of read", { { "read         = 0;", "read         = 7;" } } },
	{ "opcode of write", { { "write        = 1;", "write        = 9;" } } },
	{ "opcode of an indirect request", { { "indirect     = 6;", "indirect     = 77;" } } },
	{ "opcode of flush", { { "flush        = 3;", "flush        = 8;" } } },
	{ "offset of a response's id", { { "id        = { at =  0; size = 8; };", "id        = { at = 16; size = 8; };" } } },
	{ "value of a status", { { "ok          = 0;", "ok          = 5;" } } },
	{ "place of an index", { { "req_prod  = 0;", "req_prod  = 20;" } } },
	{ "size of an entry", { { "stride    = 112;", "stride    = 120;" } } },
	{ "where entries begin", { { "first     = 64;", "first     = 128;" } } },
	{ "a field offset and an opcode number", { { "nseg      = { at =  1; size = 1; };", "nseg      = { at =  3; size = 1; };" },
						   { "read         = 0;", "read         = 21;" } } },
};

START_TEST(altered_both)
{
	drive_altered_both(&format, &altered[_i], _i & 1);
}
END_TEST

START_TEST(altered_one)
{
	drive_altered_one(&format, &altered[_i / 2], _i & 1);
}
END_TEST

/* The worker's own layout, made of Xen's header, is that of the description. */
START_TEST(same_as_xen)
{
	struct hv_blkif_layout l;

	gen_layout(gen_device, &l);
	ck_assert_mem_eq(&l, &hv_blkif_xen, sizeof(l));
}
END_TEST

/* A driver that is handed what cannot be ends its queue and touches nothing else. */
START_TEST(distrusts)
{
	struct drive d;

	if (!drive_new(&d, &format, 0, 64, gen_device, gen_device))
		return;
	ck_assert_uint_eq(stub_call(&d.l->stub, HVDRV_ENTRY_SUBMIT, 64) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);	/* no such tag */
	ck_assert_uint_eq(stub_call(&d.l->stub, HVDRV_ENTRY_SUBMIT, UINT32_MAX) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);
	load_submit(d.l, 4);
	memset(d.l->stub.ctx.pages + d.layout.blkif.rsp_prod, 0x7f, 4);	/* more answers than requests */
	load_event(d.l);
	ck_assert(d.l->stub.dead);
	ck_assert_uint_eq(d.l->ended, 0);
	drive_free(&d);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("driver", (const TTest *[]){ held, same_as_xen, distrusts, NULL });

	unit_loop(s, "verified", verified, 4);
	unit_loop(s, "replaced", replaced, 4);
	unit_loop(s, "altered-both", altered_both, N(altered));
	unit_loop(s, "altered-one", altered_one, 2 * N(altered));
	return s;
}
