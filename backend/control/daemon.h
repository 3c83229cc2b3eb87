/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hvdrvd's own parts. One thread, one event loop.
 *   main.c      options, start, stop
 *   scan.c      xenstore's events: which domains and devices there are
 *   device.c    one device: from its nodes to a served queue, and back
 *   connect.c   the guest has offered a slot: read, place, publish
 *   serve.c     a worker for it, behind the one before
 *   retarget.c  a switch: another driver at the same place
 *   path.c      how the data moves
 *   direct.c    hardware queues in the guest's pages; direct-check.c: may a device have them?
 *   keepers.c   questions to hvdrv-keeper
 *   watch.c     hvdrv-watch beside us, for when we die in a switch
 *   recover.c   switches that a former hvdrvd died in
 *   link.c      a worker process and the messages to it; outbox.c: those that it has no room for yet
 *   policy.c    devices that are left to policy: alone, or beside others
 *   revoke.c    a guest that does not let go of its device: held
 *   note.c      a switch is told
 *   dryrun.c    could a device switch now?
 *   conflict.c  may this target be served, beside what else uses it?
 *   share.c     hvdrv-share beside us, for targets that take a few requests at once
 *   signer.c    who has signed what is placed
 *   generate.c  hvdrv-repo in a process of its own
 *   requests.c  the control socket
 *   show.c      what `hvdrv show` asks for
 *   counters.c  what is counted; guest-counts.c: by a guest that nobody else sees
 *   events.c    what `hvdrv events` listens to
 */
#ifndef CONTROL_DAEMON_H
#define CONTROL_DAEMON_H

#include <event2/event.h>
#include "core/image.h"
#include "core/keys.h"
#include "core/place.h"
#include "core/policy.h"
#include "counters.h"
#include "events.h"
#include "host/host.h"
#include "keep.h"
#include "target/target.h"
#include "util/list.h"
#include "util/log.h"
#include "wire.h"

#define DEPTH 64u			/* requests in flight per queue: as many as the ring of blkif.conf holds */

struct daemon;
struct dev;
struct dom;
struct retarget;
struct share;

/* ---- link.c ---- */

struct link;
typedef void (*link_reply_fn)(void *arg, const struct wire_msg *m);	/* NULL: the worker has gone */

struct link_events {
	void (*event)(struct dom *dom, const struct wire_msg *m);
	void (*gone)(struct dom *dom);	/* the process has ended; the link is freed after it */
};

/* Starts the worker of a domain. A worker that a former hvdrvd left is told to finish first. NULL: e. */
struct link *link_start(struct daemon *d, struct dom *dom, const struct link_events *ev, struct hv_err *e);

/* Sends m, at the latest when the worker reads again; fn gets the answer. fd (or -1) goes along. 0 or -errno. */
int link_send(struct link *l, struct wire_msg *m, int fd, link_reply_fn fn, void *arg);
int link_send_fds(struct link *l, struct wire_msg *m, const int *fds, int n, link_reply_fn fn, void *arg);

/* Forget a caller that is about to go: its answers are dropped. */
void link_forget(struct link *l, void *arg);

void link_quit(struct link *l);		/* finish what is begun and end; `gone` tells when */
void link_kill(struct link *l);		/* `gone` tells when it has ended */
bool link_quitting(const struct link *l);
pid_t link_pid(const struct link *l);

/* At start: the workers that a former hvdrvd left finish and end, all at once: they hold the targets open. */
void link_sweep(struct daemon *d);

/* ---- devices and domains ---- */

enum dev_phase {
	DEV_NEW,		/* nodes seen */
	DEV_JOINING,		/* target open; a guest that has it alone must share first */
	DEV_WAITING,		/* target open, limits published: the guest's turn */
	DEV_GENERATING,		/* no image yet: hvdrv-repo makes one */
	DEV_QUEUED,		/* driver placed; a worker that was there must be gone, and what it began at the target */
	DEV_STARTING,		/* the worker maps the rings */
	DEV_LIVE,
	DEV_CLOSING,		/* detach asked for: the guest's turn */
	DEV_DRAINING,		/* the worker finishes what is begun */
	DEV_LEAVING,		/* all is released: the guest frees its memory */
	DEV_FAILED,		/* says why in `error`; waits for detach */
};

