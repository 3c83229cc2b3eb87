/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What hvdrv needs of a hypervisor and its toolstack. xen/ is the real one, fake/ an in-process one for tests.
 * Calls return 0 or -errno unless said otherwise. One thread.
 */
#ifndef HV_HOST_H
#define HV_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/err.h"

struct hv_host;
typedef uint32_t hv_txn;		/* 0: none */

/* Who owns a xenstore node, and who else may read it. */
struct hv_perms {
	uint32_t owner;
	int reader;			/* domid, or -1: nobody */
};

struct hv_domain {
	uint32_t domid;
	bool dying;			/* shut down or being destroyed */
	bool hvm;			/* HVM or PVH: frames are guest frames */
	bool paused;			/* by the toolstack: somebody's `xl pause`, or ours */
};

struct hv_copy {
	void *local;
	uint32_t ref;
	uint16_t off, len;
	bool to_guest;
	int16_t status;			/* out: 0, or -1 */
};

struct hv_host_ops {
	uint32_t size;			/* sizeof(struct hv_host_ops) */
	const char *name;
	void (*close)(struct hv_host *h);

	/* Store. Values are text. */
	int (*begin)(struct hv_host *h, hv_txn *t);
	int (*end)(struct hv_host *h, hv_txn t, bool abort);		/* -EAGAIN: do the whole again */
	char *(*read)(struct hv_host *h, hv_txn t, const char *path);	/* malloc'ed; NULL: errno */
	int (*write)(struct hv_host *h, hv_txn t, const char *path, const char *value);
	int (*mkdir)(struct hv_host *h, hv_txn t, const char *path);
	int (*rm)(struct hv_host *h, hv_txn t, const char *path);	/* 0 also when absent */
	char **(*list)(struct hv_host *h, hv_txn t, const char *path, unsigned int *n);	/* one free(); NULL: errno */
	int (*set_perms)(struct hv_host *h, hv_txn t, const char *path, const struct hv_perms *p);
	int (*watch)(struct hv_host *h, const char *path);
	int (*unwatch)(struct hv_host *h, const char *path);
	int (*watch_fd)(struct hv_host *h);				/* readable when next_event has one */
	char *(*next_event)(struct hv_host *h);				/* the path that changed, malloc'ed; NULL: none */

	/* Domains. */
	int (*domain)(struct hv_host *h, uint32_t domid, struct hv_domain *d);	/* -ESRCH: none */
	int (*pause)(struct hv_host *h, uint32_t domid);	/* no vCPU runs when it returns; pauses are counted */
	int (*unpause)(struct hv_host *h, uint32_t domid);

	/* Guest memory. */
	int (*copy)(struct hv_host *h, uint32_t domid, struct hv_copy *c, unsigned int n);
	void *(*map_grants)(struct hv_host *h, uint32_t domid, const uint32_t *refs, unsigned int n);	/* read-write */
	int (*unmap_grants)(struct hv_host *h, void *va, unsigned int n);
	void *(*map_frames)(struct hv_host *h, uint32_t domid, const uint64_t *gfns, unsigned int n);	/* privileged */
	int (*unmap_frames)(struct hv_host *h, void *va, unsigned int n);

	/* May a PV guest map this frame of a device's registers? */
	int (*iomem)(struct hv_host *h, uint32_t domid, uint64_t frame, bool may);
};

#define HV_DOMID_IO 0x7ff1u		/* map_frames() of it: registers of devices */

struct hv_host {
	const struct hv_host_ops *ops;
};

/* The real one; needs root in dom0. NULL: e says what is missing. */
struct hv_host *hv_host_xen_open(struct hv_err *e);

/* Its store only: for commands. The members from domain on are NULL. */
struct hv_host *hv_host_store_open(struct hv_err *e);

/* ---- what all callers do alike (host.c) ---- */

static inline void hv_host_close(struct hv_host *h)
{
	if (h)
		h->ops->close(h);
}

/* Formats the path; the value is malloc'ed, NULL when absent or unreadable. */
char *hv_readf(struct hv_host *h, hv_txn t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int hv_writef(struct hv_host *h, hv_txn t, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int hv_rmf(struct hv_host *h, hv_txn t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
char **hv_listf(struct hv_host *h, unsigned int *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A number at the path, or def when it is absent, not a number, or above max. */
uint64_t hv_read_u64(struct hv_host *h, uint64_t def, uint64_t max, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Runs fn in a transaction, again while it collides. fn returns 0 or -errno; an error aborts. */
int hv_transact(struct hv_host *h, int (*fn)(struct hv_host *h, hv_txn t, void *arg), void *arg);

#endif
