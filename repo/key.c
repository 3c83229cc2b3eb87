// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/trust.h"
#include "key.h"
#include "util/file.h"
#include "util/str.h"

static void paths(const char *keys, const char *name, char pub[PATH_MAX], char sec[PATH_MAX])
{
	snprintf(pub, PATH_MAX, "%s/%s.pub", keys, name);
	snprintf(sec, PATH_MAX, "%s/private/%s.key", keys, name);
}

static int write_key(const char *path, const char *what, const uint8_t *key, size_t len, mode_t mode, struct hv_err *e)
{
	char text[256], hex[129];
	int n, rc;

	hv_str_hex(key, len, hex);
	n = snprintf(text, sizeof(text), "hvdrv-%s-key 1 %s\n", what, hex);
	rc = hv_file_write(path, text, n, mode);
	sodium_memzero(text, sizeof(text));
	sodium_memzero(hex, sizeof(hex));
	return rc ? hv_err(e, -rc, "%s: %s", path, strerror(-rc)) : 0;
}

int key_generate(const char *keys, const char *name, const struct hv_key *limits, struct hv_err *e)
{
	uint8_t pub[HV_KEY_BYTES], sec[64];
	char pp[PATH_MAX], sp[PATH_MAX], dir[PATH_MAX];
	int rc;

	paths(keys, name, pp, sp);
	if (!access(pp, F_OK) || !access(sp, F_OK))
		return hv_err(e, EEXIST, "key %s exists already: give another name, or remove it first", name);
	snprintf(dir, sizeof(dir), "%s/private", keys);
	rc = hv_mkdirs(keys, 0755);
	if (!rc)
		rc = hv_mkdirs(dir, 0700);
	if (rc)
		return hv_err(e, -rc, "%s: %s", dir, strerror(-rc));
	crypto_sign_keypair(pub, sec);
	rc = write_key(sp, "secret", sec, sizeof(sec), 0600, e);
	if (!rc && limits)
		rc = hv_limits_save(keys, limits, e);
	if (!rc)
		rc = write_key(pp, "public", pub, sizeof(pub), 0644, e);
	sodium_memzero(sec, sizeof(sec));
	return rc;
}

int key_save_public(const char *keys, const struct hv_key *k, struct hv_err *e)
{
	char pp[PATH_MAX], sp[PATH_MAX];

	paths(keys, k->name, pp, sp);
	return write_key(pp, "public", k->pub, sizeof(k->pub), 0644, e);
}

int key_load_secret(const char *keys, const char *name, uint8_t secret[64], struct hv_err *e)
{
	char pp[PATH_MAX], sp[PATH_MAX], hex[130];
	void *text;
	size_t len;
	int rc;

	paths(keys, name, pp, sp);
	rc = hv_file_read(sp, 4096, &text, &len);
	if (rc == -ENOENT)
		return hv_err(e, ENOENT, "no signing key %s in %s: make one with `hvdrv-repo keygen %s`", name, keys, name);
	if (rc)
		return hv_err(e, -rc, "%s: %s", sp, strerror(-rc));
	if (sscanf(text, "hvdrv-secret-key 1 %129s", hex) != 1 || hv_str_unhex(hex, secret, 64))
		rc = hv_err(e, EINVAL, "%s: not a secret key of hvdrv", sp);
	sodium_memzero(text, len);
	free(text);
	return rc;
}
