// SPDX-License-Identifier: GPL-2.0-only
/* The repository of images. */
#include <sys/stat.h>
#include <unistd.h>
#include "core/store.h"
#include "img.h"
#include "unit.h"

static struct img_key key;
static char dir[256];

static void setup(void)
{
	img_key(&key, "test");
	snprintf(dir, sizeof(dir), "%s", unit_path("repo"));
}

/* Stores an image; its id. */
static const char *add(uint32_t version, uint64_t created, const char *release, char id[65])
{
	struct hv_image img;
	struct hv_err e = { 0 };

	img_make(&img, "\x90", 1, false);
	img.h.version = version;
	img.h.created = created;
	strcpy(img.h.releases, release);
	hv_image_sign(&img, key.secret);
	ck_assert_msg(!hv_store_add(dir, &img, &key.ring, id, &e), "%s", e.text);
	hv_image_free(&img);
	return id;
}

static int find(struct hv_image *img, char id[65], struct hv_err *e)
{
	return hv_store_find(dir, &key.ring, &img_want, img, id, e);
}

static int find_device(const char *device, struct hv_image *img, char id[65], struct hv_err *e)
{
	struct hv_want w = img_want;

	w.device = device;
	return hv_store_find(dir, &key.ring, &w, img, id, e);
}

/* Two devices of one mode: the one that is asked for, whichever is newer. */
START_TEST(of_device)
{
	char a[65], id[65];
	struct hv_image img;
	struct hv_err e;

	setup();
	add(9, 999, "6.1", a);		/* blkif */
	ck_assert_int_eq(find_device("virtio-blk", &img, id, &e), -ENOENT);
	ck_contains(e.text, "is a driver for blkif, not for virtio-blk");
	img_make(&img, "\x90", 1, false);
	img_kind(&img, "virtio-blk", "virtual", 2);
	hv_image_sign(&img, key.secret);
	ck_assert_int_eq(hv_store_add(dir, &img, &key.ring, id, &e), 0);
	hv_image_free(&img);
	ck_assert_int_eq(find_device("virtio-blk", &img, id, &e), 0);
	ck_assert_str_eq(img.h.device, "virtio-blk");
	hv_image_free(&img);
	ck_assert_int_eq(find_device("blkif", &img, id, &e), 0);
	ck_assert_str_eq(id, a);
	hv_image_free(&img);
}
END_TEST

/* One image for more than one release: each of them finds it, what is between them does not. */
START_TEST(more_releases)
{
	static const char *const served[] = { "6.1.0-56-amd64", "6.12.9+deb13-amd64", "6.5.1" };
	static const char *const other[] = { "6.2.0", "6.11.0", "6.13.0", "6.7.0", "5.10.0", "6.120.1" };
	struct hv_os os = img_os;
	struct hv_want want = img_want;
	char a[65], id[65];
	struct hv_image img;
	struct hv_err e;

	setup();
	want.os = &os;
	add(1, 100, "6.1,6.3..6.6,6.12", a);
	for (size_t i = 0; i < N(served); i++) {
		strcpy(os.release, served[i]);
		ck_assert_int_eq(hv_store_find(dir, &key.ring, &want, &img, id, &e), 0);
		ck_assert_str_eq(id, a);
		ck_assert_int_eq(hv_image_fits(&img, &want, &e), 0);	/* looked at again on placing */
		hv_image_free(&img);
	}
	for (size_t i = 0; i < N(other); i++) {
		strcpy(os.release, other[i]);
		ck_assert_int_eq(hv_store_find(dir, &key.ring, &want, &img, id, &e), -ENOENT);
		ck_contains(e.text, "is for linux 6.1,6.3..6.6,6.12, the guest runs");
	}
}
END_TEST

START_TEST(best)
{
	char a[65], b[65], c[65], id[65], path[512];
	struct hv_image img;
	struct hv_err e;

	setup();
	ck_assert_int_eq(find(&img, id, &e), -ENOENT);
	ck_contains(e.text, "empty");
	add(1, 100, "6.1", a);
	ck_assert_int_eq(find(&img, id, &e), 0);
	ck_assert_str_eq(id, a);
	hv_image_free(&img);
	add(2, 50, "6.1", b);
	add(9, 999, "6.2", c);		/* newer, for another release */
	ck_assert_int_eq(find(&img, id, &e), 0);
	ck_assert_str_eq(id, b);
	ck_assert_uint_eq(img.h.version, 2);
	hv_image_free(&img);
	/* stored again it is left alone */
	hv_store_path(dir, b, path, sizeof(path));
	ck_assert_int_eq(chmod(path, 0600), 0);
	add(2, 50, "6.1", id);
	ck_assert_str_eq(id, b);
}
END_TEST

START_TEST(none_fits)
{
	char id[65];
	struct hv_image img;
	struct hv_err e;

	setup();
	add(1, 1, "5.10", id);
	ck_assert_int_eq(find(&img, id, &e), -ENOENT);
	ck_contains(e.text, "5.10");
	ck_contains(e.text, img_os.release);
}
END_TEST

/* One that fits and is not trusted: said as that, and never placed. */
START_TEST(not_trusted)
{
	struct hv_keyring none = { 0 };
	char id[65];
	struct hv_image img;
	struct hv_err e;

	setup();
	add(1, 1, "6.1", id);
	ck_assert_int_eq(hv_store_find(dir, &none, &img_want, &img, id, &e), -EPERM);
	ck_contains(e.text, "not trusted");
}
END_TEST

