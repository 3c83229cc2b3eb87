/* SPDX-License-Identifier: LGPL-2.1-only */
/* An error for a person: what, why, what to do, in one line; and a code for programs. */
#ifndef HV_UTIL_ERR_H
#define HV_UTIL_ERR_H

struct hv_err {
	int code;		/* errno value; 0: none yet */
	char text[1000];
};

/* Fills e (may be NULL) and returns -code, so that `return hv_err(e, ENOENT, ...)` does both. */
int hv_err(struct hv_err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that e has. Returns -e->code (e NULL: -EINVAL, never success). */
int hv_err_in(struct hv_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
