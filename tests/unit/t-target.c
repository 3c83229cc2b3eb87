// SPDX-License-Identifier: GPL-2.0-only
/* What a device's data may lie on. */
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "target/target.h"
#include "unit.h"

static struct hv_params params(const char *path, const char *more)
{
	char text[600];
	struct hv_params p;
	struct hv_err e = { 0 };

	snprintf(text, sizeof(text), "class=block,backend=%s%s", path, more);
	ck_assert_msg(!hv_params_parse(text, &p, &e), "%s", e.text);
	return p;
}

static const char *file_of(const char *name, size_t size)
{
	const char *p = unit_path(name);

	unit_write(p, "", 0);
	ck_assert_int_eq(truncate(p, size), 0);
	return p;
}

START_TEST(regular)
{
	struct hv_params p = params(file_of("a", 1 << 20), "");
	struct target t, u;
	struct hv_err e = { 0 };
	uint64_t bytes;

	ck_assert_msg(!target_open(&p, true, &t, &e), "%s", e.text);
	ck_assert(!t.block && !t.created && t.fd >= 0);
	ck_assert_uint_eq(t.bytes, 1 << 20);
	ck_assert_uint_eq(t.block_size, 512);
	ck_assert_int_eq(fcntl(t.fd, F_GETFL) & O_ACCMODE, O_RDWR);
	ck_assert_int_eq(fcntl(t.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(truncate(p.backend, (2 << 20) + 700), 0);
	ck_assert_int_eq(target_size(&t, &bytes), 0);
	ck_assert_uint_eq(bytes, (2 << 20) + 512);		/* whole blocks */
	ck_assert_int_eq(target_open(&p, true, &u, &e), 0);
	ck_assert(target_same(&t, &u));
	target_close(&u);
	target_close(&u);					/* twice does no harm */
	p = params(file_of("b", 512), "");
	ck_assert_int_eq(target_open(&p, true, &u, &e), 0);
	ck_assert(!target_same(&t, &u));
	target_close(&t);
	target_close(&u);
	/* one file by two names is one */
	ck_assert_int_eq(symlink(unit_path("a"), unit_path("alias")), 0);
	p = params(unit_path("a"), "");
	ck_assert_int_eq(target_open(&p, true, &t, &e), 0);
	p = params(unit_path("alias"), "");
	ck_assert_int_eq(target_open(&p, true, &u, &e), 0);
	ck_assert(target_same(&t, &u));
}
END_TEST

static struct target opened(const char *path, const char *more)
{
	struct hv_params p = params(path, more);
	struct target t;
	struct hv_err e = { 0 };

	ck_assert_msg(!target_open(&p, true, &t, &e), "%s: %s", more, e.text);
	return t;
}

/* Files of 2048 sectors; where windows lie, and whether they overlap. */
static const struct {
	const char *a, *b;
	bool overlap;
} pairs[] = {
	{ ",range=0+8", ",range=8+8", false }, { ",range=0+8", ",range=7+1", true }, { ",range=0+8", ",range=0+1", true },
	{ ",range=100+10", ",range=0+2048", true }, { ",range=100+10", ",range=110+1", false }, { ",range=100+10", ",range=99+1", false },
	{ ",range=100+10", "", true }, { "", "", true }, { ",range=2047+1", "", true }, { ",range=2047+1", ",range=0+2047", false },
};

START_TEST(overlap)
{
	const char *path = file_of("a", 1 << 20);
	struct target a = opened(path, pairs[_i].a), b = opened(path, pairs[_i].b), c = opened(file_of("b", 1 << 20), pairs[_i].b);

	ck_assert_int_eq(target_overlap(&a, &b), pairs[_i].overlap);
	ck_assert_int_eq(target_overlap(&b, &a), pairs[_i].overlap);
	ck_assert(target_same_device(&a, &b));
	ck_assert(!target_overlap(&a, &c) && !target_same_device(&a, &c));	/* another file */
	target_close(&a);
	target_close(&b);
	target_close(&c);
}
END_TEST

/* Partitions as sysfs tells of them: of one disk, side by side; the disk itself has to do with each. */
START_TEST(partitions)
{
	struct target disk = { .block = true, .dev = 0x800, .disk = 0x800, .bytes = 4 << 20 }, other = disk, p1 = disk, p2 = disk, w = disk;

	other.dev = other.disk = 0x810;
	p1.dev = 0x801;
	p1.disk_at = 1 << 20;
	p1.bytes = 1 << 20;
	p2.dev = 0x802;
	p2.disk_at = 2 << 20;
	p2.bytes = 1 << 20;
	ck_assert(target_same_device(&p1, &p2) && target_same_device(&p1, &disk) && !target_same_device(&p1, &other));
	ck_assert(!target_overlap(&p1, &p2));
	ck_assert(target_overlap(&p1, &disk) && target_overlap(&disk, &p2) && !target_overlap(&p1, &other));
	w.window = true;		/* a range of the disk, before and behind the boundary of a partition */
	w.bytes = 1 << 20;
	ck_assert(!target_overlap(&w, &p1));
	w.first = 512;
	ck_assert(target_overlap(&w, &p1) && !target_overlap(&w, &p2));
}
END_TEST

START_TEST(window)
{
	const char *path = file_of("a", (1 << 20) + 700), *img = file_of("img", 1 << 20);
	struct target t = opened(path, ",range=8+16");
	struct hv_params p;
	struct hv_err e;
	uint64_t bytes;
	int fd;

	ck_assert(t.window);
	ck_assert_uint_eq(t.first, 8 * 512);
	ck_assert_uint_eq(t.bytes, 16 * 512);
	ck_assert_int_eq(target_size(&t, &bytes), 0);
	ck_assert_uint_eq(bytes, (1 << 20) + 512);
	target_close(&t);
	t = opened(path, ",range=2048+1");			/* the last whole sector */
	target_close(&t);
	p = params(path, ",range=2048+2");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	ck_contains(e.text, "beyond the end");
	ck_contains(e.text, "2049 sectors");
	ck_assert_int_eq(t.fd, -1);
	p = params(path, ",range=2050+1");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	p = params(path, ",range=1+18014398509481982");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	/* what the guest would see is looked at, no other's bytes */
	fd = open(img, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "QFI\xfb", 4, 8192), 4);
	close(fd);
	t = opened(img, ",range=0+8");
	target_close(&t);
	p = params(img, ",range=16+8");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	ck_contains(e.text, "qcow2");
}
END_TEST

/* That it can be thinned out is asked where nobody's data is. */
START_TEST(window_probe)
{
	const char *path = file_of("a", 1 << 20);
	static char want[1 << 20], got[1 << 20];
	struct target t;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	memset(want, 0x5a, sizeof(want));
	ck_assert_int_eq(pwrite(fd, want, sizeof(want), 0), sizeof(want));
	t = opened(path, ",range=8+16");
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
	ck_assert_mem_eq(got, want, sizeof(got));
	target_close(&t);
	close(fd);
}
END_TEST

START_TEST(read_only)
{
	struct hv_params p = params(file_of("a", 8192), ",ro");
	struct target t;

	ck_assert_int_eq(target_open(&p, true, &t, NULL), 0);
	ck_assert_int_eq(fcntl(t.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert(!t.discard);
	ck_assert_int_lt(write(t.fd, "x", 1), 0);
	target_close(&t);
}
END_TEST

START_TEST(refused)
{
	struct hv_params p = params(unit_path("none"), "");
	struct target t;
	struct hv_err e;

	ck_assert_int_eq(target_open(&p, true, &t, &e), -ENOENT);
	ck_contains(e.text, "size= would make it");
	ck_assert_int_eq(t.fd, -1);
	p = params(unit_path("."), "");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	ck_contains(e.text, "neither a file nor a block device");
	p = params("/dev/null", "");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	ck_assert_int_eq(mkfifo(unit_path("fifo"), 0600), 0);	/* must not wait for a writer */
	p = params(unit_path("fifo"), "");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	p = params(file_of("empty", 0), "");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	ck_contains(e.text, "empty");
	p = params(file_of("tiny", 511), "");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	ck_assert(unit_exists(unit_path("tiny")));		/* what it did not make it does not remove */
	p = params(file_of("file", 512), "");
	strcat(p.backend, "/below");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -ENOTDIR);
}
END_TEST

START_TEST(made)
{
	struct hv_params p = params(unit_path("new"), ",size=1M");
	struct target t;
	struct hv_err e = { 0 };
	struct stat st;

	ck_assert_msg(!target_open(&p, true, &t, &e), "%s", e.text);
	ck_assert(t.created);
	ck_assert_uint_eq(t.bytes, 1 << 20);
	ck_assert_int_eq(stat(p.backend, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(st.st_blocks, 0);			/* sparse */
	target_undo(&p, &t);
	target_close(&t);
	ck_assert(!unit_exists(p.backend));
	unit_write(p.backend, "precious", 8);
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EEXIST);
	ck_contains(e.text, "there already");
	ck_assert_str_eq(unit_read(p.backend, NULL), "precious");
	p = params(unit_path("no/new"), ",size=1M");
	ck_assert_int_eq(target_open(&p, true, &t, &e), -ENOENT);
	/* what can be made and not be sized goes again */
	p = params(unit_path("vast"), ",size=16777215T");
	ck_assert_int_lt(target_open(&p, true, &t, &e), 0);
	ck_assert(!unit_exists(p.backend));
	/* a device that is taken up again is not made */
	p = params(unit_path("gone"), ",size=1M");
	ck_assert_int_eq(target_open(&p, false, &t, &e), -ENOENT);
}
END_TEST

static const struct {
	const char *name, *magic;
	int at, len;			/* at -1: in the last 512 bytes */
	size_t size;
} formats[] = {
	{ "qcow2", "QFI\xfb", 0, 4, 1 << 20 }, { "VMDK", "KDMV", 0, 4, 1 << 20 }, { "VMDK", "# Disk DescriptorFile", 0, 21, 4096 },
	{ "VDI", "\x7f\x10\xda\xbe", 64, 4, 1 << 20 }, { "VHDX", "vhdxfile", 0, 8, 1 << 20 }, { "VHD", "conectix", 0, 8, 1 << 20 },
	{ "VHD", "conectix", -1, 8, (1 << 20) + 512 }, { "VHD", "conectix", -1, 8, 1 << 20 }, { "VHD", "conectix", -1, 8, (1 << 20) + 2048 },
	{ "VHD", "conectix", -1, 8, 4096 }, { "qcow2", "QFI\xfb", 0, 4, 512 },
};

START_TEST(image_format)
{
	const char *path = file_of("img", formats[_i].size);
	struct hv_params p = params(path, ""), raw = params(path, ",format=raw");
	struct target t;
	struct hv_err e;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t at = formats[_i].at < 0 ? (off_t)formats[_i].size - 512 : formats[_i].at;

	ck_assert_int_eq(pwrite(fd, formats[_i].magic, formats[_i].len, at), formats[_i].len);
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EINVAL);
	ck_contains(e.text, formats[_i].name);
	ck_contains(e.text, "format=raw");
	ck_assert_int_eq(t.fd, -1);
	ck_assert_int_eq(target_open(&raw, true, &t, &e), 0);
	target_close(&t);
	/* a disk in use may hold anything */
	ck_assert_int_eq(target_open(&p, false, &t, &e), 0);
	target_close(&t);
	/* one byte off it is data */
	ck_assert_int_eq(pwrite(fd, "\0", 1, at), 1);
	ck_assert_int_eq(target_open(&p, true, &t, &e), 0);
	target_close(&t);
	close(fd);
}
END_TEST

/* A loop device on path; its number, -1: cannot be had here. */
static int loop_on(const char *path, char dev[32])
{
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n = ctl < 0 ? -1 : ioctl(ctl, LOOP_CTL_GET_FREE), fd, file;

	if (n < 0)
		return -1;
	close(ctl);
	snprintf(dev, 32, "/dev/loop%d", n);
	if (access(dev, F_OK) && mknod(dev, S_IFBLK | 0600, makedev(7, n)))
		return -1;
	fd = open(dev, O_RDWR | O_CLOEXEC);
	file = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_SET_FD, file))
		return -1;
	close(file);
	return fd;
}

