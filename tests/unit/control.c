// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control.h"
#include "core/store.h"
#include "img.h"
#include "unit.h"

/* ---- the worker's end ---- */

struct workers workers;

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

static void close_target(void)
{
	if (workers.target)
		close(workers.target);
	workers.target = 0;
}

int link_send_fds(struct link *l, struct wire_msg *m, const int *fds, int n, link_reply_fn fn, void *arg)
{
	return link_send(l, m, n ? fds[0] : -1, fn, arg);
}

int link_send(struct link *l, struct wire_msg *m, int fd, link_reply_fn fn, void *arg)
{
	if (workers.fail_send)
		return -workers.fail_send;
	ck_assert_uint_lt(l->n, N(l->sent));
	if (fd >= 0 && m->type == WIRE_ADD) {
		close_target();
		workers.target = dup(fd);
	}
	/* link_send() leaves the caller's descriptor to the caller */
	l->sent[l->n++] = (struct sent){ *m, m->type == WIRE_SHARE && fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1, fn, arg };
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

void link_kill(struct link *l)
{
	l->killed = true;		/* the test says worker_ends() */
}

pid_t link_pid(const struct link *l)
{
	return 4711;
}

bool link_quitting(const struct link *l)
{
	return l->quitting;
}

void link_sweep(struct daemon *d)
{
}

void answer_with(uint32_t type, struct wire_msg *m)
{
	struct link *l = workers.last;
	struct sent s;

	ck_assert_msg(l && l->n, "nothing was asked");
	s = l->sent[0];
	ck_assert_uint_eq(s.m.type, type);
	memmove(l->sent, l->sent + 1, --l->n * sizeof(s));
	m->dev = s.m.dev;
	if (s.fn)
		s.fn(s.arg, m);
}

void answer(uint32_t type, uint32_t with, uint32_t code)
{
	struct wire_msg m = { .type = with, .error.code = code };

	answer_with(type, &m);
}

void worker_ends(void)
{
	struct link *l = workers.last;

	workers.last = NULL;
	close_target();
	for (unsigned int i = 0; i < l->n; i++)
		if (l->sent[i].fn)
			l->sent[i].fn(l->sent[i].arg, NULL);
	l->ev->gone(l->dom);
	free(l);
}

/* ---- the world ---- */

void spin(struct world *w)
{
	for (int i = 0; i < 5; i++)
		event_base_loop(w->d.base, EVLOOP_NONBLOCK);
}

static void put_image(struct world *w, const struct img_key *k, struct hv_image *img, char id[65])
{
	struct hv_err e = { 0 };

	hv_image_sign(img, k->secret);
	ck_assert_msg(!hv_store_add(w->repo, img, &k->ring, id, &e), "%s", e.text);
	hv_image_free(img);
}

static void trust(struct world *w, const struct img_key *k, const char *name)
{
	char hex[65], text[128], file[64];

	mkdir(w->keys, 0700);
	for (int i = 0; i < HV_KEY_BYTES; i++)
		sprintf(hex + 2 * i, "%02x", k->pub.pub[i]);
	snprintf(text, sizeof(text), "hvdrv-public-key 1 %s\n", hex);
	snprintf(file, sizeof(file), "keys/%s.pub", name);
	unit_write(unit_path(file), text, strlen(text));
}

void put_version(struct world *w, uint32_t version, char id[65])
{
	struct hv_image img;
	struct img_key k;

	img_key(&k, "next");
	img_make(&img, "\x90\x90\x90", 3, false);
	img.h.version = version;
	put_image(w, &k, &img, id);
	trust(w, &k, "next");
}

void put_again(struct world *w)
{
	struct hv_image img;
	struct img_key k;
	char id[65];

	img_key(&k, "next");
	img_make(&img, "\x90", 1, false);
	put_image(w, &k, &img, id);
	ck_assert_str_eq(id, w->blkif);
	trust(w, &k, "next");
}

/* One per mode, of different code and rings. */
static void put_images(struct world *w)
{
	struct hv_image img;
	struct img_key k;

	img_key(&k, "test");
	img_make(&img, "\x90", 1, false);
	put_image(w, &k, &img, w->blkif);
	img_make(&img, "\x90\x90", 2, false);
	img_kind(&img, "nvme", "paravirtual", 1);
	put_image(w, &k, &img, w->nvme);
	trust(w, &k, "test");
}

/* Should a test add this domain it is listed before the others. */
static void keep_place(struct fake *f, uint32_t domid)
{
	struct hv_host *h = fake_open(f);
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	ck_assert_int_eq(h->ops->mkdir(h, 0, path), 0);
	hv_host_close(h);
}

void make_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->f = fake_new();
	keep_place(w->f, 4);
	fake_domain_add(w->f, DOMID, "web1");
	w->g = fake_open_guest(w->f, DOMID);
	snprintf(w->repo, sizeof(w->repo), "%s", unit_path("repo"));
	snprintf(w->keys, sizeof(w->keys), "%s", unit_path("keys"));
	snprintf(w->state, sizeof(w->state), "%s", unit_path("state"));
	snprintf(w->disk, sizeof(w->disk), "%s", unit_path("disk"));
	unit_write(w->disk, "", 0);
	ck_assert_int_eq(truncate(w->disk, 1 << 20), 0);
	put_images(w);
}

