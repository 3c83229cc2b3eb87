// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/index.h"
#include "core/store.h"
#include "util/file.h"
#include "util/str.h"

/* By what it is for; the newest first; the id, so that the order is one. */
static int compare(const struct hv_index_record *a, const struct hv_index_record *b)
{
	int c = memcmp(&a->k, &b->k, sizeof(a->k));

	if (c)
		return c;
	if (a->version != b->version)
		return a->version > b->version ? -1 : 1;
	if (a->created != b->created)
		return a->created > b->created ? -1 : 1;
	return memcmp(a->id, b->id, sizeof(a->id));
}

/* A text, and nothing but zeroes behind it. */
static bool is_padded(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	return n < size && sodium_is_zero((const unsigned char *)s + n, size - n);
}

static bool texts_ok(const struct hv_index_record *r)
{
	const struct hv_index_key *k = &r->k;

	return is_padded(k->class, sizeof(k->class)) && is_padded(k->mode, sizeof(k->mode)) && is_padded(k->os, sizeof(k->os)) &&
	       is_padded(k->os_arch, sizeof(k->os_arch)) && is_padded(k->os_abi, sizeof(k->os_abi)) &&
	       is_padded(k->vendor, sizeof(k->vendor)) && is_padded(r->releases, sizeof(r->releases)) &&
	       is_padded(r->features, sizeof(r->features)) &&
	       is_padded(r->device, sizeof(r->device));
}

static void hash_of(const void *buf, size_t len, uint8_t hash[32])
{
	const struct hv_index_header *file = buf;
	struct hv_index_header h = *file;
	crypto_generichash_state st;

	memset(h.hash, 0, sizeof(h.hash));
	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, (const uint8_t *)&h, sizeof(h));
	crypto_generichash_update(&st, (const uint8_t *)buf + sizeof(h), len - sizeof(h));
	crypto_generichash_final(&st, hash, 32);
}

static int check_header(const void *buf, size_t len, struct hv_err *e)
{
	const struct hv_index_header *h = buf;
	uint8_t hash[32];

	if (len < sizeof(*h) || memcmp(h->magic, HV_INDEX_MAGIC, 8))
		return hv_err(e, EINVAL, "not an index");
	if (h->format != HV_INDEX_FORMAT)
		return hv_err(e, ENOTSUP, "index of format %u, this hvdrv knows %u", h->format, HV_INDEX_FORMAT);
	if (h->record_size != sizeof(struct hv_index_record) || h->count > HV_INDEX_MAX ||
	    len != sizeof(*h) + h->count * sizeof(struct hv_index_record))
		return hv_err(e, EINVAL, "damaged: its sizes do not agree");
	hash_of(buf, len, hash);
	return memcmp(hash, h->hash, sizeof(hash)) ? hv_err(e, EINVAL, "damaged: it does not have the hash that it says") : 0;
}

static int check_records(const struct hv_index *x, struct hv_err *e)
{
	for (size_t i = 0; i < x->h.count; i++) {
		if (!texts_ok(&x->r[i]))
			return hv_err(e, EINVAL, "damaged: a text of record %zu", i);
		if (i && compare(&x->r[i - 1], &x->r[i]) >= 0)
			return hv_err(e, EINVAL, "damaged: record %zu is not where it belongs", i);
	}
	return 0;
}

int hv_index_parse(const void *buf, size_t len, struct hv_index *x, struct hv_err *e)
{
	int rc;

	memset(x, 0, sizeof(*x));
	rc = check_header(buf, len, e);
	if (rc)
		return rc;
	memcpy(&x->h, buf, sizeof(x->h));
	x->r = malloc(len - sizeof(x->h) + 1);
	if (!x->r)
		return hv_err(e, ENOMEM, "no memory");
	memcpy(x->r, (const char *)buf + sizeof(x->h), len - sizeof(x->h));
	rc = check_records(x, e);
	if (rc)
		hv_index_free(x);
	return rc;
}

void *hv_index_print(struct hv_index *x, size_t *len)
{
	size_t size = x->h.count * sizeof(*x->r);
	char *buf = malloc(sizeof(x->h) + size);

	if (!buf)
		return NULL;
	memcpy(x->h.magic, HV_INDEX_MAGIC, 8);
	x->h.format = HV_INDEX_FORMAT;
	x->h.record_size = sizeof(*x->r);
	memcpy(buf, &x->h, sizeof(x->h));
	if (size)
		memcpy(buf + sizeof(x->h), x->r, size);
	*len = sizeof(x->h) + size;
	hash_of(buf, *len, x->h.hash);
	memcpy(buf, &x->h, sizeof(x->h));
	return buf;
}

void hv_index_free(struct hv_index *x)
{
	free(x->r);
	memset(x, 0, sizeof(*x));
}

/* ---- change ---- */

static void text(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memset(to, 0, size);
	memcpy(to, from, n);
}

#define TEXT(to, from) text((to), sizeof(to), (from))

