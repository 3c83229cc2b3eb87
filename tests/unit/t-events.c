// SPDX-License-Identifier: GPL-2.0-only
/* What listeners of hvdrvd are told, in order; one that does not read; and what `hvdrv show` is answered. */
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>
#include "beside.h"
#include "unit.h"
#include "util/sock.h"

/* ---- listeners ---- */

static int listen_to(struct world *w, const char *uuid)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	ck_assert_int_eq(events_listen(&w->d, sv[0], uuid), 0);
	return sv[1];
}

/* The next event, or NULL. */
static struct json_object *next(int fd)
{
	char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	struct json_object *o;

	if (n <= 0)
		return NULL;
	text[n] = 0;
	o = json_tokener_parse(text);
	ck_assert_msg(o != NULL, "not JSON: %s", text);
	return o;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

static uint64_t number_of(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_uint64(v) : UINT64_MAX;
}

/* The next events are these: "event" or "event:state", blanks between them; then none. */
static void ck_events(int fd, const char *want)
{
	char got[600] = "", one[80];
	struct json_object *o;
	uint64_t seq = 0;

	while ((o = next(fd))) {
		const char *state = text_of(o, "state");

		snprintf(one, sizeof(one), "%s%s%s%s", *got ? " " : "", text_of(o, "event"), *state ? ":" : "", state);
		strncat(got, one, sizeof(got) - strlen(got) - 1);
		if (number_of(o, "seq") != UINT64_MAX) {
			ck_assert_uint_gt(number_of(o, "seq"), seq);
			seq = number_of(o, "seq");
			ck_assert_str_eq(text_of(o, "domain"), "web1");
			ck_assert_uint_eq(number_of(o, "domid"), DOMID);
		}
		json_object_put(o);
	}
	ck_assert_str_eq(got, want);
}

START_TEST(a_life)
{
	char dir[300];
	struct world w;
	int all, ours, theirs;

	start(&w);
	run_dirs(&w, dir, sizeof(dir));
	all = listen_to(&w, NULL);
	ours = listen_to(&w, UUID);
	theirs = listen_to(&w, "5f9c4a1e-0000-4000-8000-000000000006");
	serve(&w, "");
	ck_events(all, "listening state:attached state:waiting-for-guest state:placing state:connected");
	go_to(&w, "paravirtual");
	ck_events(all, "switch-begin switch-end");
	request(&w, "detach");
	guest_state(&w, "6");
	answer(WIRE_DEL, WIRE_OK, 0);
	guest_state(&w, "1");
	ck_events(all, "state:closing state:detached");
	ck_events(ours, "listening state:attached state:waiting-for-guest state:placing state:connected switch-begin switch-end "
		  "state:closing state:detached");
	ck_events(theirs, "listening");
	events_stop(&w.d);
	ck_assert_int_eq(recv(all, dir, sizeof(dir), 0), 0);		/* the end */
}
END_TEST

START_TEST(a_switch)
{
	struct json_object *o;
	struct world w;
	int fd;

	live(&w);
	fd = listen_to(&w, NULL);
	json_object_put(next(fd));
	go_to(&w, "paravirtual");
	o = next(fd);
	ck_assert_str_eq(text_of(o, "event"), "switch-begin");
	ck_assert_str_eq(text_of(o, "device"), "data");
	ck_assert_uint_eq(number_of(o, "switch"), 1);
	ck_assert_str_eq(text_of(o, "who"), "admin");
	ck_assert_str_eq(text_of(o, "from"), "virtual");
	ck_assert_str_eq(text_of(o, "to"), "paravirtual");
	json_object_put(o);
	o = next(fd);
	ck_assert_str_eq(text_of(o, "event"), "switch-end");
	ck_assert_str_eq(text_of(o, "result"), "committed");
	ck_assert_str_eq(text_of(o, "reason"), "");
	ck_assert_uint_eq(number_of(o, "freeze_ns"), hv_read_u64(w.d.host, 0, UINT64_MAX, ADMIN "retarget/freeze-ns"));
	ck_assert_uint_eq(number_of(o, "stall_ns"), hv_read_u64(w.d.host, 0, UINT64_MAX, ADMIN "retarget/stall-ns"));
	ck_assert_uint_eq(number_of(o, "carried_begun"), 0);
	json_object_put(o);
	w.d.host->ops->pause(w.d.host, DOMID);
	want(&w, "virtual");
	json_object_put(next(fd));
	o = next(fd);
	ck_assert_str_eq(text_of(o, "result"), "undone");
	ck_contains(text_of(o, "reason"), "the guest is paused");
	json_object_put(o);
	events_stop(&w.d);
}
END_TEST

/* A device that fails says why. */
START_TEST(a_failure)
{
	struct json_object *o;
	struct world w;
	int fd;

	start(&w);
	fd = listen_to(&w, NULL);
	attach(&w, "");
	put(&w, "error", "no memory here");
	spin(&w);
	for (o = next(fd); o && strcmp(text_of(o, "state"), "failed"); o = next(fd))
		json_object_put(o);
	ck_assert_ptr_nonnull(o);
	ck_assert_str_eq(text_of(o, "reason"), "the guest says: no memory here");
	json_object_put(o);
	events_stop(&w.d);
}
END_TEST

/* Whoever does not read costs what the queue holds; it is told what it has missed, where that is, and goes on. */
START_TEST(does_not_read)
{
	enum { EVENTS = 20000 };
	uint64_t seq = 0, last = 0, missed = 0, seen = 0;
	struct json_object *o;
	struct world w;
	int fd, reads;

	live(&w);
	fd = listen_to(&w, NULL);
	reads = listen_to(&w, NULL);
	json_object_put(next(fd));
	json_object_put(next(reads));
	for (int i = 0; i < EVENTS; i++) {
		event_state(TAILQ_FIRST(&TAILQ_FIRST(&w.d.doms)->devs), "tested", NULL);
		o = next(reads);
		ck_assert_uint_eq(number_of(o, "seq"), i + 1);
		json_object_put(o);
	}
	for (bool more = true; more;) {
		more = false;
		while ((o = next(fd))) {
			more = true;
			if (!strcmp(text_of(o, "event"), "lost")) {
				missed += number_of(o, "count");
				last += number_of(o, "count");
			} else {
				seq = number_of(o, "seq");
				ck_assert_uint_eq(seq, last + 1);
				last = seq;
				seen++;
			}
			json_object_put(o);
		}
		spin(&w);
	}
	ck_assert_uint_gt(missed, 0);
	ck_assert_uint_gt(seen, EVENTS_QUEUE - 1);
	ck_assert_uint_eq(seen + missed, EVENTS);
	event_state(TAILQ_FIRST(&TAILQ_FIRST(&w.d.doms)->devs), "tested", NULL);
	ck_events(fd, "state:tested");
	ck_events(reads, "state:tested");
	events_stop(&w.d);
}
END_TEST

START_TEST(come_and_go)
{
	int fd[EVENTS_LISTENERS], sv[2];
	struct world w;

	live(&w);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < EVENTS_LISTENERS; i++)
			fd[i] = listen_to(&w, NULL);
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
		ck_assert_int_eq(events_listen(&w.d, sv[0], NULL), -EUSERS);
		for (int i = 0; i < EVENTS_LISTENERS; i++)
			close(fd[i]);
		if (round == 1)
			event_state(TAILQ_FIRST(&TAILQ_FIRST(&w.d.doms)->devs), "tested", NULL);
		spin(&w);
	}
	events_stop(&w.d);
}
END_TEST

