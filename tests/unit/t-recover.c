// SPDX-License-Identifier: GPL-2.0-only
/* A former hvdrvd has died in a switch: what its journal says is finished, and the device is taken up as it is now. */
#include <sys/socket.h>
#include <unistd.h>
#include "core/journal.h"
#include "switch.h"
#include "unit.h"
#include "util/sock.h"

static struct hv_journal *journal(struct world *w, uint32_t domid, uint32_t id)
{
	struct hv_err e = { 0 };
	struct hv_journal *j;
	char dir[300];

	run_dirs(w, dir, sizeof(dir));
	j = hv_journal_new(dir, domid, id, &e);
	ck_assert_msg(j != NULL, "%s", e.text);
	j->format = WIRE_NVME;
	j->seq = 4;
	strcpy(j->mode, "paravirtual");
	strcpy(j->driver, "nvme");
	strcpy(j->image_id, w->nvme);
	strcpy(j->signer, "test");
	strcpy(j->key, "0123456789abcdef0123456789abcdef");
	j->ring_pages = 1;
	j->generation = 2;
	j->begun[0][0] = 0x15;
	return j;
}

/* A switch of a device that hvdrvd has served has begun; hvdrvd is gone, and its worker, too. */
static struct hv_journal *interrupted(struct world *w)
{
	live(w);
	admin(w, "retarget/seq", "4");
	admin(w, "retarget/state", "running");
	admin(w, "retarget/result", "running");
	admin(w, "retarget/who", "admin");
	stop_daemon(w);
	state(w)->hold = 1;
	return journal(w, DOMID, 0);
}

static void next_daemon(void *arg)
{
	struct world *w = arg;

	hv_host_close(w->d.host);
	start_daemon(w);
}

/* Served again, with the driver that is there, on new queues: one generation more. */
static void taken_up(struct world *w, uint32_t format, uint32_t ring_pages)
{
	const struct wire_msg *m;

	look(w);
	m = question(WIRE_ADD);
	ck_assert_uint_eq(m->add.format, format);
	ck_assert_uint_eq(m->add.ring_pages, ring_pages);
	ck_assert_uint_eq(m->add.kick, 1);
	answer(WIRE_ADD, WIRE_OK, 0);
	adopt(w);
	ck_assert(is(w, ADMIN "status", "ready"));
	ck_assert(is(w, BACK "state", "4"));
	ck_quiet(w);
}

/* The new driver is in the slot. */
static void place_new(struct world *w)
{
	struct hv_image img;
	struct hv_err e;
	char path[400];

	snprintf(path, sizeof(path), "%s/images/%s.hvi", w->repo, w->nvme);
	ck_assert_int_eq(hv_image_load(path, &img, &e), 0);
	memcpy(fake_page(w->f, DOMID, CODE), img.payload, img.h.payload_size);
	hv_image_free(&img);
}

START_TEST(forward)
{
	struct hv_journal *j;
	struct world w;

	j = interrupted(&w);
	place_new(&w);
	hv_journal_set(j, HV_JOURNAL_RESUMED);
	next_daemon(&w);
	ck_record(&w, "4", "committed", "admin");
	ck_assert(is(&w, ADMIN "retarget/reason", ""));
	ck_paravirtual(&w, "2");
	taken_up(&w, WIRE_NVME, 1);
	go_to(&w, "virtual");			/* from what the keys said */
	ck_assert(is(&w, ADMIN "retarget/from", "paravirtual"));
	ck_record(&w, "5", "committed", "admin");
	ck_virtual(&w, "4");
}
END_TEST

START_TEST(backward)
{
	struct hv_journal *j;
	struct world w;

	j = interrupted(&w);
	if (_i) {				/* it had been replaced, and was put back */
		j->saved.generation = 1;
		j->saved.valid = 1;
		state(&w)->generation = 3;
	}
	next_daemon(&w);
	ck_record(&w, "4", "undone", "admin");
	ck_reason(&w, "hvdrvd ended in the switch");
	ck_virtual(&w, _i ? "3" : "1");
	taken_up(&w, WIRE_BLKIF, 2);
	go_to(&w, "paravirtual");
	ck_assert(is(&w, ADMIN "retarget/from", "virtual"));
	ck_paravirtual(&w, _i ? "5" : "3");
}
END_TEST

/* ---- hvdrv-watch has ended, too, or could not ---- */

static bool set_state(void *arg, struct hv_journal *j, const char *why)
{
	hv_journal_set(j, *(const enum hv_journal_state *)arg);
	return false;
}

/* hvdrvd is killed while the guest is paused, the new driver in its slot: nothing of it is given back, nobody has seen it. */
static void killed(struct world *w, enum hv_journal_state s, unsigned int *left)
{
	char dir[300];

	live(w);
	want(w, "paravirtual");
	hold(w, NULL);
	ck_assert(placed(w, w->nvme));
	w->d.host->ops->pause(w->d.host, DOMID);
	run_dirs(w, dir, sizeof(dir));
	hv_journal_each(dir, set_state, &s);
	workers.last = NULL;		/* the worker as well */
	close(workers.target);
	workers.target = 0;
	*left = fake_mapped(w->f);
}

