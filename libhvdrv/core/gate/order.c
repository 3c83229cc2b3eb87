// SPDX-License-Identifier: LGPL-2.1-only
#include <stdlib.h>
#include <string.h>
#include "core/gate/order.h"

#define DONE UINT32_MAX

struct finder {
	const struct gate_code *code;
	struct gate_order *o;
	uint32_t *seen;		/* number in order of the visit, 0 not yet, DONE */
	uint32_t *stack, depth;
	uint32_t visits;
	uint32_t at;		/* items are laid down from the end of the list */
};

int gate_next(const struct gate_code *code, uint32_t k, uint32_t next[2])
{
	const struct gate_insn *in = &code->insn[k];
	int n = 0;

	if (in->op == GATE_RET || in->op == GATE_INT3)
		return 0;
	if (in->op != GATE_JMP && k + 1 < code->n)
		next[n++] = k + 1;
	if (in->op == GATE_JMP || in->op == GATE_JCC)
		next[n++] = in->to;
	return n;
}

static uint32_t visit(struct finder *f, uint32_t v);

/* The loop of which v is the head: what is in it, then v before that. */
static void component(struct finder *f, uint32_t v)
{
	uint32_t next[2], end = f->at;
	int n = gate_next(f->code, v, next);

	for (int k = 0; k < n; k++)
		if (!f->seen[next[k]])
			visit(f, next[k]);
	f->o->item[--f->at] = (struct gate_item){ .insn = v, .end = end };
}

static uint32_t visit(struct finder *f, uint32_t v)
{
	uint32_t next[2], head, min, w;
	int n = gate_next(f->code, v, next);
	bool loop = false;

	f->stack[f->depth++] = v;
	head = f->seen[v] = ++f->visits;
	for (int k = 0; k < n; k++) {
		min = f->seen[next[k]] ? f->seen[next[k]] : visit(f, next[k]);
		if (min <= head) {
			head = min;
			loop = true;
		}
	}
	if (head != f->seen[v])
		return head;
	f->seen[v] = DONE;
	w = f->stack[--f->depth];
	if (!loop) {
		f->o->item[--f->at] = (struct gate_item){ .insn = v };
		return head;
	}
	for (; w != v; w = f->stack[--f->depth])
		f->seen[w] = 0;
	component(f, v);
	return head;
}

/* Positions were counted from the end of the list while it was made. */
static void finish(struct finder *f)
{
	struct gate_order *o = f->o;

	o->n = f->code->n - f->at;
	memmove(o->item, o->item + f->at, o->n * sizeof(*o->item));
	for (uint32_t k = 0; k < o->n; k++) {
		if (o->item[k].end)
			o->item[k].end -= f->at;
		o->pos[o->item[k].insn] = k;
	}
}

struct gate_order *gate_order_new(const struct gate_code *code, uint32_t from)
{
	struct finder f = { .code = code, .at = code->n };

	f.o = calloc(1, sizeof(*f.o));
	f.seen = calloc(code->n, sizeof(*f.seen));
	f.stack = calloc(code->n, sizeof(*f.stack));
	if (f.o) {
		f.o->item = calloc(code->n, sizeof(*f.o->item));
		f.o->pos = malloc(code->n * sizeof(*f.o->pos));
	}
	if (!f.seen || !f.stack || !f.o || !f.o->item || !f.o->pos) {
		gate_order_free(f.o);
		f.o = NULL;
	} else {
		memset(f.o->pos, 0xff, code->n * sizeof(*f.o->pos));
		visit(&f, from);
		finish(&f);
	}
	free(f.seen);
	free(f.stack);
	return f.o;
}

void gate_order_free(struct gate_order *o)
{
	if (!o)
		return;
	free(o->item);
	free(o->pos);
	free(o);
}
