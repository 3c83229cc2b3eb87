// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a guest that has offered a slot to a served queue:
 *
 *   read the descriptor -> find an image, else have one made -> map the slot -> place -> the worker maps the rings
 *   -> address and entry points into xenstore -> Connected
 *
 * Nothing is visible to the guest before the last step.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/check.h"
#include "core/floor.h"
#include "core/store.h"
#include "daemon.h"

struct key_u64 {
	const char *key;
	uint64_t v;
};

static struct hv_blkif_limits blk_limits(const struct dev *v)
{
	return (struct hv_blkif_limits){
		.sectors = v->target.bytes / HVDRV_SECTOR, .block = v->target.block_size, .max_segs = HVDRV_MAX_SEGS,
		.max_bytes = HVDRV_MAX_SEGS * HVDRV_PAGE, .read_only = v->params.ro, .flush = true, .fua = true,
		.discard = v->target.discard, .write_zeroes = !v->params.ro,
	};
}

/* Queue pages that any driver of the class may ask for; the same in every mode. */
static uint32_t queue_pages(void)
{
	return 2 + DEPTH;
}

struct publisher {
	struct dev *v;
	const struct key_u64 *keys;
};

static int publish_limits(struct hv_host *h, hv_txn t, void *arg)
{
	struct publisher *p = arg;
	char text[32];
	int rc = 0;

	for (const struct key_u64 *k = p->keys; !rc && k->key; k++) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)k->v);
		rc = hv_writef(h, t, text, "%s/%s", p->v->at.back, k->key);
	}
	return rc;
}

int dev_publish_limits(struct dev *v, struct hv_err *e)
{
	struct hv_blkif_limits l = blk_limits(v);
	const struct key_u64 keys[] = {
		{ "abi-min", HVDRV_ABI_MIN }, { "abi-max", HVDRV_ABI_MAX }, { "limits/sectors", l.sectors },
		{ "limits/block-size", l.block }, { "limits/max-segments", l.max_segs }, { "limits/max-bytes", l.max_bytes },
		{ "limits/depth", DEPTH }, { "limits/queue-pages", queue_pages() }, { "limits/max-queues", HVDRV_MAX_QUEUES },
		{ "limits/pool-pages", HVDRV_MAX_POOL },
		{ "limits/flush", l.flush }, { "limits/fua", l.fua },
		{ "limits/discard-granularity", v->target.discard_granularity },
		{ "limits/write-zeroes", l.write_zeroes }, { "limits/read-only", l.read_only }, { NULL, 0 }
	};
	struct publisher p = { v, keys };
	int rc = hv_transact(v->dom->d->host, publish_limits, &p);

	return rc ? hv_err(e, -rc, "the device's limits cannot be written to xenstore: %s", strerror(-rc)) : 0;
}

/* ---- what the guest offers ---- */

static int copy_page(void *arg, uint32_t ref, void *page)
{
	struct dev *v = arg;
	struct hv_copy c = { .local = page, .ref = ref, .len = HVDRV_PAGE };
	int rc = v->dom->d->host->ops->copy(v->dom->d->host, v->id.domid, &c, 1);

	return rc ? rc : c.status ? -EFAULT : 0;
}

static int check_abi(struct dev *v, struct hv_err *e)
{
	struct hv_host *h = v->dom->d->host;
	uint64_t lo = hv_read_u64(h, 0, UINT32_MAX, "%s/abi-min", v->at.front);
	uint64_t hi = hv_read_u64(h, 0, UINT32_MAX, "%s/abi-max", v->at.front);

	if (hi < HVDRV_ABI_MIN)
		return hv_err(e, EPROTO, "the guest's hvdrv speaks the contract up to %llu, the host from %u: update hvdrv in the guest",
			      (unsigned long long)hi, HVDRV_ABI_MIN);
	if (lo > HVDRV_ABI_MAX)
		return hv_err(e, EPROTO, "the guest's hvdrv speaks the contract from %llu, the host up to %u: update hvdrv on the host",
			      (unsigned long long)lo, HVDRV_ABI_MAX);
	return 0;
}

