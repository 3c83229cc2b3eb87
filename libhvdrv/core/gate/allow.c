// SPDX-License-Identifier: LGPL-2.1-only
#include "core/gate/allow.h"

#define N(x) ZYDIS_MNEMONIC_##x

/* What the operands of a row may be, in this order: r register, m memory, i immediate; a row has one letter per visible operand. */
struct row {
	ZydisMnemonic m;
	uint8_t op, cc;
	const char *forms;		/* separated by blanks */
};

#define TWO "rr rm mr ri mi"
#define ONE "r m"
static const struct row rows[] = {
	{ N(MOV), GATE_MOV, 0, TWO }, { N(MOVZX), GATE_MOVZX, 0, "rr rm" }, { N(MOVSX), GATE_MOVSX, 0, "rr rm" },
	{ N(MOVSXD), GATE_MOVSX, 0, "rr rm" }, { N(LEA), GATE_LEA, 0, "rm" },
	{ N(ADD), GATE_ADD, 0, TWO }, { N(SUB), GATE_SUB, 0, TWO }, { N(CMP), GATE_CMP, 0, TWO }, { N(AND), GATE_AND, 0, TWO },
	{ N(TEST), GATE_TEST, 0, TWO }, { N(OR), GATE_OR, 0, TWO }, { N(XOR), GATE_XOR, 0, TWO }, { N(ADC), GATE_ADC, 0, "rr ri" },
	{ N(SBB), GATE_SBB, 0, "rr ri" }, { N(INC), GATE_INC, 0, ONE }, { N(DEC), GATE_DEC, 0, ONE }, { N(NEG), GATE_NEG, 0, ONE },
	{ N(NOT), GATE_NOT, 0, ONE }, { N(SHL), GATE_SHL, 0, "rr ri" }, { N(SHR), GATE_SHR, 0, "rr ri" },
	{ N(SAR), GATE_SAR, 0, "rr ri" }, { N(ROL), GATE_ROT, 0, "rr ri" }, { N(ROR), GATE_ROT, 0, "rr ri" },
	{ N(IMUL), GATE_IMUL, 0, "rr rm rri rmi" }, { N(BT), GATE_BT, 0, "rr ri mi" }, { N(BTS), GATE_BITSET, 0, "rr ri" },
	{ N(BTR), GATE_BITSET, 0, "rr ri" }, { N(BTC), GATE_BITSET, 0, "rr ri" },
	{ N(PUSH), GATE_PUSH, 0, "r" }, { N(POP), GATE_POP, 0, "r" }, { N(CALL), GATE_CALL, 0, "i" }, { N(JMP), GATE_JMP, 0, "i" },
	{ N(RET), GATE_RET, 0, "" }, { N(NOP), GATE_NOP, 0, NULL }, { N(ENDBR64), GATE_NOP, 0, "" }, { N(INT3), GATE_INT3, 0, "" },
	{ N(MFENCE), GATE_FENCE, 0, "" }, { N(LFENCE), GATE_FENCE, 0, "" }, { N(SFENCE), GATE_FENCE, 0, "" },
#define CC(name, jump) { N(J##jump), GATE_JCC, GATE_##name, "i" }, { N(SET##jump), GATE_SET, GATE_##name, ONE }, \
	{ N(CMOV##jump), GATE_CMOV, GATE_##name, "rr rm" }
	CC(O, O), CC(NO, NO), CC(B, B), CC(NB, NB), CC(Z, Z), CC(NZ, NZ), CC(BE, BE), CC(NBE, NBE), CC(S, S), CC(NS, NS),
	CC(P, P), CC(NP, NP), CC(L, L), CC(NL, NL), CC(LE, LE), CC(NLE, NLE),
#undef CC
};

static const struct row *find(ZydisMnemonic m)
{
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
		if (rows[k].m == m)
			return &rows[k];
	return NULL;
}

static char letter(const ZydisDecodedOperand *o)
{
	switch (o->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER: return 'r';
	case ZYDIS_OPERAND_TYPE_MEMORY: return 'm';
	case ZYDIS_OPERAND_TYPE_IMMEDIATE: return 'i';
	default: return '?';
	}
}

static bool has_form(const char *forms, const ZydisDecodedOperand *op, int n)
{
	for (const char *f = forms; ; f++) {
		int k = 0;

		while (k < n && f[k] == letter(&op[k]))
			k++;
		if (k == n && (f[k] == ' ' || !f[k]))
			return true;
		while (*f && *f != ' ')
			f++;
		if (!*f)
			return false;
	}
}

/* A general register, all of it or its low part. The second bytes (ah...) are not followed. */
static const char *general(ZydisRegister r, uint8_t *id)
{
	ZydisRegisterClass k = ZydisRegisterGetClass(r);

	if (k != ZYDIS_REGCLASS_GPR8 && k != ZYDIS_REGCLASS_GPR16 && k != ZYDIS_REGCLASS_GPR32 && k != ZYDIS_REGCLASS_GPR64)
		return "register that is not general-purpose";
	if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
		return "second byte of a register, which a driver may not contain";
	*id = ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r));
	return NULL;
}

