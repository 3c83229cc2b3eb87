// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index of a repository. First byte even: the rest is a file as it is. Odd: its sizes and its hash are made right first, so
 * that the records are reached. What is accepted is sorted, is written as it was read, and each record is found by its key.
 */
#include <sodium.h>
#include "core/index.h"
#include "fuzz.h"

static void mend(uint8_t *file, size_t size)
{
	struct hv_index_header h;
	uint8_t hash[32];

	memcpy(&h, file, sizeof(h));
	memcpy(h.magic, HV_INDEX_MAGIC, 8);
	h.format = HV_INDEX_FORMAT;
	h.record_size = sizeof(struct hv_index_record);
	h.count = (size - sizeof(h)) / sizeof(struct hv_index_record);
	memset(h.hash, 0, sizeof(h.hash));
	memcpy(file, &h, sizeof(h));
	crypto_generichash(hash, sizeof(hash), file, size, NULL, 0);
	memcpy(file + offsetof(struct hv_index_header, hash), hash, sizeof(hash));
}

static void check_found(const struct hv_index *x)
{
	for (size_t i = 0; i < x->h.count; i++) {
		size_t at = hv_index_first(x, &x->r[i].k);

		MUST(at <= i);
		MUST(!memcmp(&x->r[at].k, &x->r[i].k, sizeof(x->r[i].k)));
		MUST(!at || memcmp(&x->r[at - 1].k, &x->r[i].k, sizeof(x->r[i].k)) < 0);
		hv_release_in("6.1.0-56-amd64", x->r[i].releases);
		if (hv_releases_ok(x->r[i].releases))
			MUST(hv_releases_cover(x->r[i].releases, x->r[i].releases));
	}
}

static void check_written(struct hv_index *x, const uint8_t *file, size_t size)
{
	size_t len;
	void *out;

	hv_index_sort(x);
	out = hv_index_print(x, &len);
	MUST(out && len == size && !memcmp(out, file, size));
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	bool mended = in_u8(&in) & 1;
	struct hv_err e = { 0 };
	struct hv_index x;
	uint8_t *file;

	MUST(sodium_init() >= 0);
	size = in.left;
	file = malloc(size ? size : 1);		/* nothing behind it, and aligned as a file's bytes are */
	MUST(file);
	in_bytes(&in, file, size);
	if (mended && size >= sizeof(struct hv_index_header))
		mend(file, size);
	if (hv_index_parse(file, size, &x, &e)) {
		MUST(e.code && *e.text && !x.r);
	} else {
		check_found(&x);
		check_written(&x, file, size);
		for (size_t i = x.h.count; i-- > 0;)
			hv_index_take(&x, x.r[i].id);
		MUST(!x.h.count);
		hv_index_free(&x);
	}
	free(file);
	return 0;
}