/* ---- show ---- */

static struct json_object *shown;

static void got(void *arg, struct json_object *devices)
{
	shown = devices;
}

static struct json_object *first(void)
{
	ck_assert_ptr_nonnull(shown);
	ck_assert_uint_eq(json_object_array_length(shown), 1);
	return json_object_array_get_idx(shown, 0);
}

START_TEST(show_modes)
{
	struct wire_msg m = { .type = WIRE_STATS };
	struct json_object *row, *o, *b;
	struct world w;

	live(&w);
	go_to(&w, "paravirtual");
	shown = NULL;
	ck_assert_int_eq(show_start(&w.d, DOMID, true, got, NULL), 0);
	ck_assert_ptr_null(shown);
	m.stats.inflight = 3;
	m.stats.waiting = 2;
	m.stats.pool_pages = 512;
	m.stats.of[WIRE_BLKIF] = (struct wire_stats){ .requests = { 5, 7 }, .bytes = { 4096, 8192 }, .copies = 4, .turns = 12, .pool_requests = 4,
						      .latency = { [12] = 12 }, .latency_ns = 60000 };
	m.stats.of[WIRE_NVME] = (struct wire_stats){ .requests = { 1 }, .events_out = 2, .turns = 1, .pool_requests = 1, .latency = { [20] = 1 }, .latency_ns = 1100000 };
	answer_with(WIRE_STATS, &m);
	row = first();
	ck_assert_uint_eq(number_of(row, "read_requests"), 6);
	ck_assert_uint_eq(number_of(row, "write_bytes"), 8192);
	ck_assert_uint_eq(number_of(row, "in_flight"), 3);
	ck_assert_uint_eq(number_of(row, "waiting_for_turn"), 2);
	ck_assert_uint_eq(number_of(row, "pool_pages"), 512);
	ck_assert_uint_eq(number_of(row, "turns"), 13);
	ck_assert_uint_eq(number_of(row, "pool_requests"), 5);
	ck_assert_uint_eq(number_of(row, "latency_p50_ns"), 8192);
	ck_assert_uint_eq(number_of(row, "latency_max_ns"), 2097152);
	ck_assert_str_eq(text_of(row, "image_error"), "");
	ck_assert_str_eq(text_of(row, "held"), "false");
	ck_assert(json_object_object_get_ex(row, "modes", &o) && json_object_object_get_ex(o, "paravirtual", &o));
	ck_assert_uint_eq(number_of(o, "read_requests"), 1);
	ck_assert_uint_eq(number_of(o, "events_sent"), 2);
	ck_assert_uint_eq(number_of(o, "turns"), 1);
	ck_assert_uint_eq(number_of(o, "pool_requests"), 1);
	ck_assert_uint_eq(number_of(o, "latency_sum_ns"), 1100000);
	ck_assert(json_object_object_get_ex(o, "latency_buckets", &b));
	for (size_t i = 0; i < json_object_array_length(b); i++) {
		struct json_object *pair = json_object_array_get_idx(b, i);

		ck_assert_uint_eq(json_object_get_uint64(json_object_array_get_idx(pair, 1)),
				  json_object_get_uint64(json_object_array_get_idx(pair, 0)) >= 2097152);
	}
	ck_assert(json_object_object_get_ex(row, "switches", &o));
	ck_assert_uint_eq(number_of(o, "committed"), 1);
	ck_assert_uint_eq(number_of(o, "undone"), 0);
	ck_assert(json_object_object_get_ex(o, "freeze", &b));
	ck_assert_uint_eq(number_of(b, "count"), 1);
	ck_assert_uint_eq(number_of(b, "max_ns"), hv_read_u64(w.d.host, 0, UINT64_MAX, ADMIN "retarget/freeze-ns"));
	json_object_put(shown);
}
END_TEST

