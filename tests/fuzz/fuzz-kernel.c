// SPDX-License-Identifier: GPL-2.0-only
/* A kernel image: pygrub takes it from a guest's disk. */
#include "guest-os/kernel.h"
#include "fuzz.h"

static bool ends(const char *text, size_t size)
{
	return memchr(text, 0, size) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hv_err e = { 0 };
	struct kernel k;
	char path[32];
	int fd, rc;

	as_file(data, size, path, &fd);
	rc = kernel_read(fd, &k, &e);
	MUST(ends(k.os, sizeof(k.os)) && ends(k.arch, sizeof(k.arch)) && ends(k.release, sizeof(k.release)));
	if (rc)
		MUST(rc == -e.code && *e.text);
	else
		MUST(*k.os && *k.arch);
	close(fd);
	return 0;
}
