// SPDX-License-Identifier: LGPL-2.1-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "core/check.h"
#include "core/index.h"
#include "core/store.h"
#include "util/file.h"
#include "util/str.h"

#define ID_LEN 64

void hv_store_path(const char *dir, const char *id, char *path, size_t size)
{
	snprintf(path, size, "%s/" HV_STORE_DIR_IMAGES "/%s" HV_IMAGE_SUFFIX, dir, id);
}

int hv_store_check(const char *dir, struct hv_err *e)
{
	char path[PATH_MAX];
	DIR *d;

	snprintf(path, sizeof(path), "%s/" HV_STORE_DIR_IMAGES, dir);
	d = opendir(path);
	if (!d && errno != ENOENT)
		return hv_err(e, errno, "the repository cannot be read: %s: %s", path, strerror(errno));
	if (d)
		closedir(d);
	return 0;
}

static int is_image(const struct dirent *d)
{
	return strlen(d->d_name) == ID_LEN + strlen(HV_IMAGE_SUFFIX) &&
	       !strcmp(d->d_name + ID_LEN, HV_IMAGE_SUFFIX);
}

/* Sorted, for scandir()'s caller to free; none when there is no folder. -errno with e. */
static int images_in(const char *dir, struct dirent ***files, struct hv_err *e)
{
	char path[PATH_MAX];
	int n;

	snprintf(path, sizeof(path), "%s/" HV_STORE_DIR_IMAGES, dir);
	n = scandir(path, files, is_image, alphasort);
	if (n >= 0)
		return n;
	*files = NULL;
	return errno == ENOENT ? 0 : hv_err(e, errno, "%s: %s", path, strerror(errno));
}

static int each_file(const char *dir, const char *file,
		     int (*fn)(void *arg, const char *id, const struct hv_image *img, const char *why), void *arg)
{
	struct hv_image img = { 0 };
	struct hv_err err = { 0 };
	char path[PATH_MAX], id[65], real[65];
	int rc;

	snprintf(id, sizeof(id), "%.64s", file);
	hv_store_path(dir, id, path, sizeof(path));
	rc = hv_image_load(path, &img, &err);
	if (!rc) {
		hv_image_id(&img, real);
		if (strcmp(real, id))
			rc = hv_err(&err, EINVAL, "%s: damaged: it does not have the hash that its name says", path);
	}
	rc = fn(arg, id, rc ? NULL : &img, err.text);
	hv_image_free(&img);
	return rc;
}

int hv_store_each(const char *dir, int (*fn)(void *arg, const char *id, const struct hv_image *img, const char *why),
		  void *arg, struct hv_err *e)
{
	struct dirent **files;
	int n = images_in(dir, &files, e), rc = 0;

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		if (!rc)
			rc = each_file(dir, files[i]->d_name, fn, arg);
		free(files[i]);
	}
	free(files);
	return rc;
}

/* ---- change ---- */

static int write_image(const char *path, const struct hv_image *img, struct hv_err *e)
{
	void *buf = malloc(hv_image_size(img));
	int rc;

	if (!buf)
		return hv_err(e, ENOMEM, "no memory");
	hv_image_write(img, buf);
	rc = hv_file_write(path, buf, hv_image_size(img), 0644);
	free(buf);
	return rc ? hv_err(e, -rc, "%s: %s", path, strerror(-rc)) : 0;
}

/* Who changes the repository does it alone. Falls with the descriptor, or with the process. */
static int lock(const char *dir, struct hv_err *e)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/" HV_STORE_LOCK, dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return hv_err(e, errno, "%s: %s", path, strerror(errno));
	while (flock(fd, LOCK_EX))
		if (errno != EINTR) {
			int code = errno;

			close(fd);
			return hv_err(e, code, "%s: %s", path, strerror(code));
		}
	return fd;
}

struct rebuild {
	struct hv_index *x;
	struct hv_err *e;
};

static int put_one(void *arg, const char *id, const struct hv_image *img, const char *why)
{
	struct rebuild *r = arg;

	(void)id;
	(void)why;
	if (img)
		return hv_index_add(r->x, img, r->e);
	r->x->h.unreadable++;
	return 0;
}

/* From the images. What is changed by hand meanwhile makes it stale: the stamp is of before. */
static int rebuild(const char *dir, struct hv_index *x, struct hv_err *e)
{
	struct rebuild r = { x, e };
	int rc;

	memset(x, 0, sizeof(*x));
	rc = hv_index_stamp(dir, x);
	if (rc == -ENOENT)
		return 0;
	if (rc)
		return hv_err(e, -rc, "%s: %s", dir, strerror(-rc));
	rc = hv_store_each(dir, put_one, &r, e);
	if (rc)
		hv_index_free(x);
	else
		hv_index_sort(x);
	return rc;
}

