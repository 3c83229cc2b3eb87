// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that are begun at the host when the driver is replaced: carried over, answered through the new queue. The
 * backend here is the ring server's own code around a disk in memory; it keeps requests and ends them in any order.
 */
#include <sys/mman.h>
#include "gen.h"
#include "load.h"

#define PAGES 12288u
#define MEM 1u
#define DATA 400u
#define L (&hv_blkif_xen)

struct host {
	uint8_t *mem;			/* the guest's pages; page n is granted as n */
	struct hv_blkring ring;
	struct hv_blk_req held[HVDRV_MAX_DEPTH];	/* taken and not answered: the host's own truth */
	unsigned int nheld;
	struct { uint64_t id; enum hvdrv_status st; } unseen[HVDRV_MAX_DEPTH];	/* answered since the guest last looked */
	unsigned int nunseen;
	uint8_t disk[LOAD_SECTORS * HVDRV_SECTOR];
	unsigned int begun, carried;
};

static const struct hv_blkif_limits limits = {
	.sectors = LOAD_SECTORS, .block = 512, .max_segs = HVDRV_MAX_SEGS, .max_bytes = HVDRV_MAX_SEGS * HVDRV_PAGE, .flush = true, .fua = true,
	.discard = true, .write_zeroes = true,
};

static uint8_t *page_of(void *arg, uint32_t ref)
{
	ck_assert_uint_lt(ref, PAGES);
	return ((struct host *)arg)->mem + (size_t)ref * HVDRV_PAGE;
}

static void move_data(struct host *h, const struct hv_blk_req *r)
{
	uint8_t *at = h->disk + r->sector * HVDRV_SECTOR;

	if (r->op == HVDRV_OP_DISCARD || r->op == HVDRV_OP_WRITE_ZEROES)
		memset(at, 0, r->sectors * HVDRV_SECTOR);
	for (int i = 0; i < r->nseg; at += r->seg[i++].len) {
		uint8_t *p = page_of(h, r->seg[i].gref) + r->seg[i].off;

		memcpy(r->op == HVDRV_OP_READ ? p : at, r->op == HVDRV_OP_READ ? at : p, r->seg[i].len);
	}
}

/* Up to n requests out of the ring. */
static void take(struct host *h, uint32_t n)
{
	uint8_t e[HV_BLKIF_ENTRY_MAX];
	uint32_t indirect;
	int got = 1;

	while (n-- && got && h->nheld < HVDRV_MAX_DEPTH) {
		struct hv_blk_req *r = &h->held[h->nheld];

		got = hv_blkring_take(&h->ring, e);
		ck_assert_int_ge(got, 0);
		if (!got)
			return;
		ck_assert_int_eq(hv_blkif_parse(L, &limits, e, r, &indirect), HV_REJ_NONE);
		if (indirect)
			ck_assert_int_eq(hv_blkif_segments(L, &limits, page_of(h, indirect), r), HV_REJ_NONE);
		for (unsigned int i = 0; i < h->nheld; i++)
			ck_assert_uint_ne(h->held[i].id, r->id);	/* begun twice */
		h->nheld++;
		h->begun++;
	}
}

/* Ends up to n of those that it holds, in any order. True: an event to the guest. */
static bool end_some(struct host *h, struct rng *rng, uint32_t n)
{
	while (n-- && h->nheld) {
		uint32_t k = rng_below(rng, h->nheld);

		move_data(h, &h->held[k]);
		hv_blkring_answer(&h->ring, h->held[k].id, h->held[k].opcode, HVDRV_ST_OK);
		h->unseen[h->nunseen].id = h->held[k].id;
		h->unseen[h->nunseen++].st = HVDRV_ST_OK;
		h->held[k] = h->held[--h->nheld];
	}
	return hv_blkring_push(&h->ring);
}

static void guest_event(struct host *h, struct load *l)
{
	load_event(l);
	h->nunseen = 0;
}

/*
 * What a switch does under pause: states from the host's own table, queue and driver memory new. Each BEGUN request
 * has its entry in the new ring already: adopt leaves as many free, and the host begins behind them.
 */
static void replace(struct host *h, struct load *l, const struct hv_image *img)
{
	struct hvdrv_state *st = l->stub.ctx.state;

	for (unsigned int i = 0; i < h->nunseen; i++) {
		struct hvdrv_record *rec = stub_record(&l->stub, HVDRV_HANDLE_TAG(h->unseen[i].id));

		rec->state = HVDRV_REC_DONE;
		rec->status = h->unseen[i].st;
	}
	for (unsigned int i = 0; i < h->nheld; i++)
		stub_record(&l->stub, HVDRV_HANDLE_TAG(h->held[i].id))->state = HVDRV_REC_BEGUN;
	h->nunseen = 0;
	h->carried += h->nheld;
	memset(l->stub.ctx.pages, 0, l->stub.ctx.queue_pages * HVDRV_PAGE);
	hv_place(&l->stub.slot, img, st->generation + 1);
	st->adopt = st->generation;
	hv_blkring_init(&h->ring, L, l->stub.ctx.pages, 2);
	h->ring.req_cons = h->nheld;
}

START_TEST(carried)
{
	struct host *h = calloc(1, sizeof(*h));
	struct load *l = calloc(1, sizeof(*l));
	uint32_t refs[STUB_PAGES(HVDRV_MAX_DEPTH)], depth = _i ? 64 : 32;
	struct hv_image img;
	int times = 0;

	if (!gen_image(gen_device, &img))
		return;
	h->mem = mmap(NULL, PAGES * HVDRV_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (uint32_t i = 0; i < N(refs); i++)
		refs[i] = MEM + i;
	rng_init(&l->rng, "carry");
	*l = (struct load){ .rng = l->rng, .depth = depth, .page = page_of, .arg = h, .first_ref = DATA };
	stub_init(&l->stub, page_of(h, MEM), refs, depth);
	hv_place(&l->stub.slot, &img, 1);
	load_begin(l);
	hv_blkring_init(&h->ring, L, l->stub.ctx.pages, 2);
	while ((l->ended < 20000 || times < 200) && !*l->bad) {
		load_submit(l, rng_below(&l->rng, depth));
		take(h, rng_below(&l->rng, 40));
		if (end_some(h, &l->rng, rng_below(&l->rng, 40)) && rng_below(&l->rng, 4))
			guest_event(h, l);
		if (rng_below(&l->rng, 10))
			continue;
		replace(h, l, &img);
		times++;
		if (rng_below(&l->rng, 2))
			load_submit(l, 2);
		if (rng_below(&l->rng, 2))
			end_some(h, &l->rng, 3);	/* answered before the guest has run at all */
		guest_event(h, l);			/* the kick */
	}
	for (int i = 0; l->inflight && i < 1000 && !*l->bad; i++) {
		take(h, 100);
		end_some(h, &l->rng, 100);
		guest_event(h, l);
	}
	ck_assert_msg(!*l->bad, "%s (after %d replacements, %u requests)", l->bad, times, l->ended);
	ck_assert_uint_eq(l->inflight, 0);
	ck_assert_uint_eq(h->begun, l->ended);		/* none twice, none not at all */
	ck_assert_uint_gt(h->carried, 100);
	ck_assert_mem_eq(h->disk, l->disk, sizeof(h->disk));
	ck_assert_uint_eq(l->stub.adopts, times);
	stub_free(&l->stub);
	munmap(h->mem, PAGES * HVDRV_PAGE);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("carry", NULL);

	unit_loop(s, "carried", carried, 2);
	return s;
}
