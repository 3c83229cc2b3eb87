/* SPDX-License-Identifier: LGPL-2.1-only */
/* The list of instructions that a driver may contain, by mnemonic and by form of the operands. */
#ifndef HV_CORE_GATE_ALLOW_H
#define HV_CORE_GATE_ALLOW_H

#include <Zydis/Zydis.h>
#include "core/gate/insn.h"

/* Fills in op, cc and operands (`in->to` is then the offset of a branch's target). NULL, or why it is refused. */
const char *gate_allow(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *op, uint32_t off, struct gate_insn *in);

#endif
