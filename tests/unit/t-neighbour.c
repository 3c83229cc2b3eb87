// SPDX-License-Identifier: GPL-2.0-only
/* Devices that are left to policy, on a host with two guests: who switches when, what others wait for, what is told. */
#include <json-c/json.h>
#include <unistd.h>
#include "core/store.h"
#include "beside.h"
#include "unit.h"

/* ---- it goes well ---- */

/* Alone: its own. Joined, by whatever overlaps or lies beside: shared first, and the other sees nothing before. Left: back. */
static const struct {
	const char *first, *second;
} beside[] = {
	{ ",mode=auto,shared", ",shared" }, { ",mode=auto,ro", ",ro" }, { ",mode=auto,range=0+1024", ",range=1024+1024" },
	{ ",mode=auto,shared", ",shared,mode=auto" },
};

START_TEST(joined_and_left)
{
	struct world w;

	start_with(&w, beside[_i].first);
	ck_assert(is(&w, ADMIN "retarget/who", "policy"));
	through(&w);
	ck_record(&w, "1", "committed", "policy");
	ck_paravirtual(&w, "2");

	join(&w, w.disk, beside[_i].second);
	ck_other(&w, "joining", "1");
	hold(&w, NULL);
	answer(WIRE_GO, WIRE_OK, 0);
	ck_other(&w, "joining", "1");			/* not before it is committed */
	adopt(&w);
	ck_record(&w, "2", "committed", "policy");
	ck_virtual(&w, "3");
	ck_other(&w, "waiting-for-guest", "2");

	pass(&w, 2 * HOUR);
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	leave(&w);
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	pass(&w, HOUR - SECOND);
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);			/* the hold-down counts from when it was left */
	pass(&w, SECOND);
	look_now(&w);
	through(&w);
	ck_record(&w, "3", "committed", "policy");
	ck_paravirtual(&w, "4");
}
END_TEST

/* It wakes up by itself when the hold-down is over. */
START_TEST(wakes_up)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	w.d.opt.hold_down_ns = SECOND / 20;
	through(&w);
	join(&w, w.disk, ",shared");
	through(&w);
	leave(&w);
	for (int i = 0; i < 1000 && !asked(); i++)
		look(&w);
	through(&w);
	ck_record(&w, "3", "committed", "policy");
}
END_TEST

/* Nobody has to wait, and nothing is switched. */
static const struct {
	const char *first, *second, *mode;
	bool other_file;
} free_way[] = {
	{ ",shared", ",shared", "virtual" },			/* an admin's virtual */
	{ ",mode=auto", "", "paravirtual", true },		/* another file */
};

START_TEST(let_in_at_once)
{
	const char *file = unit_path("disk2");
	struct world w;

	start_with(&w, free_way[_i].first);
	unit_write(file, "", 0);
	ck_assert_int_eq(truncate(file, 1 << 20), 0);
	if (!strcmp(free_way[_i].mode, "paravirtual"))
		through(&w);
	join(&w, free_way[_i].other_file ? file : w.disk, free_way[_i].second);
	ck_other(&w, "waiting-for-guest", "2");
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	ck_assert(is(&w, BACK "mode", free_way[_i].mode));
}
END_TEST

/* The other came while the guest was about to have it alone: that ends, then it shares. */
START_TEST(joined_in_a_switch)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	join(&w, w.disk, ",shared");
	ck_other(&w, "joining", "1");
	through_one(&w);
	ck_other(&w, "joining", "1");
	through(&w);
	ck_record(&w, "2", "committed", "policy");
	ck_virtual(&w, "3");
	ck_other(&w, "waiting-for-guest", "2");
}
END_TEST

/* Before its disk has answered a guest is left alone. */
START_TEST(not_before_it_answers)
{
	char dir[300];
	struct world w;

	start(&w);
	w.d.opt.hold_down_ns = HOUR;
	run_dirs(&w, dir, sizeof(dir));
	serve(&w, ",mode=auto");
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	ck_assert(is(&w, ADMIN "retarget/seq", NULL));
	answered(&w);
	through(&w);
}
END_TEST

