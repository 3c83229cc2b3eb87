/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the code of an image may contain, decided by decoding every byte of it.
 * Run when an image is stored and again before it is placed.
 */
#ifndef HV_CORE_CHECK_H
#define HV_CORE_CHECK_H

#include "core/image.h"

/*
 * 0 when: every byte of the code decodes; each entry begins with endbr64 (ENTRY_PROLOGUE); only general-purpose
 * instructions without privilege, without segment override, 32-bit address, port, string or system access; branches are direct
 * and land on an instruction of this code; no address is absolute; memory relative to rip lies in the payload and
 * is only read; every ret is followed by int3. Else -ENOEXEC with the offset and the instruction.
 */
int hv_check_code(const struct hv_image *img, struct hv_err *e);

/* Calls fn with the offset and the text of each instruction. */
void hv_disassemble(const struct hv_image *img, void (*fn)(void *arg, uint32_t off, const char *text), void *arg);

#endif