static int read_offer(struct dev *v, struct hv_err *e)
{
	struct hv_host *h = v->dom->d->host;
	uint64_t ref = hv_read_u64(h, 0, UINT32_MAX, "%s/slot-ref", v->at.front);
	uint64_t va = hv_read_u64(h, 0, UINT64_MAX, "%s/slot-va", v->at.front);
	int rc = check_abi(v, e);

	if (!rc)
		rc = hv_desc_read(copy_page, v, ref, DEPTH, queue_pages(), HVDRV_MAX_QUEUES, &v->offer, e);
	if (!rc && va != v->offer.slot_va)
		rc = hv_err(e, EPROTO, "the guest's slot-va and its descriptor differ");
	return rc;
}

enum wire_format dev_format(const char *device)
{
	static const struct { const char *device; enum wire_format format; } formats[] = {
		{ "nvme", WIRE_NVME }, { "nvme-direct", WIRE_DIRECT }, { "virtio-blk", WIRE_VIRTQ },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(device, formats[i].device))
			return formats[i].format;
	return WIRE_BLKIF;
}

const char *dev_mode(const char *mode)
{
	return strcmp(mode, "direct") ? mode : "paravirtual";
}

/* ---- the image ---- */

/* Which device the driver is for, where a mode has more than one; else NULL. */
static const char *device_of(const struct dev *v, const char *mode)
{
	return strcmp(mode, "virtual") ? NULL : v->params.driver;
}

/* No image fits (e says why): have one made, once. -EINPROGRESS while that runs. */
static int make_image(struct dev *v, const struct hv_os *os, const char *mode, struct hv_err *e)
{
	struct daemon *d = v->dom->d;
	struct hv_err failed = { 0 };
	const struct hv_err why = *e;
	const char *device = device_of(v, mode);
	enum generate_state st = generate_state(d, os, v->params.class, mode, device, &failed);

	if (st == GENERATE_RUNS)
		return -EINPROGRESS;
	if (st == GENERATE_NONE && !v->generated && !d->opt.no_generate) {
		int rc = generate_start(d, os, v->params.class, mode, device, e);

		if (rc)
			return rc;
		v->generated = true;
		return -EINPROGRESS;
	}
	return hv_err(e, ENOENT, "no driver image for %s %s (%s %s): %s%s%s; on a machine with a compiler run `hvdrv-repo "
		      "generate --class %s --mode %s%s%s --os-type %s --os-release %s --os-arch %s --os-abi %s%s%s%s --out driver.hvi`, here "
		      "`hvdrv-repo import driver.hvi`", os->type, os->release, v->params.class, mode, why.text,
		      *failed.text ? "; " : "", failed.text, v->params.class, mode, device ? " --device " : "", device ? device : "", os->type, os->release, os->arch, os->abi,
		      *os->features ? " --os-features '" : "", os->features, *os->features ? "'" : "");
}

/* In the repository. *none: that is all that is wrong. */
static int stored_image(struct dev *v, const struct hv_os *os, const char *mode, struct hv_image *img, char id[65], bool *none,
			struct hv_err *e)
{
	struct daemon *d = v->dom->d;
	struct hv_keyring ring;
	char vendor[16];
	struct hv_floor floor;
	const struct hv_want want = { .os = os, .class = v->params.class, .mode = mode, .device = device_of(v, mode), .vendor = vendor,
				      .floor = v->params.allow_older ? NULL : &floor };
	int rc;

