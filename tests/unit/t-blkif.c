// SPDX-License-Identifier: GPL-2.0-only
/* What a guest may write into the block ring, and what it may not. */
#include "front.h"
#include "unit.h"

#define L (&hv_blkif_xen)
#define OP(x) (hv_blkif_xen.op_##x)

static const struct hv_blkif_limits limits = {
	.sectors = 1000, .block = 512, .max_segs = HVDRV_MAX_SEGS, .max_bytes = HVDRV_MAX_SEGS * HVDRV_PAGE, .flush = true, .fua = true,
	.discard = true, .write_zeroes = true,
};

enum kind { DIRECT, INDIRECT, RANGE };

struct row {
	const char *what;
	enum kind kind;
	uint8_t op;
	uint64_t sector, sectors;	/* sectors: of a range */
	int nseg;
	struct front_seg seg[3];	/* those behind the third are whole pages */
	enum hv_reject want;
	void (*limit)(struct hv_blkif_limits *l);
};

static void read_only(struct hv_blkif_limits *l) { l->read_only = true; }
static void block_4k(struct hv_blkif_limits *l) { l->block = 4096; }
static void bare(struct hv_blkif_limits *l) { l->flush = l->fua = l->discard = l->write_zeroes = false; }
static void two_segs(struct hv_blkif_limits *l) { l->max_segs = 2; }
static void one_page(struct hv_blkif_limits *l) { l->max_bytes = 4096; }
static void huge(struct hv_blkif_limits *l) { l->sectors = UINT64_MAX; }

#define PAGE1 { { 9, 0, 7 } }
static struct row rows[] = {
	{ "read", DIRECT, 0, 0, 0, 1, PAGE1 }, { "write", DIRECT, 1, 992, 0, 1, PAGE1 }, { "write fua", DIRECT, 65, 0, 0, 1, PAGE1 },
	{ "one sector", DIRECT, 0, 999, 0, 1, { { 9, 7, 7 } } }, { "read of a read-only disk", DIRECT, 0, 0, 0, 1, PAGE1, HV_REJ_NONE, read_only },
	{ "11 segments", DIRECT, 0, 0, 0, 11, PAGE1 }, { "flush", RANGE, 3, 0, 0 }, { "discard", RANGE, 5, 1, 999 }, { "zeroes", RANGE, 64, 0, 1000 },
	{ "indirect", INDIRECT, 0, 0, 0, 63, PAGE1 }, { "indirect of one", INDIRECT, 1, 0, 0, 1, PAGE1 }, { "4k", DIRECT, 0, 8, 0, 1, PAGE1, HV_REJ_NONE, block_4k },
	{ "gref 0 is a number as any", DIRECT, 0, 0, 0, 1, { { 0, 0, 7 } } },

