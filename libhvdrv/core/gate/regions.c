// SPDX-License-Identifier: LGPL-2.1-only
#include <stddef.h>
#include <string.h>
#include "core/gate/regions.h"

#define CTX(field) offsetof(struct hvdrv_ctx, field), sizeof(((struct hvdrv_ctx *)0)->field)
#define STATE(field) offsetof(struct hvdrv_state, field), sizeof(((struct hvdrv_state *)0)->field)

/* Pointers in the context: each is read whole, and never written. */
static const struct { uint32_t at, bytes; uint8_t kind; bool null, direct; } pointers[] = {
	{ CTX(state), GATE_AT_STATE, false, false }, { CTX(records), GATE_AT_RECORDS, false, false },
	{ CTX(pages), GATE_AT_PAGES, false, false }, { CTX(grefs), GATE_AT_GREFS, false, false },
	{ CTX(frames), GATE_AT_FRAMES, false, true }, { CTX(doorbells), GATE_AT_DOORBELLS, true, true },
};
#define NPOINTERS (sizeof(pointers) / sizeof(pointers[0]))

/* What a driver writes of structures that others write, too. */
static const struct { uint8_t kind; uint32_t at, bytes; bool direct; } writable[] = {
	{ GATE_AT_CTX, CTX(ndone), false }, { GATE_AT_CTX, CTX(done), false },
	{ GATE_AT_STATE, STATE(tail), false }, { GATE_AT_STATE, STATE(event), false }, { GATE_AT_STATE, STATE(drv), false },
	{ GATE_AT_STATE, STATE(counts), true },
};

void gate_regions_init(struct gate_regions *r, const struct hv_image_header *h)
{
	*r = (struct gate_regions){ .fixed_pages = h->queue_fixed_pages, .pages_per_tag = h->queue_pages_per_tag,
				    .image = h->payload_size, .direct = !strncmp(h->mode, "direct", sizeof(h->mode)) };
}

/* Bytes of a region: those that are always there, and those per record. False: a driver may not do that there. */
static bool size_of(const struct gate_regions *r, uint8_t kind, bool write, uint64_t *fixed, uint64_t *per_tag)
{
	*fixed = *per_tag = 0;
	switch (kind) {
	case GATE_AT_CTX:
		*fixed = r->direct ? sizeof(struct hvdrv_ctx) : offsetof(struct hvdrv_ctx, frames);
		return true;
	case GATE_AT_STATE:
		*fixed = offsetof(struct hvdrv_state, times);	/* which are the stub's */
		return true;
	case GATE_AT_RECORDS:
		*per_tag = sizeof(struct hvdrv_record);
		return !write;
	case GATE_AT_PAGES:
		*fixed = (uint64_t)r->fixed_pages * HVDRV_PAGE;
		*per_tag = (uint64_t)r->pages_per_tag * HVDRV_PAGE;
		return true;
	case GATE_AT_GREFS:
		*fixed = r->fixed_pages * sizeof(uint32_t);
		*per_tag = r->pages_per_tag * sizeof(uint32_t);
		return !write;
	case GATE_AT_FRAMES:
		*fixed = r->fixed_pages * sizeof(uint64_t);
		*per_tag = r->pages_per_tag * sizeof(uint64_t);
		return !write;
	case GATE_AT_DOORBELLS:
		*fixed = HVDRV_PAGE;
		return write;
	case GATE_AT_IMAGE:
		*fixed = r->image;
		return !write;
	default:
		return false;
	}
}

/*
 * Is c + a0*X0 + a1*X1 + bytes <= fixed + per_tag * depth, for each depth that is possible? If nothing but the ranges is used,
 * the least depth decides. A symbol that is known to be less than the depth moves with it: both sides are then linear in the
 * depth, so that its two ends decide.
 */
static bool fits_below(const struct gate_state *st, const struct gate_val *at, int t, gate_wide room, uint64_t per_tag)
{
	const struct gate_sym *x = gate_sym((struct gate_state *)st, at->s[t]);
	const struct gate_sym *depth = gate_sym((struct gate_state *)st, GATE_DEPTH);
	gate_wide rest;

	if (!x || x->below == GATE_UNBOUND || at->a[t] <= 0)
		return false;
	rest = gate_hi(st, at) - (gate_wide)at->a[t] * x->hi;
	for (int end = 0; end < 2; end++) {
		gate_wide d = end ? depth->hi : depth->lo;

		if (rest + at->a[t] * (d - 1 - x->below) > room + (gate_wide)per_tag * d)
			return false;
	}
	return true;
}

static bool inside(const struct gate_state *st, const struct gate_val *at, uint64_t bytes, uint64_t fixed, uint64_t per_tag)
{
	const struct gate_sym *depth = gate_sym((struct gate_state *)st, GATE_DEPTH);
	gate_wide room = (gate_wide)fixed - bytes;

	if (gate_lo(st, at) < 0)
		return false;
	if (gate_hi(st, at) <= room + (gate_wide)per_tag * depth->lo)
		return true;
	for (int t = 0; t < 2; t++)
		if (at->s[t] && fits_below(st, at, t, room, per_tag))
			return true;
	return false;
}

static bool may_write(const struct gate_regions *r, const struct gate_state *st, const struct gate_val *at, unsigned int bytes)
{
	if (at->kind != GATE_AT_CTX && at->kind != GATE_AT_STATE)
		return true;
	for (size_t k = 0; k < sizeof(writable) / sizeof(writable[0]); k++)
		if (writable[k].kind == at->kind && (r->direct || !writable[k].direct) && gate_lo(st, at) >= writable[k].at &&
		    gate_hi(st, at) + bytes <= (gate_wide)writable[k].at + writable[k].bytes)
			return true;
	return false;
}

