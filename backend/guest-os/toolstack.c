// SPDX-License-Identifier: GPL-2.0-only
/* libxl_internal.c, libxl__userdata_path(): userdata-d.DOMID.UUID.libxl-json; b_info.kernel in it is the configuration's kernel=. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <json-c/json.h>
#include "guest-os/toolstack.h"
#include "util/file.h"

#define RECORD_MAX (1u << 20)

static int kernel_of(const char *text, size_t len, char *path, size_t size, struct hv_err *e)
{
	struct json_tokener *t = json_tokener_new();
	struct json_object *all = t ? json_tokener_parse_ex(t, text, len) : NULL, *build = NULL, *kernel = NULL;
	int rc = 0;

	if (!json_object_is_type(all, json_type_object))
		rc = hv_err(e, EPROTO, "xl's record of it is damaged");
	else if (!json_object_object_get_ex(all, "b_info", &build) || !json_object_object_get_ex(build, "kernel", &kernel) ||
		 !json_object_is_type(kernel, json_type_string))
		rc = hv_err(e, ENODATA, "xl was given no kernel for it");
	else if ((size_t)snprintf(path, size, "%s", json_object_get_string(kernel)) >= size || *path != '/')
		rc = hv_err(e, EPROTO, "xl's record of it has no whole name of its kernel");
	json_object_put(all);
	json_tokener_free(t);
	return rc;
}

/* The file that was there when the guest was started: neither it nor the name has changed since. */
static int open_unchanged(const char *path, time_t created, int *fd, struct hv_err *e)
{
	struct stat name, file;
	int rc = 0;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return hv_err(e, errno, "%s: %s", path, strerror(errno));
	if (lstat(path, &name) || fstat(*fd, &file))
		rc = hv_err(e, errno, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(file.st_mode))
		rc = hv_err(e, ENOTSUP, "%s is no file", path);
	else if (name.st_ctime > created || file.st_ctime > created)
		rc = hv_err(e, ESTALE, "%s has changed since it was started", path);
	if (rc)
		close(*fd);
	return rc;
}

int toolstack_kernel(const char *dir, uint32_t domid, const char *uuid, time_t created, char *path, size_t size, int *fd, struct hv_err *e)
{
	char record[512];
	void *text;
	size_t len;
	int rc;

	snprintf(record, sizeof(record), "%s/userdata-d.%u.%s.libxl-json", dir, domid, uuid);
	rc = hv_file_read(record, RECORD_MAX, &text, &len);
	if (rc)
		return hv_err(e, -rc, "%s: %s", record, strerror(-rc));
	rc = kernel_of(text, len, path, size, e);
	free(text);
	return rc ? rc : open_unchanged(path, created, fd, e);
}
