// SPDX-License-Identifier: GPL-2.0-only
/*
 * Questions to hvdrv-keeper, and deletions, which are asked for until they are done. Nothing here waits: a keeper that is stopped, or
 * stands in a command to its controller, holds up whoever has asked and nobody else. It takes one question after the other, in the order
 * of the connections: so what was asked first is done first, also when nobody waits for the answer any more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon.h"
#include "util/sock.h"

#define ANSWER_S 8			/* a keeper that answers nothing for so long is as good as none, */
#define LIST_S 1			/* or to a question that costs it nothing */
#define AGAIN_S 10			/* what could not be deleted is tried again */

struct keeper_call {
	struct daemon *d;
	char controller[16];
	int fd, rc;			/* rc: it could not even be asked */
	enum keep_type want;
	struct event *answer;
	keeper_fn fn;
	void *arg;
	LIST_ENTRY(keeper_call) link;
};

/* One that is to be deleted, by a device that may be gone since. */
struct keeper_del {
	struct daemon *d;
	char controller[16];
	struct keep_device dev;
	bool quiet;			/* maybe there are none */
	bool told;			/* that it has failed */
	struct event *again;
	keeper_deleted_fn fn;		/* of the first answer, whatever it is; NULL: nobody waits */
	void *arg;
	LIST_ENTRY(keeper_del) link;
};

/* ---- questions ---- */

static void call_free(struct keeper_call *c)
{
	LIST_REMOVE(c, link);
	event_free(c->answer);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static int check(const struct keeper_call *c, int rc, const struct keep_msg *a, struct hv_err *e)
{
	if (rc)
		return hv_err(e, ENOTCONN, "no hvdrv-keeper serves %s (%s): `systemctl enable --now hvdrv-keeper@%s`", c->controller,
			      strerror(-rc), c->controller);
	if (a->type == KEEP_ERROR)
		return hv_err(e, a->error.code, "hvdrv-keeper: %.*s", (int)sizeof(a->error.text), a->error.text);
	return a->type == c->want ? 0 : hv_err(e, EPROTO, "hvdrv-keeper of %s is of another version: restart it", c->controller);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	int fds[HV_SOCK_FDS] = { -1, -1, -1, -1 };
	struct keeper_call *c = arg;
	keeper_fn fn = c->fn;
	void *to = c->arg;
	struct hv_err e = { 0 };
	struct keep_msg a;
	ssize_t n;
	int rc = c->rc;

	if (!rc && !(what & EV_READ))
		rc = -ETIMEDOUT;
	if (!rc) {
		n = hv_sock_recv(c->fd, &a, sizeof(a), fds);
		rc = n == sizeof(a) ? 0 : n < 0 ? n : -EPROTO;
	}
	hv_sock_close(fds);
	rc = check(c, rc, &a, &e);
	call_free(c);
	fn(to, rc, &a, &e);
}

static int ask(struct keeper_call *c, struct keep_msg *q)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/keeper/%s", c->d->opt.run, c->controller);
	c->fd = hv_sock_connect(path, SOCK_SEQPACKET | SOCK_NONBLOCK);
	if (c->fd < 0)
		return c->fd;
	q->version = KEEP_VERSION;
	return hv_sock_send(c->fd, q, sizeof(*q), NULL, 0);
}

int keepers_ask(struct daemon *d, const char *controller, struct keep_msg *q, enum keep_type want, keeper_fn fn, void *arg)
{
	const struct timeval limit = { .tv_sec = q->type == KEEP_LIST ? LIST_S : ANSWER_S };
	struct keeper_call *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct keeper_call){ .d = d, .want = want, .fn = fn, .arg = arg };
	snprintf(c->controller, sizeof(c->controller), "%s", controller);
	c->rc = ask(c, q);
	c->answer = event_new(d->base, c->rc ? -1 : c->fd, c->rc ? 0 : EV_READ, on_answer, c);
	LIST_INSERT_HEAD(&d->keeper_calls, c, link);
	event_add(c->answer, &limit);
	if (c->rc)
		event_active(c->answer, EV_TIMEOUT, 0);
	return 0;
}

