/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hvdrvd's own parts. One thread, one event loop.
 *   main.c      options, start, stop
 *   scan.c      xenstore's events: which domains and devices there are
 *   device.c    one device: from its nodes to a served queue, and back
 *   connect.c   the guest has offered a slot: read, place, publish
 *   retarget.c  a switch: another driver at the same place
 *   watch.c     hvdrv-watch beside us, for when we die in a switch
 *   recover.c   switches that a former hvdrvd died in
 *   link.c      a worker process and the messages to it
 *   conflict.c  may this target be served, beside what else uses it?
 *   generate.c  hvdrv-repo in a process of its own
 *   requests.c  the control socket: what `hvdrv show` asks
 */
#ifndef CONTROL_DAEMON_H
#define CONTROL_DAEMON_H

#include <event2/event.h>
#include "core/image.h"
#include "core/keys.h"
#include "core/place.h"
#include "host/host.h"
#include "target/target.h"
#include "util/list.h"
#include "util/log.h"
#include "wire.h"

#define DEPTH 64u			/* requests in flight per queue: as many as the ring of blkif.conf holds */

struct daemon;
struct dev;
struct dom;
struct retarget;

/* ---- link.c ---- */

struct link;
typedef void (*link_reply_fn)(void *arg, const struct wire_msg *m);	/* NULL: the worker has gone */

struct link_events {
	void (*event)(struct dom *dom, const struct wire_msg *m);
	void (*gone)(struct dom *dom);	/* the process has ended; the link is freed after it */
};

/* Starts the worker of a domain. A worker that a former hvdrvd left is told to finish first. NULL: e. */
struct link *link_start(struct daemon *d, struct dom *dom, const struct link_events *ev, struct hv_err *e);

/* Sends m; fn gets the answer. fd (or -1) goes along. 0 or -errno. */
int link_send(struct link *l, struct wire_msg *m, int fd, link_reply_fn fn, void *arg);

/* Forget a caller that is about to go: its answers are dropped. */
void link_forget(struct link *l, void *arg);

void link_quit(struct link *l);		/* finish what is begun and end; `gone` tells when */
bool link_quitting(const struct link *l);

/* At start: the workers that a former hvdrvd left finish and end, all at once: they hold the targets open. */
void link_sweep(struct daemon *d);

/* ---- devices and domains ---- */

enum dev_phase {
	DEV_NEW,		/* nodes seen */
	DEV_WAITING,		/* target open, limits published: the guest's turn */
	DEV_GENERATING,		/* no image yet: hvdrv-repo makes one */
	DEV_QUEUED,		/* driver placed; a worker that is ending must be gone before the next one starts */
	DEV_STARTING,		/* the worker maps the rings */
	DEV_LIVE,
	DEV_CLOSING,		/* detach asked for: the guest's turn */
	DEV_DRAINING,		/* the worker finishes what is begun */
	DEV_LEAVING,		/* all is released: the guest frees its memory */
	DEV_FAILED,		/* says why in `error`; waits for detach */
};

struct dev {
	struct dom *dom;
	struct hv_dev_id id;
	struct hv_dev_paths at;
	struct hv_params params;
	enum dev_phase phase;
	struct target target;
	struct hv_offer offer;
	struct hv_slot slot;
	struct hv_image_header image;	/* of the driver that is placed */
	char image_id[65];
	char mode[16];			/* of the driver that is placed */
	struct retarget *retarget;	/* a switch under way, or NULL */
	bool wanted;			/* `want` was written: to be looked at */
	bool resumed;			/* found connected: its rings are taken up where they are */
	bool detach, force;		/* asked for */
	bool guest_closed;		/* the guest's stub itself said Closed: nobody is in the slot */
	bool generated;			/* an image was made for it: not again */
	struct event *timer;		/* limit of CLOSING by force, of LEAVING */
	struct hv_rate rate;
	int64_t since_ns;
	TAILQ_ENTRY(dev) link;
};

struct dom {
	struct daemon *d;
	uint32_t domid;
	char uuid[HV_UUID_LEN + 1];
	char *name;
	bool dying;
	bool recorded;			/* its recorded devices were attached */
	struct link *worker;
	TAILQ_HEAD(, dev) devs;
	TAILQ_ENTRY(dom) link;
};