START_TEST(still_paused)
{
	unsigned int left;
	struct world w;

	killed(&w, _i ? HV_JOURNAL_RESUMING : HV_JOURNAL_PAUSING, &left);
	next_daemon(&w);
	mapped += left;
	ck_record(&w, "1", _i ? "committed" : "undone", "admin");
	if (_i)
		ck_paravirtual(&w, "2");
	else
		ck_virtual(&w, "3");
	ck_assert_uint_eq(state(&w)->generation, _i ? 3 : 4);
	taken_up(&w, _i ? WIRE_NVME : WIRE_BLKIF, _i ? 1 : 2);
}
END_TEST

/* It cannot be put back: the guest must not run, and what it needs for that is kept for the next try. */
START_TEST(stays_paused)
{
	unsigned int left;
	struct world w;
	char *said;

	killed(&w, HV_JOURNAL_PAUSING, &left);
	fake_fail(w.f, "map_grants", 1, ENOMEM);
	said = unit_capture(STDERR_FILENO, next_daemon, &w);
	ck_contains(said, "the guest stays paused: ");
	free(said);
	ck_assert_int_eq(fake_pauses(w.f, DOMID), 1);
	ck_assert(journal_left(&w));
	ck_assert(is(&w, ADMIN "retarget/result", "running"));
	stop_daemon(&w);
	next_daemon(&w);
	mapped += left;
	ck_record(&w, "1", "undone", "admin");
	ck_virtual(&w, "3");
	taken_up(&w, WIRE_BLKIF, 2);
}
END_TEST

/* Stopped and started, no switch under way: the numbers go on. */
START_TEST(restart)
{
	struct world w;

	live(&w);
	go_to(&w, "paravirtual");
	go_to(&w, "virtual");
	go_to(&w, "paravirtual");
	stop_daemon(&w);
	next_daemon(&w);
	taken_up(&w, WIRE_NVME, 1);
	ck_paravirtual(&w, "5");
	go_to(&w, "virtual");
	ck_record(&w, "4", "committed", "admin");
	ck_virtual(&w, "6");
}
END_TEST

/* What cannot be understood is told of; the device is taken up all the same. */
START_TEST(another_version)
{
	struct hv_journal *j;
	struct world w;
	char *said;

	j = interrupted(&w);
	hv_journal_set(j, HV_JOURNAL_RESUMED);
	j->version++;
	said = unit_capture(STDERR_FILENO, next_daemon, &w);
	ck_contains(said, "a journal of a switch cannot be used: it was written by another version of hvdrvd");
	free(said);
	ck_assert(is(&w, ADMIN "retarget/state", "running"));
	ck_virtual(&w, "1");
	taken_up(&w, WIRE_BLKIF, 2);
}
END_TEST

/* The guest went meanwhile: nothing is written for it. */
START_TEST(guest_gone)
{
	unsigned int nodes;
	struct world w;

	live(&w);
	stop_daemon(&w);
	nodes = fake_nodes(w.f);
	hv_journal_set(journal(&w, 77, 0), HV_JOURNAL_RESUMED);
	next_daemon(&w);
	taken_up(&w, WIRE_BLKIF, 2);
	ck_assert_uint_eq(fake_nodes(w.f), nodes);
}
END_TEST

/* A worker that was left is told of its own domain's devices only, and only of those that have new queues. */
START_TEST(worker_is_told)
{
	struct wire_msg m;
	struct world w;
	int sv[2], none[HV_SOCK_FDS];

	start(&w);
	hv_journal_set(journal(&w, DOMID, 0), HV_JOURNAL_RESUMED);
	hv_journal_set(journal(&w, DOMID, 1), HV_JOURNAL_NONE);
	hv_journal_set(journal(&w, DOMID, 2), HV_JOURNAL_RESUMING);
	hv_journal_set(journal(&w, 6, 3), HV_JOURNAL_RESUMED);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	recover_tell_worker(&w.d, DOMID, sv[0]);
	close(sv[0]);
	ck_assert_int_eq(wire_recv(sv[1], &m, none), 0);
	ck_assert_uint_eq(m.version, WIRE_VERSION);
	ck_assert_uint_eq(m.type, WIRE_GO);
	ck_assert_uint_eq(m.dev, 0);
	ck_assert_uint_eq(m.go.renewed, 1);
	ck_assert_uint_eq(m.go.format, WIRE_NVME);
	ck_assert_uint_eq(m.go.begun[0][0], 0x15);
	ck_assert_int_eq(hv_sock_recv(sv[1], &m, sizeof(m), none), 0);
	close(sv[1]);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("recover", (const TTest *[]){
		forward, restart, another_version, guest_gone, worker_is_told, stays_paused, NULL
	});

	unit_loop(s, "backward", backward, 2);
	unit_loop(s, "still-paused", still_paused, 2);
	return s;
}
