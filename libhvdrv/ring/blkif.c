// SPDX-License-Identifier: LGPL-2.1-only
#include <string.h>
#include "ring/blkif.h"
#include <xen/xen.h>
#include <xen/io/blkif.h>

#define AT(type, field) offsetof(type, field)

/* hvdrv's own numbers, for what class block has and blkif lacks; repo/devices/blkif.conf has the same. */
#define OP_WRITE_ZEROES 64
#define OP_WRITE_FUA 65
#define RSP_NOSPC -28

const struct hv_blkif_layout hv_blkif_xen = {
	.stride = sizeof(union blkif_sring_entry), .first = AT(struct blkif_sring, ring),
	.req_prod = AT(struct blkif_sring, req_prod), .req_event = AT(struct blkif_sring, req_event),
	.rsp_prod = AT(struct blkif_sring, rsp_prod), .rsp_event = AT(struct blkif_sring, rsp_event),
	.operation = AT(blkif_request_t, operation), .nseg = AT(blkif_request_t, nr_segments),
	.id = AT(blkif_request_t, id), .sector = AT(blkif_request_t, sector_number), .segs = AT(blkif_request_t, seg),
	.seg_stride = sizeof(struct blkif_request_segment), .seg_direct = BLKIF_MAX_SEGMENTS_PER_REQUEST,
	.seg_gref = AT(struct blkif_request_segment, gref), .seg_first = AT(struct blkif_request_segment, first_sect),
	.seg_last = AT(struct blkif_request_segment, last_sect),
	.range_sectors = AT(blkif_request_discard_t, nr_sectors),
	.ind_op = AT(blkif_request_indirect_t, indirect_op), .ind_nseg = AT(blkif_request_indirect_t, nr_segments),
	.ind_id = AT(blkif_request_indirect_t, id), .ind_sector = AT(blkif_request_indirect_t, sector_number),
	.ind_page = AT(blkif_request_indirect_t, indirect_grefs),
	.rsp_id = AT(blkif_response_t, id), .rsp_op = AT(blkif_response_t, operation),
	.rsp_status = AT(blkif_response_t, status),
	.op_read = BLKIF_OP_READ, .op_write = BLKIF_OP_WRITE, .op_write_fua = OP_WRITE_FUA,
	.op_flush = BLKIF_OP_FLUSH_DISKCACHE, .op_discard = BLKIF_OP_DISCARD, .op_write_zeroes = OP_WRITE_ZEROES,
	.op_indirect = BLKIF_OP_INDIRECT,
	.st_ok = BLKIF_RSP_OKAY, .st_ioerr = BLKIF_RSP_ERROR, .st_unsupported = BLKIF_RSP_EOPNOTSUPP, .st_nospc = RSP_NOSPC,
};

const char *hv_reject_name(enum hv_reject r)
{
	static const char *const names[] = {
		[HV_REJ_NONE] = "none", [HV_REJ_OPCODE] = "opcode", [HV_REJ_SEGMENTS] = "segment-count",
		[HV_REJ_SEGMENT] = "segment", [HV_REJ_RANGE] = "range", [HV_REJ_ALIGN] = "alignment",
		[HV_REJ_READ_ONLY] = "read-only", [HV_REJ_INDIRECT] = "indirect-operation",
		[HV_REJ_INDIRECT_PAGE] = "indirect-page", [HV_REJ_DATA_PAGE] = "data-page",
		[HV_REJ_NAMESPACE] = "namespace", [HV_REJ_RING] = "ring-index",
	};

	return r < HV_REJECTS ? names[r] : "?";
}

/* Opcode of something that moves data, straight or in an indirect request. */
static enum hv_reject data_op(const struct hv_blkif_layout *l, const struct hv_blkif_limits *lim, uint8_t opcode,
			      struct hv_blk_req *r)
{
	r->fua = opcode == l->op_write_fua;
	if (opcode == l->op_read)
		r->op = HVDRV_OP_READ;
	else if (opcode == l->op_write || (r->fua && lim->fua))
		r->op = HVDRV_OP_WRITE;
	else
		return HV_REJ_OPCODE;
	return r->op == HVDRV_OP_WRITE && lim->read_only ? HV_REJ_READ_ONLY : HV_REJ_NONE;
}