/* Two devices of one guest: nobody else is there. */
START_TEST(its_own)
{
	struct hv_dev_id id = { .domid = DOMID };
	struct hv_params p;
	char text[700];
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	snprintf(text, sizeof(text), "class=block,backend=%s,shared", w.disk);
	ck_assert_int_eq(hv_params_parse(text, &p, NULL), 0);
	strcpy(p.name, "second");
	ck_assert_int_eq(hv_device_create(w.d.host, &p, &id, NULL), 0);
	look(&w);
	ck_assert(is(&w, "/local/domain/0/hvdrv/" UUID "/1/status", "waiting-for-guest"));
	ck_assert_uint_eq(asked(), 0);
	ck_assert(is(&w, BACK "mode", "paravirtual"));
}
END_TEST

/* A guest whose module went had the device alone, and has no driver now: nobody waits for it. */
START_TEST(closed_by_the_guest)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	guest_state(&w, "6");
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(&w);
	guest_state(&w, "1");
	ck_assert(is(&w, ADMIN "status", "waiting-for-guest"));
	join(&w, w.disk, ",shared");
	ck_other(&w, "waiting-for-guest", "2");
}
END_TEST

/* ---- an admin's word ---- */

START_TEST(admins_word)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	want(&w, "virtual");
	through(&w);
	ck_record(&w, "2", "committed", "admin");
	pass(&w, 2 * HOUR);
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	want(&w, "paravirtual");
	through(&w);
	join(&w, w.disk, ",shared");
	ck_other(&w, "waiting-for-guest", "2");		/* it stays as the admin said: nobody waits for it */
	ck_assert_uint_eq(asked(), 0);
	want(&w, "auto");
	look(&w);
	through(&w);
	ck_record(&w, "4", "committed", "policy");
	ck_virtual(&w, "5");
}
END_TEST

/* Said while policy switches: that ends, then the admin's. */
START_TEST(admin_meanwhile)
{
	struct world w;

	start_with(&w, ",mode=auto");
	want(&w, "virtual");
	through_one(&w);
	ck_assert(is(&w, ADMIN "retarget/who", "admin"));
	through(&w);
	ck_record(&w, "2", "committed", "admin");
	pass(&w, 2 * HOUR);
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	ck_virtual(&w, "3");
}
END_TEST

/* A hold-down is nothing to an admin. */
START_TEST(admin_at_once)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	join(&w, w.disk, ",shared");
	through(&w);
	leave(&w);
	ck_assert_uint_eq(asked(), 0);
	want(&w, "paravirtual");
	through(&w);
	ck_record(&w, "3", "committed", "admin");
}
END_TEST

/* ---- it fails ---- */

static void fail_often(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 3; i++) {
		pass(w, HOUR);
		look_now(w);
		look_now(w);
		look_now(w);
	}
}

/* A switch that the host cannot make: the other waits and is told why, it is tried again after the hold-down, and said once. */
START_TEST(fails)
{
	char path[200], dir[300], *said, *why;
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	run_dirs(&w, dir, sizeof(dir));
	ck_assert_int_eq(rmdir(dir), 0);
	join(&w, w.disk, ",shared");
	ck_record(&w, "2", "undone", "policy");
	ck_other(&w, "joining", "1");
	snprintf(path, sizeof(path), "%s/error", other.admin);
	why = w.d.host->ops->read(w.d.host, 0, path);
	ck_assert_ptr_nonnull(why);
	ck_contains(why, "No such file");
	free(why);
	look_now(&w);
	ck_record(&w, "2", "undone", "policy");		/* no spinning */
	said = unit_capture(STDERR_FILENO, fail_often, &w);
	ck_record(&w, "5", "undone", "policy");
	ck_assert_str_eq(said, "");
	free(said);
	run_dirs(&w, dir, sizeof(dir));
	pass(&w, HOUR);
	look_now(&w);
	through(&w);
	ck_record(&w, "6", "committed", "policy");
	ck_other(&w, "waiting-for-guest", "2");
	ck_assert(is(&w, path, NULL));
}
END_TEST

