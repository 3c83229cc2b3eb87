// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "core/params.h"
#include "util/str.h"

static int one_of(char *to, size_t size, const char *key, const char *v, const char *const *words, struct hv_err *e)
{
	char all[128] = "";

	for (; *words; words++) {
		if (!strcmp(v, *words)) {
			snprintf(to, size, "%s", v);
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", *all ? ", " : "", *words);
	}
	return hv_err(e, EINVAL, "%s=%s: must be %s", key, v, all);
}

int hv_path_check(const char *path, struct hv_err *e)
{
	static const struct { const char *path, *why; } not_here[] = {
		{ "map", "mapping and unmapping pages for each request costs more than copying them, and I/O on a guest's pages in a "
			 "process that is killed damages a PV dom0" },
		{ "window", "a lasting mapping of pages that the guest uses for other things breaks a PV guest" },
	};

	if (!strcmp(path, "auto") || !strcmp(path, "pool") || !strcmp(path, "copy"))
		return 0;
	if (!strcmp(path, "direct"))
		return hv_err(e, EINVAL, "path direct is a switch of a device that was attached with trusted=1: "
			      "`hvdrv retarget DOM NAME paravirtual --path direct`; here use auto, pool or copy");
	for (size_t i = 0; i < sizeof(not_here) / sizeof(not_here[0]); i++)
		if (!strcmp(path, not_here[i].path))
			return hv_err(e, EINVAL, "path %s is not offered: %s; use auto, pool or copy", path, not_here[i].why);
	return hv_err(e, EINVAL, "there is no path \"%s\": auto, pool, copy", path);
}

static int set_path(struct hv_params *p, const char *v, struct hv_err *e)
{
	int rc = hv_path_check(v, e);

	if (!rc)
		strcpy(p->path, v);
	return rc;
}

int hv_mode_check(const char *mode, struct hv_err *e)
{
	if (!strcmp(mode, "virtual") || !strcmp(mode, "paravirtual") || !strcmp(mode, "direct") || !strcmp(mode, "auto"))
		return 0;
	return hv_err(e, EINVAL, "there is no mode \"%.20s\": virtual, paravirtual, direct, auto", mode);
}

static int set_backend(struct hv_params *p, const char *v, struct hv_err *e)
{
	if (v[0] != '/')
		return hv_err(e, EINVAL, "backend=%s: must be an absolute path", v);
	if (strlen(v) >= sizeof(p->backend))
		return hv_err(e, EINVAL, "backend: the path is longer than %zu", sizeof(p->backend) - 1);
	strcpy(p->backend, v);
	return 0;
}

static int set_size(struct hv_params *p, const char *v, struct hv_err *e)
{
	if (hv_str_size(v, &p->size) || !p->size || p->size % 4096)
		return hv_err(e, EINVAL, "size=%s: must be a multiple of 4096, as 512M or 20G", v);
	return 0;
}

/* FIRST+SECTORS; that it fits the backend is seen when that is open. */
static int set_range(struct hv_params *p, const char *v, struct hv_err *e)
{
	const uint64_t max = INT64_MAX / HVDRV_SECTOR;
	const char *plus = strchr(v, '+');
	char first[24];

	if (!plus || plus - v >= (int)sizeof(first))
		return hv_err(e, EINVAL, "range=%s: must be FIRST+SECTORS, in sectors of 512 bytes, as 2048+131072", v);
	snprintf(first, sizeof(first), "%.*s", (int)(plus - v), v);
	if (hv_str_u64(first, max, &p->first) || hv_str_u64(plus + 1, max - p->first, &p->sectors) || !p->sectors)
		return hv_err(e, EINVAL, "range=%s: must be FIRST+SECTORS, in sectors of 512 bytes, as 2048+131072", v);
	return 0;
}

static int set_count(uint32_t *to, const char *key, const char *v, uint32_t max, struct hv_err *e)
{
	uint64_t n;

	if (hv_str_u64(v, max, &n) || !n)
		return hv_err(e, EINVAL, "%s=%s: must be a number from 1 to %u", key, v, max);
	*to = n;
	return 0;
}

static int set_bool(bool *to, const char *key, const char *v, struct hv_err *e)
{
	if (strcmp(v, "0") && strcmp(v, "1"))
		return hv_err(e, EINVAL, "%s=%s: must be 0 or 1", key, v);
	*to = v[0] == '1';
	return 0;
}

static int set_value(struct hv_params *p, const char *key, const char *v, struct hv_err *e)
{
	static const char *const classes[] = { "block", NULL }, *const modes[] = { "virtual", "paravirtual", "auto", NULL };
	static const char *const drivers[] = { "blkif", "virtio-blk", NULL };
	static const char *const places[] = { "grant", "foreign", NULL }, *const formats[] = { "raw", NULL };
	char fmt[8];

	if (!strcmp(key, "class"))
		return one_of(p->class, sizeof(p->class), key, v, classes, e);
	if (!strcmp(key, "mode"))
		return one_of(p->mode, sizeof(p->mode), key, v, modes, e);
	if (!strcmp(key, "driver"))
		return one_of(p->driver, sizeof(p->driver), key, v, drivers, e);
	if (!strcmp(key, "path"))
		return set_path(p, v, e);
	if (!strcmp(key, "place"))
		return one_of(p->place, sizeof(p->place), key, v, places, e);
	if (!strcmp(key, "format")) {
		p->raw = true;
		return one_of(fmt, sizeof(fmt), key, v, formats, e);
	}
	if (!strcmp(key, "backend"))
		return set_backend(p, v, e);
	if (!strcmp(key, "size"))
		return set_size(p, v, e);
	if (!strcmp(key, "range"))
		return set_range(p, v, e);
	if (!strcmp(key, "depth"))
		return set_count(&p->depth, key, v, HV_DEPTH_MAX, e);
	if (!strcmp(key, "weight"))
		return set_count(&p->weight, key, v, HV_WEIGHT_MAX, e);
	if (!strcmp(key, "trusted"))
		return set_bool(&p->trusted, key, v, e);
	if (!strcmp(key, "allow-older"))
		return set_bool(&p->allow_older, key, v, e);
	if (!strcmp(key, "name")) {
		if (!hv_str_is_name(v, HVDRV_NAME_MAX))
			return hv_err(e, EINVAL, "name=%s: use up to %u letters, digits and . _ -", v, HVDRV_NAME_MAX);
		strcpy(p->name, v);
		return 0;
	}
	return hv_err(e, EINVAL, "%s=: no such key; there are name, class, backend, mode, driver, path, size, range, format, place, depth, weight, "
		      "trusted, allow-older, ro, shared", key);
}

static int set_flag(struct hv_params *p, const char *key, struct hv_err *e)
{
	if (!strcmp(key, "ro"))
		p->ro = true;
	else if (!strcmp(key, "shared"))
		p->shared = true;
	else
		return hv_err(e, EINVAL, "%s: no such word; there are key=value, ro and shared", *key ? key : "(nothing)");
	return 0;
}

int hv_params_parse(const char *text, struct hv_params *p, struct hv_err *e)
{
	char copy[2048], *save = NULL;
	int rc = 0;

	memset(p, 0, sizeof(*p));
	strcpy(p->mode, "virtual");
	strcpy(p->driver, "blkif");
	strcpy(p->path, "auto");
	strcpy(p->place, "grant");
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return hv_err(e, EINVAL, "the device's parameters are longer than %zu", sizeof(copy) - 1);
	for (char *w = strtok_r(copy, ",", &save); w && !rc; w = strtok_r(NULL, ",", &save)) {
		char *eq;

		w += strspn(w, " ");
		eq = strchr(w, '=');
		if (eq)
			*eq = 0;
		rc = eq ? set_value(p, w, eq + 1, e) : set_flag(p, w, e);
	}
	if (rc)
		return rc;
	if (!*p->class)
		return hv_err(e, EINVAL, "class= is missing (class=block)");
	if (!*p->backend)
		return hv_err(e, EINVAL, "backend= is missing (the path of a file or block device)");
	if (p->ro && p->size)
		return hv_err(e, EINVAL, "size= makes a new file: it cannot be ro");
	if (p->sectors && p->size)
		return hv_err(e, EINVAL, "size= makes a new file, range= is a part of one that is there: give one of them");
	if (p->weight && !p->depth)
		return hv_err(e, EINVAL, "weight= needs depth=, how many requests the backend takes at once");
	if (p->depth && !p->weight)
		p->weight = HV_WEIGHT;
	return 0;
}

const char *hv_params_first_mode(const struct hv_params *p)
{
	return !strcmp(p->mode, "auto") ? "virtual" : p->mode;
}

void hv_params_print(const struct hv_params *p, char *text, size_t size)
{
	int n = snprintf(text, size, "class=%s,backend=%s,mode=%s,place=%s", p->class, p->backend, p->mode, p->place);

	if (strcmp(p->driver, "blkif"))
		n += snprintf(text + n, size - n, ",driver=%s", p->driver);
	if (strcmp(p->path, "auto"))
		n += snprintf(text + n, size - n, ",path=%s", p->path);
	if (p->ro)
		n += snprintf(text + n, size - n, ",ro");
	if (p->shared)
		n += snprintf(text + n, size - n, ",shared");
	if (p->raw)
		n += snprintf(text + n, size - n, ",format=raw");
	if (p->sectors)
		n += snprintf(text + n, size - n, ",range=%llu+%llu", (unsigned long long)p->first, (unsigned long long)p->sectors);
	if (p->depth)
		n += snprintf(text + n, size - n, ",depth=%u,weight=%u", p->depth, p->weight);
	if (p->trusted)
		n += snprintf(text + n, size - n, ",trusted=1");
	if (p->allow_older)
		n += snprintf(text + n, size - n, ",allow-older=1");
	if (p->size)
		snprintf(text + n, size - n, ",size=%llu", (unsigned long long)p->size);
}
