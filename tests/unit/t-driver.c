// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key test: a really generated driver, executed here, against the worker's own code; and one from a description
 * in which offsets and numbers are changed, against a backend that reads the changed description. Data must verify.
 * Against a backend of another description it must not: then the layout stands in the description and nowhere else.
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
	struct hv_blkif_layout layout;
	uint32_t refs[STUB_PAGES(HVDRV_MAX_DEPTH)];
	char path[300];
	int fd;
	uint32_t seen;		/* events to the guest that it has handled */
};

static uint8_t *page_of(void *arg, uint32_t ref)
{
	return bench_page(arg, ref);
}

/* The worker takes up the ring where it is, with the layout of this world. */
static void serve(struct world *w)
{
	uint32_t ring = MEM + 1 + HVDRV_RECORD_PAGES(w->l->depth);
	struct hv_err e = { 0 };
	struct wk_queue *q;

	w->b->more = rng_below(&w->l->rng, 2) * w->l->depth;	/* pages of segments: mapped, or copied each time */
	ck_assert_msg(!bench_add(w->b, 0, w->path, O_RDWR, &bench_limits, 1, 2, ring, PORT, &e), "%s", e.text);
	wk_dev_find(w->b->wk, 0)->layout = &w->layout;
	q = &wk_dev_find(w->b->wk, 0)->queue[0];
	hv_blkring_init(&q->ring, &w->layout, q->map, 2);
}

