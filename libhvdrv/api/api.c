// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <hvdrv/hvdrv.h>
#include <json-c/json.h>
#include "api/priv.h"
#include "core/record.h"
#include "util/log.h"
#include "util/sock.h"

int hvdrv_open(struct hvdrv **out)
{
	struct hvdrv *h = *out = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->host = hv_host_store_open(&h->e);
	return h->host ? 0 : -h->e.code;
}

void hvdrv_close(struct hvdrv *h)
{
	if (!h)
		return;
	hv_host_close(h->host);
	free(h);
}

const char *hvdrv_error(const struct hvdrv *h)
{
	return h->e.text;
}

/* ---- hvdrvd's socket ---- */

static int ask(struct hvdrv *h, struct json_object *question, struct json_object **answer)
{
	int fds[HV_SOCK_FDS], rc = 0, fd = hv_sock_connect(HV_RUN_DIR "/hvdrvd.sock", SOCK_SEQPACKET);
	const char *text = json_object_to_json_string(question);
	const struct timeval limit = { .tv_sec = 30 };
	static const size_t max = 256 * 1024;
	char *buf = NULL;
	ssize_t n;

	if (fd < 0) {
		json_object_put(question);
		if (fd == -EACCES)
			return hv_err(&h->e, EPERM, "hvdrvd's socket may not be opened: run this as root");
		return hv_err(&h->e, ECONNREFUSED, "hvdrvd is not running: start it with `systemctl start hvdrvd`");
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	rc = hv_sock_send(fd, text, strlen(text), NULL, 0);
	json_object_put(question);
	buf = rc ? NULL : malloc(max);
	n = buf ? hv_sock_recv(fd, buf, max - 1, fds) : -EIO;
	if (n > 0) {
		buf[n] = 0;
		*answer = json_tokener_parse(buf);
	}
	free(buf);
	close(fd);
	return n > 0 && *answer ? 0 : hv_err(&h->e, EIO, "hvdrvd does not answer: see its log");
}

int hvdrv_ping(struct hvdrv *h)
{
	struct json_object *q = json_object_new_object(), *a = NULL;
	int rc;

	json_object_object_add(q, "cmd", json_object_new_string("ping"));
	rc = ask(h, q, &a);
	json_object_put(a);
	return rc;
}

/* ---- waiting ---- */

/* Until the nodes are gone. */
static int wait_gone(struct hv_waiter *w)
{
	int rc = 0;

	for (;;) {
		char *s = hv_wait_key(w, "domid");

		if (!s)
			return 0;
		free(s);
		if (rc)
			return rc;
		rc = hv_wait_change(w);
	}
}

/* ---- attach ---- */

static int explain_timeout(struct hv_waiter *w, unsigned int timeout, int rc)
{
	char *status = hv_wait_key(w, "status"), *os = hv_readf(w->h->host, 0, "%s/os/type", w->at.front);
	struct hv_err *e = &w->h->e;

	if (rc == -EINTR)
		hv_err(e, EINTR, "interrupted: nothing was attached");
	else if (hv_is(status, "waiting-for-guest") && !os)
		hv_err(e, ETIMEDOUT, "the guest did not answer within %u s: its extension is missing; install hvdrv-guest-dkms in it and run "
		       "`modprobe hvdrv`", timeout);
	else if (hv_is(status, "connected"))
		hv_err(e, ETIMEDOUT, "the guest's disk did not answer a read within %u s: see the guest's kernel log", timeout);
	else
		hv_err(e, ETIMEDOUT, "it was not ready within %u s (%s): see hvdrvd's log", timeout, status ? status : "new");
	free(status);
	free(os);
	return -e->code;
}

static int wait_ready(struct hv_waiter *w, unsigned int timeout)
{
	int rc = 0;

	for (;;) {
		char *status = hv_wait_key(w, "status"), *why = NULL;
		bool ready = hv_is(status, "ready"), failed = hv_is(status, "failed"), gone = !status;

		if (failed)
			why = hv_wait_key(w, "error");
		free(status);
		if (failed)
			hv_err(&w->h->e, hv_read_u64(w->h->host, EIO, 4095, "%s/error-code", w->at.admin), "%s",
			       why ? why : "it failed");
		else if (gone)
			hv_err(&w->h->e, EIO, "it was detached meanwhile, or the guest has gone");
		free(why);
		if (failed || gone)
			return -w->h->e.code;
		if (ready)
			return 0;
		if (rc)
			return explain_timeout(w, timeout, rc);
		rc = hv_wait_change(w);
	}
}

static void undo_attach(struct hv_waiter *w)
{
	struct hv_err keep = w->h->e;

	hv_writef(w->h->host, 0, "detach-force", "%s/request", w->at.admin);
	w->end_ns = hv_now_ns() + 20 * 1000000000ll;
	wait_gone(w);
	w->h->e = keep;
}

static void read_disk(struct hv_waiter *w, char disk[32])
{
	char *s = hv_readf(w->h->host, 0, "%s/disk", w->at.front);

	snprintf(disk, 32, "%s", s ? s : "");
	free(s);
}

static int attach(struct hvdrv *h, struct hv_dev_id *id, const struct hv_params *p, unsigned int timeout, char disk[32])
{
	struct hv_waiter w;
	int rc = hv_device_create(h->host, p, id, &h->e);

	if (rc)
		return rc;
	hv_wait_begin(&w, h, id, timeout);
	rc = wait_ready(&w, timeout);
	if (rc)
		undo_attach(&w);
	else
		read_disk(&w, disk);
	hv_wait_end(&w);
	return rc;
}

static int prepare(struct hvdrv *h, const char *domain, const char *name, const char *params, struct hv_dev_id *id,
		   struct hv_params *p)
{
	int rc = hv_params_parse(params, p, &h->e);
	char named[64];

	snprintf(named, sizeof(named), "name=%s", name);
	if (!rc && (strlen(name) > HVDRV_NAME_MAX || strchr(name, ',')))
		rc = hv_err(&h->e, EINVAL, "name %s: use up to %u letters, digits and . _ -", name, HVDRV_NAME_MAX);
	if (!rc) {
		struct hv_params only;

		snprintf(named, sizeof(named), "name=%s,class=block,backend=/x", name);
		rc = hv_params_parse(named, &only, &h->e);
		memcpy(p->name, only.name, sizeof(p->name));
	}
	if (!rc)
		rc = hv_domain_find(h->host, domain, &id->domid, &h->e);
	if (!rc)
		rc = hvdrv_ping(h);
	return rc ? rc : hv_domain_uuid(h->host, id->domid, id->uuid);
}

int hvdrv_attach(struct hvdrv *h, const char *domain, const char *name, const char *params, unsigned int timeout,
		 unsigned int flags, char disk[32])
{
	struct hv_dev_id id;
	struct hv_params p;
	struct hv_err keep;
	int rc = prepare(h, domain, name, params, &id, &p);

	if (rc)
		return rc;
	/* the record first: a full /var must leave nothing attached */
	if (flags & HVDRV_PERSIST) {
		struct hv_params recorded = p;

		recorded.size = 0;
		rc = hv_record_add(HV_STATE_DIR, id.uuid, "persist", &recorded, &h->e);
		if (rc)
			return rc;
	}
	rc = attach(h, &id, &p, timeout, disk);
	if (rc && (flags & HVDRV_PERSIST)) {
		keep = h->e;
		hv_record_remove(HV_STATE_DIR, id.uuid, p.name, &h->e);
		h->e = keep;
	}
	return rc;
}

/* ---- detach, resize ---- */

struct request {
	const char *dir, *what, *status;
};

static int put_request(struct hv_host *h, hv_txn t, void *arg)
{
	const struct request *r = arg;
	int rc = hv_writef(h, t, r->what, "%s/request", r->dir);

	if (!rc && r->status)
		rc = hv_writef(h, t, r->status, "%s/status", r->dir);
	return rc;
}

static int wait_detached(struct hv_waiter *w, unsigned int timeout)
{
	int rc = 0;

	for (;;) {
		char *status = hv_wait_key(w, "status");
		bool busy = hv_is(status, "in-use"), gone = !status;

		free(status);
		if (gone)
			return 0;
		if (busy)
			return hv_err(&w->h->e, EBUSY, "it is in use in the guest and goes on: unmount or close it there, or use --force");
		if (rc == -EINTR)
			return hv_err(&w->h->e, EINTR, "interrupted: it may still be detached");
		if (rc)
			return hv_err(&w->h->e, ETIMEDOUT, "the guest did not let go of it within %u s: look at the guest, or use --force", timeout);
		rc = hv_wait_change(w);
	}
}

int hvdrv_detach(struct hvdrv *h, const char *domain, const char *name, unsigned int timeout, unsigned int flags)
{
	struct request r = { .what = flags & HVDRV_FORCE ? "detach-force" : "detach", .status = "detach-requested" };
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc = hv_api_find(h, domain, name, &id);

	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout);
	r.dir = w.at.admin;
	rc = hv_transact(h->host, put_request, &r);
	rc = rc ? hv_err(&h->e, -rc, "xenstore: %s", strerror(-rc)) : wait_detached(&w, timeout);
	hv_wait_end(&w);
	if (!rc && (flags & HVDRV_PERSIST))
		rc = hv_record_remove(HV_STATE_DIR, id.uuid, name, &h->e);
	return rc;
}

