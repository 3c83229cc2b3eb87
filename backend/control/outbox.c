// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "outbox.h"
#include "util/list.h"
#include "util/sock.h"

struct late {
	int fds[HV_SOCK_FDS], n;
	TAILQ_ENTRY(late) link;
	size_t len;
	char data[];
};

struct outbox {
	int fd;
	struct event *writable;		/* added while something is late */
	TAILQ_HEAD(, late) late;
};

static void drop(struct outbox *o, struct late *k)
{
	TAILQ_REMOVE(&o->late, k, link);
	for (int i = 0; i < k->n; i++)
		close(k->fds[i]);
	free(k);
}

/* An error is the caller's to see, at the reading end: the process has gone, and what is late with it. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct outbox *o = arg;
	struct late *k;

	while ((k = TAILQ_FIRST(&o->late))) {
		if (hv_sock_send(o->fd, k->data, k->len, k->fds, k->n) == -EAGAIN)
			return;
		drop(o, k);
	}
	event_del(o->writable);
}

static int keep(struct outbox *o, const void *data, size_t len, const int *fds, int n)
{
	struct late *k = malloc(sizeof(*k) + len);
	int rc;

	if (!k)
		return -ENOMEM;
	memcpy(k->data, data, len);
	k->len = len;
	TAILQ_INSERT_TAIL(&o->late, k, link);
	for (k->n = 0; k->n < n; k->n++) {
		k->fds[k->n] = fcntl(fds[k->n], F_DUPFD_CLOEXEC, 0);
		if (k->fds[k->n] < 0) {
			rc = -errno;
			drop(o, k);
			return rc;
		}
	}
	event_add(o->writable, NULL);
	return 0;
}

int outbox_send(struct outbox *o, const void *data, size_t len, const int *fds, int n)
{
	/* not past what is late */
	int rc = TAILQ_EMPTY(&o->late) ? hv_sock_send(o->fd, data, len, fds, n) : -EAGAIN;

	return rc == -EAGAIN ? keep(o, data, len, fds, n) : rc;
}

struct outbox *outbox_new(struct event_base *base, int fd)
{
	struct outbox *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->fd = fd;
	TAILQ_INIT(&o->late);
	o->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, o);
	if (o->writable)
		return o;
	free(o);
	return NULL;
}

void outbox_free(struct outbox *o)
{
	struct late *k;

	if (!o)
		return;
	while ((k = TAILQ_FIRST(&o->late)))
		drop(o, k);
	event_free(o->writable);
	free(o);
}
