// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/gate/flow.h"
#include "core/gate/loop.h"
#include "core/gate/order.h"
#include "core/gate/step.h"

struct gate {
	const struct gate_code *code;
	struct gate_regions regions;
	struct gate_names names;
	struct gate_order **order;	/* per instruction: of the function that begins there */
	bool *seen;			/* per instruction: some way leads to it */
	unsigned int trial;		/* in a round that only tries something: nothing is refused */
	struct gate_loop *loop;		/* the innermost that is tried */
	const char *why;
	uint32_t why_off;
	bool nomem;
	uint32_t steps;
	uint64_t weight, insns;		/* how often the current place may be executed; sum */
	int64_t lowest;			/* stack pointer */
};

/* One call of one function. */
struct call {
	const struct gate_order *o;
	struct gate_state **wait;	/* per position: the state with which it goes on there */
	uint32_t lo, hi;		/* positions outside of these are not of interest now */
	int64_t sp;			/* where its return address is, */
	uint32_t back;			/* and what: an instruction */
	unsigned int depth;
	struct gate_state *out;		/* after its return */
};

static bool over(const struct gate *g)
{
	return g->why || g->nomem;
}

static void refuse(struct gate *g, uint32_t insn, const char *why)
{
	if (g->why || (g->trial && g->steps <= GATE_STEPS))
		return;
	g->why = why;
	g->why_off = g->code->insn[insn].off;
}

static struct gate_state *copy_of(struct gate *g, const struct gate_state *st)
{
	struct gate_state *c = malloc(sizeof(*c));

	if (c)
		*c = *st;
	else
		g->nomem = true;
	return c;
}

/* The state goes on at an instruction; it is taken over. */
static void go_on(struct gate *g, struct call *c, uint32_t insn, struct gate_state *st)
{
	int32_t pos = c->o->pos[insn];

	if (!st)
		return;
	if (pos < (int32_t)c->lo || pos >= (int32_t)c->hi) {
		free(st);
	} else if (c->wait[pos]) {
		gate_join(c->wait[pos], st, &g->names);
		free(st);
	} else {
		c->wait[pos] = st;
	}
}

/* ---- what leaves the straight line ---- */

static const struct gate_order *order_from(struct gate *g, uint32_t insn)
{
	if (!g->order[insn])
		g->order[insn] = gate_order_new(g->code, insn);
	if (!g->order[insn])
		g->nomem = true;
	return g->order[insn];
}

static struct gate_state *follow_call(struct gate *g, uint32_t insn, struct gate_state *st, unsigned int depth, uint32_t back);

static bool sp_is(const struct gate_state *st, int64_t at)
{
	const struct gate_val *sp = &st->reg[GATE_RSP];

	return sp->kind == GATE_AT_STACK && !sp->s[0] && !sp->s[1] && sp->c == at;
}

static void do_call(struct gate *g, struct call *c, uint32_t insn, struct gate_state *st)
{
	struct gate_val back = { .kind = GATE_CODE, .c = insn + 1 };
	const char *why = c->depth == GATE_CALLS ? "too many calls within calls" : NULL;

	if (!why && !sp_is(st, st->reg[GATE_RSP].c))
		why = "stack pointer that is not known";
	if (!why && st->reg[GATE_RSP].c - 8 < -GATE_STACK)
		why = "more stack than a driver may use";
	if (why) {
		refuse(g, insn, why);
		free(st);
		return;
	}
	st->reg[GATE_RSP].c -= 8;
	st->stack[(st->reg[GATE_RSP].c + GATE_STACK) / 4] = (struct gate_cell){ .bytes = 8, .v = back };
	st->stack[(st->reg[GATE_RSP].c + GATE_STACK) / 4 + 1].bytes = 0;
	st = follow_call(g, g->code->insn[insn].to, st, c->depth + 1, insn + 1);
	if (st)
		go_on(g, c, insn + 1, st);
}

