// SPDX-License-Identifier: LGPL-2.1-only
/* Which image a guest gets: by the index, or without one by looking at each image. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/check.h"
#include "core/floor.h"
#include "core/index.h"
#include "core/store.h"
#include "core/trust.h"
#include "util/log.h"
#include "util/str.h"

#define TRIES 16		/* images that cannot be read, one after the other: no more are looked at */

struct finder {
	const char *dir;
	const struct hv_keyring *ring;
	const struct hv_want *want;
	struct hv_image *best;
	char *id;
	uint64_t seen, unreadable;
	struct hv_err why;		/* why the one that tells most did not do */
};

/* One that would fit and is refused tells more than a damaged one, and that more than one that does not fit. */
static void note_refused(struct finder *f, const char *id, const struct hv_err *e)
{
	if (f->why.code != EPERM)
		hv_err(&f->why, EPERM, "image %.12s is refused: %s", id, e->text);
}

static void note_damaged(struct finder *f, const char *why)
{
	if (f->why.code != EPERM)
		hv_err(&f->why, EINVAL, "%s", why);
}

static void note_misfit(struct finder *f, const char *id, const char *why)
{
	if (!f->why.code)
		hv_err(&f->why, ENOENT, "image %.12s %s", id, why);
}

/* Not older than what this host has placed before? */
static bool new_enough(struct finder *f, const char *id, const char *device, const char *vendor, uint32_t version)
{
	uint32_t floor = f->want->floor ? hv_floor_of(f->want->floor, device, f->want->os->type, vendor) : 0;
	struct hv_err e;

	if (version >= floor)
		return true;
	hv_err(&e, EPERM, "it is version %u of %s, and version %u was placed on this host: attach the device with allow-older=1 to have it "
	       "all the same", version, device, floor);
	note_refused(f, id, &e);
	return false;
}

/* ---- by the index ---- */

/* Would its signer do? Says so without the image: those that are not to be placed are not read. */
static bool signer_good(struct finder *f, const struct hv_index_record *r, const char *id)
{
	int i = hv_keyring_find(f->ring, r->key, 0);
	struct hv_err e;
	int rc = 0;

	if (i < 0)
		rc = hv_err(&e, EPERM, "signed by a key that is not trusted here");
	for (; !rc && i >= 0; i = hv_keyring_find(f->ring, r->key, i + 1))
		rc = hv_key_good(&f->ring->key[i], f->ring->now, r->k.vendor, &e);
	if (rc)
		note_refused(f, id, &e);
	return !rc;
}

/* As hvdrv-image(5) and index.h have it: what was read is judged by itself, the index has only led here. 1: taken, 0: not. */
static int try_image(struct finder *f, const char *id, unsigned int *tries)
{
	struct hv_image img;
	struct hv_err e = { 0 };
	char path[4096], real[65];
	int rc;

	hv_store_path(f->dir, id, path, sizeof(path));
	rc = hv_image_load(path, &img, &e);
	if (rc) {
		++*tries;
		note_damaged(f, e.text);
		return 0;
	}
	hv_image_id(&img, real);
	if (strcmp(real, id)) {
		++*tries;
		hv_err(&e, EINVAL, "%s: damaged: it does not have the hash that its name says", path);
		note_damaged(f, e.text);
	} else if (hv_image_fits(&img, f->want, &e)) {
		note_misfit(f, id, e.text);
	} else if (!new_enough(f, id, img.h.device, img.h.vendor, img.h.version)) {
		;			/* the index has said otherwise */
	} else if (hv_image_verify(&img, f->ring, &e) < 0 || hv_check_code(&img, &e)) {
		note_refused(f, id, &e);
	} else {
		*f->best = img;
		strcpy(f->id, id);
		return 1;
	}
	hv_image_free(&img);
	return 0;
}

static bool in_reach(struct finder *f, const struct hv_index_record *r, const char *id)
{
	char why[300];

	if (r->abi < HVDRV_ABI_MIN || r->abi > HVDRV_ABI_MAX) {
		snprintf(why, sizeof(why), "follows version %u of the contract, this host speaks %u to %u", r->abi, HVDRV_ABI_MIN,
			 HVDRV_ABI_MAX);
		note_misfit(f, id, why);
		return false;
	}
	if (f->want->device && strcmp(r->device, f->want->device))
		snprintf(why, sizeof(why), "is a driver for %s, not for %s", r->device, f->want->device);
	else if (!hv_release_in(f->want->os->release, r->releases))
		snprintf(why, sizeof(why), "is for %s %s, the guest runs %s", r->k.os, r->releases, f->want->os->release);
	else if (!hv_features_in(f->want->os->features, r->features))
		snprintf(why, sizeof(why), "is for kernels built with no more than \"%s\", the guest's has \"%s\"", r->features, f->want->os->features);
	else
		return true;
	note_misfit(f, id, why);
	return false;
}

