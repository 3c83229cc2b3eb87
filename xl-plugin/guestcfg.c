// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libxlutil.h>
#include <uuid/uuid.h>
#include "core/record.h"
#include "guestcfg.h"
#include "util/file.h"

/* Names of guests, as a UUID version 5: this one is hvdrv's own name space. */
static const uuid_t name_space = {
	0x8f, 0x2a, 0x51, 0x0e, 0x6d, 0x3b, 0x4c, 0x77, 0x9a, 0x10, 0x7e, 0x46, 0x1b, 0xd2, 0x03, 0x5c
};

static int read_text(const char *file, const char *const *extra, int nextra, char **text, size_t *len)
{
	void *data;
	FILE *f;
	int rc = hv_file_read(file, 1 << 20, &data, len);

	if (rc)
		return -ENOENT;
	f = open_memstream(text, len);
	if (!f) {
		free(data);
		return -ENOENT;
	}
	fprintf(f, "%s\n", (char *)data);
	for (int i = 0; i < nextra; i++)
		fprintf(f, "%s\n", extra[i]);
	free(data);
	return fclose(f) ? -ENOENT : 0;
}

static void take_uuid(XLU_Config *cfg, struct guestcfg *g)
{
	const char *text, *name = "";
	uuid_t u;

	g->own_uuid = !xlu_cfg_get_string(cfg, "uuid", &text, 0) && !uuid_parse(text, u);
	if (!g->own_uuid) {
		xlu_cfg_get_string(cfg, "name", &name, 0);
		uuid_generate_sha1(u, name_space, name, strlen(name));
	}
	uuid_unparse_lower(u, g->uuid);
}

static int take_device(struct guestcfg *g, const char *text, struct hv_err *e)
{
	struct hv_params *p = &g->p[g->n];
	/* NULL: a list within the list */
	int rc = text ? hv_params_parse(text, p, e) : hv_err(e, EINVAL, "must be a text in quotes");

	if (!rc && !*p->name)
		rc = hv_err(e, EINVAL, "name= is missing");
	for (int i = 0; !rc && i < g->n; i++)
		if (!strcmp(g->p[i].name, p->name))
			rc = hv_err(e, EINVAL, "name=%s is there twice", p->name);
	if (rc)
		return hv_err_in(e, "device %d of the hvdrv list", g->n + 1);
	g->n++;
	return 0;
}

static int take_list(XLU_Config *cfg, struct guestcfg *g, struct hv_err *e)
{
	XLU_ConfigList *list;
	int n, rc = xlu_cfg_get_list(cfg, "hvdrv", &list, &n, 1);

	if (rc == EINVAL)
		return hv_err(e, EINVAL, "hvdrv must be a list: hvdrv = [ \"name=data,class=block,backend=/PATH\" ]");
	if (rc || !n)
		return 0;
	if (n > (int)HVDRV_SLOTS)
		return hv_err(e, EINVAL, "the hvdrv list has %d devices, a guest takes %u", n, HVDRV_SLOTS);
	g->p = calloc(n, sizeof(*g->p));
	if (!g->p)
		return hv_err(e, ENOMEM, "no memory");
	for (int i = 0; i < n && !rc; i++)
		rc = take_device(g, xlu_cfg_get_listitem(list, i), e);
	return rc;
}

int guestcfg_read(const char *file, const char *const *extra, int nextra, struct guestcfg *g, struct hv_err *e)
{
	FILE *quiet = fopen("/dev/null", "we");
	XLU_Config *cfg;
	char *text = NULL;
	size_t len;
	int rc;

	memset(g, 0, sizeof(*g));
	cfg = quiet ? xlu_cfg_init(quiet, file) : NULL;
	rc = cfg ? read_text(file, extra, nextra, &text, &len) : -ENOENT;
	if (!rc)
		rc = xlu_cfg_readdata(cfg, text, len) ? -ENOENT : 0;
	if (!rc) {
		take_uuid(cfg, g);
		rc = take_list(cfg, g, e);
	}
	free(text);
	if (cfg)
		xlu_cfg_destroy(cfg);
	if (quiet)
		fclose(quiet);
	if (rc)
		guestcfg_free(g);
	return rc;
}

void guestcfg_free(struct guestcfg *g)
{
	free(g->p);
	g->p = NULL;
	g->n = 0;
}

int guestcfg_record(const struct guestcfg *g, const char *state, struct hv_err *e)
{
	return hv_record_set(state, g->uuid, "config", g->p, g->n, e);
}
