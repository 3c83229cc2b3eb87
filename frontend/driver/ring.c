/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Skeleton "ring": a shared ring of requests that the other side overwrites
 * with responses (Xen's public/io/ring.h). The generator puts what the device
 * description says in front of it: RING_* numbers, put_* and get_* accessors,
 * opcode_of(), status_of(). This file knows no offset, no opcode, no status.
 *
 * Every function runs with interrupts off under the queue's lock.
 */

/* The driver's only memory, in the state page; the host has zeroed it. */
struct drv {
	uint32_t prod;		/* requests posted */
	uint32_t cons;		/* responses taken */
	struct waiting waiting;
};

static inline struct drv *drv_of(struct hvdrv_ctx *ctx)
{
	return (struct drv *)ctx->state->drv;
}

static inline uint8_t *entry_at(struct hvdrv_ctx *ctx, uint32_t i)
{
	return ctx->pages + RING_FIRST + (i & (RING_ENTRIES - 1)) * RING_STRIDE;
}

static inline int ring_full(const struct drv *d)
{
	return d->prod - d->cons == RING_ENTRIES;
}

static inline void put_segs(uint8_t *to, uint32_t stride, const struct hvdrv_record *rec)
{
	for (uint32_t i = 0; i < rec->nseg && i < HVDRV_MAX_SEGS; i++, to += stride) {
		const struct hvdrv_seg *s = &rec->seg[i];

		put_segment_gref(to, s->gref);
		put_segment_first(to, s->off / HVDRV_SECTOR);
		put_segment_last(to, (s->off + s->len) / HVDRV_SECTOR - 1);
	}
}

static void put_direct(uint8_t *e, const struct hvdrv_record *rec)
{
	put_request_operation(e, opcode_of(rec));
	put_request_nseg(e, rec->nseg);
	put_request_id(e, rec->handle);
	put_request_sector(e, rec->sector);
	put_segs(e + REQUEST_SEGS_AT, REQUEST_SEGS_STRIDE, rec);
}

/* More segments than an entry holds: they go to a queue page that belongs to the tag, so it is free while the tag is. */
static void put_indirect(struct hvdrv_ctx *ctx, uint8_t *e, const struct hvdrv_record *rec, uint32_t tag)
{
	uint32_t page = RING_PAGES + tag;

	put_indirect_operation(e, OPCODE_INDIRECT);
	put_indirect_op(e, opcode_of(rec));
	put_indirect_nseg(e, rec->nseg);
	put_indirect_id(e, rec->handle);
	put_indirect_sector(e, rec->sector);
	put_indirect_page(e, ctx->grefs[page]);
	put_segs(ctx->pages + page * HVDRV_PAGE, INDIRECT_SEGS_STRIDE, rec);
}

static void put_range(uint8_t *e, const struct hvdrv_record *rec)
{
	put_range_operation(e, opcode_of(rec));
	put_range_flag(e, 0);
	put_range_id(e, rec->handle);
	put_range_sector(e, rec->sector);
	put_range_sectors(e, rec->sectors);
}

/* tag < ctx->depth: what is read and written goes by that, not by what the record says of itself. */
static void post(struct hvdrv_ctx *ctx, uint32_t tag)
{
	const struct hvdrv_record *rec = &ctx->records[tag];
	struct drv *d = drv_of(ctx);
	uint8_t *e = entry_at(ctx, d->prod);

	if (rec->op == HVDRV_OP_DISCARD || rec->op == HVDRV_OP_WRITE_ZEROES)
		put_range(e, rec);
	else if (rec->nseg > REQUEST_SEGS_COUNT)
		put_indirect(ctx, e, rec, tag);
	else
		put_direct(e, rec);
	d->prod++;
}

/* Show the backend what was posted; does it want an event? (RING_PUSH_REQUESTS_AND_CHECK_NOTIFY) */
static uint32_t publish(struct hvdrv_ctx *ctx)
{
	uint32_t now = drv_of(ctx)->prod, before = load32(ctx->pages + RING_REQ_PROD);

	if (now == before)
		return 0;
	barrier();			/* entries before the index: x86 keeps the order of stores */
	store32(ctx->pages + RING_REQ_PROD, now);
	mb();				/* the index before we look whether the backend sleeps */
	return now - load32(ctx->pages + RING_REQ_EVENT) < now - before ? HVDRV_R_NOTIFY : 0;
}

static void post_waiting(struct hvdrv_ctx *ctx)
{
	struct drv *d = drv_of(ctx);

	for (uint32_t tag = 0; tag < ctx->depth && tag < HVDRV_MAX_DEPTH; tag++) {
		if (!waiting_any(&d->waiting) || ring_full(d))
			return;
		if (waiting_take(&d->waiting, tag))
			post(ctx, tag);
	}
}

static void ring_init(struct hvdrv_ctx *ctx)
{
	store32(ctx->pages + RING_REQ_EVENT, 1);
	store32(ctx->pages + RING_RSP_EVENT, 1);
}

uint32_t drv_attach(struct hvdrv_ctx *ctx, uint32_t arg)
{
	(void)arg;
	ring_init(ctx);
	return 0;
}

uint32_t drv_submit(struct hvdrv_ctx *ctx, uint32_t handle)
{
	struct drv *d = drv_of(ctx);
	uint32_t tag = HVDRV_HANDLE_TAG(handle);

	if (tag >= ctx->depth || tag >= HVDRV_MAX_DEPTH)
		return HVDRV_R_BROKEN;
	if (ring_full(d)) {
		waiting_add(&d->waiting, tag);
		return 0;		/* complete posts it */
	}
	post(ctx, tag);
	return publish(ctx);
}

/* The responses that are there. 0, or HVDRV_R_BROKEN when the index is beyond what was asked. */
static uint32_t take_responses(struct hvdrv_ctx *ctx)
{
	struct drv *d = drv_of(ctx);
	uint32_t prod = load32(ctx->pages + RING_RSP_PROD);

	if (prod - d->cons > d->prod - d->cons)
		return HVDRV_R_BROKEN;
	barrier();			/* the index before the entries: x86 keeps the order of loads */
	for (uint32_t n = 0; n < RING_ENTRIES && d->cons != prod && ctx->ndone < HVDRV_MAX_DEPTH; n++) {
		const uint8_t *e = entry_at(ctx, d->cons++);

		push_done(ctx, get_response_id(e), status_of(get_response_status(e)));
	}
	return 0;
}

uint32_t drv_complete(struct hvdrv_ctx *ctx, uint32_t arg)
{
	struct drv *d = drv_of(ctx);

	(void)arg;
	/* counted: no more can be in flight than the ring holds */
	for (uint32_t round = 0; round < RING_ENTRIES; round++) {
		if (take_responses(ctx))
			return HVDRV_R_BROKEN;
		store32(ctx->pages + RING_RSP_EVENT, d->cons + 1);
		mb();			/* ask for the next event before the last look (RING_FINAL_CHECK_FOR_RESPONSES) */
		if (load32(ctx->pages + RING_RSP_PROD) == d->cons)
			break;
	}
	post_waiting(ctx);
	return publish(ctx);
}

/*
 * The queue pages are new: what had ended is reported, what had not begun is posted, the rest comes later. The host has
 * set the indexes: as many entries count as taken as it has begun requests. It may look at the ring before we do, so
 * its event index is not ours to write any more.
 */
uint32_t drv_adopt(struct hvdrv_ctx *ctx, uint32_t arg)
{
	struct drv *d = drv_of(ctx);

	(void)arg;
	/* the entry of each that is begun counts as taken: there is room for its answer, and it is expected */
	d->prod += take_over(ctx, &d->waiting);
	post_waiting(ctx);
	return publish(ctx);
}

uint32_t drv_detach(struct hvdrv_ctx *ctx, uint32_t arg)
{
	(void)ctx;
	(void)arg;
	return 0;
}
