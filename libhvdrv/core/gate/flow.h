/* SPDX-License-Identifier: LGPL-2.1-only */
#ifndef HV_CORE_GATE_FLOW_H
#define HV_CORE_GATE_FLOW_H

#include "core/gate/insn.h"

#define GATE_STEPS 100000u	/* instructions that a check follows: more is refused */
#define GATE_INSNS 4000000u	/* instructions that one call of an entry may execute */
#define GATE_CALLS 8		/* calls within calls */

/* What was shown of an image's code. */
struct gate_found {
	uint64_t insns[HVDRV_ENTRIES];	/* at most, per call of an entry */
	uint32_t stack;			/* bytes at most, the return address of the entry not counted */
};

/* Follows all ways from each entry. 0, or -ENOEXEC with the place and what may go wrong there; -ENOMEM. */
int gate_follow(const struct gate_code *code, struct gate_found *found, struct hv_err *e);

#endif
