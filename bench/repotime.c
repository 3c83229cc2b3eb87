// SPDX-License-Identifier: GPL-2.0-only
/*
 * repotime DIR COUNT SECRET IMAGE... - what the driver repository takes, in microseconds: a line per operation, cold or warm.
 *
 * Verify and check: each IMAGE, read from its file. Lookup: in a repository under DIR with 10 images, and with 10,000, one in ten of them for
 * the guest that is looked for, signed with SECRET (a file of hvdrv-repo keygen's). Each COUNT times, in turn: cold means that the kernel has
 * forgotten all files (root: /proc/sys/vm/drop_caches), warm that it was done just before.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/check.h"
#include "core/image.h"
#include "core/store.h"
#include "util/str.h"

#define SHARE 10		/* one image in so many fits */

static const struct hv_os os = { .type = "linux", .arch = "x86_64", .abi = "linux-kernel", .release = "6.1.0-1-amd64" };

struct signer {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	struct hv_key key;
	struct hv_keyring ring;
};

struct job {
	const char *path;		/* an image, or a repository */
	const struct signer *by;
	struct hv_want want;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "repotime: %s: %s\n", what, why);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void forget_files(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd < 0 || write(fd, "3", 1) != 1)
		die("/proc/sys/vm/drop_caches", strerror(errno));
	close(fd);
}

/* ---- what is measured: each with its files ---- */

static void load(const char *path, struct hv_image *img)
{
	struct hv_err e;

	if (hv_image_load(path, img, &e))
		die(path, e.text);
}

static void verify(const struct job *j)
{
	struct hv_image img;
	struct hv_err e;

	load(j->path, &img);
	if (hv_image_verify(&img, &j->by->ring, &e) < 0)
		die(j->path, e.text);
	hv_image_free(&img);
}

static void check(const struct job *j)
{
	struct hv_image img;
	struct hv_err e;

	load(j->path, &img);
	if (hv_check_code(&img, &e))
		die(j->path, e.text);
	hv_image_free(&img);
}

/* As an attach does it: the image comes verified and checked. */
static void lookup(const struct job *j)
{
	struct hv_image img;
	struct hv_err e;
	char id[65];

	if (hv_store_find(j->path, &j->by->ring, &j->want, &img, id, &e))
		die(j->path, e.text);
	hv_image_free(&img);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *what, const char *how, int64_t *ns, int count)
{
	qsort(ns, count, sizeof(*ns), by_size);
	printf("%-28s %-5s %10.1f %10.1f %10.1f\n", what, how, ns[count / 2] / 1e3, ns[(count * 99 + 99) / 100 - 1] / 1e3, ns[count - 1] / 1e3);
}

static void measure(const char *what, void (*fn)(const struct job *), const struct job *j, int count)
{
	int64_t *cold = calloc(count, sizeof(*cold)), *warm = calloc(count, sizeof(*warm));

	if (!cold || !warm)
		die(what, "no memory");
	for (int i = 0; i < count; i++) {
		int64_t t;

		forget_files();
		t = now_ns();
		fn(j);
		cold[i] = now_ns() - t;
		t = now_ns();
		fn(j);
		warm[i] = now_ns() - t;
	}
	print(what, "cold", cold, count);
	print(what, "warm", warm, count);
	free(cold);
	free(warm);
}

/* ---- repositories ---- */

static void take_key(const char *path, struct signer *s)
{
	FILE *f = fopen(path, "re");
	char hex[2 * sizeof(s->secret) + 1] = "";

	if (!f || fscanf(f, "hvdrv-secret-key 1 %128s", hex) != 1 || hv_str_unhex(hex, s->secret, sizeof(s->secret)))
		die(path, "no secret key");
	fclose(f);
	strcpy(s->key.name, "bench");
	crypto_sign_ed25519_sk_to_pk(s->key.pub, s->secret);
	s->ring = (struct hv_keyring){ .n = 1, .key = &s->key, .now = time(NULL) };
}

/* As an admin's cp does it; the index is made once, at the end. */
static void put(const char *dir, const struct hv_image *img)
{
	size_t len = hv_image_size(img);
	uint8_t *buf = malloc(len);
	char id[65], path[512];
	FILE *f;

	hv_image_write(img, buf);
	hv_image_id(img, id);
	hv_store_path(dir, id, path, sizeof(path));
	f = fopen(path, "we");
	if (!f || fwrite(buf, len, 1, f) != 1 || fclose(f))
		die(path, strerror(errno));
	free(buf);
}

static void fill(const char *dir, const char *model, const struct signer *s, int images)
{
	struct hv_image img;
	struct hv_err e;
	char sub[300];
	uint64_t n, bad;

	snprintf(sub, sizeof(sub), "%s/" HV_STORE_DIR_IMAGES, dir);
	if (mkdir(dir, 0755) || mkdir(sub, 0755))
		die(dir, strerror(errno));
	load(model, &img);
	for (int i = 0; i < images; i++) {
		img.h.version = 1 + i;
		snprintf(img.h.releases, sizeof(img.h.releases), i % SHARE ? "5.%d" : "6.1", i);
		hv_image_sign(&img, s->secret);
		put(dir, &img);
	}
	hv_image_free(&img);
	if (hv_store_reindex(dir, &n, &bad, &e) || n != (uint64_t)images || bad)
		die(dir, "its index cannot be made");
}

int main(int argc, char **argv)
{
	static const int sizes[] = { 10, 10000 };
	struct signer s = { 0 };
	int count;

	if (argc < 5 || sodium_init() < 0 || (count = atoi(argv[2])) < 1) {
		fprintf(stderr, "usage: repotime DIR COUNT SECRET IMAGE...\n");
		return 2;
	}
	take_key(argv[3], &s);
	printf("%-28s %-5s %10s %10s %10s\n", "us", "", "p50", "p99", "max");
	for (int i = 4; i < argc; i++) {
		struct job j = { .path = argv[i], .by = &s };
		struct hv_image img;
		char what[64];

		load(argv[i], &img);
		snprintf(what, sizeof(what), "verify %s", img.h.device);
		measure(what, verify, &j, count);
		snprintf(what, sizeof(what), "check %s", img.h.device);
		measure(what, check, &j, count);
		hv_image_free(&img);
	}
	for (int i = 0; i < 2; i++) {
		char dir[256], what[64];
		struct job j = { .path = dir, .by = &s, .want = { .os = &os, .class = "block", .mode = "virtual", .device = "blkif", .vendor = "" } };

		snprintf(dir, sizeof(dir), "%s/%d", argv[1], sizes[i]);
		fill(dir, argv[4], &s, sizes[i]);
		snprintf(what, sizeof(what), "lookup, of %d images", sizes[i]);
		measure(what, lookup, &j, count);
	}
	return 0;
}
