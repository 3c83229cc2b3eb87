// SPDX-License-Identifier: LGPL-2.1-only
#include "ring/nvme.h"

#define NSID 1			/* the only namespace */
#define LAP (2 * HV_NVME_ENTRIES)	/* completions until index and phase are the same again */

/*
 * NVM Express Base Specification 2.0, 3.3.3 (queue entries) and 4.2 (status); NVM Command Set Specification 1.0, 3.2
 * (commands). No public header has them as structures. repo/devices/nvme.conf has the same.
 */
const struct hv_nvme_layout hv_nvme_mediated = {
	.opcode = 0, .flags = 1, .cid = 2, .nsid = 4, .prp1 = 24, .prp2 = 32,
	.slba = 40, .nlb = 48, .control = 50,
	.nr = 40, .attributes = 44,
	.range_length = 4, .range_slba = 8,
	.cpl_sq_head = 8, .cpl_cid = 12, .cpl_status = 14,
	.op_flush = 0, .op_write = 1, .op_read = 2, .op_write_zeroes = 8, .op_discard = 9,
	.fua = 1 << 14, .ad = 1 << 2,
	.st_ok = 0, .st_ioerr = 0x06, .st_unsupported = 0x01, .st_nospc = 0x81,
};

/* ---- commands ---- */

/* Which operation it is, and whether the device has it. FUA is offered for writes only. */
static enum hv_reject operation(const struct hv_nvme_layout *l, const struct hv_blkif_limits *lim, const uint8_t *e,
				struct hv_blk_req *r)
{
	bool fua = hv_blk_get(e + l->control, 2) & l->fua, offered = true;

	if (r->opcode == l->op_read) {
		r->op = HVDRV_OP_READ;
		offered = !fua;
	} else if (r->opcode == l->op_write) {
		r->op = HVDRV_OP_WRITE;
		offered = !fua || lim->fua;
		r->fua = fua;
	} else if (r->opcode == l->op_flush) {
		r->op = HVDRV_OP_FLUSH;
		offered = lim->flush;
	} else if (r->opcode == l->op_discard) {	/* without the bit it would be advice */
		r->op = HVDRV_OP_DISCARD;
		offered = lim->discard && hv_blk_get(e + l->attributes, 4) & l->ad;
	} else if (r->opcode == l->op_write_zeroes) {
		r->op = HVDRV_OP_WRITE_ZEROES;
		offered = lim->write_zeroes && !fua;
	} else {
		offered = false;
	}
	/* flags: fused commands and SGLs are not for us */
	return offered && !e[l->flags] ? HV_REJ_NONE : HV_REJ_OPCODE;
}

static bool changes(const struct hv_blk_req *r)
{
	return r->op != HVDRV_OP_READ && r->op != HVDRV_OP_FLUSH;
}

/* The grant that a PRP names; offset: whether it may begin within the page. */
static enum hv_reject page_of(uint64_t prp, bool offset, uint32_t *gref)
{
	uint64_t ref = prp / HVDRV_PAGE;

	if (!ref || ref > UINT32_MAX || prp % (offset ? HVDRV_SECTOR : HVDRV_PAGE))
		return HV_REJ_SEGMENT;
	*gref = ref;
	return HV_REJ_NONE;
}

/* Offsets and lengths of all pages follow from where the first begins and how much there is. */
static void cut(struct hv_blk_req *r, uint32_t off, uint32_t bytes)
{
	for (unsigned int i = 0; i < r->nseg; i++) {
		uint32_t len = HVDRV_PAGE - off < bytes ? HVDRV_PAGE - off : bytes;

		r->seg[i].off = off;
		r->seg[i].len = len;
		bytes -= len;
		off = 0;
	}
}

static enum hv_reject parse_data(const struct hv_nvme_layout *l, const struct hv_blkif_limits *lim, const uint8_t *e,
				 struct hv_blk_req *r, struct hv_blk_fetch *f)
{
	uint64_t prp1 = hv_blk_get(e + l->prp1, 8), prp2 = hv_blk_get(e + l->prp2, 8);
	uint32_t off = prp1 % HVDRV_PAGE, bytes = r->sectors * HVDRV_SECTOR;
	uint32_t pages = (off + bytes + HVDRV_PAGE - 1) / HVDRV_PAGE;
	enum hv_reject rej;

