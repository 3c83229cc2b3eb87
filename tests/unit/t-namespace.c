// SPDX-License-Identifier: GPL-2.0-only
/* The generic character device of a namespace, in a sysfs of the test's own; what Identify may say. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "target/namespace.h"
#include "unit.h"

#define DISK makedev(259, 0)

static char root[256];

static const char *at(const char *path)
{
	static char full[8][512];
	static int n;

	n = (n + 1) % 8;
	snprintf(full[n], sizeof(full[n]), "%s/%s", root, path);
	return full[n];
}

static void put(const char *path, const char *text)
{
	unit_write(at(path), text, strlen(text));
}

static void folder(const char *path)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s", at(path));
	for (char *p = whole + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		mkdir(whole, 0700);
	}
	ck_assert(!mkdir(whole, 0700) || errno == EEXIST);
}

static void join(const char *to, const char *path)
{
	unlink(at(path));
	ck_assert_int_eq(symlink(at(to), at(path)), 0);
}

/* Controller 3 with namespace 2, which is block device 259:0 and character device 244:5, as Linux shows them. */
static void sysfs(void)
{
	snprintf(root, sizeof(root), "%s", unit_path("sys"));
	mkdir(root, 0700);
	folder("devices/nvme3/nvme3n2/queue");
	folder("devices/nvme3/ng3n2");
	folder("devices/nvme4");
	folder("dev/block");
	folder("class/nvme-generic");
	join("devices/nvme3/nvme3n2", "dev/block/259:0");
	join("devices/nvme3/ng3n2", "class/nvme-generic/ng3n2");
	join("devices/nvme3", "devices/nvme3/nvme3n2/device");
	join("devices/nvme3", "devices/nvme3/ng3n2/device");
	put("devices/nvme3/ng3n2/dev", "244:5\n");
	put("devices/nvme3/nvme3n2/nsid", "2\n");
	put("devices/nvme3/nvme3n2/queue/max_hw_sectors_kb", "252\n");
	put("devices/nvme3/nvme3n2/queue/max_segments", "64\n");
	put("devices/nvme3/nvme3n2/queue/discard_max_bytes", "2147483136\n");
	put("devices/nvme3/nvme3n2/queue/write_zeroes_max_bytes", "258048\n");
}

START_TEST(found)
{
	struct namespace n;
	struct hv_err e = { 0 };

	sysfs();
	ck_assert_msg(!namespace_find(root, DISK, &n, &e), "%s", e.text);
	ck_assert_str_eq(n.name, "ng3n2");
	ck_assert(n.dev == makedev(244, 5));
	ck_assert_uint_eq(n.nsid, 2);
	ck_assert_uint_eq(n.max_bytes, 252 * 1024);
	ck_assert_uint_eq(n.max_segments, 64);
	ck_assert_uint_eq(n.max_discard, 2147483136);
	ck_assert_uint_eq(n.max_zeroes, 258048);
}
END_TEST

static void refuses(const char *why)
{
	struct namespace n;
	struct hv_err e = { 0 };

	ck_assert_int_eq(namespace_find(root, DISK, &n, &e), -ENODEV);
	ck_contains(e.text, why);
	sysfs();
	ck_assert_int_eq(namespace_find(root, DISK, &n, &e), 0);
}

START_TEST(not_found)
{
	static const char *const names[] = { "sda", "nvme3n2p1", "nvme3c0n2", "nvme3", "nvme3n2x" };
	struct namespace n;
	struct hv_err e = { 0 };

	sysfs();
	ck_assert_int_eq(namespace_find(root, makedev(8, 0), &n, &e), -ENODEV);
	for (size_t i = 0; i < N(names); i++) {
		char path[64];

		snprintf(path, sizeof(path), "devices/nvme3/%s", names[i]);
		folder(path);
		join(path, "dev/block/259:0");
		refuses("no NVMe namespace");
	}
	unlink(at("class/nvme-generic/ng3n2"));
	refuses("no generic character device");
	put("devices/nvme3/ng3n2/dev", "x\n");
	refuses("no generic character device");
	join("devices/nvme4", "devices/nvme3/ng3n2/device");
	refuses("of another controller");
	unlink(at("devices/nvme3/nvme3n2/device"));
	refuses("of another controller");
	unlink(at("devices/nvme3/nvme3n2/nsid"));
	refuses("which namespace");
	put("devices/nvme3/nvme3n2/nsid", "0xffffffff\n");	/* all of them */
	refuses("which namespace");
}
END_TEST

