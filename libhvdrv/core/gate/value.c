// SPDX-License-Identifier: LGPL-2.1-only
#include <string.h>
#include "core/gate/state.h"

#define MAX_FACTOR (1 << 30)
#define MAX_CONST (1ll << 60)

struct gate_val gate_num(int64_t c)
{
	return (struct gate_val){ .kind = GATE_NUM, .c = c };
}

struct gate_val gate_unset(void)
{
	return (struct gate_val){ .kind = GATE_UNSET };
}

uint64_t gate_mask(unsigned int bits)
{
	return bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
}

bool gate_same(const struct gate_val *a, const struct gate_val *b)
{
	return a->kind == b->kind && a->c == b->c && a->bytes == b->bytes && a->rest == b->rest && a->null == b->null && a->s[0] == b->s[0] &&
	       a->s[1] == b->s[1] && a->a[0] == b->a[0] && a->a[1] == b->a[1];
}

struct gate_sym *gate_sym(struct gate_state *st, uint32_t id)
{
	for (uint32_t k = st->nsym; k-- > 0;)
		if (st->sym[k].id == id)
			return &st->sym[k];
	return NULL;
}

static const struct gate_sym *sym_of(const struct gate_state *st, uint32_t id)
{
	return gate_sym((struct gate_state *)st, id);
}

static gate_wide edge(const struct gate_state *st, const struct gate_val *v, bool high)
{
	gate_wide sum = v->c;

	for (int t = 0; t < 2; t++) {
		const struct gate_sym *x = v->s[t] ? sym_of(st, v->s[t]) : NULL;

		if (x)
			sum += (gate_wide)v->a[t] * ((v->a[t] > 0) == high ? x->hi : x->lo);
	}
	return sum;
}

gate_wide gate_lo(const struct gate_state *st, const struct gate_val *v)
{
	return edge(st, v, false);
}

gate_wide gate_hi(const struct gate_state *st, const struct gate_val *v)
{
	return edge(st, v, true);
}

int gate_below(const struct gate_state *st, const struct gate_val *v)
{
	const struct gate_sym *x;

	if (v->kind != GATE_NUM || v->s[1] || v->c > INT_MAX || v->c < 0)
		return GATE_UNBOUND;
	if (!v->s[0])		/* a constant: below the least depth that is possible */
		return (int64_t)sym_of(st, GATE_DEPTH)->lo - 1 >= v->c ? (int)sym_of(st, GATE_DEPTH)->lo - 1 - (int)v->c : GATE_UNBOUND;
	x = sym_of(st, v->s[0]);
	return x && v->a[0] == 1 && x->below != GATE_UNBOUND ? x->below - (int)v->c : GATE_UNBOUND;
}

static bool used(const struct gate_val *v, uint32_t id)
{
	return v->s[0] == id || v->s[1] == id;
}

static bool sym_used(const struct gate_state *st, uint32_t id)
{
	for (int k = 0; k < GATE_REGS; k++)
		if (used(&st->reg[k], id))
			return true;
	for (int k = 0; k < GATE_CELLS; k++)
		if (st->stack[k].bytes && used(&st->stack[k].v, id))
			return true;
	return used(&st->flags.l, id) || used(&st->flags.r, id);
}

void gate_tidy(struct gate_state *st)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < st->nsym; k++)
		if (st->sym[k].id == GATE_DEPTH || st->sym[k].counts || sym_used(st, st->sym[k].id))
			st->sym[n++] = st->sym[k];
	st->nsym = n;
}

/*
 * A symbol that is only in values which the caller still has in its hands must not be tidied away, so tidying is done between
 * instructions, and some room is left for what one instruction needs.
 */
struct gate_val gate_fresh(struct gate_state *st, struct gate_names *n, uint64_t lo, uint64_t hi)
{
	if (lo == hi && lo <= INT64_MAX)
		return gate_num(lo);
	if (st->nsym == GATE_SYMS) {
		n->full = true;
		return gate_unset();
	}
	st->sym[st->nsym++] = (struct gate_sym){ .id = n->next, .below = GATE_UNBOUND, .lo = lo, .hi = hi };
	return (struct gate_val){ .kind = GATE_NUM, .a = { 1 }, .s = { n->next++ } };
}

struct gate_val gate_any(struct gate_state *st, struct gate_names *n, unsigned int bits)
{
	return gate_fresh(st, n, 0, gate_mask(bits));
}

static bool add_term(struct gate_val *v, uint32_t id, int64_t a)
{
	int t;

	if (!id || !a)
		return true;
	t = v->s[0] == id ? 0 : v->s[1] == id ? 1 : !v->s[0] ? 0 : !v->s[1] ? 1 : -1;
	if (t < 0)
		return false;
	a += v->s[t] ? v->a[t] : 0;
	if (a > MAX_FACTOR || a < -MAX_FACTOR)
		return false;
	v->s[t] = a ? id : 0;
	v->a[t] = a;
	if (!v->s[0] || (v->s[1] && v->s[1] < v->s[0])) {
		uint32_t s = v->s[0];
		int32_t f = v->a[0];

		v->s[0] = v->s[1];
		v->a[0] = v->a[1];
		v->s[1] = s;
		v->a[1] = f;
	}
	return true;
}

bool gate_linear(const struct gate_val *v, const struct gate_val *w, int64_t f, struct gate_val *out)
{
	struct gate_val r = *v;
	gate_wide c = r.c + (gate_wide)w->c * f;

	if (w->kind != GATE_NUM || c > MAX_CONST || c < -MAX_CONST || f > MAX_FACTOR || f < -MAX_FACTOR)
		return false;
	r.c = c;
	r.null = false;
	if (!add_term(&r, w->s[0], w->a[0] * f) || !add_term(&r, w->s[1], w->a[1] * f))
		return false;
	*out = r;
	return true;
}

struct gate_val gate_fit(struct gate_state *st, struct gate_names *n, struct gate_val v, unsigned int bits)
{
	if (v.kind == GATE_NUM && gate_lo(st, &v) >= 0 && gate_hi(st, &v) <= gate_mask(bits))
		return v;
	if (gate_is_const(&v) && bits < 64)
		return gate_num(v.c & gate_mask(bits));
	return gate_any(st, n, bits);
}
