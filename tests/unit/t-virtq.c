// SPDX-License-Identifier: GPL-2.0-only
/* What a guest may write into a virtqueue, and what it may not. */
#include "ring/virtq.h"
#include "unit.h"

#define L (&hv_virtq_split)
#define TAG 5u
#define HANDLE HVDRV_HANDLE(TAG, 9)
#define PAGES (HV_VIRTQ_PAGES + HV_VIRTQ_SIZE)

static const struct hv_blkif_limits limits = {
	.sectors = 1000000, .block = 512, .max_segs = HVDRV_MAX_SEGS, .max_bytes = HVDRV_MAX_SEGS * HVDRV_PAGE, .flush = true, .fua = true,
	.discard = true, .write_zeroes = true,
};

enum { IN = 0, OUT = 1, FLUSH = 4, DISCARD = 11, ZEROES = 13, FUA = 65 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
#define GREF 77ull
#define OWN(off) (GREF << 12 | (off))
#define HAS_RANGE(r) ((r)->type == DISCARD || (r)->type == ZEROES)

/* A request as a driver makes it: header in 0, status in 1, data from 2 on; and one thing that is spoilt. */
struct row {
	const char *what;
	uint32_t type;
	uint64_t sector;
	uint32_t nseg;			/* whole pages but the last, */
	uint32_t last;			/* of so many octets; 0: whole, too */
	enum hv_reject want;
	void (*limit)(struct hv_blkif_limits *l);
	void (*spoil)(uint8_t *desc, uint8_t *page);
};

static void put(uint8_t *e, unsigned int at, unsigned int size, uint64_t v)
{
	memcpy(e + at, &v, size);
}

static void put_desc(uint8_t *e, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	put(e, 0, 8, addr);
	put(e, 8, 4, len);
	put(e, 12, 2, flags);
	put(e, 14, 2, next);
}

static uint8_t *at(uint8_t *page, unsigned int i)
{
	return page + 48 + 16 * i;
}

static void read_only(struct hv_blkif_limits *l) { l->read_only = true; }
static void block_4k(struct hv_blkif_limits *l) { l->block = 4096; }
static void bare(struct hv_blkif_limits *l) { l->flush = l->fua = l->discard = l->write_zeroes = false; }
static void two_segs(struct hv_blkif_limits *l) { l->max_segs = 2; }
static void one_page(struct hv_blkif_limits *l) { l->max_bytes = 4096; }
static void huge(struct hv_blkif_limits *l) { l->sectors = UINT64_MAX; l->max_segs = 1000; l->max_bytes = UINT32_MAX; }

static void not_indirect(uint8_t *d, uint8_t *p) { (void)p; put(d, 12, 2, 0); }
static void more_flags(uint8_t *d, uint8_t *p) { (void)p; put(d, 12, 2, INDIRECT | NEXT); }
static void no_page(uint8_t *d, uint8_t *p) { (void)p; put(d, 0, 8, 48); }
static void far_page(uint8_t *d, uint8_t *p) { (void)p; put(d, 0, 8, 1ull << 44 | 48); }
static void other_place(uint8_t *d, uint8_t *p) { (void)p; put(d, 0, 8, OWN(64)); }
static void odd_table(uint8_t *d, uint8_t *p) { (void)p; put(d, 8, 4, 49); }
static void short_table(uint8_t *d, uint8_t *p) { (void)p; put(d, 8, 4, 16); }
static void long_table(uint8_t *d, uint8_t *p) { (void)p; put(d, 8, 4, 16 * 66); }
static void endless_table(uint8_t *d, uint8_t *p) { (void)p; put(d, 8, 4, 0xfffffff0); }
static void cut_table(uint8_t *d, uint8_t *p) { (void)p; put(d, 8, 4, 32); }
static void header_elsewhere(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 0), 0, 8, OWN(8)); }
static void header_short(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 0), 8, 4, 8); }
static void header_alone(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 0), 12, 2, 0); }
static void header_written(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 0), 12, 2, NEXT | WRITE); }
static void header_out(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 0), 14, 2, 3); }
static void header_far_out(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 0), 14, 2, 0xffff); }
static void header_to_itself(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 0), 14, 2, 0); }
static void data_to_itself(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 2), 14, 2, 2); }
static void status_read(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 1), 12, 2, 0); }
static void status_long(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 1), 8, 4, 2); }
static void status_elsewhere(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 1), 0, 8, OWN(33)); }
static void data_turned(uint8_t *d, uint8_t *p) { (void)d; p[48 + 32 + 12] ^= WRITE; }
static void data_nested(uint8_t *d, uint8_t *p) { (void)d; p[48 + 32 + 12] |= INDIRECT; }
static void data_odd(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 2), 0, 8, 100ull << 12 | 4); }
static void data_nowhere(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 2), 0, 8, 0); }
static void data_far(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 2), 0, 8, 1ull << 44); }
static void data_leaves(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 2), 0, 8, 100ull << 12 | 512); }
static void data_empty(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 2), 8, 4, 0); }
static void data_huge(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 2), 8, 4, 0xfffffe00); }
static void range_elsewhere(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 2), 0, 8, OWN(0)); }
static void range_unmaps(uint8_t *d, uint8_t *p) { (void)d; put(p, 28, 4, 1); }
static void range_empty(uint8_t *d, uint8_t *p) { (void)d; put(p, 24, 4, 0); }
static void no_range(uint8_t *d, uint8_t *p) { (void)d; put(at(p, 0), 14, 2, 1); }
static void other_handle(uint8_t *d, uint8_t *p) { (void)d; put(p, 4, 4, HVDRV_HANDLE(TAG + 1, 9)); }
static void large_handle(uint8_t *d, uint8_t *p) { (void)d; put(p, 4, 4, 0x10000 | HANDLE); }

