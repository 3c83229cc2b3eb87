/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * How far a key is trusted: KEYS/NAME.limits beside KEYS/NAME.pub, a text of lines
 *
 *   vendor 144d                        good for images of that vendor's devices only
 *   expires 2027-06-30                 good until the end of that day, UTC
 *   revoked 2026-11-22 stolen laptop   not good any more; why
 *
 * No such file: no limit. What is not understood is an error, never no limit.
 */
#ifndef HV_CORE_TRUST_H
#define HV_CORE_TRUST_H

#include "core/image.h"

#define HV_LIMITS_SUFFIX ".limits"

/* "2026-11-22" and its begin, in UTC, in seconds since 1970. 0 or -EINVAL: no such day, or not after 1970-01-01. */
int hv_day_parse(const char *s, int64_t *at);
void hv_day_print(int64_t at, char day[16]);	/* the day that `at` is in */
int64_t hv_day_end(int64_t at);			/* of that day: the begin of the next one */

/* A vendor as images and limits name it: 1 to 15 letters and digits, such as the PCI vendor id 144d. */
bool hv_vendor_ok(const char *s);

/* Sets k's limits, all of them, from a file's text. 0; -EINVAL with the line and what is allowed there. */
int hv_limits_parse(const char *text, struct hv_key *k, struct hv_err *e);

/* Reads DIR/NAME.limits of k->name. 0, also when there is none; -EINVAL with file and line; -errno. */
int hv_limits_load(const char *dir, struct hv_key *k, struct hv_err *e);

/* Writes it, so that it is there after a crash. 0 or -errno. */
int hv_limits_save(const char *dir, const struct hv_key *k, struct hv_err *e);

/* Is the key good at this time, for an image of this vendor ("": of any)? 0, or -EPERM with e: "key NAME was revoked on ...". */
int hv_key_good(const struct hv_key *k, int64_t now, const char *vendor, struct hv_err *e);

/* Of a public key, to be compared by people: 32 hexadecimal digits of its BLAKE2b-128. */
void hv_key_fingerprint(const uint8_t pub[HV_KEY_BYTES], char text[33]);

#endif
