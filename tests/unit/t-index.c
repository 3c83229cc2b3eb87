// SPDX-License-Identifier: GPL-2.0-only
/* The index of a repository: what it leads to is what looking at each image finds, and how much is read does not grow. */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/index.h"
#include "core/store.h"
#include "img.h"
#include "unit.h"
#include "util/str.h"

static struct img_key key;
static char dir[256], images[300], file[300];

/* ---- what is read: each file, folder and piece of one ---- */

static unsigned int opened, folders, pieces;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	opened++;
	return __real_open(path, flags, mode);
}

ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len)
{
	pieces++;
	return __real_read(fd, buf, len);
}

typedef int (*pick_fn)(const struct dirent *);
typedef int (*order_fn)(const struct dirent **, const struct dirent **);
int __real_scandir(const char *path, struct dirent ***list, pick_fn pick, order_fn order);
int __wrap_scandir(const char *path, struct dirent ***list, pick_fn pick, order_fn order);
int __wrap_scandir(const char *path, struct dirent ***list, pick_fn pick, order_fn order)
{
	folders++;
	return __real_scandir(path, list, pick, order);
}

/* ---- images ---- */

static void setup(void)
{
	img_key(&key, "test");
	snprintf(dir, sizeof(dir), "%s", unit_path("repo"));
	snprintf(images, sizeof(images), "%s/images", dir);
	snprintf(file, sizeof(file), "%s/index", dir);
	mkdir(dir, 0755);
	mkdir(images, 0755);
}

static void make(struct hv_image *img, uint32_t version, const char *release, const char *vendor)
{
	img_make(img, "\x90", 1, false);
	img->h.version = version;
	strcpy(img->h.releases, release);
	strcpy(img->h.vendor, vendor);
	hv_image_sign(img, key.secret);
}

static int try_add(struct hv_image *img, char id[65], struct hv_err *e)
{
	int rc = hv_store_add(dir, img, &key.ring, id, e);

	hv_image_free(img);
	return rc;
}

static void add(uint32_t version, const char *release, char id[65])
{
	struct hv_image img;
	struct hv_err e = { 0 };

	make(&img, version, release, "");
	ck_assert_msg(!try_add(&img, id, &e), "%s", e.text);
}

/* As an admin's cp does it: nobody is told. */
static void put_by_hand(struct hv_image *img)
{
	char id[65], path[512];
	size_t len = hv_image_size(img);
	uint8_t *buf = malloc(len);

	hv_image_write(img, buf);
	hv_image_id(img, id);
	hv_store_path(dir, id, path, sizeof(path));
	unit_write(path, buf, len);
	free(buf);
	hv_image_free(img);
}

static int find(const struct hv_want *w, char id[65], struct hv_err *e)
{
	struct hv_image img;
	int rc = hv_store_find(dir, &key.ring, w, &img, id, e);

	hv_image_free(&img);
	return rc;
}

static void found(const char *expected)
{
	struct hv_err e = { 0 };
	char id[65];

	ck_assert_msg(!find(&img_want, id, &e), "%s", e.text);
	ck_assert_str_eq(id, expected);
}

static void reindex(uint64_t images_then, uint64_t unreadable_then)
{
	struct hv_err e = { 0 };
	uint64_t n, bad;

	ck_assert_msg(!hv_store_reindex(dir, &n, &bad, &e), "%s", e.text);
	ck_assert_uint_eq(n, images_then);
	ck_assert_uint_eq(bad, unreadable_then);
}

static int load_rc(void)
{
	struct hv_index x;
	struct hv_err e;
	int rc = hv_index_load(dir, &x, &e);

	hv_index_free(&x);
	return rc;
}

static void find_and_log(void *expected)
{
	found(expected);
}

/* All images are looked at, the right one is found, and the log says why and what to do. */
static void found_slowly(char *expected, const char *why)
{
	char *said = unit_capture(2, find_and_log, expected);

	ck_contains(said, "reindex");
	ck_contains(said, why);
	free(said);
}

static void found_at_once(char *expected)
{
	char *said = unit_capture(2, find_and_log, expected);

	ck_assert_str_eq(said, "");
	free(said);
}

/* ---- the format ---- */

static uint8_t *print(const struct hv_image *img, int n, size_t *len)
{
	struct hv_index x = { 0 };
	struct hv_err e;
	uint8_t *buf;

	for (int i = 0; i < n; i++)
		ck_assert_int_eq(hv_index_add(&x, &img[i], &e), 0);
	hv_index_sort(&x);
	buf = hv_index_print(&x, len);
	hv_index_free(&x);
	return buf;
}

