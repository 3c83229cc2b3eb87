// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/file.h"

static int read_fd(int fd, size_t max, char **data, size_t *len)
{
	size_t n = 0, room = 0;
	char *buf = NULL;

	for (;;) {
		ssize_t r;

		if (n == room) {
			char *more = realloc(buf, (room = room ? room * 2 : 4096) + 1);

			if (!more)
				goto nomem;
			buf = more;
		}
		r = read(fd, buf + n, room - n);
		if (r < 0 || n + r > max) {
			int rc = r < 0 ? -errno : -EFBIG;

			free(buf);
			return rc;
		}
		if (!r)
			break;
		n += r;
	}
	buf[n] = 0;
	*data = buf;
	*len = n;
	return 0;
nomem:
	free(buf);
	return -ENOMEM;
}

int hv_file_read(const char *path, size_t max, void **data, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = read_fd(fd, max, (char **)data, len);
	close(fd);
	return rc;
}

int hv_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t r = write(fd, p, len);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		p += r;
		len -= r;
	}
	return 0;
}

static int sync_dir_of(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) && errno != EINVAL ? -errno : 0;		/* EINVAL: a filesystem that cannot */
	close(fd);
	return rc;
}

int hv_file_write(const char *path, const void *data, size_t len, mode_t mode)
{
	char tmp[PATH_MAX];
	int fd, rc;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	rc = fchmod(fd, mode) ? -errno : hv_write_all(fd, data, len);
	if (!rc && fsync(fd) && errno != EINVAL)
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc && rename(tmp, path))
		rc = -errno;
	if (rc)
		unlink(tmp);
	return rc ? rc : sync_dir_of(path);
}

int hv_mkdirs(const char *path, mode_t mode)
{
	char copy[PATH_MAX];

	if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy))
		return -ENAMETOOLONG;
	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = 0;
		if (mkdir(copy, mode) && errno != EEXIST)
			return -errno;
		*p = c;
		if (!c)
			return 0;
	}
}

int hv_file_line(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	int rc = 0;

	if (!f)
		return -errno;
	if (fgets(text, size, f))
		text[strcspn(text, "\n")] = 0;
	else
		rc = -EPROTO;
	fclose(f);
	return rc;
}

int hv_file_number(const char *path, uint64_t *v)
{
	char text[64], *end = text;
	int rc = hv_file_line(path, text, sizeof(text));

	if (rc)
		return rc;
	*v = strtoull(text, &end, 0);
	return end > text ? 0 : -EPROTO;
}
