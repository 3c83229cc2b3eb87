// SPDX-License-Identifier: GPL-2.0-only
/* Images and keys: what is damaged, unsigned or foreign is refused. */
#include <stddef.h>
#include <sys/stat.h>
#include "img.h"
#include "unit.h"

static struct img_key key;

static uint8_t *file(size_t *len)
{
	struct hv_image img;
	uint8_t *buf;

	img_key(&key, "test");
	img_make(&img, "\x90\x90\x90", 3, false);
	buf = img_file(&img, &key, len);
	hv_image_free(&img);
	return buf;
}

/* Parse, then verify: 0, or the first error. */
static int judge(const uint8_t *buf, size_t len, struct hv_err *e)
{
	struct hv_image img;
	int rc = hv_image_parse(buf, len, &img, e);

	if (rc)
		return rc;
	rc = hv_image_verify(&img, &key.ring, e);
	hv_image_free(&img);
	return rc < 0 ? rc : 0;
}

START_TEST(whole)
{
	size_t len;
	uint8_t *buf = file(&len);
	struct hv_err e = { 0 };

	ck_assert_msg(!judge(buf, len, &e), "%s", e.text);
}
END_TEST

/* Each bit of the file counts. */
START_TEST(every_byte)
{
	size_t len;
	uint8_t *buf = file(&len);
	struct hv_err e;

	for (size_t i = 0; i < len; i++) {
		for (uint8_t bit = 1; bit; bit <<= 1) {
			buf[i] ^= bit;
			ck_assert_msg(judge(buf, len, &e) < 0, "byte %zu, bit %02x: accepted", i, bit);
			buf[i] ^= bit;
		}
	}
}
END_TEST

START_TEST(every_length)
{
	size_t len;
	uint8_t *buf = file(&len), *longer = calloc(1, len + 4096);
	struct hv_err e;

	for (size_t n = 0; n < len; n++) {
		uint8_t *exact = malloc(n + 1);		/* no byte behind it, for the sanitizer */

		memcpy(exact, buf, n);
		ck_assert_int_eq(judge(exact, n, &e), -EINVAL);
		free(exact);
	}
	memcpy(longer, buf, len);
	for (size_t n = len + 1; n < len + 4096; n += 63)
		ck_assert_int_eq(judge(longer, n, &e), -EINVAL);
}
END_TEST

#define FIELD(f) #f, offsetof(struct hv_image_header, f), sizeof(((struct hv_image_header *)0)->f)
static const struct {
	const char *name;
	size_t at, size;
	const char *says;
	int rc;
	uint64_t v;
} numbers[] = {
	{ FIELD(magic), "not a driver image", -EINVAL, 0 }, { FIELD(format), "update hvdrv", -ENOTSUP, 3 }, { FIELD(format), "of an older hvdrv, this one knows 2: generate it", -ENOTSUP, 1 },
	{ FIELD(format), "generate it", -ENOTSUP, 0 }, { FIELD(releases), "no list of releases", -EINVAL, '6' | '-' << 8 }, { FIELD(releases), "no list", -EINVAL, 0 },
	{ FIELD(features), "no list of features", -EINVAL, 'a' | ',' << 8 },
	{ FIELD(header_size), "sizes", -EINVAL, 511 }, { FIELD(code_size), "sizes", -EINVAL, 0xffffffff }, { FIELD(code_size), "entry 0", -EINVAL, 0 },
	{ FIELD(code_size), "entry 4", -EINVAL, 128 }, { FIELD(payload_size), "sizes", -EINVAL, HVDRV_SLOT_SIZE + 1 },
	{ FIELD(payload_size), "sizes", -EINVAL, 0xffffffff }, { FIELD(payload_size), "sizes", -EINVAL, 0 },
	{ FIELD(entry[0]), "entry 0", -EINVAL, 1 }, { FIELD(entry[4]), "entry 4", -EINVAL, 64 }, { FIELD(payload_hash), "hash", -EINVAL, 7 },
};

