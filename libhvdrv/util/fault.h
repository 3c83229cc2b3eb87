/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Named places where a test makes a process die: HVDRV_FAULT=NAME in its environment, in builds with --enable-fault. Others
 * have none of it, not even the names.
 */
#ifndef HV_UTIL_FAULT_H
#define HV_UTIL_FAULT_H

#ifdef HV_FAULT
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static inline void hv_fault(const char *name)
{
	const char *at = getenv("HVDRV_FAULT");

	if (at && !strcmp(at, name))
		raise(SIGKILL);
}

/* A child was started: a place in a worker is for the first one only. */
static inline void hv_fault_inherited(void)
{
	const char *at = getenv("HVDRV_FAULT");

	if (at && !strncmp(at, "worker-", 7))
		unsetenv("HVDRV_FAULT");
}
#else
#define hv_fault(name) ((void)0)
#define hv_fault_inherited() ((void)0)
#endif

#endif
