// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generated driver of a hardware queue, executed here, against a controller of ours that fetches what the doorbell says and
 * reaches memory by frame. Only pages of the window are there: any other address ends the test.
 */
#include <sys/mman.h>
#include "gen.h"
#include "stub.h"
#include "unit.h"

#define DEPTH 64u
#define ENTRIES 64u
#define POOL 128u		/* pages of data, behind those of the queue */
#define NSID 7u
#define SQ_DB 24u
#define CQ_DB 28u
#define FRAME 0x40000u		/* of the first page */
#define BLOCK 4096u
#define BLOCKS 256u

struct world {
	struct hv_image img;
	struct stub s;
	uint8_t *mem;
	uint64_t frames[2 + DEPTH];
	uint8_t doorbells[HVDRV_PAGE] __attribute__((aligned(4096)));
	uint8_t disk[BLOCKS * BLOCK], model[BLOCKS * BLOCK];
	uint32_t fetched, completed;		/* by the controller, free-running */
	struct { uint16_t cid; uint16_t status; } done[ENTRIES];	/* executed, not completed yet */
	unsigned int ndone;
	struct hvdrv_done got[HVDRV_MAX_DEPTH];
};

static uint8_t *at(struct world *w, uint64_t address)
{
	uint64_t page = (address >> 12) - FRAME;

	ck_assert_uint_lt(page, STUB_PAGES(DEPTH) + POOL);
	/* not the state page and the records: they are not in the window */
	ck_assert_uint_ge(page, 1 + HVDRV_RECORD_PAGES(DEPTH));
	return w->mem + page * HVDRV_PAGE + (address & 0xfff);
}

static uint32_t doorbell(struct world *w, uint32_t where)
{
	uint32_t v;

	memcpy(&v, w->doorbells + where, 4);
	return v;
}

static uint64_t u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static void transfer(struct world *w, const uint8_t *e, bool write, uint32_t bytes)
{
	uint64_t prp1 = u64(e + 24), prp2 = u64(e + 32);
	uint8_t *disk = w->disk + u64(e + 40) * BLOCK;
	const uint8_t *list = NULL;

	ck_assert_uint_le(u64(e + 40) * BLOCK + bytes, sizeof(w->disk));
	for (uint32_t done = 0, i = 0; done < bytes; i++) {
		uint64_t a = i ? list ? u64(list + 8 * (i - 1)) : prp2 : prp1;
		uint32_t n = HVDRV_PAGE - (a & 0xfff);

		if (i == 0 && bytes > n + HVDRV_PAGE)
			list = at(w, prp2);
		if (n > bytes - done)
			n = bytes - done;
		if (write)
			memcpy(disk + done, at(w, a), n);
		else
			memcpy(at(w, a), disk + done, n);
		done += n;
	}
}

static uint16_t execute(struct world *w, const uint8_t *e)
{
	uint32_t nlb = (e[48] | e[49] << 8) + 1, nsid = e[4] | e[5] << 8;
	const uint8_t *range;

	ck_assert_uint_eq(nsid, NSID);
	switch (e[0]) {
	case 1: case 2:
		transfer(w, e, e[0] == 1, nlb * BLOCK);
		return 0;
	case 0:
		return 0;
	case 8:
		memset(w->disk + u64(e + 40) * BLOCK, 0, nlb * BLOCK);
		return 0;
	case 9:
		range = at(w, u64(e + 24));
		memset(w->disk + u64(range + 8) * BLOCK, 0, (range[4] | range[5] << 8) * BLOCK);
		return 0;
	}
	return 0x4001;			/* Invalid Command Opcode, Do Not Retry */
}

/* The controller fetches all that the doorbell says, and has executed it. */
static void fetch(struct world *w)
{
	while (w->fetched % ENTRIES != doorbell(w, SQ_DB)) {
		const uint8_t *e = w->s.ctx.pages + w->fetched++ % ENTRIES * 64;

		ck_assert_uint_lt(w->ndone, ENTRIES - 1);
		w->done[w->ndone].cid = e[2] | e[3] << 8;
		w->done[w->ndone++].status = execute(w, e);
	}
}

