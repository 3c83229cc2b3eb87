// SPDX-License-Identifier: LGPL-2.1-only
/* The real Xen, for the daemon: store.c, grants and foreign mappings by stable libraries, domains by libxenctrl. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <sys/mman.h>
#include "host/xen/store.h"

struct hv_xen {
	struct hv_xs store;		/* first: the store's operations are its own */
	struct hv_host_ops ops;
	xc_interface *xc;
	xengnttab_handle *gnt;
	xenforeignmemory_handle *fmem;
};

static struct hv_xen *xen(struct hv_host *h)
{
	return (struct hv_xen *)h;
}

static void xen_close(struct hv_host *h)
{
	struct hv_xen *x = xen(h);

	if (x->fmem)
		xenforeignmemory_close(x->fmem);
	if (x->gnt)
		xengnttab_close(x->gnt);
	if (x->xc)
		xc_interface_close(x->xc);
	hv_xs_close(&x->store);
	free(x);
}

static int xen_domain(struct hv_host *h, uint32_t domid, struct hv_domain *d)
{
	xc_dominfo_t info;

	if (xc_domain_getinfo(xen(h)->xc, domid, 1, &info) != 1 || info.domid != domid)
		return -ESRCH;
	*d = (struct hv_domain){ .domid = domid, .dying = info.dying || info.shutdown, .hvm = info.hvm,
				   .paused = info.paused };
	return 0;
}

static int xen_pause(struct hv_host *h, uint32_t domid)
{
	return xc_domain_pause(xen(h)->xc, domid) ? -errno : 0;
}

static int xen_unpause(struct hv_host *h, uint32_t domid)
{
	return xc_domain_unpause(xen(h)->xc, domid) ? -errno : 0;
}

static int xen_copy(struct hv_host *h, uint32_t domid, struct hv_copy *c, unsigned int n)
{
	xengnttab_grant_copy_segment_t s[32];

	for (unsigned int done = 0; done < n;) {
		unsigned int k = n - done < 32 ? n - done : 32;

		memset(s, 0, sizeof(s));
		for (unsigned int i = 0; i < k; i++) {
			struct hv_copy *p = &c[done + i];

			s[i].flags = p->to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
			s[i].len = p->len;
			(p->to_guest ? &s[i].dest : &s[i].source)->foreign.ref = p->ref;
			(p->to_guest ? &s[i].dest : &s[i].source)->foreign.offset = p->off;
			(p->to_guest ? &s[i].dest : &s[i].source)->foreign.domid = domid;
			(p->to_guest ? &s[i].source : &s[i].dest)->virt = p->local;
		}
		if (xengnttab_grant_copy(xen(h)->gnt, k, s))
			return -errno;
		for (unsigned int i = 0; i < k; i++)
			c[done + i].status = s[i].status == GNTST_okay ? 0 : -1;
		done += k;
	}
	return 0;
}

static void *xen_map_grants(struct hv_host *h, uint32_t domid, const uint32_t *refs, unsigned int n)
{
	return xengnttab_map_domain_grant_refs(xen(h)->gnt, n, domid, (uint32_t *)refs, PROT_READ | PROT_WRITE);
}

static int xen_unmap_grants(struct hv_host *h, void *va, unsigned int n)
{
	return xengnttab_unmap(xen(h)->gnt, va, n) ? -errno : 0;
}

static void *xen_map_frames(struct hv_host *h, uint32_t domid, const uint64_t *gfns, unsigned int n)
{
	xen_pfn_t pfn[64];

	if (n > 64) {
		errno = EINVAL;
		return NULL;
	}
	for (unsigned int i = 0; i < n; i++)
		pfn[i] = gfns[i];
	return xenforeignmemory_map(xen(h)->fmem, domid, PROT_READ | PROT_WRITE, n, pfn, NULL);
}

static int xen_unmap_frames(struct hv_host *h, void *va, unsigned int n)
{
	return xenforeignmemory_unmap(xen(h)->fmem, va, n) ? -errno : 0;
}

static int xen_iomem(struct hv_host *h, uint32_t domid, uint64_t frame, bool may)
{
	return xc_domain_iomem_permission(xen(h)->xc, domid, frame, 1, may) ? -errno : 0;
}

struct hv_host *hv_host_xen_open(struct hv_err *e)
{
	struct hv_xen *x = calloc(1, sizeof(*x));

	if (!x) {
		hv_err(e, ENOMEM, "no memory");
		return NULL;
	}
	x->ops = hv_xs_ops;
	x->ops.name = "xen";
	x->ops.close = xen_close;
	x->ops.domain = xen_domain;
	x->ops.pause = xen_pause;
	x->ops.unpause = xen_unpause;
	x->ops.copy = xen_copy;
	x->ops.map_grants = xen_map_grants;
	x->ops.unmap_grants = xen_unmap_grants;
	x->ops.map_frames = xen_map_frames;
	x->ops.unmap_frames = xen_unmap_frames;
	x->ops.iomem = xen_iomem;
	x->store.host.ops = &x->ops;
	if (hv_xs_open(&x->store, e))
		goto fail;
	x->xc = xc_interface_open(NULL, NULL, 0);
	x->gnt = xengnttab_open(NULL, 0);
	x->fmem = xenforeignmemory_open(NULL, 0);
	if (x->xc && x->gnt && x->fmem)
		return &x->store.host;
	hv_err(e, ENODEV, "%s cannot be opened: are xen-privcmd and xen-gntdev loaded, and may this service use them?",
	       !x->xc ? "/dev/xen/hypercall" : !x->gnt ? "/dev/xen/gntdev" : "/dev/xen/privcmd");
fail:
	xen_close(&x->store.host);
	return NULL;
}
