/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest extension ("stub"): what stays when the host replaces a driver.
 *   slots.c   code slots in this module's own text
 *   share.c   memory that is granted to the host, and the descriptor that lists it
 *   queue.c   records, the gate, events
 *   pool.c    pages that data is carried in without a grant per request
 *   window.c  a hardware queue in our pages: its doorbells, its completions
 *   disk.c    the blk-mq disk
 *   limits.c  its limits, as this kernel takes them
 *   device.c  one xenbus device: offer, go live, close
 *   main.c    module, suspend veto, counters
 */
#ifndef HVDRV_STUB_H
#define HVDRV_STUB_H

#define pr_fmt(fmt) "hvdrv: " fmt

#include <linux/blk-mq.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <xen/grant_table.h>
#include <xen/xenbus.h>
#include <hvdrv/abi.h>

/* The class's limits: the host's facts, read once at attach, the same in every mode. */
struct hv_limits {
	u32 block_size, max_segments, max_bytes, depth, queue_pages, max_queues;
	u32 flush, fua, discard_granularity, write_zeroes, read_only;
	u32 pool_pages;			/* of all queues together */
};

#define HV_NO_HANDLE 0xffffu	/* in hv_queue.live: the tag is not in flight */

/* Pages granted to the host, contiguous in va; each with its reference. */
struct hv_share {
	unsigned int n;
	struct page **page;
	grant_ref_t *ref;
	void *va;
};

/* Pages that data is carried in; free[0..nfree) are those that no request has. Under hv_queue.lock. */
struct hv_pool {
	struct hv_share mem;		/* not mapped as one: each page has its own address */
	unsigned int nfree;
	u16 *free;
};

struct hv_queue {
	struct hv_dev *dev;
	unsigned int index;
	raw_spinlock_t lock;		/* around every entry of the slot, and live[] */
	struct hv_share mem;		/* state page, records, queue pages */
	struct hv_pool pool;
	struct hvdrv_ctx *ctx;
	evtchn_port_t port;
	int irq;
	bool notify;			/* the driver asked for an event that is not sent yet */
	bool was_busy;			/* a request was turned away: run the queue after the next event */
	bool dead;			/* no entry may be called any more */
	u16 *live;			/* handle in flight per tag, HV_NO_HANDLE if none */
	u8 *gen;			/* generation of the next handle per tag */
	struct hvdrv_done *done[2];	/* what was taken out of ctx->done: by the event, by the timer, each its own */
	struct hrtimer poll;		/* of a driver that gets no events */
	u32 poll_ns;
	bool polling;			/* the timer runs, or its handler will look */
	u16 timed;			/* handle of the request that is being timed, HV_NO_HANDLE: none */
	u64 timed_ns;			/* when it was posted */
	struct blk_mq_hw_ctx *hctx;
};

enum hv_phase {
	HV_IDLE,	/* nothing offered */
	HV_OFFERED,	/* memory granted, waiting for the host to place a driver */
	HV_LIVE,	/* the disk is there */
	HV_CLOSED,	/* the disk is gone, waiting for the host to let go of the memory */
};

struct hv_dev {
	struct xenbus_device *xb;
	char name[HVDRV_NAME_MAX + 1];
	unsigned int id;
	struct mutex lock;		/* phase and all that hangs on it */
	struct work_struct work;
	enum hv_phase phase;
	bool refused;			/* offering failed: said once, not tried again */
	bool closing;			/* under disk->open_mutex: no new opener */
	int slot;
	struct hv_limits lim;
	u32 abi;			/* version of the contract that both speak */
	bool use_pool;			/* the host's word, at any time: key path */
	bool window;			/* the pool and nothing else: a controller reads and writes the pages */
	void __iomem *doorbells;	/* of that controller */
	atomic_t granted;		/* requests in flight whose pages are their own */
	u64 sectors;
	unsigned int nq;
	struct hv_queue *queue;
	struct hv_share desc;
	hvdrv_entry_fn entry[HVDRV_ENTRIES];
	u32 __percpu *seen;		/* generation of the code that this CPU saw last */
	struct blk_mq_tag_set tags;
	struct gendisk *disk;
};

