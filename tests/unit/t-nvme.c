// SPDX-License-Identifier: GPL-2.0-only
/* What a guest may write into a mediated NVMe queue pair, and what it may not. */
#include "ring/nvme.h"
#include "unit.h"

#define L (&hv_nvme_mediated)
#define ENTRIES HV_NVME_ENTRIES

static const struct hv_blkif_limits limits = {
	.sectors = 1000000, .block = 512, .max_segs = HVDRV_MAX_SEGS, .max_bytes = HVDRV_MAX_SEGS * HVDRV_PAGE, .flush = true, .fua = true,
	.discard = true, .write_zeroes = true,
};

enum { FLUSH = 0, WRITE = 1, READ = 2, ZEROES = 8, DISCARD = 9 };
#define FUA 0x4000
#define PAGE(gref) ((uint64_t)(gref) << 12)
#define LISTED PAGE(77)

struct row {
	const char *what;
	uint8_t op;
	uint64_t slba, sectors;
	uint64_t prp1, prp2;
	enum hv_reject want;
	void (*limit)(struct hv_blkif_limits *l);
	uint16_t control;
	uint8_t flags, nr;
	uint32_t nsid;			/* 0 stands for 1 */
	uint32_t attributes;		/* 0 stands for deallocate */
	int spoil;			/* the list's entry of this number is... */
	uint64_t with;			/* ...this */
};

static void read_only(struct hv_blkif_limits *l) { l->read_only = true; }
static void block_4k(struct hv_blkif_limits *l) { l->block = 4096; }
static void bare(struct hv_blkif_limits *l) { l->flush = l->fua = l->discard = l->write_zeroes = false; }
static void two_segs(struct hv_blkif_limits *l) { l->max_segs = 2; }
static void one_page(struct hv_blkif_limits *l) { l->max_bytes = 4096; }
static void huge(struct hv_blkif_limits *l) { l->sectors = UINT64_MAX; l->max_segs = 1000; l->max_bytes = UINT32_MAX; }

