// SPDX-License-Identifier: LGPL-2.1-only
#include <stddef.h>
#include "core/gate/number.h"
#include "core/gate/step.h"

struct step {
	const struct gate_regions *r;
	struct gate_names *n;
	const struct gate_insn *in;
	struct gate_state *st;
	const char *why;
};

/* It may not be. Some number, for whoever goes on nevertheless: a round of a loop that is only tried. */
static struct gate_val stop(struct step *s, const char *why, unsigned int bits)
{
	if (!s->why)
		s->why = why;
	return gate_any(s->st, s->n, bits);
}

/* ---- operands ---- */

/* A number of so many bits out of a register. */
static struct gate_val low_part(struct step *s, const struct gate_val *v, unsigned int bytes)
{
	struct gate_val num = *v;

	if (v->kind == GATE_PART && v->bytes < bytes && v->rest)
		return gate_any(s->st, s->n, 8 * bytes);
	if (v->kind == GATE_UNSET || v->kind == GATE_ENTRY || (v->kind == GATE_PART && v->bytes < bytes))
		return stop(s, "uses a register that it has not set", 8 * bytes);
	if (v->kind != GATE_NUM && v->kind != GATE_PART)
		return stop(s, "computes with an address", 8 * bytes);
	num.kind = GATE_NUM;
	num.bytes = 0;
	num.rest = false;
	return gate_fit(s->st, s->n, num, 8 * bytes);
}

static struct gate_val address_of(struct step *s, const struct gate_opnd *o)
{
	struct gate_val sum = gate_num(o->v), base, at = gate_num(0);

	if (o->reg == GATE_RIP) {
		s->why = gate_in_image(s->r, o->v, 0);
		return (struct gate_val){ .kind = GATE_AT_IMAGE, .c = o->v };
	}
	for (int k = 0; k < 2; k++) {
		uint8_t reg = k ? o->index : o->reg;

		if (reg == GATE_NONE)
			continue;
		base = s->st->reg[reg];
		if (base.kind >= GATE_AT_STACK && at.kind == GATE_NUM && (!k || o->scale == 1)) {
			at = base;
			continue;
		}
		base = low_part(s, &base, 8);
		if (!gate_sum(s->st, s->n, &sum, &base, k ? o->scale : 1, &sum))
			sum = gate_any(s->st, s->n, 64);
	}
	if (at.kind == GATE_NUM)
		return sum;
	if (at.null)
		return stop(s, "computes with an address that may be NULL", 64);
	/* modulo 2^64: what is not in any range is in no region, and refused there */
	if (!gate_linear(&at, &sum, 1, &base) && (gate_lo(s->st, &sum) < 0 || !gate_sum(s->st, s->n, &at, &sum, 1, &base)))
		return stop(s, "address that is not followed", 64);
	return base;
}

static struct gate_val get(struct step *s, const struct gate_opnd *o)
{
	struct gate_val v = gate_num(0), at;
	const char *why;

	switch (o->type) {
	case GATE_REG:
		return low_part(s, &s->st->reg[o->reg], o->bytes);
	case GATE_IMM:
		return gate_immediate(s->st, s->n, o->v, 8 * s->in->o[0].bytes);
	case GATE_MEM:
		at = address_of(s, o);
		why = gate_load(s->r, s->st, s->n, &at, o->bytes, &v);
		return why ? stop(s, why, 8 * o->bytes) : low_part(s, &v, o->bytes);
	default:
		return v;
	}
}

/* Whatever it is: a number, an address, what a caller's register held. */
static struct gate_val get_any(struct step *s, const struct gate_opnd *o)
{
	struct gate_val v = gate_num(0), at;
	const char *why;

	if (o->bytes != 8 || o->type == GATE_IMM)
		return get(s, o);
	if (o->type == GATE_REG)
		return s->st->reg[o->reg];
	at = address_of(s, o);
	why = gate_load(s->r, s->st, s->n, &at, 8, &v);
	return why ? stop(s, why, 64) : v;
}

