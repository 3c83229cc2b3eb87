/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages that a guest has granted, mapped through an open /dev/xen/gntdev (xen/sys/gntdev.h). */
#ifndef BACKEND_GNTDEV_H
#define BACKEND_GNTDEV_H

#include <stdint.h>

/* The n pages behind these grant references, beside each other, to be read and written. NULL: errno says why. */
void *gntdev_map(int gntdev, uint32_t domid, const uint32_t *refs, unsigned int n);

/* va and n as of one gntdev_map(). It is out of our memory in any case; -errno: the kernel may hold the grants on. */
int gntdev_unmap(int gntdev, void *va, unsigned int n);

#endif
