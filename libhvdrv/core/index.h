/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The index of a repository: DIR/index, a header and a record of fixed size per image, sorted: by what an image is for, then the
 * newest version first. So a lookup reads this file and the image that it takes, however many there are. It says where to
 * look and nothing more: an image is checked when it has been read, whatever the index says of it.
 *
 * It is written whole, beside the former one, and renamed. It holds the time at which DIR/images was changed last; a folder
 * that was changed since, by hand, is seen by that, and the index is not believed. Of a copy by an archive, whose folder has a time of
 * whole seconds, the seconds count.
 */
#ifndef HV_CORE_INDEX_H
#define HV_CORE_INDEX_H

#include "core/image.h"

#define HV_INDEX_MAGIC "HVDRVIDX"
#define HV_INDEX_FORMAT 1u
#define HV_INDEX_MAX 1000000u		/* images */

struct hv_index_header {
	char magic[8];
	uint32_t format, record_size;
	uint64_t count;
	uint64_t unreadable;		/* images that are there, and not in the index */
	int64_t changed_s, changed_ns;	/* of the folder of images */
	uint8_t hash[32];		/* BLAKE2b-256 of the file, this field zero */
};

struct hv_index_record {
	struct hv_index_key {
		char class[16], mode[16], os[16], os_arch[16], os_abi[32], vendor[16];
	} k;				/* each padded with zeroes */
	char releases[HV_RELEASES_SIZE];
	char features[HV_FEATURES_SIZE];
	char device[32];		/* not in the key: a driver may be looked for whichever device it is for */
	uint8_t id[32], key[HV_KEY_BYTES];
	uint64_t created;
	uint32_t version, abi;
};

struct hv_index {
	struct hv_index_header h;
	struct hv_index_record *r;	/* h.count of them */
};

/* Checks sizes, hash, texts and order of a copy of buf. 0, -EINVAL damaged, -ENOTSUP another format, -ENOMEM. hv_index_free() it. */
int hv_index_parse(const void *buf, size_t len, struct hv_index *x, struct hv_err *e);

/* The file's bytes, malloc'ed; sets the header's hash. NULL: no memory. */
void *hv_index_print(struct hv_index *x, size_t *len);

/* An image that is not in it goes to its end: sort before it is used or printed. 0, -ENOMEM, -EFBIG. */
int hv_index_add(struct hv_index *x, const struct hv_image *img, struct hv_err *e);
void hv_index_sort(struct hv_index *x);
void hv_index_take(struct hv_index *x, const uint8_t id[32]);	/* out, if it is there */

/* What an image that fits is sorted by, but for its vendor. */
void hv_index_key(const struct hv_want *w, const char *vendor, struct hv_index_key *k);

/* The place of the first record with this key, or of what comes behind it. */
size_t hv_index_first(const struct hv_index *x, const struct hv_index_key *k);

void hv_index_free(struct hv_index *x);

/*
 * DIR/index. load: 0; -ENOENT there is none; -ESTALE the folder of images was changed by hand since; -EINVAL, -ENOTSUP, -errno; with e.
 * save: 0 or -errno; the stamp is as hv_index_stamp() has set it.
 */
int hv_index_load(const char *dir, struct hv_index *x, struct hv_err *e);
int hv_index_save(const char *dir, struct hv_index *x, struct hv_err *e);

/* When DIR/images was changed last, into the header. 0, or -errno: -ENOENT there is none. */
int hv_index_stamp(const char *dir, struct hv_index *x);

HVDRV_ASSERT(sizeof(struct hv_index_header) == 80, index_header);
HVDRV_ASSERT(sizeof(struct hv_index_record) == 320, index_record);

#endif