/* Who waits may give up, or die; who is waited for, too. */
START_TEST(given_up)
{
	char path[200];
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	w.d.host->ops->pause(w.d.host, DOMID);
	join(&w, w.disk, ",shared");
	ck_other(&w, "joining", "1");
	if (_i == 0) {
		snprintf(path, sizeof(path), "%s/request", other.admin);
		ck_assert_int_eq(w.d.host->ops->write(w.d.host, 0, path, "detach-force"), 0);
		look(&w);
		ck_other(&w, NULL, NULL);
	} else if (_i == 1) {
		leave(&w);
		ck_other(&w, NULL, NULL);
	} else if (_i == 2) {
		fake_domain_end(w.f, DOMID);
		look(&w);
		ck_other(&w, "waiting-for-guest", "2");
		return;
	} else {
		want(&w, "paravirtual");
		look(&w);
		ck_other(&w, "waiting-for-guest", "2");
	}
	w.d.host->ops->unpause(w.d.host, DOMID);
	pass(&w, 2 * HOUR);
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	ck_paravirtual(&w, "2");
}
END_TEST

/* ---- a restart ---- */

START_TEST(restarted)
{
	struct world w;

	start_with(&w, _i ? ",mode=auto,shared" : ",shared");
	if (_i)
		through(&w);
	stop_daemon(&w);
	hv_host_close(w.d.host);
	start_daemon(&w);
	w.d.opt.hold_down_ns = HOUR;
	look(&w);
	answer(WIRE_ADD, WIRE_OK, 0);
	adopt(&w);
	look_now(&w);
	ck_assert_uint_eq(asked(), 0);
	join(&w, w.disk, ",shared");
	if (_i) {
		ck_other(&w, "joining", "1");
		hold(&w, NULL);
		answer(WIRE_GO, WIRE_OK, 0);
		adopt(&w);
		ck_record(&w, "2", "committed", "policy");
	}
	ck_other(&w, "waiting-for-guest", "2");
}
END_TEST

/* Meanwhile another came, whose domain is listed first: who has it alone is taken up before that one is let in. */
START_TEST(joined_meanwhile)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	stop_daemon(&w);
	join_as(&w, 4, w.disk, ",shared");
	hv_host_close(w.d.host);
	start_daemon(&w);
	w.d.opt.hold_down_ns = HOUR;
	ck_other(&w, "joining", "1");
}
END_TEST

/* ---- could it? ---- */

static char *ask_dry(struct world *w, const char *mode, int *code)
{
	struct json_object *q = json_object_new_object(), *a, *v;
	char *text;

	json_object_object_add(q, "domid", json_object_new_int(DOMID));
	json_object_object_add(q, "id", json_object_new_int(0));
	json_object_object_add(q, "mode", json_object_new_string(mode));
	a = dry_run(&w->d, q, false);
	*code = json_object_object_get_ex(a, "error", &v) ? json_object_get_int(v) : 0;
	ck_assert(json_object_object_get_ex(a, "text", &v));
	text = strdup(json_object_get_string(v));
	json_object_put(a);
	json_object_put(q);
	return text;
}

/* The answer, and that nothing came of asking. */
static void ck_dry(struct world *w, const char *mode, int code, const char *says)
{
	unsigned int pages = fake_mapped(w->f), questions = workers.last ? asked() : 0;
	int got;
	char *text = ask_dry(w, mode, &got);

	ck_assert_msg(got == code && strstr(text, says), "%s: %d %s", mode, got, text);
	ck_assert_ptr_null(strchr(text, '\n'));
	free(text);
	look(w);
	ck_assert_uint_eq(fake_mapped(w->f), pages);
	ck_assert_uint_eq(workers.last ? asked() : 0, questions);
}

START_TEST(dry_yes)
{
	struct world w;

	start_with(&w, ",shared");
	ck_dry(&w, "paravirtual", 0, "it can switch to paravirtual now");
	ck_dry(&w, "virtual", 0, "virtual already");
	ck_dry(&w, "auto", 0, "policy wants paravirtual, its guest is alone on its device; it can switch to paravirtual now");
	ck_assert(is(&w, ADMIN "retarget/seq", NULL));
	join(&w, w.disk, ",shared");
	ck_dry(&w, "auto", 0, "policy wants virtual, other guests are on its device; virtual already");
	ck_dry(&w, "fast", EINVAL, "there is no mode");
	ck_quiet(&w);
}
END_TEST

static void dry_paused(struct world *w) { w->d.host->ops->pause(w->d.host, DOMID); }
static void dry_gone(struct world *w)
{
	fake_domain_end(w->f, DOMID);
	look(w);
}

static void dry_under_way(struct world *w) { want(w, "paravirtual"); }
static void dry_detach(struct world *w) { request(w, "detach"); }
static void dry_grants(struct world *w) { fake_fail(w->f, "map_grants", 1, EFAULT); }

