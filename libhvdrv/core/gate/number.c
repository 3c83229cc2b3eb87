// SPDX-License-Identifier: LGPL-2.1-only
#include "core/gate/number.h"

static unsigned int bit_length(uint64_t v)
{
	return v ? 64 - __builtin_clzll(v) : 0;
}

/* A number that fits, whatever it is made of. */
static struct gate_val ranged(struct gate_state *st, struct gate_names *n, gate_wide lo, gate_wide hi, unsigned int bits)
{
	if (lo < 0 || hi > gate_mask(bits))
		return gate_any(st, n, bits);
	return gate_fresh(st, n, lo, hi);
}

bool gate_sum(struct gate_state *st, struct gate_names *n, const struct gate_val *l, const struct gate_val *r, int64_t f,
	      struct gate_val *out)
{
	gate_wide lo, hi;
	struct gate_val one;

	if (gate_linear(l, r, f, out))
		return true;
	/* too many terms: those of r become one */
	lo = gate_lo(st, r);
	hi = gate_hi(st, r);
	if (r->kind != GATE_NUM || lo < 0 || hi > INT64_MAX)
		return false;
	one = gate_fresh(st, n, lo, hi);
	return one.kind == GATE_NUM && gate_linear(l, &one, f, out);
}

static struct gate_val add(struct gate_state *st, struct gate_names *n, unsigned int bits, const struct gate_val *l,
			   const struct gate_val *r, int f)
{
	gate_wide rlo = f > 0 ? gate_lo(st, r) : -gate_hi(st, r), rhi = f > 0 ? gate_hi(st, r) : -gate_lo(st, r);
	struct gate_val v;

	if (gate_linear(l, r, f, &v))
		return gate_fit(st, n, v, bits);
	return ranged(st, n, gate_lo(st, l) + rlo, gate_hi(st, l) + rhi, bits);
}

/* How many low bits are surely zero. */
static unsigned int zeros(const struct gate_val *v)
{
	uint64_t all = v->c | (v->s[0] ? (int64_t)v->a[0] : 0) | (v->s[1] ? (int64_t)v->a[1] : 0);

	return all ? __builtin_ctzll(all) : 63;
}

static struct gate_val and(struct gate_state *st, struct gate_names *n, const struct gate_val *l, const struct gate_val *r)
{
	gate_wide hi = gate_hi(st, l);

	if (gate_is_const(l) && gate_is_const(r))
		return gate_num(l->c & r->c);
	if (gate_is_const(l))
		return and(st, n, r, l);
	if (gate_is_const(r)) {
		/* a mask that covers all bits that can be set */
		uint64_t can = gate_mask(bit_length(hi)) & ~gate_mask(zeros(l));

		if ((can & r->c) == can)
			return *l;
	}
	return gate_fresh(st, n, 0, hi < gate_hi(st, r) ? hi : gate_hi(st, r));
}

static struct gate_val or_xor(struct gate_state *st, struct gate_names *n, uint8_t op, const struct gate_val *l,
			      const struct gate_val *r)
{
	uint64_t most = (uint64_t)gate_hi(st, l) | (uint64_t)gate_hi(st, r);

	if (gate_is_const(l) && gate_is_const(r))
		return gate_num(op == GATE_OR ? l->c | r->c : l->c ^ r->c);
	if (gate_is_const(r) && !r->c)
		return *l;
	if (gate_is_const(l) && !l->c)
		return *r;
	return gate_fresh(st, n, 0, gate_mask(bit_length(most)));
}

static struct gate_val times(struct gate_state *st, struct gate_names *n, unsigned int bits, const struct gate_val *v, int64_t f)
{
	struct gate_val zero = gate_num(0), r;

	if (gate_linear(&zero, v, f, &r))
		return gate_fit(st, n, r, bits);
	return gate_any(st, n, bits);
}

static struct gate_val shift_left(struct gate_state *st, struct gate_names *n, unsigned int bits, const struct gate_val *l,
				  const struct gate_val *r)
{
	unsigned int by = r->c & (bits == 64 ? 63 : 31);

	if (!gate_is_const(r) || by > 30)
		return gate_any(st, n, bits);
	return times(st, n, bits, l, 1ll << by);
}

static struct gate_val shift_right(struct gate_state *st, struct gate_names *n, unsigned int bits, const struct gate_val *l,
				   const struct gate_val *r)
{
	unsigned int by = r->c & (bits == 64 ? 63 : 31);
	struct gate_val v = *l;

	if (!gate_is_const(r))
		return gate_fresh(st, n, 0, gate_hi(st, l));
	if (by && by < 31 && zeros(l) >= by) {
		v.c >>= by;
		v.a[0] >>= by;
		v.a[1] >>= by;
		return v;
	}
	return gate_fresh(st, n, (uint64_t)gate_lo(st, l) >> by, (uint64_t)gate_hi(st, l) >> by);
}

static struct gate_val multiply(struct gate_state *st, struct gate_names *n, unsigned int bits, const struct gate_val *l,
				const struct gate_val *r)
{
	if (gate_is_const(r))
		return times(st, n, bits, l, r->c);
	return gate_is_const(l) ? times(st, n, bits, r, l->c) : gate_any(st, n, bits);
}

struct gate_val gate_compute(struct gate_state *st, struct gate_names *n, uint8_t op, unsigned int bits,
			     const struct gate_val *l, const struct gate_val *r)
{
	struct gate_val max;

	switch (op) {
	case GATE_ADD: case GATE_INC:
		return add(st, n, bits, l, r, 1);
	case GATE_SUB: case GATE_DEC: case GATE_CMP:
		return add(st, n, bits, l, r, -1);
	case GATE_NEG:
		max = gate_num(0);
		return add(st, n, bits, &max, l, -1);
	case GATE_NOT:
		max = gate_immediate(st, n, -1, bits);
		return add(st, n, bits, &max, l, -1);
	case GATE_AND: case GATE_TEST:
		return and(st, n, l, r);
	case GATE_OR: case GATE_XOR:
		return or_xor(st, n, op, l, r);
	case GATE_SHL:
		return shift_left(st, n, bits, l, r);
	case GATE_SAR:
		if (gate_hi(st, l) > gate_mask(bits - 1))
			return gate_any(st, n, bits);
		return shift_right(st, n, bits, l, r);
	case GATE_SHR:
		return shift_right(st, n, bits, l, r);
	case GATE_IMUL:
		return multiply(st, n, bits, l, r);
	default:		/* rotations, sums with carry, single bits */
		return gate_any(st, n, bits);
	}
}

struct gate_val gate_extend(struct gate_state *st, struct gate_names *n, const struct gate_val *v, unsigned int from,
			    unsigned int to)
{
	struct gate_val low = gate_fit(st, n, *v, from);

	if (gate_hi(st, &low) <= gate_mask(from - 1))
		return low;
	if (gate_is_const(&low))
		return gate_immediate(st, n, low.c - (1ll << from), to);
	return gate_any(st, n, to);
}

struct gate_val gate_immediate(struct gate_state *st, struct gate_names *n, int64_t v, unsigned int bits)
{
	uint64_t u = (uint64_t)v & gate_mask(bits);

	return u <= INT64_MAX ? gate_num(u) : gate_fresh(st, n, u, u);
}
