// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "desc.h"

static int read_cfg(config_t *cfg, const char *path, struct hv_err *e)
{
	config_init(cfg);
	if (config_read_file(cfg, path))
		return 0;
	if (config_error_type(cfg) == CONFIG_ERR_FILE_IO)
		hv_err(e, ENOENT, "%s: cannot be read", path);
	else
		hv_err(e, EINVAL, "%s:%d: %s", path, config_error_line(cfg), config_error_text(cfg));
	config_destroy(cfg);
	return -e->code;
}

static void base_name(const char *path, char *name, size_t size)
{
	const char *s = strrchr(path, '/');

	snprintf(name, size, "%s", s ? s + 1 : path);
}

/* What a description must have, as a table; the first that is missing or of another type is the error. */
struct key {
	const char *path;
	int type;			/* CONFIG_TYPE_* */
	void *to;
};

static int read_keys(const config_t *cfg, const char *file, const struct key *keys, size_t n, struct hv_err *e)
{
	static const char *const type_name[] = {
		[CONFIG_TYPE_INT] = "a number", [CONFIG_TYPE_STRING] = "a text", [CONFIG_TYPE_BOOL] = "true or false",
	};

	for (size_t i = 0; i < n; i++) {
		const config_setting_t *s = config_lookup(cfg, keys[i].path);

		if (!s)
			return hv_err(e, EINVAL, "%s: %s is missing (%s)", file, keys[i].path, type_name[keys[i].type]);
		if (config_setting_type(s) != keys[i].type)
			return hv_err(e, EINVAL, "%s:%u: %s must be %s", file, config_setting_source_line(s), keys[i].path,
				      type_name[keys[i].type]);
		if (keys[i].type == CONFIG_TYPE_STRING)
			*(const char **)keys[i].to = config_setting_get_string(s);
		else if (keys[i].type == CONFIG_TYPE_BOOL)
			*(bool *)keys[i].to = config_setting_get_bool(s);
		else
			*(int *)keys[i].to = config_setting_get_int(s);
	}
	return 0;
}

#define N(a) (sizeof(a) / sizeof((a)[0]))

int device_desc_read(const char *path, struct device_desc *d, struct hv_err *e)
{
	const struct key keys[] = {
		{ "device", CONFIG_TYPE_STRING, &d->device }, { "class", CONFIG_TYPE_STRING, &d->class },
		{ "mode", CONFIG_TYPE_STRING, &d->mode }, { "skeleton", CONFIG_TYPE_STRING, &d->skeleton },
		{ "version", CONFIG_TYPE_INT, &d->version },
		{ "queue.fixed_pages", CONFIG_TYPE_INT, &d->fixed_pages },
		{ "queue.pages_per_tag", CONFIG_TYPE_INT, &d->pages_per_tag },
	};
	int rc;

	memset(d, 0, sizeof(*d));
	base_name(path, d->file, sizeof(d->file));
	rc = read_cfg(&d->cfg, path, e);
	if (rc)
		return rc;
	rc = read_keys(&d->cfg, path, keys, N(keys), e);
	if (!rc && (d->fixed_pages < 0 || d->pages_per_tag < 0 || d->fixed_pages + d->pages_per_tag < 1 ||
		    d->fixed_pages > (int)HVDRV_MAX_QUEUE_PAGES || d->pages_per_tag > 2))
		rc = hv_err(e, EINVAL, "%s: queue needs 1 to %u pages, at most 2 per tag", path, HVDRV_MAX_QUEUE_PAGES);
	if (rc)
		device_desc_free(d);
	return rc;
}

void device_desc_free(struct device_desc *d)
{
	config_destroy(&d->cfg);
}

static int read_prologue(struct os_desc *d, const char *path, struct hv_err *e)
{
	const config_setting_t *s = config_lookup(&d->cfg, "prologue");

	if (!s || !config_setting_is_array(s) || config_setting_length(s) > (int)sizeof(d->prologue))
		return hv_err(e, EINVAL, "%s: prologue must be an array of at most %zu bytes", path, sizeof(d->prologue));
	d->prologue_len = config_setting_length(s);
	for (int i = 0; i < d->prologue_len; i++)
		d->prologue[i] = config_setting_get_int_elem(s, i);
	return 0;
}

int os_desc_read(const char *path, struct os_desc *d, struct hv_err *e)
{
	const struct key keys[] = {
		{ "os", CONFIG_TYPE_STRING, &d->os }, { "arch", CONFIG_TYPE_STRING, &d->arch },
		{ "abi", CONFIG_TYPE_STRING, &d->abi }, { "release.min", CONFIG_TYPE_STRING, &d->release_min },
		{ "release.max", CONFIG_TYPE_STRING, &d->release_max }, { "code.red_zone", CONFIG_TYPE_BOOL, &d->red_zone },
		{ "code.fpu", CONFIG_TYPE_BOOL, &d->fpu }, { "code.ibt", CONFIG_TYPE_BOOL, &d->ibt },
		{ "code.sls", CONFIG_TYPE_BOOL, &d->sls }, { "code.max_stack", CONFIG_TYPE_INT, &d->max_stack },
	};
	int rc;

	memset(d, 0, sizeof(*d));
	base_name(path, d->file, sizeof(d->file));
	rc = read_cfg(&d->cfg, path, e);
	if (rc)
		return rc;
	rc = read_keys(&d->cfg, path, keys, N(keys), e);
	if (!rc)
		rc = read_prologue(d, path, e);
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
	       hv_release_in(os->release, d->release_min, d->release_max);
}
