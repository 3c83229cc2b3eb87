// SPDX-License-Identifier: LGPL-2.1-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/check.h"
#include "core/store.h"
#include "util/file.h"

#define ID_LEN 64

void hv_store_path(const char *dir, const char *id, char *path, size_t size)
{
	snprintf(path, size, "%s/" HV_STORE_DIR_IMAGES "/%s" HV_IMAGE_SUFFIX, dir, id);
}

int hv_store_add(const char *dir, const struct hv_image *img, const struct hv_keyring *ring, char id[65],
		 struct hv_err *e)
{
	char path[PATH_MAX];
	void *buf;
	int rc = hv_image_verify(img, ring, e);

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
	if (!access(path, F_OK))
		return 0;
	buf = malloc(hv_image_size(img));
	if (!buf)
		return hv_err(e, ENOMEM, "no memory");
	hv_image_write(img, buf);
	rc = hv_file_write(path, buf, hv_image_size(img), 0644);
	free(buf);
	return rc ? hv_err(e, -rc, "%s: %s", path, strerror(-rc)) : 0;
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
	char path[PATH_MAX];
	int n, rc = 0;

	snprintf(path, sizeof(path), "%s/" HV_STORE_DIR_IMAGES, dir);
	n = scandir(path, &files, is_image, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : hv_err(e, errno, "%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (!rc)
			rc = each_file(dir, files[i]->d_name, fn, arg);
		free(files[i]);
	}
	free(files);
	return rc;
}

struct finder {
	const struct hv_keyring *ring;
	const struct hv_want *want;
	struct hv_image *best;
	char *id;
	unsigned int seen;
	struct hv_err why;		/* why the one that tells most did not do */
};

static bool better(const struct hv_image *a, const struct hv_image *b)
{
	return !b->payload || a->h.version > b->h.version ||
	       (a->h.version == b->h.version && a->h.created > b->h.created);
}

static int keep_best(struct finder *f, const char *id, const struct hv_image *img)
{
	uint8_t *copy;

	if (!better(img, f->best))
		return 0;
	copy = malloc(img->h.payload_size + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, img->payload, img->h.payload_size);
	hv_image_free(f->best);
	f->best->h = img->h;
	f->best->payload = copy;
	strcpy(f->id, id);
	return 0;
}

static int consider(void *arg, const char *id, const struct hv_image *img, const char *why)
{
	struct finder *f = arg;
	struct hv_err e = { 0 };

	f->seen++;
	/* one that would fit and is refused tells more than a damaged one, and that more than one that does not fit */
	if (!img) {
		if (f->why.code != EPERM)
			hv_err(&f->why, EINVAL, "%s", why);
		return 0;
	}
	if (hv_image_fits(img, f->want, &e)) {
		if (!f->why.code)
			hv_err(&f->why, ENOENT, "image %.12s %s", id, e.text);
		return 0;
	}
	if (hv_image_verify(img, f->ring, &e) < 0 || hv_check_code(img, &e)) {
		hv_err(&f->why, EPERM, "image %.12s is refused: %s", id, e.text);
		return 0;
	}
	return keep_best(f, id, img);
}

int hv_store_find(const char *dir, const struct hv_keyring *ring, const struct hv_want *w, struct hv_image *img, char id[65],
		  struct hv_err *e)
{
	struct finder f = { .ring = ring, .want = w, .best = img, .id = id };
	int rc;

	memset(img, 0, sizeof(*img));
	rc = hv_store_each(dir, consider, &f, e);
	if (rc)
		return rc;
	if (img->payload)
		return 0;
	if (!f.seen)
		return hv_err(e, ENOENT, "the repository %s is empty", dir);
	return hv_err(e, f.why.code == EPERM ? EPERM : ENOENT, "%s", f.why.text);
}

struct resolver {
	const char *prefix;
	char *id;
	int found;
};

static int match_prefix(void *arg, const char *id, const struct hv_image *img, const char *why)
{
	struct resolver *r = arg;

	(void)img;
	(void)why;
	if (!strncmp(id, r->prefix, strlen(r->prefix)) && !r->found++)
		strcpy(r->id, id);
	return 0;
}

int hv_store_resolve(const char *dir, const char *prefix, char id[65], struct hv_err *e)
{
	struct resolver r = { prefix, id, 0 };
	int rc;

	if (strlen(prefix) < 4)
		return hv_err(e, EINVAL, "%s: give at least 4 digits of the image's id", prefix);
	rc = hv_store_each(dir, match_prefix, &r, e);
	if (rc)
		return rc;
	if (!r.found)
		return hv_err(e, ENOENT, "no image %s in %s", prefix, dir);
	return r.found > 1 ? hv_err(e, EINVAL, "%s: %d images begin so", prefix, r.found) : 0;
}