START_TEST(every_bit)
{
	struct hv_image img[2];
	struct hv_index x;
	struct hv_err e;
	uint8_t *buf;
	size_t len;

	setup();
	make(&img[0], 1, "6.1", "");
	make(&img[1], 2, "6.1", "144d");
	buf = print(img, 2, &len);
	ck_assert_uint_eq(len, sizeof(struct hv_index_header) + 2 * sizeof(struct hv_index_record));
	ck_assert_int_eq(hv_index_parse(buf, len, &x, &e), 0);
	ck_assert_uint_eq(x.h.count, 2);
	hv_index_free(&x);
	for (size_t i = 0; i < 8 * len; i++) {
		buf[i / 8] ^= 1 << i % 8;
		ck_assert_msg(hv_index_parse(buf, len, &x, &e) < 0, "bit %zu: accepted", i);
		buf[i / 8] ^= 1 << i % 8;
	}
	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(hv_index_parse(buf, n, &x, &e), -EINVAL);
	free(buf);
}
END_TEST

/* Whatever is put in and taken out, in whatever order: sorted, each image once. */
START_TEST(put_and_take)
{
	struct hv_index x = { 0 };
	bool in[40] = { false };
	uint8_t bin[40][32];
	struct hv_err e;
	struct rng r;

	setup();
	rng_init(&r, "put_and_take");
	for (int step = 0; step < 600; step++) {
		uint32_t i = rng_below(&r, 40), n = 0;
		struct hv_image img;
		struct hv_index back;
		char id[65];
		size_t len;
		void *buf;

		make(&img, i % 7, i % 3 ? "6.1" : "5.10", i % 5 ? "" : "144d");
		img.h.created = i / 10;
		img.h.queue_fixed_pages = i + 1;
		hv_image_id(&img, id);
		hv_str_unhex(id, bin[i], 32);
		in[i] = rng_below(&r, 3);
		hv_index_take(&x, bin[i]);
		if (in[i])
			ck_assert_int_eq(hv_index_add(&x, &img, &e), 0);
		hv_index_sort(&x);
		hv_image_free(&img);
		for (i = 0; i < 40; i++)
			n += in[i];
		ck_assert_uint_eq(x.h.count, n);
		buf = hv_index_print(&x, &len);
		ck_assert_msg(!hv_index_parse(buf, len, &back, &e), "step %d: %s", step, e.text);	/* which checks the order */
		hv_index_free(&back);
		free(buf);
	}
	hv_index_free(&x);
}
END_TEST

/* ---- lookup ---- */

/* What is found by the index is what is found without. */
START_TEST(same_as_slowly)
{
	static const char *const releases[] = { "6.1", "6.2", "5.10", "5.10,6.2..6.4", "6" }, *const vendors[] = { "", "144d", "1b36" };
	static const char *const devices[] = { "blkif", "virtio-blk" }, *const features[] = { "", "ibt", "ibt,pti" };
	struct img_key other;
	struct rng r;
	int hits = 0;

	setup();
	img_key(&other, "other");
	rng_init(&r, "same_as_slowly");
	for (int i = 0; i < 60; i++) {
		struct hv_image img;

		make(&img, rng_below(&r, 4), releases[rng_below(&r, N(releases))], vendors[rng_below(&r, N(vendors))]);
		img.h.created = 1000 + i;		/* no two alike */
		img.h.queue_fixed_pages = 1 + i % 2;
		if (!rng_below(&r, 3))
			strcpy(img.h.mode, "paravirtual");
		strcpy(img.h.device, devices[rng_below(&r, N(devices))]);
		strcpy(img.h.features, features[rng_below(&r, N(features))]);
		hv_image_sign(&img, rng_below(&r, 4) ? key.secret : other.secret);
		put_by_hand(&img);
	}
	for (int i = 0; i < 40; i++) {
		struct hv_os os = img_os;
		struct hv_want w = img_want;
		char fast[65] = "", slow[65] = "";
		struct hv_err e1, e2;
		uint64_t n, bad;
		int rc;

		snprintf(os.release, sizeof(os.release), "%s.0", releases[rng_below(&r, 3)]);
		strcpy(os.features, features[rng_below(&r, N(features))]);
		w.os = &os;
		w.vendor = vendors[rng_below(&r, N(vendors))];
		w.mode = rng_below(&r, 2) ? "virtual" : "paravirtual";
		w.device = i % 3 < 2 ? devices[i % 3] : NULL;
		ck_assert_int_eq(hv_store_reindex(dir, &n, &bad, &e1), 0);
		rc = find(&w, fast, &e1);
		unlink(file);
		ck_assert_int_eq(find(&w, slow, &e2), rc);
		ck_assert_str_eq(fast, slow);
		hits += !rc;
	}
	ck_assert_int_gt(hits, 5);
}
END_TEST

struct cost {
	unsigned int opened, folders, pieces;
};