int hv_store_index(const char *dir, struct hv_index *x, struct hv_err *e)
{
	return hv_index_load(dir, x, e) ? rebuild(dir, x, e) : 0;
}

static int save_index(const char *dir, struct hv_index *x, struct hv_err *e)
{
	hv_index_stamp(dir, x);
	return hv_index_save(dir, x, e);
}

/* The image is stored when the index has it, or not at all. */
static int add_locked(const char *dir, const struct hv_image *img, const char *id, const char *path, struct hv_err *e)
{
	struct hv_index x;
	uint8_t bin[32];
	int rc = hv_store_index(dir, &x, e);

	if (rc)
		return rc;
	if (!hv_str_unhex(id, bin, sizeof(bin)))
		hv_index_take(&x, bin);		/* one that may not be placed, see hv_store_add() */
	rc = hv_index_add(&x, img, e);
	hv_index_sort(&x);
	if (!rc)
		rc = write_image(path, img, e);
	if (!rc) {
		rc = save_index(dir, &x, e);
		if (rc)
			unlink(path);
	}
	hv_index_free(&x);
	return rc;
}

/* Is the same image there, whole, and signed by a key that is good? */
static bool has_good(const char *path, const char *id, const struct hv_keyring *ring)
{
	struct hv_image img;
	char real[65];
	bool good;

	if (hv_image_load(path, &img, NULL))
		return false;
	hv_image_id(&img, real);
	good = !strcmp(real, id) && hv_image_verify(&img, ring, NULL) >= 0;
	hv_image_free(&img);
	return good;
}

int hv_store_add(const char *dir, const struct hv_image *img, const struct hv_keyring *ring, char id[65],
		 struct hv_err *e)
{
	char path[PATH_MAX];
	int fd, rc = hv_image_verify(img, ring, e);

	if (rc < 0)
		return rc;
	rc = hv_check_code(img, e);
	if (rc)
		return rc;
	hv_image_id(img, id);
	snprintf(path, sizeof(path), "%s/" HV_STORE_DIR_IMAGES, dir);
	rc = hv_mkdirs(path, 0755);
	if (rc)
		return hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	hv_store_path(dir, id, path, sizeof(path));
	if (has_good(path, id, ring))
		return 0;
	fd = lock(dir, e);
	if (fd < 0)
		return fd;
	rc = has_good(path, id, ring) ? 0 : add_locked(dir, img, id, path, e);
	close(fd);
	return rc;
}

static int remove_locked(const char *dir, const char *id, struct hv_err *e)
{
	struct hv_index x;
	char path[PATH_MAX];
	uint8_t bin[32];
	int rc = hv_store_index(dir, &x, e);

	if (rc)
		return rc;
	hv_store_path(dir, id, path, sizeof(path));
	if (unlink(path))
		rc = hv_err(e, errno, "%s: %s", path, strerror(errno));
	if (!rc && !hv_str_unhex(id, bin, sizeof(bin)))
		hv_index_take(&x, bin);
	if (!rc && save_index(dir, &x, e))
		rc = hv_err_in(e, "the image is removed, and the index is not up to date: run `hvdrv-repo reindex`");
	hv_index_free(&x);
	return rc;
}

int hv_store_remove(const char *dir, const char *id, struct hv_err *e)
{
	int fd = lock(dir, e), rc;

	if (fd < 0)
		return fd;
	rc = remove_locked(dir, id, e);
	close(fd);
	return rc;
}

int hv_store_reindex(const char *dir, uint64_t *images, uint64_t *unreadable, struct hv_err *e)
{
	int fd = lock(dir, e), rc;
	struct hv_index x;

	if (fd < 0)
		return fd;
	rc = rebuild(dir, &x, e);
	if (!rc) {
		*images = x.h.count;
		*unreadable = x.h.unreadable;
		rc = hv_index_save(dir, &x, e);
		hv_index_free(&x);
	}
	close(fd);
	return rc;
}

/* ---- names ---- */

int hv_store_resolve(const char *dir, const char *prefix, char id[65], struct hv_err *e)
{
	struct dirent **files;
	size_t len = strlen(prefix);
	int n, found = 0;

	if (len < 4)
		return hv_err(e, EINVAL, "%s: give at least 4 digits of the image's id", prefix);
	n = images_in(dir, &files, e);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		if (len <= ID_LEN && !strncmp(files[i]->d_name, prefix, len) && !found++)
			snprintf(id, 65, "%.64s", files[i]->d_name);
		free(files[i]);
	}
	free(files);
	if (!found)
		return hv_err(e, ENOENT, "no image %s in %s", prefix, dir);
	return found > 1 ? hv_err(e, EINVAL, "%s: %d images begin so", prefix, found) : 0;
}
