// SPDX-License-Identifier: GPL-2.0-only
#include <sys/mman.h>
#include "ramdisk.h"

static const struct hv_blkif_limits limits = {
	.sectors = LOAD_SECTORS, .block = 512, .max_segs = HVDRV_MAX_SEGS, .max_bytes = HVDRV_MAX_SEGS * HVDRV_PAGE, .flush = true, .fua = true,
	.discard = true, .write_zeroes = true,
};

static uint8_t *page_of(void *arg, uint32_t ref)
{
	ck_assert_uint_lt(ref, RAMDISK_PAGES);
	return ((struct ramdisk *)arg)->mem + (size_t)ref * HVDRV_PAGE;
}

static bool granted(uint32_t ref)
{
	return ref && ref < RAMDISK_PAGES;
}

/* A new queue, with so many requests begun: the entry of each is there already, and the host begins behind them. */
static void serve(struct ramdisk *d, struct ramdisk_format f)
{
	struct hvdrv_ctx *ctx = &d->load.stub.ctx;

	d->f = f;
	if (f.nvme) {
		hv_nvmeq_init(&d->nvmeq, f.nvme, ctx->pages, ctx->state, d->nheld);
		return;
	}
	if (f.virtq) {
		hv_virtq_renew(&d->virtq, f.virtq, ctx->pages, ctx->queue_pages, d->nheld);
		return;
	}
	hv_blkring_renew(&d->ring, f.blkif, ctx->pages, 2, d->nheld);
}

struct ramdisk *ramdisk_new(const struct hv_image *img, struct ramdisk_format f, uint32_t depth, const char *property)
{
	struct ramdisk *d = calloc(1, sizeof(*d));

	d->mem = mmap(NULL, RAMDISK_PAGES * HVDRV_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (uint32_t i = 0; i < N(d->refs); i++)
		d->refs[i] = RAMDISK_QUEUE + i;
	rng_init(&d->load.rng, property);
	d->load.depth = depth;
	d->load.page = page_of;
	d->load.arg = d;
	d->load.first_ref = RAMDISK_DATA;
	d->load.joined = true;
	stub_init(&d->load.stub, page_of(d, RAMDISK_QUEUE), d->refs, depth);
	hv_place(&d->load.stub.slot, img, 1);
	load_begin(&d->load);
	serve(d, f);
	return d;
}

void ramdisk_free(struct ramdisk *d)
{
	stub_free(&d->load.stub);
	munmap(d->mem, RAMDISK_PAGES * HVDRV_PAGE);
	free(d);
}

static void answer(struct ramdisk *d, const struct hv_blk_req *r, enum hvdrv_status st)
{
	if (d->f.nvme)
		hv_nvmeq_answer(&d->nvmeq, r->id, st);
	else if (d->f.virtq)
		hv_virtq_answer(&d->virtq, r, st);
	else
		hv_blkring_answer(&d->ring, r->id, r->opcode, st);
	ck_assert_uint_lt(d->nunseen, N(d->unseen));
	d->unseen[d->nunseen].id = r->id;
	d->unseen[d->nunseen++].st = st;
}

/* The next entry, whole. 1: taken; 0: none; -1: refused. */
static int take_nvme(struct ramdisk *d, struct hv_blk_req *r)
{
	uint8_t e[HV_NVME_COMMAND];
	struct hv_blk_fetch f;
	int got = hv_nvmeq_take(&d->nvmeq, e);
	enum hv_reject why;

	d->broken |= got < 0;
	if (got <= 0)
		return 0;
	why = hv_nvme_parse(d->f.nvme, &limits, e, r, &f);
	if (!why && f.len)
		why = granted(f.gref) ? hv_nvme_fetched(d->f.nvme, &limits, page_of(d, f.gref), r) : HV_REJ_INDIRECT_PAGE;
	return why ? -1 : 1;
}

static int take_virtq(struct ramdisk *d, struct hv_blk_req *r)
{
	uint8_t e[HV_VIRTQ_ENTRY];
	struct hv_blk_fetch f;
	int got = hv_virtq_take(&d->virtq, e);
	enum hv_reject why;

	d->broken |= got < 0;
	if (got <= 0)
		return 0;
	why = hv_virtq_parse(d->f.virtq, e, r, &f);
	if (!why)
		why = granted(f.gref) ? hv_virtq_fetched(d->f.virtq, &limits, page_of(d, f.gref), r) : HV_REJ_INDIRECT_PAGE;
	return why ? -1 : 1;
}

static int take_blkif(struct ramdisk *d, struct hv_blk_req *r)
{
	uint8_t e[HV_BLKIF_ENTRY_MAX];
	uint32_t indirect;
	int got = hv_blkring_take(&d->ring, e);
	enum hv_reject why;

	d->broken |= got < 0;
	if (got <= 0)
		return 0;
	why = hv_blkif_parse(d->f.blkif, &limits, e, r, &indirect);
	if (!why && indirect)
		why = granted(indirect) ? hv_blkif_segments(d->f.blkif, &limits, page_of(d, indirect), r) : HV_REJ_INDIRECT_PAGE;
	return why ? -1 : 1;
}

void ramdisk_take(struct ramdisk *d, uint32_t n)
{
	int got = 1;

	while (n-- && got && !d->broken && d->nheld < HVDRV_MAX_DEPTH) {
		struct hv_blk_req *r = &d->held[d->nheld];

		got = d->f.nvme ? take_nvme(d, r) : d->f.virtq ? take_virtq(d, r) : take_blkif(d, r);
		if (got < 0) {
			d->refused++;
			answer(d, r, HVDRV_ST_IOERR);
		}
		if (got <= 0)
			continue;
		for (unsigned int i = 0; i < d->nheld; i++)
			d->twice += d->held[i].id == r->id;
		d->nheld++;
		d->begun++;
	}
}

static enum hvdrv_status move_data(struct ramdisk *d, const struct hv_blk_req *r)
{
	uint8_t *at = d->disk + r->sector * HVDRV_SECTOR;