static struct cost cost_of(const char *expected)
{
	opened = folders = pieces = 0;
	found(expected);
	return (struct cost){ opened, folders, pieces };
}

static void many(int from, int to)
{
	for (int i = from; i < to; i++) {
		struct hv_image img;
		char release[32];

		/* nine of ten are for others, the rest older */
		snprintf(release, sizeof(release), "5.%d", i);
		make(&img, 10 + i, i % 10 ? release : "6.1", "");
		put_by_hand(&img);
	}
}

/* Ten images or ten thousand: as many files, and as many pieces of them. */
START_TEST(bounded)
{
	struct cost few, lots;
	struct hv_image img;
	char best[65];

	setup();
	make(&img, 1000000, "6.1", "");
	hv_image_id(&img, best);
	put_by_hand(&img);
	many(0, 9);
	reindex(10, 0);
	few = cost_of(best);
	many(9, 9999);
	reindex(10000, 0);
	lots = cost_of(best);
	printf("files %u, pieces %u, folders %u with 10 images; %u, %u, %u with 10000\n", few.opened, few.pieces, few.folders, lots.opened,
	       lots.pieces, lots.folders);
	ck_assert_uint_eq(lots.opened, few.opened);
	ck_assert_uint_eq(lots.pieces, few.pieces);
	ck_assert_uint_eq(lots.opened, 2);		/* the index, the image */
	ck_assert_uint_eq(lots.folders, 0);
}
END_TEST

/* Of two devices of one mode the newest for the one that is asked for, by as many files. */
START_TEST(of_device)
{
	struct hv_want w = img_want;
	char any[65], blkif[65], id[65];
	struct hv_image img;
	struct hv_err e;

	setup();
	add(3, "6.1", blkif);
	add(2, "6.1", id);
	for (int i = 0; i < 40; i++) {
		make(&img, 10 + i, "6.1", "");
		strcpy(img.h.device, "virtio-blk");
		hv_image_sign(&img, key.secret);
		ck_assert_int_eq(try_add(&img, any, &e), 0);
	}
	found_at_once(any);
	w.device = "blkif";
	opened = 0;
	ck_assert_int_eq(find(&w, id, &e), 0);
	ck_assert_str_eq(id, blkif);
	ck_assert_uint_eq(opened, 2);
	w.device = "virtio-blk";
	ck_assert_int_eq(find(&w, id, &e), 0);
	ck_assert_str_eq(id, any);
	w.device = "nvme";
	ck_assert_int_eq(find(&w, id, &e), -ENOENT);
	ck_contains(e.text, "is a driver for virtio-blk, not for nvme");
}
END_TEST

/* Also when the newest ones are not to be had: a revoked key's are not read, damaged ones not without end. */
START_TEST(bounded_when_bad)
{
	struct hv_image img;
	struct img_key bad;
	struct hv_err e;
	char best[65], id[65];

	setup();
	img_key(&bad, "bad");
	make(&img, 1, "6.1", "");
	hv_image_id(&img, best);
	put_by_hand(&img);
	for (int i = 0; i < 200; i++) {
		make(&img, 2 + i, "6.1", "");
		hv_image_sign(&img, bad.secret);
		put_by_hand(&img);
	}
	reindex(201, 0);
	ck_assert_uint_eq(cost_of(best).opened, 2);
	for (int i = 0; i < 50; i++) {
		make(&img, 300 + i, "6.1", "");
		put_by_hand(&img);
	}
	reindex(251, 0);
	for (int i = 0; i < 50; i++) {		/* in place: the folder does not tell */
		char path[512];
		FILE *f;

		make(&img, 300 + i, "6.1", "");
		hv_image_id(&img, id);
		hv_image_free(&img);
		hv_store_path(dir, id, path, sizeof(path));
		f = fopen(path, "r+");
		ck_assert_ptr_nonnull(f);
		fputs("damage", f);
		fclose(f);
	}
	opened = 0;
	ck_assert_int_eq(find(&img_want, id, &e), -ENOENT);
	ck_assert_uint_eq(opened, 1 + 16);
	ck_contains(e.text, "not a driver image");
}
END_TEST

/* ---- when it cannot be believed ---- */

/* Copied by an archive, the folder has lost the fraction of its time: then its seconds tell, and only then. */
START_TEST(copied)
{
	char a[65];
	struct stat st;

	setup();
	add(1, "6.1", a);
	ck_assert_int_eq(stat(images, &st), 0);
	for (int i = 0; i < 4; i++) {
		struct timespec t[2] = { { 1, 1 }, { st.st_mtim.tv_sec + (i == 1), i < 2 ? 0 : i == 2 ? st.st_mtim.tv_nsec : (st.st_mtim.tv_nsec + 1) % 1000000000 } };

		if (i == 3 && !t[1].tv_nsec)
			t[1].tv_nsec = 2;
		ck_assert_int_eq(utimensat(AT_FDCWD, images, t, 0), 0);
		ck_assert_int_eq(load_rc(), i % 2 ? -ESTALE : 0);
	}
}
END_TEST

