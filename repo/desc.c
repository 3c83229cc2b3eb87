// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "conf.h"
#include "core/trust.h"
#include "desc.h"
#include "schema.h"

static void base_name(const char *path, char *name, size_t size)
{
	const char *s = strrchr(path, '/');

	snprintf(name, size, "%s", s ? s + 1 : path);
}

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *const operations[] = { "read", "write", "write_fua", "flush", "discard", "write_zeroes" };

bool device_desc_operation(const char *name)
{
	for (size_t i = 0; i < N(operations); i++)
		if (!strcmp(operations[i], name))
			return true;
	return false;
}

static int check_device(struct device_desc *d, const char *path, struct hv_err *e)
{
	const struct schema_key device_keys[] = {
		{ "device", SCHEMA_NAME, 1, 31, .to = &d->device },
		{ "version", SCHEMA_NUMBER, 1, INT_MAX, .to = &d->version },
		{ "class", SCHEMA_WORD, .words = "block", .to = &d->class },
		{ "mode", SCHEMA_WORD, .words = "virtual paravirtual direct", .to = &d->mode },
		{ "skeleton", SCHEMA_NAME, 1, 31, .to = &d->skeleton },
		{ "summary", SCHEMA_LINE, 0, 200, .optional = true },
		{ "vendor", SCHEMA_NAME, 1, 15, .optional = true, .to = &d->vendor },
		{ "queue", SCHEMA_GROUP, .to = NULL },
		{ "queue.fixed_pages", SCHEMA_NUMBER, 0, HVDRV_MAX_QUEUE_PAGES, .to = &d->fixed_pages },
		{ "queue.pages_per_tag", SCHEMA_NUMBER, 0, 2, .to = &d->pages_per_tag },
		{ "numbers", SCHEMA_OPEN, .to = NULL },
		{ "layout", SCHEMA_OPEN, .to = NULL },
		{ "opcode", SCHEMA_OPEN, .to = NULL },
		{ "opcode.read", SCHEMA_NUMBER, 0, INT_MAX, .to = NULL },
		{ "opcode.write", SCHEMA_NUMBER, 0, INT_MAX, .to = NULL },
		{ "opcode.write_fua", SCHEMA_NUMBER, 0, INT_MAX, .to = NULL },
		{ "opcode.flush", SCHEMA_NUMBER, 0, INT_MAX, .to = NULL },
		{ "opcode.discard", SCHEMA_NUMBER, 0, INT_MAX, .to = NULL },
		{ "opcode.write_zeroes", SCHEMA_NUMBER, 0, INT_MAX, .to = NULL },
		{ "status", SCHEMA_GROUP, .to = NULL },
		{ "status.ok", SCHEMA_NUMBER, INT_MIN, INT_MAX, .to = NULL },
		{ "status.ioerr", SCHEMA_NUMBER, INT_MIN, INT_MAX, .optional = true },
		{ "status.unsupported", SCHEMA_NUMBER, INT_MIN, INT_MAX, .optional = true },
		{ "status.nospc", SCHEMA_NUMBER, INT_MIN, INT_MAX, .optional = true },
	};
	int rc = schema_check(&d->cfg, path, device_keys, N(device_keys), e);

	if (!rc && d->fixed_pages + d->pages_per_tag < 1)
		rc = schema_error(config_lookup(&d->cfg, "queue"), e, "has no page at all: fixed_pages and pages_per_tag must not both be 0");
	if (!rc && *d->vendor && !hv_vendor_ok(d->vendor))
		rc = schema_error(config_lookup(&d->cfg, "vendor"), e, "must be letters and digits, such as the PCI vendor id 144d");
	return rc;
}

int device_desc_read(const char *path, struct device_desc *d, struct hv_err *e)
{
	int rc;

	memset(d, 0, sizeof(*d));
	d->vendor = "";
	base_name(path, d->file, sizeof(d->file));
	rc = conf_read(&d->cfg, path, e);
	if (rc)
		return rc;
	rc = check_device(d, path, e);
	if (rc)
		device_desc_free(d);
	return rc;
}

void device_desc_free(struct device_desc *d)
{
	config_destroy(&d->cfg);
}