/* As the stub called it: what the entry leaves must be what was there, and an answer. */
static const char *check_exit(struct gate_state *st)
{
	static const uint8_t kept[] = { GATE_RBX, GATE_RBP, 12, 13, 14, 15 };
	struct gate_val *rax = &st->reg[GATE_RAX];

	if (!sp_is(st, 0))
		return "returns with its frame on the stack";
	for (size_t k = 0; k < sizeof(kept); k++)
		if (st->reg[kept[k]].kind != GATE_ENTRY || st->reg[kept[k]].c != kept[k])
			return "returns with a register changed that is its caller's";
	if (rax->kind != GATE_NUM || gate_hi(st, rax) > (HVDRV_R_NOTIFY | HVDRV_R_BUSY | HVDRV_R_BROKEN | HVDRV_R_POLL))
		return "returns what is no answer of an entry";
	return NULL;
}

static void do_return(struct gate *g, struct call *c, uint32_t insn, struct gate_state *st)
{
	const struct gate_cell *cell;
	const char *why = NULL;

	if (!c->depth) {
		why = check_exit(st);
	} else if (!sp_is(st, c->sp)) {
		why = "returns with its frame on the stack";
	} else {
		cell = &st->stack[(c->sp + GATE_STACK) / 4];
		if (cell->bytes != 8 || cell->v.kind != GATE_CODE || cell->v.c != c->back)
			why = "returns to what is not the place it was called from";
		st->reg[GATE_RSP].c += 8;
		gate_stack_drop(st);
	}
	if (why)
		refuse(g, insn, why);
	if (why || !c->depth) {
		free(st);
	} else if (c->out) {
		gate_join(c->out, st, &g->names);
		free(st);
	} else {
		c->out = st;
	}
}

static void do_branch(struct gate *g, struct call *c, uint32_t insn, struct gate_state *st)
{
	const struct gate_insn *in = &g->code->insn[insn];
	struct gate_learn learn = { .candidate = g->loop ? gate_loop_candidate : NULL, .arg = g->loop };
	struct gate_state *yes = copy_of(g, st);

	if (yes && gate_learn(yes, in->cc, &learn))
		go_on(g, c, in->to, yes);
	else
		free(yes);
	if (gate_learn(st, in->cc ^ 1, &learn))
		go_on(g, c, insn + 1, st);
	else
		free(st);
}

/* ---- in order ---- */

static void note_stack(struct gate *g, const struct gate_state *st)
{
	if (!g->trial && st->reg[GATE_RSP].c < g->lowest)
		g->lowest = st->reg[GATE_RSP].c;
}

static void follow_one(struct gate *g, struct call *c, uint32_t pos)
{
	uint32_t insn = c->o->item[pos].insn;
	const struct gate_insn *in = &g->code->insn[insn];
	struct gate_state *st = c->wait[pos];
	const char *why;

	c->wait[pos] = NULL;
	g->seen[insn] = g->seen[insn] || !g->trial;
	if (++g->steps > GATE_STEPS)
		refuse(g, insn, "takes too long to follow");
	if (!g->trial)
		g->insns += g->weight;
	if (!g->trial && g->insns > GATE_INSNS)
		refuse(g, insn, "more instructions than an entry may execute");
	if (g->names.full && !g->why) {
		g->why = "more values at a time than are followed";
		g->why_off = in->off;
	}
	switch (in->op) {
	case GATE_INT3:
		refuse(g, insn, "gets to an int3");
		free(st);
		break;
	case GATE_JMP:
		go_on(g, c, in->to, st);
		break;
	case GATE_JCC:
		do_branch(g, c, insn, st);
		break;
	case GATE_CALL:
		do_call(g, c, insn, st);
		break;
	case GATE_RET:
		do_return(g, c, insn, st);
		break;
	default:
		why = gate_step(&g->regions, &g->names, in, st);
		note_stack(g, st);
		if (why)
			refuse(g, insn, why);
		go_on(g, c, insn + 1, st);
	}
}

static void follow(struct gate *g, struct call *c, uint32_t from, uint32_t to);

/* The round from this state at the loop's head on; the state at its end, NULL if there is no further round. */
static struct gate_state *follow_round(struct gate *g, struct call *c, uint32_t head, uint32_t end, const struct gate_state *st)
{
	struct gate_state *back;

