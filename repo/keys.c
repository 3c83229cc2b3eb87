// SPDX-License-Identifier: GPL-2.0-only
/* Commands for keys: which are trusted, how far, and which not any more. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cmd.h"
#include "core/trust.h"
#include "key.h"
#include "util/exit.h"
#include "util/file.h"
#include "util/json.h"
#include "util/str.h"
#include "util/table.h"

/* What --vendor and --expires say. A day that has passed is a slip of the pen: the key would never be good. */
static int take_limits(const struct opts *o, struct hv_key *k, struct hv_err *e)
{
	*k->vendor = 0;
	k->expires = 0;
	if (o->vendor && !hv_vendor_ok(o->vendor))
		return hv_err(e, EINVAL, "--vendor %s: must be 1 to 15 letters and digits, such as the PCI vendor id 144d", o->vendor);
	if (o->vendor)
		strcpy(k->vendor, o->vendor);
	if (!o->expires)
		return 0;
	if (hv_day_parse(o->expires, &k->expires))
		return hv_err(e, EINVAL, "--expires %s: must be a day such as 2027-06-30", o->expires);
	k->expires = hv_day_end(k->expires);
	return k->expires > time(NULL) ? 0 : hv_err(e, EINVAL, "--expires %s: that day has passed", o->expires);
}

/* Limits first: a key is not trusted further, for no moment. */
static int save_limits(const struct opts *o, const struct hv_key *k, struct hv_err *e)
{
	int rc = hv_mkdirs(o->keys, 0755);

	if (rc)
		return hv_err(e, -rc, "%s: %s", o->keys, strerror(-rc));
	return hv_limits_save(o->keys, k, e);
}

/* A key of this name was here, and must not be good again by being made or trusted anew. */
static int check_name(const struct opts *o, struct hv_key *k, const char *name, struct hv_err *e)
{
	int rc;

	if (!hv_str_is_name(name, KEY_NAME_MAX))
		return hv_err(e, EINVAL, "\"%s\" cannot name a key: use letters, digits and . _ -", name);
	snprintf(k->name, sizeof(k->name), "%s", name);
	rc = hv_limits_load(o->keys, k, e);
	if (!rc && k->revoked)
		rc = hv_err(e, EEXIST, "a key %s was revoked here: give another name", name);
	return rc;
}

int cmd_keygen(struct opts *o)
{
	const char *name = o->argc ? o->argv[0] : "local";
	struct hv_key k = { 0 };
	struct hv_err e;
	int rc = check_name(o, &k, name, &e);

	if (!rc)
		rc = take_limits(o, &k, &e);
	if (!rc)
		rc = key_generate(o->keys, name, (o->vendor || o->expires) ? &k : NULL, &e);
	if (rc)
		return fail(rc, &e);
	printf("%s/%s.pub\n", o->keys, name);
	return 0;
}

/* ---- keys ---- */

static bool has_secret(const struct opts *o, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/private/%s.key", o->keys, name);
	return !access(path, F_OK);
}

static struct json_object *row_of(const struct opts *o, const struct hv_key *k, int64_t now)
{
	struct json_object *row = json_object_new_object();
	char text[33], day[16];

	hv_json_add(row, "name", k->name);
	hv_key_fingerprint(k->pub, text);
	hv_json_add(row, "fingerprint", text);
	if (*k->vendor)
		hv_json_add(row, "vendor", k->vendor);
	if (k->expires) {
		hv_day_print(k->expires - 1, day);
		hv_json_add(row, "expires", day);
	}
	hv_json_add(row, "secret", has_secret(o, k->name) ? "yes" : "no");
	hv_json_add(row, "state", k->revoked ? "revoked" : hv_key_good(k, now, k->vendor, NULL) ? "expired" : "good");
	if (k->revoked) {
		hv_day_print(k->revoked, day);
		hv_json_add(row, "revoked", day);
		hv_json_add(row, "reason", k->reason);
	}
	return row;
}