/* What the keeper says of a controller. */
struct direct_facts {
	bool asked;			/* and not answered yet */
	bool poke;			/* policy waits for it */
	int64_t known_ns;		/* since when; 0: never was */
	int rc;
	struct hv_err e;
	struct keep_controller controller;
};

/* Of a device that has hardware queues, or is about to. */
struct direct {
	bool adding;			/* hvdrv-keeper has been asked for them, and has not answered */
	bool unwanted;			/* and the switch that asked has ended */
	bool kept;			/* it has them */
	bool lost;			/* the controller has been reset: they are gone, with what the guest waits for */
	bool leaving;			/* it has been asked to delete them, and has not answered */
	bool awaited;			/* what goes on when it has */
	bool looking;			/* it has been asked whether it has them */
	uint32_t epoch, look_epoch;	/* which ones, of all that were made */
	int add_rc;
	struct hv_err add_e;
	struct direct_facts facts;
	uint32_t nsid, qid[HVDRV_MAX_QUEUES];
	char controller[16];
	uint64_t doorbells;		/* machine address of the page */
	int64_t asked_ns;		/* the guest, for its window; 0: not yet */
	int64_t absent_ns;		/* since when no keeper has them; 0: one has */
	int64_t left_ns;		/* they were to be left, by ourselves; 0: not yet */
	struct event *look;
};

/* Who has signed a driver: the key's name here, "" when it is not known any more, and its fingerprint. */
struct signer {
	char name[64], key[33];
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
	struct hv_os said;		/* what the guest said that it runs, when a driver was chosen */
	struct hv_image_header image;	/* of the driver that is placed */
	char image_id[65];
	struct signer signer;
	char mode[16];			/* of the driver that is placed: virtual, paravirtual, or direct, which is told as a path */
	char path[8];			/* pool, copy or direct: what the guest was told */
	struct direct direct;
	uint32_t pool_pages;		/* that the worker has mapped */
	struct retarget *retarget;	/* a switch under way, or NULL */
	struct hv_policy policy;
	struct hv_err policy_why;	/* its last automatic switch failed */
	bool revoking;			/* its worker has been asked to hold it, and has not answered */
	bool answered;			/* the guest's disk has answered a read */
	struct share *share;		/* who gives its turns, or NULL */
	uint32_t share_id;		/* of its connection there */
	bool touched;			/* xenstore has an event of it: to be looked at */
	bool weigh;			/* `weight` was written: to be looked at */
	bool wanted;			/* `want` was written: to be looked at */
	bool resumed;			/* the guest uses it: the next worker gets new queues, under pause */
	int lent;			/* the target for the next worker, behind the fence; -1: not yet */
	int lent_ng;			/* and its generic character device, if it has one */
	bool passes;			/* the worker does NVMe commands on it, in mode paravirtual */
	int64_t fenced_ns;		/* since when the fence is waited for; 0: it is not */
	struct event *again;		/* dev_serve() is tried again */
	bool detach, force;		/* asked for */
	bool guest_closed;		/* the guest's stub itself said Closed: nobody is in the slot */
	bool generated;			/* an image was made for it: not again */
	struct event *timer;		/* limit of CLOSING by force, of LEAVING */
	struct hv_rate rate;
	int64_t since_ns;		/* its status is what it is */
	struct dev_counts counts;
	TAILQ_ENTRY(dev) link;
};

struct dom {
	struct daemon *d;
	uint32_t domid;
	char uuid[HV_UUID_LEN + 1];
	char *name;
	bool dying;
	bool recorded;			/* its recorded devices were attached */
	struct dom_os *os;		/* what it was started with; NULL: not looked at yet */
	struct link *worker;
	int64_t served_ns;		/* when the worker began to serve the last of its devices; 0: not yet */
	unsigned int quick_deaths;	/* of workers, one after the other */
	unsigned int unanswered;	/* questions of show.c that the worker has not answered in time */
	TAILQ_HEAD(, dev) devs;
	TAILQ_ENTRY(dom) link;
};

struct options {
	const char *repo, *keys, *state, *run, *libexec, *generator;
	const char *xen_state;		/* where libxl keeps its records */
	uint32_t worker_uid;		/* uid of domain n's worker is this plus n */
	bool no_generate;
	int64_t hold_down_ns;		/* between automatic switches */
};