static const struct row rows[] = {
	{ "read", READ, 0, 8, PAGE(9) }, { "write", WRITE, 999992, 8, PAGE(9) }, { "write fua", WRITE, 0, 8, PAGE(9), .control = FUA },
	{ "one sector", READ, 999999, 1, PAGE(9) + 3584 }, { "read of a read-only disk", READ, 0, 8, PAGE(9), .limit = read_only },
	{ "two pages", WRITE, 3, 16, PAGE(9), PAGE(10) }, { "two pages from an offset", READ, 3, 8, PAGE(9) + 512, PAGE(10) },
	{ "three pages", WRITE, 3, 17, PAGE(9), LISTED }, { "63 pages", READ, 0, 504, PAGE(9), LISTED },
	{ "the largest reference", READ, 0, 8, PAGE(UINT32_MAX) }, { "one page, the second is not looked at", READ, 0, 8, PAGE(9), 0xfff },
	{ "flush", FLUSH }, { "flush of a read-only disk", FLUSH, .limit = read_only }, { "zeroes", ZEROES, 5, 65536 }, { "one zero", ZEROES, 999999, 1 },
	{ "discard", DISCARD, 1, 999999, LISTED }, { "discard with advice", DISCARD, 1, 8, LISTED, .attributes = 7 },
	{ "4k", READ, 8, 8, PAGE(9), .limit = block_4k }, { "hints", WRITE, 0, 8, PAGE(9), .control = 0x8000 },

	{ "no such opcode", 3, 0, 8, PAGE(9), 0, HV_REJ_OPCODE }, { "opcode 255", 255, 0, 8, PAGE(9), 0, HV_REJ_OPCODE },
	{ "compare", 5, 0, 8, PAGE(9), 0, HV_REJ_OPCODE }, { "flush not offered", FLUSH, 0, 0, 0, 0, HV_REJ_OPCODE, bare },
	{ "fua not offered", WRITE, 0, 8, PAGE(9), 0, HV_REJ_OPCODE, bare, .control = FUA }, { "read with fua", READ, 0, 8, PAGE(9), 0, HV_REJ_OPCODE, .control = FUA },
	{ "zeroes with fua", ZEROES, 0, 8, 0, 0, HV_REJ_OPCODE, .control = FUA }, { "discard not offered", DISCARD, 0, 8, LISTED, 0, HV_REJ_OPCODE, bare },
	{ "zeroes not offered", ZEROES, 0, 8, 0, 0, HV_REJ_OPCODE, bare }, { "advice only", DISCARD, 0, 8, LISTED, 0, HV_REJ_OPCODE, .attributes = 3 },
	{ "fused", READ, 0, 8, PAGE(9), 0, HV_REJ_OPCODE, .flags = 1 }, { "an SGL", READ, 0, 8, PAGE(9), 0, HV_REJ_OPCODE, .flags = 0x40 },
	{ "namespace 2", READ, 0, 8, PAGE(9), 0, HV_REJ_NAMESPACE, .nsid = 2 }, { "flush of all namespaces", FLUSH, .want = HV_REJ_NAMESPACE, .nsid = UINT32_MAX },
	{ "discard elsewhere", DISCARD, 0, 8, LISTED, 0, HV_REJ_NAMESPACE, .nsid = 0x10000001 },
	{ "64 pages", READ, 0, 512, PAGE(9), LISTED, HV_REJ_SEGMENTS }, { "64 pages by an offset", READ, 0, 504, PAGE(9) + 512, LISTED, HV_REJ_SEGMENTS },
	{ "as many as can be said", WRITE, 0, 65536, PAGE(9), LISTED, HV_REJ_SEGMENTS }, { "and no limit but ours", WRITE, 0, 65536, PAGE(9), LISTED, HV_REJ_SEGMENTS, huge },
	{ "more than the limit", READ, 0, 24, PAGE(9), LISTED, HV_REJ_SEGMENTS, two_segs }, { "more bytes than the limit", READ, 0, 9, PAGE(9), PAGE(10), HV_REJ_SEGMENTS, one_page },
	{ "two ranges", DISCARD, 0, 8, LISTED, 0, HV_REJ_SEGMENTS, .nr = 1 }, { "256 ranges", DISCARD, 0, 8, LISTED, 0, HV_REJ_SEGMENTS, .nr = 255 },
	{ "no page", READ, 0, 8, 0, 0, HV_REJ_SEGMENT }, { "no reference", READ, 0, 8, 512, 0, HV_REJ_SEGMENT },
	{ "a reference too large", READ, 0, 8, 1ull << 44, 0, HV_REJ_SEGMENT }, { "an address", READ, 0, 8, UINT64_MAX << 12, 0, HV_REJ_SEGMENT },
	{ "an odd offset", READ, 0, 1, PAGE(9) + 4, 0, HV_REJ_SEGMENT }, { "an odd offset, two pages", READ, 0, 8, PAGE(9) + 4092, PAGE(10), HV_REJ_SEGMENT },
	{ "no second page", READ, 0, 16, PAGE(9), 0, HV_REJ_SEGMENT }, { "a second page from an offset", READ, 0, 16, PAGE(9), PAGE(10) + 512, HV_REJ_SEGMENT },
	{ "a second page too large", READ, 0, 16, PAGE(9), 1ull << 44, HV_REJ_SEGMENT }, { "no list", READ, 0, 24, PAGE(9), 0, HV_REJ_SEGMENT },
	{ "a list from an offset", READ, 0, 24, PAGE(9), LISTED + 8, HV_REJ_SEGMENT }, { "a list too large", READ, 0, 24, PAGE(9), 1ull << 44, HV_REJ_SEGMENT },
	{ "listed: none", WRITE, 0, 24, PAGE(9), LISTED, HV_REJ_SEGMENT, .spoil = 1, .with = 0 },
	{ "listed: an offset", WRITE, 0, 504, PAGE(9), LISTED, HV_REJ_SEGMENT, .spoil = 62, .with = PAGE(5) + 512 },
	{ "listed: too large", WRITE, 0, 504, PAGE(9), LISTED, HV_REJ_SEGMENT, .spoil = 30, .with = 1ull << 44 },
	{ "a range in no page", DISCARD, 0, 8, 0, 0, HV_REJ_SEGMENT }, { "a range from an offset", DISCARD, 0, 8, LISTED + 16, 0, HV_REJ_SEGMENT },
	{ "beyond the end", READ, 1000000, 8, PAGE(9), 0, HV_REJ_RANGE }, { "over the end", WRITE, 999993, 8, PAGE(9), 0, HV_REJ_RANGE },
	{ "wraps around", WRITE, UINT64_MAX - 3, 8, PAGE(9), 0, HV_REJ_RANGE }, { "wraps on a huge disk", WRITE, UINT64_MAX - 3, 8, PAGE(9), 0, HV_REJ_RANGE, huge },
	{ "zeroes beyond", ZEROES, 999999, 2, 0, 0, HV_REJ_RANGE }, { "empty discard", DISCARD, 0, 0, LISTED, 0, HV_REJ_RANGE },
	{ "discard beyond", DISCARD, 1, 1000000, LISTED, 0, HV_REJ_RANGE }, { "discard wraps", DISCARD, UINT64_MAX, 2, LISTED, 0, HV_REJ_RANGE },
	{ "sector in a 4k block", READ, 1, 8, PAGE(9), 0, HV_REJ_ALIGN, block_4k }, { "part of a 4k block", READ, 0, 7, PAGE(9), 0, HV_REJ_ALIGN, block_4k },
	{ "discard of a part", DISCARD, 0, 7, LISTED, 0, HV_REJ_ALIGN, block_4k }, { "zeroes of a part", ZEROES, 0, 7, 0, 0, HV_REJ_ALIGN, block_4k },
	{ "write to read-only", WRITE, 0, 8, PAGE(9), 0, HV_REJ_READ_ONLY, read_only }, { "discard of read-only", DISCARD, 0, 8, LISTED, 0, HV_REJ_READ_ONLY, read_only },
	{ "zeroes to read-only", ZEROES, 0, 8, 0, 0, HV_REJ_READ_ONLY, read_only },
};

