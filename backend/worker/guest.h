/* SPDX-License-Identifier: GPL-2.0-only */
/* What a worker does with its guest: map ring pages, copy data, send and receive events. Tests have their own. */
#ifndef WORKER_GUEST_H
#define WORKER_GUEST_H

#include <stdbool.h>
#include <stdint.h>

struct guest_copy {
	void *local;
	uint32_t ref;
	uint16_t off, len;
	bool to_guest;
	int16_t status;		/* out: 0, or what Xen said */
};

struct guest_ops {
	void *(*map)(void *g, const uint32_t *refs, unsigned int n);	/* read-write, contiguous; NULL: errno */
	void (*unmap)(void *g, void *va, unsigned int n);
	int (*copy)(void *g, struct guest_copy *c, unsigned int n);	/* 0 or -errno; each has its status */
	int (*bind)(void *g, uint32_t remote_port);			/* local port, or -errno */
	void (*unbind)(void *g, uint32_t port);
	void (*notify)(void *g, uint32_t port);
	int (*fd)(void *g);	/* reads as ports (uint32_t) that fired; each is masked until it is written back */
};

struct guest {
	const struct guest_ops *ops;
	void *arg;
};

/* The real one, on descriptors of /dev/xen/gntdev and /dev/xen/evtchn that hvdrvd opened. 0 or -errno. */
int guest_xen_init(struct guest *g, int gntdev, int evtchn, uint32_t domid);

#endif
