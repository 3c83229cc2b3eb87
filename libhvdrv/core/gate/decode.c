// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/gate/allow.h"

int gate_refuse(const struct hv_image *img, uint32_t off, struct hv_err *e, const char *why)
{
	const uint8_t *b = img->payload + off;
	uint32_t left = img->h.payload_size > off ? img->h.payload_size - off : 0;

	return hv_err(e, ENOEXEC, "its code is refused at offset 0x%x (%02x %02x %02x %02x): %s", off, left > 0 ? b[0] : 0,
		      left > 1 ? b[1] : 0, left > 2 ? b[2] : 0, left > 3 ? b[3] : 0, why);
}

static int decode_all(struct gate_code *c, struct hv_err *e)
{
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	uint32_t size = c->img->h.code_size;
	ZydisDecodedInstruction i;
	const char *why = NULL;
	ZydisDecoder dec;

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (uint32_t off = 0; off < size; off += i.length) {
		struct gate_insn *in = &c->insn[c->n];

		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, c->img->payload + off, size - off, &i, op)))
			return gate_refuse(c->img, off, e, "not an instruction");
		in->off = off;
		in->len = i.length;
		why = gate_allow(&i, op, off, in);
		if (why)
			return gate_refuse(c->img, off, e, why);
		c->at[off] = c->n++;
	}
	return 0;
}

/* Targets become indexes of instructions. */
static int link_branches(struct gate_code *c, struct hv_err *e)
{
	for (uint32_t k = 0; k < c->n; k++) {
		struct gate_insn *in = &c->insn[k];

		if (in->op != GATE_JCC && in->op != GATE_JMP && in->op != GATE_CALL)
			continue;
		if (in->to < 0 || in->to >= (int32_t)c->img->h.code_size)
			return gate_refuse(c->img, in->off, e, "branch out of the image");
		in->to = c->at[in->to];
		if (in->to < 0)
			return gate_refuse(c->img, in->off, e, "branch into the middle of an instruction");
	}
	return 0;
}

/* Every ret stops what runs ahead of it; what runs off the end would run into the constants. */
static int check_ends(const struct gate_code *c, struct hv_err *e)
{
	const struct gate_insn *last = &c->insn[c->n - 1];

	for (uint32_t k = 0; k < c->n; k++)
		if (c->insn[k].op == GATE_RET && (k + 1 == c->n || c->insn[k + 1].op != GATE_INT3))
			return gate_refuse(c->img, c->insn[k].off, e, "ret without int3 after it");
	if (last->op != GATE_INT3 && last->op != GATE_JMP)
		return gate_refuse(c->img, last->off, e, "the code does not end with int3 or a jump");
	return 0;
}

static int check_entries(const struct gate_code *c, struct hv_err *e)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	for (int k = 0; k < HVDRV_ENTRIES; k++) {
		uint32_t at = c->img->h.entry[k];

		if (at + sizeof(endbr64) > c->img->h.code_size || c->at[at] < 0 ||
		    memcmp(c->img->payload + at, endbr64, sizeof(endbr64)))
			return hv_err(e, ENOEXEC, "entry %d does not begin with endbr64", k);
	}
	return 0;
}

int gate_decode(const struct hv_image *img, struct gate_code *c, struct hv_err *e)
{
	int rc;

	*c = (struct gate_code){ .img = img };
	if (!img->h.code_size || img->h.code_size > HVDRV_SLOT_SIZE || img->h.payload_size < img->h.code_size)
		return hv_err(e, ENOEXEC, "it has no code");
	c->insn = calloc(img->h.code_size, sizeof(*c->insn));
	c->at = malloc(img->h.code_size * sizeof(*c->at));
	if (!c->insn || !c->at)
		return hv_err(e, ENOMEM, "no memory");
	memset(c->at, 0xff, img->h.code_size * sizeof(*c->at));
	rc = decode_all(c, e);
	if (!rc)
		rc = check_entries(c, e);
	if (!rc)
		rc = link_branches(c, e);
	return rc ? rc : check_ends(c, e);
}

void gate_code_free(struct gate_code *c)
{
	free(c->insn);
	free(c->at);
	*c = (struct gate_code){ .n = 0 };
}
