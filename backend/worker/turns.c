// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device whose target takes a few requests at once: what was taken from the guest's queues waits here until hvdrv-share
 * gives a turn (turns.h). Without a connection nothing is begun until hvdrvd sends another, unless there is no hvdrvd that
 * could, or the device ends: then fairness is given up, not the guest's requests.
 */
#include <errno.h>
#include <unistd.h>
#include "turns.h"
#include "util/sock.h"
#include "worker/worker.h"

void wk_turns_init(struct wk_dev *d, bool needed)
{
	d->turns = (struct wk_turns){ .needed = needed, .conn = { .fd = -1 } };
	STAILQ_INIT(&d->turns.waiting);
}

bool wk_turns_full(const struct wk_dev *d)
{
	return d->turns.needed && wk_dev_inflight(d) >= TURNS_WAITING + d->turns.begun;
}

void wk_turns_wait(struct wk_req *rq)
{
	struct wk_turns *t = &rq->q->dev->turns;

	STAILQ_INSERT_TAIL(&t->waiting, rq, list);
	t->waits++;
}

void wk_turns_ended(struct wk_dev *d)
{
	struct wk_turns *t = &d->turns;

	t->begun--;
	if (t->conn.fd >= 0)
		t->back++;
}

void wk_turns_close(struct wk_dev *d)
{
	struct wk_turns *t = &d->turns;
	int fd = t->conn.fd;

	if (fd < 0)
		return;
	t->conn.fd = -1;		/* first: unwatch may call others */
	d->wk->io->ops->unwatch(d->wk->io, &t->conn);
	close(fd);
	t->asked = t->have = t->back = 0;
}

static void tell(struct wk_dev *d, const struct turns_ask *m)
{
	struct wk_turns *t = &d->turns;

	if (hv_sock_send(t->conn.fd, m, sizeof(*m), NULL, 0)) {
		wk_turns_close(d);
		return;
	}
	t->asked += m->wait;
	t->back -= m->back;
}

/* All that has come: turns, or the end of the connection. */
static void on_turns(struct io_watch *w)
{
	struct wk_dev *d = (struct wk_dev *)((char *)w - offsetof(struct wk_dev, turns.conn));
	struct wk_turns *t = &d->turns;
	int fds[HV_SOCK_FDS] = { -1, -1, -1, -1 };
	struct turns_give m;
	ssize_t n = 0;

	while (t->conn.fd >= 0 && (n = hv_sock_recv(t->conn.fd, &m, sizeof(m), fds)) == sizeof(m)) {
		uint32_t more = m.version == TURNS_VERSION && m.turns < t->asked ? m.turns : t->asked;

		t->asked -= more;
		t->have += more;
		d->stats.turns += more;
	}
	if (n != -EAGAIN)
		wk_turns_close(d);
}

void wk_turns_connect(struct wk_dev *d, int fd)
{
	struct wk_turns *t = &d->turns;
	struct turns_ask m = { TURNS_VERSION, .held = t->begun, .wait = t->waits };

	wk_turns_close(d);
	t->free = fd < 0;
	if (fd < 0)
		return;
	t->conn = (struct io_watch){ .fd = fd, .ready = on_turns };
	if (d->wk->io->ops->watch(d->wk->io, &t->conn)) {
		t->conn.fd = -1;
		t->free = true;
		close(fd);
		return;
	}
	tell(d, &m);
}

/* Nobody hands out turns, and nobody will. */
static bool on_its_own(const struct wk_dev *d)
{
	const struct wk_turns *t = &d->turns;

	return t->conn.fd < 0 && (t->free || d->stopping || d->failed || d->wk->ctl.fd < 0);
}

static bool begin_some(struct wk_dev *d, void (*begin)(struct worker *wk, struct wk_req *rq))
{
	struct wk_turns *t = &d->turns;
	bool own = on_its_own(d), any = false;
	struct wk_req *rq;

	while ((own || t->have) && (rq = STAILQ_FIRST(&t->waiting))) {
		STAILQ_REMOVE_HEAD(&t->waiting, list);
		t->waits--;
		t->have -= !own;
		t->begun++;
		any = true;
		begin(d->wk, rq);
	}
	return any;
}

bool wk_turns_serve(struct wk_dev *d, void (*begin)(struct worker *wk, struct wk_req *rq))
{
	struct wk_turns *t = &d->turns;
	bool any = begin_some(d, begin);
	struct turns_ask m = { .version = TURNS_VERSION };

	if (t->conn.fd < 0)
		return any;
	/* what waits and was not asked for yet; turns that came with nothing waiting go back */
	m.wait = t->waits - t->asked;
	t->back += t->have;
	t->have = 0;
	m.back = t->back;
	if (m.wait || m.back)
		tell(d, &m);
	return any;
}
