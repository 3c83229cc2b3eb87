/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The repository of images: DIR/images/ID.hvi, ID being the image's content hash; and an index of them (index.h). Who changes
 * it holds DIR/lock. Who reads holds nothing: files are replaced whole.
 */
#ifndef HV_CORE_STORE_H
#define HV_CORE_STORE_H

#include "core/image.h"

#define HV_STORE_DIR_IMAGES "images"
#define HV_STORE_INDEX "index"
#define HV_STORE_LOCK "lock"

/* Path of image ID in DIR. */
void hv_store_path(const char *dir, const char *id, char *path, size_t size);

/*
 * Verifies (signature by a key of the ring, code) and stores. An image that is there already is left alone, unless it may not be placed
 * by this ring, or is damaged: then this one, by whom it is signed, takes its place. id gets its content hash. 0 or -errno.
 */
int hv_store_add(const char *dir, const struct hv_image *img, const struct hv_keyring *ring, char id[65],
		 struct hv_err *e);

/* Deletes an image, readable or not. 0; -ENOENT; -errno with e, also when only the index could not be written. */
int hv_store_remove(const char *dir, const char *id, struct hv_err *e);

/* The index as it is, or, where it cannot be believed, as it would be; hv_index_free() it. 0 or -errno. */
struct hv_index;
int hv_store_index(const char *dir, struct hv_index *x, struct hv_err *e);

/* Makes the index anew, from the images that can be read. 0 or -errno. */
int hv_store_reindex(const char *dir, uint64_t *images, uint64_t *unreadable, struct hv_err *e);

/*
 * The best image for this guest and device: fits, verified; one for the device's vendor before one for any, then the highest
 * version, then the newest. The index and the image are read, however many there are. Without an index that can be
 * believed all images are looked at, and the log says so. 0; -ENOENT none fits (e says what is there and why not); -EPERM the
 * only ones that fit are not trusted. (find.c)
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
