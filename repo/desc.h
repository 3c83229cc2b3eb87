/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptions of devices and operating systems: files that a person reads and adds (libconfig syntax). */
#ifndef REPO_DESC_H
#define REPO_DESC_H

#include <stdbool.h>
#include <libconfig.h>
#include "core/image.h"
#include "util/err.h"

struct device_desc {
	config_t cfg;
	char file[128];			/* base name, for comments and messages */
	const char *device, *class, *mode, *skeleton, *vendor;
	int version, fixed_pages, pages_per_tag;
};

struct os_desc {
	config_t cfg;
	char file[128];
	const char *os, *arch, *abi;
	char releases[HV_RELEASES_SIZE], features[HV_FEATURES_SIZE];	/* as in an image's header */
	uint8_t prologue[16];
	int prologue_len;
	bool red_zone, fpu, ibt, sls;
	int max_stack;
};

/*
 * Reads PATH and checks every key but those that are the skeleton's affair (skeleton.h). On error nothing is to be freed; e has
 * file, line, what is wrong and what is allowed. 0, -ENOENT or -EINVAL.
 */
int device_desc_read(const char *path, struct device_desc *d, struct hv_err *e);
void device_desc_free(struct device_desc *d);

/* "read", "write"...: an operation of the class, so that every description has an opcode for it. */
bool device_desc_operation(const char *name);

int os_desc_read(const char *path, struct os_desc *d, struct hv_err *e);
void os_desc_free(struct os_desc *d);

bool os_desc_serves(const struct os_desc *d, const struct hv_os *os);

#endif
