// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue: the records in flight, the gate around the slot, the event channel.
 *
 * The gate: every call into the slot is made here, interrupts off, under
 * q->lock, with `inside` set. So per queue at most one CPU is in the slot,
 * and it cannot be preempted or migrated there by this kernel. The host
 * reads `inside` only while the domain is paused.
 */
#include "stub.h"
#include <linux/slab.h>
#include <asm/sync_core.h>
#include <xen/events.h>
#include <xen/interface/io/ring.h>

static struct hvdrv_state *state_of(struct hv_queue *q)
{
	return q->mem.va;
}

struct hvdrv_record *hv_record(struct hv_queue *q, unsigned int tag)
{
	return &q->ctx->records[tag];
}

/* The code in the slot may have been replaced: this CPU must not run what it fetched before (Intel SDM 3A 8.1.3). */
static void see_generation(struct hv_dev *hv, const struct hvdrv_state *st)
{
	u32 now = READ_ONCE(st->generation);

	if (now != this_cpu_read(*hv->seen)) {
		sync_core();
		this_cpu_write(*hv->seen, now);
	}
}

/*
 * The caller leaves: as long as `inside` is set what the driver has reported is not yet taken from ctx->done, so records
 * say READY that have ended; the host replaces nothing before they say what is true.
 */
static void leave(struct hv_queue *q)
{
	WRITE_ONCE(state_of(q)->inside, 0);
}

static u32 __nocfi gate(struct hv_queue *q, enum hvdrv_entry e, u32 arg)
{
	struct hvdrv_state *st = state_of(q);
	struct hv_dev *hv = q->dev;
	u32 adopt, adopted, r = 0;

	lockdep_assert_held(&q->lock);
	if (q->dead)
		return HVDRV_R_BROKEN;
	WRITE_ONCE(st->inside, 1);
	hv_linger(HV_WIN_INSIDE);
	if (e == HVDRV_ENTRY_SUBMIT && READ_ONCE(st->hold)) {
		r = HVDRV_R_BUSY;
	} else {
		see_generation(hv, st);
		adopt = READ_ONCE(st->adopt);
		adopted = st->adopted;
		if (adopt != adopted) {
			hv_linger(HV_WIN_ADOPT);
			r = hv->entry[HVDRV_ENTRY_ADOPT](q->ctx, 0);
			WRITE_ONCE(st->adopted, adopt);
		}
		/* adopt posts all that is READY: the record that is being submitted is among them */
		if (adopt == adopted || e != HVDRV_ENTRY_SUBMIT)
			r |= hv->entry[e](q->ctx, arg);
	}
	return r;
}

static void send_event(struct hv_queue *q)
{
	q->notify = false;
	notify_remote_via_irq(q->irq);
}

blk_status_t hv_queue_submit(struct hv_queue *q, unsigned int tag, bool last)
{
	struct hvdrv_record *rec = hv_record(q, tag);
	u16 handle = HVDRV_HANDLE(tag, q->gen[tag]++);
	unsigned long flags;
	u32 r;

	raw_spin_lock_irqsave(&q->lock, flags);
	rec->handle = handle;
	/* READY only once the record is whole: the host reads it, under pause, after any instruction */
	smp_store_release(&rec->state, HVDRV_REC_READY);
	q->live[tag] = handle;
	hv_linger(HV_WIN_READY);
	r = gate(q, HVDRV_ENTRY_SUBMIT, handle);
	if (r & (HVDRV_R_BUSY | HVDRV_R_BROKEN)) {
		q->live[tag] = HV_NO_HANDLE;
		WRITE_ONCE(rec->state, HVDRV_REC_FREE);
		q->was_busy |= r & HVDRV_R_BUSY;
	}
	leave(q);
	q->notify |= r & HVDRV_R_NOTIFY;
	if (r & HVDRV_R_POLL)
		hv_poll_posted(q, handle);
	if (q->notify && last)
		send_event(q);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	if (r & HVDRV_R_BROKEN)
		return BLK_STS_IOERR;
	if (!(r & HVDRV_R_BUSY))
		return BLK_STS_OK;
	atomic64_inc(&hv_count.busy);
	return BLK_STS_RESOURCE;	/* blk-mq tries again by itself, the kick sooner */
}

