// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key test for virtqueues: a really generated driver, executed here, against the worker's own code; and one from a
 * description in which offsets and numbers are changed, against a worker that reads the changed description.
 */
#include <fcntl.h>
#include <unistd.h>
#include "bench.h"
#include "gen.h"
#include "load.h"

#define PORT 1u
#define MEM 1u			/* first page of the queue's memory */
#define DATA 400u

struct world {
	struct bench *b;
	struct load *l;
	struct hv_image img;
	struct hv_virtq_layout layout;
	uint32_t refs[STUB_PAGES(HVDRV_MAX_DEPTH)];
	char path[300];
	int fd;
	uint32_t seen;		/* events to the guest that it has handled */
};

static uint8_t *page_of(void *arg, uint32_t ref)
{
	return bench_page(arg, ref);
}

/* The worker takes up the queue where it is, with the layout of this world. */
static void serve(struct world *w)
{
	struct hv_err e = { 0 };
	struct wk_queue *q;

	w->b->format = WIRE_VIRTQ;
	w->b->more = w->l->depth;		/* a page per tag: the worker writes statuses there */
	ck_assert_msg(!bench_add(w->b, 0, w->path, O_RDWR, &bench_limits, 1, HV_VIRTQ_PAGES, MEM + 1 + HVDRV_RECORD_PAGES(w->l->depth), PORT, &e),
		      "%s", e.text);
	wk_dev_find(w->b->wk, 0)->virtq_layout = &w->layout;
	q = &wk_dev_find(w->b->wk, 0)->queue[0];
	hv_virtq_init(&q->virtq, &w->layout, q->map, q->pages);
}

static bool world(struct world *w, int engine, uint32_t depth, const char *driver, const char *host)
{
	memset(w, 0, sizeof(*w));
	if (!gen_image(driver, &w->img))
		return false;
	gen_virtq_layout(host, &w->layout);
	w->b = bench_new(engine);
	if (!w->b)
		return false;
	w->l = calloc(1, sizeof(*w->l));
	rng_init(&w->l->rng, "virtq driver");
	w->l->depth = depth;
	w->l->page = page_of;
	w->l->arg = w->b;
	w->l->first_ref = DATA;
	for (uint32_t i = 0; i < N(w->refs); i++)
		w->refs[i] = MEM + i;
	snprintf(w->path, sizeof(w->path), "%s", unit_path("disk"));
	w->fd = open(w->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(w->fd, LOAD_SECTORS * HVDRV_SECTOR), 0);
	stub_init(&w->l->stub, bench_page(w->b, MEM), w->refs, depth);
	hv_place(&w->l->stub.slot, &w->img, 1);
	load_begin(w->l);
	serve(w);
	return true;
}

static void end(struct world *w)
{
	bench_free(w->b);
	stub_free(&w->l->stub);
	free(w->l);
	hv_image_free(&w->img);
	close(w->fd);
}

/* The host runs only when it is sent an event, the guest's handler only when it is. */
static void exchange(struct world *w)
{
	if (w->l->notify)
		bench_kick(w->b, PORT);
	w->l->notify = false;
	bench_run(w->b);
	if (w->b->notified[PORT] == w->seen)
		return;
	w->seen = w->b->notified[PORT];
	load_event(w->l);
}

static void finish(struct world *w)
{
	for (int quiet = 0; w->l->inflight && quiet < 3 && !*w->l->bad;) {
		unsigned int before = w->l->ended;

		exchange(w);
		quiet = before == w->l->ended ? quiet + 1 : 0;
	}
	if (w->l->inflight && !*w->l->bad)
		snprintf(w->l->bad, sizeof(w->l->bad), "%u requests never ended", w->l->inflight);
}

/* The file holds what the guest wrote, byte for byte. */
static void compare_file(struct world *w)
{
	static uint8_t got[LOAD_SECTORS * HVDRV_SECTOR];

	ck_assert_int_eq(pread(w->fd, got, sizeof(got), 0), (ssize_t)sizeof(got));
	if (memcmp(got, w->l->disk, sizeof(got)) && !*w->l->bad)
		snprintf(w->l->bad, sizeof(w->l->bad), "the file is not what was written");
}

static void run(struct world *w, unsigned int requests)
{
	while (w->l->ended < requests && !*w->l->bad) {
		load_submit(w->l, 1 + rng_below(&w->l->rng, rng_below(&w->l->rng, 4) ? 8 : w->l->depth));
		exchange(w);
		if (!w->l->notify && w->l->inflight && w->b->notified[PORT] == w->seen)
			finish(w);		/* nobody is told anything and something is in flight: stuck, or nothing to do */
	}
	finish(w);
	compare_file(w);
}