	if (bytes > lim->max_bytes || pages > lim->max_segs || pages > HVDRV_MAX_SEGS)
		return HV_REJ_SEGMENTS;
	r->nseg = pages;
	cut(r, off, bytes);
	rej = page_of(prp1, true, &r->seg[0].gref);
	if (rej || pages == 1)
		return rej;
	if (pages == 2)
		return page_of(prp2, false, &r->seg[1].gref);
	f->len = (pages - 1) * sizeof(uint64_t);
	return page_of(prp2, false, &f->gref);
}

static enum hv_reject parse_discard(const struct hv_nvme_layout *l, const uint8_t *e, struct hv_blk_fetch *f)
{
	if (hv_blk_get(e + l->nr, 4))
		return HV_REJ_SEGMENTS;		/* one range at a time */
	f->len = 16;
	return page_of(hv_blk_get(e + l->prp1, 8), false, &f->gref);
}

enum hv_reject hv_nvme_fetched(const struct hv_nvme_layout *l, const struct hv_blkif_limits *lim, const uint8_t *bytes,
			       struct hv_blk_req *r)
{
	enum hv_reject rej = HV_REJ_NONE;

	if (r->op == HVDRV_OP_DISCARD) {
		r->sectors = hv_blk_get(bytes + l->range_length, 4);
		r->sector = hv_blk_get(bytes + l->range_slba, 8);
		return hv_blk_check_range(lim, r);
	}
	for (unsigned int i = 1; !rej && i < r->nseg; i++, bytes += sizeof(uint64_t))
		rej = page_of(hv_blk_get(bytes, 8), false, &r->seg[i].gref);
	return rej;
}

enum hv_reject hv_nvme_parse(const struct hv_nvme_layout *l, const struct hv_blkif_limits *lim, const uint8_t *entry,
			     struct hv_blk_req *r, struct hv_blk_fetch *f)
{
	enum hv_reject rej;

	*f = (struct hv_blk_fetch){ 0 };
	r->opcode = entry[l->opcode];
	r->id = hv_blk_get(entry + l->cid, 2);
	r->fua = false;
	r->nseg = 0;
	r->sector = r->sectors = 0;
	rej = operation(l, lim, entry, r);
	if (rej)
		return rej;
	if (hv_blk_get(entry + l->nsid, 4) != NSID)
		return HV_REJ_NAMESPACE;
	if (changes(r) && lim->read_only)
		return HV_REJ_READ_ONLY;
	if (r->op == HVDRV_OP_FLUSH)
		return HV_REJ_NONE;
	if (r->op == HVDRV_OP_DISCARD)
		return parse_discard(l, entry, f);
	r->sector = hv_blk_get(entry + l->slba, 8);
	r->sectors = hv_blk_get(entry + l->nlb, 2) + 1;
	rej = hv_blk_check_range(lim, r);
	return rej || r->op == HVDRV_OP_WRITE_ZEROES ? rej : parse_data(l, lim, entry, r, f);
}

/* ---- the pair ---- */

static uint32_t tail_of(const struct hv_nvmeq *q)
{
	return __atomic_load_n(&q->state->tail, __ATOMIC_ACQUIRE);
}

static uint8_t *completion_at(const struct hv_nvmeq *q, uint32_t i)
{
	return q->cq + i % HV_NVME_ENTRIES * HV_NVME_COMPLETION;
}

static unsigned int phase_at(const struct hv_nvmeq *q, uint32_t i)
{
	return completion_at(q, i)[q->l->cpl_status] & 1;
}

void hv_nvmeq_init(struct hv_nvmeq *q, const struct hv_nvme_layout *l, void *mem, struct hvdrv_state *state, uint32_t carried)
{
	*q = (struct hv_nvmeq){
		.l = l, .sq = mem, .cq = (uint8_t *)mem + HVDRV_PAGE, .state = state, .outstanding = carried,
	};
}

