// SPDX-License-Identifier: GPL-2.0-only
/*
 * What hvdrvd asks, over one connection at a time. When hvdrvd goes away the worker goes on serving, and takes
 * the next connection on its listening socket.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "util/fault.h"
#include "util/sock.h"
#include "worker/worker.h"

#define WORKER_OF(w, member) ((struct worker *)((char *)(w) - offsetof(struct worker, member)))

void wk_tell(struct worker *wk, const struct wire_msg *m)
{
	struct wire_msg out = *m;

	out.version = WIRE_VERSION;
	/* who does not read that many answers would wait for this one for ever: it is left, and finds out */
	if (wk->ctl.fd >= 0 && wire_send(wk->ctl.fd, &out, NULL, 0) == -EAGAIN)
		shutdown(wk->ctl.fd, SHUT_RDWR);
}

static void reply(struct worker *wk, struct wire_msg *m, int rc, const struct hv_err *e)
{
	struct wire_msg out = { .type = rc ? WIRE_ERROR : WIRE_OK, .seq = m->seq, .dev = m->dev };

	if (rc) {
		out.error.code = -rc;
		memcpy(out.error.text, e->text, sizeof(out.error.text) - 1);
	}
	wk_tell(wk, &out);
}

static void on_hello(struct worker *wk, struct wire_msg *m)
{
	struct wire_msg out = { .type = WIRE_HELLO, .seq = m->seq };
	struct wk_dev *d;

	TAILQ_FOREACH(d, &wk->devs, link)
		if (out.hello.n < HVDRV_SLOTS)
			out.hello.dev[out.hello.n++] = d->id;
	wk_tell(wk, &out);
}

static int sync_target(struct wk_dev *d, struct hv_err *e)
{
	if (d->lim.read_only || !fdatasync(d->fd))
		return 0;
	return hv_err(e, errno, "the target's cache could not be written: %s", strerror(errno));
}

static void del_drained(struct wk_dev *d)
{
	struct worker *wk = d->wk;
	struct wire_msg m = { .seq = d->drained_seq, .dev = d->id };
	struct hv_err e = { 0 };
	int rc = sync_target(d, &e);

	wk_dev_remove(d);
	reply(wk, &m, rc, &e);
}

static void quit_drained(struct wk_dev *d)
{
	struct worker *wk = d->wk;
	struct hv_about a = wk->about;
	struct hv_err e;

	a.device = d->name;
	if (sync_target(d, &e))
		hv_log(HV_ERROR, &a, "%s", e.text);
	wk_dev_remove(d);
	if (TAILQ_EMPTY(&wk->devs))
		wk->quit = true;
}

static void on_quit(struct worker *wk, struct wire_msg *m)
{
	struct wk_dev *d;

	wk->quit_seq = m->seq;
	if (TAILQ_EMPTY(&wk->devs))
		wk->quit = true;
	TAILQ_FOREACH(d, &wk->devs, link)
		wk_dev_drain(d, m->seq, quit_drained);
}

static void on_stats(struct wk_dev *d, struct wire_msg *m)
{
	struct wire_msg out = { .type = WIRE_STATS, .seq = m->seq, .dev = m->dev };

	wk_stats_report(d, &out.stats);
	wk_tell(d->wk, &out);
}

static void hold(struct wk_dev *d, uint32_t seq)
{
	struct wire_msg out = { .type = WIRE_HELD, .seq = seq, .dev = d->id };

	wk_hold(d, out.held.queue);
	wk_tell(d->wk, &out);
	hv_fault("worker-held");
}

static void hold_drained(struct wk_dev *d)
{
	d->stopping = false;
	hold(d, d->drained_seq);
}

static void on_hold(struct wk_dev *d, struct wire_msg *m)
{
	hv_fault("worker-holding");
	if (m->hold.drain)
		wk_dev_drain(d, m->seq, hold_drained);
	else
		hold(d, m->seq);
}

/* The switch was given up before all had ended. */
static void stop_draining(struct wk_dev *d)
{
	if (d->drained != hold_drained)
		return;
	d->drained = NULL;
	d->stopping = false;
	d->held = true;
}

static void on_go(struct wk_dev *d, struct wire_msg *m)
{
	const struct wk_format *f = wk_format(m->go.format);
	struct hv_err e = { 0 };
	int rc = 0;

	if (!m->go.renewed)
		stop_draining(d);
	if (!d->held || (m->go.renewed && (!f || d->queue[0].pages < f->pages)))
		rc = hv_err(&e, EINVAL, "device %u is not held, or its queues cannot be of format %u", m->dev, m->go.format);
	else
		wk_go(d, &m->go);
	hv_fault("worker-going");
	reply(d->wk, m, rc, &e);
}