	*none = false;
	if (!*os->release)
		return hv_err(e, EPROTO, "the guest does not say what it runs (os/release is empty)");
	rc = hv_floor_load(d->opt.state, &floor, e);
	if (rc)
		return rc;
	rc = hv_keyring_load(d->opt.keys, &ring, e);
	if (!rc) {
		target_vendor(&v->target, vendor);
		rc = hv_store_find(d->opt.repo, &ring, &want, img, id, e);
		hv_keyring_free(&ring);
	}
	hv_floor_free(&floor);
	*none = rc == -ENOENT;
	if (*none)
		return rc;
	if (rc)
		return hv_err_in(e, "no driver can be placed");
	if (img->h.queue_fixed_pages + img->h.queue_pages_per_tag * DEPTH <= queue_pages())
		return 0;
	hv_image_free(img);
	return hv_err(e, ENOEXEC, "image %.12s needs more queue pages than the class gives (%u)", id, queue_pages());
}

int dev_find_image(struct dev *v, const char *mode, struct hv_image *img, char id[65], struct hv_err *e)
{
	struct hv_os os;
	bool none = false;
	int rc = dev_read_os(v, &os, e);

	if (!rc)
		rc = stored_image(v, &os, mode, img, id, &none, e);
	if (none)
		return make_image(v, &os, mode, e);
	if (rc)
		return rc;
	/* before it is placed: after a crash the host must not have forgotten that it was */
	rc = hv_floor_raise(v->dom->d->opt.state, &img->h, e);
	if (rc)
		hv_image_free(img);
	return rc;
}

int dev_probe_image(struct dev *v, const char *mode, bool *generate, struct hv_err *e)
{
	struct hv_image img;
	struct hv_os os;
	char id[65];
	int rc = dev_read_os(v, &os, e);

	*generate = false;
	if (rc)
		return rc;
	rc = stored_image(v, &os, mode, &img, id, generate, e);
	if (!rc)
		hv_image_free(&img);
	if (!*generate)
		return rc;
	rc = generate_check(v->dom->d, e);
	return rc ? hv_err_in(e, "no %s driver image for this guest's system", mode) : 0;
}

static int place(struct dev *v, const struct hv_image *img, struct hv_err *e)
{
	int rc = hv_slot_map(v->dom->d->host, v->id.domid, &v->offer, !strcmp(v->params.place, "foreign"), &v->slot, e);

	if (rc)
		return rc;
	if (!hv_slot_empty(&v->slot)) {
		hv_slot_unmap(v->dom->d->host, &v->slot);	/* or dev_end() would wipe what is not ours */
		return hv_err(e, EPROTO, "the slot that the guest offers holds something: it is not one of its hvdrv slots");
	}
	hv_place(&v->slot, img, 1);
	v->image = img->h;
	signer_of(v->dom->d, &img->h, &v->signer);
	snprintf(v->mode, sizeof(v->mode), "%s", hv_params_first_mode(&v->params));
	return 0;
}

/* Found connected after a restart: the driver is there already. */
static int take_up(struct dev *v, struct hv_err *e)
{
	struct hv_host *h = v->dom->d->host;
	char *id = hv_readf(h, 0, "%s/driver/hash", v->at.back), *name = hv_readf(h, 0, "%s/driver/name", v->at.back);
	char *mode = hv_readf(h, 0, "%s/mode", v->at.back);
	uint64_t pages = hv_read_u64(h, 0, WIRE_RING_PAGES, "%s/driver/ring-pages", v->at.back);
	int rc = 0;

	if (!id || !name || !mode || !pages)
		rc = hv_err(e, EPROTO, "its keys of the placed driver are missing");
	else
		rc = hv_slot_map(h, v->id.domid, &v->offer, !strcmp(v->params.place, "foreign"), &v->slot, e);
	if (!rc) {
		v->slot.generation = hv_read_u64(h, 1, UINT32_MAX, "%s/driver/generation", v->at.back);
		/* a former hvdrvd may have ended while it held the queues */
		for (uint32_t i = 0; i < v->slot.num_queues; i++)
			__atomic_store_n(&v->slot.state[i]->hold, 0, __ATOMIC_SEQ_CST);
		snprintf(v->image_id, sizeof(v->image_id), "%s", id);
		snprintf(v->image.device, sizeof(v->image.device), "%s", name);
		snprintf(v->mode, sizeof(v->mode), "%s", dev_format(name) == WIRE_DIRECT ? "direct" : mode);
		v->image.queue_fixed_pages = pages;
		v->image.payload_size = hv_read_u64(h, 0, HVDRV_SLOT_SIZE, "%s/driver/size", v->at.back);
	}
	if (!rc) {
		signer_take_up(v);
		direct_take_up(v);
	}
	free(id);
	free(name);
	free(mode);
	return rc;
}

