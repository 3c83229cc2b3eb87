/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest 5 is served, left to policy or not; guest 6 comes and goes beside it. */
#ifndef BESIDE_H
#define BESIDE_H

#include "switch.h"

#define HOUR (3600 * SECOND)

extern struct hv_dev_paths other;	/* keys of guest 6's device */

void start_with(struct world *w, const char *more);	/* served, its disk has answered; a hold-down of an hour */
void answered(struct world *w);
void look_now(struct world *w);		/* policy looks at all devices */
void through_one(struct world *w);
void through(struct world *w);		/* and none follows */
void join_as(struct world *w, uint32_t domid, const char *backend, const char *more);	/* seen by nobody yet */
void join(struct world *w, const char *backend, const char *more);
void ck_other(struct world *w, const char *status, const char *state);
void leave(struct world *w);

#endif
