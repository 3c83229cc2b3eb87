// SPDX-License-Identifier: GPL-2.0-only
/* How far a key is trusted: limits in files, and what they keep out. */
#include <sys/stat.h>
#include <unistd.h>
#include "core/store.h"
#include "core/trust.h"
#include "img.h"
#include "unit.h"

#define NOW 1795305600			/* 2026-11-22 00:00 UTC */
#define DAY 86400

static const struct {
	const char *text;
	int64_t at;
} days[] = {
	{ "2026-11-22", NOW }, { "1970-01-02", DAY }, { "2028-02-29", 1835395200 }, { "1970-01-01" }, { "1969-12-31" }, { "2026-02-29" }, { "2026-13-01" },
	{ "2026-00-10" }, { "2026-11-00" }, { "2026-11-2" }, { "2026-11-222" }, { "2026/11/22" }, { "20261-1-22" }, { "" }, { "tomorrow" }, { "2026-11-22 " },
};

START_TEST(day)
{
	int64_t at = 0;
	char text[16];

	ck_assert_int_eq(hv_day_parse(days[_i].text, &at), days[_i].at ? 0 : -EINVAL);
	if (!days[_i].at)
		return;
	ck_assert_int_eq(at, days[_i].at);
	hv_day_print(at + DAY - 1, text);
	ck_assert_str_eq(text, days[_i].text);
	ck_assert_int_eq(hv_day_end(at), at + DAY);
	ck_assert_int_eq(hv_day_end(at + DAY - 1), at + DAY);
}
END_TEST

START_TEST(parsed)
{
	struct hv_key k = { .name = "k", .vendor = "old", .expires = 1, .revoked = 1, .reason = "old" };
	struct hv_err e;

	ck_assert_int_eq(hv_limits_parse("", &k, &e), 0);
	ck_assert(!*k.vendor && !k.expires && !k.revoked && !*k.reason);
	ck_assert_int_eq(hv_limits_parse("# why\n\nvendor 144d\nexpires 2026-11-22\nrevoked 2026-11-22 stolen \x1b[31mlaptop", &k, &e), 0);
	ck_assert_str_eq(k.vendor, "144d");
	ck_assert_int_eq(k.expires, NOW + DAY);
	ck_assert_int_eq(k.revoked, NOW);
	ck_assert_str_eq(k.reason, "stolen \\x1b[31mlaptop");
	ck_assert_int_eq(hv_limits_parse("revoked 2026-11-22", &k, &e), 0);
	ck_assert_str_eq(k.reason, "");
}
END_TEST

static const struct {
	const char *text, *says;
} wrong[] = {
	{ "vendor", "line 1" }, { "vendor ", "letters and digits" }, { "vendor a b", "letters and digits" }, { "vendor 0123456789abcdef", "letters and digits" },
	{ "\nexpires soon", "line 2: expires must be a day" }, { "expires 2026-02-30", "must be a day" }, { "revoked", "allowed are" }, { "revoked yes", "must be a day" },
	{ "vendor a\nvendor b", "line 2" }, { "expires 2026-11-22\nexpires 2027-11-22", "line 2" }, { "revoked 2026-11-22\nrevoked 2026-11-23", "line 2" },
	{ "Vendor a", "allowed are" }, { " vendor a", "allowed are" }, { "x", "allowed are" },
};

/* What is not understood is not taken for no limit. */
START_TEST(wrong_text)
{
	struct hv_key k = { .name = "k" };
	struct hv_err e;

	ck_assert_int_eq(hv_limits_parse(wrong[_i].text, &k, &e), -EINVAL);
	ck_contains(e.text, wrong[_i].says);
}
END_TEST

