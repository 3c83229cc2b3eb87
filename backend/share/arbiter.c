// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "share/arbiter.h"
#include "util/log.h"
#include "util/sock.h"

#define TICK_MS 500

void arbiter_init(struct arbiter *a, uint32_t depth, int ctl)
{
	memset(a, 0, sizeof(*a));
	sched_init(&a->sched, depth);
	a->ctl = ctl;
	for (uint32_t i = 0; i < TURNS_DEVICES; i++)
		a->peer[i].fd = -1;
}

/* ---- peers ---- */

static void gone(struct arbiter *a, uint32_t i)
{
	close(a->peer[i].fd);
	a->peer[i] = (struct peer){ .fd = -1 };
	sched_remove(&a->sched, i);
}

/* Its worker is not ours any more, or has lost its mind: hvdrvd ends the device. */
static void drop(struct arbiter *a, uint32_t i, const char *why)
{
	struct turns_ctl ev = { TURNS_VERSION, TURNS_EV_DROPPED, .id = a->peer[i].id };

	hv_log(HV_ERROR, NULL, "hvdrv-share: a worker %s: its device gets no more turns", why);
	gone(a, i);
	hv_sock_send(a->ctl, &ev, sizeof(ev), NULL, 0);
}

static const char *cannot_be(const struct peer *p, const struct sched_flow *w, const struct turns_ask *m)
{
	if (m->version != TURNS_VERSION)
		return "speaks another version";
	if (m->held > (!p->greeted && p->again ? TURNS_HELD : 0))
		return "says that it holds turns that nobody gave";
	if (m->back > w->turns)
		return "gives back turns that it has not";
	if (m->wait > TURNS_WAITING - w->waiting)
		return "asks for too many turns";
	if (p->greeted && !m->wait && !m->back)
		return "says nothing";
	return NULL;
}

static void hear(struct arbiter *a, uint32_t i, const struct turns_ask *m)
{
	struct peer *p = &a->peer[i];
	const char *why = cannot_be(p, &a->sched.flow[i], m);

	if (why) {
		drop(a, i, why);
		return;
	}
	if (!p->greeted)
		sched_held(&a->sched, i, m->held);
	p->greeted = true;
	if (m->back)
		p->moved_ns = hv_now_ns();
	sched_back(&a->sched, i, m->back);
	sched_wait(&a->sched, i, m->wait);
}

/* One message: who sends many is not heard before the others. */
static void on_peer(struct arbiter *a, uint32_t i)
{
	int fds[HV_SOCK_FDS] = { -1, -1, -1, -1 };
	struct turns_ask m;
	ssize_t n = hv_sock_recv(a->peer[i].fd, &m, sizeof(m), fds);

	for (int k = 0; n > 0 && k < HV_SOCK_FDS; k++)
		if (fds[k] >= 0)
			close(fds[k]);
	if (n == sizeof(m))
		hear(a, i, &m);
	else if (n > 0 || n == -EMSGSIZE)
		drop(a, i, "sends what is no message");
	else if (n != -EAGAIN)
		gone(a, i);
}

/* ---- hvdrvd ---- */

static void add(struct arbiter *a, const struct turns_ctl *m, int fd)
{
	int i = fd < 0 ? -1 : sched_add(&a->sched, m->weight);

	if (i >= 0)
		a->peer[i] = (struct peer){ .fd = fd, .id = m->id, .again = m->again, .moved_ns = hv_now_ns() };
	else if (fd >= 0)
		close(fd);		/* hvdrvd counts them, and does not send one too many */
}

static void weigh(struct arbiter *a, const struct turns_ctl *m)
{
	for (uint32_t i = 0; i < TURNS_DEVICES; i++)
		if (a->peer[i].fd >= 0 && a->peer[i].id == m->id)
			sched_weight(&a->sched, i, m->weight);
}

