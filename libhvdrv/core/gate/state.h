/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What is known at one place of the code: of each register, of what the code has put on the stack, and of the last
 * comparison.
 *
 * A value is   base + c + a0 * X0 + a1 * X1   exactly, not modulo 2^64. The base is 0 for a number, else the begin of a
 * region. X are symbols: numbers that were read or computed somewhere, of which a range is known, and perhaps that they are
 * less than the queue's depth. So what is learned of a symbol by a comparison holds for all that was made of it.
 */
#ifndef HV_CORE_GATE_STATE_H
#define HV_CORE_GATE_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/gate/insn.h"

#define GATE_STACK 512		/* bytes, all frames together */
#define GATE_CELLS (GATE_STACK / 4)
#define GATE_SYMS 64
#define GATE_DEPTH 1u		/* the symbol that is hvdrv_ctx.depth */
#define GATE_UNBOUND INT_MIN

__extension__ typedef __int128 gate_wide;	/* sums of what has 64 bits each */

enum gate_kind {
	GATE_UNSET,		/* not written here: may be saved on the stack, not used */
	GATE_NUM,
	GATE_PART,		/* only the low `bytes` are a number */
	GATE_ENTRY,		/* what register c held at the entry */
	GATE_CODE,		/* a return address: instruction c */
	GATE_AT_STACK,		/* from here on: an address. Of the return address of the entry */
	GATE_AT_CTX, GATE_AT_STATE, GATE_AT_RECORDS, GATE_AT_PAGES, GATE_AT_GREFS, GATE_AT_FRAMES, GATE_AT_DOORBELLS, GATE_AT_IMAGE,
};

struct gate_val {
	int64_t c;
	int32_t a[2];
	uint32_t s[2];		/* of a symbol; 0: no such term. Ascending */
	uint8_t kind;
	uint8_t bytes;		/* GATE_PART */
	bool rest;		/* GATE_PART: what is above them is a number as well */
	bool null;		/* an address that may be NULL */
};

struct gate_sym {
	uint32_t id;
	int below;		/* g: X + g < depth; or GATE_UNBOUND */
	bool counts;		/* it is the number of rounds of a loop */
	uint64_t lo, hi;
};

/* Four bytes of the stack, index 0 the lowest. */
struct gate_cell {
	uint8_t bytes;		/* what begins here: 0 nothing that is known */
	struct gate_val v;
};

struct gate_flags {
	enum { GATE_UNKNOWN, GATE_COMPARED, GATE_RESULT } kind;	/* as after l - r; by the result l only zero or not */
	uint8_t bits;
	struct gate_val l, r;
};

struct gate_state {
	struct gate_val reg[GATE_REGS];
	struct gate_cell stack[GATE_CELLS];
	struct gate_flags flags;
	uint32_t nsym;
	struct gate_sym sym[GATE_SYMS];
};

/* Numbers that symbols get; grows over a whole check. */
struct gate_names {
	uint32_t next;
	bool full;		/* a state had more symbols than there is room for */
};

struct gate_val gate_num(int64_t c);
struct gate_val gate_unset(void);
bool gate_same(const struct gate_val *a, const struct gate_val *b);
static inline bool gate_is_const(const struct gate_val *v)
{
	return v->kind == GATE_NUM && !v->s[0] && !v->s[1];
}

/* A number of which nothing is known but its range. */
struct gate_val gate_fresh(struct gate_state *st, struct gate_names *n, uint64_t lo, uint64_t hi);
struct gate_val gate_any(struct gate_state *st, struct gate_names *n, unsigned int bits);
uint64_t gate_mask(unsigned int bits);

struct gate_sym *gate_sym(struct gate_state *st, uint32_t id);

/* Range of the value, or of an address' offset. */
gate_wide gate_lo(const struct gate_state *st, const struct gate_val *v);
gate_wide gate_hi(const struct gate_state *st, const struct gate_val *v);

/* The largest g for which v + g < depth is known, or GATE_UNBOUND. */
int gate_below(const struct gate_state *st, const struct gate_val *v);

/* v + f * w in *out; w is a number. False: has no such form. */
bool gate_linear(const struct gate_val *v, const struct gate_val *w, int64_t f, struct gate_val *out);

/* The number as so many bits hold it: itself when it fits. */
struct gate_val gate_fit(struct gate_state *st, struct gate_names *n, struct gate_val v, unsigned int bits);

/* Forgets symbols that no value is made of. */
void gate_tidy(struct gate_state *st);

/* All entries begin so: rdi the context, rsi the argument, 1 <= depth <= HVDRV_MAX_DEPTH. */
void gate_state_init(struct gate_state *st, struct gate_names *n);

/* What holds after either of two: *a becomes that. */
void gate_join(struct gate_state *a, const struct gate_state *b, struct gate_names *n);

/* Registers, then the stack's cells, as one list. */
#define GATE_PLACES (GATE_REGS + GATE_CELLS)
static inline struct gate_val *gate_place(struct gate_state *st, int k)
{
	return k < GATE_REGS ? &st->reg[k] : &st->stack[k - GATE_REGS].v;
}

/* Carries a symbol over from another state's list, unless it is known here. */
void gate_take_sym(struct gate_state *to, const struct gate_state *from, uint32_t id, struct gate_names *n);

/* The comparison says that it is cc: learns from it. False: it cannot be. candidate(arg, n): equality with it would end a loop. */
struct gate_learn {
	void (*candidate)(void *arg, uint64_t rounds);
	void *arg;
};
bool gate_learn(struct gate_state *st, uint8_t cc, const struct gate_learn *l);

#endif