static void take_prologue(struct os_desc *d)
{
	const config_setting_t *s = config_lookup(&d->cfg, "prologue");

	d->prologue_len = config_setting_length(s);
	for (int i = 0; i < d->prologue_len; i++)
		d->prologue[i] = config_setting_get_int_elem(s, i);
}

/* [ "6.1", "6.3..6.6" ] -> "6.1,6.3..6.6"; each must be `ok`, and is like `example`. Nothing where the key is not there. */
static int take_list(struct os_desc *d, const char *key, bool (*ok)(const char *), const char *example, char *to, size_t size, struct hv_err *e)
{
	const config_setting_t *s = config_lookup(&d->cfg, key);
	size_t len = 0;

	for (int i = 0; s && i < config_setting_length(s); i++) {
		const char *one = config_setting_get_string_elem(s, i);

		if (strchr(one, ',') || !*one || !ok(one))
			return schema_error(s, e, "must be an array of texts like %s, \"%s\" is none", example, one);
		len += snprintf(to + len, size - len, "%s%s", i ? "," : "", one);
		if (len >= size)
			return schema_error(s, e, "must have at most %zu characters in all", size - 1);
	}
	return 0;
}

static int take_features(struct os_desc *d, struct hv_err *e)
{
	int rc = take_list(d, "features", hv_features_ok, "\"ibt\" or \"rethunk\"", d->features, sizeof(d->features), e);

	if (!rc && !d->ibt && hv_features_in("ibt", d->features))
		rc = schema_error(config_lookup(&d->cfg, "features"), e, "must not have \"ibt\" while code.ibt is false");
	return rc;
}

static int check_os(struct os_desc *d, const char *path, struct hv_err *e)
{
	const struct schema_key os_keys[] = {
		{ "os", SCHEMA_NAME, 1, 15, .to = &d->os },
		{ "arch", SCHEMA_WORD, .words = "x86_64", .to = &d->arch },
		{ "abi", SCHEMA_NAME, 1, 31, .to = &d->abi },
		{ "summary", SCHEMA_LINE, 0, 200, .optional = true },
		{ "releases", SCHEMA_NAMES, 1, 12, .to = NULL },
		{ "features", SCHEMA_NAMES, 0, 8, .optional = true, .to = NULL },
		{ "prologue", SCHEMA_OCTETS, 0, sizeof(d->prologue), .to = NULL },
		{ "code", SCHEMA_GROUP, .to = NULL },
		{ "code.red_zone", SCHEMA_BOOL, .to = &d->red_zone },
		{ "code.fpu", SCHEMA_BOOL, .to = &d->fpu },
		{ "code.ibt", SCHEMA_BOOL, .to = &d->ibt },
		{ "code.sls", SCHEMA_BOOL, .to = &d->sls },
		{ "code.max_stack", SCHEMA_NUMBER, 64, 65536, .to = &d->max_stack },
		{ "services", SCHEMA_WORDS, 0, 0, .words = "", .optional = true },
		{ "addresses", SCHEMA_WORDS, 0, 2, .words = "gref gfn", .optional = true },
	};
	int rc = schema_check(&d->cfg, path, os_keys, N(os_keys), e);

	if (!rc)
		take_prologue(d);
	if (!rc)
		rc = take_list(d, "releases", hv_releases_ok, "\"6.1\" or \"6.1..6.6\"", d->releases, sizeof(d->releases), e);
	return rc ? rc : take_features(d, e);
}

int os_desc_read(const char *path, struct os_desc *d, struct hv_err *e)
{
	int rc;

	memset(d, 0, sizeof(*d));
	base_name(path, d->file, sizeof(d->file));
	rc = conf_read(&d->cfg, path, e);
	if (rc)
		return rc;
	rc = check_os(d, path, e);
	if (rc)
		os_desc_free(d);
	return rc;
}

void os_desc_free(struct os_desc *d)
{
	config_destroy(&d->cfg);
}

bool os_desc_serves(const struct os_desc *d, const struct hv_os *os)
{
	return !strcmp(d->os, os->type) && !strcmp(d->arch, os->arch) && !strcmp(d->abi, os->abi) &&
	       hv_release_in(os->release, d->releases) && hv_features_in(os->features, d->features);
}
