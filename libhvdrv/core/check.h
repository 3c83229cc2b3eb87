/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The gate: what the code of an image may contain and do, decided before it is stored and again before it is placed.
 * hvdrv-security(7) says what is shown and what is not; core/gate does it:
 *
 *   decode.c, allow.c            every byte is an instruction of a short list
 *   flow.c, order.c, loop.c      all ways from each entry are followed, loops with the number of their rounds
 *   step.c, number.c, regions.c  what an instruction does to what is known; which memory it may use
 *   state.h, value.c, join.c, learn.c   what is known: values, their ranges, what a comparison tells
 */
#ifndef HV_CORE_CHECK_H
#define HV_CORE_CHECK_H

#include "core/image.h"

/* 0, or -ENOEXEC with the offset, the bytes there, and what may go wrong there. */
int hv_check_code(const struct hv_image *img, struct hv_err *e);

/* The same; and what one call of an entry can use at most. */
struct hv_bounds {
	uint64_t insns[HVDRV_ENTRIES];
	uint32_t stack;			/* bytes */
};
int hv_check_bounds(const struct hv_image *img, struct hv_bounds *b, struct hv_err *e);

/* Calls fn with the offset and the text of each instruction. */
void hv_disassemble(const struct hv_image *img, void (*fn)(void *arg, uint32_t off, const char *text), void *arg);

#endif
