// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hardware queue in our pages: what the host asks for before it makes one, and takes back when it is gone (key `window`).
 *
 * Only pages of the pool and queue pages may be named to the controller: the host keeps exactly these from being freed while the
 * controller may write to them, also when this guest dies. So from the moment that the window is asked for each request goes
 * through the pool or waits, and the host is told when none is in flight that does not. Completions are looked for by a timer:
 * an interrupt of the controller cannot be had.
 */
#include "stub.h"
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <xen/page.h>
#include <xen/xen.h>

#define DRAIN_MS 4000			/* for requests that are granted page by page */
#define POLL_LEAST_NS 20000u
#define POLL_MOST_NS 1000000u

/* ---- the timer ---- */

void hv_poll_later(struct hv_queue *q, bool found)
{
	q->poll_ns = found ? max(q->poll_ns / 2, POLL_LEAST_NS) : min(q->poll_ns + q->poll_ns / 2, POLL_MOST_NS);
	q->polling = true;
	hrtimer_start(&q->poll, ns_to_ktime(q->poll_ns), HRTIMER_MODE_REL_HARD);
}

/*
 * Nobody else sees these requests, so how long one takes is measured here: of one at a time, and of a tag each sixteenth, which
 * costs the others nothing. While `timed` is a handle the timer alone changes it, else who posts does, under the lock.
 */
static void begin_timing(struct hv_queue *q, u16 handle)
{
	q->timed_ns = ktime_get_mono_fast_ns();
	smp_store_release(&q->timed, handle);	/* behind the time: the timer reads both without the lock */
}

static void end_timing(struct hv_queue *q)
{
	struct hvdrv_times *t = &((struct hvdrv_state *)q->mem.va)->times;
	u16 handle = smp_load_acquire(&q->timed);
	u64 ns;

	if (handle == HV_NO_HANDLE || READ_ONCE(q->live[HVDRV_HANDLE_TAG(handle)]) == handle)
		return;
	ns = ktime_get_mono_fast_ns() - q->timed_ns;
	t->sum_ns += ns;
	t->took[min_t(u32, ilog2(ns | 1), HVDRV_TIMES - 1)]++;
	smp_store_release(&q->timed, HV_NO_HANDLE);
}

void hv_poll_posted(struct hv_queue *q, u16 handle)
{
	if (!HVDRV_HANDLE_GEN(handle) && READ_ONCE(q->timed) == HV_NO_HANDLE)
		begin_timing(q, handle);
	if (!q->polling)
		hv_poll_later(q, true);
}

static enum hrtimer_restart on_poll(struct hrtimer *t)
{
	struct hv_queue *q = container_of(t, struct hv_queue, poll);

	hv_queue_look(q, true);
	end_timing(q);
	return HRTIMER_NORESTART;	/* started again under the lock, if it has to be */
}

void hv_poll_init(struct hv_queue *q)
{
	hrtimer_init(&q->poll, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	q->poll.function = on_poll;
	q->timed = HV_NO_HANDLE;
	q->poll_ns = POLL_LEAST_NS;
}

/* ---- the window ---- */

int hv_frames_alloc(struct hv_queue *q, unsigned int first)
{
	unsigned int i, n = q->ctx->queue_pages;
	u64 *frame = kcalloc(n, sizeof(*frame), GFP_KERNEL);

	if (!frame)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		frame[i] = xen_page_to_gfn(q->mem.page[first + i]);
	q->ctx->frames = frame;
	return 0;
}

static void set_doorbells(struct hv_dev *hv, void __iomem *doorbells)
{
	unsigned int i;

	for (i = 0; i < hv->nq; i++) {
		raw_spin_lock_irq(&hv->queue[i].lock);
		hv->queue[i].ctx->doorbells = (__force u8 *)doorbells;
		hv->queue[i].timed = HV_NO_HANDLE;	/* it may end through another driver, which has no timer */
		raw_spin_unlock_irq(&hv->queue[i].lock);
	}
	hv->doorbells = doorbells;
}

/* Until none is in flight whose pages are its own. */
static bool wait_for_pool_only(struct hv_dev *hv)
{
	unsigned int i;

	for (i = 0; atomic_read(&hv->granted); i++) {
		if (i == DRAIN_MS)
			return false;
		usleep_range(1000, 2000);
	}
	return true;
}

static const char *open_window(struct hv_dev *hv, u64 at)
{
	void __iomem *doorbells;

	if (!xen_pv_domain())
		return "only a PV guest knows the machine addresses of its memory";
	if (pfn_valid(PFN_DOWN(at)))
		return "the controller's registers have the same address as memory of the guest";
	WRITE_ONCE(hv->window, true);
	smp_mb();			/* before the count: who grants counts first, and looks then */
	if (!wait_for_pool_only(hv))
		return "requests that are not in the pool do not end";
	doorbells = ioremap(at, PAGE_SIZE);
	if (!doorbells)
		return "the controller's registers cannot be mapped";
	set_doorbells(hv, doorbells);
	return NULL;
}

void hv_window_close(struct hv_dev *hv)
{
	void __iomem *was = hv->doorbells;

	WRITE_ONCE(hv->window, false);
	if (!was)
		return;
	set_doorbells(hv, NULL);
	iounmap(was);
}

void hv_window_follow(struct hv_dev *hv)
{
	const char *why;
	u64 at;

	if (xenbus_scanf(XBT_NIL, hv->xb->otherend, "window", "0x%llx", &at) != 1) {
		if (READ_ONCE(hv->window)) {
			hv_window_close(hv);
			xenbus_rm(XBT_NIL, hv->xb->nodename, "window");
		}
		return;
	}
	why = hv->doorbells ? NULL : open_window(hv, at);	/* open already: it may be asked again */
	if (why)
		WRITE_ONCE(hv->window, false);
	xenbus_printf(XBT_NIL, hv->xb->nodename, "window", "%s", why ?: "1");
}
