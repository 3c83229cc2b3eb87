// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <string.h>
#include <Zydis/Zydis.h>
#include "core/check.h"
#include "core/gate/flow.h"

/* The regions are as large as the header says: sums of these must not wrap, here or for whoever compares them with a guest's. */
static int check_pages(const struct hv_image_header *h, struct hv_err *e)
{
	if (h->queue_fixed_pages <= HVDRV_MAX_QUEUE_PAGES && h->queue_pages_per_tag <= HVDRV_MAX_QUEUE_PAGES)
		return 0;
	return hv_err(e, ENOEXEC, "it asks for %u queue pages and %u per tag: there can be %u", h->queue_fixed_pages,
		      h->queue_pages_per_tag, HVDRV_MAX_QUEUE_PAGES);
}

int hv_check_bounds(const struct hv_image *img, struct hv_bounds *b, struct hv_err *e)
{
	struct gate_code code;
	struct gate_found found;
	int rc = check_pages(&img->h, e);

	if (rc)
		return rc;
	rc = gate_decode(img, &code, e);
	if (!rc)
		rc = gate_follow(&code, &found, e);
	gate_code_free(&code);
	if (rc)
		return rc;
	memcpy(b->insns, found.insns, sizeof(b->insns));
	b->stack = found.stack;
	return 0;
}

int hv_check_code(const struct hv_image *img, struct hv_err *e)
{
	struct hv_bounds b;

	return hv_check_bounds(img, &b, e);
}

void hv_disassemble(const struct hv_image *img, void (*fn)(void *arg, uint32_t off, const char *text), void *arg)
{
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction i;
	ZydisFormatter f;
	ZydisDecoder dec;
	char text[128];

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
	for (uint32_t off = 0; off < img->h.code_size; off += i.length) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, img->payload + off, img->h.code_size - off, &i, op))) {
			fn(arg, off, "(not an instruction)");
			return;
		}
		ZydisFormatterFormatInstruction(&f, &i, op, i.operand_count_visible, text, sizeof(text), off, NULL);
		fn(arg, off, text);
	}
}
