// SPDX-License-Identifier: LGPL-2.1-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/str.h"

int hv_str_u64(const char *s, uint64_t max, uint64_t *v)
{
	char *end;
	int base = s[0] == '0' && s[1] == 'x' ? 16 : 10;

	if (!isxdigit((unsigned char)s[0]))
		return -EINVAL;
	errno = 0;
	*v = strtoull(s, &end, base);
	if (end == s || *end)
		return -EINVAL;
	return errno || *v > max ? -ERANGE : 0;
}

int hv_str_size(const char *s, uint64_t *v)
{
	static const char units[] = "kMGT";
	char num[32];
	size_t n = strlen(s);
	const char *u = n && s[n - 1] ? strchr(units, s[n - 1]) : NULL;
	int rc, shift = u ? 10 * (int)(u - units + 1) : 0;

	if (!n || n >= sizeof(num))
		return -EINVAL;
	snprintf(num, sizeof(num), "%.*s", (int)(u ? n - 1 : n), s);
	rc = hv_str_u64(num, UINT64_MAX >> shift, v);
	if (!rc)
		*v <<= shift;
	return rc;
}

const char *hv_str_escape(const char *s, char *out, size_t size)
{
	size_t n = 0;

	for (; *s && n + 5 < size; s++) {
		if (isprint((unsigned char)*s) && *s != '\\')
			out[n++] = *s;
		else
			n += snprintf(out + n, size - n, "\\x%02x", (unsigned char)*s);
	}
	out[n] = 0;
	return out;
}

void hv_str_hex(const void *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", ((const uint8_t *)data)[i]);
	out[2 * len] = 0;
}

int hv_str_unhex(const char *s, void *data, size_t len)
{
	if (strlen(s) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned int b;

		if (!isxdigit((unsigned char)s[2 * i]) || !isxdigit((unsigned char)s[2 * i + 1]) ||
		    sscanf(s + 2 * i, "%2x", &b) != 1)
			return -EINVAL;
		((uint8_t *)data)[i] = b;
	}
	return 0;
}

bool hv_str_is_name(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (!n || n > max || !isalnum((unsigned char)s[0]))
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}
