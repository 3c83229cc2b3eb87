/* SPDX-License-Identifier: LGPL-2.1-only */
/* An instruction in the few terms that the gate reasons in. allow.c makes them; what has no such form is refused. */
#ifndef HV_CORE_GATE_INSN_H
#define HV_CORE_GATE_INSN_H

#include <stdbool.h>
#include <stdint.h>
#include "core/image.h"

#define GATE_NONE 0xff		/* no register */
#define GATE_RIP 0xfe
enum gate_reg { GATE_RAX, GATE_RCX, GATE_RDX, GATE_RBX, GATE_RSP, GATE_RBP, GATE_RSI, GATE_RDI, GATE_REGS = 16 };

enum gate_op {
	GATE_NOP, GATE_FENCE, GATE_INT3, GATE_MOV, GATE_MOVZX, GATE_MOVSX, GATE_LEA, GATE_ADD, GATE_SUB, GATE_CMP, GATE_AND,
	GATE_TEST, GATE_OR, GATE_XOR, GATE_INC, GATE_DEC, GATE_NEG, GATE_NOT, GATE_SHL, GATE_SHR, GATE_SAR, GATE_ROT, GATE_IMUL,
	GATE_ADC, GATE_SBB, GATE_BT, GATE_BITSET, GATE_SET, GATE_CMOV, GATE_JCC, GATE_JMP, GATE_CALL, GATE_RET, GATE_PUSH, GATE_POP,
};

/* Conditions in the processor's order: cc ^ 1 is the opposite. */
enum gate_cc {
	GATE_O, GATE_NO, GATE_B, GATE_NB, GATE_Z, GATE_NZ, GATE_BE, GATE_NBE, GATE_S, GATE_NS, GATE_P, GATE_NP, GATE_L, GATE_NL,
	GATE_LE, GATE_NLE,
};

struct gate_opnd {
	enum { GATE_NOTHING, GATE_REG, GATE_IMM, GATE_MEM } type;
	uint8_t bytes;			/* of the operand */
	uint8_t reg;			/* GATE_REG; GATE_MEM: base, GATE_RIP or GATE_NONE */
	uint8_t index, scale;		/* GATE_MEM */
	int64_t v;			/* immediate, sign-extended, or displacement; of GATE_RIP: offset in the image */
};

struct gate_insn {
	uint16_t off;
	uint8_t len;
	uint8_t op, cc;
	int32_t to;			/* jump, branch, call: index of the instruction */
	struct gate_opnd o[3];
};

/* All instructions of an image's code, in order. */
struct gate_code {
	const struct hv_image *img;
	uint32_t n;
	struct gate_insn *insn;
	int32_t *at;			/* index of the instruction that begins at an offset, or -1 */
};

/* 0, or -ENOEXEC: not all is instructions that may be there, or a branch goes wrong, or an entry. gate_code_free() either way. */
int gate_decode(const struct hv_image *img, struct gate_code *code, struct hv_err *e);
void gate_code_free(struct gate_code *code);

/* -ENOEXEC with offset, bytes, and why. */
int gate_refuse(const struct hv_image *img, uint32_t off, struct hv_err *e, const char *why);

#endif
