// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the kernel's driver reset the controller? After a reset it says so by a uevent (NVME_EVENT=connected, since Linux 5.18). That is
 * a reason to ask the controller and no more: who else sends uevents, and what they say, does not matter.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>
#include "keeper/keeper.h"

#define KERNELS_GROUP 1
#define UEVENT_MAX 8192

int keeper_witness_open(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = KERNELS_GROUP };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT), rc;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* ACTION@DEVPATH, then KEY=VALUE, each with its NUL. */
bool keeper_witness_is_of(const char *text, size_t len, const char *controller)
{
	size_t n = strnlen(text, len), want = strlen(controller);

	return n < len && n > want && text[n - want - 1] == '/' && !memcmp(text + n - want, controller, want);
}

bool keeper_witness_heard(int fd, const char *controller)
{
	char text[UEVENT_MAX];
	bool heard = false;
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text), 0)) >= 0 || errno == ENOBUFS || errno == EINTR)
		heard |= n < 0 || keeper_witness_is_of(text, n, controller);	/* ENOBUFS: some are lost, which may be ours */
	return heard;
}
