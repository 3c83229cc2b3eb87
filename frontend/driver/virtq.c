/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Skeleton "virtq": a split virtqueue (virtio 1.x) whose requests are each a table of descriptors in the page of the
 * request's tag. The generator puts what the device description says in front of it: VIRTQ_*, DESC_*, AVAIL_*, USED_*,
 * TAG_* numbers, put_* and get_* accessors, opcode_of(), status_of(). This file knows no offset, no type, no status.
 *
 * There is a descriptor for every tag, so the queue is never full. Indexes in the queue are the low 16 bits of ours.
 * Every function runs with interrupts off under the queue's lock.
 */

/* The driver's only memory, in the state page; the host has zeroed it. */
struct drv {
	uint32_t avail;		/* requests made available */
	uint32_t used;		/* taken back */
	struct waiting waiting;	/* to be posted by adopt */
};

/* Where things are in the table of a request: the chain is header, data, status. */
enum { AT_HEADER, AT_STATUS, AT_DATA };

static inline struct drv *drv_of(struct hvdrv_ctx *ctx)
{
	return (struct drv *)ctx->state->drv;
}

static inline uint8_t *avail_ring(struct hvdrv_ctx *ctx)
{
	return ctx->pages + VIRTQ_AVAIL;
}

static inline uint8_t *used_ring(struct hvdrv_ctx *ctx)
{
	return ctx->pages + VIRTQ_USED;
}

/* The queue page that belongs to the tag, so it is free while the tag is. */
static inline uint32_t tag_page(uint32_t tag)
{
	return VIRTQ_PAGES + tag;
}

static inline uint64_t addr_of(uint32_t gref, uint32_t off)
{
	return (uint64_t)gref << ADDR_SHIFT | off;
}

static inline void put_desc(uint8_t *e, uint64_t addr, uint32_t len, uint32_t flags, uint32_t next)
{
	put_desc_addr(e, addr);
	put_desc_len(e, len);
	put_desc_flags(e, flags);
	put_desc_next(e, next);
}

static void put_segs(uint8_t *to, const struct hvdrv_record *rec, uint32_t flags)
{
	for (uint32_t i = 0; i < rec->nseg && i < HVDRV_MAX_SEGS; i++, to += DESC_STRIDE) {
		const struct hvdrv_seg *s = &rec->seg[i];

		put_desc(to, addr_of(s->gref, s->off), s->len, flags, i + 1 < rec->nseg ? AT_DATA + i + 1 : AT_STATUS);
	}
}

static void put_range(uint8_t *own, const struct hvdrv_record *rec, uint32_t gref)
{
	uint8_t *to = own + TAG_RANGE;

	put_range_sector(to, rec->sector);
	put_range_sectors(to, rec->sectors);
	put_range_flags(to, 0);
	put_desc(own + TAG_TABLE + AT_DATA * DESC_STRIDE, addr_of(gref, TAG_RANGE), 16, DESC_NEXT, AT_STATUS);
}

/* tag < ctx->depth: what is read and written goes by that, not by what the record says of itself. */
static void post(struct hvdrv_ctx *ctx, uint32_t tag)
{
	const struct hvdrv_record *rec = &ctx->records[tag];
	uint32_t page = tag_page(tag), gref = ctx->grefs[page], data = rec->nseg;
	uint8_t *own = ctx->pages + page * HVDRV_PAGE, *table = own + TAG_TABLE;
	struct drv *d = drv_of(ctx);

	put_header_type(own + TAG_HEADER, opcode_of(rec));
	put_header_handle(own + TAG_HEADER, rec->handle);
	if (rec->op == HVDRV_OP_DISCARD || rec->op == HVDRV_OP_WRITE_ZEROES) {
		put_header_sector(own + TAG_HEADER, 0);
		put_range(own, rec, gref);
		data = 1;
	} else {
		put_header_sector(own + TAG_HEADER, rec->sector);
		put_segs(table + AT_DATA * DESC_STRIDE, rec, rec->op == HVDRV_OP_READ ? DESC_NEXT | DESC_WRITE : DESC_NEXT);
	}
	put_desc(table + AT_HEADER * DESC_STRIDE, addr_of(gref, TAG_HEADER), 16, DESC_NEXT, data ? AT_DATA : AT_STATUS);
	put_desc(table + AT_STATUS * DESC_STRIDE, addr_of(gref, TAG_STATUS), 1, DESC_WRITE, 0);
	put_desc(ctx->pages + VIRTQ_DESC + tag * DESC_STRIDE, addr_of(gref, TAG_TABLE), (AT_DATA + data) * DESC_STRIDE,
		 DESC_INDIRECT, 0);
	put_slot_head(avail_ring(ctx) + AVAIL_RING + (d->avail & (VIRTQ_SIZE - 1)) * AVAIL_STRIDE, tag);
	d->avail++;
}