	c->wait[head] = copy_of(g, st);
	if (!c->wait[head])
		return NULL;
	follow_one(g, c, head);
	follow(g, c, head + 1, end);
	back = c->wait[head];
	c->wait[head] = NULL;
	return back;
}

/* A round whose ways out do not count. */
static struct gate_state *try_round(struct gate *g, struct call *c, uint32_t head, uint32_t end, const struct gate_state *st,
				    struct gate_loop *l)
{
	struct gate_loop *outer = g->loop;
	uint32_t lo = c->lo, hi = c->hi;
	struct gate_state *out = c->out, *back;

	c->lo = head;
	c->hi = end;
	c->out = NULL;
	g->loop = l;
	g->trial++;
	back = follow_round(g, c, head, end, st);
	g->trial--;
	g->loop = outer;
	free(c->out);
	c->out = out;
	c->lo = lo;
	c->hi = hi;
	return back;
}

/* 1 the guess with this limit holds: *st is the head's state; 0 it does not; -1 there is no further round. */
static int show(struct gate *g, struct call *c, uint32_t head, uint32_t end, struct gate_loop *l, struct gate_state *st)
{
	for (int tries = 0; tries < 24 && !over(g); tries++) {
		struct gate_state *back;
		int rc;

		gate_loop_head(l, st, &g->names);
		back = try_round(g, c, head, end, st, l);
		if (!back)
			return -1;
		rc = gate_loop_shown(l, st, back);
		if (rc > 0)	/* no more rounds than that */
			gate_sym(st, l->counter)->hi = gate_sym(back, l->counter)->hi + 1;
		free(back);
		if (rc)
			return rc > 0;
	}
	return 0;
}

/* Finds what holds in each round, with the least limit that does. False: none. */
static bool find_bound(struct gate *g, struct call *c, uint32_t head, uint32_t end, const struct gate_state *first,
		       const struct gate_state *back, struct gate_loop *l, struct gate_state *st)
{
	uint32_t limits[GATE_LIMITS], n;
	int rc;

	/* the largest first: it tells what the code compares with */
	l->nlimits = 0;
	l->limit = GATE_ROUNDS;
	gate_loop_guess(l, first, back);
	rc = show(g, c, head, end, l, st);
	n = l->nlimits;
	memcpy(limits, l->limits, sizeof(limits));
	for (uint32_t k = 0; !rc && k < n && !over(g); k++) {
		l->limit = limits[k];
		gate_loop_guess(l, first, back);
		rc = show(g, c, head, end, l, st);
	}
	return rc != 0;
}

/* The rounds that count: all of them at once. What was only tried before must come out of it again. */
static void follow_rounds(struct gate *g, struct call *c, uint32_t head, uint32_t end, struct gate_loop *l,
			  const struct gate_state *st)
{
	uint32_t insn = c->o->item[head].insn;
	uint64_t weight = g->weight;
	struct gate_state *back;

	if (l) {
		l->limit = gate_sym((struct gate_state *)st, l->counter)->hi;
		g->weight *= l->limit + 1;
		if (!g->trial && g->weight > GATE_INSNS)
			refuse(g, insn, "more instructions than an entry may execute");
	}
	if (!over(g)) {
		back = follow_round(g, c, head, end, st);
		if (back && !over(g) && (!l || gate_loop_shown(l, st, back) <= 0))
			refuse(g, insn, "loop without a counted bound");
		free(back);
	}
	g->weight = weight;
}

static void follow_loop(struct gate *g, struct call *c, uint32_t head, uint32_t end)
{
	struct gate_state *first = c->wait[head], *guess = malloc(sizeof(*guess)), *back;
	struct gate_loop *l = malloc(sizeof(*l));

	c->wait[head] = NULL;
	if (!l || !guess) {
		g->nomem = true;
	} else {
		l->nlimits = 0;
		back = try_round(g, c, head, end, first, l);
		if (!back)
			follow_rounds(g, c, head, end, NULL, first);
		else if (find_bound(g, c, head, end, first, back, l, guess))
			follow_rounds(g, c, head, end, l, guess);
		else
			refuse(g, c->o->item[head].insn, "loop without a counted bound");
		free(back);
	}
	free(first);
	free(guess);
	free(l);
}