START_TEST(saved)
{
	struct hv_key k = { .name = "k", .vendor = "144d", .expires = NOW + DAY, .revoked = NOW + 7, .reason = "why not" }, back = { .name = "k" };
	const char *dir = unit_path("keys");
	struct hv_err e;

	mkdir(dir, 0700);
	ck_assert_int_eq(hv_limits_load(dir, &back, &e), 0);
	ck_assert(!*back.vendor && !back.expires && !back.revoked);
	ck_assert_int_eq(hv_limits_save(dir, &k, &e), 0);
	ck_assert_int_eq(hv_limits_load(dir, &back, &e), 0);
	ck_assert_str_eq(back.vendor, "144d");
	ck_assert_int_eq(back.expires, k.expires);
	ck_assert_int_eq(back.revoked, NOW);
	ck_assert_str_eq(back.reason, "why not");
	unit_write(unit_path("keys/k.limits"), "vendor 144d\0revoked 2026-11-22\n", 31);
	ck_assert_int_eq(hv_limits_load(dir, &back, &e), -EINVAL);
	ck_contains(e.text, "k.limits: not a text");
	unit_write(unit_path("keys/k.limits"), "forever", 7);
	ck_assert_int_eq(hv_limits_load(dir, &back, &e), -EINVAL);
	ck_contains(e.text, "k.limits: line 1");
	ck_assert_int_eq(hv_limits_save(unit_path("none"), &k, &e), -ENOENT);
}
END_TEST

static const struct {
	struct hv_key k;
	int64_t now;
	const char *vendor, *says;	/* of the image; NULL: good */
} judged[] = {
	{ { .name = "k" }, NOW, "", NULL }, { { .name = "k" }, NOW, "144d", NULL },
	{ { .name = "k", .expires = NOW }, NOW - 1, "", NULL }, { { .name = "k", .expires = NOW }, NOW, "", "key k expired on 2026-11-21" },
	{ { .name = "k", .revoked = NOW, .reason = "lost" }, NOW, "", "key k was revoked on 2026-11-22: lost" },
	/* whatever the clock says: it may have been set back */
	{ { .name = "k", .revoked = NOW }, 0, "", "key k was revoked on 2026-11-22" },
	{ { .name = "k", .vendor = "144d" }, NOW, "144d", NULL }, { { .name = "k", .vendor = "144d" }, NOW, "144D", "vendor 144d only" },
	{ { .name = "k", .vendor = "144d" }, NOW, "1b36", "key k is good for vendor 144d only, not for devices of another vendor, 1b36" },
	{ { .name = "k", .vendor = "144d" }, NOW, "", "key k is good for vendor 144d only, not for devices of any vendor" },
};

START_TEST(good)
{
	struct hv_err e = { 0 };
	int rc = hv_key_good(&judged[_i].k, judged[_i].now, judged[_i].vendor, &e);

	ck_assert_int_eq(rc, judged[_i].says ? -EPERM : 0);
	if (judged[_i].says)
		ck_contains(e.text, judged[_i].says);
}
END_TEST

/* An image signed by a key with these limits, for this vendor. */
static int verify(struct hv_key limits, int64_t now, const char *vendor, struct hv_err *e)
{
	struct img_key key;
	struct hv_image img;
	size_t len;
	int rc;

	img_key(&key, "k");
	strcpy(key.pub.vendor, limits.vendor);
	key.pub.expires = limits.expires;
	key.pub.revoked = limits.revoked;
	key.ring.now = now;
	img_make(&img, "\x90", 1, false);
	strcpy(img.h.vendor, vendor);
	free(img_file(&img, &key, &len));
	rc = hv_image_verify(&img, &key.ring, e);
	hv_image_free(&img);
	return rc;
}

START_TEST(enforced)
{
	struct hv_err e;

	ck_assert_int_eq(verify((struct hv_key){ .expires = NOW }, NOW - 1, "", &e), 0);
	ck_assert_int_eq(verify((struct hv_key){ .expires = NOW }, NOW, "", &e), -EPERM);
	ck_contains(e.text, "expired on 2026-11-21");
	ck_assert_int_eq(verify((struct hv_key){ .revoked = NOW }, NOW, "", &e), -EPERM);
	ck_contains(e.text, "revoked on 2026-11-22");
	ck_assert_int_eq(verify((struct hv_key){ .vendor = "144d" }, NOW, "144d", &e), 0);
	ck_assert_int_eq(verify((struct hv_key){ .vendor = "144d" }, NOW, "", &e), -EPERM);
}
END_TEST