static const struct row rows[] = {
	{ "read", IN, 0, 1 }, { "write", OUT, 999992, 1 }, { "write fua", FUA, 8, 1 }, { "63 pages", IN, 0, 63 }, { "one sector", OUT, 999999, 1, 512 },
	{ "two and a bit", IN, 5, 3, 1024 }, { "flush", FLUSH }, { "discard", DISCARD, 1 }, { "zeroes", ZEROES, 5 }, { "read of read-only", IN, 0, 1, .limit = read_only },
	{ "flush of read-only", FLUSH, .limit = read_only }, { "4k", IN, 8, 1, .limit = block_4k },
	{ "a longer table than needed", IN, 0, 1, .spoil = long_table, .want = HV_REJ_SEGMENTS },

	{ "not indirect", IN, 0, 1, .spoil = not_indirect, .want = HV_REJ_INDIRECT_PAGE }, { "more flags", IN, 0, 1, .spoil = more_flags, .want = HV_REJ_INDIRECT_PAGE },
	{ "no page", IN, 0, 1, .spoil = no_page, .want = HV_REJ_INDIRECT_PAGE }, { "no such page", IN, 0, 1, .spoil = far_page, .want = HV_REJ_INDIRECT_PAGE },
	{ "a table elsewhere", IN, 0, 1, .spoil = other_place, .want = HV_REJ_INDIRECT_PAGE }, { "an odd table", IN, 0, 1, .spoil = odd_table, .want = HV_REJ_INDIRECT_PAGE },
	{ "a short table", IN, 0, 1, .spoil = short_table, .want = HV_REJ_INDIRECT_PAGE }, { "an endless table", IN, 0, 1, .spoil = endless_table, .want = HV_REJ_SEGMENTS },
	{ "a table that ends before the data", IN, 0, 1, .spoil = cut_table, .want = HV_REJ_INDIRECT },
	{ "header elsewhere", IN, 0, 1, .spoil = header_elsewhere, .want = HV_REJ_INDIRECT }, { "a short header", IN, 0, 1, .spoil = header_short, .want = HV_REJ_INDIRECT },
	{ "a header alone", IN, 0, 1, .spoil = header_alone, .want = HV_REJ_INDIRECT }, { "a header to be written", IN, 0, 1, .spoil = header_written, .want = HV_REJ_INDIRECT },
	{ "a chain that leaves", IN, 0, 1, .spoil = header_out, .want = HV_REJ_INDIRECT }, { "far", IN, 0, 1, .spoil = header_far_out, .want = HV_REJ_INDIRECT },
	{ "a chain to its begin", OUT, 0, 1, .spoil = header_to_itself, .want = HV_REJ_SEGMENT }, { "a chain that bites its tail", IN, 0, 1, .spoil = data_to_itself, .want = HV_REJ_INDIRECT },
	{ "a status to be read", IN, 0, 1, .spoil = status_read, .want = HV_REJ_INDIRECT }, { "two statuses", IN, 0, 1, .spoil = status_long, .want = HV_REJ_INDIRECT },
	{ "a status elsewhere", IN, 0, 1, .spoil = status_elsewhere, .want = HV_REJ_INDIRECT }, { "read from the device's data", IN, 0, 1, .spoil = data_turned, .want = HV_REJ_INDIRECT },
	{ "write what is to be written", OUT, 0, 1, .spoil = data_turned, .want = HV_REJ_INDIRECT }, { "a table in the table", IN, 0, 1, .spoil = data_nested, .want = HV_REJ_INDIRECT },
	{ "an odd offset", IN, 0, 1, 512, .spoil = data_odd, .want = HV_REJ_SEGMENT }, { "data nowhere", IN, 0, 1, .spoil = data_nowhere, .want = HV_REJ_SEGMENT },
	{ "data too far", IN, 0, 1, .spoil = data_far, .want = HV_REJ_SEGMENT }, { "data leaves its page", IN, 0, 1, .spoil = data_leaves, .want = HV_REJ_SEGMENT },
	{ "empty data", IN, 0, 1, .spoil = data_empty, .want = HV_REJ_SEGMENT }, { "huge data", IN, 0, 1, .spoil = data_huge, .want = HV_REJ_SEGMENT },
	{ "no data", IN, .want = HV_REJ_SEGMENTS }, { "flush with data", FLUSH, 0, 1, .want = HV_REJ_INDIRECT },
	{ "range elsewhere", DISCARD, 0, .spoil = range_elsewhere, .want = HV_REJ_INDIRECT }, { "zeroes that unmap", ZEROES, 0, .spoil = range_unmaps, .want = HV_REJ_OPCODE },
	{ "empty range", DISCARD, 0, .spoil = range_empty, .want = HV_REJ_RANGE }, { "no range", ZEROES, 0, .spoil = no_range, .want = HV_REJ_INDIRECT },
	{ "another tag's handle", IN, 0, 1, .spoil = other_handle, .want = HV_REJ_INDIRECT }, { "no handle", IN, 0, 1, .spoil = large_handle, .want = HV_REJ_INDIRECT },
	{ "no such type", 3, 0, 1, .want = HV_REJ_OPCODE }, { "the device's name", 8, 0, 1, .want = HV_REJ_OPCODE }, { "a type of 32 bits", 0x80000000, 0, 1, .want = HV_REJ_OPCODE },
	{ "flush not offered", FLUSH, .limit = bare, .want = HV_REJ_OPCODE }, { "fua not offered", FUA, 0, 1, .limit = bare, .want = HV_REJ_OPCODE },
	{ "discard not offered", DISCARD, .limit = bare, .want = HV_REJ_OPCODE }, { "zeroes not offered", ZEROES, .limit = bare, .want = HV_REJ_OPCODE },
	{ "write to read-only", OUT, 0, 1, .limit = read_only, .want = HV_REJ_READ_ONLY }, { "discard of read-only", DISCARD, .limit = read_only, .want = HV_REJ_READ_ONLY },
	{ "more than the limit", IN, 0, 3, .limit = two_segs, .want = HV_REJ_SEGMENTS }, { "more bytes than the limit", IN, 0, 2, .limit = one_page, .want = HV_REJ_SEGMENTS },
	{ "beyond the end", IN, 1000000, 1, .want = HV_REJ_RANGE }, { "over the end", OUT, 999993, 1, .want = HV_REJ_RANGE },
	{ "wraps around", OUT, UINT64_MAX - 3, 1, .limit = huge, .want = HV_REJ_RANGE }, { "discard beyond", DISCARD, 999993, .want = HV_REJ_RANGE },
	{ "sector in a 4k block", IN, 1, 1, .limit = block_4k, .want = HV_REJ_ALIGN }, { "part of a 4k block", IN, 0, 1, 512, .limit = block_4k, .want = HV_REJ_ALIGN },
};

