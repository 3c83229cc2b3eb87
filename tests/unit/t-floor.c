// SPDX-License-Identifier: GPL-2.0-only
/* Rollback protection: the highest version that was placed is remembered, and an older one is not found. */
#include <sys/stat.h>
#include <unistd.h>
#include "core/floor.h"
#include "core/store.h"
#include "img.h"
#include "unit.h"

static char state[256], file[300];

static void setup(void)
{
	snprintf(state, sizeof(state), "%s", unit_path("state"));
	snprintf(file, sizeof(file), "%s/versions", state);
}

static void raise_vendor(const char *device, const char *os, const char *vendor, uint32_t version)
{
	struct hv_image_header h = { .version = version };
	struct hv_err e = { 0 };

	strcpy(h.device, device);
	strcpy(h.os, os);
	strcpy(h.vendor, vendor);
	ck_assert_msg(!hv_floor_raise(state, &h, &e), "%s", e.text);
}

static void raise_floor(const char *device, const char *os, uint32_t version)
{
	raise_vendor(device, os, "", version);
}

static uint32_t vendor_now(const char *device, const char *os, const char *vendor)
{
	struct hv_floor f;
	struct hv_err e = { 0 };
	uint32_t v;

	ck_assert_msg(!hv_floor_load(state, &f, &e), "%s", e.text);
	v = hv_floor_of(&f, device, os, vendor);
	hv_floor_free(&f);
	return v;
}

static uint32_t floor_now(const char *device, const char *os)
{
	return vendor_now(device, os, "");
}

