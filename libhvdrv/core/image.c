// SPDX-License-Identifier: LGPL-2.1-only
#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/image.h"
#include "core/trust.h"
#include "util/file.h"
#include "util/str.h"

size_t hv_image_size(const struct hv_image *img)
{
	return sizeof(img->h) + img->h.payload_size;
}

void hv_image_write(const struct hv_image *img, void *buf)
{
	memcpy(buf, &img->h, sizeof(img->h));
	memcpy((char *)buf + sizeof(img->h), img->payload, img->h.payload_size);
}

static bool is_text(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	if (n == size)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)s[i]))
			return false;
	return true;
}

static bool texts_ok(const struct hv_image_header *h)
{
	return is_text(h->device, sizeof(h->device)) && is_text(h->class, sizeof(h->class)) &&
	       is_text(h->mode, sizeof(h->mode)) && is_text(h->os, sizeof(h->os)) &&
	       is_text(h->os_arch, sizeof(h->os_arch)) && is_text(h->os_abi, sizeof(h->os_abi)) &&
	       is_text(h->releases, sizeof(h->releases)) && is_text(h->generator, sizeof(h->generator)) &&
	       is_text(h->vendor, sizeof(h->vendor)) && is_text(h->features, sizeof(h->features));
}

static int check_header(const struct hv_image_header *h, size_t len, struct hv_err *e)
{
	if (memcmp(h->magic, HV_IMAGE_MAGIC, 8))
		return hv_err(e, EINVAL, "not a driver image");
	if (h->format < HV_IMAGE_FORMAT)
		return hv_err(e, ENOTSUP, "image format %u, of an older hvdrv, this one knows %u: generate it again", h->format,
			      HV_IMAGE_FORMAT);
	if (h->format != HV_IMAGE_FORMAT)
		return hv_err(e, ENOTSUP, "image format %u, this hvdrv knows %u: update hvdrv", h->format, HV_IMAGE_FORMAT);
	if (h->header_size != sizeof(*h) || h->payload_size > HVDRV_SLOT_SIZE || h->code_size > h->payload_size ||
	    len != sizeof(*h) + h->payload_size)
		return hv_err(e, EINVAL, "damaged: its sizes do not agree");
	if (!texts_ok(h))
		return hv_err(e, EINVAL, "damaged: a text field is not text");
	if (!hv_releases_ok(h->releases))
		return hv_err(e, EINVAL, "damaged: \"%s\" is no list of releases", h->releases);
	if (!hv_features_ok(h->features))
		return hv_err(e, EINVAL, "damaged: \"%s\" is no list of features", h->features);
	for (int i = 0; i < HVDRV_ENTRIES; i++)
		if (h->entry[i] != HVDRV_ENTRY_OFFSET(i) || h->entry[i] >= h->code_size)
			return hv_err(e, EINVAL, "damaged: entry %d is not where the contract puts it", i);
	return 0;
}

static void payload_hash(const struct hv_image *img, uint8_t out[32])
{
	crypto_generichash(out, 32, img->payload, img->h.payload_size, NULL, 0);
}

int hv_image_parse(const void *buf, size_t len, struct hv_image *img, struct hv_err *e)
{
	uint8_t hash[32];
	int rc;

	memset(img, 0, sizeof(*img));
	if (len < sizeof(img->h))
		return hv_err(e, EINVAL, "not a driver image: only %zu bytes", len);
	memcpy(&img->h, buf, sizeof(img->h));
	rc = check_header(&img->h, len, e);
	if (rc)
		return rc;
	img->payload = malloc(img->h.payload_size + 1);
	if (!img->payload)
		return hv_err(e, ENOMEM, "no memory");
	memcpy(img->payload, (const char *)buf + sizeof(img->h), img->h.payload_size);
	payload_hash(img, hash);
	if (!memcmp(hash, img->h.payload_hash, sizeof(hash)))
		return 0;
	hv_image_free(img);
	return hv_err(e, EINVAL, "damaged: its code does not have the hash that its header says");
}

