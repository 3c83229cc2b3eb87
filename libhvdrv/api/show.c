// SPDX-License-Identifier: LGPL-2.1-only
/* Devices as JSON: what xenstore says, and what hvdrvd and the workers count. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <json-c/json.h>
#include "api/ask.h"
#include "api/priv.h"
#include "util/json.h"

struct lister {
	struct hvdrv *h;
	struct json_object *rows;
	uint32_t domid;
	char uuid[HV_UUID_LEN + 1];
	char *domain;
};

static void add_key(struct lister *l, struct json_object *row, const char *key, const char *dir, const char *node)
{
	char *v = hv_readf(l->h->host, 0, "%s/%s", dir, node);

	hv_json_add(row, key, v);
	free(v);
}

static void add_range(struct json_object *row, const struct hv_params *p)
{
	char text[48];

	snprintf(text, sizeof(text), "%llu+%llu", (unsigned long long)p->first, (unsigned long long)p->sectors);
	hv_json_add(row, "range", p->sectors ? text : NULL);
}

/* The last switch, if there was one: retarget/ as it is in xenstore. */
static void add_switch(struct lister *l, struct json_object *row, const char *admin)
{
	static const char *const texts[] = { "state", "from", "to", "who", "result", "reason" };
	static const char *const numbers[] = { "freeze-ns", "stall-ns", "carried-ready", "carried-begun", "carried-done" };
	uint64_t seq = hv_read_u64(l->h->host, 0, UINT64_MAX, "%s/retarget/seq", admin);
	struct json_object *o = seq ? json_object_new_object() : NULL;
	char node[48], key[32];

	json_object_object_add(row, "switch", o);
	if (!o)
		return;
	json_object_object_add(o, "seq", json_object_new_uint64(seq));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(node, sizeof(node), "retarget/%s", texts[i]);
		add_key(l, o, texts[i], admin, node);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(key, sizeof(key), "%s", numbers[i]);
		*strchr(key, '-') = '_';
		json_object_object_add(o, key, json_object_new_uint64(
			hv_read_u64(l->h->host, 0, UINT64_MAX, "%s/retarget/%s", admin, numbers[i])));
	}
}

static void list_device(void *arg, uint32_t id)
{
	struct lister *l = arg;
	struct hv_dev_id d = { .domid = l->domid, .id = id };
	struct json_object *row = json_object_new_object();
	struct hv_params p = { .name = "" };
	struct hv_dev_paths at;
	struct hv_err e;
	char *text;

	memcpy(d.uuid, l->uuid, sizeof(d.uuid));
	hv_dev_paths(&d, &at);
	hv_json_add(row, "domain", l->domain);
	json_object_object_add(row, "domid", json_object_new_int(l->domid));
	add_key(l, row, "name", at.back, "name");
	json_object_object_add(row, "id", json_object_new_int(id));
	add_key(l, row, "class", at.back, "class");
	add_key(l, row, "mode", at.back, "mode");
	add_key(l, row, "want", at.admin, "want");
	add_key(l, row, "path", at.admin, "path");
	text = hv_readf(l->h->host, 0, "%s/params", at.admin);
	if (text && !hv_params_parse(text, &p, &e)) {
		hv_json_add(row, "backend", p.backend);
		json_object_object_add(row, "read_only", json_object_new_boolean(p.ro));
		json_object_object_add(row, "shared", json_object_new_boolean(p.shared));
		add_range(row, &p);
		if (p.depth) {
			json_object_object_add(row, "depth", json_object_new_int(p.depth));
			json_object_object_add(row, "weight", json_object_new_int(p.weight));
		}
	}
	free(text);
	add_key(l, row, "cache", at.admin, "cache");
	json_object_object_add(row, "size_bytes", json_object_new_uint64(
		hv_read_u64(l->h->host, 0, UINT64_MAX / 512, "%s/limits/sectors", at.back) * 512));
	add_key(l, row, "disk", at.front, "disk");
	add_key(l, row, "state", at.admin, "status");
	add_key(l, row, "error", at.admin, "error");
	add_switch(l, row, at.admin);
	json_object_array_add(l->rows, row);
}

static int list_domain(struct lister *l, uint32_t domid)
{
	l->domid = domid;
	if (hv_domain_uuid(l->h->host, domid, l->uuid))
		return -ESRCH;
	l->domain = hv_domain_name(l->h->host, domid);
	hv_device_each(l->h->host, domid, list_device, l);
	free(l->domain);
	return 0;
}

