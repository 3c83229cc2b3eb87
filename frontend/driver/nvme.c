/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Skeleton "nvme": a submission and a completion queue (NVM Express Base Specification). The generator puts what the
 * device description says in front of it: QUEUE_*, SQ_*, CQ_*, PRP_* and other numbers, put_* and get_* accessors,
 * opcode_of(), status_of(). This file knows no offset, no opcode, no status. Pages are named by grant reference, and
 * the doorbell is in the state page.
 *
 * Every function runs with interrupts off under the queue's lock.
 */

/* The driver's only memory, in the state page; the host has zeroed it. */
struct drv {
	uint32_t posted;	/* commands, free-running */
	uint32_t reaped;	/* completions, free-running */
	uint32_t outstanding;	/* without a completion; those that a replacement found begun, too */
	struct waiting waiting;
};

static inline struct drv *drv_of(struct hvdrv_ctx *ctx)
{
	return (struct drv *)ctx->state->drv;
}

static inline uint8_t *state_field(uint32_t *field)
{
	return (uint8_t *)field;
}

/* A queue of n entries holds n - 1. What is outstanding has room in the completion queue as well. */
static inline int queue_full(const struct drv *d)
{
	return d->outstanding >= QUEUE_ENTRIES - 1;
}

static inline uint64_t prp_of(uint32_t gref, uint32_t off)
{
	return (uint64_t)gref << PRP_SHIFT | off;
}

/* The queue page that belongs to the tag, so it is free while the tag is. */
static inline uint32_t tag_page(const struct hvdrv_record *rec)
{
	return QUEUE_PAGES + HVDRV_HANDLE_TAG(rec->handle);
}

static inline uint16_t control_of(const struct hvdrv_record *rec)
{
	return rec->op == HVDRV_OP_WRITE && rec->flags & HVDRV_F_FUA ? COMMAND_FUA : 0;
}

/* Pages behind the first: one stands in the command itself, more are listed in the tag's page. */
static void put_pages(struct hvdrv_ctx *ctx, uint8_t *e, const struct hvdrv_record *rec)
{
	uint32_t page = tag_page(rec);
	uint8_t *to = ctx->pages + page * HVDRV_PAGE;

	put_command_prp1(e, prp_of(rec->seg[0].gref, rec->seg[0].off));
	if (rec->nseg == 2)
		put_command_prp2(e, prp_of(rec->seg[1].gref, 0));
	if (rec->nseg <= 2)
		return;
	for (uint32_t i = 1; i < rec->nseg && i < HVDRV_MAX_SEGS; i++, to += PRP_STRIDE)
		put_list_prp(to, prp_of(rec->seg[i].gref, 0));
	put_command_prp2(e, prp_of(ctx->grefs[page], 0));
}

static void put_range(struct hvdrv_ctx *ctx, uint8_t *e, const struct hvdrv_record *rec)
{
	uint32_t page = tag_page(rec);
	uint8_t *to = ctx->pages + page * HVDRV_PAGE;

	put_range_attributes(to, 0);
	put_range_length(to, rec->sectors);
	put_range_slba(to, rec->sector);
	put_command_prp1(e, prp_of(ctx->grefs[page], 0));
	put_command_nr(e, 0);
	put_command_attributes(e, COMMAND_AD);
}

static void put_blocks(uint8_t *e, const struct hvdrv_record *rec)
{
	put_command_slba(e, rec->sector);
	put_command_nlb(e, rec->sectors - 1);
	put_command_control(e, control_of(rec));
}

static void post(struct hvdrv_ctx *ctx, const struct hvdrv_record *rec)
{
	struct drv *d = drv_of(ctx);
	uint8_t *e = ctx->pages + SQ_AT + d->posted % QUEUE_ENTRIES * SQ_STRIDE;

	put_command_opcode(e, opcode_of(rec));
	put_command_flags(e, 0);
	put_command_cid(e, rec->handle);
	put_command_nsid(e, COMMAND_NSID);
	if (rec->op == HVDRV_OP_DISCARD)
		put_range(ctx, e, rec);
	else if (rec->op != HVDRV_OP_FLUSH)
		put_blocks(e, rec);
	if (rec->nseg)
		put_pages(ctx, e, rec);
	d->posted++;
	d->outstanding++;
}

