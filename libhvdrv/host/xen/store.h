/* SPDX-License-Identifier: LGPL-2.1-only */
/* The store's part of the real host, shared by hv_host_store_open() and hv_host_xen_open(). */
#ifndef HV_HOST_XEN_STORE_H
#define HV_HOST_XEN_STORE_H

#include <xenstore.h>
#include "host/host.h"

struct hv_xs {
	struct hv_host host;		/* first: a hv_host is cast to it */
	struct xs_handle *xs;		/* requests */
	struct xs_handle *events;	/* watches; opened with the first: libxenstore then has a thread that reads all answers of it */
};

/* Opens x->xs; e says what is missing. 0 or -errno. */
int hv_xs_open(struct hv_xs *x, struct hv_err *e);
void hv_xs_close(struct hv_xs *x);

extern const struct hv_host_ops hv_xs_ops;

#endif