/* ---- publish ---- */

static int publish_driver(struct hv_host *h, hv_txn t, void *arg)
{
	static const char *const names[] = HVDRV_ENTRY_NAMES;
	struct dev *v = arg;
	char text[64], generation[16];
	int rc;

	snprintf(generation, sizeof(generation), "%u", v->slot.generation);
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v->slot.guest_va);
	rc = hv_writef(h, t, text, "%s/address", v->at.back);
	for (int k = 0; !rc && k < HVDRV_ENTRIES; k++) {
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v->slot.guest_va + HVDRV_ENTRY_OFFSET(k));
		rc = hv_writef(h, t, text, "%s/entry/%s", v->at.back, names[k]);
	}
	if (!rc)
		rc = hv_writef(h, t, v->image.device, "%s/driver/name", v->at.back);
	if (!rc)
		rc = hv_writef(h, t, v->image_id, "%s/driver/hash", v->at.back);
	if (!rc)
		rc = signer_publish(h, t, v->at.back, &v->signer);
	if (!rc)
		rc = hv_writef(h, t, generation, "%s/driver/generation", v->at.back);
	snprintf(text, sizeof(text), "%u", v->image.payload_size);
	if (!rc)
		rc = hv_writef(h, t, text, "%s/driver/size", v->at.back);
	snprintf(text, sizeof(text), "%u", v->image.queue_fixed_pages);
	if (!rc)
		rc = hv_writef(h, t, text, "%s/driver/ring-pages", v->at.back);
	if (!rc)
		rc = hv_writef(h, t, dev_mode(v->mode), "%s/mode", v->at.back);
	return rc ? rc : path_publish(h, t, v);
}

int dev_publish_driver(struct dev *v)
{
	return hv_transact(v->dom->d->host, publish_driver, v);
}

/* A namespace whose commands cannot be had is served by its block node; an admin may want to know why. */
static void log_no_passthrough(const struct dev *v)
{
	struct hv_about a = dev_about(v);
	bool nvme = *v->target.ns.name;

	if (nvme && !v->passes)
		hv_log(HV_INFO, &a, "no NVMe passthrough, its block node serves: %s",
		       v->target.ng < 0 ? v->target.no_ng.text : "the worker's io_uring cannot");
}

static void served(void *arg, const struct wire_msg *m)
{
	struct hv_about a = dev_about(arg);
	struct dev *v = arg;
	struct hv_err e = { 0 };
	int rc;

	if (!m)
		return;			/* dev_worker_gone() is called for each device */
	if (m->type == WIRE_ERROR) {
		hv_err(&e, m->error.code, "the worker cannot serve it: %.*s", (int)sizeof(m->error.text), m->error.text);
		dev_end(v, &e);
		return;
	}
	v->pool_pages = m->added.pool_pages;
	v->passes = m->added.passes;
	log_no_passthrough(v);
	path_settle(v);
	rc = v->resumed ? 0 : dev_publish_driver(v);	/* of one that was resumed when the guest has taken over */
	if (rc) {
		hv_err(&e, -rc, "the driver's keys cannot be written to xenstore: %s", strerror(-rc));
		dev_end(v, &e);
		return;
	}
	v->phase = DEV_LIVE;
	v->dom->served_ns = hv_now_ns();
	count_served(v);
	v->target.created = false;	/* it holds the guest's data now */
	hv_log(HV_INFO, &a, "%s driver %.12s %s at 0x%llx, %u queues, %s%s", v->mode, v->image_id,
	       v->resumed ? "taken up" : "placed", (unsigned long long)v->slot.guest_va, v->offer.num_queues, v->params.backend,
	       v->target.buffered ? " (buffered)" : "");
	if (v->policy.revoked)
		revoke_kept(v);
	else
		dev_status(v, v->resumed ? "ready" : "connected");
	if (v->resumed) {
		path_follow(v);
		policy_answered(v);
	} else {
		dev_set_state(v, HV_XB_CONNECTED);
	}
	dev_reconcile(v);
}

