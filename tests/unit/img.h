/* SPDX-License-Identifier: GPL-2.0-only */
/* Images made by hand, and keys. */
#ifndef IMG_H
#define IMG_H

#include "core/image.h"

#define IMG_BODY 0xa0u		/* where the entries jump to */

/* Five entries that jump to IMG_BODY, where `body` is; then `xor eax, eax`, ret and int3 unless bare. Sealed, not signed. */
void img_make(struct hv_image *img, const void *body, size_t len, bool bare);

/* Another device model than virtual blkif with two pages; before it is signed. */
void img_kind(struct hv_image *img, const char *device, const char *mode, uint32_t ring_pages);

struct img_key {
	struct hv_keyring ring;		/* holds this key only */
	struct hv_key pub;
	uint8_t secret[64];
};
void img_key(struct img_key *k, const char *name);

/* Signed, as a file's bytes; malloc'ed. */
uint8_t *img_file(struct hv_image *img, const struct img_key *k, size_t *len);

extern const struct hv_os img_os;	/* the guest that these images are for */
extern const struct hv_want img_want;	/* virtual, of it */

#endif
