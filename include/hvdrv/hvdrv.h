/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libhvdrv: devices of Xen guests whose drivers the host places, from a program in dom0. libhvdrv(3).
 *
 * The library talks to xenstore, where a device's keys are the contract (hvdrv-xenstore(7)), and to hvdrvd's
 * control socket for counters. It needs root in dom0. It never prints, exits, forks, or touches signals; calls that
 * wait return early with -EINTR when a signal handler without SA_RESTART has run.
 *
 * Threads: a handle belongs to one thread at a time. Fork: do not use a handle in the child.
 * Errors: calls return 0 or a negative errno value; hvdrv_error() then has one line: what, why, what to do.
 */
#ifndef HVDRV_H
#define HVDRV_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hvdrv;

/*
 * Opens xenstore. *h is set even on failure, so that hvdrv_error(*h) tells why, except for -ENOMEM; close it in
 * any case. -ENODEV: not a Xen dom0; -EPERM: not root; -ENOTCONN: xenstored does not answer.
 */
int hvdrv_open(struct hvdrv **h);
void hvdrv_close(struct hvdrv *h);		/* NULL is allowed */

/* The text of the last call that failed on h; valid until the next call. Never NULL. */
const char *hvdrv_error(const struct hvdrv *h);

/* Is a hvdrvd there? 0; -ECONNREFUSED: none runs. */
int hvdrv_ping(struct hvdrv *h);

#define HVDRV_PERSIST 1u	/* attach: record it, so that it comes with the guest from now on; detach: forget it */
#define HVDRV_FORCE 2u		/* detach: also when it is in use; the guest's requests in flight end with an error */

/*
 * Attaches a device to a running guest and waits until its disk has answered a read.
 *
 * domain: name or number. name: up to 31 letters, digits and . _ -. params: "class=block,backend=/PATH" and, after
 * commas, mode=virtual|paravirtual|auto, path=auto|pool|copy, range=FIRST+SECTORS, ro, shared, size=N[kMGT] (makes a sparse file
 * where none is), format=raw, place=grant|foreign, depth=N (how many requests the backend takes at once, of all its guests), weight=N.
 * timeout: seconds, 1 to 3600. disk: gets the disk's name in the guest, as the guest says ("hvda"), up to 32 bytes.
 *
 * 0; on error nothing has changed. -ESRCH no such domain; -EINVAL params; -EEXIST the name is taken; -EBUSY the
 * backend is in use; -ENOSPC the guest has no free slot; -EDQUOT xenstore's quota; -ECONNREFUSED no hvdrvd;
 * -ETIMEDOUT the guest did not answer (its extension is not there, or hangs); -EIO hvdrvd or the guest refused.
 */
int hvdrv_attach(struct hvdrv *h, const char *domain, const char *name, const char *params, unsigned int timeout,
		 unsigned int flags, char disk[32]);

/*
 * Detaches: the guest's disk is taken down, its data is on the backend's stable storage, everything is released.
 * -EBUSY: it is open in the guest and goes on; -ENOENT no such device; -ETIMEDOUT the guest does not react (it may
 * still detach later); -ESRCH; -ECONNREFUSED.
 */
int hvdrv_detach(struct hvdrv *h, const char *domain, const char *name, unsigned int timeout, unsigned int flags);

/* What became of a switch. */
struct hvdrv_switch {
	uint64_t seq;			/* number of the switch, of this device */
	uint64_t freeze_ns;		/* the guest was paused */
	uint64_t stall_ns;		/* no request was taken or answered */
	uint64_t ready, begun, done;	/* requests carried over: not begun, begun, answered but not seen */
};

/*
 * Replaces the device's driver in place: mode is "virtual", "paravirtual", or "direct" (paravirtual by hardware queues, for a device
 * that was attached with trusted=1), and stays whoever joins its device; or "auto", which leaves it to hvdrvd's policy from now on, and
 * returns at once with seq 0. Returns when the switch is committed or undone.
 * deadline_ns: limit of the pause, 0: 30 ms. 0: the mode is in force (*sw tells how; seq 0: it was already). -ECANCELED: undone,
 * everything is as before, hvdrv_error() has the reason; -EINVAL no such mode; -ENOENT no such device; -ESRCH no such guest;
 * -EAGAIN it is not served now; -ETIMEDOUT no answer within timeout seconds; -ECONNREFUSED hvdrvd does not run.
 */
