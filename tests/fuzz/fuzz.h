/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fuzzers: one file per parser, each with LLVMFuzzerTestOneInput(). With --enable-fuzz libFuzzer drives it; in every
 * other build replay.c runs the seeds through it in `make check`.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define MUST(what) \
	do { \
		if (!(what)) { \
			printf("%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what); \
			fflush(stdout); \
			abort(); \
		} \
	} while (0)

/* The input as a stream: each call takes from its front; at its end come zeros. */
struct input {
	const uint8_t *p;
	size_t left;
};

static inline void in_bytes(struct input *in, void *to, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memset(to, 0, n);
	if (have)
		memcpy(to, in->p, have);
	in->p += have;
	in->left -= have;
}

static inline uint32_t in_u32(struct input *in)
{
	uint32_t v;

	in_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint16_t in_u16(struct input *in)
{
	uint16_t v;

	in_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint8_t in_u8(struct input *in)
{
	uint8_t v;

	in_bytes(in, &v, sizeof(v));
	return v;
}

/* Up to the next NUL, which is taken too; malloc'ed. */
static inline char *in_text(struct input *in)
{
	size_t n = 0;
	char *s;

	while (n < in->left && in->p[n])
		n++;
	s = malloc(n + 1);
	MUST(s);
	memcpy(s, in->p, n);
	s[n] = 0;
	in->p += n;
	in->left -= n;
	if (in->left) {
		in->p++;
		in->left--;
	}
	return s;
}

/* A file with these bytes, for parsers that take a path: the path, and in *fd what to close. */
static inline void as_file(const uint8_t *data, size_t size, char path[32], int *fd)
{
	*fd = memfd_create("fuzz", MFD_CLOEXEC);
	MUST(*fd >= 0 && (size_t)write(*fd, data, size) == size);
	snprintf(path, 32, "/proc/self/fd/%d", *fd);
}

#endif
