// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "api/ask.h"
#include "util/sock.h"

int hv_api_connect(struct hvdrv *h)
{
	int fd = hv_sock_connect(HV_RUN_DIR "/hvdrvd.sock", SOCK_SEQPACKET);

	if (fd == -EACCES)
		return hv_err(&h->e, EPERM, "hvdrvd's socket may not be opened: run this as root");
	if (fd < 0)
		return hv_err(&h->e, ECONNREFUSED, "hvdrvd is not running: start it with `systemctl start hvdrvd`");
	return fd;
}

struct json_object *hv_api_question(const char *cmd)
{
	struct json_object *q = json_object_new_object();

	json_object_object_add(q, "cmd", json_object_new_string(cmd));
	return q;
}

int hv_api_ask(struct hvdrv *h, struct json_object *question, unsigned int seconds, struct json_object **answer)
{
	int fds[HV_SOCK_FDS], rc = 0, fd = hv_api_connect(h);
	const char *text = json_object_to_json_string(question);
	const struct timeval limit = { .tv_sec = seconds };
	static const size_t max = 256 * 1024;
	char *buf = NULL;
	ssize_t n;

	if (fd < 0) {
		json_object_put(question);
		return fd;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	rc = hv_sock_send(fd, text, strlen(text), NULL, 0);
	json_object_put(question);
	buf = rc ? NULL : malloc(max);
	n = buf ? hv_sock_recv(fd, buf, max - 1, fds) : -EIO;
	if (n > 0) {
		buf[n] = 0;
		*answer = json_tokener_parse(buf);
	}
	free(buf);
	close(fd);
	if (n == -EAGAIN)
		return hv_err(&h->e, ETIMEDOUT, "hvdrvd does not answer within %u s: see its log", seconds);
	return n > 0 && *answer ? 0 : hv_err(&h->e, EIO, "hvdrvd does not answer: see its log");
}

int hvdrv_ping(struct hvdrv *h)
{
	struct json_object *a = NULL;
	int rc = hv_api_ask(h, hv_api_question("ping"), HV_API_LIMIT, &a);

	json_object_put(a);
	return rc;
}

int hvdrv_daemon_version(struct hvdrv *h, char version[32])
{
	struct json_object *a = NULL, *v = NULL;
	int rc = hv_api_ask(h, hv_api_question("ping"), HV_API_LIMIT, &a);

	if (!rc)
		snprintf(version, 32, "%s", json_object_object_get_ex(a, "version", &v) ? json_object_get_string(v) : "");
	json_object_put(a);
	return rc;
}