/* Show the host what was posted; does it sleep? */
static uint32_t publish(struct hvdrv_ctx *ctx)
{
	struct hvdrv_state *st = ctx->state;
	uint32_t now = drv_of(ctx)->posted;

	if (now == load32(state_field(&st->tail)))
		return 0;
	barrier();			/* commands before the tail: x86 keeps the order of stores */
	store32(state_field(&st->tail), now);
	mb();				/* the tail before we look whether the host sleeps */
	return load32(state_field(&st->need_kick)) ? HVDRV_R_NOTIFY : 0;
}

static void post_waiting(struct hvdrv_ctx *ctx)
{
	struct drv *d = drv_of(ctx);

	for (uint32_t tag = 0; tag < ctx->depth && tag < HVDRV_MAX_DEPTH; tag++) {
		if (!waiting_any(&d->waiting) || queue_full(d))
			return;
		if (waiting_take(&d->waiting, tag))
			post(ctx, &ctx->records[tag]);
	}
}

static void queue_init(struct hvdrv_ctx *ctx)
{
	store32(state_field(&ctx->state->tail), 0);
	store32(state_field(&ctx->state->event), 1);
}

uint32_t drv_attach(struct hvdrv_ctx *ctx, uint32_t arg)
{
	(void)arg;
	queue_init(ctx);
	return 0;
}

uint32_t drv_submit(struct hvdrv_ctx *ctx, uint32_t handle)
{
	struct drv *d = drv_of(ctx);
	uint32_t tag = HVDRV_HANDLE_TAG(handle);

	if (tag >= ctx->depth || tag >= HVDRV_MAX_DEPTH)
		return HVDRV_R_BROKEN;
	if (queue_full(d)) {
		waiting_add(&d->waiting, tag);
		return 0;		/* complete posts it */
	}
	post(ctx, &ctx->records[tag]);
	return publish(ctx);
}

/* The next completion, when it is there: its phase changes each time around. */
static inline const uint8_t *next_completion(struct hvdrv_ctx *ctx, uint16_t *status)
{
	uint32_t reaped = drv_of(ctx)->reaped;
	const uint8_t *e = ctx->pages + CQ_AT + reaped % QUEUE_ENTRIES * CQ_STRIDE;
	uint16_t phase = reaped / QUEUE_ENTRIES & 1 ? 0 : COMPLETION_PHASE;

	*status = get_completion_status(e);
	return (*status & COMPLETION_PHASE) == phase ? e : 0;
}

/* The completions that are there. 0, or HVDRV_R_BROKEN when there are more than commands. */
static uint32_t take_completions(struct hvdrv_ctx *ctx)
{
	struct drv *d = drv_of(ctx);
	const uint8_t *e;
	uint16_t status;

	while (ctx->ndone < HVDRV_MAX_DEPTH && (e = next_completion(ctx, &status))) {
		if (!d->outstanding)
			return HVDRV_R_BROKEN;
		barrier();		/* the phase before the rest: x86 keeps the order of loads */
		push_done(ctx, get_completion_cid(e), status_of(status >> COMPLETION_SHIFT));
		d->reaped++;
		d->outstanding--;
	}
	return 0;
}

uint32_t drv_complete(struct hvdrv_ctx *ctx, uint32_t arg)
{
	struct drv *d = drv_of(ctx);
	uint16_t status;

	(void)arg;
	/* counted: no more can be outstanding than the queue has entries */
	for (uint32_t round = 0; round < QUEUE_ENTRIES; round++) {
		if (take_completions(ctx))
			return HVDRV_R_BROKEN;
		store32(state_field(&ctx->state->event), d->reaped + 1);
		mb();			/* ask for the next event before the last look */
		if (!next_completion(ctx, &status))
			break;
	}
	post_waiting(ctx);
	return publish(ctx);
}

/*
 * Both queues are new and zeroed: what had ended is reported, what had not begun is posted, the rest comes later.
 * What was posted is told in any case: the host may wait for that before it looks at the queue at all.
 */
uint32_t drv_adopt(struct hvdrv_ctx *ctx, uint32_t arg)
{
	struct drv *d = drv_of(ctx);

	(void)arg;
	queue_init(ctx);
	d->outstanding = take_over(ctx, &d->waiting);
	post_waiting(ctx);
	publish(ctx);
	return d->posted ? HVDRV_R_NOTIFY : 0;
}

uint32_t drv_detach(struct hvdrv_ctx *ctx, uint32_t arg)
{
	(void)ctx;
	(void)arg;
	return 0;
}
