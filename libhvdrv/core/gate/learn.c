// SPDX-License-Identifier: LGPL-2.1-only
/* What a condition says about the symbols of what was compared. */
#include "core/gate/state.h"

static gate_wide floor_div(gate_wide a, gate_wide b)
{
	return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* The value is at most (high) or at least k: so is each of its symbols, in its way. */
static bool bound(struct gate_state *st, const struct gate_val *v, gate_wide k, bool high)
{
	gate_wide least = high ? gate_lo(st, v) : gate_hi(st, v);

	if (high ? least > k : least < k)
		return false;
	for (int t = 0; t < 2; t++) {
		struct gate_sym *x = v->s[t] ? gate_sym(st, v->s[t]) : NULL;
		bool up = (v->a[t] > 0) == high;
		gate_wide a = v->a[t] > 0 ? v->a[t] : -(gate_wide)v->a[t], room, to;

		if (!x)
			continue;
		/* the other terms leave so much room above (below) the least (greatest) that this one can be */
		room = floor_div(high ? k - least : least - k, a);
		to = up ? x->lo + room : x->hi - room;
		if (up && to < x->hi)
			x->hi = to;
		if (!up && to > (gate_wide)x->lo)
			x->lo = to;
		if (x->lo > x->hi)
			return false;
	}
	return true;
}

static bool is_depth(const struct gate_val *v)
{
	return v->kind == GATE_NUM && v->s[0] == GATE_DEPTH && v->a[0] == 1 && !v->s[1] && !v->c;
}

/* v + g < depth */
static void learn_below(struct gate_state *st, const struct gate_val *v, int g)
{
	struct gate_sym *x = v->s[0] ? gate_sym(st, v->s[0]) : NULL;

	if (!x || v->s[1] || v->a[0] != 1 || v->s[0] == GATE_DEPTH || v->c > INT_MAX / 2 || v->c < -INT_MAX / 2)
		return;
	if (x->below == GATE_UNBOUND || x->below < v->c + g)
		x->below = v->c + g;
}

/* l <= r - strict */
static bool learn_less(struct gate_state *st, const struct gate_val *l, const struct gate_val *r, int strict)
{
	if (!bound(st, l, gate_hi(st, r) - strict, true) || !bound(st, r, gate_lo(st, l) + strict, false))
		return false;
	if (is_depth(r))
		learn_below(st, l, strict - 1);
	return true;
}

static bool learn_equal(struct gate_state *st, const struct gate_val *l, const struct gate_val *r)
{
	return learn_less(st, l, r, 0) && learn_less(st, r, l, 0);
}

/* Only the ends of a range can be cut off. What is inside may be where a loop ends: worth a try. */
static bool learn_differs(struct gate_state *st, const struct gate_val *v, gate_wide k, const struct gate_learn *learn)
{
	struct gate_sym *x = v->s[0] ? gate_sym(st, v->s[0]) : NULL;
	gate_wide n;

	if (!x)
		return v->c != k;
	if (v->s[1] || (k - v->c) % v->a[0])
		return true;
	n = (k - v->c) / v->a[0];
	if (x->counts && n >= 0 && n <= INT_MAX && learn->candidate)
		learn->candidate(learn->arg, n);
	if (x->lo == x->hi)
		return n != x->lo;
	if (n == x->lo)
		x->lo++;
	else if (n == x->hi)
		x->hi--;
	return true;
}

static bool learn_unequal(struct gate_state *st, const struct gate_val *l, const struct gate_val *r, const struct gate_learn *learn)
{
	if (gate_same(l, r))
		return false;
	if (gate_is_const(r))
		return learn_differs(st, l, r->c, learn);
	return gate_is_const(l) ? learn_differs(st, r, l->c, learn) : true;
}

/* An address that was compared with NULL. */
static bool learn_null(struct gate_state *st, const struct gate_val *at, uint8_t cc)
{
	struct gate_val was = *at;

	if (cc == GATE_Z)
		return was.null;
	if (cc != GATE_NZ)
		return true;
	for (int k = 0; k < GATE_PLACES; k++)
		if (gate_same(gate_place(st, k), &was))
			gate_place(st, k)->null = false;
	st->flags.kind = GATE_UNKNOWN;
	return true;
}

/* Compared as numbers with sign: as without, when neither can have it. */
static uint8_t without_sign(const struct gate_state *st, uint8_t cc)
{
	gate_wide half = (gate_wide)1 << (st->flags.bits - 1);

	if (cc < GATE_S || cc == GATE_P || cc == GATE_NP)
		return cc;
	if (gate_hi(st, &st->flags.l) >= half || gate_hi(st, &st->flags.r) >= half)
		return GATE_P;
	switch (cc) {
	case GATE_S: case GATE_L: return GATE_B;
	case GATE_NS: case GATE_NL: return GATE_NB;
	case GATE_LE: return GATE_BE;
	default: return GATE_NBE;
	}
}

bool gate_learn(struct gate_state *st, uint8_t cc, const struct gate_learn *learn)
{
	struct gate_flags f = st->flags;

	if (f.kind == GATE_UNKNOWN)
		return true;
	if (f.l.kind != GATE_NUM)
		return learn_null(st, &f.l, cc);
	if (f.kind == GATE_RESULT && cc != GATE_Z && cc != GATE_NZ)
		return true;
	switch (without_sign(st, cc)) {
	case GATE_Z: return learn_equal(st, &f.l, &f.r);
	case GATE_NZ: return learn_unequal(st, &f.l, &f.r, learn);
	case GATE_B: return learn_less(st, &f.l, &f.r, 1);
	case GATE_NB: return learn_less(st, &f.r, &f.l, 0);
	case GATE_BE: return learn_less(st, &f.l, &f.r, 0);
	case GATE_NBE: return learn_less(st, &f.r, &f.l, 1);
	default: return true;
	}
}
