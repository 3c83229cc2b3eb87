// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvdrvd's steps against the fake host: the test is the guest, the admin and the worker. Stands in for
 * backend/control/link.c: what is sent to a worker is kept, and answered when a test says so.
 */
#include <sys/stat.h>
#include <unistd.h>
#include "control/daemon.h"
#include "core/store.h"
#include "host/fake/fake.h"
#include "img.h"
#include "unit.h"

#define DOMID 5u
#define UUID "5f9c4a1e-0000-4000-8000-000000000005"
#define FRONT "/local/domain/5/device/hvdrv/0/"
#define BACK "/local/domain/0/backend/hvdrv/5/0/"
#define ADMIN "/local/domain/0/hvdrv/" UUID "/0/"
#define CODE 500u		/* the guest's frames: slot, descriptor, queue memory */
#define DESC 510u
#define QUEUE 600u
#define SLOT_VA 0xffffffffc0200000ull

/* ---- the worker's end ---- */

struct sent {
	struct wire_msg m;
	link_reply_fn fn;
	void *arg;
};

struct link {
	struct dom *dom;
	const struct link_events *ev;
	bool quitting;
	struct sent sent[32];
	unsigned int n;
};

static struct {
	struct link *last;		/* the link there is, NULL: none */
	int fail_start, fail_send;
} workers;

struct link *link_start(struct daemon *d, struct dom *dom, const struct link_events *ev, struct hv_err *e)
{
	struct link *l = calloc(1, sizeof(*l));

	if (workers.fail_start) {
		free(l);
		hv_err(e, workers.fail_start, "no worker today");
		return NULL;
	}
	l->dom = dom;
	l->ev = ev;
	workers.last = l;
	return l;
}

int link_send(struct link *l, struct wire_msg *m, int fd, link_reply_fn fn, void *arg)
{
	if (workers.fail_send)
		return -workers.fail_send;
	ck_assert_uint_lt(l->n, N(l->sent));
	l->sent[l->n++] = (struct sent){ *m, fn, arg };
	return 0;
}

void link_forget(struct link *l, void *arg)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (l->sent[i].arg == arg)
			l->sent[i].fn = NULL;
}

void link_quit(struct link *l)
{
	l->quitting = true;
}

bool link_quitting(const struct link *l)
{
	return l->quitting;
}

void link_sweep(struct daemon *d)
{
}

/* Answers the oldest question, which must be of this type. */
static void answer(uint32_t type, uint32_t with, uint32_t code)
{
	struct wire_msg m = { .type = with };
	struct link *l = workers.last;
	struct sent s;

	ck_assert_msg(l && l->n, "nothing was asked");
	s = l->sent[0];
	ck_assert_uint_eq(s.m.type, type);
	memmove(l->sent, l->sent + 1, --l->n * sizeof(s));
	m.dev = s.m.dev;
	m.error.code = code;
	if (s.fn)
		s.fn(s.arg, &m);
}

static void worker_ends(void)
{
	struct link *l = workers.last;

	workers.last = NULL;
	for (unsigned int i = 0; i < l->n; i++)
		if (l->sent[i].fn)
			l->sent[i].fn(l->sent[i].arg, NULL);
	l->ev->gone(l->dom);
	free(l);
}

/* ---- the world ---- */

struct world {
	struct fake *f;
	struct hv_host *g;		/* the guest's own handle */
	struct daemon d;
	struct hv_dev_id id;
	char disk[300], repo[256], keys[256], state[256];
	unsigned int nodes, watches;	/* before there is a device */
};

static void spin(struct world *w)
{
	for (int i = 0; i < 5; i++)
		event_base_loop(w->d.base, EVLOOP_NONBLOCK);
}

static void put_image(struct world *w)
{
	struct img_key k;
	struct hv_image img;
	char hex[65], text[128], id[65];
	struct hv_err e = { 0 };

	img_key(&k, "test");
	img_make(&img, "\x90", 1, false);
	hv_image_sign(&img, k.secret);
	ck_assert_msg(!hv_store_add(w->repo, &img, &k.ring, id, &e), "%s", e.text);
	mkdir(w->keys, 0700);
	for (int i = 0; i < HV_KEY_BYTES; i++)
		sprintf(hex + 2 * i, "%02x", k.pub.pub[i]);
	snprintf(text, sizeof(text), "hvdrv-public-key 1 %s\n", hex);
	unit_write(unit_path("keys/test.pub"), text, strlen(text));
	hv_image_free(&img);
}

