// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "util/depriv.h"

int hv_depriv_uid(uint32_t uid, struct hv_err *e)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return hv_err(e, errno, "no_new_privs: %s", strerror(errno));
	if (geteuid())		/* started by somebody without privilege, in a test: nothing to drop */
		return 0;
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		return hv_err(e, errno, "cannot become uid %u: %s", uid, strerror(errno));
	if (!setuid(0))
		return hv_err(e, EPERM, "uid 0 can still be had");
	return 0;
}

int hv_cap_only(int cap)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &h, d))
		return -errno;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		d[i].effective = cap < 0 ? d[i].permitted : cap / 32 == i ? d[i].permitted & 1u << cap % 32 : 0;
	if (cap >= 0 && !d[cap / 32].effective)
		return -EPERM;
	return syscall(SYS_capset, &h, d) ? -errno : 0;
}