struct options {
	const char *repo, *keys, *state, *run, *libexec, *generator;
	uint32_t worker_uid;		/* uid of domain n's worker is this plus n */
	bool no_generate;
};

struct daemon {
	struct event_base *base;
	struct hv_host *host;
	struct options opt;
	struct event *store_event;
	TAILQ_HEAD(, dom) doms;
	struct requests *requests;
	struct generator *generator;
	struct watcher *watcher;
	bool stopping;
};

/* scan.c */
int scan_start(struct daemon *d, struct hv_err *e);
void scan_all(struct daemon *d);
void scan_stop(struct daemon *d);
struct dom *dom_find(struct daemon *d, uint32_t domid);
struct dev *dev_find(struct dom *dom, uint32_t id);
void dom_check_empty(struct dom *dom);		/* no device left: the worker may go */
extern const struct link_events dom_link_events;

/* device.c */
struct dev *dev_new(struct dom *dom, uint32_t id);
void dev_reconcile(struct dev *v);		/* does what the keys ask for; may free v */
void dev_release(struct dev *v);		/* the domain is going: all at once, nodes too; frees v */
void dev_drop(struct dev *v);			/* hvdrvd stops: memory only; the nodes and the guest stay as they are */
void dev_fail(struct dev *v, const struct hv_err *e);
void dev_status(struct dev *v, const char *word);
void dev_set_state(struct dev *v, enum hv_xenbus_state s);
enum hv_xenbus_state dev_guest_state(struct dev *v);
struct hv_about dev_about(const struct dev *v);
void dev_first_read(struct dev *v);
void dev_end(struct dev *v, const struct hv_err *e);	/* an error ends a device that was served */
void dev_worker_gone(struct dev *v);

/* connect.c */
int dev_publish_limits(struct dev *v, struct hv_err *e);
void dev_connect(struct dev *v);
void dev_add_to_worker(struct dev *v);
/* The image for this guest in this mode; id gets its name. -EINPROGRESS: it is being generated, ask again; -errno with e. */
int dev_find_image(struct dev *v, const char *mode, struct hv_image *img, char id[65], struct hv_err *e);
int dev_publish_driver(struct dev *v);		/* its keys, in one transaction */

/*
 * retarget.c: begins a switch to mode. 0: under way, its end is in the record (and dev_reconcile() is called); -EBUSY,
 * -EAGAIN, -ENOMEM with e: nothing was done. deadline_ns 0: the default.
 */
int retarget_start(struct dev *v, const char *mode, const char *who, int64_t deadline_ns, struct hv_err *e);
void retarget_abort(struct dev *v, const char *why);	/* the device, the guest or the worker is going */

/* watch.c: waits for the one of a former hvdrvd, then starts ours. 0 or -errno with e. */
int watch_start(struct daemon *d, struct hv_err *e);
void watch_stop(struct daemon *d);
void switch_dir(const struct daemon *d, char *path, size_t size);	/* where the journals are */

/* recover.c: what a worker that a former hvdrvd left has to know; then the keys, and no journal any more. */
void recover_tell_worker(struct daemon *d, uint32_t domid, int fd);
void recover_finish(struct daemon *d);

/* conflict.c: 0, or -EBUSY with who has it. */
int check_conflicts(struct dev *v, struct hv_err *e);

/* generate.c: an image for this guest; devices in DEV_GENERATING are reconciled when it has ended. 0 or -errno. */
int generate_start(struct daemon *d, const struct hv_os *os, const char *class, const char *mode, struct hv_err *e);
enum generate_state { GENERATE_NONE, GENERATE_RUNS, GENERATE_DONE, GENERATE_FAILED };
/* How the last one for this guest ended (failed: e says why); forgotten after it was asked. RUNS: one runs, for whomever. */
enum generate_state generate_state(struct daemon *d, const struct hv_os *os, struct hv_err *e);
void generate_stop(struct daemon *d);

/* requests.c */
int requests_start(struct daemon *d, struct hv_err *e);
void requests_stop(struct daemon *d);

#endif