static void make(const struct row *r, uint8_t *desc, uint8_t *page)
{
	uint32_t data = HAS_RANGE(r) ? 1 : r->nseg;

	put(page, 0, 4, r->type);
	put(page, 4, 4, HANDLE);
	put(page, 8, 8, HAS_RANGE(r) ? 0 : r->sector);
	put(page, 16, 8, r->sector);
	put(page, 24, 4, 8);
	put_desc(at(page, 0), OWN(0), 16, NEXT, data ? 2 : 1);
	put_desc(at(page, 1), OWN(32), 1, WRITE, 0);
	for (uint32_t i = 0; i < data; i++)
		put_desc(at(page, 2 + i), HAS_RANGE(r) ? OWN(16) : (100ull + i) << 12, HAS_RANGE(r) ? 16 : i + 1 == data && r->last ? r->last : HVDRV_PAGE,
			 r->type == IN ? NEXT | WRITE : NEXT, i + 1 < data ? 3 + i : 1);
	put_desc(desc, OWN(48), 16 * (2 + data), INDIRECT, 0);
	if (r->spoil)
		r->spoil(desc, page);
}

static enum hv_reject judge(const struct row *r, struct hv_blk_req *req)
{
	struct hv_blkif_limits lim = limits;
	uint8_t entry[HV_VIRTQ_ENTRY], page[HVDRV_PAGE] = { 0 }, *exact;
	struct hv_blk_fetch f;
	enum hv_reject rej;

