/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What has to be known of a switch when hvdrvd dies in it: a file in RUN/switch (tmpfs outlives a SIGKILL), mapped, so that a
 * step costs a store. Read by hvdrv-watch, which lets the guest run again at once, and by the next hvdrvd, which finishes.
 *
 *   state      who has died where                                  what is done
 *   NONE       before the pause, or after it was undone            nothing: the guest runs
 *   PAUSING    from before the pause to before the unpause         put back what was saved, unpause: undone
 *   RESUMING   from before the unpause                             unpause, if it has not happened: the new driver is placed
 *   RESUMED    the guest runs the new driver                       the next hvdrvd tells the worker and publishes
 */
#ifndef HV_CORE_JOURNAL_H
#define HV_CORE_JOURNAL_H

#include "core/swap.h"

#define HV_JOURNAL_MAGIC 0x4c4a5648u	/* "HVJL" */
#define HV_JOURNAL_VERSION 3u

enum hv_journal_state { HV_JOURNAL_NONE, HV_JOURNAL_PAUSING, HV_JOURNAL_RESUMING, HV_JOURNAL_RESUMED };

struct hv_journal {
	uint32_t magic, version, size;
	uint32_t state;			/* enum hv_journal_state; whole-word stores */
	uint32_t domid, id;		/* the device */
	uint32_t foreign;		/* how its slot is reached */
	uint32_t format;		/* of the new queues: enum wire_format */
	uint32_t renew;			/* the driver stays, its queues are new: for another worker, not an admin's switch */
	uint64_t seq;			/* of the switch */
	char mode[16], driver[32], image_id[65];	/* the new ones */
	char signer[64], key[33];		/* of the new image: name, fingerprint */
	uint32_t ring_pages, generation;
	uint64_t begun[HVDRV_MAX_QUEUES][HVDRV_MAX_DEPTH / 64];
	struct hv_offer offer;
	struct hv_swap_saved saved;
};

/* Makes DIR/DOMID.ID, state NONE. NULL with e. */
struct hv_journal *hv_journal_new(const char *dir, uint32_t domid, uint32_t id, struct hv_err *e);
void hv_journal_set(struct hv_journal *j, enum hv_journal_state s);	/* all written before is there when it is seen */
void hv_journal_end(const char *dir, struct hv_journal *j);		/* unmaps and removes; NULL: nothing */

/*
 * Calls fn for each journal in DIR; those that fn returns true for are removed. One that is damaged or of another version
 * is told to fn as NULL with the reason, and stays.
 */
void hv_journal_each(const char *dir, bool (*fn)(void *arg, struct hv_journal *j, const char *why), void *arg);

/*
 * The writer has died: the guest runs again when this returns, with the old driver or the new. 0 or -errno with e: the guest
 * stays paused. Never unpauses a guest that this switch had not paused.
 */
int hv_journal_recover(struct hv_host *h, struct hv_journal *j, struct hv_err *e);

#endif