	{ "no such opcode", DIRECT, 2, 0, 0, 1, PAGE1, HV_REJ_OPCODE }, { "opcode 255", DIRECT, 255, 0, 0, 1, PAGE1, HV_REJ_OPCODE },
	{ "barrier, of old", DIRECT, 4, 0, 0, 1, PAGE1, HV_REJ_OPCODE }, { "flush not offered", RANGE, 3, 0, 0, 0, { { 0 } }, HV_REJ_OPCODE, bare },
	{ "fua not offered", DIRECT, 65, 0, 0, 1, PAGE1, HV_REJ_OPCODE, bare }, { "discard not offered", RANGE, 5, 0, 8, 0, { { 0 } }, HV_REJ_OPCODE, bare },
	{ "zeroes not offered", RANGE, 64, 0, 8, 0, { { 0 } }, HV_REJ_OPCODE, bare },
	{ "no segment", DIRECT, 0, 0, 0, 0, PAGE1, HV_REJ_SEGMENTS }, { "12 segments", DIRECT, 0, 0, 0, 12, PAGE1, HV_REJ_SEGMENTS },
	{ "255 segments", DIRECT, 0, 0, 0, 255, PAGE1, HV_REJ_SEGMENTS }, { "indirect of none", INDIRECT, 0, 0, 0, 0, PAGE1, HV_REJ_SEGMENTS },
	{ "indirect of 64", INDIRECT, 0, 0, 0, 64, PAGE1, HV_REJ_SEGMENTS }, { "indirect of 65535", INDIRECT, 0, 0, 0, 65535, PAGE1, HV_REJ_SEGMENTS },
	{ "more than the limit", INDIRECT, 0, 0, 0, 3, PAGE1, HV_REJ_SEGMENTS, two_segs }, { "more bytes than the limit", DIRECT, 0, 0, 0, 2, PAGE1, HV_REJ_SEGMENTS, one_page },
	{ "ends before it begins", DIRECT, 0, 0, 0, 1, { { 9, 4, 3 } }, HV_REJ_SEGMENT }, { "leaves its page", DIRECT, 0, 0, 0, 1, { { 9, 0, 8 } }, HV_REJ_SEGMENT },
	{ "far off its page", DIRECT, 0, 0, 0, 1, { { 9, 255, 255 } }, HV_REJ_SEGMENT }, { "the second", DIRECT, 0, 0, 0, 2, { { 9, 0, 7 }, { 9, 1, 0 } }, HV_REJ_SEGMENT },
	{ "in indirect", INDIRECT, 0, 0, 0, 20, { { 9, 0, 7 }, { 9, 0, 7 }, { 9, 0, 200 } }, HV_REJ_SEGMENT },
	{ "beyond the end", DIRECT, 0, 1000, 0, 1, PAGE1, HV_REJ_RANGE }, { "over the end", DIRECT, 1, 993, 0, 1, PAGE1, HV_REJ_RANGE },
	{ "wraps around", DIRECT, 1, UINT64_MAX - 3, 0, 1, PAGE1, HV_REJ_RANGE }, { "wraps on a huge disk", DIRECT, 1, UINT64_MAX - 3, 0, 1, PAGE1, HV_REJ_RANGE, huge },
	{ "empty discard", RANGE, 5, 0, 0, 0, { { 0 } }, HV_REJ_RANGE }, { "discard beyond", RANGE, 5, 1, 1000, 0, { { 0 } }, HV_REJ_RANGE },
	{ "zeroes wrap", RANGE, 64, 2, UINT64_MAX, 0, { { 0 } }, HV_REJ_RANGE }, { "discard all and more", RANGE, 5, UINT64_MAX, 2, 0, { { 0 } }, HV_REJ_RANGE },
	{ "indirect beyond", INDIRECT, 1, 999, 0, 1, PAGE1, HV_REJ_RANGE },
	{ "sector in a 4k block", DIRECT, 0, 1, 0, 1, PAGE1, HV_REJ_ALIGN, block_4k }, { "part of a 4k block", DIRECT, 0, 0, 0, 1, { { 9, 0, 6 } }, HV_REJ_ALIGN, block_4k },
	{ "discard of a part", RANGE, 5, 0, 7, 0, { { 0 } }, HV_REJ_ALIGN, block_4k },
	{ "write to read-only", DIRECT, 1, 0, 0, 1, PAGE1, HV_REJ_READ_ONLY, read_only }, { "fua to read-only", DIRECT, 65, 0, 0, 1, PAGE1, HV_REJ_READ_ONLY, read_only },
	{ "discard of read-only", RANGE, 5, 0, 8, 0, { { 0 } }, HV_REJ_READ_ONLY, read_only }, { "zeroes to read-only", RANGE, 64, 0, 8, 0, { { 0 } }, HV_REJ_READ_ONLY, read_only },
	{ "indirect write to read-only", INDIRECT, 1, 0, 0, 1, PAGE1, HV_REJ_READ_ONLY, read_only },
	{ "indirect flush", INDIRECT, 3, 0, 0, 1, PAGE1, HV_REJ_INDIRECT }, { "indirect of indirect", INDIRECT, 6, 0, 0, 1, PAGE1, HV_REJ_INDIRECT },
	{ "indirect discard", INDIRECT, 5, 0, 0, 1, PAGE1, HV_REJ_INDIRECT },
};

static enum hv_reject judge(const struct row *r, struct hv_blk_req *req)
{
	struct hv_blkif_limits lim = limits;
	struct front_seg seg[256];
	uint8_t e[HV_BLKIF_ENTRY_MAX], page[HVDRV_PAGE];
	uint32_t indirect;
	enum hv_reject rej;