static void put(uint8_t *e, unsigned int at, unsigned int size, uint64_t v)
{
	memcpy(e + at, &v, size);
}

static void command(uint8_t *e, const struct row *r, uint16_t cid)
{
	memset(e, 0, HV_NVME_COMMAND);
	put(e, 0, 1, r->op);
	put(e, 1, 1, r->flags);
	put(e, 2, 2, cid);
	put(e, 4, 4, r->nsid ? r->nsid : 1);
	put(e, 24, 8, r->prp1);
	put(e, 32, 8, r->prp2);
	if (r->op == DISCARD) {
		put(e, 40, 4, r->nr);
		put(e, 44, 4, r->attributes ? r->attributes : 4);
		return;
	}
	put(e, 40, 8, r->slba);
	put(e, 48, 2, r->sectors - 1);
	put(e, 50, 2, r->control);
}

/* What is in the page: in memory of just the size that may be read. */
static enum hv_reject fetch(const struct row *r, const struct hv_blkif_limits *lim, const struct hv_blk_fetch *f, struct hv_blk_req *req)
{
	uint8_t *page = calloc(1, f->len);
	enum hv_reject rej;

	ck_assert_uint_eq(f->gref, 77);
	for (int i = 0; r->op != DISCARD && i < f->len / 8; i++)
		put(page, 8 * i, 8, i + 1 == r->spoil ? r->with : PAGE(101 + i));
	if (r->op == DISCARD) {
		put(page, 4, 4, r->sectors);
		put(page, 8, 8, r->slba);
	}
	rej = hv_nvme_fetched(L, lim, page, req);
	free(page);
	return rej;
}

static enum hv_reject judge(const struct row *r, struct hv_blk_req *req)
{
	struct hv_blkif_limits lim = limits;
	uint8_t e[HV_NVME_COMMAND];
	struct hv_blk_fetch f;
	enum hv_reject rej;

	if (r->limit)
		r->limit(&lim);
	memset(req, 0x5a, sizeof(*req));
	memset(&f, 0x5a, sizeof(f));
	command(e, r, 0x9234);
	rej = hv_nvme_parse(L, &lim, e, req, &f);
	return rej || !f.len ? rej : fetch(r, &lim, &f, req);
}

