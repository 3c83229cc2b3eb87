/* SPDX-License-Identifier: GPL-2.0-only */
/* What every unit test has: a runner, a folder of its own, random numbers with a seed that is printed. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Each file has one. The runner is in unit.c. */
Suite *unit_suite(void);

/* A suite with one case of plain tests; NULL ends the list. More are added by unit_loop(). */
Suite *unit_new(const char *name, const TTest *const *tests);
void unit_loop(Suite *s, const char *name, const TTest *test, int n);	/* test runs n times, with _i */

/* The rest of a test cannot be done here: counted as skipped, with the reason. Then return from the test. */
void unit_skip(const char *why);

/* A path in a folder of this test, which goes with the run; each call another one of eight buffers. */
const char *unit_path(const char *name);
void unit_write(const char *path, const void *data, size_t len);
char *unit_read(const char *path, size_t *len);		/* NUL-terminated, malloc'ed; NULL: not there */
bool unit_exists(const char *path);

/* A folder on a filesystem of 64 KiB; NULL: cannot be had here, the test was marked as skipped. umount2() it. */
const char *unit_small_fs(void);

int unit_open_fds(void);	/* descriptors of this process below 1024 */

/* What fn writes to descriptor fd, NUL-terminated, malloc'ed. */
char *unit_capture(int fd, void (*fn)(void *arg), void *arg);

/* HV_SEED from the environment, or a new one; printed with the name of the property. */
struct rng {
	uint64_t s;
};
void rng_init(struct rng *r, const char *property);
uint64_t rng_u64(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);		/* 0 to n - 1 */
void rng_fill(struct rng *r, void *to, size_t len);

/* All len octets are `what`. One assertion: Check writes to a file for each, and a loop of them takes seconds. */
void ck_octets(const void *at, size_t len, uint8_t what);

#define ck_contains(text, part) \
	ck_assert_msg(strstr(text, part) != NULL, "\"%s\" does not contain \"%s\"", text, part)

#endif