static void list_all(struct lister *l)
{
	unsigned int n;
	char **ids = hv_listf(l->h->host, &n, HV_BACK);

	for (unsigned int i = 0; i < n; i++)
		list_domain(l, strtoul(ids[i], NULL, 10));
	free(ids);
}

static int list(struct hvdrv *h, const char *domain, struct json_object **rows)
{
	struct lister l = { .h = h, .rows = json_object_new_array() };
	uint32_t domid;
	int rc = 0;

	if (!domain)
		list_all(&l);
	else
		rc = hv_domain_find(h->host, domain, &domid, &h->e);
	if (!rc && domain)
		list_domain(&l, domid);
	if (rc)
		json_object_put(l.rows);
	else
		*rows = l.rows;
	return rc;
}

int hv_api_text(struct hvdrv *h, struct json_object *rows, char **json)
{
	*json = strdup(json_object_to_json_string_ext(rows, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(rows);
	return *json ? 0 : hv_err(&h->e, ENOMEM, "no memory");
}

int hvdrv_list(struct hvdrv *h, const char *domain, char **json)
{
	struct json_object *rows;
	int rc = list(h, domain, &rows);

	return rc ? rc : hv_api_text(h, rows, json);
}

/* What hvdrvd says of a device goes into the row that xenstore gave. */
static void merge(struct json_object *rows, int domid, struct json_object *more)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		for (size_t k = 0; k < json_object_array_length(more); k++) {
			struct json_object *m = json_object_array_get_idx(more, k);

			if (hv_json_int(m, "id") != hv_json_int(row, "id") || hv_json_int(row, "domid") != domid)
				continue;
			json_object_object_foreach(m, key, v)
				json_object_object_add(row, key, json_object_get(v));
		}
	}
}

static int ask_guest(struct hvdrv *h, struct json_object *rows, int domid, bool inspect)
{
	struct json_object *q = json_object_new_object(), *a = NULL, *devs = NULL;
	int rc;

	json_object_object_add(q, "cmd", json_object_new_string("show"));
	json_object_object_add(q, "domid", json_object_new_int(domid));
	if (inspect)
		json_object_object_add(q, "inspect", json_object_new_boolean(1));
	rc = hv_api_ask(h, q, HV_API_LIMIT, &a);
	if (!rc && json_object_object_get_ex(a, "devices", &devs))
		merge(rows, domid, devs);
	json_object_put(a);
	return rc;
}

int hv_api_rows(struct hvdrv *h, const char *domain, struct json_object **rows)
{
	return list(h, domain, rows);
}

int hv_api_details(struct hvdrv *h, struct json_object *rows, bool inspect)
{
	int last = -1, rc = 0;

	/* the rows of a guest stand together */
	for (size_t i = 0; !rc && i < json_object_array_length(rows); i++) {
		int domid = hv_json_int(json_object_array_get_idx(rows, i), "domid");

		if (domid != last)
			rc = ask_guest(h, rows, domid, inspect);
		last = domid;
	}
	return rc;
}

static void keep_named(struct json_object *rows, const char *name)
{
	for (size_t i = json_object_array_length(rows); i-- > 0;) {
		struct json_object *n = NULL;

		json_object_object_get_ex(json_object_array_get_idx(rows, i), "name", &n);
		if (!n || strcmp(json_object_get_string(n), name))
			json_object_array_del_idx(rows, i, 1);
	}
}

int hvdrv_show(struct hvdrv *h, const char *domain, const char *name, char **json)
{
	struct json_object *rows;
	int rc = list(h, domain, &rows);

	if (rc)
		return rc;
	if (name)
		keep_named(rows, name);
	if (name && !json_object_array_length(rows)) {
		json_object_put(rows);
		return hv_err(&h->e, ENOENT, "the guest has no device %s: `hvdrv list %s` shows those it has", name, domain);
	}
	/* also when there is nothing to ask for: whoever asks must learn that nobody counts */
	rc = json_object_array_length(rows) ? hv_api_details(h, rows, false) : hvdrv_ping(h);
	if (rc) {
		json_object_put(rows);
		return rc;
	}
	return hv_api_text(h, rows, json);
}