/* ---- deletions ---- */

static void del_free(struct keeper_del *p)
{
	LIST_REMOVE(p, link);
	if (p->again)
		event_free(p->again);
	free(p);
}

static void del_again(struct keeper_del *p)
{
	const struct timeval tv = { .tv_sec = AGAIN_S };

	if (p->again)
		event_add(p->again, &tv);
}

static void on_deleted(void *arg, int rc, const struct keep_msg *a, const struct hv_err *e)
{
	struct keeper_del *p = arg;
	struct hv_about about = { .domid = p->dev.domid };
	keeper_deleted_fn fn = p->fn;
	void *to = p->arg;

	p->fn = NULL;
	if (rc && !p->told && !p->quiet)
		hv_log(HV_ERROR, &about, "the hardware queues of device %u are not deleted yet: %s", p->dev.id, e->text);
	else if (!rc && p->told)
		hv_log(HV_INFO, &about, "the hardware queues of device %u are deleted now", p->dev.id);
	p->told |= rc && !p->quiet;
	policy_poke(p->d);		/* others may wait for it */
	if (rc)
		del_again(p);
	else
		del_free(p);
	if (fn)
		fn(to);
}

static void del_ask(struct keeper_del *p)
{
	struct keep_msg m = { .type = KEEP_DEL, .dev = p->dev };

	if (keepers_ask(p->d, p->controller, &m, KEEP_DONE, on_deleted, p))
		del_again(p);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	del_ask(arg);
}

static struct keeper_del *find(struct daemon *d, const char *controller, struct keep_device dev)
{
	struct keeper_del *p;

	LIST_FOREACH(p, &d->keeper_dels, link)
		if (p->dev.domid == dev.domid && p->dev.id == dev.id && !strcmp(p->controller, controller))
			return p;
	return NULL;
}

static int delete(struct daemon *d, const char *controller, struct keep_device dev, bool quiet, keeper_deleted_fn fn, void *arg)
{
	struct keeper_del *p;

	keepers_delete_not(d, controller, dev);		/* it is asked for at once */
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;		/* hvdrvd's next start finds those of a guest that has gone */
	*p = (struct keeper_del){ .d = d, .dev = dev, .quiet = quiet, .fn = fn, .arg = arg };
	snprintf(p->controller, sizeof(p->controller), "%s", controller);
	p->again = event_new(d->base, -1, 0, on_again, p);
	LIST_INSERT_HEAD(&d->keeper_dels, p, link);
	del_ask(p);
	return 0;
}

int keepers_delete(struct daemon *d, const char *controller, struct keep_device dev, keeper_deleted_fn fn, void *arg)
{
	return delete(d, controller, dev, false, fn, arg);
}

void keepers_delete_any(struct daemon *d, const char *controller, struct keep_device dev)
{
	delete(d, controller, dev, true, NULL, NULL);
}

bool keepers_owe(struct daemon *d, const char *controller, uint32_t domid)
{
	const struct keeper_del *p;

	LIST_FOREACH(p, &d->keeper_dels, link)
		if (p->dev.domid != domid && !p->quiet && !strcmp(p->controller, controller))
			return true;
	return false;
}

void keepers_delete_not(struct daemon *d, const char *controller, struct keep_device dev)
{
	struct keeper_del *p = find(d, controller, dev);

	if (!p)
		return;
	keepers_forget(d, p);
	del_free(p);
}

/* ---- whoever has asked goes ---- */

void keepers_forget(struct daemon *d, const void *arg)
{
	struct keeper_call *c, *next;
	struct keeper_del *p;

	for (c = LIST_FIRST(&d->keeper_calls); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->arg == arg)
			call_free(c);
	}
	LIST_FOREACH(p, &d->keeper_dels, link)
		if (p->arg == arg)
			p->fn = NULL;
}

void keepers_stop(struct daemon *d)
{
	while (LIST_FIRST(&d->keeper_calls))
		call_free(LIST_FIRST(&d->keeper_calls));
	while (LIST_FIRST(&d->keeper_dels))
		del_free(LIST_FIRST(&d->keeper_dels));
}
