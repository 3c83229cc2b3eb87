/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a kernel image says of itself. The file may come from a guest's own disk (pygrub): what is in it is compared, never
 * believed, and read with limits.
 */
#ifndef GUEST_OS_KERNEL_H
#define GUEST_OS_KERNEL_H

#include "util/err.h"

struct kernel {
	char os[16];			/* "linux"; of another system what its Xen note says, in small letters */
	char arch[16];			/* as `uname -m` has it: "x86_64" */
	char release[64];		/* as `uname -r` has it; "": it does not say */
};

/*
 * Of an open file: a bzImage (Linux' x86 boot protocol, kernel_version), or an ELF image for x86_64 with Xen's notes
 * (xen/elfnote.h) and Linux' banner. 0; -ENOTSUP: neither; -EPROTO: it is damaged; -errno. Any thread.
 */
int kernel_read(int fd, struct kernel *k, struct hv_err *e);

#endif
