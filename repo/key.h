/* SPDX-License-Identifier: GPL-2.0-only */
/* Signing keys: KEYS/NAME.pub for everyone, KEYS/private/NAME.key (0600) for who signs. */
#ifndef REPO_KEY_H
#define REPO_KEY_H

#include <stdint.h>
#include "core/image.h"

#define KEY_NAME_MAX 48

/* Makes both files; neither may exist. limits, or NULL, are written before it is trusted. 0, -EEXIST, -errno. */
int key_generate(const char *keys, const char *name, const struct hv_key *limits, struct hv_err *e);

/* KEYS/NAME.pub of k. 0 or -errno. */
int key_save_public(const char *keys, const struct hv_key *k, struct hv_err *e);

/* The secret of NAME. 0, -ENOENT with what to do, -errno. */
int key_load_secret(const char *keys, const char *name, uint8_t secret[64], struct hv_err *e);

#endif
