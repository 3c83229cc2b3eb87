// SPDX-License-Identifier: LGPL-2.1-only
/* The nodes, and xenstored's rules of who may touch them (docs/misc/xenstore.txt): dom0 everything, an owner its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/fake/priv.h"

#define PATH_MAX_ABS 3072		/* XENSTORE_ABS_PATH_MAX */

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static struct fk_node *add(struct fk_tree *t, const char *path, const char *value, const struct hv_perms *perms)
{
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->node = must(realloc(t->node, t->room * sizeof(*t->node)));
	}
	t->node[t->n] = (struct fk_node){ must(strdup(path)), must(strdup(value)), *perms };
	return &t->node[t->n++];
}

void fk_tree_init(struct fk_tree *t, const struct fake *quota)
{
	const struct hv_perms dom0 = { 0, -1 };

	memset(t, 0, sizeof(*t));
	t->quota = quota;
	add(t, "/", "", &dom0);
}

void fk_tree_copy(struct fk_tree *to, const struct fk_tree *from)
{
	memset(to, 0, sizeof(*to));
	to->quota = from->quota;
	for (unsigned int i = 0; i < from->n; i++)
		add(to, from->node[i].path, from->node[i].value, &from->node[i].perms);
}

static void drop(struct fk_tree *t, unsigned int i)
{
	free(t->node[i].path);
	free(t->node[i].value);
	memmove(&t->node[i], &t->node[i + 1], (--t->n - i) * sizeof(*t->node));
}

void fk_tree_free(struct fk_tree *t)
{
	while (t->n)
		drop(t, t->n - 1);
	free(t->node);
	memset(t, 0, sizeof(*t));
}

struct fk_node *fk_find(const struct fk_tree *t, const char *path)
{
	for (unsigned int i = 0; i < t->n; i++)
		if (!strcmp(t->node[i].path, path))
			return &t->node[i];
	return NULL;
}

bool fk_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return !strncmp(path, top, n) && (!path[n] || path[n] == '/' || n == 1);
}

/* The node, or the nearest one above it. */
static const struct fk_node *nearest(const struct fk_tree *t, const char *path)
{
	char up[PATH_MAX_ABS];
	const struct fk_node *n;

	snprintf(up, sizeof(up), "%s", path);
	while (!(n = fk_find(t, up)) && strrchr(up, '/') > up)
		*strrchr(up, '/') = 0;
	return n ? n : &t->node[0];
}

static bool may(const struct fk_node *n, uint32_t who, bool write)
{
	return !who || n->perms.owner == who || (!write && n->perms.reader == (int)who);
}

bool fk_may_read(const struct fk_tree *t, uint32_t who, const char *path)
{
	return may(nearest(t, path), who, false);
}

static bool path_ok(const char *p)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@";
	size_t n = strlen(p);

	if (p[0] != '/' || n >= PATH_MAX_ABS || (n > 1 && p[n - 1] == '/') || strstr(p, "//"))
		return false;
	return strspn(p, allowed) == n;
}

int fk_tree_read(const struct fk_tree *t, uint32_t who, const char *path, char **value)
{
	const struct fk_node *n = nearest(t, path);

	if (!path_ok(path))
		return -EINVAL;
	if (!may(n, who, false))
		return -EACCES;
	if (strcmp(n->path, path))
		return -ENOENT;
	*value = must(strdup(n->value));
	return 0;
}

static int room_for(const struct fk_tree *t, unsigned int nodes, const char *value)
{
	const struct fake *q = t->quota;

	if (q->quota_bytes && strlen(value) > q->quota_bytes)
		return -E2BIG;
	return q->quota_nodes && t->n + nodes > q->quota_nodes ? -ENOSPC : 0;
}

static unsigned int missing(const char *above, const char *path)
{
	unsigned int n = 0;

	for (path += strlen(above) > 1 ? strlen(above) : 0; *path; path++)
		n += *path == '/';
	return n;
}

/* With all that lies between. What dom0 makes takes over its parent's owner; what a guest makes is its own. */
static int make(struct fk_tree *t, uint32_t who, const char *path, const char *value)
{
	const struct fk_node *above = nearest(t, path);
	struct hv_perms perms = above->perms;
	size_t len = strlen(above->path) > 1 ? strlen(above->path) : 0;
	char up[PATH_MAX_ABS];
	int rc;

	if (!may(above, who, true))
		return -EACCES;
	rc = room_for(t, missing(above->path, path), value);
	if (rc)
		return rc;
	if (who)
		perms.owner = who;
	while (path[len]) {
		len += 1 + strcspn(path + len + 1, "/");
		snprintf(up, sizeof(up), "%.*s", (int)len, path);
		add(t, up, path[len] ? "" : value, &perms);
	}
	return 0;
}

int fk_tree_write(struct fk_tree *t, uint32_t who, const char *path, const char *value)
{
	struct fk_node *n = fk_find(t, path);
	int rc;

	if (!path_ok(path))
		return -EINVAL;
	if (!n)
		return make(t, who, path, value);
	if (!may(n, who, true))
		return -EACCES;
	rc = room_for(t, 0, value);
	if (rc)
		return rc;
	free(n->value);
	n->value = must(strdup(value));
	return 0;
}

int fk_tree_mkdir(struct fk_tree *t, uint32_t who, const char *path)
{
	const struct fk_node *n = fk_find(t, path);

	if (!path_ok(path))
		return -EINVAL;
	return !n ? make(t, who, path, "") : may(n, who, true) ? 0 : -EACCES;
}

int fk_tree_rm(struct fk_tree *t, uint32_t who, const char *path)
{
	if (!path_ok(path) || !strcmp(path, "/"))
		return -EINVAL;
	if (!may(nearest(t, path), who, true))
		return -EACCES;
	for (unsigned int i = t->n; i-- > 1;)
		if (fk_below(t->node[i].path, path))
			drop(t, i);
	return 0;
}

static const char *child_of(const char *path, const char *dir)
{
	size_t n = strlen(dir) > 1 ? strlen(dir) : 0;

	if (!fk_below(path, dir) || path[n] != '/' || !path[n + 1] || strchr(path + n + 1, '/'))
		return NULL;
	return path + n + 1;
}

int fk_tree_list(const struct fk_tree *t, uint32_t who, const char *path, char ***names, unsigned int *n)
{
	char *value, *text;
	size_t size = 0;
	const char *c;
	int rc = fk_tree_read(t, who, path, &value);

	if (rc)
		return rc;
	free(value);
	*n = 0;
	for (unsigned int i = 0; i < t->n; i++)
		if ((c = child_of(t->node[i].path, path)))
			size += sizeof(char *) + strlen(c) + 1, ++*n;
	*names = must(malloc(size + 1));
	text = (char *)(*names + *n);
	*n = 0;
	for (unsigned int i = 0; i < t->n; i++) {
		c = child_of(t->node[i].path, path);
		if (c)
			text = stpcpy((*names)[(*n)++] = text, c) + 1;
	}
	return 0;
}

int fk_tree_perms(struct fk_tree *t, uint32_t who, const char *path, const struct hv_perms *p)
{
	struct fk_node *n = fk_find(t, path);

	if (!n)
		return -ENOENT;
	if (who && n->perms.owner != who)
		return -EACCES;
	if (who && p->owner != who)
		return -EPERM;		/* only dom0 gives away */
	n->perms = *p;
	return 0;
}