static const char *shown_text(struct world *w, const char *key)
{
	struct wire_msg m = { .type = WIRE_STATS };

	shown = NULL;
	ck_assert_int_eq(show_start(&w->d, DOMID, false, got, NULL), 0);
	answer_with(WIRE_STATS, &m);
	return text_of(first(), key);
}

static void ck_record_of_signer(struct world *w, const char *name)
{
	char *key = hv_readf(w->d.host, 0, "%s", BACK "driver/key");

	ck_assert(is(w, BACK "driver/signer", name));
	ck_assert(key && strlen(key) == 32);
	ck_assert(is(w, ADMIN "retarget/signer", name));
	ck_assert(is(w, ADMIN "retarget/key", key));
	free(key);
}

/* Who has signed what is placed, and that the key is not good any more; a switch to nothing has no signer. */
START_TEST(show_signer)
{
	const char *limits = unit_path("keys/test.limits");
	struct world w;

	live(&w);
	ck_assert_str_eq(shown_text(&w, "signer"), "test");
	ck_assert_uint_eq(strlen(shown_text(&w, "signer_key")), 32);
	ck_assert_str_eq(shown_text(&w, "signer_error"), "");
	go_to(&w, "paravirtual");
	ck_record_of_signer(&w, "test");
	unit_write(limits, "expires 2001-01-01\n", 19);
	ck_assert_str_eq(shown_text(&w, "signer_error"), "key test expired on 2001-01-01");
	unit_write(limits, "revoked 2026-11-22 lost\n", 24);
	ck_assert_str_eq(shown_text(&w, "signer_error"), "key test was revoked on 2026-11-22: lost");
	/* nothing of it is placed any more; what is there stays */
	want(&w, "virtual");
	spin(&w);
	ck_assert(is(&w, ADMIN "retarget/result", "undone"));
	ck_assert(is(&w, ADMIN "retarget/signer", ""));
	ck_assert(is(&w, ADMIN "retarget/key", ""));
	ck_paravirtual(&w, "2");
	unlink(limits);
	ck_assert_int_eq(rename(unit_path("keys/test.pub"), unit_path("keys/test.old")), 0);
	ck_assert_str_eq(shown_text(&w, "signer_error"), "its key is not trusted any more");
}
END_TEST