/* It completes n, in an order of its own. */
static void complete(struct world *w, struct rng *r, unsigned int n)
{
	while (n-- && w->ndone) {
		unsigned int k = rng_below(r, w->ndone);
		uint8_t *c = w->s.ctx.pages + HVDRV_PAGE + w->completed % ENTRIES * 16;
		uint16_t status = w->done[k].status << 1 | !(w->completed / ENTRIES & 1);

		ck_assert_uint_lt(w->completed % ENTRIES + 1 == ENTRIES ? 0 : w->completed % ENTRIES + 1, ENTRIES);
		memcpy(c + 12, &w->done[k].cid, 2);
		memcpy(c + 14, &status, 2);
		w->completed++;
		w->done[k] = w->done[--w->ndone];
	}
}

static bool world(struct world *w)
{
	struct hvdrv_state *st;
	uint32_t pages = STUB_PAGES(DEPTH) + POOL, first = 1 + HVDRV_RECORD_PAGES(DEPTH);
	static uint32_t grefs[STUB_PAGES(DEPTH) + POOL];

	memset(w, 0, sizeof(*w));
	if (!gen_image(UNIT_SRCDIR "/repo/devices/nvme-direct.conf", &w->img))
		return false;
	ck_assert_str_eq(w->img.h.mode, "direct");
	w->mem = mmap(NULL, pages * HVDRV_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(w->mem != MAP_FAILED);
	stub_init(&w->s, w->mem, grefs, DEPTH);
	for (uint32_t i = 0; i < 2 + DEPTH; i++)
		w->frames[i] = FRAME + first + i;
	w->s.ctx.frames = w->frames;
	w->s.ctx.doorbells = w->doorbells;
	st = w->s.ctx.state;
	st->nsid = NSID;
	st->lba_shift = 3;
	st->sq_doorbell = SQ_DB;
	st->cq_doorbell = CQ_DB;
	hv_place(&w->s.slot, &w->img, 1);
	ck_assert_uint_eq(stub_call(&w->s, HVDRV_ENTRY_ATTACH, 0), 0);
	return true;
}

static void end(struct world *w)
{
	munmap(w->mem, (STUB_PAGES(DEPTH) + POOL) * HVDRV_PAGE);
	stub_free(&w->s);
	hv_image_free(&w->img);
}

static bool idle(const struct world *w)
{
	return w->s.ctx.state->event == w->s.ctx.state->tail + 1;
}

static void fill(struct world *w, uint32_t tag, uint8_t op, uint64_t block, uint32_t blocks)
{
	struct hvdrv_record *rec = stub_record(&w->s, tag);
	uint32_t pool = STUB_PAGES(DEPTH);

	rec->op = op;
	rec->flags = 0;
	rec->sector = block * (BLOCK / HVDRV_SECTOR);
	rec->sectors = blocks * (BLOCK / HVDRV_SECTOR);
	rec->nseg = op == HVDRV_OP_READ || op == HVDRV_OP_WRITE ? blocks : 0;
	for (uint32_t i = 0; i < rec->nseg; i++)	/* pages from the pool's two ends: not beside each other */
		rec->seg[i] = (struct hvdrv_seg){ .gfn = FRAME + pool + (i % 2 ? POOL - 1 - i : i), .len = BLOCK };
}

static uint8_t *data(struct world *w, uint32_t i)
{
	return w->mem + (STUB_PAGES(DEPTH) + (i % 2 ? POOL - 1 - i : i)) * HVDRV_PAGE;
}

/* One request to its end. Its status. */
static uint8_t one(struct world *w, struct rng *r, uint8_t op, uint64_t block, uint32_t blocks)
{
	unsigned int n = 0;

	fill(w, 5, op, block, blocks);
	ck_assert_uint_eq(stub_submit(&w->s, 5), HVDRV_R_POLL);
	ck_assert(!idle(w));
	fetch(w);
	ck_assert_uint_eq(stub_event(&w->s, w->got, &n), HVDRV_R_POLL);	/* not yet */
	ck_assert_uint_eq(n, 0);
	complete(w, r, 1);
	ck_assert_uint_eq(stub_event(&w->s, w->got, &n), 0);		/* nothing more to look for */
	ck_assert_uint_eq(n, 1);
	ck_assert(idle(w));
	ck_assert_uint_eq(doorbell(w, CQ_DB), w->completed % ENTRIES);
	return w->got[0].status;
}

/* 500 writes and reads of the sizes in turn, 50 flushes, a discard of 40 blocks, zeroes of 50: counted once each. */
static void ck_counts(const struct world *w)
{
	const struct hvdrv_counts *c = &w->s.ctx.state->counts;
	const uint64_t pages = 125 * (1 + 2 + 3 + 63), per = BLOCK / HVDRV_SECTOR;
	const uint64_t requests[HVDRV_OPS] = { 500, 500, 50, 1, 1 }, sectors[HVDRV_OPS] = { pages * per, pages * per, 0, 40 * per, 50 * per };

	ck_assert_mem_eq(c->requests, requests, sizeof(requests));
	ck_assert_mem_eq(c->sectors, sectors, sizeof(sectors));
	ck_assert_uint_eq(c->errors, 0);
	ck_assert_uint_eq(c->looks, 2 * 1052);
}

/* Data of 1, 2, 3 and 63 pages, around both queues several times. */
START_TEST(verified)
{
	static const uint32_t sizes[] = { 1, 2, 3, 63 };
	static struct world w;
	struct rng r;

	rng_init(&r, "direct driver");
	if (!world(&w))
		return;
	for (unsigned int k = 0; k < 500; k++) {
		uint32_t n = sizes[k % N(sizes)], block = rng_below(&r, BLOCKS - n);

		for (uint32_t i = 0; i < n; i++)
			for (uint32_t b = 0; b < BLOCK; b++)
				data(&w, i)[b] = w.model[(block + i) * BLOCK + b] = rng_below(&r, 256);
		ck_assert_uint_eq(one(&w, &r, HVDRV_OP_WRITE, block, n), HVDRV_ST_OK);
		block = rng_below(&r, BLOCKS - n);
		ck_assert_uint_eq(one(&w, &r, HVDRV_OP_READ, block, n), HVDRV_ST_OK);
		for (uint32_t i = 0; i < n; i++)
			ck_assert_mem_eq(data(&w, i), w.model + (block + i) * BLOCK, BLOCK);
		if (k % 10 == 0)
			ck_assert_uint_eq(one(&w, &r, HVDRV_OP_FLUSH, 0, 0), HVDRV_ST_OK);
	}
	ck_assert_mem_eq(w.disk, w.model, sizeof(w.disk));
	ck_assert_uint_eq(one(&w, &r, HVDRV_OP_DISCARD, 3, 40), HVDRV_ST_OK);
	ck_assert_uint_eq(one(&w, &r, HVDRV_OP_WRITE_ZEROES, 100, 50), HVDRV_ST_OK);
	memset(w.model + 3 * BLOCK, 0, 40 * BLOCK);
	memset(w.model + 100 * BLOCK, 0, 50 * BLOCK);
	ck_assert_mem_eq(w.disk, w.model, sizeof(w.disk));
	ck_counts(&w);
	end(&w);
}
END_TEST

/* All tags at once: 63 at the controller, one waits; held, it waits on, and the queue becomes idle. */
START_TEST(held_when_full)
{
	static struct world w;
	struct rng r;
	unsigned int n = 0, all = 0;

	rng_init(&r, "direct driver");
	if (!world(&w))
		return;
	for (uint32_t tag = 0; tag < DEPTH; tag++) {
		fill(&w, tag, HVDRV_OP_READ, tag, 1);
		ck_assert_uint_eq(stub_submit(&w.s, tag), tag < ENTRIES - 1 ? HVDRV_R_POLL : 0);
	}
	ck_assert_uint_eq(w.s.ctx.state->tail, ENTRIES - 1);
	fetch(&w);
	ck_assert_uint_eq(w.ndone, ENTRIES - 1);
	w.s.ctx.state->hold = 1;
	while (w.ndone) {
		complete(&w, &r, 1 + rng_below(&r, 9));
		stub_event(&w.s, w.got, &n);
		all += n;
		ck_assert_uint_eq(w.s.ctx.state->tail, ENTRIES - 1);
	}
	ck_assert_uint_eq(all, ENTRIES - 1);
	ck_assert(idle(&w));
	w.s.ctx.state->hold = 0;
	ck_assert_uint_eq(stub_event(&w.s, w.got, &n), HVDRV_R_POLL);	/* the one that waited */
	fetch(&w);
	complete(&w, &r, 1);
	ck_assert_uint_eq(stub_event(&w.s, w.got, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert(idle(&w));
	end(&w);
}
END_TEST

/* The request at the controller ends so. How many were told to the guest; *status of the first. */
static unsigned int answer(struct world *w, struct rng *r, uint16_t status, uint8_t *told)
{
	unsigned int n = 0;

	fetch(w);
	ck_assert_uint_eq(w->ndone, 1);
	w->done[0].status = status;
	complete(w, r, 1);
	stub_event(&w->s, w->got, &n);
	*told = w->got[0].status;
	return n;
}

/* What a controller aborts without Do Not Retry is posted once more, each request anew; not while it is held. */
START_TEST(tried_again)
{
	static struct world w;
	struct rng r;
	uint8_t told;

	rng_init(&r, "direct driver");
	if (!world(&w))
		return;
	for (int k = 0; k < 3; k++) {
		fill(&w, 5, HVDRV_OP_READ, 7, 1);
		stub_submit(&w.s, 5);
		ck_assert_uint_eq(answer(&w, &r, 0x07, &told), 0);
		ck_assert(!idle(&w));
		ck_assert_uint_eq(answer(&w, &r, k ? 0 : 0x08, &told), 1);
		ck_assert_uint_eq(told, k ? HVDRV_ST_OK : HVDRV_ST_IOERR);
	}
	ck_assert_uint_eq(w.s.ctx.state->counts.requests[HVDRV_OP_READ], 3);
	ck_assert_uint_eq(w.s.ctx.state->counts.errors, 1);
	fill(&w, 5, HVDRV_OP_READ, 7, 1);
	stub_submit(&w.s, 5);
	w.s.ctx.state->hold = 1;
	ck_assert_uint_eq(answer(&w, &r, 0x07, &told), 0);
	ck_assert(idle(&w));
	ck_assert_uint_eq(stub_record(&w.s, 5)->state, HVDRV_REC_READY);
	end(&w);
}
END_TEST

/* A controller that does not know the operation; more completions than commands. */
START_TEST(wrong)
{
	static struct world w;
	struct rng r;
	unsigned int n;

	rng_init(&r, "direct driver");
	if (!world(&w))
		return;
	fill(&w, 5, HVDRV_OP_FLUSH, 0, 0);
	stub_submit(&w.s, 5);
	fetch(&w);
	w.done[0].status = 0x4001;
	complete(&w, &r, 1);
	stub_event(&w.s, w.got, &n);
	ck_assert_uint_eq(w.got[0].status, HVDRV_ST_UNSUPPORTED);
	ck_assert(w.s.ctx.state->counts.errors == 1 && w.s.ctx.state->counts.requests[HVDRV_OP_FLUSH] == 1);
	w.ndone = 1;
	complete(&w, &r, 1);
	ck_assert_uint_eq(stub_event(&w.s, w.got, &n) & HVDRV_R_BROKEN, HVDRV_R_BROKEN);
	end(&w);
}
END_TEST

Suite *unit_suite(void)
{
	const TTest *const plain[] = { verified, held_when_full, tried_again, wrong, NULL };

	return unit_new("direct driver", plain);
}
