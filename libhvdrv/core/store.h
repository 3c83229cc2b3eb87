/* SPDX-License-Identifier: LGPL-2.1-only */
/* The repository of images: DIR/ID.hvi, ID being the image's content hash. */
#ifndef HV_CORE_STORE_H
#define HV_CORE_STORE_H

#include "core/image.h"

#define HV_STORE_DIR_IMAGES "images"

/* Path of image ID in DIR. */
void hv_store_path(const char *dir, const char *id, char *path, size_t size);

/*
 * Verifies (signature by a key of the ring, code) and stores. An image that is
 * there already is left alone. id gets its content hash. 0 or -errno.
 */
int hv_store_add(const char *dir, const struct hv_image *img, const struct hv_keyring *ring, char id[65],
		 struct hv_err *e);

/*
 * The best image for this guest: fits, verified, highest version, newest. 0;
 * -ENOENT none fits (e says what is there and why not); -EPERM the only ones that fit are not trusted.
 */
int hv_store_find(const char *dir, const struct hv_keyring *ring, const struct hv_want *w, struct hv_image *img, char id[65],
		  struct hv_err *e);

/* Calls fn for each readable image; one that is damaged comes with img NULL and the reason. Stops when fn is not 0. */
int hv_store_each(const char *dir, int (*fn)(void *arg, const char *id, const struct hv_image *img, const char *why),
		  void *arg, struct hv_err *e);

/* Can it be read? An empty one, or none yet, can. 0 or -errno with e. */
int hv_store_check(const char *dir, struct hv_err *e);

/* A unique prefix of an id (at least 4 digits) to the id. 0, -ENOENT, -EINVAL (several). */
int hv_store_resolve(const char *dir, const char *prefix, char id[65], struct hv_err *e);

#endif