/* Every page as it was named, whole but for the ends. */
static void check_pages(const struct row *r, const struct hv_blk_req *req)
{
	uint64_t bytes = 0;

	for (int i = 0; i < req->nseg; i++) {
		ck_assert_uint_eq(req->seg[i].off, i ? 0 : r->prp1 % 4096);
		if (i + 1 < req->nseg)
			ck_assert_uint_eq(req->seg[i].off + req->seg[i].len, 4096);
		ck_assert(req->seg[i].len && req->seg[i].off + req->seg[i].len <= 4096);
		if (i)
			ck_assert_uint_eq(req->seg[i].gref, req->nseg == 2 ? r->prp2 >> 12 : 100u + i);
		bytes += req->seg[i].len;
	}
	ck_assert_uint_eq(req->seg[0].gref, r->prp1 >> 12);
	ck_assert_uint_eq(bytes, r->sectors * 512);
}

START_TEST(request)
{
	static const uint8_t op[] = { [FLUSH] = HVDRV_OP_FLUSH, [WRITE] = HVDRV_OP_WRITE, [READ] = HVDRV_OP_READ, [ZEROES] = HVDRV_OP_WRITE_ZEROES,
				      [DISCARD] = HVDRV_OP_DISCARD };
	const struct row *r = &rows[_i];
	struct hv_blk_req req;
	enum hv_reject rej = judge(r, &req);

	ck_assert_msg(rej == r->want, "%s: %s, not %s", r->what, hv_reject_name(rej), hv_reject_name(r->want));
	ck_assert_uint_eq(req.id, 0x9234);		/* answered to whoever asked, also when refused */
	ck_assert_uint_eq(req.opcode, r->op);
	if (rej)
		return;
	ck_assert_uint_eq(req.op, op[r->op]);
	ck_assert_uint_eq(req.sector, r->slba);
	ck_assert_uint_eq(req.sectors, r->sectors);
	ck_assert_int_eq(req.fua, r->control == FUA);
	if (r->op == READ || r->op == WRITE)
		check_pages(r, &req);
	else
		ck_assert_uint_eq(req.nseg, 0);
}
END_TEST

/* Each reason that parsing can give has its row. */
START_TEST(every_reason)
{
	for (int rej = HV_REJ_NONE; rej < HV_REJECTS; rej++) {
		/* blkif's own, or the server's */
		bool has = rej == HV_REJ_INDIRECT || rej == HV_REJ_INDIRECT_PAGE || rej == HV_REJ_DATA_PAGE || rej == HV_REJ_RING;

		for (size_t i = 0; i < N(rows); i++)
			has |= rows[i].want == (enum hv_reject)rej;
		ck_assert_msg(has, "no row for %s", hv_reject_name(rej));
	}
}
END_TEST

/* All sizes from all offsets: one page, two, a list; the length of which follows from the command alone. */
START_TEST(shapes)
{
	unsigned int through = 0;

	for (uint64_t sectors = 1; sectors <= 504; sectors++) {
		for (uint32_t off = 0; off < 4096; off += 512) {
			uint32_t pages = (off + sectors * 512 + 4095) / 4096;
			struct row r = { "", sectors & 1 ? READ : WRITE, 7, sectors, PAGE(9) + off, pages == 2 ? PAGE(10) : LISTED };
			struct hv_blk_req req;
			enum hv_reject rej = judge(&r, &req);

			ck_assert_int_eq(rej, pages > 63 ? HV_REJ_SEGMENTS : HV_REJ_NONE);
			if (rej)
				continue;
			ck_assert_uint_eq(req.nseg, pages);
			check_pages(&r, &req);
			through++;
		}
	}
	ck_assert_uint_gt(through, 4000);
}
END_TEST