static void start(struct world *w)
{
	struct hv_err e = { 0 };

	memset(w, 0, sizeof(*w));
	w->f = fake_new();
	fake_domain_add(w->f, DOMID, "web1");
	w->g = fake_open_guest(w->f, DOMID);
	snprintf(w->repo, sizeof(w->repo), "%s", unit_path("repo"));
	snprintf(w->keys, sizeof(w->keys), "%s", unit_path("keys"));
	snprintf(w->state, sizeof(w->state), "%s", unit_path("state"));
	snprintf(w->disk, sizeof(w->disk), "%s", unit_path("disk"));
	unit_write(w->disk, "", 0);
	ck_assert_int_eq(truncate(w->disk, 1 << 20), 0);
	put_image(w);
	TAILQ_INIT(&w->d.doms);
	w->d.opt = (struct options){ .repo = w->repo, .keys = w->keys, .state = w->state, .run = w->state, .libexec = "/none", .generator = "/none",
				     .no_generate = true };
	w->d.host = fake_open(w->f);
	w->d.base = event_base_new();
	ck_assert_msg(!scan_start(&w->d, &e), "%s", e.text);
	spin(w);
	w->nodes = fake_nodes(w->f);
	w->watches = fake_watches(w->f);
}

static void attach(struct world *w, const char *more)
{
	char text[700];
	struct hv_params p;
	struct hv_err e = { 0 };

	snprintf(text, sizeof(text), "class=block,backend=%s%s", w->disk, more);
	ck_assert_msg(!hv_params_parse(text, &p, &e), "%s", e.text);
	strcpy(p.name, "data");
	w->id = (struct hv_dev_id){ .domid = DOMID };
	ck_assert_msg(!hv_device_create(w->d.host, &p, &w->id, &e), "%s", e.text);
	spin(w);
}

static bool is(struct world *w, const char *path, const char *want)
{
	char *v = w->d.host->ops->read(w->d.host, 0, path);
	bool same = v ? want && !strcmp(v, want) : !want;

	if (!same)
		fprintf(stderr, "%s is %s\n", path, v ? v : "absent");
	free(v);
	return same;
}

static void guest_state(struct world *w, const char *s)
{
	ck_assert_int_eq(w->g->ops->write(w->g, 0, FRONT "state", s), 0);
	spin(w);
}

static struct hvdrv_desc *write_desc(struct world *w)
{
	struct hvdrv_desc *d = fake_page(w->f, DOMID, DESC);

	memset(d, 0, HVDRV_PAGE);
	*d = (struct hvdrv_desc){ .magic = HVDRV_DESC_MAGIC, .version = 1, .num_queues = 1, .depth = DEPTH, .record_pages = HVDRV_RECORD_PAGES(DEPTH),
				  .queue_pages = 2 + DEPTH, .slot_va = SLOT_VA, .slot_index = 0, .port = { 7 } };
	d->num_grefs = 1 + d->record_pages + d->queue_pages;
	for (uint32_t i = 0; i < d->num_grefs; i++)
		d->gref[i] = fake_grant(w->f, DOMID, QUEUE + i, false);
	for (uint32_t i = 0; i < HVDRV_SLOT_PAGES; i++) {
		memset(fake_page(w->f, DOMID, CODE + i), HVDRV_SLOT_FILL, HVDRV_PAGE);
		d->slot_gfn[i] = CODE + i;
		d->slot_gref[i] = fake_grant(w->f, DOMID, CODE + i, false);
	}
	return d;
}

static void put(struct world *w, const char *key, const char *v)
{
	char path[128];

	snprintf(path, sizeof(path), FRONT "%s", key);
	ck_assert_int_eq(w->g->ops->write(w->g, 0, path, v), 0);
}

