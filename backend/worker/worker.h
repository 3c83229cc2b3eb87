/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker: one per guest, serves that guest's rings, with no rights beyond the descriptors it is given.
 *   guest-xen.c  the guest: mappings, copies, events
 *   serve.c      the way of a request: take, check, copy, begin, answer
 *   pool.c       pages that are mapped for good
 *   format.c     the queue formats behind it
 *   way.c        by the target's block node, or by NVMe commands
 *   turns.c      a target that takes a few requests at once: begun when it is this guest's turn
 *   stats.c      counters per format
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
#include "ring/virtq.h"
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
	uint32_t pages;			/* that a queue has at least */
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
	struct hv_virtq virtq;		/* of format virtq */
	struct hvdrv_state *state;	/* the guest's state page */
	struct hv_inflight_table table;	/* the last request of each tag: the truth when the driver is replaced */
	uint8_t *map;			/* the queue pages: the ring, then pages of segments */
	uint32_t pages, ring_pages;
	uint32_t ref[HVDRV_MAX_QUEUE_PAGES];
	int port;			/* ours; -1: not bound */
	bool pending;			/* look at the ring */
	unsigned int inflight;
};

struct wk_pool_page {
	uint32_t ref;
	uint8_t *va;
};

struct wk_pool {
	uint32_t n;			/* 0: no pool */
	uint8_t *map;
	struct wk_pool_page *page;	/* by reference */
};

/* A device whose requests are begun by turns, which hvdrv-share gives. */
struct wk_turns {
	bool needed;
	bool free;			/* nobody gives turns now: begun as they come */
	struct io_watch conn;		/* fd -1: none */
	struct wk_req_list waiting;	/* taken and fetched, not begun */
	uint32_t waits;			/* on that list */
	uint32_t asked;			/* turns asked for, not given yet */
	uint32_t have;			/* given, not used yet */
	uint32_t begun;			/* requests at the target */
	uint32_t back;			/* turns to be given back */
};

/* From one way to the target to the other. */
struct wk_cross {
	bool due;			/* begins when nothing of the old way is at the target */
	bool runs;
	int error;			/* of it: the flushes that waited get it */
	struct io_op op;
	struct wk_req_list flushes;	/* that wait for its end */
};

struct wk_dev {
	struct worker *wk;
	uint32_t id;
	char name[HVDRV_NAME_MAX + 1];
	int fd;				/* the target */
	uint64_t first;			/* sectors of it before the device's first: added to what was checked, never seen by the guest */
	struct hv_blkif_limits lim;
	const struct hv_blkif_layout *layout;
	const struct hv_virtq_layout *virtq_layout;
	uint32_t num_queues;
	struct wk_queue queue[HVDRV_MAX_QUEUES];
	struct wk_pool pool;
	bool stopping;			/* take no more; removed when nothing is in flight */
	bool held;			/* take no more and answer nothing: the driver is being replaced */
	struct wk_req_list parked;	/* ended while held */
	struct wk_turns turns;
	struct io_pass pass;		/* the target's generic character device; fd -1: none, or not to be used */
	bool commands;			/* requests begin by it */
	unsigned int begun[2];		/* requests at the target: by its block node, by commands */
	struct wk_cross cross;
	bool failed;			/* the guest broke its ring: serve it no more */
	bool read_answered;
	void (*drained)(struct wk_dev *d);	/* called once when stopping and nothing is in flight */
	uint32_t drained_seq;			/* of the message that waits for it */
	struct wire_stats stats;		/* of the format that is served */
	struct wire_stats other[WIRE_FORMATS];	/* of those that were, and may be again */
	uint32_t counting;			/* that format */
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
	uint16_t grants;		/* of its segments those that Xen copies: what is not in the pool */
	bool busy;			/* not on the list of free ones */
	bool begun;			/* counted in the device's begun */
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
	unsigned int by_turns;		/* of them, those that need turns */
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
bool wk_serve(struct worker *wk);	/* one look at all that can be done now; true: something was */
bool wk_serve_some(struct worker *wk);	/* until nothing is; true: some looks were not enough, and who else speaks is to be heard */

/* pool.c */
void wk_pool_open(struct wk_dev *d, const struct wire_add *a);	/* no pool when it cannot be mapped */
void wk_pool_close(struct wk_dev *d);
bool wk_pool_copy(const struct wk_pool *p, const struct guest_copy *c);	/* false: c->ref is none of its pages */

/* format.c */
const struct wk_format *wk_format(uint32_t format);	/* NULL: no such */

/* stats.c */
void wk_stats_turn(struct wk_dev *d, uint32_t format);	/* from now on it is this one that is counted */
void wk_stats_report(const struct wk_dev *d, struct wire_counts *out);

/* hold.c */
void wk_note_taken(struct wk_req *rq);
void wk_note_answered(struct wk_queue *q, const struct hv_blk_req *r, enum hvdrv_status st);
void wk_hold(struct wk_dev *d, struct hv_inflight_table *tables);
void wk_go(struct wk_dev *d, const struct wire_go *go);	/* go->format is known */

/*
 * way.c. init: fd, the generic character device or -1, is the device's if pass.fd is not -1 after it. begin: false: it waits, and
 * wk_way_serve() begins it. cross: what was begun before may have gone either way.
 */
void wk_way_init(struct wk_dev *d, const struct wire_add *a, int fd);
void wk_way_resize(struct wk_dev *d);
void wk_way_turn(struct wk_dev *d, uint32_t format);
void wk_way_cross(struct wk_dev *d);
bool wk_way_crossing(const struct wk_dev *d);
bool wk_way_begin(struct wk_req *rq);
void wk_way_ended(struct wk_req *rq);
bool wk_way_serve(struct wk_dev *d, void (*begin)(struct worker *wk, struct wk_req *rq));	/* true: something was begun */

/* turns.c: nothing here is called for a device that needs none, but init and close */
void wk_turns_init(struct wk_dev *d, bool needed);
void wk_turns_connect(struct wk_dev *d, int fd);	/* takes fd; -1: nobody gives turns now */
void wk_turns_close(struct wk_dev *d);
bool wk_turns_full(const struct wk_dev *d);		/* as much waits as may: take no more */
void wk_turns_wait(struct wk_req *rq);			/* to be begun when it is its turn */
void wk_turns_ended(struct wk_dev *d);			/* one that was begun has ended */
/* Begins what has a turn, asks for more, gives back; true: something was begun. */
bool wk_turns_serve(struct wk_dev *d, void (*begin)(struct worker *wk, struct wk_req *rq));

/* device.c; fds: the target, and its generic character device or -1. They are the device's if it could be added. */
int wk_dev_add(struct worker *wk, uint32_t id, const struct wire_add *a, const int fds[2], struct hv_err *e);
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

/* depriv.c: a list of system calls. 0 or -errno with e. */
int wk_depriv_calls(struct hv_err *e);

#endif
