// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/fault.h"
#include "worker/worker.h"

static int queue_add(struct worker *wk, struct wk_dev *d, uint32_t i, const struct wire_add *a, struct hv_err *e)
{
	struct wk_queue *q = &d->queue[i];

	q->dev = d;
	q->pages = a->queue_pages;
	q->ring_pages = a->ring_pages;
	memcpy(q->ref, a->page_ref[i], a->queue_pages * sizeof(q->ref[0]));
	q->map = wk->guest.ops->map(wk->guest.arg, q->ref, q->pages);
	if (q->map)
		q->state = wk->guest.ops->map(wk->guest.arg, &a->state_ref[i], 1);
	if (!q->state)
		return hv_err(e, errno, "the ring of queue %u cannot be mapped: %s", i, strerror(errno));
	q->port = wk->guest.ops->bind(wk->guest.arg, a->port[i]);
	if (q->port < 0)
		return hv_err(e, -q->port, "event channel %u of the guest cannot be bound: %s", a->port[i], strerror(-q->port));
	q->format = wk_format(a->format);
	q->format->take_up(q);
	if (q->format->push(q) || a->kick)	/* whoever served it before may not have told of its last answers */
		wk->guest.ops->notify(wk->guest.arg, q->port);
	q->pending = true;		/* a ring in use may hold requests already */
	return 0;
}

/* Of a message: so many queues and pages as the format has, and as there is room for. */
static bool fits(const struct wire_add *a)
{
	const struct wk_format *f = wk_format(a->format);

	return f && a->num_queues && a->num_queues <= HVDRV_MAX_QUEUES && a->ring_pages && a->ring_pages <= WIRE_RING_PAGES &&
	       a->queue_pages >= f->pages && a->queue_pages >= a->ring_pages && a->queue_pages <= HVDRV_MAX_QUEUE_PAGES &&
	       a->pool_pages <= HVDRV_MAX_POOL;
}

int wk_dev_add(struct worker *wk, uint32_t id, const struct wire_add *a, const int fds[2], struct hv_err *e)
{
	struct wk_dev *d;
	int rc = 0;

	if (!fits(a))
		return hv_err(e, EINVAL, "%u queues of %u pages, %u of them the ring's, format %u, a pool of %u", a->num_queues,
			      a->queue_pages, a->ring_pages, a->format, a->pool_pages);
	if (a->first > INT64_MAX / HVDRV_SECTOR || a->lim.sectors > INT64_MAX / HVDRV_SECTOR - a->first)
		return hv_err(e, EINVAL, "%llu sectors behind %llu others are more than a target can have",
			      (unsigned long long)a->lim.sectors, (unsigned long long)a->first);
	if (wk_dev_find(wk, id))
		return hv_err(e, EEXIST, "device %u is served already", id);
	d = calloc(1, sizeof(*d));
	if (!d)
		return hv_err(e, ENOMEM, "no memory");
	d->wk = wk;
	d->id = id;
	memcpy(d->name, a->name, sizeof(d->name) - 1);
	d->fd = -1;
	d->lim = a->lim;
	d->first = a->first;
	d->layout = &hv_blkif_xen;
	d->virtq_layout = &hv_virtq_split;
	STAILQ_INIT(&d->parked);
	wk_way_init(d, a, -1);
	wk_turns_init(d, a->by_turns);
	wk->by_turns += d->turns.needed;
	for (uint32_t i = 0; i < HVDRV_MAX_QUEUES; i++)
		d->queue[i].port = -1;
	TAILQ_INSERT_TAIL(&wk->devs, d, link);
	for (d->num_queues = 0; !rc && d->num_queues < a->num_queues; d->num_queues++)
		rc = queue_add(wk, d, d->num_queues, a, e);
	if (rc) {
		wk_dev_remove(d);
		return rc;
	}
	wk_pool_open(d, a);
	hv_fault("worker-added");
	d->fd = fds[0];
	wk_way_init(d, a, fds[1]);
	wk_way_cross(d);
	d->counting = a->format;
	return 0;
}

struct wk_dev *wk_dev_find(struct worker *wk, uint32_t id)
{
	struct wk_dev *d;

	TAILQ_FOREACH(d, &wk->devs, link)
		if (d->id == id)
			return d;
	return NULL;
}

unsigned int wk_dev_inflight(const struct wk_dev *d)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < d->num_queues; i++)
		n += d->queue[i].inflight;
	return n;
}

void wk_dev_remove(struct wk_dev *d)
{
	const struct guest *g = &d->wk->guest;

	TAILQ_REMOVE(&d->wk->devs, d, link);	/* first: closing may hear what hvdrvd says */
	d->wk->by_turns -= d->turns.needed;
	wk_turns_close(d);
	for (uint32_t i = 0; i < HVDRV_MAX_QUEUES; i++) {
		struct wk_queue *q = &d->queue[i];

		if (q->port >= 0)
			g->ops->unbind(g->arg, q->port);
		if (q->map)
			g->ops->unmap(g->arg, q->map, q->pages);
		if (q->state)
			g->ops->unmap(g->arg, q->state, 1);
	}
	wk_pool_close(d);
	if (d->fd >= 0)
		close(d->fd);
	if (d->pass.fd >= 0)
		close(d->pass.fd);
	free(d);
}

void wk_dev_drain(struct wk_dev *d, uint32_t seq, void (*drained)(struct wk_dev *d))
{
	struct wire_go as_it_was = { 0 };

	d->stopping = true;
	if (d->held)
		wk_go(d, &as_it_was);		/* the switch was given up */
	d->drained = drained;
	d->drained_seq = seq;
}

void wk_dev_check_drained(struct wk_dev *d)
{
	void (*fn)(struct wk_dev *d) = d->drained;

	if (!fn || wk_dev_inflight(d) || wk_way_crossing(d))
		return;
	d->drained = NULL;
	fn(d);
}

void wk_dev_fail(struct wk_dev *d, enum hv_reject why)
{
	struct wire_msg m = { .type = WIRE_EV_FAILED, .dev = d->id };

	if (d->failed)
		return;
	d->failed = true;
	d->stats.rejects[why]++;
	m.error.reject = why;
	wk_tell(d->wk, &m);
}
