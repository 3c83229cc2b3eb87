// SPDX-License-Identifier: LGPL-2.1-only
/* hvdrvd's events, as they come. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "api/ask.h"
#include "util/sock.h"

#define EVENT_MAX 16384

static int question(struct hvdrv *h, const char *domain, struct json_object **q)
{
	char uuid[HV_UUID_LEN + 1];
	uint32_t domid;
	int rc = domain ? hv_domain_find(h->host, domain, &domid, &h->e) : 0;

	if (!rc && domain && (rc = hv_domain_uuid(h->host, domid, uuid)))
		hv_err(&h->e, -rc, "domain %s has no UUID: is it going?", domain);
	if (rc)
		return rc;
	*q = hv_api_question("events");
	if (domain)
		json_object_object_add(*q, "uuid", json_object_new_string(uuid));
	return 0;
}

/* hvdrvd refuses when as many listen as may. */
static int refused(struct hvdrv *h, const char *text)
{
	struct json_object *o = json_tokener_parse(text), *code = NULL, *why = NULL;
	int rc = 0;

	if (o && json_object_object_get_ex(o, "error", &code) && json_object_object_get_ex(o, "text", &why))
		rc = hv_err(&h->e, json_object_get_int(code), "hvdrvd tells no events: %s", json_object_get_string(why));
	json_object_put(o);
	return rc;
}

/* 1: goes on; else what hvdrv_events() returns. */
static int one_event(struct hvdrv *h, int fd, hvdrv_event_fn fn, void *arg)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int fds[HV_SOCK_FDS], rc;
	char text[EVENT_MAX];
	ssize_t n;

	if (poll(&p, 1, -1) < 0)
		return errno == EINTR ? hv_err(&h->e, EINTR, "interrupted") : hv_err(&h->e, errno, "poll: %s", strerror(errno));
	n = hv_sock_recv(fd, text, sizeof(text) - 1, fds);
	if (n <= 0)
		return hv_err(&h->e, EPIPE, "hvdrvd has ended, and its events with it: see its log; ask again when it runs");
	text[n] = 0;
	rc = refused(h, text);
	if (!rc)
		rc = fn(arg, text);
	return rc ? rc : 1;
}

int hvdrv_events(struct hvdrv *h, const char *domain, hvdrv_event_fn fn, void *arg)
{
	struct json_object *q;
	const char *text;
	int fd, rc = question(h, domain, &q);

	if (rc)
		return rc;
	text = json_object_to_json_string(q);
	fd = hv_api_connect(h);
	rc = fd < 0 ? fd : hv_sock_send(fd, text, strlen(text), NULL, 0);
	if (fd >= 0 && rc)
		hv_err(&h->e, -rc, "hvdrvd does not answer: see its log");
	json_object_put(q);
	if (!rc)
		do
			rc = one_event(h, fd, fn, arg);
		while (rc == 1);
	if (fd >= 0)
		close(fd);
	return rc;
}