	if (r->op == HVDRV_OP_DISCARD || r->op == HVDRV_OP_WRITE_ZEROES)
		memset(at, 0, r->sectors * HVDRV_SECTOR);
	for (int i = 0; i < r->nseg; at += r->seg[i++].len) {
		uint8_t *p;

		if (!granted(r->seg[i].gref))
			return HVDRV_ST_IOERR;
		p = page_of(d, r->seg[i].gref) + r->seg[i].off;
		memcpy(r->op == HVDRV_OP_READ ? p : at, r->op == HVDRV_OP_READ ? at : p, r->seg[i].len);
	}
	return HVDRV_ST_OK;
}

bool ramdisk_end(struct ramdisk *d, uint32_t n)
{
	while (n-- && d->nheld) {
		uint32_t k = rng_below(&d->load.rng, d->nheld);

		answer(d, &d->held[k], move_data(d, &d->held[k]));
		d->held[k] = d->held[--d->nheld];
	}
	if (d->f.virtq)
		return hv_virtq_push(&d->virtq);
	return d->f.nvme ? hv_nvmeq_push(&d->nvmeq) : hv_blkring_push(&d->ring);
}

bool ramdisk_arm(struct ramdisk *d)
{
	if (d->f.virtq)
		return hv_virtq_arm(&d->virtq);
	return d->f.nvme ? hv_nvmeq_arm(&d->nvmeq) : hv_blkring_arm(&d->ring);
}

void ramdisk_event(struct ramdisk *d)
{
	load_event(&d->load);
	d->nunseen = 0;
}

void ramdisk_replace(struct ramdisk *d, const struct hv_image *img, struct ramdisk_format f)
{
	struct stub *s = &d->load.stub;
	struct hvdrv_state *st = s->ctx.state;

	ck_assert_uint_eq(st->inside, 0);
	for (unsigned int i = 0; i < d->nunseen; i++) {
		struct hvdrv_record *rec = stub_record(s, HVDRV_HANDLE_TAG(d->unseen[i].id));

		rec->state = HVDRV_REC_DONE;
		rec->status = d->unseen[i].st;
	}
	for (unsigned int i = 0; i < d->nheld; i++)
		stub_record(s, HVDRV_HANDLE_TAG(d->held[i].id))->state = HVDRV_REC_BEGUN;
	d->nunseen = 0;
	d->carried += d->nheld;
	memset(s->ctx.pages, 0, 2 * HVDRV_PAGE);
	if (f.blkif)
		hv_blkring_prepare(f.blkif, s->ctx.pages, d->nheld);
	if (f.virtq)
		hv_virtq_prepare(f.virtq, s->ctx.pages, d->nheld);
	hv_place(&s->slot, img, st->generation + 1);
	st->adopt = st->generation;
	st->hold = 0;
	serve(d, f);
}
