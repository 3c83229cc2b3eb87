// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>
#include "core/record.h"
#include "util/file.h"
#include "util/json.h"
#include "util/str.h"

#define FORMAT 1
#define MAX_FILE (256 * 1024)

static void path_of(const char *state, const char *uuid, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/devices/%s.json", state, uuid);
}

/* The array of devices, owned by *top; both new and empty when there is no file. */
static int load(const char *path, struct json_object **top, struct json_object **devs, struct hv_err *e)
{
	struct json_object *fmt = NULL;
	void *text;
	size_t len;
	int rc = hv_file_read(path, MAX_FILE, &text, &len);

	if (rc && rc != -ENOENT)
		return hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	*top = rc ? json_object_new_object() : json_tokener_parse(text);
	if (!rc)
		free(text);
	if (rc) {
		*devs = json_object_new_array();
		json_object_object_add(*top, "format", json_object_new_int(FORMAT));
		json_object_object_add(*top, "devices", *devs);
		return 0;
	}
	if (*top && json_object_object_get_ex(*top, "format", &fmt) && json_object_get_int(fmt) > FORMAT)
		rc = hv_err(e, EINVAL, "%s: written by a newer hvdrv (format %d): update hvdrv", path, json_object_get_int(fmt));
	else if (!fmt || !json_object_object_get_ex(*top, "devices", devs) || !json_object_is_type(*devs, json_type_array))
		rc = hv_err(e, EINVAL, "%s: damaged: remove it, and attach the guest's devices again with --persist", path);
	if (rc)
		json_object_put(*top);
	return rc;
}

static int save(const char *state, const char *path, struct json_object *top, struct json_object *devs, struct hv_err *e)
{
	const char *text = json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	char dir[PATH_MAX];
	int rc;

	if (!json_object_array_length(devs)) {
		rc = unlink(path) && errno != ENOENT ? -errno : 0;
	} else {
		snprintf(dir, sizeof(dir), "%s/devices", state);
		rc = hv_mkdirs(dir, 0755);
		if (!rc)
			rc = hv_file_write(path, text, strlen(text), 0600);
	}
	return rc ? hv_err(e, -rc, "%s: the device cannot be recorded: %s", path, strerror(-rc)) : 0;
}

static int parse_one(struct json_object *d, struct hv_params *p, struct hv_err *e)
{
	int rc = hv_params_parse(hv_json_text(d, "params"), p, e);

	if (!rc && !hv_str_is_name(hv_json_text(d, "name"), HVDRV_NAME_MAX))
		rc = hv_err(e, EINVAL, "a device without a proper name");
	if (!rc)
		strcpy(p->name, hv_json_text(d, "name"));
	return rc;
}

int hv_record_each(const char *state, const char *uuid, void (*fn)(void *arg, const struct hv_params *p), void *arg,
		   struct hv_err *e)
{
	struct json_object *top, *devs;
	char path[PATH_MAX];
	int rc;

	path_of(state, uuid, path);
	rc = load(path, &top, &devs, e);
	if (rc)
		return rc;
	for (size_t i = 0; i < json_object_array_length(devs) && !rc; i++) {
		struct hv_params p;

		rc = parse_one(json_object_array_get_idx(devs, i), &p, e);
		if (!rc)
			fn(arg, &p);
		else
			hv_err_in(e, "%s", path);
	}
	json_object_put(top);
	return rc;
}

/* Removes the devices that match: of `from`, or called name (the one that is not NULL). */
static void drop(struct json_object *devs, const char *from, const char *name)
{
	for (size_t i = json_object_array_length(devs); i-- > 0;) {
		struct json_object *d = json_object_array_get_idx(devs, i);

		if ((from && !strcmp(hv_json_text(d, "from"), from)) || (name && !strcmp(hv_json_text(d, "name"), name)))
			json_object_array_del_idx(devs, i, 1);
	}
}

static void add(struct json_object *devs, const char *from, const struct hv_params *p)
{
	struct json_object *d = json_object_new_object();
	char text[1400];

	hv_params_print(p, text, sizeof(text));
	json_object_object_add(d, "name", json_object_new_string(p->name));
	json_object_object_add(d, "params", json_object_new_string(text));
	json_object_object_add(d, "from", json_object_new_string(from));
	json_object_array_add(devs, d);
}

static int change(const char *state, const char *uuid, const char *from, const char *name, const struct hv_params *p,
		  int n, struct hv_err *e)
{
	struct json_object *top, *devs;
	char path[PATH_MAX];
	int rc;

	path_of(state, uuid, path);
	rc = load(path, &top, &devs, e);
	if (rc)
		return rc;
	drop(devs, name ? NULL : from, name);
	for (int i = 0; i < n; i++)
		add(devs, from, &p[i]);
	rc = save(state, path, top, devs, e);
	json_object_put(top);
	return rc;
}

int hv_record_set(const char *state, const char *uuid, const char *from, const struct hv_params *p, int n,
		  struct hv_err *e)
{
	return change(state, uuid, from, NULL, p, n, e);
}

int hv_record_add(const char *state, const char *uuid, const char *from, const struct hv_params *p, struct hv_err *e)
{
	return change(state, uuid, from, p->name, p, 1, e);
}

int hv_record_remove(const char *state, const char *uuid, const char *name, struct hv_err *e)
{
	return change(state, uuid, NULL, name, NULL, 0, e);
}