/* More requests than either index holds in 16 bits would take too long here: t-virtq has that. */
START_TEST(verified)
{
	struct world w;

	if (!world(&w, _i & 1, _i & 2 ? 128 : 64, gen_virtio, gen_virtio))
		return;
	run(&w, 3000);
	ck_assert_msg(!*w.l->bad, "%s", w.l->bad);
	ck_assert_uint_ge(w.l->ended, 3000);
	ck_assert_uint_gt(w.l->bytes, 10 << 20);
	ck_assert_uint_eq(wk_dev_find(w.b->wk, 0)->stats.errors, 0);
	ck_assert_uint_eq(stub_call(&w.l->stub, HVDRV_ENTRY_DETACH, 0), 0);
	end(&w);
}
END_TEST

/* While the host holds the queue nothing enters it, and nothing is lost. */
START_TEST(held)
{
	struct world w;
	uint16_t idx;

	if (!world(&w, 0, 64, gen_virtio, gen_virtio))
		return;
	for (int i = 0; i < 50 && !*w.l->bad; i++) {
		const uint8_t *at = w.l->stub.ctx.pages + w.layout.avail + w.layout.avail_idx;

		load_submit(w.l, 1 + rng_below(&w.l->rng, 64));
		w.l->stub.ctx.state->hold = 1;
		memcpy(&idx, at, 2);
		load_submit(w.l, 8);
		ck_assert_mem_eq(&idx, at, 2);
		finish(&w);			/* what is in flight ends all the same */
		w.l->stub.ctx.state->hold = 0;
	}
	ck_assert_uint_gt(w.l->busies, 0);
	run(&w, w.l->ended + 100);
	ck_assert_msg(!*w.l->bad, "%s", w.l->bad);
	end(&w);
}
END_TEST

/* Another worker takes the queue up where the first has left it, again and again: nothing is lost, nothing done twice. */
START_TEST(taken_up)
{
	struct world w;

	if (!world(&w, _i, 64, gen_virtio, gen_virtio))
		return;
	for (int i = 0; i < 100 && !*w.l->bad; i++) {
		load_submit(w.l, 1 + rng_below(&w.l->rng, 64));
		if (rng_below(&w.l->rng, 2))
			exchange(&w);
		bench_run(w.b);
		wk_dev_remove(wk_dev_find(w.b->wk, 0));
		serve(&w);
		bench_kick(w.b, PORT);
		load_event(w.l);		/* a restart tells the guest */
	}
	run(&w, w.l->ended + 100);
	ck_assert_msg(!*w.l->bad, "%s", w.l->bad);
	end(&w);
}
END_TEST

/* ---- the description is the only place ---- */

static const struct {
	const char *what;
	struct gen_change change[5];
} altered[] = {
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

/* The altered driver and a worker that reads the altered description: all data verifies. */
START_TEST(altered_both)
{
	const char *conf = unit_path("altered.conf");
	struct world w;

	gen_conf(conf, gen_virtio, altered[_i].change);
	if (!world(&w, _i & 1, 128, conf, conf))
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

	gen_conf(conf, gen_virtio, altered[_i / 2].change);
	if (!world(&w, 0, 64, driver ? conf : gen_virtio, driver ? gen_virtio : conf))
		return;
	run(&w, 300);
	ck_assert_msg(*w.l->bad, "%s, %s: data moved all the same", altered[_i / 2].what, driver ? "driver" : "worker");
	printf("%s, %s altered: %s\n", altered[_i / 2].what, driver ? "driver" : "worker", w.l->bad);
	end(&w);
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
	struct world w;
	uint16_t idx = _i ? 1 : 0x7f7f;
	uint32_t id = 64;

	if (!world(&w, 0, 64, gen_virtio, gen_virtio))
		return;
	ck_assert_uint_eq(stub_call(&w.l->stub, HVDRV_ENTRY_SUBMIT, 64) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);	/* no such tag */
	ck_assert_uint_eq(stub_call(&w.l->stub, HVDRV_ENTRY_SUBMIT, UINT32_MAX) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);
	load_submit(w.l, 4);
	memcpy(w.l->stub.ctx.pages + w.layout.used + w.layout.used_ring + w.layout.elem_id, &id, 4);	/* one of no tag */
	memcpy(w.l->stub.ctx.pages + w.layout.used + w.layout.used_idx, &idx, 2);			/* or more than were asked for */
	load_event(w.l);
	ck_assert(w.l->stub.dead);
	ck_assert_uint_eq(w.l->ended, 0);
	end(&w);
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
