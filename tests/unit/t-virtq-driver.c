// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key test for virtqueues: a really generated driver, executed here, against the worker's own code; and one from a
 * description in which offsets and numbers are changed, against a worker that reads the changed description.
 */
#include "drive.h"

static void layout(struct drive *d, const char *conf)
{
	gen_virtq_layout(conf, &d->layout.virtq);
}

static void serve(struct drive *d)
{
	struct wk_queue *q;
	struct wk_dev *dev;

	d->b->format = WIRE_VIRTQ;
	d->b->more = d->l->depth;		/* a page per tag: the worker writes statuses there */
	dev = drive_add(d, HV_VIRTQ_PAGES);
	dev->virtq_layout = &d->layout.virtq;
	q = &dev->queue[0];
	hv_virtq_init(&q->virtq, dev->virtq_layout, q->map, q->pages);
}

static const void *posted(const struct drive *d, size_t *size)
{
	*size = 2;
	return d->l->stub.ctx.pages + d->layout.virtq.avail + d->layout.virtq.avail_idx;
}

static const struct drive_format format = { "virtq driver", gen_virtio, layout, serve, posted };

/* More requests than either index holds in 16 bits would take too long here: t-virtq has that. */
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

/* Another worker takes the queue up where the first has left it, again and again: nothing is lost, nothing done twice. */
START_TEST(taken_up)
{
	struct drive d;

	if (!drive_new(&d, &format, _i, 64, gen_virtio, gen_virtio))
		return;
	for (int i = 0; i < 100 && !*d.l->bad; i++) {
		load_submit(d.l, 1 + rng_below(&d.l->rng, 64));
		if (rng_below(&d.l->rng, 2))
			drive_exchange(&d);
		bench_run(d.b);
		wk_dev_remove(wk_dev_find(d.b->wk, 0));
		serve(&d);
		bench_kick(d.b, DRIVE_PORT);
		load_event(d.l);		/* a restart tells the guest */
	}
	drive_run(&d, d.l->ended + 100);
	ck_assert_msg(!*d.l->bad, "%s", d.l->bad);
	drive_free(&d);
}
END_TEST

/* ---- the description is the only place ---- */

static const struct drive_altered altered[] = {
	{ "parts of a descriptor", { { "addr    = { at =  0;", "addr    = { at = 8;" }, { "len     = { at =  8;", "len     = { at = 0;" },
				    { "flags   = { at = 12; size = 2;", "flags   = { at = 4; size = 2;" }, { "next    = { at = 14;", "next    = { at = 6;" } } },
	{ "flags of a descriptor", { { "next     = 1;", "next     = 2;" }, { "write    = 2;", "write    = 1;" } } },
	{ "where the available ring is", { { "avail  = 2048;", "avail  = 3072;" } } },
	{ "where the used ring is", { { "used   = 4096;", "used   = 6144;" } } },
	{ "an index", { { "idx     = { at = 2; size = 2; };\n  };\n  slot", "idx     = { at = 0; size = 2; };\n  };\n  slot" } } },
	{ "where the table is", { { "table = 48;", "table = 64;" } } },
	{ "where the status is", { { "status = 32;", "status = 40;" } } },
	{ "where the header is", { { "header = 0; range = 16;", "header = 16; range = 0;" } } },
	{ "a used element", { { "id      = { at = 0;", "id      = { at = 4;" }, { "len     = { at = 4; size = 4; };", "len     = { at = 0; size = 4; };" } } },
	{ "the sector", { { "handle  = { at = 4; size = 4; };", "handle  = { at = 12; size = 4; };" }, { "sector  = { at = 8; size = 8; };", "sector  = { at = 4; size = 8; };" } } },
	{ "type of read", { { "read         = 0;", "read         = 70;" } } },
	{ "type of write", { { "write        = 1;", "write        = 9;" } } },
	{ "type of flush", { { "flush        = 4;", "flush        = 8;" } } },
	{ "value of a status", { { "ok          = 0;", "ok          = 5;" } } },
	{ "an event index", { { "event = 1028; };", "event = 1032; };" } } },
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

/* The worker's own layout, made of the public headers, is that of the description. */
START_TEST(same_as_headers)
{
	struct hv_virtq_layout l;

	gen_virtq_layout(gen_virtio, &l);
	ck_assert_mem_eq(&l, &hv_virtq_split, sizeof(l));
}
END_TEST

/* What the host may write that cannot be: the driver ends its queue and touches nothing else. */
START_TEST(distrusts)
{
	struct drive d;
	uint16_t idx = _i ? 1 : 0x7f7f;
	uint32_t id = 64;

	if (!drive_new(&d, &format, 0, 64, gen_virtio, gen_virtio))
		return;
	ck_assert_uint_eq(stub_call(&d.l->stub, HVDRV_ENTRY_SUBMIT, 64) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);	/* no such tag */
	ck_assert_uint_eq(stub_call(&d.l->stub, HVDRV_ENTRY_SUBMIT, UINT32_MAX) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);
	load_submit(d.l, 4);
	memcpy(d.l->stub.ctx.pages + d.layout.virtq.used + d.layout.virtq.used_ring + d.layout.virtq.elem_id, &id, 4);	/* one of no tag */
	memcpy(d.l->stub.ctx.pages + d.layout.virtq.used + d.layout.virtq.used_idx, &idx, 2);			/* or more than were asked for */
	load_event(d.l);
	ck_assert(d.l->stub.dead);
	ck_assert_uint_eq(d.l->ended, 0);
	drive_free(&d);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("virtq-driver", (const TTest *[]){ held, same_as_headers, NULL });

	unit_loop(s, "verified", verified, 4);
	unit_loop(s, "taken-up", taken_up, BENCH_ENGINES);
	unit_loop(s, "distrusts", distrusts, 2);
	unit_loop(s, "altered-both", altered_both, N(altered));
	unit_loop(s, "altered-one", altered_one, 2 * N(altered));
	return s;
}