/* What `hvdrv-repo gc` must keep: what is placed, and what is about to be. */
START_TEST(images)
{
	struct json_object *ids;
	struct world w;

	live(&w);
	ids = show_images(&w.d);
	ck_assert_uint_eq(json_object_array_length(ids), 1);
	ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(ids, 0)), w.blkif);
	json_object_put(ids);
	want(&w, "paravirtual");
	ids = show_images(&w.d);
	ck_assert_uint_eq(json_object_array_length(ids), 2);
	ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(ids, 1)), w.nvme);
	json_object_put(ids);
}
END_TEST

/* A worker that does not answer is waited for no longer than a second; one that ends, not at all. What it held is said. */
START_TEST(show_silent)
{
	struct json_object *row;
	struct world w;

	live(&w);
	state(&w)->hold = 1;
	shown = NULL;
	ck_assert_int_eq(show_start(&w.d, DOMID, true, got, NULL), 0);
	if (_i) {
		worker_ends();
	} else {
		usleep(1050000);
		spin(&w);
	}
	row = first();
	ck_assert_str_eq(text_of(row, "worker_silent"), _i ? "" : "true");
	ck_assert_str_eq(text_of(row, "held"), "true");
	ck_assert_uint_eq(number_of(row, "read_requests"), UINT64_MAX);
	json_object_put(shown);
	if (_i)
		return;
	/* it is not asked again before it has answered, nor waited for */
	shown = NULL;
	ck_assert_int_eq(show_start(&w.d, DOMID, false, got, NULL), 0);
	ck_assert_str_eq(text_of(first(), "worker_silent"), "true");
	json_object_put(shown);
	ck_assert_uint_eq(asked(), 1);
	for (int i = 0; i <= 1; i++) {
		shown = NULL;
		answer(WIRE_STATS, WIRE_STATS, 0);
		ck_assert(i ? shown != NULL : shown == NULL);
		if (!i)
			ck_assert_int_eq(show_start(&w.d, DOMID, false, got, NULL), 0);
	}
	ck_assert_str_eq(text_of(first(), "worker_silent"), "");
	json_object_put(shown);
}
END_TEST

