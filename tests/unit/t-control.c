// SPDX-License-Identifier: GPL-2.0-only
/* hvdrvd's steps against the fake host: what it does for a guest, whatever the guest, the worker or the host does. */
#include <unistd.h>
#include "control.h"
#include "unit.h"

START_TEST(life)
{
	struct world w;
	struct hvdrv_state *st;

	start(&w);
	attach(&w, _i ? ",place=foreign" : "");
	ck_assert(is(&w, BACK "state", "2"));
	ck_assert(is(&w, BACK "limits/sectors", "2048"));
	ck_assert(is(&w, BACK "limits/max-segments", "63"));
	ck_assert(is(&w, BACK "abi-max", "3"));
	ck_assert(is(&w, BACK "limits/pool-pages", "2048"));
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
	ck_assert(is(&w, BACK "path", "copy"));		/* a guest of version 1 */
	ck_assert(is(&w, ADMIN "pool-pages", "0"));
	st = fake_page(w.f, DOMID, QUEUE);
	ck_assert_uint_eq(st->generation, 1);
	guest_state(&w, "4");
	workers.last->ev->event(workers.last->dom, &(struct wire_msg){ .type = WIRE_EV_FIRST_READ });
	ck_assert(is(&w, ADMIN "status", "ready"));

	/* said again it changes nothing */
	ck_assert_int_eq(w.d.host->ops->write(w.d.host, 0, ADMIN "status", "other"), 0);
	workers.last->ev->event(workers.last->dom, &(struct wire_msg){ .type = WIRE_EV_FIRST_READ });
	ck_assert(is(&w, ADMIN "status", "other"));

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
	ck_octets(fake_page(w.f, DOMID, CODE), HVDRV_SLOT_SIZE, HVDRV_SLOT_FILL);
	guest_state(&w, "1");
	ck_released(&w);
}
END_TEST

static void offer_pool(struct world *w, uint32_t pages)
{
	struct hvdrv_desc *d = offer_keys(w);

	put(w, "abi-max", "2");
	d->version = 2;
	d->pool_pages = pages;
	for (uint32_t i = 0; i < pages; i++)
		d->gref[d->num_grefs++] = 3000 + i;
}

/* The worker has so many of them; the guest is told what to use. */
static void pool_served(struct world *w, uint32_t pages)
{
	struct wire_msg m = { .type = WIRE_OK, .added.pool_pages = pages };

	answer_with(WIRE_ADD, &m);
	spin(w);
	guest_state(w, "4");
}

static void want_path(struct world *w, const char *path)
{
	ck_assert_int_eq(w->d.host->ops->write(w->d.host, 0, BACK "state", "0"), 0);	/* to see it written again */
	ck_assert_int_eq(w->d.host->ops->write(w->d.host, 0, ADMIN "want-path", path), 0);
	spin(w);
}

static const struct {
	const char *params;
	uint32_t offered, mapped;
	const char *path, *after_auto;
} paths[] = {
	{ "", 16, 16, "pool", "pool" }, { ",path=pool", 16, 16, "pool", "pool" }, { ",path=copy", 16, 16, "copy", "pool" },
	{ ",path=pool", 16, 0, "copy", "copy" }, { "", 0, 0, "copy", "copy" },
};

