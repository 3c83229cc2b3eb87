/* SPDX-License-Identifier: GPL-2.0-only */
/* What a skeleton wants of a description: SKELETONS/NAME.keys, beside its C. */
#ifndef REPO_SKELETON_H
#define REPO_SKELETON_H

#include "desc.h"

/* Every number, field and opcode of the description against the keys of its skeleton. 0, -EINVAL with the place, or -errno. */
int skeleton_check(const struct device_desc *dev, const char *skeletons, struct hv_err *e);

#endif