	if (r->limit)
		r->limit(&lim);
	for (int i = 0; i < 256; i++)
		seg[i] = i < 3 && r->seg[i].gref + r->seg[i].first + r->seg[i].last ? r->seg[i] : (struct front_seg){ 100 + i, 0, 7 };
	memset(req, 0x5a, sizeof(*req));
	if (r->kind == DIRECT)
		front_direct(L, e, r->op, 0x1122334455667788, r->sector, seg, r->nseg);
	else if (r->kind == INDIRECT)
		front_indirect(L, e, r->op, 0x1122334455667788, r->sector, 77, r->nseg);
	else
		front_range(L, e, r->op, 0x1122334455667788, r->sector, r->sectors);
	rej = hv_blkif_parse(L, &lim, e, req, &indirect);
	if (rej || !indirect)
		return rej;
	ck_assert_uint_eq(indirect, 77);
	front_segs(L, page, seg, r->nseg);
	return hv_blkif_segments(L, &lim, page, req);
}

START_TEST(request)
{
	const struct row *r = &rows[_i];
	struct hv_blk_req req;
	enum hv_reject rej = judge(r, &req);
	uint64_t bytes = 0;

	ck_assert_msg(rej == r->want, "%s: %s, not %s", r->what, hv_reject_name(rej), hv_reject_name(r->want));
	ck_assert_uint_eq(req.id, 0x1122334455667788);		/* answered to whoever asked, also when refused */
	ck_assert_uint_eq(req.opcode, r->kind == INDIRECT ? OP(indirect) : r->op);
	if (rej)
		return;
	ck_assert_uint_eq(req.nseg, r->nseg);
	ck_assert_uint_eq(req.sector, r->op == OP(flush) ? 0 : r->sector);
	for (int i = 0; i < req.nseg; i++)
		bytes += req.seg[i].len;
	ck_assert_uint_eq(bytes, r->kind == RANGE ? 0 : req.sectors * HVDRV_SECTOR);
	ck_assert_int_eq(req.fua, r->op == OP(write_fua));
}
END_TEST

/* Each reason that parsing can give has its row, and a name of its own. */
START_TEST(every_reason)
{
	for (int rej = HV_REJ_NONE; rej < HV_REJECTS; rej++) {
		bool has = rej == HV_REJ_INDIRECT_PAGE || rej == HV_REJ_DATA_PAGE || rej == HV_REJ_RING ||	/* t-serve.c */
			   rej == HV_REJ_NAMESPACE;						/* t-nvme.c */

		for (size_t i = 0; i < N(rows); i++)
			has |= rows[i].want == (enum hv_reject)rej;
		ck_assert_msg(has, "no row for %s", hv_reject_name(rej));
		ck_assert_str_ne(hv_reject_name(rej), "?");
		for (int other = 0; other < rej; other++)
			ck_assert_str_ne(hv_reject_name(rej), hv_reject_name(other));
	}
	ck_assert_str_eq(hv_reject_name(HV_REJECTS), "?");
}
END_TEST

START_TEST(indirect_page)
{
	uint8_t e[HV_BLKIF_ENTRY_MAX];
	struct hv_blk_req r;
	uint32_t indirect;

	front_indirect(L, e, OP(read), 1, 0, 0, 5);
	ck_assert_int_eq(hv_blkif_parse(L, &limits, e, &r, &indirect), HV_REJ_INDIRECT_PAGE);
	ck_assert_uint_eq(indirect, 0);
}
END_TEST