/* The path of each wish and each pool, and changed while it is served. */
START_TEST(path)
{
	bool pool = paths[_i].mapped;
	struct world w;

	start(&w);
	attach(&w, paths[_i].params);
	offer_pool(&w, paths[_i].offered);
	guest_state(&w, "3");
	ck_assert_uint_eq(workers.last->sent[0].m.add.pool_pages, paths[_i].offered);
	ck_assert_uint_eq(workers.last->sent[0].m.add.pool_ref[3], paths[_i].offered ? 3003 : 0);
	pool_served(&w, paths[_i].mapped);
	ck_assert(is(&w, BACK "path", paths[_i].path));
	ck_assert(is(&w, ADMIN "path", paths[_i].path));
	ck_assert(is(&w, ADMIN "pool-pages", pool ? "16" : "0"));

	want_path(&w, "copy");
	ck_assert(is(&w, BACK "path", "copy"));
	ck_assert(is(&w, ADMIN "path", "copy"));
	ck_assert(is(&w, BACK "state", strcmp(paths[_i].path, "copy") ? "4" : "0"));
	want_path(&w, "auto");
	ck_assert(is(&w, ADMIN "path", paths[_i].after_auto));
	ck_assert(is(&w, BACK "path", paths[_i].after_auto));
	ck_assert(is(&w, BACK "state", pool ? "4" : "0"));
	want_path(&w, "pool");					/* it is, or cannot be: nobody is told anything */
	ck_assert(is(&w, BACK "path", paths[_i].after_auto));
	ck_assert(is(&w, BACK "state", "0"));
	ck_assert_ptr_null(fake_perms(w.f, ADMIN "retarget"));	/* and no switch has been */
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

static void lie_pool(struct world *w, struct hvdrv_desc *d) { d->version = 2; d->pool_pages = 4000000000u; }
static void lie_pool_count(struct world *w, struct hvdrv_desc *d) { d->version = 2; d->pool_pages = 5; }

static const struct {
	void (*lie)(struct world *w, struct hvdrv_desc *d);
	const char *says;
} lies[] = {
	{ lie_magic, "no descriptor" }, { lie_va, "differ" }, { lie_ref, "too early" }, { lie_abi_new, "update hvdrv on the host" },
	{ lie_abi_old, "update hvdrv in the guest" }, { lie_os, "plan9" }, { lie_release, "does not say" }, { lie_grant, "cannot be mapped" },
	{ lie_state_page, "state page" }, { lie_full, "holds something" },
	{ lie_pool, "a pool of 4000000000" }, { lie_pool_count, "counts" },
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

/* The guest's kernel goes down: it waits for our Closing (Linux, xenbus_dev_shutdown), not for Closed, and comes back or not. */
START_TEST(goes_down)
{
	struct world w;

	start(&w);
	attach(&w, "");
	offer_keys(&w);
	guest_state(&w, "3");
	answer(WIRE_ADD, WIRE_OK, 0);
	guest_state(&w, "4");
	guest_state(&w, "5");
	ck_assert(is(&w, BACK "state", "4"));		/* what is in flight ends before */
	answer(WIRE_DEL, WIRE_OK, 0);
	spin(&w);
	ck_assert(is(&w, BACK "state", "5"));
	ck_assert(is(&w, ADMIN "status", "closed-by-guest"));
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	request(&w, "none");				/* looked at once more: nothing happens */
	ck_assert(is(&w, BACK "state", "5"));
	guest_state(&w, "6");
	ck_assert(is(&w, BACK "state", "6"));
	guest_state(&w, "1");
	ck_assert(is(&w, BACK "state", "2"));
}
END_TEST

/* A worker that cannot be told to let go may still be at work in the guest's memory: that is given back when it has ended. */
START_TEST(worker_deaf)
{
	struct world w;

	start(&w);
	attach(&w, "");
	offer_keys(&w);
	guest_state(&w, "3");
	answer(WIRE_ADD, WIRE_OK, 0);
	guest_state(&w, "4");
	request(&w, "detach");
	workers.fail_send = ENOMEM;
	guest_state(&w, "6");
	workers.fail_send = 0;
	ck_assert(workers.last->killed);
	ck_assert(is(&w, BACK "state", "5"));
	ck_assert_uint_gt(fake_mapped(w.f), 0);
	worker_ends();
	spin(&w);
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	ck_assert(is(&w, BACK "state", "6"));
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
	if (_i == 3) {
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

/* Windows of one file, as the second device of this guest: what overlaps is refused, what does not is served. */
static const struct {
	const char *a, *b;
	bool both;
} windows[] = {
	{ ",range=0+1024", ",range=1024+1024", true }, { ",range=1024+1024", ",range=0+1024", true }, { ",range=0+1024", ",range=1023+1", false },
	{ ",range=0+1024", "", false }, { "", ",range=0+8", false }, { ",range=0+8,shared", ",range=0+8,shared", true },
	{ ",range=0+8", ",range=2048+1", false },
};

START_TEST(windows_of_one)
{
	struct hv_params p;
	struct hv_dev_id id = { .domid = DOMID };
	char text[700];
	struct world w;

	start(&w);
	attach(&w, windows[_i].a);
	snprintf(text, sizeof(text), "class=block,backend=%s%s", w.disk, windows[_i].b);
	ck_assert_int_eq(hv_params_parse(text, &p, NULL), 0);
	strcpy(p.name, "second");
	ck_assert_int_eq(hv_device_create(w.d.host, &p, &id, NULL), 0);
	spin(&w);
	ck_assert(is(&w, "/local/domain/0/hvdrv/" UUID "/1/status", windows[_i].both ? "waiting-for-guest" : "failed"));
	ck_assert(is(&w, ADMIN "status", "waiting-for-guest"));
}
END_TEST

/* The guest is told of its window's length, the worker where it lies; it does not grow. */
START_TEST(window)
{
	struct world w;
	char *why;

	start(&w);
	attach(&w, ",range=40+1000");
	ck_assert(is(&w, BACK "limits/sectors", "1000"));
	offer_keys(&w);
	guest_state(&w, "3");
	ck_assert_uint_eq(workers.last->sent[0].m.add.first, 40);
	ck_assert_uint_eq(workers.last->sent[0].m.add.lim.sectors, 1000);
	answer(WIRE_ADD, WIRE_OK, 0);
	spin(&w);
	guest_state(&w, "4");
	ck_assert_int_eq(truncate(w.disk, 2 << 20), 0);
	request(&w, "resize");
	ck_assert_uint_eq(workers.last->n, 0);
	ck_assert(is(&w, ADMIN "resize", "failed"));
	ck_assert(is(&w, BACK "limits/sectors", "1000"));
	why = w.d.host->ops->read(w.d.host, 0, ADMIN "error");
	ck_contains(why, "range of its backend");
	free(why);
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

/* How the generator ended is heard by who asked for that driver, once; for another one it has not run. */
START_TEST(generator_of)
{
	struct hv_os os = { .type = "linux", .release = "6.1.0-56-amd64", .arch = "x86_64", .abi = "linux-kernel" }, other = os;
	struct world w;
	struct hv_err e = { 0 };

	start(&w);
	w.d.opt.generator = _i ? "/bin/false" : "/bin/true";
	ck_assert_int_eq(generate_state(&w.d, &os, "block", "virtual", NULL, &e), GENERATE_NONE);
	ck_assert_msg(!generate_start(&w.d, &os, "block", "virtual", NULL, &e), "%s", e.text);
	while (generate_state(&w.d, &os, "block", "virtual", "virtio-blk", &e) == GENERATE_RUNS)
		event_base_loop(w.d.base, EVLOOP_ONCE);
	strcpy(other.release, "6.12.1");
	ck_assert_int_eq(generate_state(&w.d, &os, "block", "virtual", "virtio-blk", &e), GENERATE_NONE);
	ck_assert_int_eq(generate_state(&w.d, &os, "block", "paravirtual", NULL, &e), GENERATE_NONE);
	ck_assert_int_eq(generate_state(&w.d, &os, "net", "virtual", NULL, &e), GENERATE_NONE);
	ck_assert_int_eq(generate_state(&w.d, &other, "block", "virtual", NULL, &e), GENERATE_NONE);
	ck_assert_int_eq(generate_state(&w.d, &os, "block", "virtual", NULL, &e), _i ? GENERATE_FAILED : GENERATE_DONE);
	ck_assert_int_eq(generate_state(&w.d, &os, "block", "virtual", NULL, &e), GENERATE_NONE);
	generate_stop(&w.d);
}
END_TEST

/* Of a mode with two devices the driver of the one that was asked for, or none. */
START_TEST(driver)
{
	struct world w;

	start(&w);
	attach(&w, _i ? ",driver=blkif" : ",driver=virtio-blk");
	offer_keys(&w);
	guest_state(&w, "3");
	if (_i) {
		answer(WIRE_ADD, WIRE_OK, 0);
		spin(&w);
		ck_assert(is(&w, BACK "driver/name", "blkif"));
		ck_assert_int_eq(access(unit_path("state/versions"), F_OK), 0);
		return;
	}
	ck_assert(is(&w, ADMIN "status", "failed"));
	ck_contains(w.d.host->ops->read(w.d.host, 0, ADMIN "error"), "is a driver for blkif, not for virtio-blk; on a machine with a compiler");
	ck_contains(w.d.host->ops->read(w.d.host, 0, ADMIN "error"), " --device virtio-blk ");
	ck_assert(is(&w, BACK "driver/name", NULL));
	ck_assert_int_eq(access(unit_path("state/versions"), F_OK), -1);		/* nothing was placed */
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("control", (const TTest *[]){ worker_deaf, goes_down, NULL });

	unit_loop(s, "life", life, 2);
	unit_loop(s, "path", path, N(paths));
	unit_loop(s, "death", death, 7);
	unit_loop(s, "lie", lie, N(lies));
	unit_loop(s, "worker-trouble", worker_trouble, 4);
	unit_loop(s, "fail-at-each-call", fail_at_each_call, 45);
	unit_loop(s, "conflict", conflict, 2);
	unit_loop(s, "windows-of-one", windows_of_one, N(windows));
	unit_loop(s, "window", window, 1);
	unit_loop(s, "xl-disk", xl_disk, 3);
	unit_loop(s, "generator-of", generator_of, 2);
	unit_loop(s, "driver", driver, 2);
	return s;
}
