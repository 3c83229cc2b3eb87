// SPDX-License-Identifier: GPL-2.0-only
/* An admin's words for a device. What is taken must print to words that give the same again. */
#include "core/params.h"
#include "fuzz.h"

static void check_taken(const struct hv_params *p)
{
	struct hv_params again;
	struct hv_err e;
	char text[1400];

	MUST(!strcmp(p->class, "block"));
	MUST(!strcmp(p->mode, "virtual") || !strcmp(p->mode, "paravirtual") || !strcmp(p->mode, "auto"));
	MUST(p->sectors ? p->first + p->sectors <= INT64_MAX / 512 && !p->size : !p->first);
	MUST(p->backend[0] == '/' && !strchr(p->backend, ','));
	MUST(p->size % 4096 == 0 && !(p->ro && p->size));
	hv_params_print(p, text, sizeof(text));
	MUST(!hv_params_parse(text, &again, &e));
	/* print leaves the name out */
	MUST(!strcmp(again.path, p->path) && !hv_path_check(p->path, &e));
	MUST(!strcmp(again.backend, p->backend) && !strcmp(again.class, p->class) && !strcmp(again.mode, p->mode) &&
	     !strcmp(again.place, p->place));
	MUST(again.first == p->first && again.sectors == p->sectors);
	MUST(again.size == p->size && again.ro == p->ro && again.shared == p->shared && again.raw == p->raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct hv_params p;
	struct hv_err e = { 0 };
	char *text = in_text(&in);
	int rc = hv_params_parse(text, &p, &e);

	if (!rc)
		check_taken(&p);
	else
		MUST(rc == -e.code && *e.text);
	free(text);
	return 0;
}
