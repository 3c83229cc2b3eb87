// SPDX-License-Identifier: LGPL-2.1-only
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/trust.h"
#include "util/file.h"
#include "util/str.h"

#define DAY 86400

int hv_day_parse(const char *s, int64_t *at)
{
	struct tm tm = { 0 }, back;
	time_t t;

	if (strlen(s) != 10 || strspn(s, "0123456789-") != 10 ||
	    sscanf(s, "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) != 3 || s[4] != '-' || s[7] != '-')
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	back = tm;
	t = timegm(&back);
	/* timegm() makes the 3rd of March of the 31st of February */
	if (t <= 0 || back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon)
		return -EINVAL;
	*at = t;
	return 0;
}

void hv_day_print(int64_t at, char day[16])
{
	time_t t = at;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(day, 16, "%Y-%m-%d", &tm))
		strcpy(day, "?");
}

int64_t hv_day_end(int64_t at)
{
	return at - at % DAY + DAY;
}

bool hv_vendor_ok(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]))
			return false;
	return n && n < sizeof(((struct hv_key *)0)->vendor);
}

static int parse_vendor(const char *value, struct hv_key *k, struct hv_err *e)
{
	if (!hv_vendor_ok(value))
		return hv_err(e, EINVAL, "vendor must be 1 to %zu letters and digits", sizeof(k->vendor) - 1);
	strcpy(k->vendor, value);
	return 0;
}

static int parse_expires(const char *value, struct hv_key *k, struct hv_err *e)
{
	if (hv_day_parse(value, &k->expires))
		return hv_err(e, EINVAL, "expires must be a day such as 2027-06-30");
	k->expires = hv_day_end(k->expires);
	return 0;
}

static int parse_revoked(char *value, struct hv_key *k, struct hv_err *e)
{
	char *why = strchr(value, ' ');

	if (why)
		*why++ = 0;
	if (hv_day_parse(value, &k->revoked))
		return hv_err(e, EINVAL, "revoked must be a day such as 2026-11-22, then a reason");
	hv_str_escape(why ? why : "", k->reason, sizeof(k->reason));
	return 0;
}

static int parse_line(char *line, struct hv_key *k, struct hv_err *e)
{
	char *value = strchr(line, ' ');

	if (value)
		*value++ = 0;
	if (value && !strcmp(line, "vendor") && !*k->vendor)
		return parse_vendor(value, k, e);
	if (value && !strcmp(line, "expires") && !k->expires)
		return parse_expires(value, k, e);
	if (value && !strcmp(line, "revoked") && !k->revoked)
		return parse_revoked(value, k, e);
	return hv_err(e, EINVAL, "allowed are \"vendor NAME\", \"expires DAY\" and \"revoked DAY REASON\", each once");
}

int hv_limits_parse(const char *text, struct hv_key *k, struct hv_err *e)
{
	char *copy = strdup(text), *next = copy;
	int rc = 0;

	k->expires = k->revoked = 0;
	*k->vendor = *k->reason = 0;
	if (!copy)
		return hv_err(e, ENOMEM, "no memory");
	for (int n = 1; !rc && next; n++) {
		char *line = strsep(&next, "\n");

		rc = *line && *line != '#' ? parse_line(line, k, e) : 0;
		if (rc)
			hv_err_in(e, "line %d", n);
	}
	free(copy);
	return rc;
}

static void path_of(const char *dir, const struct hv_key *k, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s" HV_LIMITS_SUFFIX, dir, k->name);
}

int hv_limits_load(const char *dir, struct hv_key *k, struct hv_err *e)
{
	char path[PATH_MAX];
	void *text;
	size_t len;
	int rc;

	path_of(dir, k, path);
	rc = hv_file_read(path, 4096, &text, &len);
	if (rc == -ENOENT)
		return hv_limits_parse("", k, e);
	if (rc)
		return hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	/* what is behind a NUL would not be seen */
	rc = strlen(text) == len ? hv_limits_parse(text, k, e) : hv_err(e, EINVAL, "not a text");
	free(text);
	return rc ? hv_err_in(e, "%s", path) : 0;
}

int hv_limits_save(const char *dir, const struct hv_key *k, struct hv_err *e)
{
	char path[PATH_MAX], text[400], day[16];
	size_t n = 0;
	int rc;

	path_of(dir, k, path);
	if (*k->vendor)
		n += snprintf(text + n, sizeof(text) - n, "vendor %s\n", k->vendor);
	if (k->expires) {
		hv_day_print(k->expires - 1, day);
		n += snprintf(text + n, sizeof(text) - n, "expires %s\n", day);
	}
	if (k->revoked) {
		hv_day_print(k->revoked, day);
		n += snprintf(text + n, sizeof(text) - n, "revoked %s %s\n", day, k->reason);
	}
	rc = hv_file_write(path, text, n, 0644);
	return rc ? hv_err(e, -rc, "%s: %s", path, strerror(-rc)) : 0;
}

int hv_key_good(const struct hv_key *k, int64_t now, const char *vendor, struct hv_err *e)
{
	char day[16];

	if (k->revoked) {
		hv_day_print(k->revoked, day);
		return hv_err(e, EPERM, "key %s was revoked on %s%s%s", k->name, day, *k->reason ? ": " : "", k->reason);
	}
	if (k->expires && now >= k->expires) {
		hv_day_print(k->expires - 1, day);
		return hv_err(e, EPERM, "key %s expired on %s", k->name, day);
	}
	if (*k->vendor && strcmp(k->vendor, vendor))
		return hv_err(e, EPERM, "key %s is good for vendor %s only, not for devices of %s vendor%s%s", k->name, k->vendor,
			      *vendor ? "another" : "any", *vendor ? ", " : "", vendor);
	return 0;
}

void hv_key_fingerprint(const uint8_t pub[HV_KEY_BYTES], char text[33])
{
	uint8_t hash[16];

	crypto_generichash(hash, sizeof(hash), pub, HV_KEY_BYTES, NULL, 0);
	hv_str_hex(hash, sizeof(hash), text);
}