/* What is held now: equal before an attach and after its detach (debugfs hvdrv/counters). */
struct hv_counters {
	atomic_t devices, disks, slots, pages, grants, ports, requests, pool;
	atomic64_t completed, stale, busy, pooled;
};
extern struct hv_counters hv_count;

/* For tests: microseconds that the next CPU to come by spends there, once (parameter `linger`, an array). */
enum hv_window {
	HV_WIN_READY,				/* a record is READY, and not posted */
	HV_WIN_INSIDE,				/* `inside` is set, `hold` not looked at */
	HV_WIN_ADOPT,				/* asked to adopt */
	HV_WINDOWS
};
extern unsigned int hv_linger_us[HV_WINDOWS];

static inline void hv_linger(enum hv_window w)
{
	u64 until;

	if (likely(!READ_ONCE(hv_linger_us[w])))
		return;
	until = ktime_get_mono_fast_ns() + (u64)xchg(&hv_linger_us[w], 0) * 1000;
	while (ktime_get_mono_fast_ns() < until)
		cpu_relax();
}

/* slots.c */
int hv_slots_init(void);
int hv_slot_get(void);				/* index, or -ENOSPC */
void hv_slot_put(int index);
void hv_slot_lose(int index);			/* the host keeps it mapped: never used again */
void *hv_slot_va(int index);

/* share.c */
int hv_share_alloc(struct hv_share *s, unsigned int n, domid_t domid);
void hv_share_most(struct hv_share *s, unsigned int n, domid_t domid);	/* as many as can be had without pressing; va stays NULL */
void hv_share_free(struct hv_share *s);		/* pages that the host still maps are freed when it lets go */
int hv_desc_write(struct hv_dev *hv);
int hv_desc_grant_slot(struct hv_dev *hv);
void hv_desc_end_slot(struct hv_dev *hv);

/* queue.c */
int hv_queues_alloc(struct hv_dev *hv);
void hv_queues_free(struct hv_dev *hv);
void hv_queues_start(struct hv_dev *hv);	/* the attach entry on each */
void hv_queues_stop(struct hv_dev *hv);		/* the detach entry on each; no events after it */
void hv_queues_kill(struct hv_dev *hv);		/* never call the slot again */
blk_status_t hv_queue_submit(struct hv_queue *q, unsigned int tag, bool last);
void hv_queue_flush_notify(struct hv_queue *q);
bool hv_queue_look(struct hv_queue *q, bool timer);	/* complete what has ended; true: something had */
struct hvdrv_record *hv_record(struct hv_queue *q, unsigned int tag);
bool hv_queue_forget(struct hv_queue *q, unsigned int tag);	/* true: was in flight */

/* pool.c */
void hv_pool_alloc(struct hv_queue *q);		/* as large as can be had */
void hv_pool_free(struct hv_queue *q);
bool hv_pool_take(struct hv_queue *q, unsigned int n, u16 *index);	/* all n, or none */
void hv_pool_put(struct hv_queue *q, unsigned int n, const u16 *index);

/* window.c */
void hv_poll_init(struct hv_queue *q);
void hv_poll_posted(struct hv_queue *q, u16 handle);	/* under q->lock: a request, of a driver that gets no events */
void hv_poll_later(struct hv_queue *q, bool found);	/* under q->lock; found: the last look was worth it */
int hv_frames_alloc(struct hv_queue *q, unsigned int first);	/* ctx->frames: from this page of q->mem on */
void hv_window_follow(struct hv_dev *hv);	/* the host's word, and ours back */
void hv_window_close(struct hv_dev *hv);

/* disk.c */
struct gendisk *hv_disk_alloc(struct hv_dev *hv);	/* limits.c: an ERR_PTR when it cannot be had */
int hv_disk_add(struct hv_dev *hv);
void hv_disk_del(struct hv_dev *hv);
void hv_disk_kill(struct hv_dev *hv);		/* fail what is in flight and what comes */
void hv_disk_done(struct hv_queue *q, unsigned int tag, u8 status);
void hv_disk_resize(struct hv_dev *hv);

/* device.c */
int hv_xenbus_init(void);
void hv_xenbus_exit(void);

#endif
