/* SPDX-License-Identifier: LGPL-2.1-only */
#ifndef HV_UTIL_DEPRIV_H
#define HV_UTIL_DEPRIV_H

#include <stdint.h>
#include "util/err.h"

/*
 * Becomes uid, for good: no group but its own, no capability, no core, nothing gained by exec. Whoever was not root stays who
 * it was. 0 or -errno with e.
 */
int hv_depriv_uid(uint32_t uid, struct hv_err *e);

/* In force is this one capability, or with -1 all that may be again. 0, -EPERM when it may not be had, or -errno. */
int hv_cap_only(int cap);

#endif