START_TEST(not_believed)
{
	char a[65], b[65], path[512];
	struct hv_image img;
	uint8_t *buf;
	size_t len;

	setup();
	add(1, "6.1", a);
	found_at_once(a);
	make(&img, 2, "6.1", "");
	hv_image_id(&img, b);
	put_by_hand(&img);
	ck_assert_int_eq(load_rc(), -ESTALE);
	found_slowly(b, "not of the images that are there");
	reindex(2, 0);
	found_at_once(b);
	hv_store_path(dir, b, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	found_slowly(a, "not of the images that are there");
	reindex(1, 0);
	buf = (uint8_t *)unit_read(file, &len);
	buf[len / 2] ^= 1;
	unit_write(file, buf, len);
	ck_assert_int_eq(load_rc(), -EINVAL);
	found_slowly(a, "index: damaged");
	buf[len / 2] ^= 1;
	unit_write(file, buf, len - 1);
	found_slowly(a, "index: damaged");
	unit_write(file, buf, len);
	found_at_once(a);
	ck_assert_int_eq(unlink(file), 0);
	found_slowly(a, "No such file");
	/* the next change makes it anew */
	add(3, "6.1", b);
	found_at_once(b);
	ck_assert_int_eq(load_rc(), 0);
}
END_TEST

/* An index that leads to what is not there, or is another's: the image is judged by itself. */
START_TEST(lies)
{
	char a[65], b[65], pa[512], pb[512], id[65];
	struct hv_err e;
	size_t len;
	char *buf;

	setup();
	add(1, "6.1", a);
	add(2, "6.1", b);
	hv_store_path(dir, a, pa, sizeof(pa));
	hv_store_path(dir, b, pb, sizeof(pb));
	buf = unit_read(pa, &len);
	unit_write(pb, buf, len);		/* in place */
	found(a);
	unit_write(pb, "", 0);
	found(a);
	unit_write(pa, "", 0);
	ck_assert_int_eq(find(&img_want, id, &e), -ENOENT);
	ck_contains(e.text, "not a driver image");
}
END_TEST

START_TEST(changes)
{
	char a[65], b[65];
	struct hv_image img;
	struct hv_err e;
	char id[65];

	setup();
	add(1, "6.1", a);
	add(2, "6.1", b);
	found_at_once(b);
	ck_assert_int_eq(hv_store_remove(dir, b, &e), 0);
	found_at_once(a);
	ck_assert_int_eq(hv_store_remove(dir, b, &e), -ENOENT);
	found_at_once(a);
	/* what the index cannot be made to have is not stored */
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(mkdir(file, 0755), 0);
	make(&img, 3, "6.1", "");
	ck_assert_int_lt(try_add(&img, id, &e), 0);
	ck_contains(e.text, "index");
	ck_assert_int_eq(rmdir(file), 0);
	found_slowly(a, "No such file");
}
END_TEST

/* Several at once: the index has what each has stored. */
START_TEST(writers)
{
	char id[65], best[65];
	int st, ended = 0;

	setup();
	add(1, "6.1", id);
	for (int w = 0; w < 4; w++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid)
			continue;
		for (int i = 0; i < 5; i++) {
			struct hv_image img;
			struct hv_err e;

			make(&img, 2 + w * 5 + i, "6.1", "");
			if (try_add(&img, id, &e))
				_exit(1);
		}
		_exit(0);
	}
	while (wait(&st) > 0) {
		ck_assert_int_eq(st, 0);
		ended++;
	}
	ck_assert_int_eq(ended, 4);
	add(100, "6.1", best);
	found_at_once(best);
	reindex(22, 0);
}
END_TEST

START_TEST(unreadable)
{
	char id[65], a[65], path[512];
	struct hv_err e;

	setup();
	add(1, "5.10", a);
	memset(id, 'a', 64);
	id[64] = 0;
	hv_store_path(dir, id, path, sizeof(path));
	unit_write(path, "x", 1);
	reindex(1, 1);
	ck_assert_int_eq(find(&(struct hv_want){ .os = &img_os, .class = "net", .mode = "virtual", .vendor = "" }, id, &e), -ENOENT);
	ck_contains(e.text, "none of its 1 images drives net virtual");
	ck_contains(e.text, "others there are damaged");
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("index", (const TTest *[]){ every_bit, put_and_take, same_as_slowly, bounded, of_device, bounded_when_bad, copied, not_believed, lies, changes, writers,
						    unreadable, NULL });
}
