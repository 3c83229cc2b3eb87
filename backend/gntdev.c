// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "gntdev.h"
#include "hvdrv/abi.h"
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/sys/gntdev.h>

void *gntdev_map(int gntdev, uint32_t domid, const uint32_t *refs, unsigned int n)
{
	struct ioctl_gntdev_map_grant_ref *m = calloc(1, sizeof(*m) + n * sizeof(m->refs[0]));
	struct ioctl_gntdev_unmap_grant_ref u = { .count = n };
	void *va = MAP_FAILED;

	if (!m)
		return NULL;
	m->count = n;
	for (unsigned int i = 0; i < n; i++)
		m->refs[i] = (struct ioctl_gntdev_grant_ref){ domid, refs[i] };
	if (!ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, m)) {
		va = mmap(NULL, (size_t)n * HVDRV_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntdev, m->index);
		if (va == MAP_FAILED) {
			int err = errno;

			u.index = m->index;
			ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &u);
			errno = err;
		}
	}
	free(m);
	return va == MAP_FAILED ? NULL : va;
}

int gntdev_unmap(int gntdev, void *va, unsigned int n)
{
	struct ioctl_gntdev_get_offset_for_vaddr o = { .vaddr = (uintptr_t)va };
	struct ioctl_gntdev_unmap_grant_ref u = { .count = n };
	int rc = ioctl(gntdev, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &o) ? -errno : 0;

	munmap(va, (size_t)n * HVDRV_PAGE);
	u.index = o.offset;
	if (!rc && ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &u))
		rc = -errno;
	return rc;
}