/* Show the device what was posted; does it want an event? (virtio 1.x, "Available Buffer Notification Suppression") */
static uint32_t publish(struct hvdrv_ctx *ctx)
{
	uint16_t now = drv_of(ctx)->avail, before = get_avail_idx(avail_ring(ctx)), event;

	if (now == before)
		return 0;
	barrier();			/* descriptors before the index: x86 keeps the order of stores */
	put_avail_idx(avail_ring(ctx), now);
	mb();				/* the index before we look whether the device sleeps */
	event = get_event_idx(used_ring(ctx) + USED_EVENT);
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before) ? HVDRV_R_NOTIFY : 0;
}

uint32_t drv_attach(struct hvdrv_ctx *ctx, uint32_t arg)
{
	(void)ctx;			/* a zeroed queue is an empty one, and each side wants the first event */
	(void)arg;
	return 0;
}

uint32_t drv_submit(struct hvdrv_ctx *ctx, uint32_t handle)
{
	uint32_t tag = HVDRV_HANDLE_TAG(handle);

	if (tag >= ctx->depth || tag >= HVDRV_MAX_DEPTH)
		return HVDRV_R_BROKEN;
	post(ctx, tag);
	return publish(ctx);
}

/* What was used: 0, or HVDRV_R_BROKEN when it is more than was made available, or none of the tags. */
static uint32_t take_used(struct hvdrv_ctx *ctx)
{
	struct drv *d = drv_of(ctx);
	uint16_t idx = get_used_idx(used_ring(ctx));

	if ((uint16_t)(idx - d->used) > d->avail - d->used)
		return HVDRV_R_BROKEN;
	barrier();			/* the index before the entries: x86 keeps the order of loads */
	for (uint32_t n = 0; n < VIRTQ_SIZE && (uint16_t)d->used != idx && ctx->ndone < HVDRV_MAX_DEPTH; n++) {
		uint32_t tag = get_elem_id(used_ring(ctx) + USED_RING + (d->used & (VIRTQ_SIZE - 1)) * USED_STRIDE);

		one_value(tag);
		if (tag >= ctx->depth || tag >= HVDRV_MAX_DEPTH)
			return HVDRV_R_BROKEN;
		push_done(ctx, ctx->records[tag].handle, status_of(get_status_code(ctx->pages + tag_page(tag) * HVDRV_PAGE + TAG_STATUS)));
		d->used++;
	}
	return 0;
}

uint32_t drv_complete(struct hvdrv_ctx *ctx, uint32_t arg)
{
	struct drv *d = drv_of(ctx);

	(void)arg;
	/* counted: no more can be in flight than there are descriptors */
	for (uint32_t round = 0; round < VIRTQ_SIZE; round++) {
		if (take_used(ctx))
			return HVDRV_R_BROKEN;
		put_event_idx(avail_ring(ctx) + AVAIL_EVENT, d->used);
		mb();			/* ask for the next event before the last look */
		if ((uint16_t)get_used_idx(used_ring(ctx)) == (uint16_t)d->used)
			break;
	}
	return 0;
}

/*
 * The queue pages are new: what had ended is reported, what had not begun is posted, the rest comes later. The host has
 * set the index as if the requests that it has begun had been made available here.
 */
uint32_t drv_adopt(struct hvdrv_ctx *ctx, uint32_t arg)
{
	struct drv *d = drv_of(ctx);

	(void)arg;
	d->avail += take_over(ctx, &d->waiting);
	for (uint32_t tag = 0; tag < ctx->depth && tag < HVDRV_MAX_DEPTH; tag++)
		if (waiting_take(&d->waiting, tag))
			post(ctx, tag);
	return publish(ctx);
}

uint32_t drv_detach(struct hvdrv_ctx *ctx, uint32_t arg)
{
	(void)ctx;
	(void)arg;
	return 0;
}