START_TEST(loop_device)
{
	const char *path = file_of("disk", 1 << 20);
	struct hv_params p = params(path, ""), q, shared = params(path, ",shared"), ro = params(path, ",ro");
	struct target t, u;
	struct hv_err e = { 0 };
	char dev[32], who[128];
	int loop = loop_on(path, dev);

	if (loop < 0) {
		unit_skip("no loop devices here");
		return;
	}
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EBUSY);
	ck_contains(e.text, "loop device loop");
	ck_assert_int_eq(target_open(&shared, true, &t, &e), 0);
	ck_assert(target_holder(&t, path, who, sizeof(who)));
	target_close(&t);
	ck_assert_int_eq(target_open(&ro, true, &t, &e), 0);
	target_close(&t);
	/* the block device itself */
	p = params(dev, "");
	ck_assert_msg(!target_open(&p, true, &t, &e), "%s", e.text);
	ck_assert(t.block);
	ck_assert_uint_eq(t.bytes, 1 << 20);
	target_close(&t);
	/* windows of it: one claim keeps others out until the last of them is closed */
	p = params(dev, ",range=0+1024");
	q = params(dev, ",range=1024+1024");
	ck_assert_int_eq(target_open(&p, true, &t, &e), 0);
	ck_assert_int_eq(target_open(&q, true, &u, &e), -EBUSY);
	ck_assert_int_eq(target_open_beside(&q, true, target_claim(&p, &t), &u, &e), 0);
	ck_assert(!target_overlap(&t, &u));
	target_close(&t);
	ck_assert_int_eq(target_open(&p, true, &t, &e), -EBUSY);
	ck_assert_int_eq(target_open_beside(&p, true, target_claim(&q, &u), &t, &e), 0);
	target_close(&u);
	ck_assert_int_eq(target_open(&q, true, &u, &e), -EBUSY);
	target_close(&t);
	ck_assert_int_eq(target_open(&q, true, &u, &e), 0);
	target_close(&u);
	ioctl(loop, LOOP_CLR_FD);
	close(loop);
	p = params(path, "");
	ck_assert_int_eq(target_open(&p, true, &t, &e), 0);
	ck_assert(!target_holder(&t, path, who, sizeof(who)));
	target_close(&t);
}
END_TEST

