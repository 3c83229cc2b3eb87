// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "util/sock.h"

int hv_sock_send(int fd, const void *data, size_t len, const int *fds, int n)
{
	union { struct cmsghdr h; char buf[CMSG_SPACE(sizeof(int) * HV_SOCK_FDS)]; } c = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t r;

	if (n) {
		m.msg_control = c.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(&c.h), fds, sizeof(int) * n);
	}
	do
		r = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : (size_t)r == len ? 0 : -EIO;
}

static void take_fds(struct msghdr *m, int fds[HV_SOCK_FDS])
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	for (int i = 0; i < HV_SOCK_FDS; i++)
		fds[i] = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
}

void hv_sock_close(int fds[HV_SOCK_FDS])
{
	for (int i = 0; i < HV_SOCK_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

ssize_t hv_sock_recv(int fd, void *data, size_t len, int fds[HV_SOCK_FDS])
{
	union { struct cmsghdr h; char buf[CMSG_SPACE(sizeof(int) * HV_SOCK_FDS)]; } c;
	struct iovec iov = { data, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf) };
	ssize_t r;

	do
		r = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	take_fds(&m, fds);
	if (r && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return r;
	hv_sock_close(fds);		/* an empty message may have some, too */
	return r ? -EMSGSIZE : 0;
}

static int address(const char *path, struct sockaddr_un *a)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	strcpy(a->sun_path, path);
	return 0;
}

int hv_sock_listen(const char *path, int type)
{
	struct sockaddr_un a;
	mode_t old;
	int fd, rc = address(path, &a);

	if (rc)
		return rc;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	old = umask(0177);
	rc = bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 16) ? -errno : 0;
	umask(old);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int hv_sock_connect(const char *path, int type)
{
	struct sockaddr_un a;
	int fd, rc = address(path, &a);

	if (rc)
		return rc;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}