/* Pages and ranges anywhere: what is let through keeps every promise that the rest of the way relies on. */
START_TEST(random_entries)
{
	static const uint8_t ops[] = { FLUSH, WRITE, READ, ZEROES, DISCARD };
	static void (*const some[])(struct hv_blkif_limits *) = { NULL, NULL, NULL, read_only, two_segs, block_4k };
	unsigned int through = 0;
	struct rng rng;

	rng_init(&rng, "nvme commands");
	for (int round = 0; round < 300000; round++) {
		struct row r = { "", ops[rng_below(&rng, N(ops))], rng_below(&rng, 1000), 1 + rng_below(&rng, 600), PAGE(1 + rng_below(&rng, 1000)), LISTED };
		struct hv_blk_req req;

		r.limit = some[rng_below(&rng, N(some))];
		r.prp1 += rng_below(&rng, 2) ? 512 * rng_below(&rng, 8) : 0;
		r.prp1 = r.op == DISCARD ? LISTED : rng_below(&rng, 20) ? r.prp1 : rng_u64(&rng);
		r.prp2 = (r.prp1 % 4096 + r.sectors * 512 + 4095) / 4096 > 2 ? LISTED : rng_u64(&rng) >> rng_below(&rng, 50) << 12;
		r.spoil = rng_below(&rng, 100);
		r.with = rng_u64(&rng);
		if (judge(&r, &req))
			continue;
		through++;
		ck_assert(req.op == HVDRV_OP_FLUSH || r.limit != block_4k || !((req.sector | req.sectors) % 8));
		if (req.op == HVDRV_OP_READ || req.op == HVDRV_OP_WRITE) {
			ck_assert(req.nseg && req.nseg <= (r.limit == two_segs ? 2 : 63));
			ck_assert_uint_eq(req.seg[0].off % 512, 0);
			for (int i = 0; i < req.nseg; i++)
				ck_assert_uint_ne(req.seg[i].gref, 0);
		}
		ck_assert(req.op == HVDRV_OP_READ || req.op == HVDRV_OP_FLUSH || r.limit != read_only);
	}
	ck_assert_uint_gt(through, 1000);
}
END_TEST

/* ---- the pair ---- */

static uint8_t mem[2 * HVDRV_PAGE] __attribute__((aligned(4096)));
static struct hvdrv_state state;

/* A guest, as the skeleton does it. */
struct guest {
	uint32_t posted, reaped;
};

static void post(struct guest *g, uint16_t cid)
{
	command(mem + g->posted++ % ENTRIES * 64, &(struct row){ "", FLUSH }, cid);
	__atomic_store_n(&state.tail, g->posted, __ATOMIC_RELEASE);
}

static bool reap(struct guest *g, uint16_t *cid, unsigned int *status)
{
	const uint8_t *e = mem + HVDRV_PAGE + g->reaped % ENTRIES * 16;
	uint16_t st;

	memcpy(&st, e + 14, 2);
	if ((st & 1) == (g->reaped / ENTRIES & 1))
		return false;
	memcpy(cid, e + 12, 2);
	*status = st >> 1;
	state.event = ++g->reaped + 1;
	return true;
}

static void fresh(struct hv_nvmeq *q, struct guest *g, uint32_t carried)
{
	memset(mem, 0, sizeof(mem));
	memset(&state, 0, sizeof(state));
	memset(g, 0, sizeof(*g));
	state.event = 1;
	hv_nvmeq_init(q, L, mem, &state, carried);
}

/* As many as the queue holds, one less than its entries, not one more; and never backwards. Also where it wraps around. */
START_TEST(queue_index)
{
	uint32_t base = _i ? UINT32_MAX - 5 : 0;
	uint8_t e[HV_NVME_COMMAND];
	struct hv_nvmeq q;
	struct guest g;

	fresh(&q, &g, 0);
	q.taken = g.posted = state.tail = base;
	ck_assert(!hv_nvmeq_ready(&q));
	ck_assert_int_eq(hv_nvmeq_take(&q, e), 0);
	state.tail = base + 64;
	ck_assert(hv_nvmeq_ready(&q));
	ck_assert_int_eq(hv_nvmeq_take(&q, e), -1);
	state.tail = base - 1;
	ck_assert_int_eq(hv_nvmeq_take(&q, e), -1);
	for (int i = 0; i < 63; i++)
		post(&g, i);
	for (int i = 0; i < 63; i++) {
		ck_assert_int_eq(hv_nvmeq_take(&q, e), 1);
		ck_assert_uint_eq(e[2], i);
	}
	ck_assert_int_eq(hv_nvmeq_take(&q, e), 0);
	post(&g, 63);					/* none is answered yet */
	ck_assert_int_eq(hv_nvmeq_take(&q, e), -1);
	hv_nvmeq_answer(&q, 0, HVDRV_ST_OK);
	ck_assert_int_eq(hv_nvmeq_take(&q, e), 1);
	state.tail = base + 40;				/* behind what was taken */
	ck_assert_int_eq(hv_nvmeq_take(&q, e), -1);
}
END_TEST

