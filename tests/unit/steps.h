/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that change files, counted: the n-th can fail, or be the last that the process makes. Linked into a
 * test, these take the place of libc's in the whole program.
 */
#ifndef STEPS_H
#define STEPS_H

enum steps_mode {
	STEPS_COUNT,
	STEPS_FAIL,		/* the n-th does nothing and fails with err */
	STEPS_CRASH,		/* the process ends at the n-th; of a write, half is done */
};

#define STEPS_CRASHED 77	/* exit status then */

void steps_arm(enum steps_mode mode, int n, int err);
int steps_disarm(void);		/* how many there were */

#endif