void hv_queue_flush_notify(struct hv_queue *q)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	if (q->notify && !q->dead)
		send_event(q);
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

bool hv_queue_forget(struct hv_queue *q, unsigned int tag)
{
	unsigned long flags;
	bool was;

	raw_spin_lock_irqsave(&q->lock, flags);
	was = q->live[tag] != HV_NO_HANDLE;
	q->live[tag] = HV_NO_HANDLE;
	WRITE_ONCE(hv_record(q, tag)->state, HVDRV_REC_FREE);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return was;
}

/* Takes the driver's completions out of ctx->done; one whose handle is not in flight is dropped and counted. */
static unsigned int take_done(struct hv_queue *q, struct hvdrv_done *done)
{
	struct hvdrv_ctx *ctx = q->ctx;
	unsigned int i, n = 0;

	for (i = 0; i < ctx->ndone && i < ctx->depth; i++) {
		unsigned int tag = HVDRV_HANDLE_TAG(ctx->done[i].handle);

		if (tag >= ctx->depth || q->live[tag] != ctx->done[i].handle) {
			state_of(q)->stale++;
			atomic64_inc(&hv_count.stale);
			continue;
		}
		q->live[tag] = HV_NO_HANDLE;
		WRITE_ONCE(hv_record(q, tag)->state, HVDRV_REC_FREE);
		done[n++] = ctx->done[i];
	}
	ctx->ndone = 0;
	return n;
}

bool hv_queue_look(struct hv_queue *q, bool timer)
{
	struct hvdrv_done *done = q->done[timer];
	unsigned int i, n;
	unsigned long flags;
	bool rerun;
	u32 r;

	raw_spin_lock_irqsave(&q->lock, flags);
	if (timer)
		q->polling = false;
	r = gate(q, HVDRV_ENTRY_COMPLETE, 0);
	n = take_done(q, done);
	leave(q);
	rerun = q->was_busy && !READ_ONCE(state_of(q)->hold);
	if (rerun)
		q->was_busy = false;
	if ((r & HVDRV_R_NOTIFY) && !q->dead)
		send_event(q);
	if ((r & HVDRV_R_POLL) && !q->polling)
		hv_poll_later(q, n);
	if ((r & HVDRV_R_BROKEN) && !q->dead) {
		q->dead = true;
		pr_err_ratelimited("%s: queue %u is damaged: no more I/O\n", q->dev->name, q->index);
	}
	raw_spin_unlock_irqrestore(&q->lock, flags);
	for (i = 0; i < n; i++)
		hv_disk_done(q, HVDRV_HANDLE_TAG(done[i].handle), done[i].status);
	if (rerun && q->hctx)
		blk_mq_run_hw_queue(q->hctx, true);
	return n || rerun;
}

static irqreturn_t on_event(int irq, void *arg)
{
	bool any = hv_queue_look(arg, false);

	xen_irq_lateeoi(irq, any ? 0 : XEN_EOI_FLAG_SPURIOUS);
	return IRQ_HANDLED;
}

static int ctx_alloc(struct hv_queue *q)
{
	struct hv_dev *hv = q->dev;
	unsigned int rp = HVDRV_RECORD_PAGES(hv->lim.depth);
	struct hvdrv_ctx *c;

	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	c->size = sizeof(*c);
	c->depth = hv->lim.depth;
	c->queue_pages = hv->lim.queue_pages;
	c->state = q->mem.va;
	c->records = q->mem.va + PAGE_SIZE;
	c->pages = q->mem.va + (1 + rp) * PAGE_SIZE;
	c->grefs = q->mem.ref + 1 + rp;
	q->ctx = c;
	return hv_frames_alloc(q, 1 + rp);
}

static int tags_alloc(struct hv_queue *q, unsigned int depth)
{
	q->live = kmalloc_array(depth, sizeof(*q->live), GFP_KERNEL);
	q->gen = kzalloc(depth, GFP_KERNEL);
	q->done[0] = kmalloc_array(depth, sizeof(*q->done[0]), GFP_KERNEL);
	q->done[1] = kmalloc_array(depth, sizeof(*q->done[1]), GFP_KERNEL);
	if (!q->live || !q->gen || !q->done[0] || !q->done[1])
		return -ENOMEM;
	memset(q->live, 0xff, depth * sizeof(*q->live));
	return 0;
}