enum hv_reject hv_blkif_segments(const struct hv_blkif_layout *l, const struct hv_blkif_limits *lim,
				 const uint8_t *segs, struct hv_blk_req *r)
{
	r->sectors = 0;
	for (unsigned int i = 0; i < r->nseg; i++, segs += l->seg_stride) {
		uint8_t first = segs[l->seg_first], last = segs[l->seg_last];

		if (first > last || last >= HVDRV_PAGE / HVDRV_SECTOR)
			return HV_REJ_SEGMENT;
		r->seg[i].gref = hv_blk_get(segs + l->seg_gref, 4);
		r->seg[i].off = first * HVDRV_SECTOR;
		r->seg[i].len = (last - first + 1) * HVDRV_SECTOR;
		r->sectors += last - first + 1;
	}
	if (r->sectors * HVDRV_SECTOR > lim->max_bytes)
		return HV_REJ_SEGMENTS;
	return hv_blk_check_range(lim, r);
}

static enum hv_reject parse_direct(const struct hv_blkif_layout *l, const struct hv_blkif_limits *lim,
				   const uint8_t *e, struct hv_blk_req *r)
{
	enum hv_reject rej = data_op(l, lim, r->opcode, r);

	if (rej)
		return rej;
	r->nseg = e[l->nseg];
	r->sector = hv_blk_get(e + l->sector, 8);
	if (!r->nseg || r->nseg > l->seg_direct)
		return HV_REJ_SEGMENTS;
	return hv_blkif_segments(l, lim, e + l->segs, r);
}

static enum hv_reject parse_indirect(const struct hv_blkif_layout *l, const struct hv_blkif_limits *lim,
				     const uint8_t *e, struct hv_blk_req *r, uint32_t *indirect)
{
	enum hv_reject rej = data_op(l, lim, e[l->ind_op], r);

	if (rej)
		return rej == HV_REJ_OPCODE ? HV_REJ_INDIRECT : rej;
	r->nseg = hv_blk_get(e + l->ind_nseg, 2);
	r->sector = hv_blk_get(e + l->ind_sector, 8);
	if (!r->nseg || r->nseg > lim->max_segs || r->nseg > HVDRV_MAX_SEGS)
		return HV_REJ_SEGMENTS;
	*indirect = hv_blk_get(e + l->ind_page, 4);
	return *indirect ? HV_REJ_NONE : HV_REJ_INDIRECT_PAGE;
}

static enum hv_reject parse_range(const struct hv_blkif_layout *l, const struct hv_blkif_limits *lim,
				  const uint8_t *e, struct hv_blk_req *r)
{
	r->op = r->opcode == l->op_discard ? HVDRV_OP_DISCARD : HVDRV_OP_WRITE_ZEROES;
	if (r->op == HVDRV_OP_DISCARD ? !lim->discard : !lim->write_zeroes)
		return HV_REJ_OPCODE;
	if (lim->read_only)
		return HV_REJ_READ_ONLY;
	r->sector = hv_blk_get(e + l->sector, 8);
	r->sectors = hv_blk_get(e + l->range_sectors, 8);
	return hv_blk_check_range(lim, r);
}

enum hv_reject hv_blkif_parse(const struct hv_blkif_layout *l, const struct hv_blkif_limits *lim, const uint8_t *entry,
			      struct hv_blk_req *r, uint32_t *indirect)
{
	*indirect = 0;
	r->opcode = entry[l->operation];
	r->id = hv_blk_get(entry + (r->opcode == l->op_indirect ? l->ind_id : l->id), 8);
	r->fua = false;
	r->nseg = 0;
	r->sector = r->sectors = 0;
	if (r->opcode == l->op_indirect)
		return parse_indirect(l, lim, entry, r, indirect);
	if (r->opcode == l->op_discard || r->opcode == l->op_write_zeroes)
		return parse_range(l, lim, entry, r);
	if (r->opcode == l->op_flush) {
		r->op = HVDRV_OP_FLUSH;
		return lim->flush ? HV_REJ_NONE : HV_REJ_OPCODE;
	}
	return parse_direct(l, lim, entry, r);
}

