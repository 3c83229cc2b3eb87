/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that is served, and switches of it: what the worker, the guest and the clock do, and what there is to see. */
#ifndef SWITCH_H
#define SWITCH_H

#include "control.h"
#include "core/swap.h"

#define RECORDS HVDRV_RECORD_PAGES(DEPTH)
#define FRAMES (1 + RECORDS + 2 + DEPTH)	/* of the queue */
#define SECOND 1000000000ll

/* The guest's memory. */
struct hvdrv_state *state(struct world *w);
struct hvdrv_record *record(struct world *w, uint32_t tag);
uint8_t *ring(struct world *w);
bool placed(struct world *w, const char *id);	/* is the image of that name in the slot? */

extern unsigned int mapped;		/* pages, of a device that is served */
void run_dirs(struct world *w, char *path, size_t size);	/* where the journals are */
void serve(struct world *w, const char *more);
void live(struct world *w);		/* all of it: a world with a device that is served */
void stop_daemon(struct world *w);	/* w->d.host: another handle, to look on */

void admin(struct world *w, const char *key, const char *value);
void want(struct world *w, const char *mode);

/* The worker. */
void hold(struct world *w, const struct hv_inflight_table *t);	/* it holds the device; t (NULL: empty): what it has taken */
unsigned int asked(void);		/* questions that it has not answered */
const struct wire_msg *question(uint32_t type);	/* the oldest, which must be of this type */

void look(struct world *w);		/* hvdrvd looks at the guest's memory every now and then: so long that it has */
void pass(struct world *w, int64_t ns);	/* time passes, at once; then look() */
void adopt(struct world *w);		/* the guest takes over */
void go_to(struct world *w, const char *mode);	/* a whole switch, nothing in flight */

bool journal_left(struct world *w);
void ck_quiet(struct world *w);		/* no switch is under way, and nothing of one is left */
void ck_record(struct world *w, const char *seq, const char *result, const char *who);
void ck_reason(struct world *w, const char *part);
void ck_virtual(struct world *w, const char *generation);	/* this driver is placed, and the keys say so */
void ck_paravirtual(struct world *w, const char *generation);

#endif