static const char *check_place(const struct gate_regions *r, const struct gate_state *st, const struct gate_val *at,
			       unsigned int bytes, bool write)
{
	uint64_t fixed, per_tag;

	if (at->kind < GATE_AT_STACK)
		return "memory at what is not known to be an address";
	if (at->null)
		return "memory at an address that may be NULL";
	if (!size_of(r, at->kind, write, &fixed, &per_tag))
		return !write ? "reads what a driver may only write" :
		       at->kind == GATE_AT_IMAGE ? "writes into its own image" : "writes what a driver may only read";
	if (!inside(st, at, bytes, fixed, per_tag))
		return at->kind == GATE_AT_IMAGE ? "reads outside its own image" : write ? "may write outside of what it is given" :
		       "may read outside of what it is given";
	return write && !may_write(r, st, at, bytes) ? "writes what a driver may only read" : NULL;
}

/* ---- the stack: what was put there is known ---- */

static const char *cell_at(const struct gate_state *st, const struct gate_val *at, unsigned int bytes, int *cell)
{
	if (at->s[0] || at->s[1])
		return "stack at a place that is not known";
	if (at->c < st->reg[GATE_RSP].c || at->c + bytes > 0)
		return "stack outside of its own frames";
	if (at->c % 4 || at->c < -GATE_STACK)
		return "stack used in a way that is not followed";
	*cell = (at->c + GATE_STACK) / 4;
	return NULL;
}

static const char *stack_load(struct gate_state *st, struct gate_names *n, const struct gate_val *at, unsigned int bytes,
			      struct gate_val *v)
{
	const struct gate_cell *c;
	const char *why;
	int k;

	why = cell_at(st, at, bytes, &k);
	if (why)
		return why;
	c = &st->stack[k];
	if (!c->bytes || c->bytes < bytes)
		return "reads of the stack what it has not written";
	if (c->bytes > bytes && c->v.kind != GATE_NUM)
		return "reads a part of what is no number";
	*v = c->bytes > bytes ? gate_fit(st, n, c->v, 8 * bytes) : c->v;
	return NULL;
}

static const char *stack_store(struct gate_state *st, const struct gate_val *at, unsigned int bytes, const struct gate_val *v)
{
	const char *why;
	int k;

	why = cell_at(st, at, bytes, &k);
	if (why)
		return why;
	if (k && st->stack[k - 1].bytes == 8)	/* its second half is overwritten */
		st->stack[k - 1].bytes = 0;
	st->stack[k] = (struct gate_cell){ .bytes = bytes, .v = *v };
	if (bytes == 8)
		st->stack[k + 1].bytes = 0;
	return NULL;
}

void gate_stack_drop(struct gate_state *st)
{
	int used = (int)(st->reg[GATE_RSP].c + GATE_STACK) / 4;

	for (int k = 0; k < used && k < GATE_CELLS; k++)
		st->stack[k].bytes = 0;
}

/* ---- */

static const char *load_ctx(const struct gate_regions *r, struct gate_state *st, struct gate_names *n, const struct gate_val *at,
			    unsigned int bytes, struct gate_val *v)
{
	for (size_t k = 0; k < NPOINTERS; k++) {
		uint32_t p = pointers[k].at;

		if (gate_hi(st, at) + bytes <= p || gate_lo(st, at) >= p + pointers[k].bytes || (pointers[k].direct && !r->direct))
			continue;
		if (at->s[0] || at->s[1] || at->c != p || bytes != pointers[k].bytes)
			return "reads a part of a pointer";
		*v = (struct gate_val){ .kind = pointers[k].kind, .null = pointers[k].null };
		return NULL;
	}
	if (!at->s[0] && !at->s[1] && at->c == offsetof(struct hvdrv_ctx, depth) && bytes == sizeof(uint32_t))
		*v = (struct gate_val){ .kind = GATE_NUM, .a = { 1 }, .s = { GATE_DEPTH } };
	else
		*v = gate_any(st, n, 8 * bytes);
	return NULL;
}

const char *gate_load(const struct gate_regions *r, struct gate_state *st, struct gate_names *n, const struct gate_val *at,
		      unsigned int bytes, struct gate_val *v)
{
	const char *why;

	if (at->kind == GATE_AT_STACK)
		return stack_load(st, n, at, bytes, v);
	why = check_place(r, st, at, bytes, false);
	if (why)
		return why;
	if (at->kind == GATE_AT_CTX)
		return load_ctx(r, st, n, at, bytes, v);
	*v = gate_any(st, n, 8 * bytes);
	return NULL;
}

const char *gate_store(const struct gate_regions *r, struct gate_state *st, const struct gate_val *at, unsigned int bytes,
		       const struct gate_val *v)
{
	if (at->kind == GATE_AT_STACK)
		return stack_store(st, at, bytes, v);
	if (v->kind != GATE_NUM && (v->kind != GATE_PART || (v->bytes < bytes && !v->rest)))
		return "writes to memory what is not a number of its own";
	return check_place(r, st, at, bytes, true);
}

const char *gate_in_image(const struct gate_regions *r, int64_t off, unsigned int bytes)
{
	return off < 0 || off >= r->image || off + bytes > r->image ? "reads outside its own image" : NULL;
}
