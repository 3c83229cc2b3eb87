// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two ways to a target that is a namespace: its block node, by O_DIRECT, while the guest's queues are a ring of blocks (mode virtual);
 * its generic character device, by commands that dom0's block layer never looks at, while they are NVMe queues (mode
 * paravirtual). O_DIRECT keeps dom0's page cache right, commands pass it by. So when the way changes:
 *
 *   requests of the new way begin at once; those of the old one go on
 *   the last of these has ended -> fdatasync of the block node, then what its page cache has of the range is dropped
 *   flushes that come meanwhile begin after that: one that is answered covers both ways
 *
 * The same before the first flush of a device that is taken on: whoever served it before may have gone in the midst of this.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "worker/worker.h"

void wk_way_init(struct wk_dev *d, const struct wire_add *a, int fd)
{
	const struct wire_pass *p = &a->pass;

	STAILQ_INIT(&d->cross.flushes);
	d->pass.fd = -1;
	if (fd < 0 || !d->wk->io->passes || !p->nsid || (p->block != 512 && p->block != 4096) || p->max_bytes < 2 * HVDRV_PAGE ||
	    p->max_discard % p->block || p->max_zeroes % p->block || p->max_bytes % p->block ||
	    p->at > INT64_MAX - (a->first + a->lim.sectors) * HVDRV_SECTOR)
		return;
	d->pass = (struct io_pass){
		.fd = fd, .nsid = p->nsid, .block = p->block, .base = p->at, .first = p->at + a->first * HVDRV_SECTOR,
		.max_bytes = p->max_bytes, .max_discard = p->max_discard, .max_zeroes = p->max_zeroes,
	};
	wk_way_resize(d);
	d->commands = a->format == WIRE_NVME;
}

void wk_way_resize(struct wk_dev *d)
{
	d->pass.end = d->pass.first + d->lim.sectors * HVDRV_SECTOR;
}

static void on_dropped(struct io_op *op, int res);

static void cross_by(struct wk_dev *d, enum io_kind kind, void (*done)(struct io_op *op, int res))
{
	d->cross.op = (struct io_op){
		.kind = kind, .fd = d->fd, .off = d->first * HVDRV_SECTOR, .len = d->lim.sectors * HVDRV_SECTOR, .done = done
	};
	/* whole pages of the cache */
	d->cross.op.len += d->cross.op.off % HVDRV_PAGE;
	d->cross.op.off -= d->cross.op.off % HVDRV_PAGE;
	d->cross.op.len += -d->cross.op.len % HVDRV_PAGE;
	d->wk->io->ops->queue(d->wk->io, &d->cross.op);
}

static struct wk_dev *dev_of(struct io_op *op)
{
	return (struct wk_dev *)((char *)op - offsetof(struct wk_dev, cross.op));
}

static void on_synced(struct io_op *op, int res)
{
	struct wk_dev *d = dev_of(op);

	d->cross.error = res;
	cross_by(d, IO_DROP, on_dropped);
}

static void on_dropped(struct io_op *op, int res)
{
	struct wk_dev *d = dev_of(op);
	struct hv_about a = d->wk->about;

	a.device = d->name;
	d->cross.runs = false;
	if (!d->cross.error)
		d->cross.error = res;
	if (d->cross.error)
		hv_log(HV_ERROR, &a, "dom0's cache of the target could not be written and dropped: %s", strerror(-d->cross.error));
}

void wk_way_cross(struct wk_dev *d)
{
	d->cross.due = d->pass.fd >= 0;
}

void wk_way_turn(struct wk_dev *d, uint32_t format)
{
	bool commands = d->pass.fd >= 0 && format == WIRE_NVME;

	if (commands == d->commands)
		return;
	d->commands = commands;
	wk_way_cross(d);
}

bool wk_way_crossing(const struct wk_dev *d)
{
	return d->cross.due || d->cross.runs;
}

static bool let_flushes_go(struct wk_dev *d, void (*begin)(struct worker *wk, struct wk_req *rq))
{
	struct wk_req *rq;
	bool any = false;

	while ((rq = STAILQ_FIRST(&d->cross.flushes))) {
		STAILQ_REMOVE_HEAD(&d->cross.flushes, list);
		if (d->cross.error) {
			rq->op.done(&rq->op, d->cross.error);
		} else {
			begin(d->wk, rq);
		}
		any = true;
	}
	d->cross.error = 0;
	return any;
}

bool wk_way_serve(struct wk_dev *d, void (*begin)(struct worker *wk, struct wk_req *rq))
{
	if (d->cross.due && !d->cross.runs && !d->begun[!d->commands]) {
		d->cross.due = false;
		d->cross.runs = true;
		cross_by(d, IO_FLUSH, on_synced);
		return true;
	}
	return !wk_way_crossing(d) && let_flushes_go(d, begin);
}

bool wk_way_begin(struct wk_req *rq)
{
	struct wk_dev *d = rq->q->dev;

	if (rq->op.kind == IO_FLUSH && wk_way_crossing(d)) {
		STAILQ_INSERT_TAIL(&d->cross.flushes, rq, list);
		return false;
	}
	if (d->commands)
		rq->op.pass = &d->pass;
	rq->begun = true;
	d->begun[d->commands]++;
	return true;
}

void wk_way_ended(struct wk_req *rq)
{
	if (rq->begun)
		rq->q->dev->begun[rq->op.pass != NULL]--;
	rq->begun = false;
}
