// SPDX-License-Identifier: GPL-2.0-only
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "img.h"

const struct hv_os img_os = { .type = "linux", .arch = "x86_64", .abi = "linux-kernel", .release = "6.1.0-56-amd64" };
const struct hv_want img_want = { .os = &img_os, .class = "block", .mode = "virtual", .vendor = "" };

static void header(struct hv_image_header *h)
{
	memcpy(h->magic, HV_IMAGE_MAGIC, 8);
	h->format = HV_IMAGE_FORMAT;
	h->header_size = sizeof(*h);
	h->abi = HVDRV_ABI_MAX;
	h->version = 1;
	h->queue_fixed_pages = 2;
	h->queue_pages_per_tag = 1;
	h->created = 1700000000;
	strcpy(h->device, "blkif");
	strcpy(h->class, "block");
	strcpy(h->mode, "virtual");
	strcpy(h->os, img_os.type);
	strcpy(h->os_arch, img_os.arch);
	strcpy(h->os_abi, img_os.abi);
	strcpy(h->releases, "6.1");
	strcpy(h->generator, "test");
	for (int i = 0; i < HVDRV_ENTRIES; i++)
		h->entry[i] = HVDRV_ENTRY_OFFSET(i);
}

void img_make(struct hv_image *img, const void *body, size_t len, bool bare)
{
	static const uint8_t entry[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xe9 };

	memset(img, 0, sizeof(*img));
	header(&img->h);
	img->payload = malloc(HVDRV_SLOT_SIZE);
	memset(img->payload, 0xcc, HVDRV_SLOT_SIZE);
	for (uint32_t k = 0; k < HVDRV_ENTRIES; k++) {
		uint8_t *p = img->payload + HVDRV_ENTRY_OFFSET(k);
		uint32_t rel = IMG_BODY - (HVDRV_ENTRY_OFFSET(k) + 9);

		memcpy(p, entry, sizeof(entry));
		memcpy(p + 5, &rel, 4);
	}
	memcpy(img->payload + IMG_BODY, body, len);
	len += IMG_BODY;
	if (!bare) {
		memcpy(img->payload + len, "\x31\xc0\xc3\xcc", 4);
		len += 4;
	}
	img->h.code_size = img->h.payload_size = len;
	hv_image_seal(img);
}

void img_kind(struct hv_image *img, const char *device, const char *mode, uint32_t ring_pages)
{
	strcpy(img->h.device, device);
	strcpy(img->h.mode, mode);
	img->h.queue_fixed_pages = ring_pages;
}

void img_key(struct img_key *k, const char *name)
{
	memset(k, 0, sizeof(*k));
	strcpy(k->pub.name, name);
	crypto_sign_keypair(k->pub.pub, k->secret);
	k->ring.n = 1;
	k->ring.key = &k->pub;
}

uint8_t *img_file(struct hv_image *img, const struct img_key *k, size_t *len)
{
	uint8_t *buf;

	hv_image_sign(img, k->secret);
	*len = hv_image_size(img);
	buf = malloc(*len);
	hv_image_write(img, buf);
	return buf;
}