/* Header fields that cannot be, even signed. */
START_TEST(number)
{
	struct hv_image img;
	struct hv_err e = { 0 };
	size_t len;
	uint8_t *buf;

	img_key(&key, "test");
	img_make(&img, "\x90", 1, false);
	buf = img_file(&img, &key, &len);
	memset(buf + numbers[_i].at, 0, numbers[_i].size);
	memcpy(buf + numbers[_i].at, &numbers[_i].v, numbers[_i].size < 8 ? numbers[_i].size : 8);
	ck_assert_msg(judge(buf, len, &e) == numbers[_i].rc, "%s: %s", numbers[_i].name, e.text);
	ck_contains(e.text, numbers[_i].says);
}
END_TEST

static const struct {
	const char *name;
	size_t at, size;
} texts[] = {
	{ FIELD(device) }, { FIELD(class) }, { FIELD(mode) }, { FIELD(os) }, { FIELD(os_arch) }, { FIELD(os_abi) }, { FIELD(releases) }, { FIELD(generator) }, { FIELD(vendor) }, { FIELD(features) },
};

START_TEST(text_field)
{
	static const char *const wrong[] = { "a b", "a\n", "\x1b[2J", "\xff" };
	size_t len;
	uint8_t *buf = file(&len), *at = buf + texts[_i].at;
	struct hv_err e;

	for (size_t i = 0; i < N(wrong); i++) {
		strcpy((char *)at, wrong[i]);
		ck_assert_int_eq(judge(buf, len, &e), -EINVAL);
		ck_contains(e.text, "not text");
	}
	memset(at, 'x', texts[_i].size);		/* no NUL */
	ck_assert_int_eq(judge(buf, len, &e), -EINVAL);
	ck_contains(e.text, "not text");
}
END_TEST

START_TEST(signature)
{
	struct hv_keyring none = { 0 };
	struct img_key other;
	struct hv_image img;
	struct hv_err e;
	size_t len;

	img_key(&key, "test");
	img_key(&other, "other");
	img_make(&img, "\x90", 1, false);
	ck_assert_int_eq(hv_image_verify(&img, &key.ring, &e), -EPERM);
	ck_contains(e.text, "not signed");
	free(img_file(&img, &other, &len));
	ck_assert_int_eq(hv_image_verify(&img, &key.ring, &e), -EPERM);
	ck_contains(e.text, "not trusted");
	ck_assert_int_eq(hv_image_verify(&img, &none, &e), -EPERM);
	memcpy(img.h.key, key.pub.pub, sizeof(img.h.key));	/* says that it was another's */
	ck_assert_int_eq(hv_image_verify(&img, &key.ring, &e), -EPERM);
	ck_contains(e.text, "signature is wrong");
	free(img_file(&img, &key, &len));
	ck_assert_int_eq(hv_image_verify(&img, &key.ring, &e), 0);
	img.payload[IMG_BODY] ^= 1;				/* changed after it was read */
	ck_assert_int_eq(hv_image_verify(&img, &key.ring, &e), -EPERM);
	ck_contains(e.text, "hash");
}
END_TEST

/* The id is of what the image does: not of who signed it and when. */
START_TEST(id)
{
	struct img_key other;
	struct hv_image a, b;
	char ia[65], ib[65];
	size_t len;

	img_key(&key, "test");
	img_key(&other, "other");
	img_make(&a, "\x90", 1, false);
	img_make(&b, "\x90", 1, false);
	free(img_file(&a, &key, &len));
	b.h.created++;
	free(img_file(&b, &other, &len));
	hv_image_id(&a, ia);
	hv_image_id(&b, ib);
	ck_assert_str_eq(ia, ib);
	b.h.version++;
	hv_image_id(&b, ib);
	ck_assert_str_ne(ia, ib);
	img_make(&b, "\xcc", 1, false);
	hv_image_id(&b, ib);
	ck_assert_str_ne(ia, ib);
}
END_TEST

