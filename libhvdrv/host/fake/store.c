// SPDX-License-Identifier: LGPL-2.1-only
/*
 * Transactions: a copy of the tree, thrown away when anything else changed meanwhile (coarser than xenstored, which
 * asks for the nodes that were touched: callers must do with both). Watches: per handle, in the order of the changes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host/fake/priv.h"

/* ---- watches ---- */

static void push_event(struct fk_handle *k, const char *path)
{
	const uint64_t one = 1;

	k->event = realloc(k->event, (k->nevents + 1) * sizeof(*k->event));
	if (!k->event)
		abort();
	k->event[k->nevents++] = strdup(path);
	if (k->nevents == 1 && write(k->event_fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* Watches on it and above it; and those below it, when it went with all that it had. */
static void fire_handle(struct fk_handle *k, const char *path)
{
	for (int i = 0; i < FK_WATCHES; i++) {
		const char *w = k->watch[i];

		if (!w)
			continue;
		if (path[0] == '@' ? !strcmp(path, w) : fk_below(path, w) && fk_may_read(&k->f->tree, k->who, path))
			push_event(k, path);
		else if (path[0] != '@' && fk_below(w, path) && !fk_find(&k->f->tree, path))
			push_event(k, w);
	}
}

void fk_fire(struct fake *f, const char *path)
{
	for (int i = 0; i < FK_HANDLES; i++)
		if (f->handle[i])
			fire_handle(f->handle[i], path);
}

static int store_watch(struct hv_host *h, const char *path)
{
	struct fk_handle *k = fk_handle(h);
	int rc = fk_fail(k, "watch", false);

	for (int i = 0; !rc && i < FK_WATCHES; i++) {
		if (k->watch[i] && !strcmp(k->watch[i], path))
			return -EEXIST;
		if (k->watch[i])
			continue;
		k->watch[i] = strdup(path);
		push_event(k, path);		/* xenstored fires each watch once when it is set */
		return 0;
	}
	return rc ? rc : -E2BIG;
}

static int store_unwatch(struct hv_host *h, const char *path)
{
	struct fk_handle *k = fk_handle(h);
	int rc = fk_fail(k, "unwatch", true);

	for (int i = 0; !rc && i < FK_WATCHES; i++) {
		if (!k->watch[i] || strcmp(k->watch[i], path))
			continue;
		free(k->watch[i]);
		k->watch[i] = NULL;
		return 0;
	}
	return rc ? rc : -ENOENT;
}

static int store_watch_fd(struct hv_host *h)
{
	return fk_handle(h)->event_fd;
}

static char *store_next_event(struct hv_host *h)
{
	struct fk_handle *k = fk_handle(h);
	uint64_t count;
	char *path;

	if (!k->nevents)
		return NULL;
	path = k->event[0];
	memmove(k->event, k->event + 1, --k->nevents * sizeof(*k->event));
	if (!k->nevents && read(k->event_fd, &count, sizeof(count)) != sizeof(count))
		abort();
	return path;
}

/* ---- transactions ---- */

static struct fk_txn *txn(struct fk_handle *k, hv_txn t)
{
	struct fk_txn *x = t && t <= FK_TXNS ? &k->f->txn[t - 1] : NULL;

	return x && x->used && x->who == k->who ? x : NULL;
}

/* The tree that a call works on; NULL: no such transaction. */
static struct fk_tree *tree(struct fk_handle *k, hv_txn t)
{
	struct fk_txn *x = txn(k, t);

	return !t ? &k->f->tree : x ? &x->tree : NULL;
}

static void changed(struct fk_handle *k, hv_txn t, const char *path)
{
	struct fk_txn *x = txn(k, t);

	if (!x) {
		k->f->generation++;
		fk_fire(k->f, path);
	} else if (x->nchanged < FK_CHANGES) {
		x->changed[x->nchanged++] = strdup(path);
	} else {
		abort();
	}
}

static int store_begin(struct hv_host *h, hv_txn *t)
{
	struct fk_handle *k = fk_handle(h);
	int rc = fk_fail(k, "begin", false);

	for (unsigned int i = 0; !rc && i < FK_TXNS; i++) {
		struct fk_txn *x = &k->f->txn[i];

		if (x->used)
			continue;
		x->used = true;
		x->who = k->who;
		x->began = k->f->generation;
		fk_tree_copy(&x->tree, &k->f->tree);
		*t = i + 1;
		return 0;
	}
	return rc ? rc : -ENOSPC;
}

static void commit(struct fake *f, struct fk_txn *x)
{
	struct fk_tree old = f->tree;

	f->tree = x->tree;
	x->tree = old;
	if (x->nchanged)
		f->generation++;
	for (unsigned int i = 0; i < x->nchanged; i++)
		fk_fire(f, x->changed[i]);
}

static int store_end(struct hv_host *h, hv_txn t, bool abort)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_txn *x = txn(k, t);
	int rc = abort ? 0 : fk_fail(k, "end", false);

	if (!x)
		return -ENOENT;
	if (!abort && !rc && (k->f->conflicts || x->began != k->f->generation)) {
		k->f->conflicts -= k->f->conflicts > 0;
		rc = -EAGAIN;
	}
	if (!abort && !rc)
		commit(k->f, x);
	fk_tree_free(&x->tree);
	while (x->nchanged)
		free(x->changed[--x->nchanged]);
	x->used = false;
	return rc;
}

/* ---- nodes ---- */

static char *store_read(struct hv_host *h, hv_txn t, const char *path)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_tree *tr = tree(k, t);
	char *value = NULL;
	int rc = fk_fail(k, "read", false);

	if (!rc)
		rc = tr ? fk_tree_read(tr, k->who, path, &value) : -ENOENT;
	errno = -rc;
	return value;
}

static char **store_list(struct hv_host *h, hv_txn t, const char *path, unsigned int *n)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_tree *tr = tree(k, t);
	char **names = NULL;
	int rc = fk_fail(k, "list", false);

	if (!rc)
		rc = tr ? fk_tree_list(tr, k->who, path, &names, n) : -ENOENT;
	errno = -rc;
	return names;
}