/* Identify Namespace as the specification has it: 256 MiB in blocks of 512, format 0 of 2. */
static void identify(uint8_t id[4096])
{
	memset(id, 0, 4096);
	id[2] = 8;			/* NSZE 0x80000 */
	id[25] = 1;			/* NLBAF, 0's based */
	id[128 + 2] = 9;		/* LBADS */
	id[132 + 2] = 12;
}

START_TEST(identified)
{
	uint8_t id[4096];
	struct hv_err e = { 0 };

	identify(id);
	ck_assert_int_eq(namespace_check(id, 512, 256 << 20, &e), 0);
	ck_assert_int_eq(namespace_check(id, 512, (256 << 20) - 512, &e), -ENOTSUP);
	ck_contains(e.text, "size");
	ck_assert_int_eq(namespace_check(id, 4096, 256 << 20, &e), -ENOTSUP);
	ck_contains(e.text, "4096");
	id[26] = 1;			/* the other format */
	ck_assert_int_eq(namespace_check(id, 4096, 2048ull << 20, &e), 0);
	id[132] = 8;			/* metadata of 8 bytes */
	ck_assert_int_eq(namespace_check(id, 4096, 2048ull << 20, &e), -ENOTSUP);
	ck_contains(e.text, "metadata");
	id[132] = 0;
	id[29] = 1;			/* protection information */
	ck_assert_int_eq(namespace_check(id, 4096, 2048ull << 20, &e), -ENOTSUP);
	id[29] = 0;
	id[132 + 2] = 64;
	ck_assert_int_eq(namespace_check(id, 4096, 2048ull << 20, &e), -ENOTSUP);
	/* the upper bits of the format's number */
	identify(id);
	id[26] = 1 << 5;
	id[128 + 4 * 16 + 2] = 12;
	ck_assert_int_eq(namespace_check(id, 4096, 2048ull << 20, &e), 0);
}
END_TEST

/* Limits, and a node that is not the device that sysfs tells of. */
START_TEST(opened)
{
	struct namespace n = { .name = "null", .dev = makedev(1, 3), .nsid = 1, .max_bytes = 252 << 10, .max_segments = 64,
			       .max_discard = 4097, .max_zeroes = 1 << 20 };
	struct hv_err e = { 0 };

	ck_assert_int_eq(namespace_open(&n, 512, 1 << 20, &e), -ENODEV);
	ck_contains(e.text, "another namespace");
	ck_assert_uint_eq(n.max_bytes, 252 << 10);
	ck_assert_uint_eq(n.max_discard, 4096);
	n.dev = makedev(1, 5);
	ck_assert_int_eq(namespace_open(&n, 512, 1 << 20, &e), -ENODEV);
	ck_contains(e.text, "not the device");
	n.max_segments = 4;
	namespace_open(&n, 512, 1 << 20, &e);
	ck_assert_uint_eq(n.max_bytes, 4 * 4096);
	n.max_segments = 1;
	ck_assert_int_eq(namespace_open(&n, 512, 1 << 20, &e), -ENOTSUP);
	n.max_segments = 2000;
	n.max_bytes = 4 << 20;
	namespace_open(&n, 512, 1 << 20, &e);
	ck_assert_uint_eq(n.max_bytes, NAMESPACE_MAX);
	snprintf(n.name, sizeof(n.name), "ng999n999");
	ck_assert_int_eq(namespace_open(&n, 512, 1 << 20, &e), -ENOENT);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("namespace", (const TTest *[]){ found, not_found, identified, opened, NULL });
}
