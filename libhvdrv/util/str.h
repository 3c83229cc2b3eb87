/* SPDX-License-Identifier: LGPL-2.1-only */
/* Strings from outside: numbers with nothing behind them, escapes for logs and terminals, hexadecimal. */
#ifndef HV_UTIL_STR_H
#define HV_UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of s as a number (decimal, or 0x hexadecimal) not above max. 0 or -EINVAL, -ERANGE. */
int hv_str_u64(const char *s, uint64_t max, uint64_t *v);

/* A size: a number with k, M, G or T (powers of 1024) behind it. 0 or -EINVAL, -ERANGE. */
int hv_str_size(const char *s, uint64_t *v);

/* s with everything that is not printable ASCII, and \, written \xHH; cut to fit. Returns out. */
const char *hv_str_escape(const char *s, char *out, size_t size);

void hv_str_hex(const void *data, size_t len, char *out);	/* out: 2 * len + 1 bytes */
int hv_str_unhex(const char *s, void *data, size_t len);	/* exactly len bytes; 0 or -EINVAL */

/* Letters, digits, and . _ - after the first; 1 to max of them: fit for file names, xenstore and udev. */
bool hv_str_is_name(const char *s, size_t max);

#endif
