// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv-keeper(8): hvdrv-keeper CONTROLLER. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>
#include "keeper/machine.h"
#include "util/exit.h"
#include "util/file.h"
#include "util/log.h"
#include "util/notify.h"
#include "util/sock.h"

#define LOOK_MS 1000

static void list(const struct keeper *k, struct keep_msg *out)
{
	const struct kept *p;

	out->type = KEEP_HAS;
	TAILQ_FOREACH(p, &k->all, link) {
		out->has.lost |= (uint32_t)p->lost << out->has.n;
		out->has.dev[out->has.n++] = p->dev;
	}
}

static int answer(struct keeper *k, const struct keep_msg *m, struct keep_msg *out, struct hv_err *e)
{
	struct hv_about a = { .domid = m->dev.domid };
	int rc;

	if (m->version != KEEP_VERSION)
		return hv_err(e, EPROTO, "this hvdrv-keeper speaks version %u, hvdrvd %u: restart it when no device is direct", KEEP_VERSION,
			      m->version);
	switch (m->type) {
	case KEEP_ASK:
		out->type = KEEP_CONTROLLER;
		return keeper_ask(k, m->nsid, &out->controller, e);
	case KEEP_ADD:
		out->type = KEEP_QUEUES;
		rc = keeper_add(k, &m->dev, &m->add, out->qid, e);
		if (!rc)
			hv_log(HV_INFO, &a, "device %u has %u pairs of queues, the first is %u; %u pages", m->dev.id, m->add.num_queues,
			       out->qid[0], m->add.num_pages);
		return rc;
	case KEEP_DEL:
		out->type = KEEP_DONE;
		rc = keeper_del(k, &m->dev, e);
		if (!rc)
			hv_log(HV_INFO, &a, "device %u has no queues", m->dev.id);
		return rc;
	case KEEP_LIST:
		list(k, out);
		return 0;
	default:
		return hv_err(e, EINVAL, "unknown message %u", m->type);
	}
}

/* One question of whoever connects: hvdrvd, the socket is root's. */
static void serve(struct keeper *k, int listener)
{
	static struct keep_msg m;
	struct keep_msg out = { .version = KEEP_VERSION };
	int fds[HV_SOCK_FDS], fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	const struct timeval limit = { .tv_sec = 1 };
	struct hv_err e = { 0 };

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (hv_sock_recv(fd, &m, sizeof(m), fds) == sizeof(m)) {
		if (answer(k, &m, &out, &e)) {
			out.type = KEEP_ERROR;
			out.error.code = e.code;
			snprintf(out.error.text, sizeof(out.error.text), "%.199s", e.text);
		}
		hv_sock_send(fd, &out, sizeof(out), NULL, 0);
	}
	close(fd);
}

static int open_machine(struct machine *m, const char *name, struct hv_err *e)
{
	char path[32];

	if (snprintf(m->name, sizeof(m->name), "%s", name) >= (int)sizeof(m->name) || strncmp(name, "nvme", 4) || strchr(name, '/'))
		return hv_err(e, EINVAL, "%.20s is not a controller as nvme0", name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	m->controller = open(path, O_RDWR | O_CLOEXEC);
	if (m->controller < 0)
		return hv_err(e, errno, "%s: %s", path, strerror(errno));
	m->gntdev = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
	return m->gntdev < 0 ? hv_err(e, errno, "/dev/xen/gntdev: %s", strerror(errno)) : 0;
}

/* The lock is ours for good: two keepers would each delete what the other has made. */
static int open_run(const char *name, char file[128], int *listener, struct hv_err *e)
{
	static const char dir[] = HV_RUN_DIR "/keeper";
	char path[128];
	int fd, rc = hv_mkdirs(dir, 0700);

	if (rc)
		return hv_err(e, -rc, "%s: %s", dir, strerror(-rc));
	snprintf(path, sizeof(path), "%s/%s.lock", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return hv_err(e, fd < 0 ? errno : EBUSY, "%s: %s", path, fd < 0 ? strerror(errno) : "another hvdrv-keeper runs");
	snprintf(file, 128, "%s/%s.list", dir, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*listener = hv_sock_listen(path, SOCK_SEQPACKET);
	return *listener < 0 ? hv_err(e, -*listener, "%s: %s", path, strerror(-*listener)) : 0;
}

/*
 * Questions, and whether the controller has been reset: suspected at our start, when the kernel has told something of it, and when it is
 * not live at some moment. Asked is it when it is live: a command to one that is being reset would be waited for.
 */
static void run(struct keeper *k, const struct machine *m, int listener, int witness)
{
	struct pollfd p[] = { { .fd = listener, .events = POLLIN }, { .fd = witness, .events = POLLIN } };
	bool suspected = true;

	for (;;) {
		bool live = machine_is_live(m);

		suspected |= !live;
		if (live && suspected)
			suspected = keeper_check(k);
		keeper_retry(k);
		if (poll(p, 2, TAILQ_EMPTY(&k->all) ? -1 : LOOK_MS) <= 0)
			continue;
		if (p[1].revents)
			suspected |= keeper_witness_heard(witness, m->name);
		if (p[0].revents)
			serve(k, listener);
	}
}

int main(int argc, char **argv)
{
	struct machine m;
	char file[128];
	struct keeper k = { .ops = &machine_ops, .arg = &m, .file = file };
	int listener = -1, witness = -1, rc;
	struct hv_err e = { 0 };

	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "hvdrv-keeper: the name of an NVMe controller, as nvme0; see hvdrv-keeper(8)\n");
		return HV_EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	rc = open_machine(&m, argv[1], &e);
	if (!rc)
		rc = open_run(argv[1], file, &listener, &e);
	if (!rc)
		witness = keeper_witness_open();
	if (!rc && witness < 0)
		rc = hv_err(&e, -witness, "what the kernel tells of its devices cannot be heard (a netlink socket): %s", strerror(-witness));
	if (!rc)
		rc = keeper_recover(&k, &e);	/* before anybody asks for anything */
	if (rc) {
		hv_log(HV_ERROR, NULL, "hvdrv-keeper cannot serve %s: %s", argv[1], e.text);
		return hv_exit_status(rc);
	}
	hv_notify("READY=1");
	run(&k, &m, listener, witness);
}
