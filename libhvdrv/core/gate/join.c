// SPDX-License-Identifier: LGPL-2.1-only
#include <stdlib.h>
#include <string.h>
#include "core/gate/state.h"

void gate_state_init(struct gate_state *st, struct gate_names *n)
{
	memset(st, 0, sizeof(*st));
	for (int k = 0; k < GATE_REGS; k++)
		st->reg[k] = (struct gate_val){ .kind = GATE_ENTRY, .c = k };
	st->sym[st->nsym++] = (struct gate_sym){ .id = GATE_DEPTH, .below = GATE_UNBOUND, .lo = 1, .hi = HVDRV_MAX_DEPTH };
	st->reg[GATE_RSP] = (struct gate_val){ .kind = GATE_AT_STACK };
	st->reg[GATE_RDI] = (struct gate_val){ .kind = GATE_AT_CTX };
	st->reg[GATE_RSI] = gate_any(st, n, 64);	/* 32 bits, and what the caller left above them */
}

static int less(int a, int b)
{
	return a < b ? a : b;
}

static void widen(struct gate_sym *to, const struct gate_sym *from)
{
	to->lo = from->lo < to->lo ? from->lo : to->lo;
	to->hi = from->hi > to->hi ? from->hi : to->hi;
	to->below = less(to->below, from->below);
}

void gate_take_sym(struct gate_state *to, const struct gate_state *from, uint32_t id, struct gate_names *n)
{
	if (!id || gate_sym(to, id))
		return;
	if (to->nsym == GATE_SYMS)
		n->full = true;
	else if (gate_sym((struct gate_state *)from, id))
		to->sym[to->nsym++] = *gate_sym((struct gate_state *)from, id);
}

struct joiner {
	const struct gate_state *a, *b;
	struct gate_state *r;
	struct gate_names *n;
	struct { struct gate_val a, b, r; } seen[24];	/* copies of one value stay copies of one value */
	unsigned int nseen;
};

static void keep_syms(struct joiner *j, const struct gate_val *v)
{
	for (int t = 0; t < 2; t++) {
		if (!v->s[t] || gate_sym(j->r, v->s[t]))
			continue;
		gate_take_sym(j->r, j->a, v->s[t], j->n);
		if (!j->n->full)	/* else it is over */
			widen(gate_sym(j->r, v->s[t]), gate_sym((struct gate_state *)j->b, v->s[t]));
	}
}

/* Two values of the same kind: one symbol that is either. */
static struct gate_val either(struct joiner *j, const struct gate_val *a, const struct gate_val *b)
{
	gate_wide lo = gate_lo(j->a, a), hi = gate_hi(j->a, a), blo = gate_lo(j->b, b), bhi = gate_hi(j->b, b);
	int below = less(gate_below(j->a, a), gate_below(j->b, b));
	struct gate_val v;

	lo = blo < lo ? blo : lo;
	hi = bhi > hi ? bhi : hi;
	if (a->kind != GATE_NUM && (lo < -INT_MAX || hi > INT_MAX))
		return gate_unset();
	v = a->kind == GATE_NUM ? gate_fresh(j->r, j->n, lo, hi) : gate_fresh(j->r, j->n, 0, hi - lo);
	if (v.kind == GATE_UNSET)
		return v;
	if (a->kind == GATE_NUM) {
		if (v.s[0])
			gate_sym(j->r, v.s[0])->below = below;
		return v;
	}
	v.kind = a->kind;
	v.c += lo;
	v.null = a->null || b->null;
	return v;
}

static bool is_number(const struct gate_val *v)
{
	return v->kind == GATE_NUM || (v->kind == GATE_PART && v->rest);
}

static struct gate_val join_val(struct joiner *j, const struct gate_val *a, const struct gate_val *b)
{
	struct gate_val r;

	if (gate_same(a, b)) {
		keep_syms(j, a);
		return *a;
	}
	if (a->kind != b->kind && is_number(a) && is_number(b))
		return gate_any(j->r, j->n, 64);
	if (a->kind != b->kind || (a->kind != GATE_NUM && a->kind < GATE_AT_STACK))
		return gate_unset();
	for (unsigned int k = 0; k < j->nseen; k++)
		if (gate_same(&j->seen[k].a, a) && gate_same(&j->seen[k].b, b))
			return j->seen[k].r;
	r = either(j, a, b);
	if (j->nseen < sizeof(j->seen) / sizeof(j->seen[0])) {
		j->seen[j->nseen].a = *a;
		j->seen[j->nseen].b = *b;
		j->seen[j->nseen++].r = r;
	}
	return r;
}

void gate_join(struct gate_state *a, const struct gate_state *b, struct gate_names *n)
{
	struct gate_state r;
	struct joiner j = { .a = a, .b = b, .r = &r, .n = n };

	r.nsym = 1;
	r.sym[0] = *gate_sym(a, GATE_DEPTH);
	widen(&r.sym[0], gate_sym((struct gate_state *)b, GATE_DEPTH));
	for (uint32_t k = 0; k < a->nsym; k++) {
		const struct gate_sym *x = &a->sym[k], *y = gate_sym((struct gate_state *)b, x->id);

		if (x->counts && y) {
			r.sym[r.nsym] = *x;
			widen(&r.sym[r.nsym++], y);
		}
	}
	for (int k = 0; k < GATE_REGS; k++)
		r.reg[k] = join_val(&j, &a->reg[k], &b->reg[k]);
	for (int k = 0; k < GATE_CELLS; k++) {
		r.stack[k].bytes = a->stack[k].bytes == b->stack[k].bytes ? a->stack[k].bytes : 0;
		r.stack[k].v = r.stack[k].bytes ? join_val(&j, &a->stack[k].v, &b->stack[k].v) : gate_unset();
	}
	memset(&r.flags, 0, sizeof(r.flags));
	*a = r;
}
