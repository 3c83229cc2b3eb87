/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest extension ("stub"): what stays when the host replaces a driver.
 *   slots.c   code slots in this module's own text
 *   share.c   memory that is granted to the host, and the descriptor that lists it
 *   queue.c   records, the gate, events
 *   disk.c    the blk-mq disk
 *   device.c  one xenbus device: offer, go live, close
 *   main.c    module, suspend veto, counters
 */
#ifndef HVDRV_STUB_H
#define HVDRV_STUB_H

#define pr_fmt(fmt) "hvdrv: " fmt

#include <linux/blk-mq.h>
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
};

#define HV_NO_HANDLE 0xffffu	/* in hv_queue.live: the tag is not in flight */

/* Pages granted to the host, contiguous in va; each with its reference. */
struct hv_share {
	unsigned int n;
	struct page **page;
	grant_ref_t *ref;
	void *va;
};

struct hv_queue {
	struct hv_dev *dev;
	unsigned int index;
	raw_spinlock_t lock;		/* around every entry of the slot, and live[] */
	struct hv_share mem;		/* state page, records, queue pages */
	struct hvdrv_ctx *ctx;
	evtchn_port_t port;
	int irq;
	bool notify;			/* the driver asked for an event that is not sent yet */
	bool was_busy;			/* a request was turned away: run the queue after the next event */
	bool dead;			/* no entry may be called any more */
	u16 *live;			/* handle in flight per tag, HV_NO_HANDLE if none */
	u8 *gen;			/* generation of the next handle per tag */
	struct hvdrv_done *done;	/* what on_event took out of ctx->done: it alone uses it */
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
	atomic_t devices, disks, slots, pages, grants, ports, requests;
	atomic64_t completed, stale, busy;
};
extern struct hv_counters hv_count;

/* slots.c */
int hv_slots_init(void);
int hv_slot_get(void);				/* index, or -ENOSPC */
void hv_slot_put(int index);
void hv_slot_lose(int index);			/* the host keeps it mapped: never used again */
void *hv_slot_va(int index);

/* share.c */
int hv_share_alloc(struct hv_share *s, unsigned int n, domid_t domid);
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
struct hvdrv_record *hv_record(struct hv_queue *q, unsigned int tag);
bool hv_queue_forget(struct hv_queue *q, unsigned int tag);	/* true: was in flight */

/* disk.c */
int hv_disk_add(struct hv_dev *hv);
void hv_disk_del(struct hv_dev *hv);
void hv_disk_kill(struct hv_dev *hv);		/* fail what is in flight and what comes */
void hv_disk_done(struct hv_queue *q, unsigned int tag, u8 status);
void hv_disk_resize(struct hv_dev *hv);

/* device.c */
int hv_xenbus_init(void);
void hv_xenbus_exit(void);

#endif