static const struct {
	const char *release, *list;
	bool in;
} releases[] = {
	{ "6.1.0-56-amd64", "6.1", true }, { "6.1", "6.1", true }, { "6.1.99", "6.1", true }, { "6.2.0", "6.1", false }, { "6.0.9", "6.1", false },
	{ "6.10.1", "6.1", false }, { "6", "6.1", false }, { "5.10", "5.4..6.1", true }, { "6.1.5", "6.1.4..6.1.6", true }, { "6.1.3", "6.1.4..6.1.6", false },
	{ "6.1.7", "6.1.4..6.1.6", false }, { "6.5", "6", true }, { "6.5", "6.1..6", true }, { "7.0", "6.1..6", false }, { "", "6.1", false }, { "linux", "6.1", false },
	{ "-6.1", "6.1", false }, { "6.x", "6.1", false }, { "66.1", "6.1", false }, { "99999999999999999999999.1", "6.1", false },
	{ "6.12.9+deb13-amd64", "6.1,6.12", true }, { "6.1.0", "6.1,6.12", true }, { "6.2.0", "6.1,6.12", false }, { "6.12", "6.1,6.3..6.6,6.12", true },
	{ "6.6.1", "6.1,6.3..6.6,6.12", true }, { "6.7", "6.1,6.3..6.6,6.12", false }, { "6.1", "6.1,", false },
};

START_TEST(release)
{
	ck_assert_msg(hv_release_in(releases[_i].release, releases[_i].list) == releases[_i].in, "%s in %s", releases[_i].release, releases[_i].list);
}
END_TEST

