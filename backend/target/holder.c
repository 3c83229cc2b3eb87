// SPDX-License-Identifier: GPL-2.0-only
/* Who holds a file or block device in dom0 that O_EXCL does not tell: loop devices on a file, mounts. */
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "target/target.h"
#include "util/file.h"

static bool names_target(const struct target *t, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	return t->block ? S_ISBLK(st.st_mode) && st.st_rdev == t->dev : st.st_dev == t->dev && st.st_ino == t->ino;
}

static bool loop_device(const struct target *t, char *who, size_t size)
{
	bool found = false;
	glob_t g;

	if (glob("/sys/block/loop*/loop/backing_file", 0, NULL, &g))
		return false;
	for (size_t i = 0; i < g.gl_pathc && !found; i++) {
		char path[1024];

		found = !hv_file_line(g.gl_pathv[i], path, sizeof(path)) && names_target(t, path);
		if (found)
			snprintf(who, size, "loop device %.*s", (int)strcspn(g.gl_pathv[i] + 11, "/"), g.gl_pathv[i] + 11);
	}
	globfree(&g);
	return found;
}

static bool mounted(const struct target *t, char *who, size_t size)
{
	FILE *f = t->block ? fopen("/proc/self/mountinfo", "re") : NULL;
	unsigned int maj, min;
	char line[1024], at[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %u:%u %*s %255s", &maj, &min, at) == 3 && makedev(maj, min) == t->dev) {
			snprintf(who, size, "a mount at %.100s", at);
			found = true;
		}
	}
	if (f)
		fclose(f);
	return found;
}

bool target_holder(const struct target *t, const char *path, char *who, size_t size)
{
	return loop_device(t, who, size) || mounted(t, who, size);
}
