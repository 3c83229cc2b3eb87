// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a driver's code may contain. First byte even: the rest is code from byte 0 on; odd: it is the body behind good
 * entries. Code that passes is looked at again, here by what is forbidden, there by what is allowed.
 */
#include <Zydis/Zydis.h>
#include "core/check.h"
#include "fuzz.h"

#define BODY HVDRV_ENTRY_OFFSET(HVDRV_ENTRIES)

struct audit {
	const struct hv_image *img;
	uint8_t starts[HVDRV_SLOT_SIZE];
	uint32_t off;
	ZydisDecodedInstruction i;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

/* Each entry: endbr64, jmp BODY, int3. */
static void put_entries(uint8_t *code)
{
	memset(code, HVDRV_SLOT_FILL, BODY);
	for (int k = 0; k < HVDRV_ENTRIES; k++) {
		uint8_t *p = code + HVDRV_ENTRY_OFFSET(k);
		int32_t rel = BODY - (HVDRV_ENTRY_OFFSET(k) + 9);

		memcpy(p, "\xf3\x0f\x1e\xfa\xe9", 5);
		memcpy(p + 5, &rel, 4);
	}
}

static void audit_memory(const struct audit *a, const ZydisDecodedOperand *o)
{
	uint64_t at = a->off + a->i.length + o->mem.disp.value;

	MUST(o->mem.segment != ZYDIS_REGISTER_FS && o->mem.segment != ZYDIS_REGISTER_GS);
	MUST(o->mem.base != ZYDIS_REGISTER_EIP);
	if (o->mem.base != ZYDIS_REGISTER_RIP)
		return;
	MUST(!(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) && at < a->img->h.payload_size);
}

static void audit_insn(struct audit *a)
{
	MUST(!(a->i.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED));
	switch (a->i.mnemonic) {
	case ZYDIS_MNEMONIC_IRET: case ZYDIS_MNEMONIC_IRETD: case ZYDIS_MNEMONIC_IRETQ: case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFQ: case ZYDIS_MNEMONIC_SYSCALL: case ZYDIS_MNEMONIC_SYSENTER: case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_IN: case ZYDIS_MNEMONIC_OUT: case ZYDIS_MNEMONIC_CLI: case ZYDIS_MNEMONIC_STI:
	case ZYDIS_MNEMONIC_VMCALL: case ZYDIS_MNEMONIC_VMMCALL: case ZYDIS_MNEMONIC_CPUID: case ZYDIS_MNEMONIC_UD2:
		MUST(!"forbidden instruction");
	default:
		break;
	}
	for (int k = 0; k < a->i.operand_count; k++)
		if (a->op[k].type == ZYDIS_OPERAND_TYPE_MEMORY)
			audit_memory(a, &a->op[k]);
	if (a->i.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && a->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		uint64_t to = a->off + a->i.length + a->op[0].imm.value.s;

		MUST(to < a->img->h.code_size && a->starts[to]);
	}
}

static void audit(const struct hv_image *img)
{
	static struct audit a;
	ZydisDecoder dec;

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	memset(&a, 0, sizeof(a));
	a.img = img;
	for (int pass = 0; pass < 2; pass++) {
		for (a.off = 0; a.off < img->h.code_size; a.off += a.i.length) {
			a.starts[a.off] = 1;
			MUST(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, img->payload + a.off, img->h.code_size - a.off, &a.i,
								 a.op)));
			if (pass)
				audit_insn(&a);
		}
		MUST(a.off == img->h.code_size);
	}
}

static void ignore(void *arg, uint32_t off, const char *text)
{
	MUST(off < *(uint32_t *)arg && *text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct hv_image img = { .payload = NULL };
	uint8_t how = in_u8(&in);
	size_t head = how & 1 ? BODY : 0, consts = in_u8(&in) % 16;
	struct hv_err e = { 0 };
	int rc;

	if (head + in.left + consts > HVDRV_SLOT_SIZE)
		return 0;
	img.h.code_size = head + in.left;
	img.h.payload_size = img.h.code_size + consts;
	img.payload = calloc(1, img.h.payload_size ? img.h.payload_size : 1);
	MUST(img.payload);
	if (head)
		put_entries(img.payload);
	in_bytes(&in, img.payload + head, in.left);
	for (int k = 0; k < HVDRV_ENTRIES; k++)
		img.h.entry[k] = HVDRV_ENTRY_OFFSET(k);
	rc = hv_check_code(&img, &e);
	if (!rc)
		audit(&img);
	else
		MUST(rc == -e.code && *e.text);
	hv_disassemble(&img, ignore, &img.h.code_size);
	free(img.payload);
	return 0;
}
