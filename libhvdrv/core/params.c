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

static int set_value(struct hv_params *p, const char *key, const char *v, struct hv_err *e)
{
	static const char *const classes[] = { "block", NULL }, *const modes[] = { "virtual", "paravirtual", NULL };
	static const char *const places[] = { "grant", "foreign", NULL }, *const formats[] = { "raw", NULL };
	char fmt[8];

	if (!strcmp(key, "class"))
		return one_of(p->class, sizeof(p->class), key, v, classes, e);
	if (!strcmp(key, "mode"))
		return one_of(p->mode, sizeof(p->mode), key, v, modes, e);
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
	if (!strcmp(key, "name")) {
		if (!hv_str_is_name(v, HVDRV_NAME_MAX))
			return hv_err(e, EINVAL, "name=%s: use up to %u letters, digits and . _ -", v, HVDRV_NAME_MAX);
		strcpy(p->name, v);
		return 0;
	}
	return hv_err(e, EINVAL, "%s=: no such key; there are name, class, backend, mode, size, format, place, ro, shared", key);
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
	return 0;
}

void hv_params_print(const struct hv_params *p, char *text, size_t size)
{
	int n = snprintf(text, size, "class=%s,backend=%s,mode=%s,place=%s", p->class, p->backend, p->mode, p->place);

	if (p->ro)
		n += snprintf(text + n, size - n, ",ro");
	if (p->shared)
		n += snprintf(text + n, size - n, ",shared");
	if (p->raw)
		n += snprintf(text + n, size - n, ",format=raw");
	if (p->size)
		snprintf(text + n, size - n, ",size=%llu", (unsigned long long)p->size);
}
