// SPDX-License-Identifier: GPL-2.0-only
/*
 * Driver images. First byte even: the rest is a file as it is. Odd: it is sealed and signed here first, so that what
 * lies behind the hash and the signature is reached; a signed image must verify, and no more when one bit is changed.
 */
#include <errno.h>
#include <sodium.h>
#include "core/image.h"
#include "fuzz.h"

static uint8_t pub[HV_KEY_BYTES], secret[64];
static struct hv_key key = { .name = "fuzz" };
static struct hv_keyring ring = { .n = 1, .key = &key };

static void make_key(void)
{
	static const uint8_t seed[32] = { 'h', 'v' };

	if (*key.pub)
		return;
	MUST(sodium_init() >= 0);
	crypto_sign_seed_keypair(pub, secret, seed);
	memcpy(key.pub, pub, sizeof(pub));
}

static void check_texts(const struct hv_image *img)
{
	struct hv_os os = { 0 };
	struct hv_err e;
	char id[65];

	hv_image_id(img, id);
	MUST(strlen(id) == 64);
	snprintf(os.type, sizeof(os.type), "%s", img->h.os);
	snprintf(os.arch, sizeof(os.arch), "%s", img->h.os_arch);
	snprintf(os.abi, sizeof(os.abi), "%.31s", img->h.os_abi);
	snprintf(os.release, sizeof(os.release), "%s", img->h.releases);
	hv_image_fits(img, &(struct hv_want){ .os = &os, .class = img->h.class, .mode = img->h.mode, .device = img->h.device, .vendor = img->h.vendor }, &e);
}

/* The file that is written is the file that was read. */
static void check_written(const struct hv_image *img, const uint8_t *data, size_t size)
{
	uint8_t *out = malloc(hv_image_size(img));

	MUST(out && hv_image_size(img) == size);
	hv_image_write(img, out);
	MUST(!memcmp(out, data, size));
	free(out);
}

static void check_signed(struct hv_image *img, uint8_t where)
{
	struct hv_err e = { 0 };
	uint8_t *h = (uint8_t *)&img->h;

	if (where < offsetof(struct hv_image_header, abi))
		where = offsetof(struct hv_image_header, abi);	/* not the sizes: they agree with the memory */
	hv_image_sign(img, secret);
	MUST(!hv_image_verify(img, &ring, &e));
	h[where] ^= 1;			/* the fields before the key, and the key */
	MUST(hv_image_verify(img, &ring, &e) == -EPERM);
	h[where] ^= 1;
	if (img->h.payload_size) {
		img->payload[where % img->h.payload_size] ^= 1;
		MUST(hv_image_verify(img, &ring, &e) == -EPERM);
	}
}

/* The hash of the payload as it is: a change of the payload alone would never get further. */
static void seal(uint8_t *file, size_t size)
{
	struct hv_image img;

	if (size < sizeof(img.h))
		return;
	memcpy(&img.h, file, sizeof(img.h));
	img.h.payload_size = size - sizeof(img.h);
	img.payload = file + sizeof(img.h);
	hv_image_seal(&img);
	memcpy(file + offsetof(struct hv_image_header, payload_hash), img.h.payload_hash, sizeof(img.h.payload_hash));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	bool sealed = in_u8(&in) & 1;
	struct hv_err e = { 0 };
	struct hv_image img;
	uint8_t *file;

	make_key();
	file = malloc(in.left ? in.left : 1);
	MUST(file);
	size = in.left;
	in_bytes(&in, file, size);
	if (sealed)
		seal(file, size);
	if (!hv_image_parse(file, size, &img, &e)) {
		check_written(&img, file, size);
		MUST(hv_image_verify(&img, &ring, &e) <= 0);
		check_texts(&img);
		check_signed(&img, size ? file[size - 1] : 0);
		hv_image_free(&img);
	} else {
		MUST(e.code && *e.text && !img.payload);
	}
	free(file);
	return 0;
}