int hv_image_load(const char *path, struct hv_image *img, struct hv_err *e)
{
	void *buf;
	size_t len;
	int rc = hv_file_read(path, sizeof(struct hv_image_header) + HVDRV_SLOT_SIZE, &buf, &len);

	if (rc == -EFBIG)
		return hv_err(e, EINVAL, "%s: not a driver image: too large", path);
	if (rc)
		return hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	rc = hv_image_parse(buf, len, img, e);
	free(buf);
	if (rc)
		hv_err_in(e, "%s", path);
	return rc;
}

void hv_image_free(struct hv_image *img)
{
	free(img->payload);
	img->payload = NULL;
}

void hv_image_seal(struct hv_image *img)
{
	payload_hash(img, img->h.payload_hash);
}

void hv_image_id(const struct hv_image *img, char id[65])
{
	struct hv_image_header h = img->h;
	uint8_t hash[32];

	h.created = 0;
	memset(h.key, 0, sizeof(h.key));
	memset(h.signature, 0, sizeof(h.signature));
	crypto_generichash(hash, sizeof(hash), (uint8_t *)&h, sizeof(h), NULL, 0);
	hv_str_hex(hash, sizeof(hash), id);
}

void hv_image_sign(struct hv_image *img, const uint8_t secret[64])
{
	uint8_t sig[64];

	hv_image_seal(img);
	crypto_sign_ed25519_sk_to_pk(img->h.key, secret);
	memset(img->h.signature, 0, sizeof(img->h.signature));
	crypto_sign_detached(sig, NULL, (uint8_t *)&img->h, sizeof(img->h), secret);
	memcpy(img->h.signature, sig, sizeof(sig));
}

int hv_image_verify(const struct hv_image *img, const struct hv_keyring *ring, struct hv_err *e)
{
	struct hv_image_header h = img->h;
	uint8_t hash[32];
	int first;

	payload_hash(img, hash);
	if (memcmp(hash, h.payload_hash, sizeof(hash)))
		return hv_err(e, EPERM, "damaged: its code does not have the hash that its header says");
	if (sodium_is_zero(h.key, sizeof(h.key)))
		return hv_err(e, EPERM, "not signed");
	first = hv_keyring_find(ring, h.key, 0);
	if (first < 0)
		return hv_err(e, EPERM, "signed by a key that is not trusted here");
	memset(h.signature, 0, sizeof(h.signature));
	if (crypto_sign_verify_detached(img->h.signature, (uint8_t *)&h, sizeof(h), h.key))
		return hv_err(e, EPERM, "its signature is wrong");
	for (int i = first; i >= 0; i = hv_keyring_find(ring, h.key, i + 1))
		if (hv_key_good(&ring->key[i], ring->now, h.vendor, e))
			return -EPERM;
	return first;
}

/* Compares the numbers of two releases, as many as `bound` has. */
static int cmp_release(const char *rel, const char *bound)
{
	while (*bound) {
		char *re, *be;
		unsigned long r = strtoul(rel, &re, 10), b = strtoul(bound, &be, 10);

		if (r != b || be == bound)
			return r < b ? -1 : r > b;
		bound = *be == '.' ? be + 1 : be;
		rel = *re == '.' ? re + 1 : "";
		if (*be != '.')
			break;
	}
	return 0;
}

struct release_range {
	char min[HV_RELEASES_SIZE], max[HV_RELEASES_SIZE];
};

/* "6.1" from *s on, which goes behind it. */
static bool scan_bound(const char **s, char bound[HV_RELEASES_SIZE])
{
	const char *from = *s;
	size_t len;

	do {
		if (!isdigit((unsigned char)**s))
			return false;
		while (isdigit((unsigned char)**s))
			(*s)++;
	} while (**s == '.' && (*s)[1] != '.' && *++*s);
	len = *s - from;
	if (len >= HV_RELEASES_SIZE || (*s)[-1] == '.')
		return false;
	memcpy(bound, from, len);
	bound[len] = 0;
	return true;
}

/* The next part of a list: 1; 0 at its end; -1 when that is none. */
static int scan_range(const char **s, struct release_range *r)
{
	if (!**s)
		return 0;
	if (!scan_bound(s, r->min))
		return -1;
	if (strncmp(*s, "..", 2)) {
		strcpy(r->max, r->min);
	} else {
		*s += 2;
		if (!scan_bound(s, r->max) || cmp_release(r->min, r->max) > 0)
			return -1;
	}
	if (!**s)
		return 1;
	return *(*s)++ == ',' && **s ? 1 : -1;
}