/* Damaged on disk, swapped for another, or renamed. */
START_TEST(damaged)
{
	char a[65], b[65], id[65], pa[512], pb[512];
	struct hv_image img;
	struct hv_err e;
	size_t len;
	char *buf;

	setup();
	add(2, 1, "6.1", a);
	add(1, 1, "6.1", b);
	hv_store_path(dir, a, pa, sizeof(pa));
	hv_store_path(dir, b, pb, sizeof(pb));
	buf = unit_read(pa, &len);
	buf[len - 1] ^= 1;
	unit_write(pa, buf, len);
	ck_assert_int_eq(find(&img, id, &e), 0);	/* the other one still does */
	ck_assert_str_eq(id, b);
	hv_image_free(&img);
	ck_assert_int_eq(rename(pb, pa), 0);
	/* beside others that do not fit, wherever the folder has them, it is what is told */
	for (int i = 0; i < 9; i++) {
		ck_assert_int_eq(find(&img, id, &e), -ENOENT);
		ck_contains(e.text, "damaged");
		add(3 + i, 1, "5.10", id);
	}
}
END_TEST

START_TEST(refused)
{
	struct hv_image img;
	struct hv_err e;
	char id[65];

	setup();
	img_make(&img, "\x90", 1, false);
	ck_assert_int_eq(hv_store_add(dir, &img, &key.ring, id, &e), -EPERM);
	img_make(&img, "\x0f\x05", 2, false);
	hv_image_sign(&img, key.secret);
	ck_assert_int_eq(hv_store_add(dir, &img, &key.ring, id, &e), -ENOEXEC);
	ck_assert(!unit_exists(dir));
	/* a file where the folder should be */
	img_make(&img, "\x90", 1, false);
	hv_image_sign(&img, key.secret);
	unit_write(dir, "", 0);
	ck_assert_int_eq(hv_store_add(dir, &img, &key.ring, id, &e), -ENOTDIR);
}
END_TEST

/* Code that is refused is refused again when it is about to be placed, whoever wrote the file. */
START_TEST(checked_again)
{
	struct hv_image img;
	struct hv_err e;
	char id[65], path[512];
	uint8_t *buf;
	size_t len;

	setup();
	add(1, 1, "5.10", id);
	img_make(&img, "\x0f\x05", 2, false);
	buf = img_file(&img, &key, &len);
	hv_image_id(&img, id);
	hv_store_path(dir, id, path, sizeof(path));
	unit_write(path, buf, len);
	ck_assert_int_eq(find(&img, id, &e), -EPERM);
	ck_contains(e.text, "refused");
}
END_TEST

static int count(void *arg, const char *id, const struct hv_image *img, const char *why)
{
	++*(int *)arg;
	return 0;
}

/* The same driver by another key takes the place of one whose key is not good any more, and of no other. */
START_TEST(signed_again)
{
	struct img_key next;
	struct hv_image img;
	struct hv_err e;
	char id[65], same[65];
	int n = 0;

	setup();
	add(1, 1, "6.1", id);
	img_key(&next, "next");
	ck_assert_int_eq(hv_store_find(dir, &next.ring, &img_want, &img, same, &e), -EPERM);
	img_make(&img, "\x90", 1, false);
	strcpy(img.h.releases, "6.1");
	hv_image_sign(&img, next.secret);
	ck_assert_int_eq(hv_store_add(dir, &img, &next.ring, same, &e), 0);
	ck_assert_str_eq(same, id);
	hv_image_free(&img);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(hv_store_find(dir, &next.ring, &img_want, &img, same, &e), 0);
		ck_assert_mem_eq(img.h.key, next.pub.pub, HV_KEY_BYTES);
		hv_image_sign(&img, key.secret);
		/* both are good: the first one stays */
		ck_assert_int_eq(hv_store_add(dir, &img, &(struct hv_keyring){ 2, (struct hv_key[]){ key.pub, next.pub } }, same, &e), 0);
		hv_image_free(&img);
	}
	ck_assert_int_eq(hv_store_each(dir, count, &n, &e), 0);
	ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(resolve)
{
	char a[65], b[65], id[65], prefix[8], from[512], to[512];
	struct hv_err e;

	setup();
	ck_assert_int_eq(hv_store_resolve(dir, "abcd", id, &e), -ENOENT);
	add(1, 1, "6.1", a);
	snprintf(prefix, sizeof(prefix), "%.6s", a);
	ck_assert_int_eq(hv_store_resolve(dir, prefix, id, &e), 0);
	ck_assert_str_eq(id, a);
	ck_assert_int_eq(hv_store_resolve(dir, a, id, &e), 0);
	prefix[3] = 0;
	ck_assert_int_eq(hv_store_resolve(dir, prefix, id, &e), -EINVAL);
	/* another that begins alike: only the name counts here */
	snprintf(b, sizeof(b), "%.8s%056d", a, 0);
	hv_store_path(dir, a, from, sizeof(from));
	hv_store_path(dir, b, to, sizeof(to));
	ck_assert_int_eq(link(from, to), 0);
	snprintf(prefix, sizeof(prefix), "%.6s", a);
	ck_assert_int_eq(hv_store_resolve(dir, prefix, id, &e), -EINVAL);
	ck_contains(e.text, "2 images");
}
END_TEST

static int stop_at_first(void *arg, const char *id, const struct hv_image *img, const char *why)
{
	++*(int *)arg;
	return -ECANCELED;
}

START_TEST(each_stops)
{
	char id[65];
	struct hv_err e;
	int n = 0;

	setup();
	add(1, 1, "6.1", id);
	add(2, 1, "6.1", id);
	ck_assert_int_eq(hv_store_each(dir, stop_at_first, &n, &e), -ECANCELED);
	ck_assert_int_eq(n, 1);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("store", (const TTest *[]){ best, of_device, more_releases, none_fits, not_trusted, damaged, refused, checked_again, signed_again, resolve, each_stops, NULL });
}