int hvdrv_retarget(struct hvdrv *h, const char *domain, const char *name, const char *mode, uint64_t deadline_ns,
		   unsigned int timeout, struct hvdrv_switch *sw);

/*
 * Replaces the device's driver in place by the one that would be chosen today in the same mode: a newer version, or one whose key is
 * still good. 0: it has that one (*sw tells how; seq 0: it had it already). -ECANCELED: not replaced, everything is as before,
 * hvdrv_error() has the reason (hardware queues are left first; the device is held; no driver fits); the others as hvdrv_retarget().
 */
int hvdrv_refresh(struct hvdrv *h, const char *domain, const char *name, uint64_t deadline_ns, unsigned int timeout,
		  struct hvdrv_switch *sw);

/*
 * How the device's data moves, from now on: path is "pool" (by pages that the guest has granted for good), "copy" (by Xen, page by
 * page), or "auto" (pool where the guest has one). Requests in flight end as they began. Returns when the guest was told. 0;
 * -EINVAL no such path, or none that is offered; -EREMOTEIO pool, and the guest has none; the others as hvdrv_retarget().
 */
int hvdrv_set_path(struct hvdrv *h, const char *domain, const char *name, const char *path, unsigned int timeout);

/*
 * Could it switch to that mode now ("auto": to what policy would choose)? Nothing is changed. 0: yes, or it is in force already;
 * *says is a line about it, malloc'ed. Else as hvdrv_retarget(), and hvdrv_error() has the reason; -EBUSY the guest is paused, or
 * a switch is under way.
 */
int hvdrv_retarget_dry_run(struct hvdrv *h, const char *domain, const char *name, const char *mode, char **says);

/*
 * The device's weight among those on the same backend, 1 to 1000: while all have requests, each gets its part of the backend's
 * turns. It holds at once, and as long as the device is attached. 0: it is in force; -EINVAL the device was attached without
 * depth=; -ENOENT, -ESRCH, -ETIMEDOUT, -EINTR, -ECONNREFUSED as above; -ECANCELED another weight was set meanwhile.
 */
int hvdrv_weight(struct hvdrv *h, const char *domain, const char *name, unsigned int weight, unsigned int timeout);

/* The backend has grown: tells the guest. *bytes: the new size. -EIO: it has become smaller, or cannot be read. */
int hvdrv_resize(struct hvdrv *h, const char *domain, const char *name, unsigned int timeout, uint64_t *bytes);

/*
 * Devices of one guest, or of all (domain NULL), as JSON: an array of objects with the members domain, domid, name,
 * id, class, mode, path, backend, read_only, shared, size_bytes, disk, state, error. *json is malloc'ed, the
 * caller frees it. Needs no hvdrvd. -ESRCH.
 */
int hvdrv_list(struct hvdrv *h, const char *domain, char **json);

/* As hvdrv_list(), with what hvdrvd and the guest's worker count; name NULL: all devices. -ECONNREFUSED: no hvdrvd. */
int hvdrv_show(struct hvdrv *h, const char *domain, const char *name, char **json);

/* One event, a JSON object in one line (libhvdrv(3)). 0: go on; a negative value: hvdrv_events() returns it. */
typedef int (*hvdrv_event_fn)(void *arg, const char *json);

/*
 * Calls fn for each event of a guest, or of all (domain NULL), as it comes; the first says that it listens. Ends only with an error:
 * fn's; -EINTR a signal has come; -EPIPE hvdrvd has ended; -ECONNREFUSED; -ESRCH; -EUSERS as many listen as may.
 */
int hvdrv_events(struct hvdrv *h, const char *domain, hvdrv_event_fn fn, void *arg);

/*
 * What is wrong with the devices of a guest, or of all (domain NULL), and with what serves them: an array of objects with the members
 * code, domain, domid, device (null: it is about the host), what, why, do; empty when nothing is. Also while no hvdrvd runs. -ESRCH;
 * -EPERM.
 */
int hvdrv_check(struct hvdrv *h, const char *domain, char **json);

/* Version of the hvdrvd that runs, up to 32 bytes. -ECONNREFUSED: none. */
int hvdrv_daemon_version(struct hvdrv *h, char version[32]);

#ifdef __cplusplus
}
#endif

#endif