static void dry_no_image(struct world *w)
{
	char path[512];

	hv_store_path(w->repo, w->nvme, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
}

static void dry_no_generator(struct world *w)
{
	dry_no_image(w);
	w->d.opt.no_generate = false;
}

static void dry_no_journal(struct world *w)
{
	char path[300];

	run_dirs(w, path, sizeof(path));
	ck_assert_int_eq(rmdir(path), 0);
}

static void dry_no_worker(struct world *w)
{
	state(w)->inside = 1;		/* the next one waits to take over */
	worker_ends();
}

static const struct {
	void (*trouble)(struct world *w);
	int code;
	const char *says;
} cannot[] = {
	{ dry_paused, EBUSY, "the guest is paused" }, { dry_under_way, EBUSY, "under way" }, { dry_detach, EAGAIN, "not served" },
	{ dry_no_image, ENOENT, "does not generate" }, { dry_no_generator, ENOENT, "/none" }, { dry_no_journal, ENOENT, "/switch" },
	{ dry_no_worker, EAGAIN, "not served" }, { dry_gone, ENOENT, "does not know" }, { dry_grants, EFAULT, "cannot be mapped" },
};

START_TEST(dry_no)
{
	struct world w;

	start_with(&w, "");
	cannot[_i].trouble(&w);
	ck_dry(&w, "paravirtual", cannot[_i].code, cannot[_i].says);
	ck_assert(is(&w, BACK "mode", cannot[_i].trouble == dry_gone ? NULL : "virtual"));
}
END_TEST

/* Path direct, of what can be had without a controller: refused with the reason, dry or not, and nothing was changed. */
static const struct {
	const char *params;
	int code;
	const char *says;
} no_direct[] = {
	{ "", EPERM, "not attached with trusted=1" }, { ",trusted=0", EPERM, "not attached with trusted=1" },
	{ ",trusted=1,range=0+64", EINVAL, "a range of its backend" }, { ",trusted=1", ENODEV, "not a whole namespace of an NVMe controller" },
};

START_TEST(dry_direct)
{
	struct world w;
	unsigned int pages;
	char *reason;

	start_with(&w, no_direct[_i].params);
	ck_dry(&w, "direct", no_direct[_i].code, no_direct[_i].says);
	ck_assert(is(&w, ADMIN "retarget/seq", NULL));
	pages = fake_mapped(w.f);
	want(&w, "direct");
	ck_assert(is(&w, ADMIN "retarget/result", "undone"));
	ck_assert(is(&w, ADMIN "retarget/to", "direct"));
	reason = hv_readf(w.d.host, 0, ADMIN "retarget/reason");
	ck_contains(reason, no_direct[_i].says);
	free(reason);
	ck_assert(is(&w, BACK "mode", "virtual"));
	ck_assert(is(&w, BACK "window", NULL));
	ck_assert_uint_eq(fake_mapped(w.f), pages);
	ck_quiet(&w);
}
END_TEST

START_TEST(dry_generates)
{
	struct world w;

	start_with(&w, "");
	dry_no_image(&w);
	w.d.opt.no_generate = false;
	w.d.opt.generator = "/bin/true";
	ck_dry(&w, "paravirtual", 0, "when the driver has been generated");
	ck_assert_ptr_null(w.d.generator);
}
END_TEST

START_TEST(dry_hold_down)
{
	struct world w;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	join(&w, w.disk, ",shared");
	through(&w);
	leave(&w);
	ck_dry(&w, "auto", 0, "not before 3600 s have passed; it can switch to paravirtual now");
	ck_record(&w, "2", "committed", "policy");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("neighbour", (const TTest *[]){
		wakes_up, closed_by_the_guest, joined_in_a_switch, not_before_it_answers, its_own, admins_word, admin_meanwhile, admin_at_once, fails, dry_yes,
		dry_generates, dry_hold_down, joined_meanwhile, NULL
	});

	unit_loop(s, "joined-and-left", joined_and_left, N(beside));
	unit_loop(s, "let-in-at-once", let_in_at_once, N(free_way));
	unit_loop(s, "given-up", given_up, 4);
	unit_loop(s, "restarted", restarted, 2);
	unit_loop(s, "dry-no", dry_no, N(cannot));
	unit_loop(s, "dry-direct", dry_direct, N(no_direct));
	return s;
}