static void record_of(const struct hv_image *img, struct hv_index_record *r)
{
	const struct hv_image_header *h = &img->h;
	char id[65];

	memset(r, 0, sizeof(*r));
	TEXT(r->k.class, h->class);
	TEXT(r->k.mode, h->mode);
	TEXT(r->k.os, h->os);
	TEXT(r->k.os_arch, h->os_arch);
	TEXT(r->k.os_abi, h->os_abi);
	TEXT(r->k.vendor, h->vendor);
	TEXT(r->releases, h->releases);
	TEXT(r->features, h->features);
	TEXT(r->device, h->device);
	hv_image_id(img, id);
	hv_str_unhex(id, r->id, sizeof(r->id));
	memcpy(r->key, h->key, sizeof(r->key));
	r->created = h->created;
	r->version = h->version;
	r->abi = h->abi;
}

void hv_index_take(struct hv_index *x, const uint8_t id[32])
{
	size_t n = 0;

	for (size_t i = 0; i < x->h.count; i++) {
		if (!memcmp(x->r[i].id, id, 32))
			continue;
		if (n != i)
			x->r[n] = x->r[i];
		n++;
	}
	x->h.count = n;
}

int hv_index_add(struct hv_index *x, const struct hv_image *img, struct hv_err *e)
{
	struct hv_index_record *more;

	if (x->h.count >= HV_INDEX_MAX)
		return hv_err(e, EFBIG, "the repository has %u images, as many as an index holds", HV_INDEX_MAX);
	more = realloc(x->r, (x->h.count + 1) * sizeof(*x->r));
	if (!more)
		return hv_err(e, ENOMEM, "no memory");
	x->r = more;
	record_of(img, &x->r[x->h.count++]);
	return 0;
}

static int compare_any(const void *a, const void *b)
{
	return compare(a, b);
}

void hv_index_sort(struct hv_index *x)
{
	if (x->h.count)
		qsort(x->r, x->h.count, sizeof(*x->r), compare_any);
}

/* ---- search ---- */

void hv_index_key(const struct hv_want *w, const char *vendor, struct hv_index_key *k)
{
	TEXT(k->class, w->class);
	TEXT(k->mode, w->mode);
	TEXT(k->os, w->os->type);
	TEXT(k->os_arch, w->os->arch);
	TEXT(k->os_abi, w->os->abi);
	TEXT(k->vendor, vendor);
}

size_t hv_index_first(const struct hv_index *x, const struct hv_index_key *k)
{
	size_t lo = 0, hi = x->h.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(&x->r[mid].k, k, sizeof(*k)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- the file ---- */

int hv_index_stamp(const char *dir, struct hv_index *x)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/" HV_STORE_DIR_IMAGES, dir);
	if (stat(path, &st))
		return -errno;
	x->h.changed_s = st.st_mtim.tv_sec;
	x->h.changed_ns = st.st_mtim.tv_nsec;
	return 0;
}

/* In one piece: how often it is read from does not grow with it. */
static int read_piece(int fd, char **buf, size_t *len)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size > (off_t)(sizeof(struct hv_index_header) + HV_INDEX_MAX * sizeof(struct hv_index_record)))
		return -EFBIG;
	*buf = malloc(st.st_size + 1);
	if (!*buf)
		return -ENOMEM;
	n = read(fd, *buf, st.st_size);
	*len = n > 0 ? n : 0;		/* less than there is: its sizes do not agree */
	return n < 0 ? -errno : 0;
}

static int read_index(const char *path, struct hv_index *x, struct hv_err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;
	char *buf = NULL;
	size_t len = 0;

	if (!rc)
		rc = read_piece(fd, &buf, &len);
	if (fd >= 0)
		close(fd);
	if (rc)
		rc = hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	else if (hv_index_parse(buf, len, x, e))
		rc = hv_err_in(e, "%s", path);
	free(buf);
	return rc;
}

/* A copy by an archive (cpio, tar) keeps the whole seconds of a folder's time only; nobody changes a folder at a whole second. */
static bool same_time(const struct hv_index_header *folder, const struct hv_index_header *index)
{
	return folder->changed_s == index->changed_s && (!folder->changed_ns || folder->changed_ns == index->changed_ns);
}

int hv_index_load(const char *dir, struct hv_index *x, struct hv_err *e)
{
	struct hv_index now = { 0 };
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/" HV_STORE_INDEX, dir);
	memset(x, 0, sizeof(*x));
	rc = read_index(path, x, e);
	if (rc)
		return rc;
	rc = hv_index_stamp(dir, &now);
	if (!rc && same_time(&now.h, &x->h))
		return 0;
	hv_index_free(x);
	return hv_err(e, ESTALE, "%s: not of the images that are there", path);
}

int hv_index_save(const char *dir, struct hv_index *x, struct hv_err *e)
{
	char path[PATH_MAX];
	size_t len;
	void *buf = hv_index_print(x, &len);
	int rc;

	if (!buf)
		return hv_err(e, ENOMEM, "no memory");
	snprintf(path, sizeof(path), "%s/" HV_STORE_INDEX, dir);
	rc = hv_file_write(path, buf, len, 0644);
	free(buf);
	return rc ? hv_err(e, -rc, "%s: %s", path, strerror(-rc)) : 0;
}