static void on_ctl(struct arbiter *a)
{
	int fds[HV_SOCK_FDS];
	struct turns_ctl m;
	ssize_t n;

	while ((n = hv_sock_recv(a->ctl, &m, sizeof(m), fds)) > 0) {
		bool ours = n == sizeof(m) && m.version == TURNS_VERSION && m.weight && m.weight <= SCHED_WEIGHT_MAX;

		if (ours && m.type == TURNS_ADD) {
			add(a, &m, fds[0]);
			fds[0] = -1;
		} else if (ours && m.type == TURNS_WEIGHT) {
			weigh(a, &m);
		}
		for (int k = 0; k < HV_SOCK_FDS; k++)
			if (fds[k] >= 0)
				close(fds[k]);
	}
	a->alone = n != -EAGAIN;
}

/* ---- turns ---- */

/* After another hvdrv-share: what it gave is known when all have said it, or some will never. */
static bool complete(const struct arbiter *a, int64_t now)
{
	for (uint32_t i = 0; i < TURNS_DEVICES; i++) {
		const struct peer *p = &a->peer[i];

		if (p->fd >= 0 && p->again && !p->greeted && now - p->moved_ns < ARBITER_MUTE_NS)
			return false;
	}
	return true;
}

static bool somebody_waits(const struct arbiter *a)
{
	for (uint32_t i = 0; i < TURNS_DEVICES; i++)
		if (a->sched.flow[i].waiting)
			return true;
	return false;
}

static void find_late(struct arbiter *a, int64_t now)
{
	if (a->sched.busy < a->sched.depth || !somebody_waits(a))
		return;
	for (uint32_t i = 0; i < TURNS_DEVICES; i++) {
		const struct sched_flow *w = &a->sched.flow[i];

		if (!w->turns || w->late || now - a->peer[i].moved_ns < ARBITER_LATE_NS)
			continue;
		sched_late(&a->sched, i);
		hv_log(HV_WARN, NULL, "hvdrv-share: a request has not ended for %d s: the other guests go on",
		       (int)(ARBITER_LATE_NS / 1000000000));
	}
}

static void give(struct arbiter *a)
{
	int64_t now = hv_now_ns();
	int i;

	if (!complete(a, now))
		return;
	find_late(a, now);
	while ((i = sched_next(&a->sched)) >= 0) {
		if (a->sched.flow[i].turns == 1)
			a->peer[i].moved_ns = now;
		a->peer[i].give++;
	}
	for (uint32_t k = 0; k < TURNS_DEVICES; k++) {
		struct turns_give m = { TURNS_VERSION, a->peer[k].give };

		if (!m.turns)
			continue;
		a->peer[k].give = 0;
		if (hv_sock_send(a->peer[k].fd, &m, sizeof(m), NULL, 0))
			drop(a, k, "does not read what it is given");
	}
}

/* ---- the loop ---- */

bool arbiter_done(const struct arbiter *a)
{
	if (!a->alone)
		return false;
	for (uint32_t i = 0; i < TURNS_DEVICES; i++)
		if (a->peer[i].fd >= 0)
			return false;
	return true;
}

int arbiter_timeout(const struct arbiter *a)
{
	return somebody_waits(a) ? TICK_MS : -1;
}

int arbiter_step(struct arbiter *a, int timeout_ms)
{
	struct pollfd p[TURNS_DEVICES + 1];
	uint32_t who[TURNS_DEVICES], n = 0;

	for (uint32_t i = 0; i < TURNS_DEVICES; i++) {
		if (a->peer[i].fd < 0)
			continue;
		p[n] = (struct pollfd){ .fd = a->peer[i].fd, .events = POLLIN };
		who[n++] = i;
	}
	p[n] = (struct pollfd){ .fd = a->alone ? -1 : a->ctl, .events = POLLIN };
	if (poll(p, n + 1, timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	for (uint32_t k = 0; k < n; k++)
		if (p[k].revents)
			on_peer(a, who[k]);
	if (p[n].revents)
		on_ctl(a);
	give(a);
	return 0;
}
