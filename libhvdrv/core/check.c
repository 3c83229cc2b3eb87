// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>
#include "core/check.h"

struct checker {
	const struct hv_image *img;
	ZydisDecoder dec;
	uint8_t *starts;		/* 1 where an instruction begins */
	struct hv_err *e;
};

struct insn {
	uint32_t off;
	ZydisDecodedInstruction i;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

static int refuse(struct checker *c, const struct insn *in, const char *why)
{
	const uint8_t *b = c->img->payload + in->off;

	return hv_err(c->e, ENOEXEC, "its code is refused at offset 0x%x (%02x %02x %02x %02x): %s", in->off, b[0],
		      in->off + 1 < c->img->h.payload_size ? b[1] : 0, in->off + 2 < c->img->h.payload_size ? b[2] : 0,
		      in->off + 3 < c->img->h.payload_size ? b[3] : 0, why);
}

static bool is_near_ret(const ZydisDecodedInstruction *i)
{
	return i->mnemonic == ZYDIS_MNEMONIC_RET && i->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
}

/* General-purpose integer instructions; everything else is refused without asking what it does. */
static bool allowed(const ZydisDecodedInstruction *i)
{
	switch (i->meta.category) {
	case ZYDIS_CATEGORY_BINARY:
	case ZYDIS_CATEGORY_BITBYTE:
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_CMOV:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_CONVERT:
	case ZYDIS_CATEGORY_DATAXFER:
	case ZYDIS_CATEGORY_LOGICAL:
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_ROTATE:
	case ZYDIS_CATEGORY_SETCC:
	case ZYDIS_CATEGORY_SHIFT:
	case ZYDIS_CATEGORY_UNCOND_BR:
		break;
	default:	/* by name: popf, iret and the far ret share a category with what is meant */
		return i->mnemonic == ZYDIS_MNEMONIC_PUSH || i->mnemonic == ZYDIS_MNEMONIC_POP || is_near_ret(i) ||
		       i->mnemonic == ZYDIS_MNEMONIC_LEA || i->mnemonic == ZYDIS_MNEMONIC_MFENCE ||
		       i->mnemonic == ZYDIS_MNEMONIC_LFENCE || i->mnemonic == ZYDIS_MNEMONIC_SFENCE ||
		       i->mnemonic == ZYDIS_MNEMONIC_ENDBR64 || i->mnemonic == ZYDIS_MNEMONIC_INT3;
	}
	return i->meta.isa_set == ZYDIS_ISA_SET_I86 || i->meta.isa_set == ZYDIS_ISA_SET_I186 ||
	       i->meta.isa_set == ZYDIS_ISA_SET_I386 || i->meta.isa_set == ZYDIS_ISA_SET_I486REAL ||
	       i->meta.isa_set == ZYDIS_ISA_SET_CMOV || i->meta.isa_set == ZYDIS_ISA_SET_LONGMODE ||
	       i->meta.isa_set == ZYDIS_ISA_SET_FAT_NOP || i->meta.isa_set == ZYDIS_ISA_SET_PPRO ||
	       i->meta.isa_set == ZYDIS_ISA_SET_PENTIUMREAL;
}

static bool is_general(ZydisRegister r)
{
	ZydisRegisterClass k = ZydisRegisterGetClass(r);

	return r == ZYDIS_REGISTER_NONE || k == ZYDIS_REGCLASS_GPR8 || k == ZYDIS_REGCLASS_GPR16 ||
	       k == ZYDIS_REGCLASS_GPR32 || k == ZYDIS_REGCLASS_GPR64 || k == ZYDIS_REGCLASS_FLAGS ||
	       k == ZYDIS_REGCLASS_IP;
}

/* The stack pointer moves by push, pop, call, ret and constants only. */
static bool moves_stack(const struct insn *in, const ZydisDecodedOperand *o)
{
	if (!(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) || o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN ||
	    ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->reg.value) != ZYDIS_REGISTER_RSP)
		return false;
	return (in->i.mnemonic != ZYDIS_MNEMONIC_ADD && in->i.mnemonic != ZYDIS_MNEMONIC_SUB) ||
	       in->op[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

static int check_memory(struct checker *c, const struct insn *in, const ZydisDecodedOperand *o)
{
	uint64_t at, size = o->mem.type == ZYDIS_MEMOP_TYPE_AGEN ? 0 : o->size / 8;	/* lea reads nothing */

	if (o->mem.segment != ZYDIS_REGISTER_DS && o->mem.segment != ZYDIS_REGISTER_SS)
		return refuse(c, in, "segment override");
	if (in->i.address_width != 64)
		return refuse(c, in, "address of 32 bits");
	if (o->mem.base == ZYDIS_REGISTER_NONE && o->mem.type != ZYDIS_MEMOP_TYPE_AGEN)
		return refuse(c, in, "absolute address");
	if (o->mem.base != ZYDIS_REGISTER_RIP)
		return 0;
	if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
		return refuse(c, in, "writes into its own image");
	at = in->off + in->i.length + o->mem.disp.value;
	if (at >= c->img->h.payload_size || at + size > c->img->h.payload_size)
		return refuse(c, in, "reads outside its own image");
	return 0;
}

static int check_branch(struct checker *c, const struct insn *in)
{
	int64_t to;

	/* AMD's CPUs take it and go on within the first 64 KiB, Intel's (and this decoder) do not */
	if (in->i.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE)
		return refuse(c, in, "branch of 16 bits");
	if (in->i.meta.category == ZYDIS_CATEGORY_RET)
		return in->i.operand_count_visible ? refuse(c, in, "ret that pops") : 0;
	if (in->i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || in->op[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return refuse(c, in, "indirect or far branch");
	to = (int64_t)in->off + in->i.length + in->op[0].imm.value.s;
	if (to < 0 || to >= c->img->h.code_size)
		return refuse(c, in, "branch out of the image");
	return c->starts[to] ? 0 : refuse(c, in, "branch into the middle of an instruction");
}

static int check_insn(struct checker *c, const struct insn *in)
{
	bool branch = in->i.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE || in->i.meta.category == ZYDIS_CATEGORY_RET;
	int rc;

	if (!allowed(&in->i) || (in->i.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED))
		return refuse(c, in, "instruction that a driver may not contain");
	for (int k = 0; k < in->i.operand_count; k++) {
		const ZydisDecodedOperand *o = &in->op[k];

		if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && !is_general(o->reg.value))
			return refuse(c, in, "register that is not general-purpose");
		if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && moves_stack(in, o))
			return refuse(c, in, "stack pointer set to what is not known");
		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
			rc = check_memory(c, in, o);
			if (rc)
				return rc;
		}
	}
	return branch ? check_branch(c, in) : 0;
}

static bool decode(struct checker *c, uint32_t off, struct insn *in)
{
	in->off = off;
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&c->dec, c->img->payload + off, c->img->h.code_size - off, &in->i,
						   in->op));
}

