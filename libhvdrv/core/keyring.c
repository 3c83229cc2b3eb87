// SPDX-License-Identifier: LGPL-2.1-only
/* Public keys in files: one line, "hvdrv-public-key 1 HEX". */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/trust.h"
#include "util/file.h"
#include "util/str.h"

int hv_key_load(const char *path, uint8_t pub[HV_KEY_BYTES], struct hv_err *e)
{
	char hex[2 * HV_KEY_BYTES + 2];
	void *text;
	size_t len;
	int rc = hv_file_read(path, 4096, &text, &len);

	if (rc)
		return hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	if (sscanf(text, "hvdrv-public-key 1 %65s", hex) != 1 || hv_str_unhex(hex, pub, HV_KEY_BYTES))
		rc = hv_err(e, EINVAL, "%s: not a public key of hvdrv", path);
	free(text);
	return rc;
}

static int load_key(const char *dir, const char *file, struct hv_key *k, struct hv_err *e)
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	snprintf(k->name, sizeof(k->name), "%.*s", (int)(strlen(file) - strlen(".pub")), file);
	rc = hv_key_load(path, k->pub, e);
	return rc ? rc : hv_limits_load(dir, k, e);
}

static int is_pub(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && d->d_name[0] != '.' && !strcmp(d->d_name + n - 4, ".pub");
}

int hv_keyring_load(const char *dir, struct hv_keyring *ring, struct hv_err *e)
{
	struct dirent **files;
	int n = scandir(dir, &files, is_pub, alphasort), rc = 0;

	memset(ring, 0, sizeof(*ring));
	ring->now = time(NULL);
	if (n < 0)
		return errno == ENOENT ? 0 : hv_err(e, errno, "%s: %s", dir, strerror(errno));
	ring->key = calloc(n + 1, sizeof(*ring->key));
	if (!ring->key)
		rc = hv_err(e, ENOMEM, "no memory");
	for (int i = 0; i < n; i++) {
		if (!rc)
			rc = load_key(dir, files[i]->d_name, &ring->key[ring->n++], e);
		free(files[i]);
	}
	free(files);
	if (rc)
		hv_keyring_free(ring);
	return rc;
}

int hv_keyring_find(const struct hv_keyring *ring, const uint8_t pub[HV_KEY_BYTES], size_t from)
{
	for (size_t i = from; i < ring->n; i++)
		if (!memcmp(ring->key[i].pub, pub, HV_KEY_BYTES))
			return i;
	return -1;
}

void hv_keyring_free(struct hv_keyring *ring)
{
	free(ring->key);
	memset(ring, 0, sizeof(*ring));
}