static int wait_resized(struct hv_waiter *w, unsigned int timeout)
{
	int rc = 0;

	for (;;) {
		char *r = hv_wait_key(w, "resize"), *why;
		bool done = hv_is(r, "done"), failed = hv_is(r, "failed");

		free(r);
		if (done)
			return 0;
		if (failed) {
			why = hv_wait_key(w, "error");
			hv_err(&w->h->e, EIO, "not resized: %s", why ? why : "?");
			free(why);
			return -EIO;
		}
		if (rc)
			return hv_err(&w->h->e, -rc, "not resized within %u s: see hvdrvd's log", timeout);
		rc = hv_wait_change(w);
	}
}

int hvdrv_resize(struct hvdrv *h, const char *domain, const char *name, unsigned int timeout, uint64_t *bytes)
{
	struct request r = { .what = "resize" };
	struct hv_dev_id id;
	struct hv_waiter w;
	int rc = hv_api_find(h, domain, name, &id);

	if (rc)
		return rc;
	hv_wait_begin(&w, h, &id, timeout);
	hv_rmf(h->host, 0, "%s/resize", w.at.admin);
	r.dir = w.at.admin;
	rc = hv_transact(h->host, put_request, &r);
	rc = rc ? hv_err(&h->e, -rc, "xenstore: %s", strerror(-rc)) : wait_resized(&w, timeout);
	if (!rc)
		*bytes = hv_read_u64(h->host, 0, UINT64_MAX / 512, "%s/limits/sectors", w.at.back) * 512;
	hv_wait_end(&w);
	return rc;
}

