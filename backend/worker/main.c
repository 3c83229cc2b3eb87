// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvdrv-worker(8): started by hvdrvd, with its descriptors at fixed numbers:
 *   3 control socket, 4 listening socket for the next hvdrvd, 5 /dev/xen/gntdev, 6 /dev/xen/evtchn
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "util/depriv.h"
#include "util/str.h"
#include "worker/worker.h"

enum { FD_CTL = 3, FD_LISTEN = 4, FD_GNTDEV = 5, FD_EVTCHN = 6 };

static int open_engine(struct worker *wk, struct hv_err *e)
{
#ifdef HAVE_URING
	if (!getenv("HVDRV_NO_URING"))
		wk->io = io_open_uring(256, e);
	if (!wk->io)
		hv_log(HV_INFO, &wk->about, "serving without io_uring%s%s", *e->text ? ": " : "", e->text);
#endif
	if (!wk->io)
		wk->io = io_open_plain(e);
	return wk->io ? 0 : -e->code;
}

static void watch_all(struct worker *wk)
{
	const struct { struct io_watch *w; int fd; void (*ready)(struct io_watch *); } all[] = {
		{ &wk->events, FD_EVTCHN, wk_on_events }, { &wk->ctl, FD_CTL, wk_on_ctl },
		{ &wk->listener, FD_LISTEN, wk_on_connect },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		all[i].w->fd = all[i].fd;
		all[i].w->ready = all[i].ready;
		fcntl(all[i].fd, F_SETFL, fcntl(all[i].fd, F_GETFL) | O_NONBLOCK);
		wk->io->ops->watch(wk->io, all[i].w);
	}
}

/* Pinned buffers count against this, once the worker is nobody. */
static void allow_pinning(const struct worker *wk)
{
	struct rlimit r = { wk->buf_size + (1 << 20), wk->buf_size + (1 << 20) };

	setrlimit(RLIMIT_MEMLOCK, &r);
}

static int start(struct worker *wk, uint32_t domid, uint32_t uid, struct hv_err *e)
{
	int rc = guest_xen_init(&wk->guest, FD_GNTDEV, FD_EVTCHN, domid);

	if (rc)
		return hv_err(e, -rc, "event channels cannot be restricted to domain %u: %s", domid, strerror(-rc));
	rc = wk_serve_init(wk);
	if (rc)
		return hv_err(e, -rc, "no memory for buffers");
	allow_pinning(wk);
	/* the engine before the rights go: of them it keeps one, for NVMe commands, in a ring that does only what the engine does */
	rc = open_engine(wk, e);
	if (!rc)
		rc = hv_depriv_uid(uid, e);
	if (rc)
		return rc;
	rc = wk->io->ops->buffers(wk->io, wk->buf, wk->buf_size);
	if (rc)
		hv_log(HV_INFO, &wk->about, "the buffers are not pinned: %s", strerror(-rc));
	watch_all(wk);
	return wk_depriv_calls(e);
}

int main(int argc, char **argv)
{
	struct worker *wk = calloc(1, sizeof(*wk));
	struct hv_err e = { 0 };
	uint64_t domid, uid;

	if (argc != 4 || hv_str_u64(argv[1], 32767, &domid) || hv_str_u64(argv[2], UINT32_MAX - 1, &uid) || !wk) {
		fprintf(stderr, "hvdrv-worker is started by hvdrvd\n");
		free(wk);
		return 2;
	}
	wk->about = (struct hv_about){ .domid = domid, .guest = argv[3] };
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);	/* hvdrvd decides when a worker ends */
	if (start(wk, domid, uid, &e)) {
		hv_log(HV_ERROR, &wk->about, "the worker cannot start: %s", e.text);
		return 1;
	}
	while (!wk->quit) {
		bool more = wk_serve_some(wk);
		int rc;

		if (wk->quit)
			break;
		rc = wk->io->ops->run(wk->io, !more);
		if (rc < 0) {
			hv_log(HV_ERROR, &wk->about, "the worker's I/O engine failed: %s", strerror(-rc));
			return 1;
		}
	}
	return 0;
}