/* Bytes and words leave the rest of the register; what that rest was may be nobody's business. */
static struct gate_val merged(struct step *s, const struct gate_val *old, const struct gate_val *v, unsigned int bytes)
{
	struct gate_val r = *v;

	if (old->kind == GATE_NUM && gate_hi(s->st, old) <= gate_mask(8 * bytes))
		return r;
	r.rest = old->kind == GATE_NUM || (old->kind == GATE_PART && old->rest);
	r.kind = GATE_PART;
	r.bytes = bytes;
	if (old->kind == GATE_PART && old->bytes > bytes && !r.rest) {
		r = gate_any(s->st, s->n, 8 * old->bytes);
		r.kind = GATE_PART;
		r.bytes = old->bytes;
	}
	return r;
}

static void set_reg(struct step *s, uint8_t reg, unsigned int bytes, const struct gate_val *v)
{
	struct gate_val *to = &s->st->reg[reg];

	if (reg == GATE_RSP && (bytes != 8 || v->kind != GATE_AT_STACK || v->s[0] || v->s[1] || v->c % 8))
		stop(s, "stack pointer set to what is not known", 64);
	else if (reg == GATE_RSP && (v->c < -GATE_STACK || v->c > 0))
		stop(s, v->c > 0 ? "stack of its caller" : "more stack than a driver may use", 64);
	else
		*to = bytes >= 4 ? *v : merged(s, to, v, bytes);
	if (reg == GATE_RSP && !s->why)
		gate_stack_drop(s->st);
}

static void put(struct step *s, const struct gate_opnd *o, const struct gate_val *v)
{
	struct gate_val at;
	const char *why;

	if (o->type == GATE_REG) {
		set_reg(s, o->reg, o->bytes, v);
		return;
	}
	at = address_of(s, o);
	why = gate_store(s->r, s->st, &at, o->bytes, v);
	if (why)
		stop(s, why, 64);
}

/* ---- flags ---- */

static void flags(struct step *s, int kind, unsigned int bits, struct gate_val l, struct gate_val r)
{
	s->st->flags = (struct gate_flags){ .kind = kind, .bits = bits, .l = l, .r = r };
}

static void flags_after(struct step *s, unsigned int bits, const struct gate_val *l, const struct gate_val *r,
			const struct gate_val *result)
{
	struct gate_val zero = gate_num(0);

	switch (s->in->op) {
	case GATE_SUB: case GATE_CMP:
		flags(s, GATE_COMPARED, bits, *l, *r);
		break;
	case GATE_AND: case GATE_TEST: case GATE_OR: case GATE_XOR:
		flags(s, GATE_COMPARED, bits, *result, zero);
		break;
	case GATE_ADD: case GATE_INC: case GATE_DEC: case GATE_NEG:
		flags(s, GATE_RESULT, bits, *result, zero);
		break;
	case GATE_SHL: case GATE_SHR: case GATE_SAR:	/* by 0: as before */
		if (gate_is_const(r) && r->c & (bits == 64 ? 63 : 31))
			flags(s, GATE_RESULT, bits, *result, zero);
		else
			flags(s, GATE_UNKNOWN, bits, zero, zero);
		break;
	case GATE_NOT:
		break;
	default:
		flags(s, GATE_UNKNOWN, bits, zero, zero);
	}
}

/* ---- instructions ---- */

static bool same_register(const struct gate_insn *in)
{
	return in->o[0].type == GATE_REG && in->o[1].type == GATE_REG && in->o[0].reg == in->o[1].reg;
}

