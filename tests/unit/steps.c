// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "steps.h"

static struct {
	bool armed;
	enum steps_mode mode;
	int at, err, taken;
} steps;

void steps_arm(enum steps_mode mode, int n, int err)
{
	steps.armed = true;
	steps.mode = mode;
	steps.at = n;
	steps.err = err;
	steps.taken = 0;
}

int steps_disarm(void)
{
	steps.armed = false;
	return steps.taken;
}

/* True: the caller does not do it; errno is set. */
static bool step(void)
{
	if (!steps.armed || ++steps.taken != steps.at || steps.mode == STEPS_COUNT)
		return false;
	if (steps.mode == STEPS_CRASH)
		_exit(STEPS_CRASHED);
	errno = steps.err;
	return true;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return step() ? -1 : syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	bool half = steps.armed && steps.mode == STEPS_CRASH && steps.taken + 1 == steps.at;

	if (half && syscall(SYS_write, fd, buf, n / 2) < 0)
		_exit(1);
	return step() ? -1 : syscall(SYS_write, fd, buf, n);
}

int fchmod(int fd, mode_t mode)
{
	return step() ? -1 : syscall(SYS_fchmod, fd, mode);
}

int fsync(int fd)
{
	return step() ? -1 : syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
	return step() ? -1 : syscall(SYS_rename, from, to);
}

int mkdir(const char *path, mode_t mode)
{
	return step() ? -1 : syscall(SYS_mkdir, path, mode);
}
