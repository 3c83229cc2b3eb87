// SPDX-License-Identifier: GPL-2.0-only
/*
 * Switches that a former hvdrvd died in. hvdrv-watch has let the guests run again, unless it had ended, too, or could not; what
 * is left: a worker that is held is told to go on, on the queues that its guest uses now, and the keys say what is placed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/journal.h"
#include "daemon.h"
#include "util/sock.h"

struct asked {
	uint32_t domid;
	int fd;
};

static bool tell(void *arg, struct hv_journal *j, const char *why)
{
	struct wire_msg m = { .version = WIRE_VERSION, .type = WIRE_GO, .seq = 1 };
	const struct asked *a = arg;

	if (!j || j->domid != a->domid || j->state != HV_JOURNAL_RESUMED)
		return false;
	m.dev = j->id;
	m.go.renewed = 1;
	m.go.format = j->format;
	memcpy(m.go.begun, j->begun, sizeof(m.go.begun));
	wire_send(a->fd, &m, NULL, 0);
	return false;
}

void recover_tell_worker(struct daemon *d, uint32_t domid, int fd)
{
	struct asked a = { domid, fd };
	char dir[256];

	switch_dir(d, dir, sizeof(dir));
	hv_journal_each(dir, tell, &a);
}

static bool let_run(void *arg, struct hv_journal *j, const char *why)
{
	struct hv_about a = { .domid = j ? j->domid : 0 };
	struct hv_err e = { 0 };

	if (j && hv_journal_recover(arg, j, &e))
		hv_log(HV_ERROR, &a, "the former hvdrvd ended in a switch, the guest stays paused: %s", e.text);
	return false;
}

void recover_guests(struct daemon *d)
{
	char dir[256];

	switch_dir(d, dir, sizeof(dir));
	hv_journal_each(dir, let_run, d->host);
}

static int publish(struct hv_host *h, hv_txn t, void *arg)
{
	const struct hv_journal *j = arg;
	const struct hv_dev_id id = { .domid = j->domid, .id = j->id };
	char generation[16], pages[16];
	struct hv_dev_paths at;
	struct signer by = { 0 };
	int rc;

	snprintf(by.name, sizeof(by.name), "%s", j->signer);
	snprintf(by.key, sizeof(by.key), "%s", j->key);

	hv_dev_paths(&id, &at);
	snprintf(generation, sizeof(generation), "%u", j->generation);
	snprintf(pages, sizeof(pages), "%u", j->ring_pages);
	rc = hv_writef(h, t, dev_mode(j->mode), "%s/mode", at.back);
	if (!rc)
		rc = hv_writef(h, t, j->driver, "%s/driver/name", at.back);
	if (!rc)
		rc = hv_writef(h, t, j->image_id, "%s/driver/hash", at.back);
	if (!rc)
		rc = signer_publish(h, t, at.back, &by);
	if (!rc)
		rc = hv_writef(h, t, generation, "%s/driver/generation", at.back);
	return rc ? rc : hv_writef(h, t, pages, "%s/driver/ring-pages", at.back);
}

/* The old driver is back, under a new generation (hv_swap_restore()). */
static int publish_generation(struct hv_host *h, const struct hv_journal *j, const char *back)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", j->saved.generation + 2);
	return hv_writef(h, 0, text, "%s/driver/generation", back);
}

static void record(struct hv_host *h, const struct hv_journal *j, const char *admin, bool forward)
{
	struct hv_about a = { .domid = j->domid };

	hv_writef(h, 0, "done", "%s/retarget/state", admin);
	if (forward) {
		hv_writef(h, 0, j->signer, "%s/retarget/signer", admin);
		hv_writef(h, 0, j->key, "%s/retarget/key", admin);
	}
	hv_writef(h, 0, forward ? "" : "hvdrvd ended in the switch", "%s/retarget/reason", admin);
	hv_writef(h, 0, forward ? "committed" : "undone", "%s/retarget/result", admin);
	hv_log(HV_WARN, &a, "switch %llu, in which the former hvdrvd ended: %s", (unsigned long long)j->seq,
	       forward ? "committed" : "undone");
}

static bool finish(void *arg, struct hv_journal *j, const char *why)
{
	struct hv_host *h = arg;
	struct hv_about a = { .domid = j ? j->domid : 0 };
	struct hv_dev_id id = { 0 };
	struct hv_dev_paths at;
	bool forward = j && j->state == HV_JOURNAL_RESUMED;
	int rc = 0;

	if (!j) {
		hv_log(HV_ERROR, NULL, "a journal of a switch cannot be used: %s", why);
		return false;
	}
	id = (struct hv_dev_id){ .domid = j->domid, .id = j->id };
	if (hv_domain_uuid(h, j->domid, id.uuid))
		return true;		/* the guest has gone meanwhile */
	if (j->state == HV_JOURNAL_PAUSING || j->state == HV_JOURNAL_RESUMING)
		return false;		/* it is paused still (let_run()): what was overwritten is here only */
	hv_dev_paths(&id, &at);
	if (forward)
		rc = hv_transact(h, publish, j);
	else if (j->saved.valid)
		rc = publish_generation(h, j, at.back);
	if (rc)
		hv_log(HV_ERROR, &a, "the driver's keys cannot be written to xenstore");
	if (!j->renew)
		record(h, j, at.admin, forward);
	return true;
}

void recover_finish(struct daemon *d)
{
	char dir[256];

	switch_dir(d, dir, sizeof(dir));
	hv_journal_each(dir, finish, d->host);
}
