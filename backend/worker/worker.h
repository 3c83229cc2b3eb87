/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker: one per guest, serves that guest's rings, with no rights beyond the descriptors it is given.
 *   guest-xen.c  the guest: mappings, copies, events
 *   serve.c      the way of a request: take, check, copy, begin, answer
 *   format.c     the queue formats behind it
 *   hold.c       a switch: hold, the table of what is in flight, go on
 *   device.c     one device: add, drain, remove
 *   ctl.c        what hvdrvd asks
 *   depriv.c     giving up rights
 *   main.c
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "util/list.h"
#include "host-io/io.h"
#include "ring/blkif.h"
#include "ring/nvme.h"
#include "util/log.h"
#include "wire.h"
#include "worker/guest.h"

#define WK_REQS 32			/* requests being served at once, of all the guest's devices; 8 MiB of buffers */
#define WK_BUF (256u * 1024)		/* buffer of one: 252 KiB and the offset in its first page */

struct wk_queue;
struct wk_req;
STAILQ_HEAD(wk_req_list, wk_req);

/* What has to be copied from the guest before an entry is whole. */
struct wk_fetch {
	uint32_t ref;
	uint16_t len;			/* 0: nothing */
};

struct wk_format {
	const char *name;
	void (*take_up)(struct wk_queue *q);			/* a queue that is new, or in use with nothing in flight */
	void (*renew)(struct wk_queue *q, unsigned int begun);	/* after a switch: empty, but for so many to be answered */
	int (*take)(struct wk_queue *q, uint8_t *entry);	/* 1: copied; 0: none; -1: the queue is broken */
	enum hv_reject (*parse)(struct wk_queue *q, const uint8_t *entry, struct hv_blk_req *r, struct wk_fetch *f);
	enum hv_reject (*fetched)(struct wk_queue *q, const uint8_t *bytes, struct hv_blk_req *r);
	bool (*arm)(struct wk_queue *q);			/* true: one is there already */
	void (*answer)(struct wk_queue *q, const struct hv_blk_req *r, enum hvdrv_status st);
	bool (*push)(struct wk_queue *q);			/* true: send an event */
};
#define WK_ENTRY_MAX HV_BLKIF_ENTRY_MAX

struct wk_queue {
	struct wk_dev *dev;
	const struct wk_format *format;
	struct hv_blkring ring;		/* of format blkif */
	struct hv_nvmeq nvme;		/* of format nvme */
	struct hvdrv_state *state;	/* the guest's state page */
	struct hv_inflight_table table;	/* the last request of each tag: the truth when the driver is replaced */
	uint8_t *map;			/* the queue pages: the ring, then pages of segments */
	uint32_t pages, ring_pages;
	uint32_t ref[HVDRV_MAX_QUEUE_PAGES];
	int port;			/* ours; -1: not bound */
	bool pending;			/* look at the ring */
	unsigned int inflight;
};

struct wk_dev {
	struct worker *wk;
	uint32_t id;
	char name[HVDRV_NAME_MAX + 1];
	int fd;				/* the target */
	struct hv_blkif_limits lim;
	const struct hv_blkif_layout *layout;
	uint32_t num_queues;
	struct wk_queue queue[HVDRV_MAX_QUEUES];
	bool stopping;			/* take no more; removed when nothing is in flight */
	bool held;			/* take no more and answer nothing: the driver is being replaced */
	struct wk_req_list parked;	/* ended while held */
	bool failed;			/* the guest broke its ring: serve it no more */
	bool read_answered;
	void (*drained)(struct wk_dev *d);	/* called once when stopping and nothing is in flight */
	uint32_t drained_seq;			/* of the message that waits for it */
	struct wire_stats stats;
	struct hv_rate rate;
	TAILQ_ENTRY(wk_dev) link;
};

struct wk_req {
	struct io_op op;		/* first: the engine gives it back */
	struct hv_blk_req r;
	struct wk_queue *q;
	uint8_t *buf;			/* WK_BUF bytes, page aligned */
	uint64_t taken;			/* ticks of the CPU's counter */
	int error;			/* 0 or -errno */
	bool busy;			/* not on the list of free ones */
	bool orphan;			/* the guest does not wait for it any more: no answer */
	SLIST_ENTRY(wk_req) free;
	STAILQ_ENTRY(wk_req) list;
};

struct worker {
	struct hv_about about;
	struct guest guest;
	struct io_engine *io;
	struct io_watch events, ctl, listener;
	bool quit;			/* told to end, or failed */
	uint32_t quit_seq;
	TAILQ_HEAD(, wk_dev) devs;
	struct wk_req *reqs;
	uint8_t *buf;			/* all requests' buffers */
	size_t buf_size;
	double ns_per_tick;
	uint32_t ports[64];		/* events as read */
	SLIST_HEAD(, wk_req) free_reqs;
	struct wk_req_list done;	/* host I/O ended, not answered yet */
	struct guest_copy copy[WK_REQS * HVDRV_MAX_SEGS];
};

/* serve.c */
int wk_serve_init(struct worker *wk);
void wk_on_events(struct io_watch *w);
bool wk_serve(struct worker *wk);	/* all that can be done now; true: something was */

/* format.c */
const struct wk_format *wk_format(uint32_t format);	/* NULL: no such */

/* hold.c */
void wk_note_taken(struct wk_req *rq);
void wk_note_answered(struct wk_queue *q, const struct hv_blk_req *r, enum hvdrv_status st);
void wk_hold(struct wk_dev *d, struct hv_inflight_table *tables);
void wk_go(struct wk_dev *d, const struct wire_go *go);	/* go->format is known */

/* device.c */
int wk_dev_add(struct worker *wk, uint32_t id, const struct wire_add *a, int fd, struct hv_err *e);
struct wk_dev *wk_dev_find(struct worker *wk, uint32_t id);
void wk_dev_drain(struct wk_dev *d, uint32_t seq, void (*drained)(struct wk_dev *d));
void wk_dev_remove(struct wk_dev *d);
void wk_dev_fail(struct wk_dev *d, enum hv_reject why);
unsigned int wk_dev_inflight(const struct wk_dev *d);
void wk_dev_check_drained(struct wk_dev *d);

/* ctl.c */
void wk_on_ctl(struct io_watch *w);
void wk_on_connect(struct io_watch *w);
void wk_tell(struct worker *wk, const struct wire_msg *m);

/* depriv.c: another uid, no groups, no capabilities; then a list of system calls. 0 or -errno with e. */
int wk_depriv_uid(uint32_t uid, struct hv_err *e);
int wk_depriv_calls(struct hv_err *e);

#endif