static void on_device(struct worker *wk, struct wire_msg *m)
{
	struct wk_dev *d = wk_dev_find(wk, m->dev);
	struct hv_err e = { 0 };

	if (!d) {
		reply(wk, m, hv_err(&e, ENOENT, "no device %u", m->dev), &e);
		return;
	}
	switch (m->type) {
	case WIRE_DEL:
		wk_dev_drain(d, m->seq, del_drained);
		break;
	case WIRE_RESIZE:
		d->lim.sectors = m->resize.sectors;
		wk_way_resize(d);
		reply(wk, m, 0, NULL);
		break;
	case WIRE_HOLD:
		on_hold(d, m);
		break;
	case WIRE_GO:
		on_go(d, m);
		break;
	default:
		on_stats(d, m);
		break;
	}
}

static void on_add(struct worker *wk, struct wire_msg *m, int fds[HV_SOCK_FDS])
{
	struct hv_err e = { 0 };
	int rc = wk_dev_add(wk, m->dev, &m->add, fds, &e);
	struct wire_msg out = { .type = WIRE_OK, .seq = m->seq, .dev = m->dev };
	struct wk_dev *d;

	if (rc) {
		reply(wk, m, rc, &e);
		return;
	}
	d = wk_dev_find(wk, m->dev);
	fds[0] = -1;		/* the device's now */
	if (d->pass.fd >= 0)
		fds[1] = -1;
	out.added.pool_pages = d->pool.n;
	out.added.passes = d->pass.fd >= 0;
	wk_tell(wk, &out);
}

static void on_share(struct worker *wk, struct wire_msg *m, int fds[HV_SOCK_FDS])
{
	struct wk_dev *d = wk_dev_find(wk, m->dev);
	struct hv_err e = { 0 };
	int rc = 0;

	if (!d || !d->turns.needed)
		rc = hv_err(&e, ENOENT, "no device %u that needs turns", m->dev);
	else
		wk_turns_connect(d, fds[0]);
	if (!rc)
		fds[0] = -1;		/* the device's now */
	reply(wk, m, rc, &e);
}

static void on_message(struct worker *wk, struct wire_msg *m, int fds[HV_SOCK_FDS])
{
	struct hv_err e = { 0 };

	if (m->version != WIRE_VERSION && m->type != WIRE_QUIT) {
		reply(wk, m, hv_err(&e, EPROTO, "this worker speaks version %u", WIRE_VERSION), &e);
		return;
	}
	switch (m->type) {
	case WIRE_HELLO:
		on_hello(wk, m);
		break;
	case WIRE_ADD:
		on_add(wk, m, fds);
		break;
	case WIRE_SHARE:
		on_share(wk, m, fds);
		break;
	case WIRE_QUIT:
		on_quit(wk, m);
		break;
	case WIRE_DEL: case WIRE_RESIZE: case WIRE_STATS: case WIRE_HOLD: case WIRE_GO:
		on_device(wk, m);
		break;
	default:
		reply(wk, m, hv_err(&e, EINVAL, "unknown message %u", m->type), &e);
		break;
	}
}

static void hang_up(struct worker *wk)
{
	int fd = wk->ctl.fd;

	wk->io->ops->unwatch(wk->io, &wk->ctl);
	wk->ctl.fd = -1;
	close(fd);
}

/* One message. False when there is none, or no connection any more. */
static bool take_message(struct worker *wk)
{
	int fds[HV_SOCK_FDS] = { -1, -1, -1, -1 };
	struct wire_msg m;
	int rc = wire_recv(wk->ctl.fd, &m, fds);

	if (rc == -EAGAIN)
		return false;
	if (!rc) {
		on_message(wk, &m, fds);
	} else {
		hv_log(HV_INFO, &wk->about, "hvdrvd has gone; the worker goes on");
		hang_up(wk);
	}
	hv_sock_close(fds);
	return !rc;
}

/* All that have come: io_uring tells of messages that came together once. */
void wk_on_ctl(struct io_watch *w)
{
	while (take_message(WORKER_OF(w, ctl)))
		;
}

void wk_on_connect(struct io_watch *w)
{
	struct worker *wk = WORKER_OF(w, listener);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (wk->ctl.fd >= 0)
		hang_up(wk);		/* the newest hvdrvd counts */
	wk->ctl.fd = fd;
	wk->ctl.ready = wk_on_ctl;
	wk->io->ops->watch(wk->io, &wk->ctl);
}