/* The lock is the open file's: of all who have it, the last one counts. Devices do not wait for each other. */
START_TEST(fence)
{
	const char *path = file_of("disk", 1 << 20);
	struct hv_params p = params(path, "");
	struct hv_err e = { 0 };
	struct target t;
	int a, again, other;

	ck_assert_int_eq(target_open(&p, true, &t, &e), 0);
	a = target_reopen(&t, 7, true);
	ck_assert_int_ge(a, 0);
	ck_assert_int_eq(fcntl(a, F_GETFL) & (O_ACCMODE | O_DIRECT), fcntl(t.fd, F_GETFL) & (O_ACCMODE | O_DIRECT));
	ck_assert_int_eq(target_reopen(&t, 7, true), -EAGAIN);
	other = target_reopen(&t, 8, true);
	ck_assert_int_ge(other, 0);
	again = dup(a);			/* as a request that is begun has one */
	close(a);
	ck_assert_int_eq(target_reopen(&t, 7, true), -EAGAIN);
	close(again);
	a = target_reopen(&t, 7, true);
	ck_assert_int_ge(a, 0);
	close(a);
	close(other);
	target_close(&t);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("target", (const TTest *[]){
		regular, partitions, window, window_probe, read_only, refused, made, loop_device, fence, NULL
	});

	unit_loop(s, "overlap", overlap, N(pairs));
	unit_loop(s, "image-format", image_format, N(formats));
	return s;
}
