/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of a guest's xl configuration that is ours: hvdrv = [ "name=data,class=block,backend=/x", ... ]. */
#ifndef XL_GUESTCFG_H
#define XL_GUESTCFG_H

#include "core/keys.h"
#include "core/params.h"

struct guestcfg {
	char uuid[HV_UUID_LEN + 1];
	bool own_uuid;			/* the configuration has one; else it is derived from the name */
	struct hv_params *p;
	int n;
};

/*
 * Reads FILE and the KEY=VALUE arguments as xl does. 0; -ENOENT it cannot be read, or is not xl's syntax: that is
 * for xl to say; -EINVAL a device's words are wrong.
 */
int guestcfg_read(const char *file, const char *const *extra, int nextra, struct guestcfg *g, struct hv_err *e);
void guestcfg_free(struct guestcfg *g);

/* These devices, and only these, come with the guest by its configuration from now on. */
int guestcfg_record(const struct guestcfg *g, const char *state, struct hv_err *e);

#endif
