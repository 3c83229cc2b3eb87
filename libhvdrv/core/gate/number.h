/* SPDX-License-Identifier: LGPL-2.1-only */
/* Arithmetic with what is known of numbers and addresses. */
#ifndef HV_CORE_GATE_NUMBER_H
#define HV_CORE_GATE_NUMBER_H

#include "core/gate/state.h"

/* l op r in so many bits; both are numbers. */
struct gate_val gate_compute(struct gate_state *st, struct gate_names *n, uint8_t op, unsigned int bits,
			     const struct gate_val *l, const struct gate_val *r);

/* An address and a number, or two numbers: l + f * r, in *out. False: the sum cannot be told. */
bool gate_sum(struct gate_state *st, struct gate_names *n, const struct gate_val *l, const struct gate_val *r, int64_t f,
	      struct gate_val *out);

/* The low `from` bits, their sign continued to `to` bits. */
struct gate_val gate_extend(struct gate_state *st, struct gate_names *n, const struct gate_val *v, unsigned int from,
			    unsigned int to);

/* An immediate as a number of so many bits. */
struct gate_val gate_immediate(struct gate_state *st, struct gate_names *n, int64_t v, unsigned int bits);

#endif
