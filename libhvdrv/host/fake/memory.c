// SPDX-License-Identifier: LGPL-2.1-only
/* A domain's frames are one memfd, so that a mapping of scattered frames is contiguous and truly shared. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "host/fake/priv.h"

#define PAGE 4096ul

void fk_dom_free(struct fk_dom *d)
{
	munmap(d->va, FAKE_PAGES * PAGE);
	close(d->mem);
	memset(d, 0, sizeof(*d));
}

void *fake_page(struct fake *f, uint32_t domid, uint64_t gfn)
{
	return fk_dom(f, domid)->va + gfn * PAGE;
}

uint32_t fake_grant(struct fake *f, uint32_t domid, uint64_t gfn, bool readonly)
{
	struct fk_dom *d = fk_dom(f, domid);

	for (uint32_t ref = FAKE_FIRST_REF; ref < FAKE_GRANTS; ref++) {
		if (d->grant[ref].valid)
			continue;
		d->grant[ref] = (struct fk_grant){ .gfn = gfn, .valid = true, .readonly = readonly };
		return ref;
	}
	abort();			/* a test that leaks */
}

int fake_revoke(struct fake *f, uint32_t domid, uint32_t ref)
{
	struct fk_grant *g = &fk_dom(f, domid)->grant[ref];

	if (g->mapped)
		return -EBUSY;		/* gnttab_end_foreign_access: the page is still in use */
	g->valid = false;
	return 0;
}

unsigned int fake_mapped(const struct fake *f)
{
	unsigned int n = 0;

	for (const struct fk_map *m = f->maps; m; m = m->next)
		n += m->n;
	return n;
}

static struct fk_grant *grant(struct fk_dom *d, uint32_t ref)
{
	return d && !d->gone && ref < FAKE_GRANTS && d->grant[ref].valid ? &d->grant[ref] : NULL;
}

static int copy_one(struct fk_dom *d, struct hv_copy *c)
{
	struct fk_grant *g = grant(d, c->ref);
	uint8_t *at;

	if (!g || c->off + c->len > PAGE || (c->to_guest && g->readonly))
		return -1;
	at = d->va + g->gfn * PAGE + c->off;
	memcpy(c->to_guest ? at : c->local, c->to_guest ? c->local : at, c->len);
	return 0;
}

int fk_copy(struct hv_host *h, uint32_t domid, struct hv_copy *c, unsigned int n)
{
	struct fk_handle *k = fk_handle(h);
	int rc = fk_fail(k, "copy", false);

	for (unsigned int i = 0; !rc && i < n; i++)
		c[i].status = copy_one(fk_dom(k->f, domid), &c[i]);
	return rc;
}

/* Frames of one domain, side by side. */
static struct fk_map *map(struct fake *f, struct fk_dom *d, const uint64_t *gfns, unsigned int n)
{
	struct fk_map *m = calloc(1, sizeof(*m));
	uint8_t *va = mmap(NULL, n * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!m || va == MAP_FAILED)
		abort();
	for (unsigned int i = 0; i < n; i++)
		if (mmap(va + i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, d->mem, gfns[i] * PAGE) == MAP_FAILED)
			abort();
	*m = (struct fk_map){ .va = va, .dom = d, .n = n, .next = f->maps };
	f->maps = m;
	return m;
}

static void *refuse(int err)
{
	errno = err;
	return NULL;
}

void *fk_map_grants(struct hv_host *h, uint32_t domid, const uint32_t *refs, unsigned int n)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_dom *d = fk_dom(k->f, domid);
	struct fk_map *m;
	uint64_t gfn[64] = { 0 };
	int rc = fk_fail(k, "map_grants", false);

	if (rc)
		return refuse(-rc);
	if (!n || n > 64)
		return refuse(EINVAL);
	for (unsigned int i = 0; i < n; i++) {
		struct fk_grant *g = grant(d, refs[i]);

		if (!g || g->readonly || d->dying)
			return refuse(EINVAL);		/* what gntdev's mmap answers, whatever Xen said */
		gfn[i] = g->gfn;
	}
	m = map(k->f, d, gfn, n);
	for (unsigned int i = 0; i < n; i++) {
		m->ref[i] = refs[i];
		d->grant[refs[i]].mapped++;
	}
	return m->va;
}

void *fk_map_frames(struct hv_host *h, uint32_t domid, const uint64_t *gfns, unsigned int n)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_dom *d = fk_dom(k->f, domid);
	int rc = fk_fail(k, "map_frames", false);

	if (rc)
		return refuse(-rc);
	if (!n || n > 64)
		return refuse(EINVAL);
	if (!d || d->dying)
		return refuse(ESRCH);
	for (unsigned int i = 0; i < n; i++)
		if (gfns[i] >= FAKE_PAGES)
			return refuse(EINVAL);
	return map(k->f, d, gfns, n)->va;
}

static int unmap(struct fake *f, void *va, unsigned int n)
{
	for (struct fk_map **p = &f->maps; *p; p = &(*p)->next) {
		struct fk_map *m = *p;

		if (m->va != va || m->n != n)
			continue;
		for (unsigned int i = 0; i < n; i++)
			if (m->ref[i])
				m->dom->grant[m->ref[i]].mapped--;
		*p = m->next;
		free(m);
		return munmap(va, n * PAGE) ? -errno : 0;
	}
	return -EINVAL;
}

int fk_unmap_grants(struct hv_host *h, void *va, unsigned int n)
{
	int rc = fk_fail(fk_handle(h), "unmap_grants", true);

	return rc ? rc : unmap(fk_handle(h)->f, va, n);
}

int fk_unmap_frames(struct hv_host *h, void *va, unsigned int n)
{
	int rc = fk_fail(fk_handle(h), "unmap_frames", true);

	return rc ? rc : unmap(fk_handle(h)->f, va, n);
}

/* There are no devices: who may map one is not kept. */
int fk_iomem(struct hv_host *h, uint32_t domid, uint64_t frame, bool may)
{
	struct fk_handle *k = fk_handle(h);

	return fk_dom(k->f, domid) ? fk_fail(k, "iomem", !may) : -ESRCH;
}