static int port_alloc(struct hv_queue *q)
{
	int rc = xenbus_alloc_evtchn(q->dev->xb, &q->port);

	if (rc)
		return rc;
	atomic_inc(&hv_count.ports);
	rc = bind_evtchn_to_irqhandler_lateeoi(q->port, on_event, 0, "hvdrv", q);
	if (rc < 0) {
		xenbus_free_evtchn(q->dev->xb, q->port);
		atomic_dec(&hv_count.ports);
		return rc;
	}
	q->irq = rc;
	return 0;
}

static int queue_alloc(struct hv_queue *q)
{
	struct hv_dev *hv = q->dev;
	unsigned int pages = 1 + HVDRV_RECORD_PAGES(hv->lim.depth) + hv->lim.queue_pages;
	int rc;

	rc = hv_share_alloc(&q->mem, pages, hv->xb->otherend_id);
	if (!rc)
		rc = ctx_alloc(q);
	if (!rc)
		rc = tags_alloc(q, hv->lim.depth);
	if (!rc)
		hv_pool_alloc(q);
	return rc ?: port_alloc(q);
}

static void queue_init(struct hv_dev *hv, unsigned int i)
{
	struct hv_queue *q = &hv->queue[i];

	q->dev = hv;
	q->index = i;
	q->irq = -1;
	q->dead = true;				/* until a driver is placed */
	raw_spin_lock_init(&q->lock);
	hv_poll_init(q);
}

int hv_queues_alloc(struct hv_dev *hv)
{
	unsigned int i;
	int rc = 0;

	hv->queue = kcalloc(hv->nq, sizeof(*hv->queue), GFP_KERNEL);
	if (!hv->queue)
		return -ENOMEM;
	for (i = 0; i < hv->nq; i++)		/* all, before one can fail: hv_queues_free() frees all */
		queue_init(hv, i);
	hv->seen = alloc_percpu(u32);
	if (!hv->seen)
		return -ENOMEM;
	for (i = 0; i < hv->nq && !rc; i++)
		rc = queue_alloc(&hv->queue[i]);
	return rc;
}

static void queue_free(struct hv_queue *q)
{
	if (q->irq >= 0) {
		unbind_from_irqhandler(q->irq, q);	/* closes the port, too */
		atomic_dec(&hv_count.ports);
	}
	hrtimer_cancel(&q->poll);	/* the queue is dead: it is not started again */
	if (q->ctx)
		kfree(q->ctx->frames);
	kfree(q->ctx);
	kfree(q->live);
	kfree(q->gen);
	kfree(q->done[0]);
	kfree(q->done[1]);
	hv_pool_free(q);
	hv_share_free(&q->mem);
}

void hv_queues_free(struct hv_dev *hv)
{
	unsigned int i;

	for (i = 0; hv->queue && i < hv->nq; i++)
		queue_free(&hv->queue[i]);
	kfree(hv->queue);
	hv->queue = NULL;
	free_percpu(hv->seen);
	hv->seen = NULL;
}

void hv_queues_start(struct hv_dev *hv)
{
	unsigned int i;

	for (i = 0; i < hv->nq; i++) {
		struct hv_queue *q = &hv->queue[i];

		raw_spin_lock_irq(&q->lock);
		q->dead = false;
		gate(q, HVDRV_ENTRY_ATTACH, 0);
		leave(q);
		raw_spin_unlock_irq(&q->lock);
	}
}

void hv_queues_stop(struct hv_dev *hv)
{
	unsigned int i;

	for (i = 0; i < hv->nq; i++) {
		struct hv_queue *q = &hv->queue[i];

		raw_spin_lock_irq(&q->lock);
		gate(q, HVDRV_ENTRY_DETACH, 0);
		leave(q);
		q->dead = true;
		raw_spin_unlock_irq(&q->lock);
	}
}

void hv_queues_kill(struct hv_dev *hv)
{
	unsigned int i;

	for (i = 0; i < hv->nq; i++) {
		raw_spin_lock_irq(&hv->queue[i].lock);
		hv->queue[i].dead = true;
		raw_spin_unlock_irq(&hv->queue[i].lock);
	}
}
