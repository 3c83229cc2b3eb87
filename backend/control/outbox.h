/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages to a process that may not read for a while: what its socket has no room for is kept, and goes out in order as soon as
 * there is some. That a process is late does not mean that it has ended. Not thread-safe.
 */
#ifndef BACKEND_CONTROL_OUTBOX_H
#define BACKEND_CONTROL_OUTBOX_H

#include <stddef.h>
#include <event2/event.h>

struct outbox;

/* For fd, a SOCK_SEQPACKET socket that does not block and stays the caller's; base runs what is late. NULL: no memory. */
struct outbox *outbox_new(struct event_base *base, int fd);

/*
 * data is sent or kept; so are n descriptors (at most HV_SOCK_FDS), which stay the caller's. 0; or -ENOMEM or -EMFILE: it could not
 * be kept; or what sendmsg(2) says, -EPIPE where nobody reads any more: nothing was sent.
 */
int outbox_send(struct outbox *o, const void *data, size_t len, const int *fds, int n);

/* What is still kept is dropped. o may be NULL. */
void outbox_free(struct outbox *o);

#endif