START_TEST(release_list)
{
	static const char *const good[] = { "6", "6.1", "6.1.0", "6.1..6.6", "6.1..6", "6.1,6.12", "1,2,3..4,5", "6.1..6.1" };
	static const char *const bad[] = { "", ",", "6.1,", ",6.1", "6.1,,6.2", "6.", ".6", "6..", "..6", "6...7", "6.1..6.0", "7..6", "6.x", "x", "6.1 ", " 6.1", "6.1-6.2", "6.1..6.2..6.3", "6.1;6.2" };
	char longer[HV_RELEASES_SIZE + 20];

	for (size_t i = 0; i < N(good); i++)
		ck_assert_msg(hv_releases_ok(good[i]), "%s", good[i]);
	for (size_t i = 0; i < N(bad); i++) {
		ck_assert_msg(!hv_releases_ok(bad[i]), "\"%s\"", bad[i]);
		ck_assert(!hv_release_in("6.1", bad[i]));
	}
	memset(longer, '6', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	ck_assert(!hv_releases_ok(longer));
}
END_TEST

static const struct {
	const char *outer, *inner;
	bool yes;
} covered[] = {
	{ "6.1", "6.1", true }, { "6.1", "6.1.5", true }, { "6.1.5", "6.1", false }, { "6", "6.1", true }, { "6.1", "6", false }, { "6.1..6.6", "6.2..6.6", true },
	{ "6.1..6.6", "6", false }, { "6.1..6.6", "6.1..6", false }, { "6.1..6", "6.1..6.6", true }, { "6.1..6.6", "6.6..6.7", false }, { "6.1,6.12", "6.12", true },
	{ "6.12", "6.1,6.12", false }, { "6.1,6.3..6.6,6.12", "6.4,6.12.1", true }, { "6.1,6.3..6.6,6.12", "6.2", false }, { "6.1,6.2", "6.1..6.2", false }, { "6.1,", "6.1", false },
	{ "6.1", "", false }, { "6.1..7.1", "6.2..7", false },
};

START_TEST(cover)
{
	static const char *const some[] = { "6", "6.0", "6.1", "6.1.5", "6.2.9", "6.4.1", "6.6.99", "6.7", "6.12", "6.12.1", "7.0", "7.1", "7.2" };
	const char *outer = covered[_i].outer, *inner = covered[_i].inner;

	ck_assert_msg(hv_releases_cover(outer, inner) == covered[_i].yes, "%s in %s", inner, outer);
	for (size_t i = 0; covered[_i].yes && i < N(some); i++)
		ck_assert_msg(!hv_release_in(some[i], inner) || hv_release_in(some[i], outer), "%s: %s in %s", some[i], inner, outer);
}
END_TEST

static const struct {
	const char *features, *list;
	bool in;
} features[] = {
	{ "", "", true }, { "", "ibt", true }, { "ibt", "", false }, { "ibt", "ibt", true }, { "ibt rethunk", "rethunk,ibt", true }, { "ibt rethunk ", "rethunk,ibt,pti", true },
	{ " ibt  rethunk", "ibt,rethunk", true }, { "ibt rethunk", "ibt", false }, { "ibt,pti", "pti,ibt", true }, { "ib", "ibt", false }, { "ibt2", "ibt", false },
	{ "pti", "ibt,rethunk", false }, { ",", "", true }, { "IBT", "ibt", false },
};

START_TEST(feature)
{
	static const char *const good[] = { "", "ibt", "ibt,rethunk", "a1,b2,c3" };
	static const char *const bad[] = { ",", "ibt,", ",ibt", "ibt,,pti", "ibt pti", "IBT", "a_b", "ibt\n" };

	ck_assert_msg(hv_features_in(features[_i].features, features[_i].list) == features[_i].in, "%s in %s", features[_i].features, features[_i].list);
	for (size_t i = 0; i < N(good); i++)
		ck_assert_msg(hv_features_ok(good[i]), "\"%s\"", good[i]);
	for (size_t i = 0; i < N(bad); i++)
		ck_assert_msg(!hv_features_ok(bad[i]), "\"%s\"", bad[i]);
}
END_TEST

static int fit(const struct hv_image *img, const struct hv_os *os, const char *class, const char *mode, struct hv_err *e)
{
	return hv_image_fits(img, &(struct hv_want){ .os = os, .class = class, .mode = mode, .vendor = "" }, e);
}

START_TEST(fits)
{
	struct hv_os os = img_os;
	struct hv_image img;
	struct hv_err e;

	img_make(&img, "\x90", 1, false);
	ck_assert_int_eq(fit(&img, &os, "block", "virtual", &e), 0);
	ck_assert_int_eq(fit(&img, &os, "net", "virtual", &e), -ENOEXEC);
	ck_assert_int_eq(fit(&img, &os, "block", "paravirtual", &e), -ENOEXEC);
	ck_contains(e.text, "paravirtual");
	ck_assert_int_eq(hv_image_fits(&img, &(struct hv_want){ .os = &os, .class = "block", .mode = "virtual", .device = "blkif", .vendor = "" }, &e), 0);
	ck_assert_int_eq(hv_image_fits(&img, &(struct hv_want){ .os = &os, .class = "block", .mode = "virtual", .device = "virtio-blk", .vendor = "" }, &e), -ENOEXEC);
	ck_contains(e.text, "is a driver for blkif, not for virtio-blk");
	strcpy(os.type, "freebsd");
	ck_assert_int_eq(fit(&img, &os, "block", "virtual", &e), -ENOEXEC);
	ck_contains(e.text, "freebsd");
	os = img_os;
	strcpy(os.arch, "aarch64");
	ck_assert_int_eq(fit(&img, &os, "block", "virtual", &e), -ENOEXEC);
	os = img_os;
	strcpy(os.abi, "other");
	ck_assert_int_eq(fit(&img, &os, "block", "virtual", &e), -ENOEXEC);
	os = img_os;
	strcpy(os.release, "6.2.0");
	ck_assert_int_eq(fit(&img, &os, "block", "virtual", &e), -ENOEXEC);
	ck_contains(e.text, "6.2.0");
	os = img_os;
	strcpy(os.features, "ibt rethunk");
	ck_assert_int_eq(fit(&img, &os, "block", "virtual", &e), -ENOEXEC);
	ck_contains(e.text, "with no more than \"\", the guest's has \"ibt rethunk\"");
	strcpy(img.h.features, "pti,rethunk,ibt");
	ck_assert_int_eq(fit(&img, &os, "block", "virtual", &e), 0);
	img.h.abi = HVDRV_ABI_MAX + 1;
	ck_assert_int_eq(fit(&img, &img_os, "block", "virtual", &e), -ENOEXEC);
	ck_contains(e.text, "contract");
	img.h.abi = 0;
	ck_assert_int_eq(fit(&img, &img_os, "block", "virtual", &e), -ENOEXEC);
}
END_TEST

START_TEST(load)
{
	static uint8_t huge[sizeof(struct hv_image_header) + HVDRV_SLOT_SIZE + 1];
	struct hv_image img;
	struct hv_err e;
	size_t len;
	uint8_t *buf = file(&len);

	unit_write(unit_path("i.hvi"), buf, len);
	ck_assert_int_eq(hv_image_load(unit_path("i.hvi"), &img, &e), 0);
	ck_assert_int_eq(hv_image_load(unit_path("none"), &img, &e), -ENOENT);
	ck_contains(e.text, "none");
	unit_write(unit_path("i.hvi"), buf, len - 1);
	ck_assert_int_eq(hv_image_load(unit_path("i.hvi"), &img, &e), -EINVAL);
	ck_contains(e.text, "i.hvi");
	ck_assert_int_eq(hv_image_load(unit_path("i.hvi"), &img, NULL), -EINVAL);
	unit_write(unit_path("i.hvi"), huge, sizeof(huge));
	ck_assert_int_eq(hv_image_load(unit_path("i.hvi"), &img, &e), -EINVAL);
	ck_contains(e.text, "too large");
}
END_TEST

/* ---- keyring ---- */

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

START_TEST(keyring)
{
	struct hv_keyring ring;
	struct hv_err e;

	ck_assert_int_eq(hv_keyring_load(unit_path("nokeys"), &ring, &e), 0);
	ck_assert_uint_eq(ring.n, 0);
	ck_assert_int_eq(mkdir(unit_path("keys"), 0700), 0);
	unit_write(unit_path("keys/b.pub"), "hvdrv-public-key 1 " HEX "\n", 84);
	unit_write(unit_path("keys/a.pub"), "hvdrv-public-key 1 " HEX, 83);
	unit_write(unit_path("keys/.hidden.pub"), "x", 1);
	unit_write(unit_path("keys/readme"), "x", 1);
	ck_assert_int_eq(hv_keyring_load(unit_path("keys"), &ring, &e), 0);
	ck_assert_uint_eq(ring.n, 2);
	ck_assert_str_eq(ring.key[0].name, "a");
	ck_assert_int_eq(ring.key[1].pub[1], 0x11);
	hv_keyring_free(&ring);
	hv_keyring_free(&ring);
	unit_write(unit_path("file"), "", 0);
	ck_assert_int_eq(hv_keyring_load(unit_path("file"), &ring, &e), -ENOTDIR);
}
END_TEST

static const char *const bad_keys[] = {
	"", "x", "hvdrv-public-key 2 " HEX, "hvdrv-public-key 1 ", "hvdrv-public-key 1 00", "hvdrv-public-key 1 " HEX "00",
	"hvdrv-public-key 1 zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "hvdrv-secret-key 1 " HEX,
};

/* One that is wrong makes the whole ring wrong: a key that was meant to be there must not be missed in silence. */
START_TEST(bad_key)
{
	struct hv_keyring ring;
	struct hv_err e;

	mkdir(unit_path("bad"), 0700);
	unit_write(unit_path("bad/a.pub"), "hvdrv-public-key 1 " HEX, 83);
	unit_write(unit_path("bad/z.pub"), bad_keys[_i], strlen(bad_keys[_i]));
	ck_assert_int_eq(hv_keyring_load(unit_path("bad"), &ring, &e), -EINVAL);
	ck_contains(e.text, "z.pub");
	ck_assert_uint_eq(ring.n, 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("image", (const TTest *[]){ release_list, whole, every_byte, every_length, signature, id, fits, load, keyring, NULL });

	unit_loop(s, "number", number, N(numbers));
	unit_loop(s, "text", text_field, N(texts));
	unit_loop(s, "cover", cover, N(covered));
	unit_loop(s, "release", release, N(releases));
	unit_loop(s, "feature", feature, N(features));
	unit_loop(s, "bad-key", bad_key, N(bad_keys));
	return s;
}
