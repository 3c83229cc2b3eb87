// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf.h"
#include "util/file.h"
#include "util/str.h"

#define MAX_SIZE (1u << 20)
#define NAME_SIZE 64

static const char word[] = "@include", suffix[] = ".inc";

static bool is_include_name(const char *name)
{
	size_t len = strlen(name);

	return hv_str_is_name(name, NAME_SIZE - 1) && len > strlen(suffix) && !strcmp(name + len - strlen(suffix), suffix);
}

/* Is this a line that libconfig takes for an include? 1 with its file's name; 0: no; -EINVAL: not one as it must be. */
static int include_of(const char *line, char name[NAME_SIZE])
{
	size_t len;

	line += strspn(line, " \t");
	if (strncmp(line, word, strlen(word)))
		return 0;
	line += strlen(word);
	line += strspn(line, " \t");
	len = *line == '"' ? strcspn(line + 1, "\"\n") : 0;
	if (!len || len >= NAME_SIZE || line[1 + len] != '"')
		return -EINVAL;
	memcpy(name, line + 1, len);
	name[len] = 0;
	line += len + 2;
	line += strspn(line, " \t\r");
	return is_include_name(name) && (!*line || *line == '\n') ? 1 : -EINVAL;
}

static int check_file(const char *path, const char *dir, struct hv_err *e);

/* dir: where included files are; NULL: this is one. */
static int check_line(const char *line, const char *path, unsigned int no, const char *dir, struct hv_err *e)
{
	char name[NAME_SIZE], file[PATH_MAX];
	int rc = include_of(line, name);

	if (!rc)
		return 0;
	if (rc < 0)
		return hv_err(e, EINVAL, "%s:%u: must be @include \"NAME.inc\" and nothing else: a file beside this one, by its name alone",
			      path, no);
	if (!dir)
		return hv_err(e, EINVAL, "%s:%u: a file that is included may not include another", path, no);
	if ((size_t)snprintf(file, sizeof(file), "%s/%s", dir, name) >= sizeof(file))
		return hv_err(e, EINVAL, "%s:%u: the path of %s is too long", path, no, name);
	rc = check_file(file, NULL, e);
	return rc == -ENOENT ? hv_err(e, EINVAL, "%s:%u: @include \"%s\": there is no such file beside this one", path, no, name) : rc;
}

/* The includes of a file, before libconfig follows them. */
static int check_file(const char *path, const char *dir, struct hv_err *e)
{
	unsigned int no = 1;
	size_t len;
	void *text;
	int rc = hv_file_read(path, MAX_SIZE, &text, &len);

	if (rc == -EFBIG)
		return hv_err(e, EINVAL, "%s:1: larger than 1 MiB: not a description", path);
	if (rc)
		return hv_err(e, ENOENT, "%s: cannot be read", path);
	if (strlen(text) != len)
		rc = hv_err(e, EINVAL, "%s:1: not a text", path);
	for (const char *line = text; !rc && line; no++) {
		rc = check_line(line, path, no, dir, e);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	free(text);
	return rc;
}

int conf_read(config_t *cfg, const char *path, struct hv_err *e)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	int rc;

	if (!slash)
		strcpy(dir, ".");
	else if (snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path) + (slash == path), path) >= (int)sizeof(dir))
		return hv_err(e, ENOENT, "%s: cannot be read", path);
	rc = check_file(path, dir, e);
	if (rc)
		return rc;
	config_init(cfg);
	config_set_include_dir(cfg, dir);
	if (config_read_file(cfg, path))
		return 0;
	hv_err(e, EINVAL, "%s:%d: %s", config_error_file(cfg) ? config_error_file(cfg) : path, config_error_line(cfg),
	       config_error_text(cfg));
	config_destroy(cfg);
	return -e->code;
}