/* Requests that are begun count; 64 of blkif's are more than there is room for. */
START_TEST(carried)
{
	uint8_t e[HV_NVME_COMMAND];
	unsigned int st;
	struct hv_nvmeq q;
	struct guest g;
	uint16_t cid;

	fresh(&q, &g, 64);
	ck_assert_int_eq(hv_nvmeq_take(&q, e), 0);
	post(&g, 1);
	ck_assert_int_eq(hv_nvmeq_take(&q, e), -1);
	hv_nvmeq_answer(&q, 100, HVDRV_ST_OK);
	ck_assert_int_eq(hv_nvmeq_take(&q, e), -1);
	hv_nvmeq_answer(&q, 101, HVDRV_ST_OK);
	ck_assert_int_eq(hv_nvmeq_take(&q, e), 1);
	for (int i = 2; i < 64; i++)
		hv_nvmeq_answer(&q, 100 + i, HVDRV_ST_OK);
	ck_assert(hv_nvmeq_push(&q));
	for (int i = 0; i < 64; i++) {
		ck_assert(reap(&g, &cid, &st));
		ck_assert_uint_eq(cid, 100 + i);
	}
	ck_assert(!reap(&g, &cid, &st));
	ck_assert_uint_eq(q.outstanding, 1);
}
END_TEST

START_TEST(events)
{
	uint8_t e[HV_NVME_COMMAND];
	struct hv_nvmeq q;
	struct guest g;

	fresh(&q, &g, 0);
	ck_assert(!hv_nvmeq_push(&q));			/* nothing to tell */
	ck_assert(!hv_nvmeq_arm(&q));
	ck_assert_uint_eq(state.need_kick, 1);
	post(&g, 5);
	ck_assert(hv_nvmeq_arm(&q));			/* one is there: no event will come for it */
	hv_nvmeq_disarm(&q);
	ck_assert_uint_eq(state.need_kick, 0);
	for (int i = 0; i < 3; i++)
		post(&g, 6 + i);
	while (hv_nvmeq_take(&q, e) > 0)
		;
	hv_nvmeq_answer(&q, 5, HVDRV_ST_OK);
	ck_assert(hv_nvmeq_push(&q));			/* the guest asked for the first */
	ck_assert(!hv_nvmeq_push(&q));
	hv_nvmeq_answer(&q, 6, HVDRV_ST_OK);
	ck_assert(!hv_nvmeq_push(&q));			/* it has not asked again */
	state.event = 4;
	hv_nvmeq_answer(&q, 7, HVDRV_ST_OK);
	hv_nvmeq_answer(&q, 8, HVDRV_ST_OK);
	ck_assert(hv_nvmeq_push(&q));			/* passes 4 */
}
END_TEST

START_TEST(statuses)
{
	static const struct { enum hvdrv_status st; unsigned int code; } all[] = {
		{ HVDRV_ST_OK, 0 }, { HVDRV_ST_IOERR, 6 }, { HVDRV_ST_UNSUPPORTED, 1 }, { HVDRV_ST_NOSPC, 0x81 }, { HVDRV_STATUSES, 6 },
	};
	struct hv_nvmeq q;
	struct guest g;
	unsigned int st;
	uint16_t cid;

	fresh(&q, &g, N(all));
	for (size_t i = 0; i < N(all); i++) {
		hv_nvmeq_answer(&q, 0xff00 + i, all[i].st);
		ck_assert(reap(&g, &cid, &st));
		ck_assert_uint_eq(cid, 0xff00 + i);
		ck_assert_uint_eq(st, all[i].code);
	}
	ck_assert(!reap(&g, &cid, &st));
}
END_TEST

