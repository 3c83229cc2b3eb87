/* SPDX-License-Identifier: LGPL-2.1-only */
#ifndef HV_CORE_GATE_STEP_H
#define HV_CORE_GATE_STEP_H

#include "core/gate/regions.h"

/*
 * What is known after an instruction that goes on to the next one (everything but jumps, branches, calls, returns and int3).
 * NULL, or why it may not be done; the state is then of no use.
 */
const char *gate_step(const struct gate_regions *r, struct gate_names *n, const struct gate_insn *in, struct gate_state *st);

/* push and pop of 8 bytes, for calls and returns, too. */
const char *gate_push(const struct gate_regions *r, struct gate_state *st, const struct gate_val *v);
const char *gate_pop(const struct gate_regions *r, struct gate_names *n, struct gate_state *st, struct gate_val *v);

#endif
