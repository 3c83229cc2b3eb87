// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <unistd.h>
#include "drive.h"

#define MEM 1u			/* first page of the queue's memory */
#define DATA 400u

static uint8_t *page_of(void *arg, uint32_t ref)
{
	return bench_page(arg, ref);
}

struct wk_dev *drive_add(struct drive *d, uint32_t ring_pages)
{
	uint32_t ring = MEM + 1 + HVDRV_RECORD_PAGES(d->l->depth);
	struct hv_err e = { 0 };

	ck_assert_msg(!bench_add(d->b, 0, d->path, O_RDWR, &bench_limits, 1, ring_pages, ring, DRIVE_PORT, &e), "%s", e.text);
	return wk_dev_find(d->b->wk, 0);
}

bool drive_new(struct drive *d, const struct drive_format *f, int engine, uint32_t depth, const char *driver, const char *worker)
{
	memset(d, 0, sizeof(*d));
	d->f = f;
	if (!gen_image(driver, &d->img))
		return false;
	f->layout(d, worker);
	d->b = bench_new(engine);
	if (!d->b)
		return false;
	d->l = calloc(1, sizeof(*d->l));
	rng_init(&d->l->rng, f->property);
	d->l->depth = depth;
	d->l->page = page_of;
	d->l->arg = d->b;
	d->l->first_ref = DATA;
	for (uint32_t i = 0; i < N(d->refs); i++)
		d->refs[i] = MEM + i;
	snprintf(d->path, sizeof(d->path), "%s", unit_path("disk"));
	d->fd = open(d->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(d->fd, LOAD_SECTORS * HVDRV_SECTOR), 0);
	stub_init(&d->l->stub, bench_page(d->b, MEM), d->refs, depth);
	hv_place(&d->l->stub.slot, &d->img, 1);
	load_begin(d->l);
	f->serve(d);
	return true;
}

void drive_free(struct drive *d)
{
	bench_free(d->b);
	stub_free(&d->l->stub);
	free(d->l);
	hv_image_free(&d->img);
	close(d->fd);
}

/* The host runs only when it is sent an event, the guest's handler only when it is. */
void drive_exchange(struct drive *d)
{
	if (d->l->notify)
		bench_kick(d->b, DRIVE_PORT);
	d->l->notify = false;
	bench_run(d->b);
	if (d->b->notified[DRIVE_PORT] == d->seen)
		return;
	d->seen = d->b->notified[DRIVE_PORT];
	load_event(d->l);
}

void drive_finish(struct drive *d)
{
	for (int quiet = 0; d->l->inflight && quiet < 3 && !*d->l->bad;) {
		unsigned int before = d->l->ended;

		drive_exchange(d);
		quiet = before == d->l->ended ? quiet + 1 : 0;
	}
	if (d->l->inflight && !*d->l->bad)
		snprintf(d->l->bad, sizeof(d->l->bad), "%u requests never ended", d->l->inflight);
}

void drive_compare(struct drive *d)
{
	static uint8_t got[LOAD_SECTORS * HVDRV_SECTOR];

	ck_assert_int_eq(pread(d->fd, got, sizeof(got), 0), (ssize_t)sizeof(got));
	if (memcmp(got, d->l->disk, sizeof(got)) && !*d->l->bad)
		snprintf(d->l->bad, sizeof(d->l->bad), "the file is not what was written");
}

void drive_run(struct drive *d, unsigned int requests)
{
	while (d->l->ended < requests && !*d->l->bad) {
		load_submit(d->l, 1 + rng_below(&d->l->rng, rng_below(&d->l->rng, 4) ? 8 : d->l->depth));
		drive_exchange(d);
		if (!d->l->notify && d->l->inflight && d->b->notified[DRIVE_PORT] == d->seen)
			drive_finish(d);	/* nobody is told anything and something is in flight: stuck, or nothing to do */
	}
	drive_finish(d);
	drive_compare(d);
}

void drive_verified(const struct drive_format *f, int engine, uint32_t depth)
{
	struct drive d;

	if (!drive_new(&d, f, engine, depth, f->conf, f->conf))
		return;
	drive_run(&d, 3000);
	ck_assert_msg(!*d.l->bad, "%s", d.l->bad);
	ck_assert_uint_ge(d.l->ended, 3000);
	ck_assert_uint_gt(d.l->bytes, 10 << 20);
	ck_assert_uint_eq(wk_dev_find(d.b->wk, 0)->stats.errors, 0);
	ck_assert_uint_eq(stub_call(&d.l->stub, HVDRV_ENTRY_DETACH, 0), 0);
	drive_free(&d);
}

/* While the host holds the queue nothing enters it, and nothing is lost. */
void drive_held(const struct drive_format *f)
{
	struct drive d;
	uint8_t before[4];
	const void *at;
	size_t size;

	if (!drive_new(&d, f, 0, 64, f->conf, f->conf))
		return;
	at = f->posted(&d, &size);
	ck_assert_uint_le(size, sizeof(before));
	for (int i = 0; i < 50 && !*d.l->bad; i++) {
		load_submit(d.l, 1 + rng_below(&d.l->rng, 64));
		d.l->stub.ctx.state->hold = 1;
		memcpy(before, at, size);
		load_submit(d.l, 8);
		ck_assert_mem_eq(before, at, size);
		drive_finish(&d);		/* what is in flight ends all the same */
		d.l->stub.ctx.state->hold = 0;
	}
	ck_assert_uint_gt(d.l->busies, 0);
	drive_run(&d, d.l->ended + 100);
	ck_assert_msg(!*d.l->bad, "%s", d.l->bad);
	drive_free(&d);
}

/* The altered driver and a worker that reads the altered description: all data verifies. */
void drive_altered_both(const struct drive_format *f, const struct drive_altered *a, int engine)
{
	const char *conf = unit_path("altered.conf");
	struct drive d;

	gen_conf(conf, f->conf, a->change);
	if (!drive_new(&d, f, engine, 128, conf, conf))
		return;
	drive_run(&d, 1000);
	ck_assert_msg(!*d.l->bad, "%s: %s", a->what, d.l->bad);
	ck_assert_uint_ge(d.l->ended, 1000);
	drive_free(&d);
}

/* One side altered, whichever: it must be seen. */
void drive_altered_one(const struct drive_format *f, const struct drive_altered *a, bool driver)
{
	const char *conf = unit_path("altered.conf");
	struct drive d;

	gen_conf(conf, f->conf, a->change);
	if (!drive_new(&d, f, 0, 64, driver ? conf : f->conf, driver ? f->conf : conf))
		return;
	drive_run(&d, 300);
	ck_assert_msg(*d.l->bad, "%s, %s: data moved all the same", a->what, driver ? "driver" : "worker");
	printf("%s, %s altered: %s\n", a->what, driver ? "driver" : "worker", d.l->bad);
	drive_free(&d);
}
