// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include "load.h"

static void __attribute__((format(printf, 2, 3))) bad(struct load *l, const char *fmt, ...)
{
	va_list ap;

	if (*l->bad)
		return;
	va_start(ap, fmt);
	vsnprintf(l->bad, sizeof(l->bad), fmt, ap);
	va_end(ap);
}

static void returned(struct load *l, uint32_t r)
{
	l->notify |= r & HVDRV_R_NOTIFY;
	if (r & HVDRV_R_BROKEN)
		bad(l, "the driver says that its queue is broken");
}

void load_begin(struct load *l)
{
	returned(l, stub_call(&l->stub, HVDRV_ENTRY_ATTACH, 0));
}

static uint8_t *seg_mem(struct load *l, const struct hvdrv_seg *s)
{
	return l->page(l->arg, s->gref) + s->off;
}

/* Segments as a guest's block layer makes them: whole pages with odd ends; or, for what blkif can say, odd everywhere. */
static void fill_segs(struct load *l, struct hvdrv_record *rec, uint32_t tag)
{
	static const uint8_t most[] = { 1, 4, 11, 12, HVDRV_MAX_SEGS };
	bool odd = !l->joined && rng_below(&l->rng, 2);

	rec->nseg = 1 + rng_below(&l->rng, most[rng_below(&l->rng, N(most))]);
	rec->sectors = 0;
	for (uint32_t i = 0; i < rec->nseg; i++) {
		uint32_t first = odd || i == 0 ? rng_below(&l->rng, 8) : 0;
		uint32_t last = odd || i + 1 == rec->nseg ? first + rng_below(&l->rng, 8 - first) : 7;

		rec->seg[i].gref = l->first_ref + tag * HVDRV_MAX_SEGS + i;
		rec->seg[i].gfn = 0x100000 + rec->seg[i].gref;
		rec->seg[i].off = first * HVDRV_SECTOR;
		rec->seg[i].len = (last + 1 - first) * HVDRV_SECTOR;
		rec->sectors += last + 1 - first;
	}
}

static bool take_range(struct load *l, struct hvdrv_record *rec)
{
	rec->sector = rng_below(&l->rng, LOAD_SECTORS - rec->sectors + 1);
	for (uint64_t i = 0; i < rec->sectors; i++)
		if (l->busy[rec->sector + i])
			return false;
	memset(l->busy + rec->sector, 1, rec->sectors);
	return true;
}

static bool fill(struct load *l, uint32_t tag)
{
	static const uint8_t ops[] = { HVDRV_OP_READ, HVDRV_OP_READ, HVDRV_OP_READ, HVDRV_OP_WRITE, HVDRV_OP_WRITE, HVDRV_OP_WRITE, HVDRV_OP_FLUSH,
				       HVDRV_OP_DISCARD, HVDRV_OP_WRITE_ZEROES };
	struct hvdrv_record *rec = stub_record(&l->stub, tag);

	memset(rec, 0, sizeof(*rec));
	rec->op = ops[rng_below(&l->rng, N(ops))];
	if (rec->op == HVDRV_OP_FLUSH)
		return true;
	if (rec->op == HVDRV_OP_DISCARD || rec->op == HVDRV_OP_WRITE_ZEROES) {
		rec->sectors = 1 + rng_below(&l->rng, 64);
		return take_range(l, rec);
	}
	fill_segs(l, rec, tag);
	if (rec->op == HVDRV_OP_WRITE && rng_below(&l->rng, 4) == 0)
		rec->flags = HVDRV_F_FUA;
	return take_range(l, rec);
}

static void fill_data(struct load *l, const struct hvdrv_record *rec)
{
	for (uint32_t i = 0; i < rec->nseg; i++)
		if (rec->op == HVDRV_OP_WRITE)
			rng_fill(&l->rng, seg_mem(l, &rec->seg[i]), rec->seg[i].len);
		else
			memset(seg_mem(l, &rec->seg[i]), 0xdd, rec->seg[i].len);
}

static void submit(struct load *l, uint32_t tag)
{
	struct hvdrv_record *rec = stub_record(&l->stub, tag);
	uint32_t r;

	if (!fill(l, tag))
		return;			/* somebody is there: another time */
	fill_data(l, rec);
	l->flight[tag].sector = rec->sector;
	l->flight[tag].sectors = rec->sectors;
	l->flight[tag].op = rec->op;
	r = stub_submit(&l->stub, tag);
	returned(l, r);
	if (!(r & (HVDRV_R_BUSY | HVDRV_R_BROKEN))) {
		l->inflight++;
		return;
	}
	l->busies += r & HVDRV_R_BUSY;
	memset(l->busy + rec->sector, 0, rec->sectors);
}

void load_submit(struct load *l, unsigned int n)
{
	uint32_t tag = rng_below(&l->rng, l->depth);

	for (uint32_t i = 0; n && i < l->depth; i++, tag = (tag + 1) % l->depth) {
		if (l->stub.live[tag] != 0xffff)
			continue;
		submit(l, tag);
		n--;
	}
}

static void verify(struct load *l, uint32_t tag)
{
	const struct hvdrv_record *rec = stub_record(&l->stub, tag);
	uint8_t *at = l->disk + l->flight[tag].sector * HVDRV_SECTOR;

	if (rec->op == HVDRV_OP_DISCARD || rec->op == HVDRV_OP_WRITE_ZEROES)
		memset(at, 0, rec->sectors * HVDRV_SECTOR);
	for (uint32_t i = 0; i < rec->nseg; at += rec->seg[i++].len) {
		if (rec->op == HVDRV_OP_WRITE)
			memcpy(at, seg_mem(l, &rec->seg[i]), rec->seg[i].len);
		else if (memcmp(at, seg_mem(l, &rec->seg[i]), rec->seg[i].len))
			bad(l, "read of %u segments at %llu: segment %u is not what was written", rec->nseg,
			    (unsigned long long)l->flight[tag].sector, i);
		l->bytes += rec->seg[i].len;
	}
}

void load_event(struct load *l)
{
	struct hvdrv_done done[HVDRV_MAX_DEPTH];
	unsigned int n;

	returned(l, stub_event(&l->stub, done, &n));
	for (unsigned int i = 0; i < n; i++) {
		uint32_t tag = HVDRV_HANDLE_TAG(done[i].handle);

		if (done[i].status)
			bad(l, "operation %u ended with %u", l->flight[tag].op, done[i].status);
		else
			verify(l, tag);
		memset(l->busy + l->flight[tag].sector, 0, l->flight[tag].sectors);
		l->inflight--;
		l->ended++;
	}
	if (l->stub.ctx.state->stale)
		bad(l, "a completion of nobody");
}
