// SPDX-License-Identifier: GPL-2.0-only
/* A guest's xl configuration. First byte odd: the text is what stands between hvdrv = [ and ]. */
#include <errno.h>
#include "fuzz.h"
#include "guestcfg.h"
#include "util/str.h"

/* what libxlutil keeps of a text that is not xl's syntax is not ours to free */
const char *__lsan_default_suppressions(void)
{
	return "leak:libxlutil.so\n";
}

static char *wrap(const char *text, bool inside)
{
	char *all = NULL;

	MUST(asprintf(&all, inside ? "name = \"g\"\nhvdrv = [ %s ]\n" : "%s", text) >= 0);
	return all;
}

static void check_taken(const struct guestcfg *g)
{
	MUST(strlen(g->uuid) == HV_UUID_LEN && strspn(g->uuid, "0123456789abcdef-") == HV_UUID_LEN);
	MUST(g->n <= (int)HVDRV_SLOTS);
	for (int i = 0; i < g->n; i++) {
		MUST(hv_str_is_name(g->p[i].name, HVDRV_NAME_MAX) && g->p[i].backend[0] == '/');
		for (int k = 0; k < i; k++)
			MUST(strcmp(g->p[i].name, g->p[k].name));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const extra[] = { "memory=64", "uuid=\"8f2a510e-6d3b-4c77-9a10-7e461bd2035c\"" };
	struct input in = { data, size };
	uint8_t how = in_u8(&in);
	char *text = in_text(&in), *all = wrap(text, how & 1), path[32];
	struct guestcfg g;
	struct hv_err e = { 0 };
	int fd, rc;

	as_file((uint8_t *)all, strlen(all), path, &fd);
	rc = guestcfg_read(path, extra, how >> 6 < 2 ? how >> 6 : 2, &g, &e);
	if (!rc)
		check_taken(&g);
	else
		MUST(rc == -ENOENT || (rc == -e.code && *e.text));
	guestcfg_free(&g);
	close(fd);
	free(all);
	free(text);
	return 0;
}