/* All that a guest writes before state 3. */
static struct hvdrv_desc *offer_keys(struct world *w)
{
	struct hvdrv_desc *d = write_desc(w);
	char ref[16];

	snprintf(ref, sizeof(ref), "%u", fake_grant(w->f, DOMID, DESC, false));
	put(w, "os/type", "linux");
	put(w, "os/arch", "x86_64");
	put(w, "os/abi", "linux-kernel");
	put(w, "os/release", "6.1.0-56-amd64");
	put(w, "abi-min", "1");
	put(w, "abi-max", "1");
	put(w, "slot-ref", ref);
	put(w, "slot-va", "0xffffffffc0200000");
	return d;
}

static void request(struct world *w, const char *what)
{
	ck_assert_int_eq(w->d.host->ops->write(w->d.host, 0, ADMIN "request", what), 0);
	spin(w);
}

/* Nothing of the device is left, neither here nor in the store. */
static void ck_released(struct world *w)
{
	ck_assert_uint_eq(fake_mapped(w->f), 0);
	ck_assert_ptr_null(fake_perms(w->f, "/local/domain/0/backend/hvdrv/5"));
	ck_assert_ptr_null(fake_perms(w->f, "/local/domain/0/hvdrv/" UUID));
	ck_assert_uint_eq(fake_watches(w->f), w->watches);
	ck_assert(TAILQ_EMPTY(&w->d.doms) || TAILQ_EMPTY(&TAILQ_FIRST(&w->d.doms)->devs));
}

START_TEST(life)
{
	struct world w;
	struct hvdrv_state *st;

	start(&w);
	attach(&w, _i ? ",place=foreign" : "");
	ck_assert(is(&w, BACK "state", "2"));
	ck_assert(is(&w, BACK "limits/sectors", "2048"));
	ck_assert(is(&w, BACK "limits/max-segments", "63"));
	ck_assert(is(&w, BACK "abi-max", "1"));
	ck_assert(is(&w, ADMIN "status", "waiting-for-guest"));
	offer_keys(&w);
	guest_state(&w, "3");
	/* placed, and the guest told of nothing before the worker serves */
	ck_assert_int_eq(((uint8_t *)fake_page(w.f, DOMID, CODE))[0], 0xf3);
	ck_assert(is(&w, BACK "address", NULL));
	ck_assert(is(&w, BACK "state", "2"));
	ck_assert_uint_eq(workers.last->sent[0].m.add.port[0], 7);
	ck_assert_uint_eq(workers.last->sent[0].m.add.ring_pages, 2);
	answer(WIRE_ADD, WIRE_OK, 0);
	spin(&w);
	ck_assert(is(&w, BACK "state", "4"));
	ck_assert(is(&w, BACK "address", "0xffffffffc0200000"));
	ck_assert(is(&w, BACK "entry/submit", "0xffffffffc0200020"));
	ck_assert(is(&w, BACK "driver/generation", "1"));
	ck_assert(is(&w, BACK "mode", "virtual"));
	st = fake_page(w.f, DOMID, QUEUE);
	ck_assert_uint_eq(st->generation, 1);
	guest_state(&w, "4");
	workers.last->ev->event(workers.last->dom, &(struct wire_msg){ .type = WIRE_EV_FIRST_READ });
	ck_assert(is(&w, ADMIN "status", "ready"));

	/* grown */
	ck_assert_int_eq(truncate(w.disk, 2 << 20), 0);
	request(&w, "resize");
	ck_assert_uint_eq(workers.last->sent[0].m.resize.sectors, 4096);
	answer(WIRE_RESIZE, WIRE_OK, 0);
	ck_assert(is(&w, BACK "limits/sectors", "4096"));
	ck_assert(is(&w, ADMIN "resize", "done"));
	ck_assert_int_eq(truncate(w.disk, 1 << 20), 0);
	request(&w, "resize");
	ck_assert(is(&w, ADMIN "resize", "failed"));
	ck_assert(is(&w, BACK "limits/sectors", "4096"));

	/* refused while it is open, then let go */
	request(&w, "detach");
	ck_assert(is(&w, BACK "state", "5"));
	put(&w, "in-use", "1");
	spin(&w);
	ck_assert(is(&w, BACK "state", "4"));
	ck_assert(is(&w, ADMIN "status", "in-use"));
	request(&w, "detach");
	guest_state(&w, "5");
	guest_state(&w, "6");
	ck_assert_uint_gt(fake_mapped(w.f), 0);		/* not before the worker has let go */
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(&w);
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	ck_assert(is(&w, BACK "state", "6"));
	for (uint32_t i = 0; i < HVDRV_SLOT_SIZE; i++)
		ck_assert_int_eq(((uint8_t *)fake_page(w.f, DOMID, CODE))[i], HVDRV_SLOT_FILL);
	guest_state(&w, "1");
	ck_released(&w);
}
END_TEST

