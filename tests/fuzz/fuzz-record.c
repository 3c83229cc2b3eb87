// SPDX-License-Identifier: GPL-2.0-only
/* The record of a guest's devices (JSON): read, changed, read again. */
#include <errno.h>
#include <limits.h>
#include "core/record.h"
#include "fuzz.h"
#include "util/file.h"
#include "util/str.h"

#define UUID "00000000-0000-0000-0000-000000000001"

static char state[64];

static void make_folder(void)
{
	char devices[80];

	if (*state)
		return;
	snprintf(state, sizeof(state), "%s/hvdrv-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	MUST(mkdtemp(state));
	snprintf(devices, sizeof(devices), "%s/devices", state);
	MUST(!hv_mkdirs(devices, 0700));
}

static void remove_folder(const char *file)
{
	char devices[80];

	unlink(file);
	snprintf(devices, sizeof(devices), "%s/devices", state);
	rmdir(devices);
	rmdir(state);
	*state = 0;
}

struct seen {
	int n, added;
};

static void count(void *arg, const struct hv_params *p)
{
	struct seen *s = arg;

	MUST(hv_str_is_name(p->name, HVDRV_NAME_MAX) && p->backend[0] == '/');
	s->n++;
	s->added += !strcmp(p->name, "added");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen before = { 0 }, after = { 0 }, last = { 0 };
	struct hv_params p;
	struct hv_err e = { 0 };
	char path[128];
	FILE *f;
	int rc;

	make_folder();
	snprintf(path, sizeof(path), "%s/devices/" UUID ".json", state);
	f = fopen(path, "we");
	MUST(f && fwrite(data, 1, size, f) == size && !fclose(f));
	rc = hv_record_each(state, UUID, count, &before, &e);
	MUST(!rc || (rc == -e.code && *e.text));
	MUST(!hv_params_parse("name=added,class=block,backend=/x", &p, &e));
	if (!rc) {
		MUST(!hv_record_add(state, UUID, "persist", &p, &e));
		MUST(!hv_record_each(state, UUID, count, &after, &e));
		MUST(after.added == 1 && after.n == before.n - before.added + 1);
		MUST(!hv_record_remove(state, UUID, "added", &e));
		MUST(!hv_record_each(state, UUID, count, &last, &e));
		MUST(!last.added && last.n == after.n - 1);
	}
	remove_folder(path);
	return 0;
}
