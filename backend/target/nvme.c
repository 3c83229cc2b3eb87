// SPDX-License-Identifier: GPL-2.0-only
/* Which NVMe controller a target is a namespace of, and where its registers are. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "target/target.h"
#include "util/file.h"

static bool is_controller(const char *s)
{
	return !strncmp(s, "nvme", 4) && s[4] && !s[4 + strspn(s + 4, "0123456789")] && strlen(s) <= 15;
}

/* A subsystem that may have several controllers: the one that it has. */
static bool only_controller(const char *subsystem, char name[16])
{
	DIR *d = opendir(subsystem);
	unsigned int n = 0;
	struct dirent *de;

	while (d && (de = readdir(d))) {
		if (!is_controller(de->d_name))
			continue;
		strcpy(name, de->d_name);
		n++;
	}
	if (d)
		closedir(d);
	return n == 1;
}

bool target_controller(const struct target *t, char name[16])
{
	char path[64], real[PATH_MAX];
	const char *at;

	*name = 0;
	if (!t->block)
		return false;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/device", major(t->disk), minor(t->disk));
	if (!realpath(path, real))
		return false;
	at = strrchr(real, '/') + 1;
	if (!is_controller(at))
		return !strncmp(at, "nvme-subsys", 11) && only_controller(real, name);
	strcpy(name, at);
	return true;
}

void target_vendor(const struct target *t, char vendor[16])
{
	char name[16], path[64];
	uint64_t id;

	*vendor = 0;
	if (!target_controller(t, name))
		return;
	snprintf(path, sizeof(path), "/sys/class/nvme/%s/device/vendor", name);
	if (!hv_file_number(path, &id) && id <= UINT16_MAX)
		snprintf(vendor, 16, "%04llx", (unsigned long long)id);
}

int target_namespace(const struct target *t, struct target_nvme *n)
{
	uint64_t nsid, bar;
	char path[96];
	int rc;

	if (t->disk != t->dev || !target_controller(t, n->controller))
		return -ENODEV;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/nsid", major(t->disk), minor(t->disk));
	rc = hv_file_number(path, &nsid);
	snprintf(path, sizeof(path), "/sys/class/nvme/%s/device/resource", n->controller);
	if (!rc)
		rc = hv_file_number(path, &bar);	/* the first line, the first number: where BAR 0 begins */
	if (rc)
		return rc;
	n->nsid = nsid;
	n->registers = bar;
	return bar ? 0 : -ENODEV;
}