bool hv_release_in(const char *release, const char *list)
{
	struct release_range r;

	if (!isdigit((unsigned char)release[0]) || !hv_releases_ok(list))
		return false;
	while (scan_range(&list, &r) > 0)
		if (cmp_release(release, r.min) >= 0 && cmp_release(release, r.max) <= 0)
			return true;
	return false;
}

bool hv_releases_ok(const char *list)
{
	struct release_range r;
	int rc = *list ? 1 : -1;

	while (rc > 0)
		rc = scan_range(&list, &r);
	return !rc;
}

static unsigned int numbers(const char *bound)
{
	unsigned int n = 1;

	for (; *bound; bound++)
		n += *bound == '.';
	return n;
}

/* An upper bound of fewer numbers reaches further: 6 is behind 6.1. */
static bool range_covered(const char *list, const struct release_range *in)
{
	struct release_range r;

	while (scan_range(&list, &r) > 0)
		if (cmp_release(in->min, r.min) >= 0 && cmp_release(in->max, r.max) <= 0 && numbers(r.max) <= numbers(in->max))
			return true;
	return false;
}

bool hv_releases_cover(const char *outer, const char *inner)
{
	struct release_range r;

	if (!hv_releases_ok(outer) || !hv_releases_ok(inner))
		return false;
	while (scan_range(&inner, &r) > 0)
		if (!range_covered(outer, &r))
			return false;
	return true;
}

static bool is_feature(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool hv_features_ok(const char *list)
{
	for (const char *s = list; *s; s++)
		if (!is_feature(*s) && (*s != ',' || s == list || !is_feature(s[-1]) || !is_feature(s[1])))
			return false;
	return true;
}

static bool has_word(const char *list, const char *word, size_t n)
{
	while (*list) {
		size_t k = strcspn(list, ",");

		if (k == n && !memcmp(list, word, n))
			return true;
		list += k + (list[k] == ',');
	}
	return false;
}

bool hv_features_in(const char *features, const char *list)
{
	for (size_t n;; features += n) {
		features += strspn(features, " ,");
		n = strcspn(features, " ,");
		if (!n)
			return true;
		if (!has_word(list, features, n))
			return false;
	}
}

int hv_image_fits(const struct hv_image *img, const struct hv_want *w, struct hv_err *e)
{
	const struct hv_image_header *h = &img->h;
	const struct hv_os *os = w->os;

	if (h->abi < HVDRV_ABI_MIN || h->abi > HVDRV_ABI_MAX)
		return hv_err(e, ENOEXEC, "follows version %u of the contract, this host speaks %u to %u", h->abi,
			      HVDRV_ABI_MIN, HVDRV_ABI_MAX);
	if (strcmp(h->class, w->class) || strcmp(h->mode, w->mode))
		return hv_err(e, ENOEXEC, "drives %s %s, not %s %s", h->class, h->mode, w->class, w->mode);
	if (w->device && strcmp(h->device, w->device))
		return hv_err(e, ENOEXEC, "is a driver for %s, not for %s", h->device, w->device);
	if (*h->vendor && strcmp(h->vendor, w->vendor))
		return hv_err(e, ENOEXEC, "is for devices of vendor %s only", h->vendor);
	if (strcmp(h->os, os->type) || strcmp(h->os_arch, os->arch) || strcmp(h->os_abi, os->abi))
		return hv_err(e, ENOEXEC, "is for %s %s (%s), the guest runs %s %s (%s)", h->os, h->os_arch, h->os_abi,
			      os->type, os->arch, os->abi);
	if (!hv_release_in(os->release, h->releases))
		return hv_err(e, ENOEXEC, "is for %s %s, the guest runs %s", h->os, h->releases, os->release);
	if (!hv_features_in(os->features, h->features))
		return hv_err(e, ENOEXEC, "is for kernels built with no more than \"%s\", the guest's has \"%s\"", h->features, os->features);
	return 0;
}