/* The guest dies at each step of its life. */
START_TEST(death)
{
	struct world w;

	start(&w);
	attach(&w, "");
	if (_i >= 1)
		offer_keys(&w);
	if (_i >= 2)
		guest_state(&w, "3");
	if (_i >= 3)
		answer(WIRE_ADD, WIRE_OK, 0);
	if (_i >= 4)
		guest_state(&w, "4");
	if (_i >= 5)
		request(&w, "detach");
	if (_i >= 6)
		guest_state(&w, "6");
	fake_domain_end(w.f, DOMID);
	spin(&w);
	ck_released(&w);
	if (workers.last) {			/* told to end; its late answers reach nobody */
		ck_assert(workers.last->quitting);
		while (workers.last->n)
			answer(workers.last->sent[0].m.type, WIRE_OK, 0);
		worker_ends();
	}
	spin(&w);
	ck_assert(TAILQ_EMPTY(&w.d.doms));
}
END_TEST

static void lie_magic(struct world *w, struct hvdrv_desc *d) { d->magic = 0; }
static void lie_va(struct world *w, struct hvdrv_desc *d) { d->slot_va += HVDRV_PAGE; }
static void lie_ref(struct world *w, struct hvdrv_desc *d) { put(w, "slot-ref", "99999999999"); }
static void lie_abi_new(struct world *w, struct hvdrv_desc *d) { put(w, "abi-min", "7"); put(w, "abi-max", "9"); }
static void lie_abi_old(struct world *w, struct hvdrv_desc *d) { put(w, "abi-max", "0"); }
static void lie_os(struct world *w, struct hvdrv_desc *d) { put(w, "os/type", "plan9"); }
static void lie_release(struct world *w, struct hvdrv_desc *d) { put(w, "os/release", ""); }
static void lie_grant(struct world *w, struct hvdrv_desc *d) { d->slot_gref[2] = 1023; }
static void lie_state_page(struct world *w, struct hvdrv_desc *d) { d->gref[0] = 1023; }
static void lie_full(struct world *w, struct hvdrv_desc *d) { *(uint8_t *)fake_page(w->f, DOMID, CODE + 3) = 0x55; }

static const struct {
	void (*lie)(struct world *w, struct hvdrv_desc *d);
	const char *says;
} lies[] = {
	{ lie_magic, "no descriptor" }, { lie_va, "differ" }, { lie_ref, "too early" }, { lie_abi_new, "update hvdrv on the host" },
	{ lie_abi_old, "update hvdrv in the guest" }, { lie_os, "plan9" }, { lie_release, "does not say" }, { lie_grant, "cannot be mapped" },
	{ lie_state_page, "state page" }, { lie_full, "holds something" },
};

/* Each lie: said why, nothing stays mapped, and not a byte of the guest's memory is changed. */
START_TEST(lie)
{
	static uint8_t before[HVDRV_SLOT_SIZE];
	struct world w;
	char *why;

	start(&w);
	attach(&w, "");
	lies[_i].lie(&w, offer_keys(&w));
	memcpy(before, fake_page(w.f, DOMID, CODE), sizeof(before));
	guest_state(&w, "3");
	ck_assert(is(&w, ADMIN "status", "failed"));
	why = w.d.host->ops->read(w.d.host, 0, ADMIN "error");
	ck_assert_ptr_nonnull(why);
	ck_contains(why, lies[_i].says);
	ck_assert(is(&w, BACK "state", "6"));
	ck_assert(is(&w, BACK "address", NULL));
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	ck_assert_mem_eq(before, fake_page(w.f, DOMID, CODE), sizeof(before));
	/* and it can be taken away */
	guest_state(&w, "6");
	guest_state(&w, "1");
	request(&w, "detach");
	ck_released(&w);
}
END_TEST

