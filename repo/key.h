/* SPDX-License-Identifier: GPL-2.0-only */
/* Signing keys: KEYS/NAME.pub for everyone, KEYS/private/NAME.key (0600) for who signs. */
#ifndef REPO_KEY_H
#define REPO_KEY_H

#include <stdint.h>
#include "util/err.h"

/* Makes both files; neither may exist. 0, -EEXIST, -errno. */
int key_generate(const char *keys, const char *name, struct hv_err *e);

/* The secret of NAME. 0, -ENOENT with what to do, -errno. */
int key_load_secret(const char *keys, const char *name, uint8_t secret[64], struct hv_err *e);

#endif
