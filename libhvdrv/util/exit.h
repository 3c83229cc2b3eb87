/* SPDX-License-Identifier: LGPL-2.1-only */
/* Exit statuses of the commands, the same in all of them (hvdrv(1), EXIT STATUS). */
#ifndef HV_UTIL_EXIT_H
#define HV_UTIL_EXIT_H

#include <errno.h>

enum {
	HV_EXIT_OK = 0,
	HV_EXIT_FAILED = 1,
	HV_EXIT_USAGE = 2,
	HV_EXIT_NOT_FOUND = 3,
	HV_EXIT_BUSY = 4,
	HV_EXIT_DENIED = 5,
	HV_EXIT_UNSUPPORTED = 77,
};

/* For a negative errno or 0. */
static inline int hv_exit_status(int rc)
{
	switch (-rc) {
	case 0: return HV_EXIT_OK;
	case ENOENT: case ESRCH: case ENXIO: return HV_EXIT_NOT_FOUND;
	case EBUSY: case EAGAIN: case EEXIST: return HV_EXIT_BUSY;
	case EPERM: case EACCES: return HV_EXIT_DENIED;
	case ENOTSUP: case ENOSYS: return HV_EXIT_UNSUPPORTED;
	default: return HV_EXIT_FAILED;
	}
}

#endif
