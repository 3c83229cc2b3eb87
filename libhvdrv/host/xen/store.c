// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host/xen/store.h"

static struct xs_handle *xs(struct hv_host *h)
{
	return ((struct hv_xs *)h)->xs;
}

static int ok_or_errno(bool ok)
{
	return ok ? 0 : errno ? -errno : -EIO;
}

static int store_begin(struct hv_host *h, hv_txn *t)
{
	*t = xs_transaction_start(xs(h));
	return ok_or_errno(*t != 0);
}

static int store_end(struct hv_host *h, hv_txn t, bool abort)
{
	return ok_or_errno(xs_transaction_end(xs(h), t, abort));
}

static char *store_read(struct hv_host *h, hv_txn t, const char *path)
{
	return xs_read(xs(h), t, path, NULL);
}

static int store_write(struct hv_host *h, hv_txn t, const char *path, const char *value)
{
	return ok_or_errno(xs_write(xs(h), t, path, value, strlen(value)));
}

static int store_mkdir(struct hv_host *h, hv_txn t, const char *path)
{
	return ok_or_errno(xs_mkdir(xs(h), t, path));
}

static int store_rm(struct hv_host *h, hv_txn t, const char *path)
{
	return xs_rm(xs(h), t, path) || errno == ENOENT ? 0 : -errno;
}

static char **store_list(struct hv_host *h, hv_txn t, const char *path, unsigned int *n)
{
	return xs_directory(xs(h), t, path, n);
}

static int store_set_perms(struct hv_host *h, hv_txn t, const char *path, const struct hv_perms *p)
{
	struct xs_permissions x[2] = {
		{ .id = p->owner, .perms = XS_PERM_NONE },
		{ .id = p->reader, .perms = XS_PERM_READ },
	};

	return ok_or_errno(xs_set_permissions(xs(h), t, path, x, p->reader >= 0 ? 2 : 1));
}

/* A connection of its own: on that of the requests each answer would be handed over by a thread, two changes of thread per request. */
static struct xs_handle *events(struct hv_host *h)
{
	struct hv_xs *x = (struct hv_xs *)h;

	if (!x->events)
		x->events = xs_open(0);
	return x->events;
}

static int store_watch(struct hv_host *h, const char *path)
{
	struct xs_handle *ev = events(h);

	return ok_or_errno(ev && xs_watch(ev, path, path));
}

static int store_unwatch(struct hv_host *h, const char *path)
{
	struct xs_handle *ev = events(h);

	return ok_or_errno(ev && xs_unwatch(ev, path, path));
}

static int store_watch_fd(struct hv_host *h)
{
	struct xs_handle *ev = events(h);

	return ev ? xs_fileno(ev) : -1;
}

static char *store_next_event(struct hv_host *h)
{
	struct xs_handle *ev = events(h);
	char **w = ev ? xs_check_watch(ev) : NULL, *path;

	if (!w)
		return NULL;
	path = strdup(w[XS_WATCH_PATH]);
	free(w);
	return path;
}

static void store_close(struct hv_host *h)
{
	hv_xs_close((struct hv_xs *)h);
	free(h);
}

const struct hv_host_ops hv_xs_ops = {
	.size = sizeof(hv_xs_ops), .name = "xenstore", .close = store_close,
	.begin = store_begin, .end = store_end, .read = store_read, .write = store_write, .mkdir = store_mkdir,
	.rm = store_rm, .list = store_list, .set_perms = store_set_perms, .watch = store_watch,
	.unwatch = store_unwatch, .watch_fd = store_watch_fd, .next_event = store_next_event,
};

int hv_xs_open(struct hv_xs *x, struct hv_err *e)
{
	if (access("/proc/xen/capabilities", F_OK) && access("/dev/xen/privcmd", F_OK))
		return hv_err(e, ENODEV, "this is not a Xen dom0: boot the Xen hypervisor and try again");
	if (geteuid())
		return hv_err(e, EPERM, "no privilege: run this as root in dom0");
	x->xs = xs_open(0);
	return x->xs ? 0 : hv_err(e, ENOTCONN, "xenstore does not answer: is xenstored running?");
}

void hv_xs_close(struct hv_xs *x)
{
	if (x->events)
		xs_close(x->events);
	if (x->xs)
		xs_close(x->xs);
}

struct hv_host *hv_host_store_open(struct hv_err *e)
{
	struct hv_xs *x = calloc(1, sizeof(*x));

	if (!x) {
		hv_err(e, ENOMEM, "no memory");
		return NULL;
	}
	x->host.ops = &hv_xs_ops;
	if (!hv_xs_open(x, e))
		return &x->host;
	free(x);
	return NULL;
}