/* The same key by two names: revoked by one, it is revoked. */
START_TEST(two_names)
{
	struct img_key key;
	struct hv_key keys[2];
	const struct hv_keyring ring = { .n = 2, .key = keys };
	struct hv_image img;
	struct hv_err e;
	size_t len;

	img_key(&key, "first");
	keys[0] = keys[1] = key.pub;
	strcpy(keys[1].name, "second");
	img_make(&img, "\x90", 1, false);
	free(img_file(&img, &key, &len));
	ck_assert_int_eq(hv_image_verify(&img, &ring, &e), 0);
	keys[1].revoked = NOW;
	ck_assert_int_eq(hv_image_verify(&img, &ring, &e), -EPERM);
	ck_contains(e.text, "key second was revoked");
}
END_TEST

/* Neither stored nor found. */
START_TEST(not_placed)
{
	struct hv_image img;
	struct img_key key;
	char id[65];
	struct hv_err e;

	img_key(&key, "k");
	img_make(&img, "\x90", 1, false);
	hv_image_sign(&img, key.secret);
	ck_assert_int_eq(hv_store_add(unit_path("repo"), &img, &key.ring, id, &e), 0);
	key.pub.revoked = NOW;
	ck_assert_int_eq(hv_store_add(unit_path("other"), &img, &key.ring, id, &e), -EPERM);
	hv_image_free(&img);
	ck_assert_int_eq(hv_store_find(unit_path("repo"), &key.ring, &img_want, &img, id, &e), -EPERM);
	ck_contains(e.text, "is refused: key k was revoked on");
}
END_TEST

/* A driver of a vendor's devices is not placed for others, whoever has signed it. */
START_TEST(vendors)
{
	struct hv_want want = img_want;
	struct hv_image img;
	struct img_key key;
	char id[65];
	struct hv_err e;

	img_key(&key, "k");
	img_make(&img, "\x90", 1, false);
	strcpy(img.h.vendor, "144d");
	hv_image_sign(&img, key.secret);
	ck_assert_int_eq(hv_store_add(unit_path("repo"), &img, &key.ring, id, &e), 0);
	hv_image_free(&img);
	ck_assert_int_eq(hv_store_find(unit_path("repo"), &key.ring, &want, &img, id, &e), -ENOENT);
	ck_contains(e.text, "for a device without a vendor");
	want.vendor = "1b36";
	ck_assert_int_eq(hv_store_find(unit_path("repo"), &key.ring, &want, &img, id, &e), -ENOENT);
	want.vendor = "144d";
	ck_assert_int_eq(hv_store_find(unit_path("repo"), &key.ring, &want, &img, id, &e), 0);
	hv_image_free(&img);
}
END_TEST

/* A ring with a limit that cannot be read is no ring. */
START_TEST(ring)
{
	static const char pub[] = "hvdrv-public-key 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
	const char *dir = unit_path("keys");
	struct hv_keyring r;
	struct hv_err e;
	char print[33];

	mkdir(dir, 0700);
	unit_write(unit_path("keys/a.pub"), pub, sizeof(pub) - 1);
	unit_write(unit_path("keys/a.limits"), "vendor 144d\n", 12);
	unit_write(unit_path("keys/b.limits"), "revoked 2026-11-22 its key was removed, too\n", 44);
	ck_assert_int_eq(hv_keyring_load(dir, &r, &e), 0);
	ck_assert_uint_eq(r.n, 1);
	ck_assert_str_eq(r.key[0].vendor, "144d");
	ck_assert_int_gt(r.now, NOW - 400ll * DAY);
	hv_key_fingerprint(r.key[0].pub, print);
	ck_assert_uint_eq(strlen(print), 32);
	hv_keyring_free(&r);
	unit_write(unit_path("keys/a.limits"), "expires never\n", 14);
	ck_assert_int_eq(hv_keyring_load(dir, &r, &e), -EINVAL);
	ck_contains(e.text, "a.limits: line 1");
	ck_assert_uint_eq(r.n, 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("trust", (const TTest *[]){ parsed, saved, enforced, two_names, not_placed, vendors, ring, NULL });

	unit_loop(s, "day", day, N(days));
	unit_loop(s, "wrong", wrong_text, N(wrong));
	unit_loop(s, "good", good, N(judged));
	return s;
}
