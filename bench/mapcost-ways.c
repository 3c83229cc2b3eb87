// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways, each as a worker would go it for one request of so many pages: by grant copy (path `copy`), by mapping the guest's pages for
 * this request only (`map`), by memcpy from and to a standing mapping (`pool`), by I/O on a standing mapping (`window`). Pages are
 * unmapped after the I/O has ended, never before: see mapcost-kill.c.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include "gntdev.h"
#include "hvdrv/abi.h"
#include "mapcost.h"

int mapcost_copy(const struct mapcost *m, enum mapcost_part part, uint8_t *local, unsigned int pages, bool to_guest)
{
	struct guest_copy c[MAPCOST_PAGES];
	int rc;

	for (unsigned int i = 0; i < pages; i++)
		c[i] = (struct guest_copy){ .local = local + (size_t)i * HVDRV_PAGE, .ref = m->ref[part][i], .len = HVDRV_PAGE,
					    .to_guest = to_guest };
	rc = m->guest.ops->copy(m->guest.arg, c, pages);
	for (unsigned int i = 0; !rc && i < pages; i++)
		rc = c[i].status ? -EFAULT : 0;
	return rc;
}

int mapcost_read(const struct mapcost *m, uint8_t *to, unsigned int pages, uint64_t at)
{
	size_t left = (size_t)pages * HVDRV_PAGE;

	while (left) {
		ssize_t n = pread(m->target, to, left, at);

		if (n <= 0)
			return n ? -errno : -EIO;
		to += n;
		at += n;
		left -= n;
	}
	return 0;
}

/* A word of each page, as whoever uses it would. */
static void touch(const uint8_t *va, unsigned int pages)
{
	for (unsigned int i = 0; i < pages; i++)
		(void)*(const volatile uint64_t *)(va + (size_t)i * HVDRV_PAGE);
}

static int copy_from(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	return mapcost_copy(m, PART_COPY, m->own, pages, false);
}

static int copy_to(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	return mapcost_copy(m, PART_COPY, m->own, pages, true);
}

/* Maps, has it read from the target (or touches only), unmaps. */
static int mapped(const struct mapcost *m, unsigned int pages, uint64_t at, bool read)
{
	uint8_t *va = gntdev_map(m->gntdev, m->domid, m->ref[PART_MAP], pages);
	int rc = 0, end;

	if (!va)
		return -errno;
	if (read)
		rc = mapcost_read(m, va, pages, at);
	else
		touch(va, pages);
	end = gntdev_unmap(m->gntdev, va, pages);
	return rc ? rc : end;
}

static int map_touch(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	return mapped(m, pages, at, false);
}

static int pool_from(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	memcpy(m->own, m->standing, (size_t)pages * HVDRV_PAGE);
	return 0;
}

static int pool_to(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	memcpy(m->standing, m->own, (size_t)pages * HVDRV_PAGE);
	return 0;
}

static int read_own(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	return mapcost_read(m, m->own, pages, at);
}

static int read_copy(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	int rc = read_own(m, pages, at);

	return rc ? rc : copy_to(m, pages, at);
}

static int read_mapped(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	return mapped(m, pages, at, true);
}

static int read_pool(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	int rc = read_own(m, pages, at);

	return rc ? rc : pool_to(m, pages, at);
}

static int read_standing(const struct mapcost *m, unsigned int pages, uint64_t at)
{
	return mapcost_read(m, m->standing, pages, at);
}

const struct mapcost_way *mapcost_ways(unsigned int *n)
{
	static const struct mapcost_way ways[] = {
		{ "grant copy from the guest", NULL, copy_from, -1 },
		{ "grant copy to the guest", NULL, copy_to, -1 },
		{ "map, touch, unmap", "grant copy to the guest", map_touch, -1 },
		{ "memcpy from a standing mapping", "grant copy from the guest", pool_from, -1 },
		{ "memcpy to a standing mapping", "grant copy to the guest", pool_to, -1 },
		{ "read alone", "read, then grant copy", read_own, -1 },
		{ "read, then grant copy", NULL, read_copy, PART_COPY },
		{ "map, read into it, unmap", "read, then grant copy", read_mapped, PART_MAP },
		{ "read, then memcpy", "read, then grant copy", read_pool, PART_STAND },
		{ "read into a standing mapping", "read, then grant copy", read_standing, PART_STAND },
	};

	*n = sizeof(ways) / sizeof(ways[0]);
	return ways;
}

int mapcost_verify(const struct mapcost *m, const struct mapcost_way *w, unsigned int pages, uint64_t at)
{
	size_t bytes = (size_t)pages * HVDRV_PAGE;
	int rc;

	if (w->part < 0)
		return 0;
	rc = mapcost_read(m, m->expect, pages, at);
	for (size_t i = 0; !rc && i < bytes; i++)	/* what is there before differs in each byte */
		m->own[i] = ~m->expect[i];
	if (!rc)
		rc = mapcost_copy(m, w->part, m->own, pages, true);
	if (!rc)
		rc = w->run(m, pages, at);
	memset(m->own, 0, bytes);
	if (!rc)
		rc = mapcost_copy(m, w->part, m->own, pages, false);
	return rc ? rc : memcmp(m->own, m->expect, bytes) ? -EBADMSG : 0;
}
