/* SPDX-License-Identifier: LGPL-2.1-only */
/* Messages with file descriptors over AF_UNIX SOCK_SEQPACKET. */
#ifndef HV_UTIL_SOCK_H
#define HV_UTIL_SOCK_H

#include <stddef.h>
#include <sys/types.h>

#define HV_SOCK_FDS 4

/* Sends one message with n descriptors (at most HV_SOCK_FDS). 0 or -errno. */
int hv_sock_send(int fd, const void *data, size_t len, const int *fds, int n);

/*
 * One message into data. Returns its length, 0 at the peer's end, -errno (-EMSGSIZE: longer than len).
 * fds gets the descriptors (close-on-exec), the rest -1; the caller owns them.
 */
ssize_t hv_sock_recv(int fd, void *data, size_t len, int fds[HV_SOCK_FDS]);

/* Closes descriptors that hv_sock_recv() brought, those that are not -1; all are -1 then. */
void hv_sock_close(int fds[HV_SOCK_FDS]);

/* A listening socket at PATH (an old one is replaced), for its owner only. Descriptor or -errno. */
int hv_sock_listen(const char *path, int type);

/* Connects to PATH. Descriptor or -errno. */
int hv_sock_connect(const char *path, int type);

#endif
