// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv-share(8): started by hvdrvd with DEPTH and UID, and its socket at descriptor 3. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "share/arbiter.h"
#include "util/depriv.h"
#include "util/log.h"
#include "util/str.h"

enum { FD_CTL = 3 };

/* Everything else ends the process. */
static int filter_calls(struct hv_err *e)
{
	static const int calls[] = {
		SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
		SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(rt_sigreturn),
		SCMP_SYS(restart_syscall), SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(newfstatat), SCMP_SYS(fstat),
	};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = f ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < sizeof(calls) / sizeof(calls[0]); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	if (!rc)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc ? hv_err(e, -rc, "seccomp: %s", strerror(-rc)) : 0;
}

static int narrow(uint32_t uid, struct hv_err *e)
{
	int rc = hv_depriv_uid(uid, e);

	if (rc || HV_SANITIZED)		/* a sanitizer's runtime needs more calls */
		return rc;
	return filter_calls(e);
}

int main(int argc, char **argv)
{
	static struct arbiter a;
	struct hv_err e = { 0 };
	uint64_t depth, uid;
	int rc = 0;

	if (argc != 3 || hv_str_u64(argv[1], TURNS_DEPTH, &depth) || !depth || hv_str_u64(argv[2], UINT32_MAX - 1, &uid)) {
		fprintf(stderr, "hvdrv-share is started by hvdrvd\n");
		return 2;
	}
	signal(SIGINT, SIG_IGN);	/* hvdrvd decides when it ends */
	fcntl(FD_CTL, F_SETFL, O_NONBLOCK);
	arbiter_init(&a, depth, FD_CTL);
	if (narrow(uid, &e)) {
		hv_log(HV_ERROR, NULL, "hvdrv-share cannot start: %s", e.text);
		return 1;
	}
	while (!rc && !arbiter_done(&a))
		rc = arbiter_step(&a, arbiter_timeout(&a));
	if (rc)
		hv_log(HV_ERROR, NULL, "hvdrv-share: %s", strerror(-rc));
	return !!rc;
}
