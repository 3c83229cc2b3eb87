/* SPDX-License-Identifier: GPL-2.0-only */
/* From a pair of descriptions to C that a person can read. */
#ifndef REPO_EMIT_H
#define REPO_EMIT_H

#include <stdio.h>
#include "desc.h"

/*
 * Writes the driver's C: numbers, accessors, opcodes and statuses of the device description, each with the file
 * and line it comes from, the skeleton (SKELETONS/NAME.c), and the entry stubs that the OS description asks for.
 * 0, or -errno with file, line and what is wrong.
 */
int emit_driver(FILE *out, const struct device_desc *dev, const struct os_desc *os, const char *skeletons,
		struct hv_err *e);

#endif
