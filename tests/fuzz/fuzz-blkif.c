// SPDX-License-Identifier: GPL-2.0-only
/*
 * The validator of block rings. The input is a guest's programme: limits, then steps that write the ring, and steps
 * of a backend that takes, answers and publishes. A request that is passed must keep to the limits, and no more are
 * ever out than the ring holds.
 */
#include "blk.h"
#include "ring/blkif.h"

#define OUT_MAX 1024

struct run {
	struct input in;
	struct hv_blkif_limits lim;
	struct hv_blkring ring;
	uint8_t *mem;
	uint32_t pages;
	uint64_t id[OUT_MAX];
	unsigned int out;
	bool broken;
};

/* The page of segments, in memory of just the size that may be read. */
static enum hv_reject fetch(struct run *r, struct hv_blk_req *q)
{
	size_t n = q->nseg * hv_blkif_xen.seg_stride;
	uint8_t *segs = malloc(n);
	enum hv_reject rej;

	MUST(segs && q->nseg <= r->lim.max_segs);
	in_bytes(&r->in, segs, n);
	rej = hv_blkif_segments(&hv_blkif_xen, &r->lim, segs, q);
	free(segs);
	return rej;
}

static void take(struct run *r)
{
	uint8_t *entry = malloc(hv_blkif_xen.stride);
	struct hv_blk_req q;
	enum hv_reject rej;
	uint32_t indirect;
	int got;

	MUST(entry);
	got = hv_blkring_take(&r->ring, entry);
	r->broken |= got < 0;
	if (got == 1) {
		rej = hv_blkif_parse(&hv_blkif_xen, &r->lim, entry, &q, &indirect);
		if (!rej && indirect)
			rej = fetch(r, &q);
		MUST(rej < HV_REJ_RING && *hv_reject_name(rej));
		if (!rej)
			blk_check(&r->lim, &q);
		MUST(r->out < r->ring.entries);
		r->id[r->out++] = q.id;
	}
	free(entry);
}

static void answer(struct run *r)
{
	uint8_t st = in_u8(&r->in);

	if (r->out)
		hv_blkring_answer(&r->ring, r->id[--r->out], st, st % HVDRV_STATUSES);
}

/* What a guest does: an index moved, an entry written whole, any byte of the ring written. */
static void guest(struct run *r, uint8_t how)
{
	uint32_t at, v;

	switch (how % 3) {
	case 0:
		memcpy(&v, r->mem + hv_blkif_xen.req_prod, 4);
		v += (int8_t)in_u8(&r->in);
		memcpy(r->mem + hv_blkif_xen.req_prod, &v, 4);
		break;
	case 1:
		at = in_u8(&r->in) % r->ring.entries;
		in_bytes(&r->in, r->mem + hv_blkif_xen.first + at * hv_blkif_xen.stride, hv_blkif_xen.stride);
		break;
	default:
		r->mem[in_u16(&r->in) % (r->pages * HVDRV_PAGE)] = in_u8(&r->in);
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
		hv_blkring_push(&r->ring);
	else
		hv_blkring_arm(&r->ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { .in = { data, size } };
	uint32_t start;

	r.pages = 1 + (blk_limits(&r.in, &r.lim) >> 6);
	r.mem = calloc(r.pages, HVDRV_PAGE);
	MUST(r.mem);
	start = in_u32(&r.in);		/* a ring in use, its indexes anywhere */
	memcpy(r.mem + hv_blkif_xen.req_prod, &start, 4);
	memcpy(r.mem + hv_blkif_xen.rsp_prod, &start, 4);
	hv_blkring_init(&r.ring, &hv_blkif_xen, r.mem, r.pages);
	while (r.in.left && !r.broken)
		step(&r);
	free(r.mem);
	return 0;
}
