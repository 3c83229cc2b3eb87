// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/store.h"
#include "switch.h"
#include "unit.h"

/* ---- time passes when a test says so ---- */

static int64_t later;

int64_t __real_hv_now_ns(void);
int64_t __wrap_hv_now_ns(void);
int64_t __wrap_hv_now_ns(void)
{
	return __real_hv_now_ns() + later;
}

/* ---- the guest's memory ---- */

struct hvdrv_state *state(struct world *w)
{
	return fake_page(w->f, DOMID, QUEUE);
}

struct hvdrv_record *record(struct world *w, uint32_t tag)
{
	return (struct hvdrv_record *)fake_page(w->f, DOMID, QUEUE + 1) + tag;
}

uint8_t *ring(struct world *w)
{
	return fake_page(w->f, DOMID, QUEUE + 1 + RECORDS);
}

bool placed(struct world *w, const char *id)
{
	struct hv_image img;
	struct hv_err e;
	char path[512];
	bool same;

	hv_store_path(w->repo, id, path, sizeof(path));
	ck_assert_int_eq(hv_image_load(path, &img, &e), 0);
	same = !memcmp(img.payload, fake_page(w->f, DOMID, CODE), img.h.payload_size);
	hv_image_free(&img);
	return same;
}

/* ---- a device that is served, and switches of it ---- */

unsigned int mapped;

void serve(struct world *w, const char *more)
{
	attach(w, more);
	admin(w, "deadline-ns", "60000000000");		/* a busy machine freezes nobody for too long */
	offer_keys(w);
	guest_state(w, "3");
	answer(WIRE_ADD, WIRE_OK, 0);
	spin(w);
	guest_state(w, "4");
	ck_assert(placed(w, w->blkif));
	mapped = fake_mapped(w->f);
}

void run_dirs(struct world *w, char *path, size_t size)
{
	mkdir(w->state, 0700);
	snprintf(path, size, "%s/switch", w->state);
	mkdir(path, 0700);
}

void live(struct world *w)
{
	char dir[300];

	start(w);
	run_dirs(w, dir, sizeof(dir));
	serve(w, "");
}

void admin(struct world *w, const char *key, const char *value)
{
	ck_assert_int_eq(hv_writef(w->d.host, 0, value, "%s%s", ADMIN, key), 0);
}

void want(struct world *w, const char *mode)
{
	admin(w, "want", mode);
	spin(w);
}

void hold(struct world *w, const struct hv_inflight_table *t)
{
	struct wire_msg m = { .type = WIRE_HELD };

	if (t)
		m.held.queue[0] = *t;
	answer_with(WIRE_HOLD, &m);
	spin(w);
}

unsigned int asked(void)
{
	return workers.last->n;
}

const struct wire_msg *question(uint32_t type)
{
	ck_assert_uint_gt(asked(), 0);
	ck_assert_uint_eq(workers.last->sent[0].m.type, type);
	return &workers.last->sent[0].m;
}

void look(struct world *w)
{
	/* longer than the coarse clock of the event loop; twice: one look may be an answer's, not yet the next */
	const struct timeval span = { .tv_usec = 6000 };

	for (int i = 0; i < 2; i++) {
		event_base_loopexit(w->d.base, &span);
		event_base_loop(w->d.base, 0);
	}
}

void pass(struct world *w, int64_t ns)
{
	later += ns;
	look(w);
}

void adopt(struct world *w)
{
	state(w)->adopted = state(w)->adopt;
	look(w);
}

/* ---- what there is to see ---- */

bool journal_left(struct world *w)
{
	char dir[300];
	struct dirent *de;
	bool left = false;
	DIR *dp;

	run_dirs(w, dir, sizeof(dir));
	dp = opendir(dir);
	while ((de = readdir(dp)))
		left |= de->d_name[0] != '.';
	closedir(dp);
	return left;
}

static char *reason(struct world *w)
{
	return hv_readf(w->d.host, 0, "%sretarget/reason", ADMIN);
}

void ck_reason(struct world *w, const char *part)
{
	char *text = reason(w);

	ck_assert_ptr_nonnull(text);
	ck_contains(text, part);
	free(text);
}

void ck_quiet(struct world *w)
{
	ck_assert_int_eq(fake_pauses(w->f, DOMID), 0);
	ck_assert(!journal_left(w));
	ck_assert_uint_eq(fake_mapped(w->f), mapped);
	ck_assert_uint_eq(state(w)->hold, 0);
}

void ck_record(struct world *w, const char *seq, const char *result, const char *who)
{
	ck_assert(is(w, ADMIN "retarget/seq", seq));
	ck_assert(is(w, ADMIN "retarget/state", "done"));
	ck_assert(is(w, ADMIN "retarget/result", result));
	ck_assert(is(w, ADMIN "retarget/who", who));
}

void ck_virtual(struct world *w, const char *generation)
{
	ck_assert(is(w, BACK "mode", "virtual"));
	ck_assert(is(w, BACK "driver/name", "blkif"));
	ck_assert(is(w, BACK "driver/hash", w->blkif));
	ck_assert(is(w, BACK "driver/ring-pages", "2"));
	ck_assert(is(w, BACK "driver/signer", "test"));
	ck_assert(is(w, BACK "driver/generation", generation));
	ck_assert(placed(w, w->blkif));
}

void ck_paravirtual(struct world *w, const char *generation)
{
	ck_assert(is(w, BACK "mode", "paravirtual"));
	ck_assert(is(w, BACK "driver/name", "nvme"));
	ck_assert(is(w, BACK "driver/hash", w->nvme));
	ck_assert(is(w, BACK "driver/ring-pages", "1"));
	ck_assert(is(w, BACK "driver/signer", "test"));
	ck_assert(is(w, BACK "driver/generation", generation));
	ck_assert(placed(w, w->nvme));
}

void go_to(struct world *w, const char *mode)
{
	want(w, mode);
	hold(w, NULL);
	ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 1);
	answer(WIRE_GO, WIRE_OK, 0);
	adopt(w);
	ck_assert(is(w, BACK "mode", mode));
	ck_quiet(w);
}

void stop_daemon(struct world *w)
{
	scan_stop(&w->d);
	if (workers.last)
		worker_ends();
	ck_assert(TAILQ_EMPTY(&w->d.doms));
	event_free(w->d.store_event);
	event_base_free(w->d.base);
	hv_host_close(w->d.host);
	w->d.host = fake_open(w->f);		/* for the test's own eyes */
}
