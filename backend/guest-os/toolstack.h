/* SPDX-License-Identifier: GPL-2.0-only */
/* What xl has on record of a guest that it has started: libxl's copy of the configuration, libxl-json. */
#ifndef GUEST_OS_TOOLSTACK_H
#define GUEST_OS_TOOLSTACK_H

#include <stdint.h>
#include <time.h>
#include "util/err.h"

/*
 * The kernel image that domain domid was started with, from the record in dir (/var/lib/xen). created: when it was started. *fd is the
 * file, open, which the caller closes; path of size bytes gets its name. 0, or -errno with what is not known: no record, no
 * kernel in it (the guest's own boot loader has chosen), no such file, or one that has changed since.
 */
int toolstack_kernel(const char *dir, uint32_t domid, const char *uuid, time_t created, char *path, size_t size, int *fd, struct hv_err *e);

#endif