START_TEST(rises)
{
	struct stat before, after;

	setup();
	ck_assert_uint_eq(floor_now("blkif", "linux"), 0);
	raise_floor("blkif", "linux", 3);
	raise_floor("nvme", "linux", 1);
	raise_floor("blkif", "other", 9);
	ck_assert_uint_eq(floor_now("blkif", "linux"), 3);
	ck_assert_uint_eq(floor_now("nvme", "linux"), 1);
	ck_assert_uint_eq(floor_now("blkif", "other"), 9);
	ck_assert_uint_eq(floor_now("nvme", "other"), 0);
	ck_assert_int_eq(stat(file, &before), 0);
	raise_floor("blkif", "linux", 2);
	raise_floor("blkif", "linux", 3);
	ck_assert_int_eq(stat(file, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);		/* not written again */
	ck_assert_uint_eq(floor_now("blkif", "linux"), 3);
	raise_floor("blkif", "linux", UINT32_MAX);
	ck_assert_uint_eq(floor_now("blkif", "linux"), UINT32_MAX);
	ck_assert_uint_eq(floor_now("blkif", "other"), 9);
}
END_TEST

/* A vendor's versions keep out older ones of this vendor, and nobody else's. */
START_TEST(vendors)
{
	setup();
	raise_vendor("nvme", "linux", "144d", 7);
	raise_floor("nvme", "linux", 2);
	raise_vendor("nvme", "linux", "1b36", 3);
	ck_assert_uint_eq(vendor_now("nvme", "linux", "144d"), 7);
	ck_assert_uint_eq(vendor_now("nvme", "linux", "1b36"), 3);
	ck_assert_uint_eq(floor_now("nvme", "linux"), 2);
	ck_assert_uint_eq(vendor_now("nvme", "linux", "beef"), 0);
}
END_TEST

/* The longest names that an image has. */
START_TEST(longest)
{
	const char *device = "ddddddddddddddddddddddddddddddd", *os = "ooooooooooooooo", *vendor = "vvvvvvvvvvvvvvv";

	setup();
	raise_floor(device, os, 4000000000u);
	raise_vendor(device, os, vendor, 3000000000u);
	raise_floor("blkif", "linux", 1);
	ck_assert_uint_eq(floor_now(device, os), 4000000000u);
	ck_assert_uint_eq(vendor_now(device, os, vendor), 3000000000u);
	ck_assert_uint_eq(floor_now("blkif", "linux"), 1);
}
END_TEST

static const char *const wrong[] = {
	"blkif", "blkif linux", "blkif linux x", "blkif linux -1", "blkif linux 4294967296", "blkif linux 1 a_b", "blkif linux 1 a b",
	"blkif linux 1\nblkif linux 2", "blkif linux 1 a\nblkif linux 2 a", "blkif linux 1 vvvvvvvvvvvvvvvv",
	"dddddddddddddddddddddddddddddddd linux 1", "blkif oooooooooooooooo 1",
};

/* What cannot be read does not let older ones in. */
START_TEST(damaged)
{
	struct hv_image_header h = { .device = "blkif", .os = "linux", .version = 1 };
	struct hv_floor f;
	struct hv_err e;
	size_t len;

	setup();
	mkdir(state, 0755);
	unit_write(file, wrong[_i], strlen(wrong[_i]));
	ck_assert_int_eq(hv_floor_load(state, &f, &e), -EINVAL);
	ck_contains(e.text, "versions: line");
	ck_assert_uint_eq(f.n, 0);
	ck_assert_int_eq(hv_floor_raise(state, &h, &e), -EINVAL);
	ck_assert_str_eq(unit_read(file, &len), wrong[_i]);
	unit_write(file, "blkif linux 1\n\0", 15);
	ck_assert_int_eq(hv_floor_load(state, &f, &e), -EINVAL);
	ck_contains(e.text, "not a text");
}
END_TEST

START_TEST(cannot_be_written)
{
	struct hv_image_header h = { .device = "blkif", .os = "linux", .version = 1 };
	struct hv_err e;

	setup();
	unit_write(state, "", 0);		/* a file where the folder should be */
	ck_assert_int_lt(hv_floor_raise(state, &h, &e), 0);
	ck_contains(e.text, "versions");
}
END_TEST

/* By the index and without it: the older one is refused with what to do, unless it is asked for; a newer one is found. */
START_TEST(lookup)
{
	struct hv_floor_line line = { .device = "blkif", .os = "linux", .version = 3 };
	const struct hv_floor floor = { .n = 1, .line = &line };
	struct hv_want want = img_want;
	char a[65], b[65], id[65], index[400];
	const char *dir = unit_path("repo");
	struct hv_image img;
	struct img_key key;
	struct hv_err e;

	img_key(&key, "test");
	snprintf(index, sizeof(index), "%s/index", dir);
	img_make(&img, "\x90", 1, false);
	img.h.version = 2;
	hv_image_sign(&img, key.secret);
	ck_assert_int_eq(hv_store_add(dir, &img, &key.ring, a, &e), 0);
	for (int indexed = 1; indexed >= 0; indexed--) {
		want.floor = &floor;
		ck_assert_int_eq(hv_store_find(dir, &key.ring, &want, &img, id, &e), -EPERM);
		ck_contains(e.text, "it is version 2 of blkif, and version 3 was placed on this host");
		ck_contains(e.text, "allow-older=1");
		want.floor = NULL;
		ck_assert_int_eq(hv_store_find(dir, &key.ring, &want, &img, id, &e), 0);
		ck_assert_str_eq(id, a);
		hv_image_free(&img);
		if (indexed)
			ck_assert_int_eq(unlink(index), 0);
	}
	img_make(&img, "\x90", 1, false);
	img.h.version = 3;
	hv_image_sign(&img, key.secret);
	ck_assert_int_eq(hv_store_add(dir, &img, &key.ring, b, &e), 0);
	want.floor = &floor;
	ck_assert_int_eq(hv_store_find(dir, &key.ring, &want, &img, id, &e), 0);
	ck_assert_str_eq(id, b);
	hv_image_free(&img);
	/* another device of the same mode has versions of its own */
	img_make(&img, "\x90", 1, false);
	img_kind(&img, "virtio-blk", "virtual", 2);
	img.h.version = 1;
	hv_image_sign(&img, key.secret);
	ck_assert_int_eq(hv_store_add(dir, &img, &key.ring, a, &e), 0);
	hv_image_free(&img);
	want.device = "virtio-blk";
	ck_assert_int_eq(hv_store_find(dir, &key.ring, &want, &img, id, &e), 0);
	ck_assert_str_eq(id, a);
	hv_image_free(&img);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("floor", (const TTest *[]){ rises, vendors, longest, cannot_be_written, lookup, NULL });

	unit_loop(s, "damaged", damaged, N(wrong));
	return s;
}
