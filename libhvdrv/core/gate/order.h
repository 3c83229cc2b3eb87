/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * In which order the instructions of a function are followed: forwards, and a loop is over before what comes after it. Found
 * from the branches alone (F. Bourdoncle, "Efficient chaotic iteration strategies with widenings", 1993): a weak topological
 * order, where each loop is its head and then what is in it.
 */
#ifndef HV_CORE_GATE_ORDER_H
#define HV_CORE_GATE_ORDER_H

#include "core/gate/insn.h"

struct gate_item {
	uint32_t insn;		/* index */
	uint32_t end;		/* one behind the loop that this is the head of; 0: of none */
};

struct gate_order {
	uint32_t n;
	struct gate_item *item;
	int32_t *pos;		/* of each instruction of the code, -1 if not in it */
};

/* From this instruction on; calls go on behind the call. NULL: no memory. */
struct gate_order *gate_order_new(const struct gate_code *code, uint32_t from);
void gate_order_free(struct gate_order *o);

/* Indexes of the instructions that may come next, at most 2; returns how many. */
int gate_next(const struct gate_code *code, uint32_t k, uint32_t next[2]);

#endif
