/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What holds at the head of a loop in every round. It is guessed from what the first round changes, and then shown:
 *
 *   a value that grows by the same each round   is   begin + step * I,  I the number of the round
 *   one that changes otherwise                  is   any number that fits
 *
 * and a guess is right when from it the round's end follows, with I + 1 in place of I. The loop is bounded when that goes on to
 * another round only for I below a limit: limits to try are those that the code compares something with.
 */
#ifndef HV_CORE_GATE_LOOP_H
#define HV_CORE_GATE_LOOP_H

#include "core/gate/state.h"

#define GATE_ROUNDS 4096u	/* at most, if nothing less can be shown */
#define GATE_LIMITS 8

enum gate_way { GATE_KEEPS, GATE_GROWS, GATE_WIDE, GATE_LOST };

struct gate_loop {
	const struct gate_state *first;	/* at the head, in the first round */
	uint8_t way[GATE_PLACES];
	uint8_t bits[GATE_PLACES];	/* GATE_WIDE */
	int64_t by[GATE_PLACES];	/* GATE_GROWS */
	bool below;			/* I < depth is part of the guess */
	uint32_t limit;			/* I is at most this */
	uint32_t counter;		/* the symbol I */
	uint32_t limits[GATE_LIMITS], nlimits;	/* ascending: worth a try */
};

/* From the state at the first round's begin and that at its end. */
void gate_loop_guess(struct gate_loop *l, const struct gate_state *first, const struct gate_state *end);

/* Number of a round that a comparison would end the loop in. */
void gate_loop_candidate(void *loop, uint64_t rounds);

/* The head's state by the guess. */
void gate_loop_head(struct gate_loop *l, struct gate_state *st, struct gate_names *n);

/* The state at a round's end, having begun with `head`: 1 as guessed; 0 not, the guess is weaker now; -1 the limit does not hold. */
int gate_loop_shown(struct gate_loop *l, const struct gate_state *head, struct gate_state *end);

#endif
