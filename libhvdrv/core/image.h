/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A driver image: the flat, signed file that is placed in a slot. hvdrv-image(5).
 *
 *   header, 512 bytes, little endian     what it is for, where its entries are
 *   payload, code then constants         byte 0 goes to the slot's byte 0
 *
 * The signature (Ed25519) covers the header, with the signature field zero, and
 * through its hash the payload. The id (BLAKE2b-256) covers what the image does:
 * header without key, signature and time, and payload. Same input, same id.
 */
#ifndef HV_CORE_IMAGE_H
#define HV_CORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <hvdrv/abi.h>
#include "util/err.h"

#define HV_IMAGE_MAGIC "HVDRVIMG"
#define HV_IMAGE_FORMAT 2u	/* 1 had one range of releases, and no vendor */
#define HV_IMAGE_SUFFIX ".hvi"
#define HV_RELEASES_SIZE 64	/* of a list of releases, with its end */
#define HV_FEATURES_SIZE 32	/* of a list of features, with its end */
#define HV_KEY_BYTES 32		/* Ed25519 public key */

struct hv_image_header {
	char magic[8];
	uint32_t format;
	uint32_t header_size;
	uint32_t code_size;		/* bytes of instructions */
	uint32_t payload_size;		/* code, padding, constants; at most a slot */
	uint32_t abi;			/* of the contract that the code follows */
	uint32_t version;		/* of the device description */
	uint32_t queue_fixed_pages;
	uint32_t queue_pages_per_tag;
	uint32_t entry[8];		/* offsets; HVDRV_ENTRIES of them are used */
	uint64_t created;		/* seconds since 1970 */
	char device[32], class[16], mode[16];
	char os[16], os_arch[16], os_abi[32];
	char releases[HV_RELEASES_SIZE];	/* those that it serves: hv_release_in() */
	char generator[32];
	uint8_t payload_hash[32];	/* BLAKE2b-256 */
	uint8_t key[HV_KEY_BYTES];	/* who signed */
	uint8_t signature[64];
	char vendor[16];		/* of the only devices that it drives, "": of any */
	char features[HV_FEATURES_SIZE];	/* of kernels that it runs in: hv_features_in() */
	uint8_t reserved[32];
};

struct hv_image {
	struct hv_image_header h;
	uint8_t *payload;
};

/* What the guest reports of itself: never trusted, only compared. */
struct hv_os {
	char type[16], arch[16], abi[32], release[64];
	char features[64];		/* what its kernel is built with: "ibt rethunk" */
};

struct hv_floor;

/* What a driver is looked for. */
struct hv_want {
	const struct hv_os *os;
	const char *class, *mode;
	const char *device;		/* the driver's, such as blkif; NULL: any */
	const char *vendor;		/* of the device behind it; "": none, or not known */
	const struct hv_floor *floor;	/* versions that are too old (core/floor.h); NULL: none are */
};

/* Keys whose signatures are accepted, within their limits (core/trust.h). */
struct hv_key {
	char name[64];
	uint8_t pub[HV_KEY_BYTES];
	char vendor[16];		/* good for images of this vendor's devices only; "": for all */
	char reason[128];		/* why it was revoked */
	int64_t expires, revoked;	/* seconds since 1970; 0: never */
};
struct hv_keyring {
	size_t n;
	struct hv_key *key;
	int64_t now;			/* what expiry is compared with, seconds since 1970; hv_keyring_load() takes the clock's */
};

/* Parses a copy of buf. 0; -EINVAL damaged; -ENOTSUP another format; -ENOMEM. On success hv_image_free() it. */
int hv_image_parse(const void *buf, size_t len, struct hv_image *img, struct hv_err *e);
int hv_image_load(const char *path, struct hv_image *img, struct hv_err *e);
void hv_image_free(struct hv_image *img);

/* The file's bytes, of hv_image_size(); into a buffer of the caller. */
size_t hv_image_size(const struct hv_image *img);
void hv_image_write(const struct hv_image *img, void *buf);

void hv_image_seal(struct hv_image *img);	/* sets payload_hash */
void hv_image_id(const struct hv_image *img, char id[65]);

/* Signs with an Ed25519 secret key of 64 bytes. */
void hv_image_sign(struct hv_image *img, const uint8_t secret[64]);

/*
 * Signed by a key of the ring that is good for it, and whole? Returns the key's index, or -EPERM (unsigned, unknown key, wrong
 * signature; a key that is revoked, has expired, or is another vendor's, under whichever of its names).
 */
int hv_image_verify(const struct hv_image *img, const struct hv_keyring *ring, struct hv_err *e);

/* The key's index in the ring, from `from` on: it may be there by several names. -1: it is not. */
int hv_keyring_find(const struct hv_keyring *ring, const uint8_t pub[HV_KEY_BYTES], size_t from);

/* Is it for this guest, class, mode and device? 0, or -ENOEXEC with the first thing that differs. */
int hv_image_fits(const struct hv_image *img, const struct hv_want *w, struct hv_err *e);

/*
 * Is a guest's release, "6.1.0-56-amd64", in a list: "6.1,6.3..6.6"? A part is in when it begins with these numbers, or is from
 * the first to what begins with the second. False also for a list that is not one.
 */
bool hv_release_in(const char *release, const char *list);

/* Is it such a list: parts with commas between them, numbers with dots between them, ranges that do not end before they begin? */
bool hv_releases_ok(const char *list);

/*
 * Is each release that `inner` has in `outer`, too? True is sure: each part of `inner` lies in one of `outer`. What only several parts
 * of that have together is not looked for.
 */
bool hv_releases_cover(const char *outer, const char *inner);

/* Is each of these features, which have blanks or commas between them, in a list: "ibt,rethunk"? */
bool hv_features_in(const char *features, const char *list);

/* Is it such a list: nothing, or words of small letters and digits with commas between them? */
bool hv_features_ok(const char *list);

/* Every file of DIR that ends in .pub, with its limits. A missing folder is an empty ring. 0 or -errno with the file that is wrong. */
int hv_keyring_load(const char *dir, struct hv_keyring *ring, struct hv_err *e);
void hv_keyring_free(struct hv_keyring *ring);

/* One public key's file. 0, -EINVAL it is none, or -errno. */
int hv_key_load(const char *path, uint8_t pub[HV_KEY_BYTES], struct hv_err *e);

HVDRV_ASSERT(sizeof(struct hv_image_header) == 512, image_header);

#endif