int cmd_keys(struct opts *o)
{
	static const struct hv_column cols[] = {
		{ "NAME", "name", 0 }, { "FINGERPRINT", "fingerprint", 0 }, { "VENDOR", "vendor", 0 }, { "EXPIRES", "expires", 0 },
		{ "SECRET", "secret", 0 }, { "STATE", "state", 0 }, { "REVOKED", "revoked", 0 }, { "REASON", "reason", 0 },
	};
	struct json_object *rows;
	struct hv_keyring ring;
	struct hv_err e;
	int rc = hv_keyring_load(o->keys, &ring, &e);

	if (rc)
		return fail(rc, &e);
	rows = json_object_new_array();
	for (size_t i = 0; i < ring.n; i++)
		json_object_array_add(rows, row_of(o, &ring.key[i], ring.now));
	hv_keyring_free(&ring);
	if (o->json) {
		hv_json_print(stdout, "keys", rows);
		return 0;
	}
	hv_table_print(stdout, cols, 8, rows);
	json_object_put(rows);
	return 0;
}

/* ---- trust, revoke ---- */

/* The file's name without its folder and .pub. */
static void name_of(const char *file, char *name, size_t size)
{
	const char *base = strrchr(file, '/');
	size_t n;

	base = base ? base + 1 : file;
	n = strlen(base);
	if (n > 4 && !strcmp(base + n - 4, ".pub"))
		n -= 4;
	snprintf(name, size, "%.*s", (int)n, base);
}

static int check_same(const struct opts *o, const struct hv_key *k, struct hv_err *e)
{
	struct hv_keyring ring;
	int rc = hv_keyring_load(o->keys, &ring, e);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < ring.n; i++) {
		bool same = !memcmp(ring.key[i].pub, k->pub, sizeof(k->pub));

		if (same && ring.key[i].revoked)
			rc = hv_key_good(&ring.key[i], ring.now, "", e);
		else if (same && strcmp(ring.key[i].name, k->name))
			rc = hv_err(e, EEXIST, "this key is trusted already, as %s", ring.key[i].name);
		else if (!same && !strcmp(ring.key[i].name, k->name))
			rc = hv_err(e, EEXIST, "another key %s is trusted already: give a --name, or revoke it first", k->name);
	}
	hv_keyring_free(&ring);
	return rc;
}

int cmd_trust(struct opts *o)
{
	char name[256];
	struct hv_key k = { 0 };
	struct hv_err e;
	int rc;

	if (o->argc != 1)
		return usage_error("trust needs the file of one public key");
	name_of(o->argv[0], name, sizeof(name));
	rc = check_name(o, &k, o->name ? o->name : name, &e);
	if (!rc)
		rc = hv_key_load(o->argv[0], k.pub, &e);
	if (!rc)
		rc = check_same(o, &k, &e);
	if (!rc)
		rc = take_limits(o, &k, &e);
	if (!rc)
		rc = save_limits(o, &k, &e);
	if (!rc)
		rc = key_save_public(o->keys, &k, &e);
	if (rc)
		return fail(rc, &e);
	printf("%s/%s.pub\n", o->keys, k.name);
	return 0;
}

static int revoke_key(const struct opts *o, struct hv_key *k, struct hv_err *e)
{
	struct hv_keyring ring;
	bool known = false;
	int rc = hv_keyring_load(o->keys, &ring, e);

	for (size_t i = 0; !rc && i < ring.n; i++)
		if (!strcmp(ring.key[i].name, o->argv[0])) {
			*k = ring.key[i];
			known = true;
		}
	hv_keyring_free(&ring);
	if (rc)
		return rc;
	if (!known)
		return hv_err(e, ENOENT, "no key %s in %s", o->argv[0], o->keys);
	if (k->revoked)
		return hv_key_good(k, 0, "", e);
	k->revoked = time(NULL);
	hv_str_escape(o->reason ? o->reason : "", k->reason, sizeof(k->reason));
	return hv_limits_save(o->keys, k, e);
}

int cmd_revoke(struct opts *o)
{
	struct hv_key k;
	struct hv_err e;
	int rc;

	if (o->argc != 1)
		return usage_error("revoke needs the name of one key");
	rc = revoke_key(o, &k, &e);
	return rc ? fail(rc, &e) : 0;
}