/* Any bytes: what is let through keeps every promise that the rest of the way relies on. */
START_TEST(random_entries)
{
	static const uint8_t ops[] = { 0, 1, 3, 5, 6, 64, 65 };
	struct rng rng;
	unsigned int through = 0;

	rng_init(&rng, "blkif entries");
	for (int round = 0; round < 300000; round++) {
		uint8_t e[HV_BLKIF_ENTRY_MAX], page[HVDRV_PAGE];
		struct hv_blkif_limits lim = limits;
		struct hv_blk_req r;
		uint32_t indirect;
		uint64_t bytes = 0;

		lim.block = rng_below(&rng, 2) ? 512 : 4096;
		lim.read_only = !rng_below(&rng, 4);
		lim.max_segs = 1 + rng_below(&rng, 100);	/* more than hvdrv's own limit: that holds as well */
		rng_fill(&rng, e, sizeof(e));
		e[0] = rng_below(&rng, 8) ? ops[rng_below(&rng, N(ops))] : e[0];
		if (rng_below(&rng, 2)) {			/* plausible */
			e[1] = rng_below(&rng, 14);
			memset(e + 4, 0, 4);
			e[2] = rng_below(&rng, 70);
			e[3] = 0;
			memset(e + 18, 0, 6);
			memset(e + 26, 0, 6);
		}
		for (int i = 0; i < 11; i++)
			if (rng_below(&rng, 2))
				e[24 + 8 * i + 4] %= 8, e[24 + 8 * i + 5] %= 9;
		rng_fill(&rng, page, sizeof(page));
		for (int i = 0; i < 64; i++)
			page[8 * i + 4] = 0, page[8 * i + 5] = rng_below(&rng, 8) + (rng_below(&rng, 200) == 0);
		if (hv_blkif_parse(L, &lim, e, &r, &indirect))
			continue;
		if (indirect) {
			ck_assert_uint_le(r.nseg, HVDRV_MAX_SEGS);
			if (hv_blkif_segments(L, &lim, page, &r))
				continue;
		}
		through++;
		ck_assert_int_lt(r.op, HVDRV_OPS);
		if (r.op == HVDRV_OP_FLUSH)
			continue;
		ck_assert(r.sectors && r.sector < lim.sectors && r.sectors <= lim.sectors - r.sector);
		ck_assert_uint_eq((r.sector | r.sectors) % (lim.block / 512), 0);
		ck_assert(!lim.read_only || r.op == HVDRV_OP_READ);
		for (int i = 0; i < r.nseg; i++) {
			ck_assert(r.seg[i].len && r.seg[i].off + r.seg[i].len <= HVDRV_PAGE);
			bytes += r.seg[i].len;
		}
		if (r.op == HVDRV_OP_READ || r.op == HVDRV_OP_WRITE) {
			ck_assert(r.nseg && r.nseg <= HVDRV_MAX_SEGS && r.nseg <= (indirect ? lim.max_segs : 11));
			ck_assert_uint_eq(bytes, r.sectors * 512);
			ck_assert_uint_le(bytes, lim.max_bytes);
		}
	}
	ck_assert_uint_gt(through, 1000);
}
END_TEST

/* ---- the ring ---- */

static uint8_t mem[2 * HVDRV_PAGE];

START_TEST(entries)
{
	ck_assert_uint_eq(hv_blkring_entries(L, 1), 32);	/* as Xen's __RING_SIZE */
	ck_assert_uint_eq(hv_blkring_entries(L, 2), 64);
	ck_assert_uint_eq(hv_blkring_entries(L, 4), 128);
}
END_TEST

/* As many as the ring holds, not one more; and never backwards. */
START_TEST(ring_index)
{
	uint8_t e[HV_BLKIF_ENTRY_MAX];
	struct hv_blkring r;
	uint32_t base = _i ? UINT32_MAX - 5 : 0;		/* also where it wraps around */

	front_set(mem, L->rsp_prod, base);
	front_set(mem, L->req_prod, base);
	hv_blkring_init(&r, L, mem, 2);
	ck_assert_int_eq(hv_blkring_take(&r, e), 0);
	front_set(mem, L->req_prod, base + 65);
	ck_assert_int_eq(hv_blkring_take(&r, e), -1);
	front_set(mem, L->req_prod, base - 1);
	ck_assert_int_eq(hv_blkring_take(&r, e), -1);
	front_set(mem, L->req_prod, base + 64);
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(hv_blkring_take(&r, e), 1);
	ck_assert_int_eq(hv_blkring_take(&r, e), 0);
	front_set(mem, L->req_prod, base + 65);			/* none is answered yet */
	ck_assert_int_eq(hv_blkring_take(&r, e), -1);
	hv_blkring_answer(&r, 1, 0, HVDRV_ST_OK);
	ck_assert_int_eq(hv_blkring_take(&r, e), 1);
	/* behind what was taken, ahead of what was answered: entries that are not there */
	front_set(mem, L->req_prod, base + 40);
	ck_assert_int_eq(hv_blkring_take(&r, e), -1);
}
END_TEST