	if (r->limit)
		r->limit(&lim);
	memset(req, 0x5a, sizeof(*req));
	make(r, entry, page);
	put(entry, 16, 2, TAG);
	rej = hv_virtq_parse(L, entry, req, &f);
	ck_assert_uint_eq(HVDRV_HANDLE_TAG(req->id), TAG);
	ck_assert_uint_gt(req->id, UINT16_MAX);		/* no handle: that is in the page */
	if (rej)
		return rej;
	ck_assert_uint_eq(f.gref, GREF);
	ck_assert_uint_le(f.len, HVDRV_PAGE);
	exact = malloc(f.len);			/* no octet behind it, for the sanitizer */
	memcpy(exact, page, f.len);
	rej = hv_virtq_fetched(L, &lim, exact, req);
	free(exact);
	return rej;
}

START_TEST(parse)
{
	const struct row *r = &rows[_i];
	struct hv_blk_req q;
	enum hv_reject rej = judge(r, &q);

	ck_assert_msg(rej == r->want, "%s: %s", r->what, hv_reject_name(rej));
	if (rej)
		return;
	ck_assert_uint_eq(q.id, HANDLE);
	ck_assert_uint_eq(q.fua, r->type == FUA);
	ck_assert_uint_eq(q.nseg, r->nseg);
	if (r->type == FLUSH)
		return;
	ck_assert_uint_eq(q.sector, r->sector);
	ck_assert_uint_eq(q.sectors, HAS_RANGE(r) ? 8 : (r->nseg - 1) * 8 + (r->last ? r->last / 512 : 8));
	for (uint32_t i = 0; i < q.nseg; i++)
		ck_assert(q.seg[i].gref == 100 + i && !q.seg[i].off && q.seg[i].len == (i + 1 == r->nseg && r->last ? r->last : HVDRV_PAGE));
}
END_TEST

/* ---- the queue ---- */

static uint8_t *memory(void)
{
	uint8_t *mem = aligned_alloc(HVDRV_PAGE, PAGES * HVDRV_PAGE);

	memset(mem, 0, PAGES * HVDRV_PAGE);
	return mem;
}

static uint16_t get16(const uint8_t *mem, unsigned int at)
{
	uint16_t v;

	memcpy(&v, mem + at, 2);
	return v;
}

static void post(uint8_t *mem, uint16_t idx, uint16_t head)
{
	put(mem, L->avail + L->avail_ring + idx % HV_VIRTQ_SIZE * 2, 2, head);
	put(mem, L->avail + L->avail_idx, 2, (uint16_t)(idx + 1));
}

/* Around more often than 16 bits can count: each is answered where it was asked, events come when they are wanted. */
START_TEST(around)
{
	uint8_t *mem = memory(), entry[HV_VIRTQ_ENTRY];
	struct hv_virtq q;

	hv_virtq_init(&q, L, mem, PAGES);
	for (uint32_t i = 0; i < 200000; i++) {
		struct hv_blk_req r = { .op = i & 1 ? HVDRV_OP_READ : HVDRV_OP_WRITE, .sectors = 8, .id = HVDRV_HANDLE(i % 128, i) };
		bool wanted = i % 3;
		uint32_t elem = L->used + L->used_ring + i % HV_VIRTQ_SIZE * 8;

		ck_assert_int_eq(hv_virtq_take(&q, entry), 0);
		ck_assert(!hv_virtq_arm(&q));
		ck_assert_uint_eq(get16(mem, L->used + L->avail_event), i & 0xffff);
		post(mem, i, i % 128);
		ck_assert(hv_virtq_arm(&q));		/* one is there already */
		ck_assert_int_eq(hv_virtq_take(&q, entry), 1);
		ck_assert_uint_eq(get16(entry, 16), i % 128);
		put(mem, L->avail + L->used_event, 2, (uint16_t)(wanted ? i : i + 5));
		hv_virtq_answer(&q, &r, i % 5 ? HVDRV_ST_OK : HVDRV_ST_NOSPC);
		ck_assert_uint_eq(get16(mem, L->used + L->used_idx), i & 0xffff);		/* not before it is pushed */
		ck_assert_int_eq(hv_virtq_push(&q), wanted);
		ck_assert_uint_eq(get16(mem, L->used + L->used_idx), (i + 1) & 0xffff);
		ck_assert_uint_eq(get16(mem, elem), i % 128);
		ck_assert_uint_eq(get16(mem, elem + 4), i & 1 && i % 5 ? 4097 : 1);
		ck_assert_uint_eq(mem[(2 + i % 128) * HVDRV_PAGE + 32], i % 5 ? 0 : 128);
		ck_assert(!hv_virtq_push(&q));
	}
	free(mem);
}
END_TEST

