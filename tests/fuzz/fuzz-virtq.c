// SPDX-License-Identifier: GPL-2.0-only
/*
 * The validator of virtqueues. The input is a guest's programme: limits, then steps that write the queue, and steps of a
 * host that takes, answers, publishes and begins again. A request that is passed must keep to the limits, no more are ever
 * out than there are descriptors, and what lies behind the queue's pages stays as it is.
 */
#include "blk.h"
#include "ring/virtq.h"

#define TAGS 8u
#define PAGES (HV_VIRTQ_PAGES + TAGS)
#define L (&hv_virtq_split)

struct run {
	struct input in;
	struct hv_blkif_limits lim;
	struct hv_virtq q;
	uint8_t *mem;
	struct hv_blk_req out[HV_VIRTQ_SIZE];
	unsigned int nout;
	bool broken;
};

static void check_passed(const struct run *r, const struct hv_blk_req *q)
{
	MUST(q->id <= UINT16_MAX && HVDRV_HANDLE_TAG(q->id) < TAGS);
	blk_check(&r->lim, q);
	MUST(q->nseg <= r->lim.max_segs);
	for (int i = 0; i < q->nseg; i++)
		MUST(q->seg[i].gref);
}

/* What lies in the tag's page, in memory of just the size that may be read. */
static enum hv_reject fetch(struct run *r, const struct hv_blk_fetch *f, struct hv_blk_req *q)
{
	uint8_t *bytes = malloc(f->len);
	enum hv_reject rej;

	MUST(bytes && f->gref && f->len && f->len <= HVDRV_PAGE);
	memcpy(bytes, r->mem + (HV_VIRTQ_PAGES + HVDRV_HANDLE_TAG(q->id)) * HVDRV_PAGE, f->len);
	rej = hv_virtq_fetched(L, &r->lim, bytes, q);
	free(bytes);
	return rej;
}

static void take(struct run *r)
{
	uint8_t *entry = malloc(HV_VIRTQ_ENTRY);
	struct hv_blk_fetch f;
	struct hv_blk_req q;
	enum hv_reject rej;
	int got;

	MUST(entry);
	got = hv_virtq_take(&r->q, entry);
	r->broken |= got < 0;
	if (got == 1) {
		rej = hv_virtq_parse(L, entry, &q, &f);
		MUST(HVDRV_HANDLE_TAG(q.id) < TAGS && q.id > UINT16_MAX);
		if (!rej)
			rej = fetch(r, &f, &q);
		MUST(rej < HV_REJ_RING && *hv_reject_name(rej));
		if (!rej)
			check_passed(r, &q);
		MUST(r->nout < HV_VIRTQ_SIZE && HVDRV_HANDLE_TAG(q.id) < TAGS);
		r->out[r->nout++] = q;
	}
	free(entry);
}

static void answer(struct run *r)
{
	uint8_t st = in_u8(&r->in);

	if (r->nout)
		hv_virtq_answer(&r->q, &r->out[--r->nout], st % HVDRV_STATUSES);
	MUST((uint16_t)(r->q.taken - r->q.answered) == r->nout);
}

/* A table made whole: count and type from the input, each descriptor as it must be but for what comes after. */
static void put_request(struct run *r)
{
	uint32_t tag = in_u8(&r->in) % TAGS, n = in_u8(&r->in) % 70, type = in_u8(&r->in), handle = HVDRV_HANDLE(tag, in_u8(&r->in));
	uint8_t *page = r->mem + (HV_VIRTQ_PAGES + tag) * HVDRV_PAGE, *table = page + 48;
	uint64_t sector = in_u16(&r->in);

	memcpy(page, &type, 4);
	memcpy(page + 4, &handle, 4);
	memcpy(page + 8, &sector, 8);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t addr = i == 0 ? 9ull << 12 : i == 1 ? 9ull << 12 | 32 : type > 9 ? 9ull << 12 | 16 : (10ull + i) << 12;
		uint32_t len = i == 0 || (type > 9 && type < 60) ? 16 : HVDRV_PAGE;
		uint16_t flags = i == 1 ? 2 : i && !type ? 3 : 1, next = i == 1 ? 0 : i + 1 < n ? (i ? i + 1 : 2) : 1;

		len = i == 1 ? 1 : len;
		memcpy(table + 16 * i, &addr, 8);
		memcpy(table + 16 * i + 8, &len, 4);
		memcpy(table + 16 * i + 12, &flags, 2);
		memcpy(table + 16 * i + 14, &next, 2);
	}
	memcpy(r->mem + 16 * tag, &(uint64_t){ 9ull << 12 | 48 }, 8);
	memcpy(r->mem + 16 * tag + 8, &(uint32_t){ 16 * n }, 4);
	memcpy(r->mem + 16 * tag + 12, &(uint16_t){ 4 }, 2);
	memcpy(r->mem + L->avail + L->avail_ring + r->q.taken % HV_VIRTQ_SIZE * 2, &tag, 2);
}

/* What a guest does: an index moved, a request written whole, any octet written. */
static void guest(struct run *r, uint8_t how)
{
	uint16_t idx;

	switch (how % 4) {
	case 0:
		memcpy(&idx, r->mem + L->avail + L->avail_idx, 2);
		idx += (int8_t)in_u8(&r->in);
		memcpy(r->mem + L->avail + L->avail_idx, &idx, 2);
		break;
	case 1:
		put_request(r);
		break;
	default:
		r->mem[in_u16(&r->in) % (PAGES * HVDRV_PAGE)] = in_u8(&r->in);
		break;
	}
}

static void step(struct run *r)
{
	uint8_t what = in_u8(&r->in);

	if (what % 8 < 4)
		guest(r, what / 8);
	else if (what % 8 < 6)
		take(r);
	else if (what % 8 == 6)
		answer(r);
	else if (what & 8)
		hv_virtq_push(&r->q);
	else if (what & 16 && !r->nout)
		hv_virtq_init(&r->q, L, r->mem, PAGES);
	else
		hv_virtq_arm(&r->q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { .in = { data, size } };
	uint16_t at;

	blk_limits(&r.in, &r.lim);
	r.mem = aligned_alloc(HVDRV_PAGE, PAGES * HVDRV_PAGE);
	MUST(r.mem);
	memset(r.mem, 0, PAGES * HVDRV_PAGE);
	at = in_u16(&r.in);			/* a queue in use, its indexes anywhere */
	memcpy(r.mem + L->avail + L->avail_idx, &at, 2);
	memcpy(r.mem + L->used + L->used_idx, &at, 2);
	hv_virtq_init(&r.q, L, r.mem, PAGES);
	while (r.in.left && !r.broken)
		step(&r);
	free(r.mem);
	return 0;
}