/* add, sub and lea on an address; flags are then of no use. */
static bool on_address(struct step *s)
{
	const struct gate_insn *in = s->in;
	struct gate_val l, r, v;
	bool add = in->op == GATE_ADD;

	if ((!add && in->op != GATE_SUB) || in->o[0].type != GATE_REG || in->o[0].bytes != 8)
		return false;
	l = s->st->reg[in->o[0].reg];
	r = in->o[1].type == GATE_IMM ? gate_num(in->o[1].v) : get_any(s, &in->o[1]);
	if (add && l.kind == GATE_NUM && r.kind >= GATE_AT_STACK) {
		v = l;
		l = r;
		r = v;
	}
	if (l.kind < GATE_AT_STACK)
		return false;
	if (l.null || r.kind != GATE_NUM || !gate_sum(s->st, s->n, &l, &r, add ? 1 : -1, &v))
		stop(s, "computes with an address", 64);
	else
		set_reg(s, in->o[0].reg, 8, &v);
	flags(s, GATE_UNKNOWN, 64, gate_num(0), gate_num(0));
	return true;
}

/* test p, p and cmp p, 0 */
static bool against_null(struct step *s)
{
	const struct gate_insn *in = s->in;
	struct gate_val v;

	if (in->o[0].type != GATE_REG || in->o[0].bytes != 8 || (in->op != GATE_TEST && in->op != GATE_CMP))
		return false;
	v = s->st->reg[in->o[0].reg];
	if (v.kind < GATE_AT_STACK || !(in->op == GATE_TEST ? same_register(in) : in->o[1].type == GATE_IMM && !in->o[1].v))
		return false;
	flags(s, GATE_COMPARED, 64, v, gate_num(0));
	return true;
}

static void arithmetic(struct step *s)
{
	const struct gate_insn *in = s->in;
	unsigned int bits = 8 * in->o[0].bytes;
	struct gate_val l, r, v;

	if ((in->op == GATE_XOR || in->op == GATE_SUB) && same_register(in)) {
		v = gate_num(0);
		put(s, &in->o[0], &v);
		flags(s, GATE_COMPARED, bits, v, v);
		return;
	}
	if (in->op == GATE_SBB && same_register(in)) {	/* the carry, spread */
		v = gate_any(s->st, s->n, bits);
		put(s, &in->o[0], &v);
		flags(s, GATE_UNKNOWN, bits, gate_num(0), gate_num(0));
		return;
	}
	if (against_null(s) || on_address(s))
		return;
	l = get(s, &in->o[0]);
	r = in->op == GATE_INC || in->op == GATE_DEC ? gate_num(1) : get(s, &in->o[1]);
	/* a negative immediate is subtracted: then what fits still fits */
	if ((in->op == GATE_ADD || in->op == GATE_SUB) && in->o[1].type == GATE_IMM && in->o[1].v < 0)
		v = gate_num(in->o[1].v);
	else
		v = r;
	v = gate_compute(s->st, s->n, in->op, bits, &l, &v);
	if (in->op != GATE_CMP && in->op != GATE_TEST && in->op != GATE_BT)
		put(s, &in->o[0], &v);
	flags_after(s, bits, &l, &r, &v);
}

static void multiply(struct step *s)
{
	const struct gate_insn *in = s->in;
	bool three = in->o[2].type == GATE_IMM;
	struct gate_val l = get(s, &in->o[three ? 1 : 0]);
	struct gate_val r = get(s, &in->o[three ? 2 : 1]);

	l = gate_compute(s->st, s->n, GATE_IMUL, 8 * in->o[0].bytes, &l, &r);
	put(s, &in->o[0], &l);
	flags(s, GATE_UNKNOWN, 64, gate_num(0), gate_num(0));
}

static void move(struct step *s)
{
	const struct gate_insn *in = s->in;
	struct gate_val v = get_any(s, &in->o[1]);

	/* what no instruction has set may be saved, on the stack */
	put(s, &in->o[0], &v);
}

static void extend(struct step *s)
{
	const struct gate_insn *in = s->in;
	struct gate_val v = get(s, &in->o[1]);

	if (in->op == GATE_MOVSX)
		v = gate_extend(s->st, s->n, &v, 8 * in->o[1].bytes, 8 * in->o[0].bytes);
	put(s, &in->o[0], &v);
}