/* An index that cannot be, and a descriptor of no tag. */
START_TEST(broken)
{
	uint8_t *mem = memory(), entry[HV_VIRTQ_ENTRY];
	struct hv_virtq q;

	for (uint32_t idx = 0; idx <= UINT16_MAX; idx++) {
		hv_virtq_init(&q, L, mem, PAGES);
		put(mem, L->avail + L->avail_idx, 2, idx);
		ck_assert_int_eq(hv_virtq_take(&q, entry), idx > HV_VIRTQ_SIZE ? -1 : idx > 0);
	}
	for (uint32_t head = 0; head <= UINT16_MAX; head++) {
		hv_virtq_init(&q, L, mem, 2 + 64);
		post(mem, 0, head);
		ck_assert_int_eq(hv_virtq_take(&q, entry), head < 64 ? 1 : -1);
	}
	hv_virtq_init(&q, L, mem, 2);		/* no tag has a page */
	post(mem, 0, 0);
	ck_assert_int_eq(hv_virtq_take(&q, entry), -1);
	/* no more without an answer than there are descriptors, whatever the index says */
	hv_virtq_init(&q, L, mem, PAGES);
	put(mem, L->avail + L->avail_idx, 2, 128);
	for (int i = 0; i < 128; i++)
		ck_assert_int_eq(hv_virtq_take(&q, entry), 1);
	put(mem, L->avail + L->avail_idx, 2, 129);
	ck_assert_int_eq(hv_virtq_take(&q, entry), -1);
	free(mem);
}
END_TEST

/* Requests that another queue has begun are answered here; one of no tag's page touches none. */
START_TEST(carried)
{
	struct hv_blk_req r = { .op = HVDRV_OP_WRITE, .id = HVDRV_HANDLE(7, 3) }, none = { .id = HVDRV_HANDLE(100, 3) };
	uint8_t *mem = memory(), entry[HV_VIRTQ_ENTRY];
	struct hv_virtq q;

	hv_virtq_prepare(L, mem, 2);
	hv_virtq_renew(&q, L, mem, 2 + 64, 2);
	ck_assert_int_eq(hv_virtq_take(&q, entry), 0);
	mem[(2 + 7) * HVDRV_PAGE + 32] = mem[(2 + 100) * HVDRV_PAGE + 32] = 0x5a;
	hv_virtq_answer(&q, &r, HVDRV_ST_OK);
	hv_virtq_answer(&q, &none, HVDRV_ST_OK);
	ck_assert(hv_virtq_push(&q));
	ck_assert_uint_eq(mem[(2 + 7) * HVDRV_PAGE + 32], 0);
	ck_assert_uint_eq(mem[(2 + 100) * HVDRV_PAGE + 32], 0x5a);
	ck_assert_uint_eq(get16(mem, L->used + L->used_idx), 2);
	post(mem, 2, 9);
	ck_assert_int_eq(hv_virtq_take(&q, entry), 1);
	/* a worker after this one goes on where the used ring ends */
	hv_virtq_answer(&q, &r, HVDRV_ST_OK);
	hv_virtq_push(&q);
	hv_virtq_init(&q, L, mem, 2 + 64);
	ck_assert_int_eq(hv_virtq_take(&q, entry), 0);
	free(mem);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("virtq", (const TTest *[]){ around, broken, carried, NULL });

	unit_loop(s, "parse", parse, N(rows));
	return s;
}
