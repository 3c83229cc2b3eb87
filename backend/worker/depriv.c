// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include "worker/worker.h"
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

static int allow(scmp_filter_ctx f)
{
	static const int calls[] = {
		SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvmsg),
		SCMP_SYS(sendmsg), SCMP_SYS(accept4), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
		SCMP_SYS(brk), SCMP_SYS(io_uring_enter), SCMP_SYS(preadv2), SCMP_SYS(pwritev2), SCMP_SYS(pwrite64),
		SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
		SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(futex),
		SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill),
		SCMP_SYS(newfstatat), SCMP_SYS(fstat),
	};
	static const unsigned long ioctls[] = {
		IOCTL_GNTDEV_MAP_GRANT_REF, IOCTL_GNTDEV_UNMAP_GRANT_REF, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
		IOCTL_GNTDEV_GRANT_COPY, IOCTL_EVTCHN_BIND_INTERDOMAIN, IOCTL_EVTCHN_UNBIND, IOCTL_EVTCHN_NOTIFY,
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(calls) / sizeof(calls[0]); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; !rc && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1_32(SCMP_CMP_EQ, ioctls[i], 0));
	return rc;
}

/* Everything else ends the process: a worker that tries it is not ours any more. */
static int filter_calls(struct hv_err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = f ? allow(f) : -EPERM;		/* it asks the kernel whether it may */

	if (f) {
		seccomp_syscall_priority(f, SCMP_SYS(ioctl), 255);	/* asked most, and never from the kernel's cache */
		seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	}
	if (!rc)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc ? hv_err(e, -rc, "seccomp: %s", strerror(-rc)) : 0;
}

int wk_depriv_calls(struct hv_err *e)
{
	return HV_SANITIZED ? 0 : filter_calls(e);	/* a sanitizer's runtime needs more calls than a worker */
}