/* A loop that is not entered by its head has none: its rounds cannot be counted. */
static void check_not_inside(struct gate *g, struct call *c, uint32_t head, uint32_t end)
{
	for (uint32_t k = head + 1; k < end; k++) {
		if (!c->wait[k])
			continue;
		refuse(g, c->o->item[k].insn, "loop that is entered in its middle");
		free(c->wait[k]);
		c->wait[k] = NULL;
	}
}

/* Each position in turn; every loop until it is left. */
static void follow(struct gate *g, struct call *c, uint32_t from, uint32_t to)
{
	for (uint32_t k = from; k < to && !over(g);) {
		uint32_t end = c->o->item[k].end;

		if (!end) {
			if (c->wait[k])
				follow_one(g, c, k);
			k++;
			continue;
		}
		check_not_inside(g, c, k, end);
		if (c->wait[k])
			follow_loop(g, c, k, end);
		k = end;
	}
}

/* The state after the function has returned, which may be NULL: it does not, or something is refused. */
static struct gate_state *follow_call(struct gate *g, uint32_t insn, struct gate_state *st, unsigned int depth, uint32_t back)
{
	struct call c = { .o = order_from(g, insn), .depth = depth, .sp = st->reg[GATE_RSP].c, .back = back };

	c.wait = c.o ? calloc(c.o->n, sizeof(*c.wait)) : NULL;
	if (!c.wait) {
		g->nomem = true;
		free(st);
		return NULL;
	}
	c.hi = c.o->n;
	note_stack(g, st);
	go_on(g, &c, insn, st);
	follow(g, &c, 0, c.hi);
	for (uint32_t k = 0; k < c.o->n; k++)
		free(c.wait[k]);
	free(c.wait);
	return c.out;
}

static int follow_entry(struct gate *g, uint32_t entry, struct gate_found *found, struct hv_err *e)
{
	struct gate_state *st = malloc(sizeof(*st));

	if (!st)
		return hv_err(e, ENOMEM, "no memory");
	g->weight = 1;
	g->insns = 0;
	gate_state_init(st, &g->names);
	free(follow_call(g, g->code->at[g->code->img->h.entry[entry]], st, 0, 0));
	found->insns[entry] = g->insns;
	if (g->nomem)
		return hv_err(e, ENOMEM, "no memory");
	return g->why ? gate_refuse(g->code->img, g->why_off, e, g->why) : 0;
}

/* Of what is never followed nothing is known. Fillers between functions are nops and int3. */
static int check_seen(const struct gate *g, struct hv_err *e)
{
	for (uint32_t k = 0; k < g->code->n; k++) {
		const struct gate_insn *in = &g->code->insn[k];

		if (!g->seen[k] && in->op != GATE_NOP && in->op != GATE_INT3)
			return gate_refuse(g->code->img, in->off, e, "instruction that no way leads to");
	}
	return 0;
}

int gate_follow(const struct gate_code *code, struct gate_found *found, struct hv_err *e)
{
	struct gate g = { .code = code, .names = { .next = GATE_DEPTH + 1 } };
	int rc = 0;

	memset(found, 0, sizeof(*found));
	g.order = calloc(code->n, sizeof(*g.order));
	g.seen = calloc(code->n, sizeof(*g.seen));
	gate_regions_init(&g.regions, &code->img->h);
	if (!g.order || !g.seen)
		rc = hv_err(e, ENOMEM, "no memory");
	for (uint32_t k = 0; !rc && k < HVDRV_ENTRIES; k++)
		rc = follow_entry(&g, k, found, e);
	if (!rc)
		rc = check_seen(&g, e);
	found->stack = -g.lowest;
	for (uint32_t k = 0; g.order && k < code->n; k++)
		gate_order_free(g.order[k]);
	free(g.order);
	free(g.seen);
	return rc;
}