START_TEST(worker_trouble)
{
	struct world w;

	start(&w);
	attach(&w, "");
	workers.fail_start = _i == 0 ? EMFILE : 0;
	workers.fail_send = _i == 1 ? EPIPE : 0;
	offer_keys(&w);
	guest_state(&w, "3");
	if (_i == 2)
		answer(WIRE_ADD, WIRE_ERROR, ENOMEM);
	if (_i == 3)
		worker_ends();
	if (_i == 4) {
		answer(WIRE_ADD, WIRE_OK, 0);
		guest_state(&w, "4");
		worker_ends();
	}
	if (_i == 5) {
		answer(WIRE_ADD, WIRE_OK, 0);
		guest_state(&w, "4");
		workers.last->ev->event(workers.last->dom, &(struct wire_msg){ .type = WIRE_EV_FAILED, .error.reject = HV_REJ_RING });
		ck_assert_uint_eq(workers.last->sent[0].m.type, WIRE_DEL);
	}
	spin(&w);
	ck_assert(is(&w, ADMIN "status", "failed"));
	ck_assert(is(&w, BACK "state", "6"));
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	fake_domain_end(w.f, DOMID);
	spin(&w);
	ck_released(&w);
}
END_TEST

/* Any call of the host fails, at any step: what is left when the guest has gone is nothing. */
START_TEST(fail_at_each_call)
{
	struct world w;

	start(&w);
	attach(&w, "");
	offer_keys(&w);
	fake_fail(w.f, NULL, _i + 1, EIO);
	guest_state(&w, "3");
	if (workers.last && workers.last->n && workers.last->sent[0].m.type == WIRE_ADD)
		answer(WIRE_ADD, WIRE_OK, 0);
	spin(&w);
	guest_state(&w, "4");
	fake_fail(w.f, NULL, 0, 0);
	fake_domain_end(w.f, DOMID);
	spin(&w);
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	ck_assert_uint_eq(fake_watches(w.f), w.watches);
}
END_TEST

/* Two devices on one file: the second is refused, unless both share. */
START_TEST(conflict)
{
	struct hv_params p;
	struct hv_dev_id id = { .domid = DOMID };
	char text[700];
	struct world w;

	start(&w);
	attach(&w, ",ro");
	snprintf(text, sizeof(text), "class=block,backend=%s%s", w.disk, _i ? ",ro" : "");
	ck_assert_int_eq(hv_params_parse(text, &p, NULL), 0);
	strcpy(p.name, "second");
	ck_assert_int_eq(hv_device_create(w.d.host, &p, &id, NULL), 0);
	spin(&w);
	ck_assert(is(&w, "/local/domain/0/hvdrv/" UUID "/1/status", _i ? "waiting-for-guest" : "failed"));
	ck_assert(is(&w, ADMIN "status", "waiting-for-guest"));
}
END_TEST

START_TEST(xl_disk)
{
	struct world w;

	start(&w);
	w.d.host->ops->write(w.d.host, 0, "/local/domain/0/backend/vbd/9/51712/params", w.disk);
	w.d.host->ops->write(w.d.host, 0, "/local/domain/0/backend/vbd/9/51712/mode", _i == 1 ? "r" : "w");
	attach(&w, _i == 1 ? ",ro" : _i == 2 ? ",shared" : "");
	ck_assert(is(&w, ADMIN "status", _i ? "waiting-for-guest" : "failed"));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("control", NULL);

	unit_loop(s, "life", life, 2);
	unit_loop(s, "death", death, 7);
	unit_loop(s, "lie", lie, N(lies));
	unit_loop(s, "worker-trouble", worker_trouble, 6);
	unit_loop(s, "fail-at-each-call", fail_at_each_call, 45);
	unit_loop(s, "conflict", conflict, 2);
	unit_loop(s, "xl-disk", xl_disk, 3);
	return s;
}
