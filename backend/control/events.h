/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events for `hvdrv events`: whoever asked on the control socket is told of each switch, state and worker, one JSON message per
 * event (libhvdrv(3)). A listener that does not read loses events, and is told how many; nobody waits for it.
 */
#ifndef CONTROL_EVENTS_H
#define CONTROL_EVENTS_H

#include <stdint.h>
#include <sys/types.h>

#define EVENTS_LISTENERS 16
#define EVENTS_QUEUE 256	/* per listener, beside what its socket holds */

struct daemon;
struct dev;
struct dom;
struct switch_note;

/* From now on fd (taken over) is told what happens; uuid: of this guest only, NULL: of all. 0; -EUSERS, -ENOMEM: fd is as it was. */
int events_listen(struct daemon *d, int fd, const char *uuid);
void events_stop(struct daemon *d);	/* all are hung up */

/* What happens. Nothing is done when nobody listens. */
void event_state(struct dev *v, const char *state, const char *reason);		/* reason NULL: none */
void event_switch_begin(struct dev *v, const struct switch_note *n);
void event_switch_end(struct dev *v, const struct switch_note *n);
void event_worker_started(struct dom *dom, pid_t pid);
void event_worker_ended(struct dom *dom, pid_t pid, const char *reason);	/* reason NULL: it was told to */

#endif
