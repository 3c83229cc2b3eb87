/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What keeps an old driver from coming back: the highest version that this host has ever placed, of each device for each OS, in
 * STATE/versions, a line each: "DEVICE OS VERSION", and of a driver for one vendor's devices "DEVICE OS VERSION VENDOR": a vendor counts
 * its own versions. It only rises. Written so that a crash leaves the old or the new file.
 */
#ifndef HV_CORE_FLOOR_H
#define HV_CORE_FLOOR_H

#include "core/image.h"

struct hv_floor_line {
	char device[32], os[16], vendor[16];
	uint32_t version;
};
struct hv_floor {
	size_t n;
	struct hv_floor_line *line;
};

/* 0, with none when there is no file; -EINVAL with file and line; -errno. hv_floor_free() it. */
int hv_floor_load(const char *state, struct hv_floor *f, struct hv_err *e);
void hv_floor_free(struct hv_floor *f);

/* The highest version placed, of drivers for this vendor's devices ("": for any); 0: none was. */
uint32_t hv_floor_of(const struct hv_floor *f, const char *device, const char *os, const char *vendor);

/* An image of this version is about to be placed. The file is written only when it rises. 0 or -errno with e. */
int hv_floor_raise(const char *state, const struct hv_image_header *h, struct hv_err *e);

#endif
