// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/keys.h"
#include "util/str.h"

void hv_dev_paths(const struct hv_dev_id *d, struct hv_dev_paths *p)
{
	snprintf(p->front, sizeof(p->front), HV_FRONT "/%u", d->domid, d->id);
	snprintf(p->back, sizeof(p->back), HV_BACK "/%u/%u", d->domid, d->id);
	snprintf(p->admin, sizeof(p->admin), HV_ADMIN "/%s/%u", d->uuid, d->id);
}

int hv_domain_uuid(struct hv_host *h, uint32_t domid, char uuid[HV_UUID_LEN + 1])
{
	char *vm = hv_readf(h, 0, "/local/domain/%u/vm", domid);
	int rc = -ESRCH;

	if (vm && !strncmp(vm, "/vm/", 4) && strlen(vm + 4) >= HV_UUID_LEN) {
		memcpy(uuid, vm + 4, HV_UUID_LEN);	/* xl appends -1 when a name is used twice */
		uuid[HV_UUID_LEN] = 0;
		rc = strspn(uuid, "0123456789abcdef-") == HV_UUID_LEN ? 0 : -ESRCH;
	}
	free(vm);
	return rc;
}

char *hv_domain_name(struct hv_host *h, uint32_t domid)
{
	return hv_readf(h, 0, "/local/domain/%u/name", domid);
}

static int find_by_name(struct hv_host *h, const char *what, uint32_t *domid)
{
	unsigned int n;
	char **ids = hv_listf(h, &n, "/local/domain");
	int rc = -ESRCH;

	for (unsigned int i = 0; i < n && rc; i++) {
		uint64_t id;
		char *name;

		if (hv_str_u64(ids[i], 32767, &id) || !id)
			continue;
		name = hv_domain_name(h, id);
		if (name && !strcmp(name, what)) {
			*domid = id;
			rc = 0;
		}
		free(name);
	}
	free(ids);
	return rc;
}

int hv_domain_find(struct hv_host *h, const char *what, uint32_t *domid, struct hv_err *e)
{
	char uuid[HV_UUID_LEN + 1];
	uint64_t id;

	if (!hv_str_u64(what, 32767, &id)) {
		if (!id)
			return hv_err(e, EINVAL, "domain 0 is the host itself: name a guest");
		*domid = id;
		if (!hv_domain_uuid(h, id, uuid))
			return 0;
	} else if (!strcmp(what, "Domain-0")) {
		return hv_err(e, EINVAL, "domain 0 is the host itself: name a guest");
	} else if (!find_by_name(h, what, domid)) {
		return 0;
	}
	return hv_err(e, ESRCH, "no domain %s is running: `xl list` shows those that are", what);
}

int hv_device_find(struct hv_host *h, uint32_t domid, const char *name, struct hv_dev_id *d, struct hv_err *e)
{
	unsigned int n;
	char **ids = hv_listf(h, &n, HV_BACK "/%u", domid);
	int rc = -ENOENT;

	d->domid = domid;
	for (unsigned int i = 0; i < n && rc; i++) {
		char *have = hv_readf(h, 0, HV_BACK "/%u/%s/name", domid, ids[i]);
		uint64_t id;

		if (have && !strcmp(have, name) && !hv_str_u64(ids[i], HV_ID_MAX, &id)) {
			d->id = id;
			rc = hv_domain_uuid(h, domid, d->uuid);
		}
		free(have);
	}
	free(ids);
	return rc ? hv_err(e, ENOENT, "the guest has no device %s: `hvdrv list %u` shows those it has", name, domid) : 0;
}

/* ---- create ---- */

struct creator {
	const struct hv_params *p;
	struct hv_dev_id *d;
	struct hv_err *e;
	struct hv_dev_paths at;
};

static int pick_id(struct hv_host *h, hv_txn t, struct creator *c)
{
	unsigned int n = 0;
	bool used[HVDRV_SLOTS] = { false };
	char back[64], **ids;
	int rc = 0;

	snprintf(back, sizeof(back), HV_BACK "/%u", c->d->domid);
	ids = h->ops->list(h, t, back, &n);
	for (unsigned int i = 0; ids && i < n && !rc; i++) {
		char *have = hv_readf(h, t, "%s/%s/name", back, ids[i]);
		uint64_t id;

		if (have && !strcmp(have, c->p->name))
			rc = hv_err(c->e, EEXIST, "the guest has a device %s already: give another name", c->p->name);
		if (!hv_str_u64(ids[i], HVDRV_SLOTS - 1, &id))
			used[id] = true;
		free(have);
	}
	free(ids);
	for (c->d->id = 0; !rc && c->d->id < HVDRV_SLOTS; c->d->id++)
		if (!used[c->d->id])
			return 0;
	return rc ? rc : hv_err(c->e, ENOSPC, "the guest has no free slot: %u devices are attached, no more fit", HVDRV_SLOTS);
}

struct kv {
	const char *key, *value;
};