/* ---- the ring ---- */

static uint32_t load(const uint8_t *mem, uint16_t off)
{
	return __atomic_load_n((const uint32_t *)(mem + off), __ATOMIC_ACQUIRE);
}

static void store(uint8_t *mem, uint16_t off, uint32_t v)
{
	__atomic_store_n((uint32_t *)(mem + off), v, __ATOMIC_RELEASE);
}

uint32_t hv_blkring_entries(const struct hv_blkif_layout *l, uint32_t pages)
{
	uint32_t fit = (pages * HVDRV_PAGE - l->first) / l->stride, n = 1;

	while (n * 2 <= fit)
		n *= 2;
	return n;
}

void hv_blkring_init(struct hv_blkring *r, const struct hv_blkif_layout *l, void *mem, uint32_t pages)
{
	r->l = l;
	r->mem = mem;
	r->entries = hv_blkring_entries(l, pages);
	r->req_cons = r->rsp_prod = r->rsp_pushed = load(mem, l->rsp_prod);
}

void hv_blkring_prepare(const struct hv_blkif_layout *l, void *mem, uint32_t begun)
{
	store(mem, l->req_prod, begun);
	store(mem, l->req_event, begun + 1);
	store(mem, l->rsp_event, 1);
}

void hv_blkring_renew(struct hv_blkring *r, const struct hv_blkif_layout *l, void *mem, uint32_t pages, uint32_t begun)
{
	*r = (struct hv_blkring){ .l = l, .mem = mem, .entries = hv_blkring_entries(l, pages), .req_cons = begun };
}

static uint8_t *entry_at(struct hv_blkring *r, uint32_t i)
{
	return r->mem + r->l->first + (i & (r->entries - 1)) * r->l->stride;
}

int hv_blkring_take(struct hv_blkring *r, uint8_t *entry)
{
	uint32_t prod = load(r->mem, r->l->req_prod);	/* acquire: the entries were written before it */

	/* as many requests without an answer as the ring holds, not one more (RING_REQUEST_PROD_OVERFLOW), and never back */
	if (prod - r->req_cons > r->entries - (r->req_cons - r->rsp_prod))
		return -1;
	if (prod == r->req_cons)
		return 0;
	memcpy(entry, entry_at(r, r->req_cons++), r->l->stride);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* the compiler must not read the shared entry again */
	return 1;
}

bool hv_blkring_arm(struct hv_blkring *r)
{
	store(r->mem, r->l->req_event, r->req_cons + 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* ask before the last look (RING_FINAL_CHECK_FOR_REQUESTS) */
	return load(r->mem, r->l->req_prod) != r->req_cons;
}

static int16_t status_code(const struct hv_blkif_layout *l, enum hvdrv_status st)
{
	switch (st) {
	case HVDRV_ST_OK: return l->st_ok;
	case HVDRV_ST_UNSUPPORTED: return l->st_unsupported;
	case HVDRV_ST_NOSPC: return l->st_nospc;
	default: return l->st_ioerr;
	}
}

void hv_blkring_answer(struct hv_blkring *r, uint64_t id, uint8_t opcode, enum hvdrv_status st)
{
	uint8_t *e = entry_at(r, r->rsp_prod++);
	int16_t code = status_code(r->l, st);

	memcpy(e + r->l->rsp_id, &id, sizeof(id));
	e[r->l->rsp_op] = opcode;
	memcpy(e + r->l->rsp_status, &code, sizeof(code));
}

bool hv_blkring_push(struct hv_blkring *r)
{
	uint32_t old = r->rsp_pushed, new = r->rsp_prod;

	if (old == new)
		return false;
	r->rsp_pushed = new;
	store(r->mem, r->l->rsp_prod, new);		/* release: the answers before it */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* published before we look whether the guest sleeps */
	return new - load(r->mem, r->l->rsp_event) < new - old;
}