START_TEST(events)
{
	uint8_t e[HV_BLKIF_ENTRY_MAX];
	struct hv_blkring r;
	struct front f;

	front_init(&f, L, mem, 2);
	hv_blkring_init(&r, L, mem, 2);
	ck_assert(!hv_blkring_push(&r));			/* nothing to tell */
	ck_assert(!hv_blkring_arm(&r));
	ck_assert_uint_eq(front_get(mem, L->req_event), 1);
	front_range(L, front_next(&f), OP(flush), 5, 0, 0);
	front_show(&f);
	ck_assert(hv_blkring_arm(&r));				/* one is there: no event will come for it */
	ck_assert_int_eq(hv_blkring_take(&r, e), 1);
	ck_assert(!hv_blkring_arm(&r));
	ck_assert_uint_eq(front_get(mem, L->req_event), 2);
	hv_blkring_answer(&r, 5, OP(flush), HVDRV_ST_OK);
	ck_assert_uint_eq(front_get(mem, L->rsp_prod), 0);	/* not before the push */
	ck_assert(hv_blkring_push(&r));				/* the guest asked for the first */
	ck_assert_uint_eq(front_get(mem, L->rsp_prod), 1);
	ck_assert(!hv_blkring_push(&r));
	hv_blkring_answer(&r, 6, OP(flush), HVDRV_ST_OK);
	ck_assert(!hv_blkring_push(&r));			/* it has not asked again */
	front_set(mem, L->rsp_event, 4);
	hv_blkring_answer(&r, 7, OP(flush), HVDRV_ST_OK);
	hv_blkring_answer(&r, 8, OP(flush), HVDRV_ST_OK);
	ck_assert(hv_blkring_push(&r));				/* passes 4 */
}
END_TEST

START_TEST(statuses)
{
	static const struct { enum hvdrv_status st; int code; } all[] = {
		{ HVDRV_ST_OK, 0 }, { HVDRV_ST_IOERR, -1 }, { HVDRV_ST_UNSUPPORTED, -2 }, { HVDRV_ST_NOSPC, -28 }, { HVDRV_STATUSES, -1 },
	};
	struct hv_blkring r;
	struct front f;
	uint64_t id;
	int st;

	front_init(&f, L, mem, 2);
	hv_blkring_init(&r, L, mem, 2);
	for (size_t i = 0; i < N(all); i++) {
		hv_blkring_answer(&r, 100 + i, OP(read), all[i].st);
		hv_blkring_push(&r);
		ck_assert(front_answer(&f, &id, &st));
		ck_assert_uint_eq(id, 100 + i);
		ck_assert_int_eq(st, all[i].code);
	}
}
END_TEST

/* Both ends at random speeds, over the wrap of the index: each request is taken once, each answer arrives once. */
START_TEST(random_traffic)
{
	uint8_t e[HV_BLKIF_ENTRY_MAX];
	uint64_t sent = 0, got = 0, held[64], answered = 0, id;
	uint32_t nheld = 0, base = UINT32_MAX - 1000;
	bool lost_event = false;
	struct hv_blkring r;
	struct front f;
	struct rng rng;
	int st;

	rng_init(&rng, "blkif ring");
	front_init(&f, L, mem, 2);
	front_set(mem, L->req_prod, base);
	front_set(mem, L->rsp_prod, base);
	f.prod = f.cons = base;
	hv_blkring_init(&r, L, mem, 2);
	while (sent < 20000) {
		for (uint32_t n = rng_below(&rng, 20); n && f.prod - f.cons < f.entries; n--)
			front_range(L, front_next(&f), OP(flush), sent++, 0, 0);
		front_show(&f);
		while (rng_below(&rng, 8) && nheld < 64 && (st = hv_blkring_take(&r, e))) {
			ck_assert_int_eq(st, 1);
			memcpy(&id, e + L->id, 8);
			ck_assert_uint_eq(id, got++);
			held[nheld++] = id;
		}
		while (nheld && rng_below(&rng, 8)) {
			uint32_t k = rng_below(&rng, nheld);

			hv_blkring_answer(&r, held[k], OP(flush), HVDRV_ST_OK);
			held[k] = held[--nheld];
		}
		front_set(mem, L->rsp_event, f.cons + 1);
		lost_event |= !hv_blkring_push(&r) && front_get(mem, L->rsp_prod) != f.cons && r.rsp_pushed == f.cons;
		while (front_answer(&f, &id, &st)) {
			ck_assert_uint_lt(id, got);
			answered++;
		}
	}
	ck_assert(!lost_event);
	ck_assert_uint_eq(answered + nheld + (r.rsp_prod - r.rsp_pushed), got);
	ck_assert_uint_gt(answered, 1000);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("blkif", (const TTest *[]){ every_reason, indirect_page, random_entries, entries, events, statuses, random_traffic, NULL });

	unit_loop(s, "request", request, N(rows));
	unit_loop(s, "index", ring_index, 2);
	return s;
}