/* Every ret stops what runs ahead of it: int3 follows. */
static int check_after_ret(struct checker *c, const struct insn *in)
{
	uint32_t next = in->off + in->i.length;

	if (!is_near_ret(&in->i))
		return 0;
	return next < c->img->h.code_size && c->img->payload[next] == 0xcc ? 0 : refuse(c, in, "ret without int3 after it");
}

static int mark_starts(struct checker *c)
{
	struct insn in;

	for (uint32_t off = 0; off < c->img->h.code_size; off += in.i.length) {
		if (!decode(c, off, &in))
			return refuse(c, &in, "not an instruction");
		c->starts[off] = 1;
	}
	return 0;
}

static int check_entries(struct checker *c)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	for (int k = 0; k < HVDRV_ENTRIES; k++) {
		uint32_t at = c->img->h.entry[k];

		if (at + sizeof(endbr64) > c->img->h.code_size || !c->starts[at] ||
		    memcmp(c->img->payload + at, endbr64, sizeof(endbr64)))
			return hv_err(c->e, ENOEXEC, "entry %d does not begin with endbr64", k);
	}
	return 0;
}

static int check_all(struct checker *c)
{
	struct insn in;
	int rc = mark_starts(c);

	if (!rc)
		rc = check_entries(c);
	for (uint32_t off = 0; !rc && off < c->img->h.code_size; off += in.i.length) {
		decode(c, off, &in);
		rc = check_insn(c, &in);
		if (!rc)
			rc = check_after_ret(c, &in);
	}
	/* what runs off the end would run into the constants */
	if (!rc && in.i.mnemonic != ZYDIS_MNEMONIC_INT3 && in.i.mnemonic != ZYDIS_MNEMONIC_JMP)
		rc = refuse(c, &in, "the code does not end with int3 or a jump");
	return rc;
}

int hv_check_code(const struct hv_image *img, struct hv_err *e)
{
	struct checker c = { .img = img, .e = e };
	int rc;

	if (!img->h.code_size)
		return hv_err(e, ENOEXEC, "it has no code");
	c.starts = calloc(1, img->h.code_size);
	if (!c.starts)
		return hv_err(e, ENOMEM, "no memory");
	ZydisDecoderInit(&c.dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	rc = check_all(&c);
	free(c.starts);
	return rc;
}

void hv_disassemble(const struct hv_image *img, void (*fn)(void *arg, uint32_t off, const char *text), void *arg)
{
	struct checker c = { .img = img };
	ZydisFormatter f;
	struct insn in;
	char text[128];

	ZydisDecoderInit(&c.dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
	for (uint32_t off = 0; off < img->h.code_size; off += in.i.length) {
		if (!decode(&c, off, &in)) {
			fn(arg, off, "(not an instruction)");
			return;
		}
		ZydisFormatterFormatInstruction(&f, &in.i, in.op, in.i.operand_count_visible, text, sizeof(text), off,
						NULL);
		fn(arg, off, text);
	}
}
