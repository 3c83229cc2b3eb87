// SPDX-License-Identifier: GPL-2.0-only
/* hvdrvd dies in a switch: at every step the guest runs again, with the old driver or the new, and is unpaused once. */
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/journal.h"
#include "host/fake/fake.h"
#include "img.h"
#include "unit.h"

#define DEPTH 64u
#define RECORDS HVDRV_RECORD_PAGES(DEPTH)
#define CODE 100u		/* the guest's frames */
#define MEM 200u		/* state, records, ring */
#define FRAMES (1 + RECORDS + HV_SWAP_RING_PAGES)

struct world {
	struct fake *f;
	struct hv_host *h;
	struct hv_slot slot;
	struct hv_swap s;
	struct hv_image img;
	struct hv_journal *j;
	char dir[300];
	uint8_t before[HVDRV_SLOT_SIZE];
};

static void offer(struct world *w, struct hv_offer *o)
{
	*o = (struct hv_offer){ .num_queues = 1, .depth = DEPTH, .record_pages = RECORDS, .queue_pages = 2 + DEPTH };
	for (unsigned int i = 0; i < HVDRV_SLOT_PAGES; i++)
		o->slot_gref[i] = fake_grant(w->f, 5, CODE + i, false);
	o->queue[0].state = fake_grant(w->f, 5, MEM, false);
	for (uint32_t i = 0; i < RECORDS; i++)
		o->queue[0].record[i] = fake_grant(w->f, 5, MEM + 1 + i, false);
	for (uint32_t i = 0; i < HV_SWAP_RING_PAGES; i++)
		o->queue[0].page[i] = fake_grant(w->f, 5, MEM + 1 + RECORDS + i, false);
}

static void world(struct world *w)
{
	uint8_t body[2000];
	struct hv_err e = { 0 };
	struct rng r;

	memset(w, 0, sizeof(*w));
	rng_init(&r, "journal");
	snprintf(w->dir, sizeof(w->dir), "%s", unit_path("switch"));
	mkdir(w->dir, 0700);
	w->f = fake_new();
	fake_domain_add(w->f, 5, "web1");
	w->h = fake_open(w->f);
	rng_fill(&r, fake_page(w->f, 5, CODE), HVDRV_SLOT_SIZE);
	memcpy(w->before, fake_page(w->f, 5, CODE), HVDRV_SLOT_SIZE);
	rng_fill(&r, body, sizeof(body));
	img_make(&w->img, body, sizeof(body), true);
	w->j = hv_journal_new(w->dir, 5, 0, &e);
	ck_assert_msg(w->j != NULL, "%s", e.text);
	offer(w, &w->j->offer);
	ck_assert_int_eq(hv_slot_map(w->h, 5, &w->j->offer, false, &w->slot, &e), 0);
	w->slot.generation = 7;
	ck_assert_int_eq(hv_swap_open(w->h, 5, &w->j->offer, &w->slot, &w->j->saved, &w->s, &e), 0);
}

static void ring(uint8_t *pages, unsigned int begun)
{
}

static void replace(struct world *w)
{
	static const struct hv_inflight_table none;

	hv_swap_hold(&w->s, true);
	hv_swap_replace(&w->s, &w->img, &none, ring);
}

/* hvdrvd is gone, its mappings with it. */
static void die(struct world *w)
{
	hv_swap_close(w->h, &w->s);
	hv_slot_unmap(w->h, &w->slot);
}

static bool old_driver(struct world *w)
{
	return !memcmp(w->before, fake_page(w->f, 5, CODE), HVDRV_SLOT_SIZE);
}

static void done(struct world *w)
{
	ck_assert_uint_eq(fake_mapped(w->f), 0);
	hv_journal_end(w->dir, w->j);
	hv_image_free(&w->img);
	hv_host_close(w->h);
	fake_free(w->f);
}

/* Where hvdrvd dies: what the journal says, how often the domain is paused, whether the memory is new; what comes of it. */
static const struct {
	enum hv_journal_state state;
	int pauses;
	bool replaced;
	enum hv_journal_state then;
	int pauses_then;
	bool old_then;
} deaths[] = {
	{ HV_JOURNAL_NONE, 0, false, HV_JOURNAL_NONE, 0, true },
	{ HV_JOURNAL_PAUSING, 0, false, HV_JOURNAL_NONE, 0, true },		/* before the pause */
	{ HV_JOURNAL_PAUSING, 1, false, HV_JOURNAL_NONE, 0, true },		/* paused, nothing changed yet */
	{ HV_JOURNAL_PAUSING, 1, true, HV_JOURNAL_NONE, 0, true },		/* changed: put back */
	{ HV_JOURNAL_RESUMING, 1, true, HV_JOURNAL_RESUMED, 0, false },
	{ HV_JOURNAL_RESUMING, 0, true, HV_JOURNAL_RESUMED, 0, false },		/* unpaused already */
	{ HV_JOURNAL_RESUMED, 0, true, HV_JOURNAL_RESUMED, 0, false },
	{ HV_JOURNAL_NONE, 1, false, HV_JOURNAL_NONE, 1, true },		/* an admin's pause: his */
	{ HV_JOURNAL_RESUMED, 1, true, HV_JOURNAL_RESUMED, 1, false },
	{ HV_JOURNAL_PAUSING, 2, true, HV_JOURNAL_NONE, 1, true },		/* ours and an admin's */
};