/* Several times around, in batches of any size: each completion is seen once, and its head is where taking stands. */
START_TEST(phases)
{
	uint8_t e[HV_NVME_COMMAND];
	uint32_t sent = 0, seen = 0;
	struct hv_nvmeq q;
	struct guest g;
	unsigned int st;
	uint16_t cid, head;

	fresh(&q, &g, 0);
	for (uint32_t batch = 1; sent < 2000; batch = batch % 63 + 1) {
		for (uint32_t i = 0; i < batch; i++)
			post(&g, sent++);
		for (uint32_t i = 0; i < batch; i++)
			ck_assert_int_eq(hv_nvmeq_take(&q, e), 1);
		for (uint32_t i = 0; i < batch; i++)
			hv_nvmeq_answer(&q, sent - batch + i, HVDRV_ST_OK);
		memcpy(&head, mem + HVDRV_PAGE + (q.produced - 1) % ENTRIES * 16 + 8, 2);
		ck_assert_uint_eq(head, sent % ENTRIES);
		while (reap(&g, &cid, &st))
			ck_assert_uint_eq(cid, seen++);
		ck_assert_uint_eq(seen, sent);
	}
}
END_TEST

/*
 * Both ends at random speeds, and the host's begun again now and then: each command is taken once, each completion
 * arrives once.
 */
START_TEST(random_traffic)
{
	uint32_t sent = 0, got = 0, answered = 0, nheld = 0, again = 0;
	uint8_t e[HV_NVME_COMMAND];
	uint16_t held[64], cid;
	struct hv_nvmeq q;
	struct guest g;
	struct rng rng;
	unsigned int st;

	rng_init(&rng, "nvme pair");
	fresh(&q, &g, 0);
	if (_i) {					/* where all numbers wrap around: a multiple of two laps before */
		q.taken = g.posted = state.tail = -1024;
		q.produced = q.pushed = g.reaped = -1024;
		state.event = -1023;
	}
	while (sent < 20000) {
		for (uint32_t n = rng_below(&rng, 20); n && g.posted - g.reaped < 63; n--)
			post(&g, sent++);
		while (rng_below(&rng, 8) && hv_nvmeq_take(&q, e) > 0) {
			memcpy(&held[nheld], e + 2, 2);
			ck_assert_uint_eq(held[nheld++], (uint16_t)got++);
		}
		while (nheld && rng_below(&rng, 8)) {
			uint32_t k = rng_below(&rng, nheld);

			hv_nvmeq_answer(&q, held[k], HVDRV_ST_OK);
			held[k] = held[--nheld];
		}
		if (!nheld && rng_below(&rng, 2)) {	/* not told before it ended, either */
			struct hv_nvmeq old = q;

			hv_nvmeq_take_up(&q, L, mem, &state);
			ck_assert_uint_eq(q.taken, old.taken);
			ck_assert_uint_eq(q.produced, old.produced);
			ck_assert_int_eq(hv_nvmeq_push(&q), q.produced != g.reaped);	/* an event that is owed */
			again++;
		}
		if (hv_nvmeq_push(&q) && rng_below(&rng, 4))
			while (reap(&g, &cid, &st))
				answered++;
		else if (!rng_below(&rng, 4))
			while (rng_below(&rng, 8) && reap(&g, &cid, &st))
				answered++;
	}
	ck_assert_uint_eq(g.posted - q.taken + nheld + q.produced - g.reaped, sent - answered);
	ck_assert_uint_gt(answered, 10000);
	ck_assert_uint_gt(again, 50);
}
END_TEST

/* A guest that lies about everything while the host is away: what follows stays within the pair. */
START_TEST(liar)
{
	uint8_t e[HV_NVME_COMMAND];
	struct rng rng;

	rng_init(&rng, "nvme liar");
	for (int round = 0; round < 20000; round++) {
		struct hv_nvmeq q;

		rng_fill(&rng, mem, sizeof(mem));
		rng_fill(&rng, &state, sizeof(state));
		hv_nvmeq_take_up(&q, L, mem, &state);
		ck_assert_uint_eq(q.outstanding, 0);
		ck_assert_uint_lt(state.tail - q.taken, ENTRIES);
		ck_assert_uint_lt(q.produced - q.pushed, 2 * ENTRIES);
		while (hv_nvmeq_take(&q, e) > 0)
			;
		while (q.outstanding)
			hv_nvmeq_answer(&q, 1, HVDRV_ST_OK);
		hv_nvmeq_push(&q);
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("nvme", (const TTest *[]){ every_reason, shapes, random_entries, carried, events, statuses, phases, liar, NULL });

	unit_loop(s, "request", request, N(rows));
	unit_loop(s, "index", queue_index, 2);
	unit_loop(s, "traffic", random_traffic, 2);
	return s;
}
