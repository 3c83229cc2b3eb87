// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest through the kernel's gntdev and evtchn devices (xen/sys/gntdev.h, xen/sys/evtchn.h). Not through
 * Xen's libraries: they open the devices themselves, and a worker opens nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "gntdev.h"
#include "worker/guest.h"
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

#define COPY_BATCH 256

struct xen_guest {
	int gntdev, evtchn;
	uint32_t domid;
	struct ioctl_gntdev_grant_copy_segment seg[COPY_BATCH];
};

static void *xen_map(void *arg, const uint32_t *refs, unsigned int n)
{
	const struct xen_guest *g = arg;

	return gntdev_map(g->gntdev, g->domid, refs, n);
}

static void xen_unmap(void *arg, void *va, unsigned int n)
{
	gntdev_unmap(((const struct xen_guest *)arg)->gntdev, va, n);
}

static void fill(struct ioctl_gntdev_grant_copy_segment *s, const struct guest_copy *c, uint32_t domid)
{
	memset(s, 0, sizeof(*s));
	s->len = c->len;
	if (c->to_guest) {
		s->flags = GNTCOPY_dest_gref;
		s->source.virt = c->local;
		s->dest.foreign.ref = c->ref;
		s->dest.foreign.offset = c->off;
		s->dest.foreign.domid = domid;
	} else {
		s->flags = GNTCOPY_source_gref;
		s->dest.virt = c->local;
		s->source.foreign.ref = c->ref;
		s->source.foreign.offset = c->off;
		s->source.foreign.domid = domid;
	}
}

static int xen_copy(void *arg, struct guest_copy *c, unsigned int n)
{
	struct xen_guest *g = arg;

	while (n) {
		struct ioctl_gntdev_grant_copy call = { .count = n < COPY_BATCH ? n : COPY_BATCH, .segments = g->seg };

		for (unsigned int i = 0; i < call.count; i++)
			fill(&g->seg[i], &c[i], g->domid);
		if (ioctl(g->gntdev, IOCTL_GNTDEV_GRANT_COPY, &call))
			return -errno;
		for (unsigned int i = 0; i < call.count; i++)
			c[i].status = g->seg[i].status;
		c += call.count;
		n -= call.count;
	}
	return 0;
}

static int xen_bind(void *arg, uint32_t remote_port)
{
	struct xen_guest *g = arg;
	struct ioctl_evtchn_bind_interdomain b = { .remote_domain = g->domid, .remote_port = remote_port };
	int port = ioctl(g->evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &b);

	return port < 0 ? -errno : port;
}

static void xen_unbind(void *arg, uint32_t port)
{
	struct ioctl_evtchn_unbind u = { .port = port };

	ioctl(((struct xen_guest *)arg)->evtchn, IOCTL_EVTCHN_UNBIND, &u);
}

static void xen_notify(void *arg, uint32_t port)
{
	struct ioctl_evtchn_notify n = { .port = port };

	ioctl(((struct xen_guest *)arg)->evtchn, IOCTL_EVTCHN_NOTIFY, &n);
}

static int xen_fd(void *arg)
{
	return ((struct xen_guest *)arg)->evtchn;
}

static const struct guest_ops xen_guest_ops = {
	.map = xen_map, .unmap = xen_unmap, .copy = xen_copy, .bind = xen_bind, .unbind = xen_unbind,
	.notify = xen_notify, .fd = xen_fd,
};

int guest_xen_init(struct guest *g, int gntdev, int evtchn, uint32_t domid)
{
	struct ioctl_evtchn_restrict_domid r = { .domid = domid };
	struct xen_guest *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	*x = (struct xen_guest){ .gntdev = gntdev, .evtchn = evtchn, .domid = domid };
	if (ioctl(evtchn, IOCTL_EVTCHN_RESTRICT_DOMID, &r)) {	/* events of this guest only, for good */
		int err = errno;

		free(x);
		return -err;
	}
	g->ops = &xen_guest_ops;
	g->arg = x;
	return 0;
}
