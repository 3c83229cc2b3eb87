// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvdrv-watch(8): lets guests run again that hvdrvd had paused when it died. Started by hvdrvd with
 *   3  pidfd of hvdrvd
 *   4  RUN/switch/lock, locked: the next hvdrvd waits for it
 * It opens what it needs before it waits, so that nothing has to be found when it counts.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/journal.h"
#include "util/exit.h"
#include "util/log.h"

enum { FD_DAEMON = 3 };

static bool recover(void *arg, struct hv_journal *j, const char *why)
{
	struct hv_host *h = arg;
	struct hv_err e = { 0 };
	struct hv_about a = { .domid = j ? j->domid : 0 };
	uint32_t before = j ? j->state : HV_JOURNAL_NONE;

	if (!j)
		hv_log(HV_ERROR, NULL, "a journal of a switch cannot be used: %s", why);
	else if (hv_journal_recover(h, j, &e))
		hv_log(HV_ERROR, &a, "hvdrvd died in a switch: %s; `xl unpause %u`", e.text, j->domid);
	else if (j->state != before)
		hv_log(HV_WARN, &a, "hvdrvd died in a switch: the guest runs again, with the %s driver",
		       j->state == HV_JOURNAL_RESUMED ? "new" : "old");
	return false;			/* the next hvdrvd finishes it */
}

int main(int argc, char **argv)
{
	struct pollfd p = { .fd = FD_DAEMON, .events = POLLIN };
	struct hv_err e = { 0 };
	struct hv_host *h;

	if (argc != 2) {
		fprintf(stderr, "hvdrv-watch is started by hvdrvd\n");
		return HV_EXIT_USAGE;
	}
	h = hv_host_xen_open(&e);
	if (!h) {
		hv_log(HV_ERROR, NULL, "hvdrv-watch: %s", e.text);
		return HV_EXIT_FAILED;
	}
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	hv_journal_each(argv[1], recover, h);
	hv_host_close(h);
	return 0;
}