static bool world(struct world *w, int engine, uint32_t depth, const char *driver, const char *backend)
{
	memset(w, 0, sizeof(*w));
	if (!gen_image(driver, &w->img))
		return false;
	gen_layout(backend, &w->layout);
	w->b = bench_new(engine);
	if (!w->b)
		return false;
	w->l = calloc(1, sizeof(*w->l));
	rng_init(&w->l->rng, "driver");
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

/* Depth 128 on a ring of 64 entries: the driver keeps what does not fit. */
START_TEST(verified)
{
	struct world w;

	if (!world(&w, _i & 1, _i & 2 ? 128 : 64, gen_device, gen_device))
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
	uint32_t prod;

	if (!world(&w, 0, 64, gen_device, gen_device))
		return;
	for (int i = 0; i < 50 && !*w.l->bad; i++) {
		load_submit(w.l, 1 + rng_below(&w.l->rng, 64));
		w.l->stub.ctx.state->hold = 1;
		memcpy(&prod, w.l->stub.ctx.pages + w.layout.req_prod, 4);
		load_submit(w.l, 8);
		ck_assert_mem_eq(&prod, w.l->stub.ctx.pages + w.layout.req_prod, 4);
		finish(&w);			/* what is in flight ends all the same */
		w.l->stub.ctx.state->hold = 0;
	}
	ck_assert_uint_gt(w.l->busies, 0);
	run(&w, w.l->ended + 100);
	ck_assert_msg(!*w.l->bad, "%s", w.l->bad);
	end(&w);
}
END_TEST

/* Answers that the guest has not seen yet, from the ring's end that the driver has consumed. */
static void mark_done(struct world *w, uint32_t from, uint32_t to)
{
	for (; from != to; from++) {
		const uint8_t *e = w->l->stub.ctx.pages + w->layout.first + (from & 63) * w->layout.stride;
		struct hvdrv_record *rec;
		uint64_t handle;
		int16_t st;

		memcpy(&handle, e + w->layout.rsp_id, 8);
		memcpy(&st, e + w->layout.rsp_status, 2);
		rec = stub_record(&w->l->stub, HVDRV_HANDLE_TAG(handle));
		ck_assert_uint_eq(rec->handle, handle);
		rec->state = HVDRV_REC_DONE;
		rec->status = st == w->layout.st_ok ? HVDRV_ST_OK : HVDRV_ST_IOERR;
	}
}

/* The host replaces the driver: the worker ends what it has begun, answers may be unseen, the rest was never taken. */
static void replace(struct world *w, const struct hv_image *img, const struct hv_blkif_layout *l)
{
	struct hvdrv_state *st = w->l->stub.ctx.state;
	uint32_t consumed = w->l->stub.ctx.state->drv[4] | w->l->stub.ctx.state->drv[5] << 8 | w->l->stub.ctx.state->drv[6] << 16 |
			    (uint32_t)w->l->stub.ctx.state->drv[7] << 24, answered;
	struct wk_dev *d = wk_dev_find(w->b->wk, 0);

	ck_assert_uint_eq(st->inside, 0);
	answered = d->queue[0].ring.rsp_prod;
	wk_dev_remove(d);
	mark_done(w, consumed, answered);
	memset(w->l->stub.ctx.pages, 0, w->l->stub.ctx.queue_pages * HVDRV_PAGE);
	hv_place(&w->l->stub.slot, img, st->generation + 1);
	w->layout = *l;
	st->adopt = st->generation;
	st->hold = 0;
	serve(w);
}

/* Replaced again and again under load, in turn by one with another layout: nothing is lost, doubled or changed. */
START_TEST(replaced)
{
	static const struct gen_change changes[] = {
		{ "gref      = { at = 0;", "gref      = { at = 4;" }, { "first     = { at = 4;", "first     = { at = 0;" },
		{ "last      = { at = 5;", "last      = { at = 1;" }, { "read         = 0;", "read         = 7;" }, { NULL, NULL }
	};
	struct hv_blkif_layout layout[2];
	struct hv_image other;
	struct world w;
	int times = 0;

	gen_conf(unit_path("other.conf"), gen_device, changes);
	if (!world(&w, _i & 1, _i & 2 ? 128 : 64, gen_device, gen_device))
		return;
	ck_assert(gen_image(unit_path("other.conf"), &other));
	layout[0] = w.layout;
	gen_layout(unit_path("other.conf"), &layout[1]);
	while (w.l->ended < 3000 && !*w.l->bad) {
		bool served = rng_below(&w.l->rng, 2), seen = rng_below(&w.l->rng, 2);

		load_submit(w.l, 1 + rng_below(&w.l->rng, w.l->depth));
		if (served) {
			bench_kick(w.b, PORT);
			bench_run(w.b);
		}
		if (served && seen)
			load_event(w.l);
		load_submit(w.l, rng_below(&w.l->rng, 4));
		w.l->stub.ctx.state->hold = 1;
		times++;
		replace(&w, times & 1 ? &other : &w.img, &layout[times & 1]);
		if (rng_below(&w.l->rng, 2))
			load_submit(w.l, 3);		/* another entry than complete may be the first */
		load_event(w.l);			/* the kick */
		w.seen = w.b->notified[PORT];
		if (rng_below(&w.l->rng, 2))
			exchange(&w);
	}
	finish(&w);
	compare_file(&w);
	ck_assert_msg(!*w.l->bad, "%s (after %d replacements, %u requests)", w.l->bad, times, w.l->ended);
	ck_assert_int_gt(times, 20);
	ck_assert_uint_eq(w.l->stub.adopts, times);
	end(&w);
}
END_TEST

/* ---- the description is the only place ---- */

static const struct {
	const char *what;
	struct gen_change change[8];
} altered[] = {
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

/* The altered driver and a backend that reads the altered description: all data verifies. */
START_TEST(altered_both)
{
	const char *conf = unit_path("altered.conf");
	struct world w;

	gen_conf(conf, gen_device, altered[_i].change);
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

	gen_conf(conf, gen_device, altered[_i / 2].change);
	if (!world(&w, 0, 64, driver ? conf : gen_device, driver ? gen_device : conf))
		return;
	run(&w, 300);
	ck_assert_msg(*w.l->bad, "%s, %s: data moved all the same", altered[_i / 2].what, driver ? "driver" : "backend");
	printf("%s, %s altered: %s\n", altered[_i / 2].what, driver ? "driver" : "backend", w.l->bad);
	end(&w);
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
	struct world w;

	if (!world(&w, 0, 64, gen_device, gen_device))
		return;
	ck_assert_uint_eq(stub_call(&w.l->stub, HVDRV_ENTRY_SUBMIT, 64) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);	/* no such tag */
	ck_assert_uint_eq(stub_call(&w.l->stub, HVDRV_ENTRY_SUBMIT, UINT32_MAX) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);
	load_submit(w.l, 4);
	memset(w.l->stub.ctx.pages + w.layout.rsp_prod, 0x7f, 4);	/* more answers than requests */
	load_event(w.l);
	ck_assert(w.l->stub.dead);
	ck_assert_uint_eq(w.l->ended, 0);
	end(&w);
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