/* Completions written in this lap: those of the last time around have the phase of entry 0. */
static uint32_t count_completions(const struct hv_nvmeq *q)
{
	unsigned int phase = phase_at(q, 0);
	uint32_t n = 1;

	while (n < HV_NVME_ENTRIES && phase_at(q, n) == phase)
		n++;
	return (phase ? n : HV_NVME_ENTRIES + n) % LAP;
}

void hv_nvmeq_take_up(struct hv_nvmeq *q, const struct hv_nvme_layout *l, void *mem, struct hvdrv_state *state)
{
	uint32_t tail, head, seen;

	hv_nvmeq_init(q, l, mem, state, 0);
	/* what the guest has seen is less than a lap behind; event is the one after that */
	seen = __atomic_load_n(&state->event, __ATOMIC_RELAXED) - 1;
	q->produced = seen + (count_completions(q) - seen) % LAP;
	/* nothing was taken after the last answer, and the guest is never a whole queue ahead */
	tail = tail_of(q);
	head = hv_blk_get(completion_at(q, q->produced - 1) + l->cpl_sq_head, 2);
	q->taken = tail - (tail - head) % HV_NVME_ENTRIES;
	q->pushed = seen;		/* whoever served it may not have sent the event */
}

int hv_nvmeq_take(struct hv_nvmeq *q, uint8_t *entry)
{
	uint32_t tail = tail_of(q);	/* acquire: the commands were written before it */
	uint32_t most = HV_NVME_ENTRIES - 1, room = q->outstanding < most ? most - q->outstanding : 0;	/* carried ones may be more */

	/* as many commands without an answer as the queue holds, not one more, and never back */
	if (tail - q->taken > room)
		return -1;
	if (tail == q->taken)
		return 0;
	memcpy(entry, q->sq + q->taken++ % HV_NVME_ENTRIES * HV_NVME_COMMAND, HV_NVME_COMMAND);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* the compiler must not read the shared entry again */
	q->outstanding++;
	return 1;
}

bool hv_nvmeq_ready(const struct hv_nvmeq *q)
{
	return tail_of(q) != q->taken;
}

bool hv_nvmeq_arm(struct hv_nvmeq *q)
{
	__atomic_store_n(&q->state->need_kick, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* ask before the last look */
	return hv_nvmeq_ready(q);
}

void hv_nvmeq_disarm(struct hv_nvmeq *q)
{
	__atomic_store_n(&q->state->need_kick, 0, __ATOMIC_RELAXED);
}

static uint16_t status_code(const struct hv_nvme_layout *l, enum hvdrv_status st)
{
	switch (st) {
	case HVDRV_ST_OK: return l->st_ok;
	case HVDRV_ST_UNSUPPORTED: return l->st_unsupported;
	case HVDRV_ST_NOSPC: return l->st_nospc;
	default: return l->st_ioerr;
	}
}

/* The other fields of a completion are 0 from the begin: one queue pair, and no command has a result. */
void hv_nvmeq_answer(struct hv_nvmeq *q, uint16_t cid, enum hvdrv_status st)
{
	uint16_t head = q->taken % HV_NVME_ENTRIES, phase = !(q->produced / HV_NVME_ENTRIES & 1);
	uint8_t *e = completion_at(q, q->produced++);

	q->outstanding--;
	memcpy(e + q->l->cpl_sq_head, &head, sizeof(head));
	memcpy(e + q->l->cpl_cid, &cid, sizeof(cid));
	/* release: what is above is there when the phase is */
	__atomic_store_n((uint16_t *)(e + q->l->cpl_status), status_code(q->l, st) << 1 | phase, __ATOMIC_RELEASE);
}

bool hv_nvmeq_push(struct hv_nvmeq *q)
{
	uint32_t old = q->pushed, new = q->produced;

	if (old == new)
		return false;
	q->pushed = new;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* the completions before we look whether the guest sleeps */
	return new - __atomic_load_n(&q->state->event, __ATOMIC_RELAXED) < new - old;
}