/* An image that is gone, and one whose key is trusted no more. */
START_TEST(show_image)
{
	char path[700];
	struct world w;

	live(&w);
	workers.fail_send = EPIPE;
	for (int i = 0; i <= 1; i++) {
		if (i)
			snprintf(path, sizeof(path), "%s/images/%s.hvi", w.repo, w.blkif);
		else
			snprintf(path, sizeof(path), "%s/test.pub", w.keys);
		ck_assert_int_eq(unlink(path), 0);
		shown = NULL;
		ck_assert_int_eq(show_start(&w.d, DOMID, false, got, NULL), 0);
		ck_assert_str_eq(text_of(first(), "image_error"), "");	/* not asked for */
		json_object_put(shown);
		ck_assert_int_eq(show_start(&w.d, DOMID, true, got, NULL), 0);
		ck_assert_str_ne(text_of(first(), "image_error"), "");
		ck_assert_str_eq(text_of(first(), "worker_silent"), "true");
		json_object_put(shown);
	}
	workers.fail_send = 0;
}
END_TEST

/* The device's row now; the worker does not answer. */
static void show_now(struct world *w)
{
	json_object_put(shown);
	shown = NULL;
	workers.fail_send = EPIPE;
	ck_assert_int_eq(show_start(&w->d, DOMID, true, got, NULL), 0);
	workers.fail_send = 0;
}

/* Another worker takes over: a state of the device, but nobody's switch, and nothing is held for ever. */
START_TEST(a_renewal)
{
	struct json_object *o;
	struct world w;
	int fd;

	live(&w);
	fd = listen_to(&w, NULL);
	worker_ends();
	ck_events(fd, "listening state:recovering");
	look(&w);
	question(WIRE_ADD);
	show_now(&w);
	ck_assert_str_eq(text_of(first(), "phase"), "starting");
	ck_assert_uint_eq(number_of(first(), "switch_ns"), UINT64_MAX);
	answer(WIRE_ADD, WIRE_OK, 0);
	ck_events(fd, "state:ready");
	state(&w)->hold = 1;
	show_now(&w);
	ck_assert_str_eq(text_of(first(), "phase"), "connected");
	ck_assert_uint_eq(number_of(first(), "switch_ns"), UINT64_MAX);
	ck_assert_str_eq(text_of(first(), "held"), "false");
	state(&w)->hold = 0;
	adopt(&w);
	ck_quiet(&w);
	ck_events(fd, "");
	show_now(&w);
	ck_assert(json_object_object_get_ex(first(), "switches", &o));
	ck_assert_uint_eq(number_of(o, "committed") + number_of(o, "undone") + number_of(o, "unconfirmed"), 0);
	json_object_put(shown);
	events_stop(&w.d);
}
END_TEST

/* What is tried in the background is no event; that it began, and its end, is. */
START_TEST(a_revocation)
{
	struct json_object *o;
	struct world w;
	int fd;

	start_with(&w, ",mode=auto,shared");
	through(&w);
	fd = listen_to(&w, UUID);
	w.d.host->ops->pause(w.d.host, DOMID);
	join(&w, w.disk, ",shared");
	for (int i = 0; i < 2; i++) {
		pass(&w, SECOND / 2);
		look_now(&w);
	}
	hold(&w, NULL);
	ck_events(fd, "listening switch-begin switch-end switch-begin switch-end switch-begin switch-end switch-begin switch-end state:held");
	for (int i = 0; i < 5; i++) {
		pass(&w, SECOND);
		look_now(&w);
	}
	ck_events(fd, "");
	show_now(&w);
	ck_assert(json_object_object_get_ex(first(), "switches", &o));
	ck_assert_uint_eq(number_of(o, "revoked"), 1);
	ck_assert_uint_eq(number_of(o, "undone"), 3);
	w.d.host->ops->unpause(w.d.host, DOMID);
	pass(&w, SECOND);
	look_now(&w);
	through(&w);
	ck_events(fd, "switch-begin switch-end state:ready");
	json_object_put(shown);
	events_stop(&w.d);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("events", (const TTest *[]){ a_life, a_switch, a_failure, does_not_read, come_and_go, show_modes, show_signer, images, show_image, a_renewal,
							 a_revocation, NULL });

	unit_loop(s, "show-silent", show_silent, 2);
	return s;
}