static void load_address(struct step *s)
{
	const struct gate_insn *in = s->in;
	struct gate_val v = address_of(s, &in->o[1]);

	if (v.kind == GATE_NUM)
		v = gate_fit(s->st, s->n, v, 8 * in->o[0].bytes);
	else if (in->o[0].bytes != 8)
		stop(s, "computes with an address", 64);
	put(s, &in->o[0], &v);
}

/* What it is if so, and what it is if not, are followed apart and joined. */
static void conditional_move(struct step *s)
{
	const struct gate_insn *in = s->in;
	struct gate_state other = *s->st;
	struct step t = { .r = s->r, .n = s->n, .in = in, .st = &other };
	bool yes, no;

	yes = gate_learn(s->st, in->cc, &(struct gate_learn){ 0 });
	no = gate_learn(&other, in->cc ^ 1, &(struct gate_learn){ 0 });
	if (yes)
		move(s);
	if (no && in->o[0].bytes == 4) {	/* the upper half is cleared in any case */
		struct gate_val v = get(&t, &in->o[0]);

		put(&t, &in->o[0], &v);
	}
	/* memory is read in any case */
	if (no && in->o[1].type == GATE_MEM)
		get_any(&t, &in->o[1]);
	if (yes && no)
		gate_join(s->st, &other, s->n);
	else if (no)
		*s->st = other;
	if (no && t.why)
		stop(s, t.why, 64);
}

static void set_byte(struct step *s)
{
	struct gate_val v = gate_fresh(s->st, s->n, 0, 1);

	put(s, &s->in->o[0], &v);
}

const char *gate_push(const struct gate_regions *r, struct gate_state *st, const struct gate_val *v)
{
	struct gate_val *sp = &st->reg[GATE_RSP], at;

	if (sp->c - 8 < -GATE_STACK)
		return "more stack than a driver may use";
	sp->c -= 8;
	at = *sp;
	return gate_store(r, st, &at, 8, v);
}

const char *gate_pop(const struct gate_regions *r, struct gate_names *n, struct gate_state *st, struct gate_val *v)
{
	struct gate_val at = st->reg[GATE_RSP];
	const char *why = gate_load(r, st, n, &at, 8, v);

	if (why)
		return why;
	st->reg[GATE_RSP].c += 8;
	gate_stack_drop(st);
	return NULL;
}

static void push_pop(struct step *s)
{
	const struct gate_opnd *o = &s->in->o[0];
	struct gate_val v = gate_num(0);
	const char *why;

	if (o->bytes != 8) {
		stop(s, "push or pop of 16 bits", 64);
		return;
	}
	if (s->in->op == GATE_PUSH) {
		v = s->st->reg[o->reg];
		why = gate_push(s->r, s->st, &v);
	} else {
		why = gate_pop(s->r, s->n, s->st, &v);
	}
	if (why)
		stop(s, why, 64);
	else if (s->in->op == GATE_POP)
		set_reg(s, o->reg, 8, &v);
}

const char *gate_step(const struct gate_regions *r, struct gate_names *n, const struct gate_insn *in, struct gate_state *st)
{
	struct step s = { .r = r, .n = n, .in = in, .st = st };

	if (st->nsym > GATE_SYMS - 16)
		gate_tidy(st);
	switch (in->op) {
	case GATE_NOP: case GATE_FENCE:
		break;
	case GATE_MOV:
		move(&s);
		break;
	case GATE_MOVZX: case GATE_MOVSX:
		extend(&s);
		break;
	case GATE_LEA:
		load_address(&s);
		break;
	case GATE_IMUL:
		multiply(&s);
		break;
	case GATE_SET:
		set_byte(&s);
		break;
	case GATE_CMOV:
		conditional_move(&s);
		break;
	case GATE_PUSH: case GATE_POP:
		push_pop(&s);
		break;
	default:
		arithmetic(&s);
	}
	return s.why;
}
