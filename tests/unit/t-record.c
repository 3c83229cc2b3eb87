// SPDX-License-Identifier: GPL-2.0-only
/* Recorded devices: what a crash or a damaged file leaves. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/record.h"
#include "steps.h"
#include "unit.h"

#define UUID "5f9c4a1e-0000-4000-8000-000000000005"

static char state[256], path[400];

static void setup(void)
{
	snprintf(state, sizeof(state), "%s", unit_path("state"));
	snprintf(path, sizeof(path), "%s/devices/" UUID ".json", state);
}

static struct hv_params device(const char *name)
{
	struct hv_params p;

	ck_assert_int_eq(hv_params_parse("class=block,backend=/x \"y\".img", &p, NULL), 0);
	snprintf(p.name, sizeof(p.name), "%s", name);
	return p;
}

static void collect(void *arg, const struct hv_params *p)
{
	strcat(arg, p->name);
	strcat(arg, " ");
	ck_assert_str_eq(p->backend, "/x \"y\".img");
}

static const char *names(void)
{
	static char text[256];
	struct hv_err e = { 0 };

	*text = 0;
	ck_assert_msg(!hv_record_each(state, UUID, collect, text, &e), "%s", e.text);
	return text;
}

static int add(const char *name)
{
	struct hv_params p = device(name);

	return hv_record_add(state, UUID, "persist", &p, NULL);
}

START_TEST(add_and_remove)
{
	struct hv_params p[2] = { device("c1"), device("c2") };
	struct stat st;

	setup();
	ck_assert_str_eq(names(), "");
	ck_assert_int_eq(add("a"), 0);
	ck_assert_int_eq(add("b"), 0);
	ck_assert_int_eq(add("a"), 0);			/* again: replaced */
	ck_assert_str_eq(names(), "b a ");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(hv_record_set(state, UUID, "config", p, 2, NULL), 0);
	ck_assert_str_eq(names(), "b a c1 c2 ");
	ck_assert_int_eq(hv_record_set(state, UUID, "config", p, 1, NULL), 0);	/* the configuration has changed */
	ck_assert_str_eq(names(), "b a c1 ");
	ck_assert_int_eq(hv_record_remove(state, UUID, "none", NULL), 0);
	ck_assert_int_eq(hv_record_remove(state, UUID, "c1", NULL), 0);
	ck_assert_int_eq(hv_record_remove(state, UUID, "a", NULL), 0);
	ck_assert_str_eq(names(), "b ");
	ck_assert_int_eq(hv_record_remove(state, UUID, "b", NULL), 0);
	ck_assert(!unit_exists(path));			/* an empty record is none */
	ck_assert_int_eq(hv_record_remove(state, UUID, "b", NULL), 0);
}
END_TEST

static const struct {
	const char *text, *says;
} damaged[] = {
	{ "", "damaged" }, { "{", "damaged" }, { "null", "damaged" }, { "[]", "damaged" }, { "7", "damaged" }, { "\"x\"", "damaged" }, { "{}", "damaged" },
	{ "{\"format\":1}", "damaged" }, { "{\"devices\":[]}", "damaged" }, { "{\"format\":1,\"devices\":{}}", "damaged" },
	{ "{\"format\":1,\"devices\":null}", "damaged" }, { "{\"format\":2,\"devices\":[]}", "newer" },
	{ "{\"format\":1,\"devices\":[7]}", "class=" }, { "{\"format\":1,\"devices\":[null]}", "class=" },
	{ "{\"format\":1,\"devices\":[{\"name\":\"a\"}]}", "class=" }, { "{\"format\":1,\"devices\":[{\"name\":\"a\",\"params\":\"class=net\"}]}", "class=net" },
	{ "{\"format\":1,\"devices\":[{\"params\":\"class=block,backend=/a\"}]}", "without a proper name" },
	{ "{\"format\":1,\"devices\":[{\"name\":5,\"params\":\"class=block,backend=/a\"}]}", "without a proper name" },
	{ "{\"format\":1,\"devices\":[{\"name\":\"01234567890123456789012345678901\",\"params\":\"class=block,backend=/a\"}]}", "without a proper name" },
	{ "{\"format\":1,\"devices\":[{\"name\":\"a\",\"params\":7}]}", "class=" },
};

static void never(void *arg, const struct hv_params *p)
{
	ck_abort_msg("a device of a damaged record: %s", p->name);
}

/* Said, and left as it is: what an admin can still read must not be written over. */
START_TEST(damage)
{
	const char *text = damaged[_i].text;
	struct hv_err e = { 0 };
	bool whole_file = strstr("damaged newer", damaged[_i].says);

	setup();
	mkdir(state, 0700);
	mkdir(unit_path("state/devices"), 0700);
	unit_write(path, text, strlen(text));
	ck_assert_int_eq(hv_record_each(state, UUID, never, NULL, &e), -EINVAL);
	ck_contains(e.text, damaged[_i].says);
	ck_contains(e.text, UUID);
	if (!whole_file)
		return;
	ck_assert_int_eq(add("b"), -EINVAL);
	ck_assert_int_eq(hv_record_remove(state, UUID, "b", &e), -EINVAL);
	ck_assert_str_eq(unit_read(path, NULL), text);
}
END_TEST

START_TEST(too_large)
{
	char *big = malloc(300 * 1024);

	setup();
	add("a");
	memset(big, ' ', 300 * 1024);
	unit_write(path, big, 300 * 1024);
	ck_assert_int_eq(hv_record_each(state, UUID, never, NULL, NULL), -EFBIG);
}
END_TEST

static int count_steps(void)
{
	int n;

	add("old");
	steps_arm(STEPS_COUNT, 0, 0);
	add("new");
	n = steps_disarm();
	ck_assert_int_eq(hv_record_remove(state, UUID, "new", NULL), 0);
	return n;
}

START_TEST(crash_at_each_step)
{
	int steps, with = 0, without = 0;

	setup();
	steps = count_steps();
	ck_assert_int_ge(steps, 8);
	for (int n = 1; n <= steps; n++) {
		int st;

		if (!fork()) {
			steps_arm(STEPS_CRASH, n, 0);
			add("new");
			_exit(0);
		}
		ck_assert_int_ge(wait(&st), 0);
		ck_assert(WIFEXITED(st) && WEXITSTATUS(st) == STEPS_CRASHED);
		if (!strcmp(names(), "old new "))
			with++;
		else
			ck_assert_msg(!strcmp(names(), "old "), "step %d left %s", n, names()), without++;
		ck_assert_int_eq(hv_record_remove(state, UUID, "new", NULL), 0);
	}
	ck_assert_int_gt(with, 0);
	ck_assert_int_gt(without, 0);
}
END_TEST

START_TEST(fail_at_each_step)
{
	int steps;

	setup();
	steps = count_steps();
	for (int n = 1; n <= steps; n++) {
		struct hv_params p = device("new");
		struct hv_err e = { 0 };
		int rc;

		steps_arm(STEPS_FAIL, n, ENOSPC);
		rc = hv_record_add(state, UUID, "persist", &p, &e);
		steps_disarm();
		ck_assert_msg(rc == -ENOSPC, "step %d: %d", n, rc);
		ck_contains(e.text, strerror(ENOSPC));
		ck_assert_msg(!strcmp(names(), "old ") || n > steps - 2, "step %d left %s", n, names());
		ck_assert_int_eq(hv_record_remove(state, UUID, "new", NULL), 0);
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("record", (const TTest *[]){ add_and_remove, too_large, crash_at_each_step, fail_at_each_step, NULL });

	unit_loop(s, "damage", damage, N(damaged));
	return s;
}
