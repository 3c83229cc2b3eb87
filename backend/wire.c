// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include "util/sock.h"
#include "wire.h"

#define UPTO(member) (offsetof(struct wire_msg, member) + sizeof(((struct wire_msg *)0)->member))

size_t wire_len(uint32_t type)
{
	static const size_t len[] = {
		[WIRE_HELLO] = UPTO(hello), [WIRE_ADD] = UPTO(add), [WIRE_RESIZE] = UPTO(resize), [WIRE_STATS] = UPTO(stats),
		[WIRE_HOLD] = UPTO(hold), [WIRE_HELD] = UPTO(held), [WIRE_GO] = UPTO(go), [WIRE_OK] = UPTO(added),
		[WIRE_ERROR] = UPTO(error), [WIRE_EV_FAILED] = UPTO(error),
	};
	size_t n = type < sizeof(len) / sizeof(len[0]) ? len[type] : 0;

	return n ? n : UPTO(dev);
}

int wire_send(int fd, const struct wire_msg *m, const int *fds, int n)
{
	return hv_sock_send(fd, m, wire_len(m->type), fds, n);
}

int wire_recv(int fd, struct wire_msg *m, int fds[])
{
	ssize_t n = hv_sock_recv(fd, m, sizeof(*m), fds);

	if (n == -EAGAIN)
		return -EAGAIN;
	return n >= (ssize_t)UPTO(dev) && (size_t)n == wire_len(m->type) ? 0 : -EPIPE;
}