static const char *memory(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o, uint32_t off, struct gate_opnd *to)
{
	const char *why = NULL;

	to->type = GATE_MEM;
	to->v = o->mem.disp.value;
	to->index = GATE_NONE;
	if (o->mem.segment != ZYDIS_REGISTER_DS && o->mem.segment != ZYDIS_REGISTER_SS)
		return "segment override";
	if (i->address_width != 64)
		return "address of 32 bits";
	if (o->mem.type == ZYDIS_MEMOP_TYPE_AGEN ? i->mnemonic != N(LEA) : o->mem.type != ZYDIS_MEMOP_TYPE_MEM)
		return "memory operand that a driver may not contain";
	if (o->mem.base == ZYDIS_REGISTER_NONE && o->mem.type != ZYDIS_MEMOP_TYPE_AGEN)
		return "absolute address";
	if (o->mem.base == ZYDIS_REGISTER_RIP) {
		to->reg = GATE_RIP;
		to->v += off + i->length;
		return NULL;
	}
	to->reg = GATE_NONE;
	if (o->mem.base != ZYDIS_REGISTER_NONE)
		why = general(o->mem.base, &to->reg);
	if (!why && o->mem.index != ZYDIS_REGISTER_NONE)
		why = general(o->mem.index, &to->index);
	to->scale = o->mem.scale;
	return why;
}

static const char *operand(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o, uint32_t off, struct gate_opnd *to)
{
	to->bytes = o->size / 8;
	switch (o->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		to->type = GATE_REG;
		return general(o->reg.value, &to->reg);
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		to->type = GATE_IMM;
		to->v = o->imm.is_signed ? o->imm.value.s : (int64_t)o->imm.value.u;
		return NULL;
	default:
		return memory(i, o, off, to);
	}
}

static const char *branch(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *op, uint32_t off, struct gate_insn *in)
{
	/* AMD's CPUs take it and go on within the first 64 KiB, Intel's (and this decoder) do not */
	if (i->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE)
		return "branch of 16 bits";
	if (i->mnemonic == N(RET))
		return i->meta.branch_type != ZYDIS_BRANCH_TYPE_NEAR ? "instruction that a driver may not contain" :
		       i->operand_count_visible ? "ret that pops" : NULL;
	if (i->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || op[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return "indirect or far branch";
	in->to = (int64_t)off + i->length + op[0].imm.value.s;
	return NULL;
}

static bool is_branch(uint8_t op)
{
	return op == GATE_JCC || op == GATE_JMP || op == GATE_CALL || op == GATE_RET;
}

/*
 * Prefixes that mean nothing there, and second codes for the same instruction: no compiler makes them, and decoders differ in
 * them. Fillers of several bytes have such prefixes, and it does not matter there.
 */
static bool is_odd(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o, uint8_t op)
{
	bool reg = false;

	for (int k = 0; k < i->operand_count; k++)
		reg = reg || o[k].encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG;
	if ((i->raw.rex.R && !reg) || (i->raw.rex.X && !(i->attributes & ZYDIS_ATTRIB_HAS_SIB)))
		return true;
	for (int k = 0; k < i->raw.prefix_count; k++) {
		uint8_t b = i->raw.prefixes[k].value;

		if (i->raw.prefixes[k].type == ZYDIS_PREFIX_TYPE_IGNORED && (op != GATE_NOP || (b & 0xf0) == 0x40))
			return true;
		if ((b & 0xf0) == 0x40 && k + 1 < i->raw.prefix_count)
			return true;
	}
	if (i->mnemonic == N(NOP))
		return i->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ? i->opcode != 0x90 : i->opcode != 0x1f || i->raw.modrm.reg;
	if (op == GATE_TEST && (i->opcode & 0xfe) == 0xf6)
		return i->raw.modrm.reg != 0;
	return op == GATE_SHL && i->raw.modrm.reg != 4;
}

const char *gate_allow(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *op, uint32_t off, struct gate_insn *in)
{
	const ZydisInstructionAttributes prefixes = ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
		ZYDIS_ATTRIB_HAS_REPNE | ZYDIS_ATTRIB_IS_PRIVILEGED;
	const struct row *r = find(i->mnemonic);
	const char *why;

	if (!r || i->attributes & prefixes || i->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || is_odd(i, op, r->op))
		return "instruction that a driver may not contain";
	in->op = r->op;
	in->cc = r->cc;
	in->to = -1;
	if (is_branch(in->op))
		return branch(i, op, off, in);
	if (!r->forms)			/* a nop's operands are not used */
		return NULL;
	for (int k = 0; k < i->operand_count_visible && k < 3; k++) {
		why = operand(i, &op[k], off, &in->o[k]);
		if (why)
			return why;
	}
	return has_form(r->forms, op, i->operand_count_visible) ? NULL : "operands that a driver may not contain";
}
