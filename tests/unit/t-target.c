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
	struct hv_params p = params(path, ""), shared = params(path, ",shared"), ro = params(path, ",ro");
	struct target t;
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
	ioctl(loop, LOOP_CLR_FD);
	close(loop);
	p = params(path, "");
	ck_assert_int_eq(target_open(&p, true, &t, &e), 0);
	ck_assert(!target_holder(&t, path, who, sizeof(who)));
	target_close(&t);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("target", (const TTest *[]){ regular, read_only, refused, made, loop_device, NULL });

	unit_loop(s, "image-format", image_format, N(formats));
	return s;
}
