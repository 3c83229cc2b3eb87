// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "host/fake/priv.h"

/* ---- failures on demand ---- */

int fk_fail(struct fk_handle *k, const char *op, bool gives_back)
{
	struct fake *f = k->f;
	bool meant = *f->fail_op ? !strcmp(f->fail_op, op) : !gives_back;

	if (k->who || !f->fail_at || !meant || --f->fail_at)
		return 0;
	f->failed = true;
	return -f->fail_err;
}

void fake_fail(struct fake *f, const char *op, unsigned int n, int err)
{
	snprintf(f->fail_op, sizeof(f->fail_op), "%s", op ? op : "");
	f->fail_at = n;
	f->fail_err = err;
	f->failed = false;
}

bool fake_failed(const struct fake *f)
{
	return f->failed;
}

void fake_conflict(struct fake *f, unsigned int n)
{
	f->conflicts = n;
}

void fake_quota(struct fake *f, unsigned int nodes, unsigned int bytes)
{
	f->quota_nodes = nodes;
	f->quota_bytes = bytes;
}

/* ---- domains ---- */

struct fk_dom *fk_dom(struct fake *f, uint32_t domid)
{
	for (int i = 0; i < FK_DOMS; i++)
		if (f->dom[i].used && f->dom[i].domid == domid)
			return &f->dom[i];
	return NULL;
}

static void make_nodes(struct fake *f, uint32_t domid, const char *name)
{
	const struct hv_perms own = { domid, -1 }, readable = { 0, (int)domid };
	char path[96], text[64];

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	fk_tree_mkdir(&f->tree, 0, path);
	fk_tree_perms(&f->tree, 0, path, &readable);
	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	fk_tree_write(&f->tree, 0, path, name);
	snprintf(path, sizeof(path), "/local/domain/%u/vm", domid);
	snprintf(text, sizeof(text), "/vm/" FAKE_UUID, domid);
	fk_tree_write(&f->tree, 0, path, text);
	snprintf(path, sizeof(path), "/local/domain/%u/device", domid);
	fk_tree_mkdir(&f->tree, 0, path);
	snprintf(path, sizeof(path), "/local/domain/%u/data", domid);	/* where a guest may write as it likes */
	fk_tree_mkdir(&f->tree, 0, path);
	fk_tree_perms(&f->tree, 0, path, &own);
}

void fake_domain_add(struct fake *f, uint32_t domid, const char *name)
{
	struct fk_dom *d = fk_dom(f, domid);

	for (int i = 0; !d && i < FK_DOMS; i++)
		if (!f->dom[i].used)
			d = &f->dom[i];
	if (!d || d->used)
		abort();
	d->used = true;
	d->domid = domid;
	d->mem = memfd_create("guest", MFD_CLOEXEC);
	if (d->mem < 0 || ftruncate(d->mem, FAKE_PAGES * 4096ul))
		abort();
	d->va = mmap(NULL, FAKE_PAGES * 4096ul, PROT_READ | PROT_WRITE, MAP_SHARED, d->mem, 0);
	if (d->va == MAP_FAILED)
		abort();
	make_nodes(f, domid, name);
	f->generation++;
	fk_fire(f, "@introduceDomain");
}

void fake_domain_die(struct fake *f, uint32_t domid)
{
	fk_dom(f, domid)->dying = true;
	fk_fire(f, "@releaseDomain");
}

void fake_domain_end(struct fake *f, uint32_t domid)
{
	struct fk_dom *d = fk_dom(f, domid);
	char path[64];

	d->dying = d->gone = true;
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	fk_tree_rm(&f->tree, 0, path);
	f->generation++;
	fk_fire(f, path);
	fk_fire(f, "@releaseDomain");
}

static int dom_info(struct hv_host *h, uint32_t domid, struct hv_domain *out)
{
	struct fk_handle *k = fk_handle(h);
	const struct fk_dom *d = fk_dom(k->f, domid);
	int rc = fk_fail(k, "domain", false);

	if (rc)
		return rc;
	if (!d || d->gone)
		return -ESRCH;
	*out = (struct hv_domain){ .domid = domid, .dying = d->dying, .paused = d->pauses > 0 };
	return 0;
}

static int dom_pause(struct hv_host *h, uint32_t domid)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_dom *d = fk_dom(k->f, domid);
	int rc = fk_fail(k, "pause", false);

	if (rc)
		return rc;
	if (!d || d->gone)
		return -ESRCH;
	d->pauses++;
	return 0;
}

static int dom_unpause(struct hv_host *h, uint32_t domid)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_dom *d = fk_dom(k->f, domid);

	if (!d || !d->pauses)
		abort();		/* somebody else's pause would be ended */
	d->pauses--;
	return 0;
}

int fake_pauses(struct fake *f, uint32_t domid)
{
	return fk_dom(f, domid)->pauses;
}

/* ---- handles ---- */

static const struct hv_host_ops *whole_ops(void)
{
	static struct hv_host_ops ops;

	ops = fk_store_ops;
	ops.name = "fake";
	ops.domain = dom_info;
	ops.pause = dom_pause;
	ops.unpause = dom_unpause;
	ops.copy = fk_copy;
	ops.map_grants = fk_map_grants;
	ops.unmap_grants = fk_unmap_grants;
	ops.map_frames = fk_map_frames;
	ops.unmap_frames = fk_unmap_frames;
	ops.iomem = fk_iomem;
	return &ops;
}

static struct hv_host *open_as(struct fake *f, uint32_t who, const struct hv_host_ops *ops)
{
	struct fk_handle *k = calloc(1, sizeof(*k));
	int i = 0;

	while (i < FK_HANDLES && f->handle[i])
		i++;
	if (!k || i == FK_HANDLES)
		abort();
	k->h.ops = ops;
	k->f = f;
	k->who = who;
	k->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->handle[i] = k;
	return &k->h;
}

struct hv_host *fake_open(struct fake *f)
{
	return open_as(f, 0, whole_ops());
}

struct hv_host *fake_open_guest(struct fake *f, uint32_t domid)
{
	return open_as(f, domid, &fk_store_ops);
}

struct fake *fake_new(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	fk_tree_init(&f->tree, f);
	fk_tree_mkdir(&f->tree, 0, "/local/domain/0");
	return f;
}

void fake_free(struct fake *f)
{
	while (f->maps) {
		struct fk_map *m = f->maps;

		f->maps = m->next;
		munmap(m->va, m->n * 4096ul);
		free(m);
	}
	for (int i = 0; i < FK_DOMS; i++)
		if (f->dom[i].used)
			fk_dom_free(&f->dom[i]);
	fk_tree_free(&f->tree);
	free(f);
}

/* ---- looking on ---- */

unsigned int fake_nodes(const struct fake *f)
{
	return f->tree.n;
}

const struct hv_perms *fake_perms(struct fake *f, const char *path)
{
	const struct fk_node *n = fk_find(&f->tree, path);

	return n ? &n->perms : NULL;
}

unsigned int fake_watches(const struct fake *f)
{
	unsigned int n = 0;

	for (int i = 0; i < FK_HANDLES; i++)
		for (int w = 0; f->handle[i] && w < FK_WATCHES; w++)
			n += f->handle[i]->watch[w] != NULL;
	return n;
}
