// SPDX-License-Identifier: GPL-2.0-only
/* Which device a target is a part of, and which part. */
#include <stdio.h>
#include <sys/sysmacros.h>
#include "target/target.h"
#include "util/file.h"

static bool read_attribute(const struct target *t, const char *what, char *text, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(t->dev), minor(t->dev), what);
	return !hv_file_line(path, text, size);
}

void target_find_disk(struct target *t)
{
	unsigned int disk_major, disk_minor;
	unsigned long long start;
	char text[32];

	t->disk = t->dev;
	t->disk_at = 0;
	if (!read_attribute(t, "partition", text, sizeof(text)))
		return;			/* a whole disk */
	if (!read_attribute(t, "start", text, sizeof(text)) || sscanf(text, "%llu", &start) != 1)
		return;
	if (!read_attribute(t, "../dev", text, sizeof(text)) || sscanf(text, "%u:%u", &disk_major, &disk_minor) != 2)
		return;
	t->disk = makedev(disk_major, disk_minor);
	t->disk_at = start * 512;	/* sysfs counts so, whatever the block size */
}

bool target_same(const struct target *a, const struct target *b)
{
	return a->block == b->block && a->dev == b->dev && a->ino == b->ino;
}

bool target_same_device(const struct target *a, const struct target *b)
{
	return target_same(a, b) || (a->block && b->block && a->disk == b->disk);
}

/* Behind its last byte, on the file or the disk. */
static uint64_t end_of(const struct target *t)
{
	bool partition = t->block && t->disk != t->dev;

	return t->window || partition ? t->disk_at + t->first + t->bytes : UINT64_MAX;
}

bool target_overlap(const struct target *a, const struct target *b)
{
	return target_same_device(a, b) && a->disk_at + a->first < end_of(b) && b->disk_at + b->first < end_of(a);
}