START_TEST(death)
{
	struct hv_err e = { 0 };
	struct world w;

	world(&w);
	for (int i = 0; i < deaths[_i].pauses; i++)
		w.h->ops->pause(w.h, 5);
	if (deaths[_i].replaced)
		replace(&w);
	hv_journal_set(w.j, deaths[_i].state);
	die(&w);
	for (int twice = 0; twice < 2; twice++) {	/* whoever comes second has nothing to do */
		ck_assert_msg(!hv_journal_recover(w.h, w.j, &e), "%s", e.text);
		ck_assert_int_eq(w.j->state, deaths[_i].then);
		ck_assert_int_eq(fake_pauses(w.f, 5), deaths[_i].pauses_then);
		ck_assert_int_eq(old_driver(&w), deaths[_i].old_then);
	}
	done(&w);
}
END_TEST

/* What cannot be put back must not run: the guest stays paused, and the next try may do it. */
START_TEST(cannot)
{
	struct hv_err e = { 0 };
	struct world w;

	world(&w);
	w.h->ops->pause(w.h, 5);
	replace(&w);
	hv_journal_set(w.j, HV_JOURNAL_PAUSING);
	die(&w);
	fake_fail(w.f, "map_grants", 2, ENOMEM);
	ck_assert_int_ne(hv_journal_recover(w.h, w.j, &e), 0);
	ck_assert_int_eq(fake_pauses(w.f, 5), 1);
	fake_fail(w.f, NULL, 0, 0);
	ck_assert_int_eq(hv_journal_recover(w.h, w.j, &e), 0);
	ck_assert_int_eq(fake_pauses(w.f, 5), 0);
	ck_assert(old_driver(&w));
	done(&w);
}
END_TEST

static int seen, bad;

static bool look(void *arg, struct hv_journal *j, const char *why)
{
	if (j) {
		ck_assert_uint_eq(j->domid, 5);
		seen++;
	} else {
		ck_assert_ptr_nonnull(strstr(why, (const char *)arg));
		bad++;
	}
	return j != NULL;
}

/* Found again, and only what this version wrote; what is not a journal stays for a person to look at. */
START_TEST(files)
{
	static const struct { size_t at; uint8_t with; const char *why; } damage[] = {
		{ 0, 1, "no journal" }, { 4, 99, "another version" }, { 8, 1, "another version" },
	};
	struct world w;
	char path[400];
	FILE *f;

	world(&w);
	die(&w);
	snprintf(path, sizeof(path), "%s/lock", w.dir);
	unit_write(path, "", 0);
	hv_journal_each(w.dir, look, "");
	ck_assert_int_eq(seen, 1);
	hv_journal_each(w.dir, look, "");
	ck_assert_int_eq(seen, 1);			/* it was removed */
	for (size_t i = 0; i < N(damage); i++) {
		struct hv_err e;
		struct hv_journal *j = hv_journal_new(w.dir, 5, 1, &e);

		((uint8_t *)j)[damage[i].at] = damage[i].with;
		hv_journal_each(w.dir, look, (void *)damage[i].why);
	}
	snprintf(path, sizeof(path), "%s/5.1", w.dir);
	f = fopen(path, "w");
	fputs("short", f);
	fclose(f);
	hv_journal_each(w.dir, look, "shorter");
	ck_assert_int_eq(bad, N(damage) + 1);
	ck_assert_int_eq(access(path, F_OK), 0);
	done(&w);
}
END_TEST

/* No room: said, and nothing is left of it. */
START_TEST(full)
{
	const char *dir = unit_small_fs();
	struct hv_err e = { 0 };
	char path[400];

	if (!dir)
		return;
	errno = 0;
	ck_assert_ptr_null(hv_journal_new(dir, 5, 0, &e));
	ck_assert_int_eq(e.code, ENOSPC);
	errno = ENOENT;				/* of something else */
	ck_assert_ptr_null(hv_journal_new(dir, 5, 0, &e));
	ck_assert_int_eq(e.code, ENOSPC);
	snprintf(path, sizeof(path), "%s/5.0", dir);
	ck_assert(!unit_exists(path));
	umount2(dir, MNT_DETACH);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("journal", (const TTest *[]){ cannot, files, full, NULL });

	unit_loop(s, "death", death, N(deaths));
	return s;
}