void start_daemon(struct world *w)
{
	struct hv_err e = { 0 };

	memset(&w->d, 0, sizeof(w->d));
	TAILQ_INIT(&w->d.doms);
	TAILQ_INIT(&w->d.shares);
	w->d.opt = (struct options){
		.repo = w->repo, .keys = w->keys, .state = w->state, .run = w->state, .xen_state = w->state, .libexec = "/none", .generator = "/none",
		.no_generate = true
	};
	w->d.host = fake_open(w->f);
	w->d.base = event_base_new();
	ck_assert_msg(!scan_start(&w->d, &e), "%s", e.text);
	spin(w);
}

void start(struct world *w)
{
	make_world(w);
	start_daemon(w);
	w->nodes = fake_nodes(w->f);
	w->watches = fake_watches(w->f);
}

void attach(struct world *w, const char *more)
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

bool is(struct world *w, const char *path, const char *want)
{
	char *v = w->d.host->ops->read(w->d.host, 0, path);
	bool same = v ? want && !strcmp(v, want) : !want;

	if (!same)
		fprintf(stderr, "%s is %s\n", path, v ? v : "absent");
	free(v);
	return same;
}

void guest_state(struct world *w, const char *s)
{
	ck_assert_int_eq(w->g->ops->write(w->g, 0, FRONT "state", s), 0);
	spin(w);
}

static struct hvdrv_desc *write_desc(struct world *w)
{
	struct hvdrv_desc *d = fake_page(w->f, DOMID, DESC);

	memset(d, 0, HVDRV_PAGE);
	*d = (struct hvdrv_desc){
		.magic = HVDRV_DESC_MAGIC, .version = 1, .num_queues = 1, .depth = DEPTH, .port = { 7 },
		.record_pages = HVDRV_RECORD_PAGES(DEPTH), .queue_pages = 2 + DEPTH, .slot_va = SLOT_VA, .slot_index = 0
	};
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

void put(struct world *w, const char *key, const char *v)
{
	char path[128];

	snprintf(path, sizeof(path), FRONT "%s", key);
	ck_assert_int_eq(w->g->ops->write(w->g, 0, path, v), 0);
}

struct hvdrv_desc *offer_keys(struct world *w)
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

void request(struct world *w, const char *what)
{
	ck_assert_int_eq(w->d.host->ops->write(w->d.host, 0, ADMIN "request", what), 0);
	spin(w);
}

void ck_released(struct world *w)
{
	ck_assert_uint_eq(fake_mapped(w->f), 0);
	ck_assert_ptr_null(fake_perms(w->f, "/local/domain/0/backend/hvdrv/5"));
	ck_assert_ptr_null(fake_perms(w->f, "/local/domain/0/hvdrv/" UUID));
	ck_assert_uint_eq(fake_watches(w->f), w->watches);
	ck_assert(TAILQ_EMPTY(&w->d.doms) || TAILQ_EMPTY(&TAILQ_FIRST(&w->d.doms)->devs));
}
