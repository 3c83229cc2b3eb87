// SPDX-License-Identifier: LGPL-2.1-only
#include <string.h>
#include "core/gate/loop.h"

#define STEP (1 << 20)		/* what grows by more each round is not worth a guess, */
#define FAR (1ll << 56)		/* nor what begins so far away */

static uint8_t bytes_at(const struct gate_state *st, int k)
{
	return k < GATE_REGS ? 8 : st->stack[k - GATE_REGS].bytes;
}

static const struct gate_val *place(const struct gate_state *st, int k)
{
	return gate_place((struct gate_state *)st, k);
}

static bool same_terms(const struct gate_val *a, const struct gate_val *b)
{
	struct gate_val t = *b;

	t.c = a->c;
	return gate_same(a, &t);
}

static uint8_t bits_for(gate_wide hi)
{
	return hi <= UINT8_MAX ? 8 : hi <= UINT16_MAX ? 16 : hi <= UINT32_MAX ? 32 : 64;
}

void gate_loop_candidate(void *loop, uint64_t rounds)
{
	struct gate_loop *l = loop;
	uint32_t k = 0;

	if (!rounds || rounds >= GATE_ROUNDS)
		return;
	while (k < l->nlimits && l->limits[k] < rounds)
		k++;
	if (k == GATE_LIMITS || (k < l->nlimits && l->limits[k] == rounds))
		return;
	if (l->nlimits < GATE_LIMITS)
		l->nlimits++;
	memmove(&l->limits[k + 1], &l->limits[k], (l->nlimits - k - 1) * sizeof(l->limits[0]));
	l->limits[k] = rounds;
}

static void guess_place(struct gate_loop *l, int k, const struct gate_val *a, const struct gate_val *b)
{
	gate_wide by = (gate_wide)b->c - a->c;

	if (gate_same(a, b)) {
		l->way[k] = GATE_KEEPS;
	} else if (same_terms(a, b) && (a->kind == GATE_NUM || a->kind >= GATE_AT_STACK) && !a->s[1] && by < STEP && by > -STEP && a->c < FAR &&
		   a->c > -FAR) {
		l->way[k] = GATE_GROWS;
		l->by[k] = by;
		if (by < 0 && a->kind == GATE_NUM && gate_lo(l->first, a) > 0) {	/* counts down: not below 0 */
			uint64_t rounds = gate_lo(l->first, a) / -by;

			gate_loop_candidate(l, rounds);
			gate_loop_candidate(l, rounds - 1);
		}
	} else if (a->kind == GATE_NUM && b->kind == GATE_NUM) {
		l->way[k] = GATE_WIDE;
		l->bits[k] = bits_for(gate_hi(l->first, a));
	} else {
		l->way[k] = GATE_LOST;
	}
}

void gate_loop_guess(struct gate_loop *l, const struct gate_state *first, const struct gate_state *end)
{
	memset(l->way, GATE_LOST, sizeof(l->way));
	l->first = first;
	l->below = true;	/* in the first round I is 0, and the depth is not */
	for (int k = 0; k < GATE_PLACES; k++)
		if (bytes_at(first, k) && bytes_at(first, k) == bytes_at(end, k))
			guess_place(l, k, place(first, k), place(end, k));
}

/* begin + by * I, if that is a value for all I up to the limit. */
static bool grown(const struct gate_loop *l, const struct gate_state *st, const struct gate_val *begin, int64_t by,
		  struct gate_val *v)
{
	struct gate_val counter = { .kind = GATE_NUM, .a = { 1 }, .s = { l->counter } };

	if (!gate_linear(begin, &counter, by, v))
		return false;
	return v->kind != GATE_NUM || (gate_lo(st, v) >= 0 && gate_hi(st, v) <= UINT64_MAX);
}

void gate_loop_head(struct gate_loop *l, struct gate_state *st, struct gate_names *n)
{
	memset(st, 0, sizeof(*st));
	gate_take_sym(st, l->first, GATE_DEPTH, n);
	for (uint32_t k = 0; k < l->first->nsym; k++)
		if (l->first->sym[k].counts)
			gate_take_sym(st, l->first, l->first->sym[k].id, n);
	l->counter = n->next++;
	st->sym[st->nsym++] = (struct gate_sym){ .id = l->counter, .hi = l->limit, .counts = true,
						 .below = l->below ? 0 : GATE_UNBOUND };
	for (int k = 0; k < GATE_PLACES; k++) {
		const struct gate_val *a = place(l->first, k);
		struct gate_val v = gate_unset();

		if (k >= GATE_REGS && l->way[k] != GATE_LOST)
			st->stack[k - GATE_REGS].bytes = bytes_at(l->first, k);
		if (l->way[k] == GATE_KEEPS || l->way[k] == GATE_GROWS) {
			gate_take_sym(st, l->first, a->s[0], n);
			gate_take_sym(st, l->first, a->s[1], n);
			v = *a;
		}
		if (l->way[k] == GATE_GROWS && !grown(l, st, a, l->by[k], &v)) {
			l->way[k] = a->kind == GATE_NUM ? GATE_WIDE : GATE_LOST;
			l->bits[k] = 64;
			v = gate_unset();
		}
		if (l->way[k] == GATE_WIDE)
			v = gate_any(st, n, l->bits[k]);
		*gate_place(st, k) = v;
	}
}

/* Does what the round leaves here fit the guess? Else the guess is made weaker. */
static bool shown_place(struct gate_loop *l, int k, const struct gate_state *head, struct gate_state *end)
{
	const struct gate_val *b = place(end, k);
	struct gate_val expect = *place(head, k);

	if (l->way[k] == GATE_LOST)
		return true;
	if (bytes_at(end, k) == bytes_at(head, k)) {
		if (l->way[k] == GATE_GROWS)
			expect.c += l->by[k];
		if (l->way[k] == GATE_WIDE ? b->kind == GATE_NUM && gate_hi(end, b) <= gate_mask(l->bits[k]) :
					     gate_same(b, &expect))
			return true;
		if (b->kind == GATE_NUM && place(l->first, k)->kind == GATE_NUM) {
			uint8_t bits = bits_for(gate_hi(end, b)), was = bits_for(gate_hi(l->first, place(l->first, k)));

			l->way[k] = GATE_WIDE;
			l->bits[k] = bits > was ? bits : was;
			return false;
		}
	}
	l->way[k] = GATE_LOST;
	return false;
}

int gate_loop_shown(struct gate_loop *l, const struct gate_state *head, struct gate_state *end)
{
	const struct gate_sym *i = gate_sym(end, l->counter);
	bool all = true;

	for (int k = 0; k < GATE_PLACES; k++)
		all = shown_place(l, k, head, end) && all;
	if (!i)
		return 0;
	if (l->below && (i->below == GATE_UNBOUND || i->below < 1)) {	/* I + 1 < depth is not known */
		l->below = false;
		all = false;
	}
	if (!all)
		return 0;
	return i->hi < l->limit ? 1 : -1;
}
