/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Devices that come with a guest each time it starts: STATE/devices/UUID.json, written so that a crash leaves the
 * old or the new one. Each device is there by the guest's xl configuration ("config") or by --persist ("persist").
 */
#ifndef HV_CORE_RECORD_H
#define HV_CORE_RECORD_H

#include "core/params.h"

/* Calls fn for each. A missing file is no device. 0; -EINVAL a damaged or newer file; -errno. */
int hv_record_each(const char *state, const char *uuid, void (*fn)(void *arg, const struct hv_params *p), void *arg,
		   struct hv_err *e);

/* Replaces all devices of `from` by these n; an empty record is removed. 0 or -errno. */
int hv_record_set(const char *state, const char *uuid, const char *from, const struct hv_params *p, int n,
		  struct hv_err *e);

/* Adds or replaces one device. */
int hv_record_add(const char *state, const char *uuid, const char *from, const struct hv_params *p, struct hv_err *e);

/* Removes NAME, wherever it came from. 0 also when it is not there. */
int hv_record_remove(const char *state, const char *uuid, const char *name, struct hv_err *e);

#endif
