// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "steps.h"
#include "unit.h"
#include "util/file.h"

static const char old_text[] = "the old one", new_text[] = "the new one, which is a little longer";

START_TEST(read_whole)
{
	const char *p = unit_path("a");
	char big[10000];
	void *data;
	size_t len;

	memset(big, 'b', sizeof(big));
	unit_write(p, big, sizeof(big));
	ck_assert_int_eq(hv_file_read(p, sizeof(big), &data, &len), 0);
	ck_assert_uint_eq(len, sizeof(big));
	ck_assert_mem_eq(data, big, len);
	ck_assert_int_eq(((char *)data)[len], 0);
	ck_assert_int_eq(hv_file_read(p, sizeof(big) - 1, &data, &len), -EFBIG);
	ck_assert_int_eq(hv_file_read(unit_path("none"), 10, &data, &len), -ENOENT);
	ck_assert_int_eq(hv_file_read(unit_path("."), 10, &data, &len), -EISDIR);
	unit_write(p, "", 0);
	ck_assert_int_eq(hv_file_read(p, 0, &data, &len), 0);
	ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(write_modes)
{
	const char *p = unit_path("m");
	struct stat st;

	umask(0077);
	ck_assert_int_eq(hv_file_write(p, "x", 1, 0644), 0);
	ck_assert_int_eq(stat(p, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);	/* as asked, whatever the umask */
	ck_assert_int_eq(hv_file_write(p, "y", 1, 0600), 0);
	ck_assert_int_eq(stat(p, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert(!unit_exists(unit_path("m.tmp")));
	ck_assert_int_eq(hv_file_write(unit_path("no/folder"), "x", 1, 0600), -ENOENT);
}
END_TEST

static int count_steps(const char *p)
{
	steps_arm(STEPS_COUNT, 0, 0);
	ck_assert_int_eq(hv_file_write(p, new_text, strlen(new_text), 0600), 0);
	return steps_disarm();
}

/* Ended at any system call, the file is the old one or the new one. */
START_TEST(crash_at_each_step)
{
	const char *p = unit_path("crash");
	int steps, saw_old = 0, saw_new = 0;

	unit_write(p, old_text, strlen(old_text));
	steps = count_steps(p);
	ck_assert_int_ge(steps, 5);
	for (int n = 1; n <= steps; n++) {
		char *text;
		int st;

		unit_write(p, old_text, strlen(old_text));
		if (!fork()) {
			steps_arm(STEPS_CRASH, n, 0);
			hv_file_write(p, new_text, strlen(new_text), 0600);
			_exit(0);
		}
		ck_assert_int_ge(wait(&st), 0);
		ck_assert_msg(WIFEXITED(st) && WEXITSTATUS(st) == STEPS_CRASHED, "step %d did not happen", n);
		text = unit_read(p, NULL);
		ck_assert_msg(text && (!strcmp(text, old_text) || !strcmp(text, new_text)), "step %d left \"%s\"", n, text);
		saw_old += !strcmp(text, old_text);
		saw_new += !strcmp(text, new_text);
		free(text);
	}
	ck_assert_int_gt(saw_old, 0);
	ck_assert_int_gt(saw_new, 0);
	/* what a crash left behind does not disturb the next one */
	ck_assert_int_eq(hv_file_write(p, "3", 1, 0600), 0);
	ck_assert_str_eq(unit_read(p, NULL), "3");
}
END_TEST

/* Failed at any system call, it says so, and nothing is left behind. */
START_TEST(fail_at_each_step)
{
	const char *p = unit_path("fail");
	int steps;

	unit_write(p, old_text, strlen(old_text));
	steps = count_steps(p);
	for (int n = 1; n <= steps; n++) {
		bool renamed;
		char *text;
		int rc;

		unit_write(p, old_text, strlen(old_text));
		steps_arm(STEPS_FAIL, n, EDQUOT);
		rc = hv_file_write(p, new_text, strlen(new_text), 0600);
		steps_disarm();
		ck_assert_msg(rc == -EDQUOT, "step %d: %d", n, rc);
		text = unit_read(p, NULL);
		renamed = n > steps - 2;	/* open and sync of the folder, after the rename */
		ck_assert_msg(!strcmp(text, renamed ? new_text : old_text), "step %d left \"%s\"", n, text);
		ck_assert_msg(!unit_exists(unit_path("fail.tmp")), "step %d left its temporary file", n);
		free(text);
	}
}
END_TEST

START_TEST(folders)
{
	struct stat st;

	ck_assert_int_eq(hv_mkdirs(unit_path("d/e/f"), 0700), 0);
	ck_assert_int_eq(hv_mkdirs(unit_path("d/e/f"), 0700), 0);
	ck_assert_int_eq(stat(unit_path("d/e/f"), &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	unit_write(unit_path("d/file"), "", 0);
	ck_assert_int_eq(hv_mkdirs(unit_path("d/file/g"), 0700), -ENOTDIR);
	steps_arm(STEPS_FAIL, 1, EROFS);
	ck_assert_int_eq(hv_mkdirs(unit_path("d/h"), 0700), -EROFS);
	steps_disarm();
}
END_TEST

START_TEST(lines_and_numbers)
{
	const char *p = unit_path("l");
	char text[8];
	uint64_t v = 7;

	ck_assert_int_eq(hv_file_line(unit_path("none"), text, sizeof(text)), -ENOENT);
	unit_write(p, "", 0);
	ck_assert_int_eq(hv_file_line(p, text, sizeof(text)), -EPROTO);
	ck_assert_int_eq(hv_file_number(p, &v), -EPROTO);
	unit_write(p, "one\ntwo\n", 8);
	ck_assert_int_eq(hv_file_line(p, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "one");
	ck_assert_int_eq(hv_file_number(p, &v), -EPROTO);
	unit_write(p, "longer than that", 16);
	ck_assert_int_eq(hv_file_line(p, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "longer ");
	unit_write(p, "4096\n", 5);
	ck_assert_int_eq(hv_file_number(p, &v), 0);
	ck_assert_uint_eq(v, 4096);
	unit_write(p, "0x00000000fe000000 0x00000000fe003fff 0x0000000000140204\n", 57);
	ck_assert_int_eq(hv_file_number(p, &v), 0);
	ck_assert_uint_eq(v, 0xfe000000);
}
END_TEST

/* A full disk, for real. */
START_TEST(no_space)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	if (fd < 0) {
		unit_skip("no /dev/full here");
		return;
	}
	ck_assert_int_eq(hv_write_all(fd, "x", 1), -ENOSPC);
	close(fd);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("file", (const TTest *[]){ read_whole, write_modes, crash_at_each_step, fail_at_each_step, folders, lines_and_numbers, no_space, NULL });
}
