/* SPDX-License-Identifier: LGPL-2.1-only */
/* What an admin says of a device: "class=block,backend=PATH[,mode=virtual][,ro][,shared][,size=N]...". */
#ifndef HV_CORE_PARAMS_H
#define HV_CORE_PARAMS_H

#include <stdbool.h>
#include <stdint.h>
#include <hvdrv/abi.h>
#include "util/err.h"

struct hv_params {
	char name[HVDRV_NAME_MAX + 1];	/* "" when the text did not say */
	char class[16];			/* block */
	char mode[16];			/* virtual */
	char place[16];			/* grant, or foreign: how the host reaches the slot */
	char backend[1024];		/* absolute path */
	uint64_t size;			/* bytes; 0: as it is */
	bool ro, shared, raw;
};

/*
 * Parses key=value,... A backend path with a comma cannot be written. 0, or -EINVAL with the word that is wrong
 * and what is allowed.
 */
int hv_params_parse(const char *text, struct hv_params *p, struct hv_err *e);

/* The same as text, without the name; parse gives back p. */
void hv_params_print(const struct hv_params *p, char *text, size_t size);

#endif