static int write_dir(struct hv_host *h, hv_txn t, const char *dir, const struct hv_perms *perms, const struct kv *kv)
{
	int rc = h->ops->mkdir(h, t, dir);

	/* before the keys: a new child takes its parent's permissions */
	if (!rc)
		rc = h->ops->set_perms(h, t, dir, perms);
	for (; !rc && kv->key; kv++)
		rc = hv_writef(h, t, kv->value, "%s/%s", dir, kv->key);
	return rc;
}

/* A parent that guests pass through: owned by dom0, readable by the one guest or nobody. */
static int parent_dir(struct hv_host *h, hv_txn t, const char *child, int reader)
{
	struct hv_perms p = { 0, reader };
	char dir[96];
	int rc;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(child, '/') - child), child);
	rc = h->ops->mkdir(h, t, dir);
	return rc ? rc : h->ops->set_perms(h, t, dir, &p);
}

static int create(struct hv_host *h, hv_txn t, void *arg)
{
	struct creator *c = arg;
	struct hv_dev_id *d = c->d;
	char fe[16], text[1400];
	const struct hv_perms front = { d->domid, 0 }, back = { 0, d->domid }, admin = { 0, -1 };
	int rc = pick_id(h, t, c);

	if (rc)
		return rc;
	hv_dev_paths(d, &c->at);
	snprintf(fe, sizeof(fe), "%u", d->domid);
	hv_params_print(c->p, text, sizeof(text));
	const struct kv admin_kv[] = { { "params", text }, { "name", c->p->name }, { "domid", fe }, { "want", c->p->mode },
				       { "status", "new" }, { NULL, NULL } };
	const struct kv back_kv[] = { { "frontend", c->at.front }, { "frontend-id", fe }, { "online", "1" },
				      { "name", c->p->name }, { "class", c->p->class }, { "state", "1" }, { NULL, NULL } };
	/* "error" too, so that a guest whose quota of nodes is used up can say so */
	const struct kv front_kv[] = { { "backend", c->at.back }, { "backend-id", "0" }, { "state", "1" }, { "error", "" },
				       { NULL, NULL } };

	rc = write_dir(h, t, c->at.admin, &admin, admin_kv);
	if (!rc)
		rc = parent_dir(h, t, c->at.back, d->domid);
	if (!rc)
		rc = write_dir(h, t, c->at.back, &back, back_kv);
	if (!rc)
		rc = parent_dir(h, t, c->at.front, d->domid);
	return rc ? rc : write_dir(h, t, c->at.front, &front, front_kv);
}

int hv_device_create(struct hv_host *h, const struct hv_params *p, struct hv_dev_id *d, struct hv_err *e)
{
	struct hv_err own = { 0 };
	struct creator c = { .p = p, .d = d, .e = &own };
	int rc = hv_domain_uuid(h, d->domid, d->uuid);

	if (rc)
		return hv_err(e, ESRCH, "domain %u is not running", d->domid);
	rc = hv_transact(h, create, &c);
	if (!rc)
		return 0;
	if (own.code)
		return hv_err(e, own.code, "%s", own.text);
	if (rc == -EDQUOT || rc == -ENOSPC || rc == -E2BIG)
		return hv_err(e, EDQUOT, "xenstore's quota is reached (%s): remove what is not needed, or raise quota-maxentity",
			      strerror(-rc));
	return hv_err(e, -rc, "xenstore: %s", strerror(-rc));
}

static bool is_empty(struct hv_host *h, hv_txn t, const char *dir)
{
	unsigned int n = 0;
	char **l = h->ops->list(h, t, dir, &n);

	free(l);
	return l && !n;
}

static int remove_all(struct hv_host *h, hv_txn t, void *arg)
{
	const struct hv_dev_id *d = arg;
	struct hv_dev_paths p;
	char dir[3][96];
	int rc;

	hv_dev_paths(d, &p);
	snprintf(dir[0], sizeof(dir[0]), HV_FRONT, d->domid);
	snprintf(dir[1], sizeof(dir[1]), HV_BACK "/%u", d->domid);
	snprintf(dir[2], sizeof(dir[2]), HV_ADMIN "/%s", d->uuid);
	rc = h->ops->rm(h, t, p.front);
	if (!rc)
		rc = h->ops->rm(h, t, p.back);
	if (!rc)
		rc = h->ops->rm(h, t, p.admin);
	for (int i = 0; !rc && i < 3; i++)
		if (is_empty(h, t, dir[i]))
			rc = h->ops->rm(h, t, dir[i]);
	return rc;
}

int hv_device_remove(struct hv_host *h, const struct hv_dev_id *d)
{
	return hv_transact(h, remove_all, (void *)d);
}

void hv_device_each(struct hv_host *h, uint32_t domid, void (*fn)(void *arg, uint32_t id), void *arg)
{
	unsigned int n;
	char **ids = hv_listf(h, &n, HV_BACK "/%u", domid);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t id;

		if (!hv_str_u64(ids[i], HV_ID_MAX, &id))
			fn(arg, id);
	}
	free(ids);
}
