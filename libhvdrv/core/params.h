/* SPDX-License-Identifier: LGPL-2.1-only */
/* What an admin says of a device: "class=block,backend=PATH[,mode=virtual][,driver=blkif][,path=auto][,range=F+N][,ro][,shared][,size=N]...". */
#ifndef HV_CORE_PARAMS_H
#define HV_CORE_PARAMS_H

#include <stdbool.h>
#include <stdint.h>
#include <hvdrv/abi.h>
#include "util/err.h"

#define HV_DEPTH_MAX 32u
#define HV_WEIGHT_MAX 1000u
#define HV_WEIGHT 100u			/* when nothing is said */

struct hv_params {
	char name[HVDRV_NAME_MAX + 1];	/* "" when the text did not say */
	char class[16];			/* block */
	char mode[16];			/* virtual, paravirtual, or auto: left to policy */
	char driver[16];		/* of mode virtual: blkif, virtio-blk */
	char path[8];			/* auto, pool, copy: how data moves */
	char place[16];			/* grant, or foreign: how the host reaches the slot */
	char backend[1024];		/* absolute path */
	uint64_t size;			/* bytes; 0: as it is */
	uint64_t first, sectors;	/* the window of the backend, of 512 bytes; sectors 0: all of it */
	uint32_t depth;			/* requests that the target takes at once, dispatched by weight; 0: no limit */
	uint32_t weight;		/* of this device on it; 0 without depth */
	bool ro, shared, raw;
	bool allow_older;		/* also a driver that is older than one that this host has placed before */
	bool trusted;			/* with the whole controller and with host memory: it may get a hardware queue */
};

/*
 * Parses key=value,... A backend path with a comma cannot be written. 0, or -EINVAL with the word that is wrong
 * and what is allowed.
 */
int hv_params_parse(const char *text, struct hv_params *p, struct hv_err *e);

/* Is this a path that can be asked for beside a mode: auto, pool, copy? 0, or -EINVAL with why not. */
int hv_path_check(const char *path, struct hv_err *e);

/* A mode that can be asked for, auto among them; otherwise -EINVAL with e. */
int hv_mode_check(const char *mode, struct hv_err *e);

/* The mode of the driver that is placed first: of auto the one that policy can leave whenever it may. */
const char *hv_params_first_mode(const struct hv_params *p);

/* The same as text, without the name; parse gives back p. */
void hv_params_print(const struct hv_params *p, char *text, size_t size);

#endif