/* ---- list, show ---- */

struct lister {
	struct hvdrv *h;
	struct json_object *rows;
	uint32_t domid;
	char uuid[HV_UUID_LEN + 1];
	char *domain;
};

static void add(struct json_object *row, const char *key, const char *v)
{
	json_object_object_add(row, key, v ? json_object_new_string(v) : NULL);
}

static void add_key(struct lister *l, struct json_object *row, const char *key, const char *dir, const char *node)
{
	char *v = hv_readf(l->h->host, 0, "%s/%s", dir, node);

	add(row, key, v);
	free(v);
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
	add(row, "domain", l->domain);
	json_object_object_add(row, "domid", json_object_new_int(l->domid));
	add_key(l, row, "name", at.back, "name");
	json_object_object_add(row, "id", json_object_new_int(id));
	add_key(l, row, "class", at.back, "class");
	add_key(l, row, "mode", at.back, "mode");
	add_key(l, row, "path", at.admin, "path");
	text = hv_readf(l->h->host, 0, "%s/params", at.admin);
	if (text && !hv_params_parse(text, &p, &e)) {
		add(row, "backend", p.backend);
		json_object_object_add(row, "read_only", json_object_new_boolean(p.ro));
		json_object_object_add(row, "shared", json_object_new_boolean(p.shared));
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

static int to_text(struct hvdrv *h, struct json_object *rows, char **json)
{
	*json = strdup(json_object_to_json_string_ext(rows, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(rows);
	return *json ? 0 : hv_err(&h->e, ENOMEM, "no memory");
}

int hvdrv_list(struct hvdrv *h, const char *domain, char **json)
{
	struct json_object *rows;
	int rc = list(h, domain, &rows);

	return rc ? rc : to_text(h, rows, json);
}

static int int_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_int(v) : -1;
}

/* What hvdrvd says of a device goes into the row that xenstore gave. */
static void merge(struct json_object *rows, struct json_object *more)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		for (size_t k = 0; k < json_object_array_length(more); k++) {
			struct json_object *m = json_object_array_get_idx(more, k);

			if (int_of(m, "id") != int_of(row, "id"))
				continue;
			json_object_object_foreach(m, key, v)
				json_object_object_add(row, key, json_object_get(v));
		}
	}
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
	struct json_object *rows, *q, *a = NULL, *devs = NULL;
	uint32_t domid;
	int rc = hv_domain_find(h->host, domain, &domid, &h->e);

	if (!rc)
		rc = list(h, domain, &rows);
	if (rc)
		return rc;
	if (name)
		keep_named(rows, name);
	if (name && !json_object_array_length(rows)) {
		json_object_put(rows);
		return hv_err(&h->e, ENOENT, "the guest has no device %s: `hvdrv list %s` shows those it has", name, domain);
	}
	q = json_object_new_object();
	json_object_object_add(q, "cmd", json_object_new_string("show"));
	json_object_object_add(q, "domid", json_object_new_int(domid));
	rc = ask(h, q, &a);
	if (rc) {
		json_object_put(rows);
		return rc;
	}
	if (json_object_object_get_ex(a, "devices", &devs))
		merge(rows, devs);
	json_object_put(a);
	return to_text(h, rows, json);
}