static int store_write(struct hv_host *h, hv_txn t, const char *path, const char *value)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_tree *tr = tree(k, t);
	int rc = fk_fail(k, "write", false);

	if (!rc)
		rc = tr ? fk_tree_write(tr, k->who, path, value) : -ENOENT;
	if (!rc)
		changed(k, t, path);
	return rc;
}

static int store_mkdir(struct hv_host *h, hv_txn t, const char *path)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_tree *tr = tree(k, t);
	bool there = tr && fk_find(tr, path);
	int rc = fk_fail(k, "mkdir", false);

	if (!rc)
		rc = tr ? fk_tree_mkdir(tr, k->who, path) : -ENOENT;
	if (!rc && !there)
		changed(k, t, path);
	return rc;
}

static int store_rm(struct hv_host *h, hv_txn t, const char *path)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_tree *tr = tree(k, t);
	bool there = tr && fk_find(tr, path);
	int rc = fk_fail(k, "rm", false);

	if (!rc)
		rc = tr ? fk_tree_rm(tr, k->who, path) : -ENOENT;
	if (!rc && there)
		changed(k, t, path);
	return rc;
}

static int store_set_perms(struct hv_host *h, hv_txn t, const char *path, const struct hv_perms *p)
{
	struct fk_handle *k = fk_handle(h);
	struct fk_tree *tr = tree(k, t);
	int rc = fk_fail(k, "set_perms", false);

	if (!rc)
		rc = tr ? fk_tree_perms(tr, k->who, path, p) : -ENOENT;
	if (!rc)
		changed(k, t, path);
	return rc;
}

static void store_close(struct hv_host *h)
{
	struct fk_handle *k = fk_handle(h);

	for (int i = 0; i < FK_HANDLES; i++)
		if (k->f->handle[i] == k)
			k->f->handle[i] = NULL;
	for (int i = 0; i < FK_WATCHES; i++)
		free(k->watch[i]);
	while (k->nevents)
		free(k->event[--k->nevents]);
	free(k->event);
	close(k->event_fd);
	free(k);
}

const struct hv_host_ops fk_store_ops = {
	.size = sizeof(fk_store_ops), .name = "fake store", .close = store_close, .begin = store_begin, .end = store_end,
	.read = store_read, .write = store_write, .mkdir = store_mkdir, .rm = store_rm, .list = store_list,
	.set_perms = store_set_perms, .watch = store_watch, .unwatch = store_unwatch, .watch_fd = store_watch_fd,
	.next_event = store_next_event,
};
