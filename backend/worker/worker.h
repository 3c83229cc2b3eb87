/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker: one per guest, serves that guest's rings, with no rights beyond the descriptors it is given.
 *   guest-xen.c  the guest: mappings, copies, events
 *   serve.c      the way of a request: take, check, copy, begin, answer
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
#include "util/log.h"
#include "wire.h"
#include "worker/guest.h"

#define WK_REQS 32			/* requests being served at once, of all the guest's devices; 8 MiB of buffers */
#define WK_BUF (256u * 1024)		/* buffer of one: 252 KiB and the offset in its first page */

struct wk_queue {
	struct wk_dev *dev;
	struct hv_blkring ring;
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
	SLIST_ENTRY(wk_req) free;
	STAILQ_ENTRY(wk_req) list;
};
STAILQ_HEAD(wk_req_list, wk_req);

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