struct daemon {
	struct event_base *base;
	struct hv_host *host;
	struct options opt;
	struct event *store_event;
	TAILQ_HEAD(, dom) doms;
	TAILQ_HEAD(, share) shares;
	struct requests *requests;
	struct generator *generator;
	struct watcher *watcher;
	struct event *policy_look;
	struct listeners *listeners;	/* events.c */
	LIST_HEAD(, keeper_call) keeper_calls;	/* keepers.c */
	LIST_HEAD(, keeper_del) keeper_dels;
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
void dev_status_why(struct dev *v, const char *word, const char *why);
void dev_set_state(struct dev *v, enum hv_xenbus_state s);
enum hv_xenbus_state dev_guest_state(struct dev *v);
struct hv_about dev_about(const struct dev *v);
void dev_first_read(struct dev *v);
void dev_end(struct dev *v, const struct hv_err *e);	/* an error ends a device that was served */
void dev_worker_gone(struct dev *v, bool quickly);
void dev_left_direct(struct dev *v);		/* its hardware queues are deleted, or could not be */

/*
 * serve.c: a worker serves the device: now, or when the one before has ended with all that it began. A device that its
 * guest uses already is taken over by retarget_renew().
 */
void dev_serve(struct dev *v);
void dev_serve_later(struct dev *v);		/* the guest could not be taken over: again after a while */
void dev_unserve(struct dev *v);		/* what dev_serve() has opened and waits for */
void dev_lent(struct dev *v);			/* the worker has them: our descriptors go */
bool dom_worker_dies_quickly(struct dom *dom);	/* its worker has ended by itself: once too often? */

/*
 * os.c. What the guest runs, by its own word and by what xl has started it with; -EPROTO: they differ. Of a domain the latter is
 * looked at once xl has a record of it, and the guest is asked when a driver is chosen. show: into a row of `show`.
 */
struct json_object;
int dev_read_os(struct dev *v, struct hv_os *os, struct hv_err *e);
void dev_show_os(struct dev *v, struct json_object *row);
void dom_os_free(struct dom *dom);

/* connect.c */
int dev_publish_limits(struct dev *v, struct hv_err *e);
void dev_connect(struct dev *v);
void dev_add_to_worker(struct dev *v);		/* which has been started; v->lent goes to it */
/* The image for this guest in this mode; id gets its name. -EINPROGRESS: it is being generated, ask again; -errno with e. */
int dev_find_image(struct dev *v, const char *mode, struct hv_image *img, char id[65], struct hv_err *e);
/* Would dev_find_image() find one? *generate: it would have to be made first. 0 or -errno with e. */
int dev_probe_image(struct dev *v, const char *mode, bool *generate, struct hv_err *e);
int dev_publish_driver(struct dev *v);		/* its keys, in one transaction */
const char *dev_io(const struct dev *v);	/* how its data goes to the target now */
enum wire_format dev_format(const char *device);	/* of the queues that the driver of this device description has */
const char *dev_mode(const char *mode);		/* as it is told: direct is a path of paravirtual */

/*
 * retarget.c: begins a switch to mode. 0: under way, its end is in the record (and dev_reconcile() is called); -EBUSY,
 * -EAGAIN, -ENOMEM with e: nothing was done. deadline_ns 0: the default.
 */
int retarget_start(struct dev *v, const char *mode, const char *who, int64_t deadline_ns, struct hv_err *e);
int retarget_check(const struct dev *v, struct hv_err *e);		/* could one begin? 0; -EBUSY, -EAGAIN */
int retarget_check_guest(const struct dev *v, struct hv_err *e);	/* is the guest as a switch wants it? 0; -ESRCH, -EBUSY */
int retarget_check_target(const struct dev *v, struct hv_err *e);	/* is the target what it was? 0; -ESTALE, -ERANGE, or -errno */

const char *retarget_image(const struct dev *v);	/* the id of the one that is under way; "": not chosen yet */
bool retarget_is_switch(const struct dev *v);	/* under way, and not the renewal after a worker's death */

/* The device or its guest is going; or, lives: only its worker, and the next one has the guest take over its requests. */
void retarget_abort(struct dev *v, bool lives, const char *why);

/*
 * The worker of a device that its guest uses is another one now, and what the former had taken is not known: the same driver
 * on new queues, where the guest's requests begin again. Ends with dev_add_to_worker(); if the guest could not be paused
 * outside of the driver, with dev_serve_later(). 0, or -ENOMEM with e.
 */
int retarget_renew(struct dev *v, struct hv_err *e);

/* path.c */
void path_settle(struct dev *v);		/* which it is, of what is wished and what there is */
int path_publish(struct hv_host *h, hv_txn t, void *dev);	/* its keys */
void path_follow(struct dev *v);		/* settles it, and tells a guest that was told otherwise */

/*
 * keepers.c. ask: fn is told, from the event loop, what the keeper of the controller says, of the type that is wanted, or rc and why
 * not: -ENOTCONN: there is none, or it does not answer. 0, or -ENOMEM: fn is not called. delete: asked for until it is done, whoever
 * goes meanwhile; fn (or NULL) is told of the first answer, whatever it is. delete_any: maybe there are none, and no keeper either: nothing
 * is told, and owe says no. delete_not: not any more. owe: are some not deleted yet, of another guest than domid? forget: whoever waits with this arg goes; what was asked is
 * done all the same.
 */
typedef void (*keeper_fn)(void *arg, int rc, const struct keep_msg *a, const struct hv_err *e);
typedef void (*keeper_deleted_fn)(void *arg);
int keepers_ask(struct daemon *d, const char *controller, struct keep_msg *q, enum keep_type want, keeper_fn fn, void *arg);
int keepers_delete(struct daemon *d, const char *controller, struct keep_device dev, keeper_deleted_fn fn, void *arg);
void keepers_delete_any(struct daemon *d, const char *controller, struct keep_device dev);
void keepers_delete_not(struct daemon *d, const char *controller, struct keep_device dev);
bool keepers_owe(struct daemon *d, const char *controller, uint32_t domid);
void keepers_forget(struct daemon *d, const void *arg);
void keepers_stop(struct daemon *d);

/*
 * direct-check.c. check: may it have hardware queues? Each reason why not, and nothing is changed; -EINPROGRESS: its keeper has been
 * asked, call again. ask_anew: what it said a moment ago may be old for an admin. wanted: may it, for policy, which is poked
 * when an answer is there: 1, 0, -EINPROGRESS. neighbour: another guest's device that has hardware queues of the controller
 * that v has a part of; NULL: none. undeleted: another guest's are not deleted yet, of a controller that v has a part of, also of a
 * device or guest that has gone; controller: its name, of 16 octets.
 */
int direct_check(struct dev *v, struct hv_err *e);
void direct_ask_anew(struct dev *v);
int direct_wanted(struct dev *v);
const struct dev *direct_neighbour(const struct dev *v);
bool direct_undeleted(const struct dev *v, char *controller);
bool direct_shares(const struct dev *v, const struct dev *o);	/* another guest's device with a part of v's NVMe controller */

/*
 * direct.c. prepare: they are made, the guest opens its window: 0, -EINPROGRESS: call again; -errno with e. leave: deleted, if there
 * are any; when the keeper has answered, dev_left_direct() is called. drop: hvdrvd stops, they stay.
 * watch: looks every second: by retarget_start() back when nobody keeps them, or the controller has lost them. take_up: of a device
 * that a former hvdrvd has served. sweep: of guests that have gone meanwhile.
 */
bool direct_mode(const char *mode);
bool direct_is(const struct dev *v);
int direct_prepare(struct dev *v, struct hv_err *e);
void direct_leave(struct dev *v);
void direct_drop(struct dev *v);
void direct_watch(struct dev *v);
void direct_take_up(struct dev *v);
void direct_sweep(struct daemon *d);

/* watch.c: waits for the one of a former hvdrvd, then starts ours. 0 or -errno with e. */
int watch_start(struct daemon *d, struct hv_err *e);
void watch_stop(struct daemon *d);
pid_t watch_pid(const struct daemon *d);	/* 0: none runs */
void switch_dir(const struct daemon *d, char *path, size_t size);	/* where the journals are */

/*
 * recover.c: guests that are paused still; what a worker that a former hvdrvd left has to know; then the keys, and no journal any
 * more.
 */
void recover_guests(struct daemon *d);
void recover_tell_worker(struct daemon *d, uint32_t domid, int fd);
void recover_finish(struct daemon *d);

/*
 * policy.c. lets_in: has no other guest what v is served from for itself? told: want was written; true: it was auto. decide: as
 * hv_policy_decide(), *mode gets what policy wants; asked: also of a device that is not left to it. answered: the guest's disk
 * answers. ended: a switch of anybody's. said_so: has its last automatic switch failed in the same way? leaves: its target is
 * closed after this. poke: look at all devices, soon.
 */
void policy_begin(struct dev *v);
bool policy_lets_in(const struct dev *v);
bool policy_told(struct dev *v, const char *want);
enum hv_policy_action policy_decide(struct dev *v, bool asked, const char **mode, int64_t *wait_ns);
void policy_answered(struct dev *v);
void policy_ended(struct dev *v, const char *who, enum hv_policy_outcome o, const struct hv_err *why);
bool policy_said_so(const struct dev *v, const char *who, const struct hv_err *why);
void policy_leaves(struct dev *v);
void policy_poke(struct daemon *d);
void policy_stop(struct daemon *d);

/*
 * revoke.c: a guest that does not let go of its device keeps nobody waiting: the worker takes and answers nothing for it, status
 * held, until a switch has succeeded (over) or it may go on as it was (release). kept: a worker serves it that knows nothing of
 * this. say: the status, once more.
 */
void revoke_begin(struct dev *v);
void revoke_over(struct dev *v);
void revoke_release(struct dev *v);
void revoke_kept(struct dev *v);
void revoke_say(struct dev *v);

/*
 * signer.c. of: who has signed this image, by the keys that are trusted now. good: is that key good still? 0; -EPERM with e, also when
 * it is not trusted any more; -errno: the keys cannot be read. publish: its keys, beside those of the driver.
 */
void signer_of(const struct daemon *d, const struct hv_image_header *h, struct signer *s);
int signer_good(const struct daemon *d, const struct signer *s, struct hv_err *e);
int signer_publish(struct hv_host *h, hv_txn t, const char *back, const struct signer *s);
void signer_take_up(struct dev *v);

/* note.c: a switch began, or has ended; bad: how loud the log is when it was not committed. */
void note_begin(struct dev *v, const struct switch_note *n);
void note_end(struct dev *v, const struct switch_note *n, enum hv_level bad);

/* conflict.c: 0, or -EBUSY with who has it. */
int check_conflicts(struct dev *v, struct hv_err *e);
int own_claim(struct dev *v);		/* on the block device that v has a window of, by another window; -1: none */

/* share.c: after WIRE_ADD, a device with depth= gets its connection to the hvdrv-share of its target. 0 or -errno with e. */
int share_join(struct dev *v, struct hv_err *e);
void share_leave(struct dev *v);
void share_weigh(struct dev *v);		/* what the key `weight` says, if it was written */
void share_stop(struct daemon *d);		/* memory only: they end when their workers have */

/* refresh.c: the request `refresh`. What is no switch is answered by the key `refresh`: current, or failed with `error`. */
void dev_refresh(struct dev *v);

/* generate.c: an image for this guest, of this device (NULL: the first of the mode); devices in DEV_GENERATING are reconciled when it has ended. 0 or -errno. */
int generate_start(struct daemon *d, const struct hv_os *os, const char *class, const char *mode, const char *device,
		   struct hv_err *e);
enum generate_state { GENERATE_NONE, GENERATE_RUNS, GENERATE_DONE, GENERATE_FAILED };
/* How the last one ended, if it was for this (failed: e says why); forgotten after it was asked. RUNS: one runs, for whatever. */
enum generate_state generate_state(struct daemon *d, const struct hv_os *os, const char *class, const char *mode, const char *device,
				   struct hv_err *e);
bool generate_busy(const struct daemon *d);		/* one is being made, for whomever */
int generate_check(struct daemon *d, struct hv_err *e);		/* may one be made here? 0 or -errno */
void generate_stop(struct daemon *d);

/*
 * dryrun.c: {"cmd": "dry-run", "domid": N, "id": N, "mode": M}, answered with text, and with error when it
 * could not. NULL: a keeper has been asked, ask again in a moment.
 */
struct json_object;
struct json_object *dry_run(struct daemon *d, struct json_object *question, bool again);

/* show.c: the devices of a guest, with counters; done gets them, maybe at once. inspect: slower, for `hvdrv check`. 0 or -ENOMEM. */
typedef void (*show_done_fn)(void *arg, struct json_object *devices);
int show_start(struct daemon *d, uint32_t domid, bool inspect, show_done_fn done, void *arg);
struct json_object *show_images(struct daemon *d);	/* the ids of those that are placed, or about to be: an array */

/* requests.c */
int requests_start(struct daemon *d, struct hv_err *e);
void requests_stop(struct daemon *d);

#endif
