/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Skeleton "nvme": a submission and a completion queue (NVM Express Base Specification). The generator puts what the
 * device description says in front of it: QUEUE_*, SQ_*, CQ_*, PRP_* and other numbers, put_* and get_* accessors,
 * opcode_of(), status_of(). This file knows no offset, no opcode, no status.
 *
 * Who is behind the queues says QUEUE_HARDWARE:
 *   0  a mediator in dom0: pages are named by grant reference, the doorbell is in the state page, LBAs have 512 bytes
 *   1  the controller: pages are named by machine frame, the doorbells are its registers, LBAs are the namespace's; nobody
 *      sends an event, so completions are looked for as long as some are outstanding
 *
 * Every function runs with interrupts off under the queue's lock.
 */

/* The driver's only memory, in the state page; the host has zeroed it. */
struct drv {
	uint32_t posted;	/* commands, free-running */
	uint32_t reaped;	/* completions, free-running */
	uint32_t outstanding;	/* without a completion; those that a replacement found begun, too */
	struct waiting waiting;
	struct waiting again;	/* of a hardware queue: tags whose command has failed once and was posted again */
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

/* The queue page that belongs to the tag, so it is free while the tag is. */
static inline uint32_t tag_page(uint32_t tag)
{
	return QUEUE_PAGES + tag;
}

/* ---- what is behind the queues ---- */

#if QUEUE_HARDWARE

static inline uint64_t page_of(const struct hvdrv_seg *s)
{
	return s->gfn;
}

static inline uint64_t own_page(const struct hvdrv_ctx *ctx, uint32_t page)
{
	return ctx->frames[page];
}

static inline uint64_t lbas(struct hvdrv_ctx *ctx, uint64_t sectors)
{
	return sectors >> (load32(state_field(&ctx->state->lba_shift)) & 7);
}

static inline uint32_t namespace(struct hvdrv_ctx *ctx)
{
	return load32(state_field(&ctx->state->nsid));
}

static inline int may_post(struct hvdrv_ctx *ctx)
{
	return !load32(state_field(&ctx->state->hold));	/* the host waits until the controller has nothing of ours */
}

static inline void ring(struct hvdrv_ctx *ctx, uint32_t *doorbell, uint32_t value)
{
	if (ctx->doorbells)
		store32(ctx->doorbells + (load32(state_field(doorbell)) & (HVDRV_PAGE - 4)), value % QUEUE_ENTRIES);
}

/* Ring for what was posted. As long as something is outstanding completions are to be looked for. */
static uint32_t publish(struct hvdrv_ctx *ctx)
{
	struct hvdrv_state *st = ctx->state;
	struct drv *d = drv_of(ctx);

	if (d->posted != load32(state_field(&st->tail))) {
		store32(state_field(&st->tail), d->posted);
		barrier();		/* commands before the doorbell: x86 keeps the order of stores, also to registers */
		ring(ctx, &st->sq_doorbell, d->posted);
	}
	return d->outstanding ? HVDRV_R_POLL : 0;
}

/* So many completions were taken: their places are the controller's again. */
static void taken(struct hvdrv_ctx *ctx, uint32_t reaped)
{
	struct hvdrv_state *st = ctx->state;

	if (reaped + 1 == load32(state_field(&st->event)))
		return;
	ring(ctx, &st->cq_doorbell, reaped);
	store32(state_field(&st->event), reaped + 1);
}

static void count_look(struct hvdrv_ctx *ctx)
{
	ctx->state->counts.looks++;
}

/*
 * Has this command failed for the first time, and may it be tried again? Then it waits to be posted. A controller that is reset
 * may answer what it aborts with an error before it forgets the queue: posted to that queue it is never answered, so it is
 * READY when the host takes the device back, and goes on from there.
 */
static int try_again(struct hvdrv_ctx *ctx, uint16_t cid, uint16_t status)
{
	struct drv *d = drv_of(ctx);
	uint32_t tag = HVDRV_HANDLE_TAG(cid);

	one_value(tag);
	if (status & COMPLETION_DNR || tag >= ctx->depth || tag >= HVDRV_MAX_DEPTH || ctx->records[tag].handle != cid ||
	    waiting_take(&d->again, tag))
		return 0;
	waiting_add(&d->again, tag);
	waiting_add(&d->waiting, tag);
	return 1;
}

static void is_new(struct hvdrv_ctx *ctx, uint32_t tag)
{
	waiting_take(&drv_of(ctx)->again, tag);
}

/* Counted where it ends, as the mediator does. The stub is about to write to the same line of the record. */
static void count_done(struct hvdrv_ctx *ctx, uint16_t cid, uint8_t status)
{
	struct hvdrv_counts *c = &ctx->state->counts;
	uint32_t tag = HVDRV_HANDLE_TAG(cid);
	const struct hvdrv_record *rec;
	uint32_t op;

	one_value(tag);
	if (tag >= ctx->depth || tag >= HVDRV_MAX_DEPTH)
		return;			/* dropped by the stub, too */
	rec = &ctx->records[tag];
	op = rec->op;
	one_value(op);
	if (rec->handle != cid || op >= HVDRV_OPS)
		return;
	c->requests[op]++;
	if (status == HVDRV_ST_OK)
		c->sectors[op] += rec->sectors;
	else
		c->errors++;
}

#else

static inline uint64_t page_of(const struct hvdrv_seg *s)
{
	return s->gref;
}

static inline uint64_t own_page(const struct hvdrv_ctx *ctx, uint32_t page)
{
	return ctx->grefs[page];
}

static inline uint64_t lbas(struct hvdrv_ctx *ctx, uint64_t sectors)
{
	(void)ctx;
	return sectors;
}

static inline uint32_t namespace(struct hvdrv_ctx *ctx)
{
	(void)ctx;
	return COMMAND_NSID;
}

static inline int may_post(struct hvdrv_ctx *ctx)
{
	(void)ctx;
	return 1;			/* the mediator does not take it while it holds the queue */
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

/* So many completions were taken: an event for the next one. */
static void taken(struct hvdrv_ctx *ctx, uint32_t reaped)
{
	store32(state_field(&ctx->state->event), reaped + 1);
	mb();				/* asked for before the last look */
}

static int try_again(struct hvdrv_ctx *ctx, uint16_t cid, uint16_t status)
{
	(void)ctx;			/* the mediator has done what can be done */
	(void)cid;
	(void)status;
	return 0;
}

static void is_new(struct hvdrv_ctx *ctx, uint32_t tag)
{
	(void)ctx;
	(void)tag;
}

static void count_look(struct hvdrv_ctx *ctx)
{
	(void)ctx;
}

static void count_done(struct hvdrv_ctx *ctx, uint16_t cid, uint8_t status)
{
	(void)ctx;			/* the mediator counts */
	(void)cid;
	(void)status;
}

#endif

static inline uint64_t prp_of(uint64_t page, uint32_t off)
{
	return page << PRP_SHIFT | off;
}

/* ---- commands ---- */

static inline uint16_t control_of(const struct hvdrv_record *rec)
{
	return rec->op == HVDRV_OP_WRITE && rec->flags & HVDRV_F_FUA ? COMMAND_FUA : 0;
}

/* Pages behind the first: one stands in the command itself, more are listed in the tag's page. */
static void put_pages(struct hvdrv_ctx *ctx, uint8_t *e, const struct hvdrv_record *rec, uint32_t tag)
{
	uint32_t page = tag_page(tag);
	uint8_t *to = ctx->pages + page * HVDRV_PAGE;

	put_command_prp1(e, prp_of(page_of(&rec->seg[0]), rec->seg[0].off));
	if (rec->nseg == 2)
		put_command_prp2(e, prp_of(page_of(&rec->seg[1]), 0));
	if (rec->nseg <= 2)
		return;
	for (uint32_t i = 1; i < rec->nseg && i < HVDRV_MAX_SEGS; i++, to += PRP_STRIDE)
		put_list_prp(to, prp_of(page_of(&rec->seg[i]), 0));
	put_command_prp2(e, prp_of(own_page(ctx, page), 0));
}

static void put_range(struct hvdrv_ctx *ctx, uint8_t *e, const struct hvdrv_record *rec, uint32_t tag)
{
	uint32_t page = tag_page(tag);
	uint8_t *to = ctx->pages + page * HVDRV_PAGE;

	put_range_attributes(to, 0);
	put_range_length(to, lbas(ctx, rec->sectors));
	put_range_slba(to, lbas(ctx, rec->sector));
	put_command_prp1(e, prp_of(own_page(ctx, page), 0));
	put_command_nr(e, 0);
	put_command_attributes(e, COMMAND_AD);
}

static void put_blocks(struct hvdrv_ctx *ctx, uint8_t *e, const struct hvdrv_record *rec)
{
	put_command_slba(e, lbas(ctx, rec->sector));
	put_command_nlb(e, lbas(ctx, rec->sectors) - 1);
	put_command_control(e, control_of(rec));
}

/* tag < ctx->depth: what is read and written goes by that, not by what the record says of itself. */
static void post(struct hvdrv_ctx *ctx, uint32_t tag)
{
	const struct hvdrv_record *rec = &ctx->records[tag];
	struct drv *d = drv_of(ctx);
	uint8_t *e = ctx->pages + SQ_AT + d->posted % QUEUE_ENTRIES * SQ_STRIDE;

	put_command_opcode(e, opcode_of(rec));
	put_command_flags(e, 0);
	put_command_cid(e, rec->handle);
	put_command_nsid(e, namespace(ctx));
	if (rec->op == HVDRV_OP_DISCARD)
		put_range(ctx, e, rec, tag);
	else if (rec->op != HVDRV_OP_FLUSH)
		put_blocks(ctx, e, rec);
	if (rec->nseg)
		put_pages(ctx, e, rec, tag);
	d->posted++;
	d->outstanding++;
}

static void post_waiting(struct hvdrv_ctx *ctx)
{
	struct drv *d = drv_of(ctx);

	for (uint32_t tag = 0; tag < ctx->depth && tag < HVDRV_MAX_DEPTH; tag++) {
		if (!waiting_any(&d->waiting) || queue_full(d) || !may_post(ctx))
			return;
		if (waiting_take(&d->waiting, tag))
			post(ctx, tag);
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
	is_new(ctx, tag);
	if (queue_full(d)) {
		waiting_add(&d->waiting, tag);
		return 0;		/* complete posts it */
	}
	post(ctx, tag);
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
	uint16_t status, cid;
	uint8_t st;

	for (uint32_t n = 0; n < QUEUE_ENTRIES && ctx->ndone < HVDRV_MAX_DEPTH; n++) {
		e = next_completion(ctx, &status);
		if (!e)
			break;
		if (!d->outstanding)
			return HVDRV_R_BROKEN;
		barrier();		/* the phase before the rest: x86 keeps the order of loads */
		cid = get_completion_cid(e);
		st = status_of(status >> COMPLETION_SHIFT & COMPLETION_MASK);
		if (st == HVDRV_ST_OK || !try_again(ctx, cid, status)) {
			push_done(ctx, cid, st);
			count_done(ctx, cid, st);
		}
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
	count_look(ctx);
	/* counted: no more can be outstanding than the queue has entries */
	for (uint32_t round = 0; round < QUEUE_ENTRIES; round++) {
		if (take_completions(ctx))
			return HVDRV_R_BROKEN;
		taken(ctx, d->reaped);
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
	return publish(ctx) | (d->posted && !QUEUE_HARDWARE ? HVDRV_R_NOTIFY : 0);
}

uint32_t drv_detach(struct hvdrv_ctx *ctx, uint32_t arg)
{
	(void)ctx;
	(void)arg;
	return 0;
}