static struct wire_pass wire_pass_of(const struct target *t)
{
	if (t->ng < 0)
		return (struct wire_pass){ 0 };
	return (struct wire_pass){
		.nsid = t->ns.nsid, .block = t->block_size, .max_bytes = t->ns.max_bytes, .at = t->disk_at,
		.max_discard = t->ns.max_discard, .max_zeroes = t->ns.max_zeroes,
	};
}

const char *dev_io(const struct dev *v)
{
	if (direct_is(v))
		return "hardware";
	if (v->passes && !strcmp(v->mode, "paravirtual"))
		return "passthrough";
	return v->target.buffered ? "buffered" : "direct";
}

void dev_add_to_worker(struct dev *v)
{
	struct wire_msg m = { .type = WIRE_ADD, .dev = v->id.id };
	struct hv_err e = { 0 };
	int rc;

	snprintf(m.add.name, sizeof(m.add.name), "%s", v->params.name);
	m.add.lim = blk_limits(v);
	m.add.first = v->target.first / HVDRV_SECTOR;
	m.add.num_queues = v->offer.num_queues;
	m.add.queue_pages = v->offer.queue_pages;
	m.add.format = dev_format(v->image.device);
	m.add.ring_pages = v->image.queue_fixed_pages;
	m.add.block_device = v->target.block;
	m.add.kick = v->resumed;
	m.add.pool_pages = v->offer.pool_pages;
	memcpy(m.add.pool_ref, v->offer.pool, sizeof(m.add.pool_ref));
	m.add.by_turns = !!v->params.depth;
	m.add.pass = wire_pass_of(&v->target);
	for (uint32_t q = 0; q < v->offer.num_queues; q++) {
		m.add.port[q] = v->offer.queue[q].port;
		m.add.state_ref[q] = v->offer.queue[q].state;
		memcpy(m.add.page_ref[q], v->offer.queue[q].page, sizeof(m.add.page_ref[q]));
	}
	v->phase = DEV_STARTING;
	rc = link_send_fds(v->dom->worker, &m, (const int[]){ v->lent, v->lent_ng }, v->lent_ng >= 0 ? 2 : 1, served, v);
	dev_lent(v);			/* the worker's alone: what is begun on them ends with the worker, or after it */
	if (rc)
		hv_err(&e, -rc, "the worker does not take it: %s", strerror(-rc));
	else if (v->params.depth)
		rc = share_join(v, &e);
	if (rc)
		dev_end(v, &e);
}

void dev_connect(struct dev *v)
{
	struct hv_err e = { 0 };
	struct hv_image img;
	int rc = read_offer(v, &e);

	if (!rc && v->resumed) {
		rc = take_up(v, &e);
	} else if (!rc) {
		rc = dev_find_image(v, hv_params_first_mode(&v->params), &img, v->image_id, &e);
		if (rc == -EINPROGRESS) {
			dev_status(v, "generating");
			v->phase = DEV_GENERATING;
			return;
		}
		if (!rc) {
			dev_status(v, "placing");
			rc = place(v, &img, &e);
			hv_image_free(&img);
		}
	}
	if (rc)
		dev_end(v, &e);
	else
		dev_serve(v);
}