/* The images for devices of this vendor, best first. 1: one was taken. */
static int find_for(struct finder *f, const struct hv_index *x, const char *vendor, unsigned int *tries)
{
	struct hv_index_key k;
	char id[65];

	hv_index_key(f->want, vendor, &k);
	for (size_t i = hv_index_first(x, &k); i < x->h.count && !memcmp(&x->r[i].k, &k, sizeof(k)) && *tries < TRIES; i++) {
		hv_str_hex(x->r[i].id, sizeof(x->r[i].id), id);
		if (in_reach(f, &x->r[i], id) && new_enough(f, id, x->r[i].device, vendor, x->r[i].version) && signer_good(f, &x->r[i], id) &&
		    try_image(f, id, tries))
			return 1;
	}
	return 0;
}

static void find_indexed(struct finder *f, const struct hv_index *x)
{
	const struct hv_want *w = f->want;
	unsigned int tries = 0;

	f->unreadable = x->h.unreadable;
	f->seen = x->h.count + x->h.unreadable;
	if (*w->vendor && find_for(f, x, w->vendor, &tries))
		return;
	if (find_for(f, x, "", &tries) || f->why.code)
		return;
	hv_err(&f->why, ENOENT, "none of its %llu images drives %s %s in %s %s (%s) for a device %s%s", (unsigned long long)x->h.count,
	       w->class, w->mode, w->os->type, w->os->arch, w->os->abi, *w->vendor ? "of vendor " : "without a vendor", w->vendor);
}

/* ---- without ---- */

static bool better(const struct hv_image_header *a, const struct hv_image_header *b)
{
	if (!*a->vendor != !*b->vendor)
		return *a->vendor;
	return a->version > b->version || (a->version == b->version && a->created > b->created);
}

static int keep_best(struct finder *f, const char *id, const struct hv_image *img)
{
	uint8_t *copy = malloc(img->h.payload_size + 1);

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
	if (!img) {
		note_damaged(f, why);
		return 0;
	}
	if (hv_image_fits(img, f->want, &e)) {
		note_misfit(f, id, e.text);
		return 0;
	}
	if (!new_enough(f, id, img->h.device, img->h.vendor, img->h.version))
		return 0;
	if (f->best->payload && !better(&img->h, &f->best->h))
		return 0;			/* before it is verified and decoded, which takes long */
	if (hv_image_verify(img, f->ring, &e) < 0 || hv_check_code(img, &e)) {
		note_refused(f, id, &e);
		return 0;
	}
	return keep_best(f, id, img);
}

/* A repository that nothing was ever stored in has no index, and needs none. */
static int find_slowly(struct finder *f, const struct hv_err *why, struct hv_err *e)
{
	int rc = hv_store_each(f->dir, consider, f, e);

	if (!rc && f->seen)
		hv_log(HV_WARN, NULL, "all %llu images of the repository were looked at, its index cannot be used: %s; run `hvdrv-repo reindex`",
		       (unsigned long long)f->seen, why->text);
	return rc;
}

int hv_store_find(const char *dir, const struct hv_keyring *ring, const struct hv_want *w, struct hv_image *img, char id[65],
		  struct hv_err *e)
{
	struct finder f = { .dir = dir, .ring = ring, .want = w, .best = img, .id = id };
	struct hv_index x;
	struct hv_err why;
	int rc = 0;

	memset(img, 0, sizeof(*img));
	if (hv_index_load(dir, &x, &why)) {
		rc = find_slowly(&f, &why, e);
	} else {
		find_indexed(&f, &x);
		hv_index_free(&x);
	}
	if (rc)
		return rc;
	if (img->payload)
		return 0;
	if (!f.seen)
		return hv_err(e, ENOENT, "the repository %s is empty", dir);
	return hv_err(e, f.why.code == EPERM ? EPERM : ENOENT, "%s%s", f.why.text,
		      f.unreadable ? "; others there are damaged, see `hvdrv-repo verify`" : "");
}
