// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/floor.h"
#include "core/trust.h"
#include "util/file.h"
#include "util/str.h"

#define MAX_FILE (1 << 20)
#define MAX_LINE 88			/* 31, 15 and 15 letters, ten digits, what is between them, and room */

static void path_of(const char *state, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/versions", state);
}

static int add(struct hv_floor *f, const char *device, const char *os, const char *vendor, uint32_t version)
{
	struct hv_floor_line *more = realloc(f->line, (f->n + 1) * sizeof(*f->line));

	if (!more)
		return -ENOMEM;
	f->line = more;
	more += f->n++;
	memset(more, 0, sizeof(*more));
	snprintf(more->device, sizeof(more->device), "%s", device);
	snprintf(more->os, sizeof(more->os), "%s", os);
	snprintf(more->vendor, sizeof(more->vendor), "%s", vendor);
	more->version = version;
	return 0;
}

static int parse_line(const char *line, struct hv_floor *f)
{
	char device[33], os[17], number[12], vendor[17] = "", more;
	int n = sscanf(line, "%32s %16s %11s %16s %c", device, os, number, vendor, &more);
	uint64_t version;

	if (n < 3 || n > 4 || strlen(device) > 31 || strlen(os) > 15 || hv_str_u64(number, UINT32_MAX, &version) ||
	    (*vendor && !hv_vendor_ok(vendor)) || hv_floor_of(f, device, os, vendor))
		return -EINVAL;
	return add(f, device, os, vendor, version);
}

static int parse(char *text, const char *path, struct hv_floor *f, struct hv_err *e)
{
	for (int n = 1; text; n++) {
		char *line = strsep(&text, "\n");
		int rc = *line ? parse_line(line, f) : 0;

		if (rc == -EINVAL)
			return hv_err(e, EINVAL, "%s: line %d is damaged: mend it, or remove the file, and older drivers may come back", path, n);
		if (rc)
			return hv_err(e, -rc, "no memory");
	}
	return 0;
}

int hv_floor_load(const char *state, struct hv_floor *f, struct hv_err *e)
{
	char path[PATH_MAX];
	void *text;
	size_t len;
	int rc;

	memset(f, 0, sizeof(*f));
	path_of(state, path);
	rc = hv_file_read(path, MAX_FILE, &text, &len);
	if (rc)
		return rc == -ENOENT ? 0 : hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	rc = strlen(text) == len ? parse(text, path, f, e) : hv_err(e, EINVAL, "%s: damaged: not a text", path);
	free(text);
	if (rc)
		hv_floor_free(f);
	return rc;
}

void hv_floor_free(struct hv_floor *f)
{
	free(f->line);
	memset(f, 0, sizeof(*f));
}

static struct hv_floor_line *find(const struct hv_floor *f, const char *device, const char *os, const char *vendor)
{
	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->line[i].device, device) && !strcmp(f->line[i].os, os) && !strcmp(f->line[i].vendor, vendor))
			return &f->line[i];
	return NULL;
}

uint32_t hv_floor_of(const struct hv_floor *f, const char *device, const char *os, const char *vendor)
{
	const struct hv_floor_line *l = find(f, device, os, vendor);

	return l ? l->version : 0;
}

static int save(const char *state, const struct hv_floor *f, struct hv_err *e)
{
	char path[PATH_MAX], *text = malloc(f->n * MAX_LINE + 1);
	size_t n = 0;
	int rc;

	if (!text)
		return hv_err(e, ENOMEM, "no memory");
	for (size_t i = 0; i < f->n; i++)
		n += snprintf(text + n, MAX_LINE, "%s %s %u%s%s\n", f->line[i].device, f->line[i].os, f->line[i].version,
			      *f->line[i].vendor ? " " : "", f->line[i].vendor);
	path_of(state, path);
	rc = hv_mkdirs(state, 0755);
	if (!rc)
		rc = hv_file_write(path, text, n, 0644);
	free(text);
	return rc ? hv_err(e, -rc, "%s: %s", path, strerror(-rc)) : 0;
}

static int raise_to(const char *state, struct hv_floor *f, const struct hv_image_header *h, struct hv_err *e)
{
	struct hv_floor_line *l = find(f, h->device, h->os, h->vendor);

	if (l && l->version >= h->version)
		return 0;
	if (l)
		l->version = h->version;
	else if (add(f, h->device, h->os, h->vendor, h->version))
		return hv_err(e, ENOMEM, "no memory");
	return save(state, f, e);
}

int hv_floor_raise(const char *state, const struct hv_image_header *h, struct hv_err *e)
{
	struct hv_floor f;
	int rc = hv_floor_load(state, &f, e);

	if (rc)
		return rc;
	rc = raise_to(state, &f, h, e);
	hv_floor_free(&f);
	return rc;
}
