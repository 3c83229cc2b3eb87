// SPDX-License-Identifier: GPL-2.0-only
/*
 * Could a device switch now? Asked over the control socket by `hvdrv retarget --dry-run`: what a switch checks before it changes
 * anything is checked, and nothing is changed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <json-c/json.h>
#include "core/journal.h"
#include "daemon.h"
#include "util/json.h"

/* Can its journal be made? */
static int check_journal(struct daemon *d, struct hv_err *e)
{
	struct statvfs fs;
	char dir[256];

	switch_dir(d, dir, sizeof(dir));
	if (access(dir, W_OK | X_OK) || statvfs(dir, &fs))
		return hv_err(e, errno, "%s: %s", dir, strerror(errno));
	if (fs.f_bavail * fs.f_frsize < sizeof(struct hv_journal))
		return hv_err(e, ENOSPC, "%s: %s", dir, strerror(ENOSPC));
	return 0;
}

/* Can the guest's records and rings be mapped? */
static int check_memory(struct dev *v, struct hv_err *e)
{
	struct hv_swap_saved *room = malloc(sizeof(*room));
	struct hv_swap swap;
	int rc;

	if (!room)
		return hv_err(e, ENOMEM, "no memory");
	rc = hv_swap_open(v->dom->d->host, v->id.domid, &v->offer, &v->slot, room, &swap, e);
	hv_swap_close(v->dom->d->host, &swap);
	free(room);
	return rc;
}

static int check_switch(struct dev *v, const char *mode, bool *generate, struct hv_err *e)
{
	int rc = retarget_check(v, e);

	if (!rc && v->detach)
		rc = hv_err(e, EBUSY, "it is being detached");
	if (!rc && link_quitting(v->dom->worker))
		rc = hv_err(e, EAGAIN, "its worker is ending");
	if (!rc)
		rc = retarget_check_guest(v, e);
	if (!rc)
		rc = retarget_check_target(v, e);
	if (!rc && direct_mode(mode))
		rc = direct_check(v, e);
	if (!rc)
		rc = dev_probe_image(v, mode, generate, e);
	if (!rc)
		rc = check_journal(v->dom->d, e);
	return rc ? rc : check_memory(v, e);
}

/* What policy would make of it, in front of what is said of the switch. NULL: it waits for a keeper itself. */
static const char *ask_policy(struct dev *v, char *said, size_t size)
{
	enum hv_policy_action action;
	const char *mode;
	int64_t wait;
	int n;

	if (direct_wanted(v) == -EINPROGRESS)
		return NULL;
	action = policy_decide(v, true, &mode, &wait);
	n = snprintf(said, size, "policy wants %s, %s; ", mode,
		     !strcmp(mode, hv_policy_mode(false, false)) ? "other guests are on its device" : "its guest is alone on its device");
	if (action == HV_POLICY_WAIT)
		snprintf(said + n, size - n, "not before %lld s have passed; ", (long long)(wait + 999999999) / 1000000000);
	return mode;
}

static int try(struct dev *v, const char *mode, char *text, size_t size, struct hv_err *e)
{
	bool generate = false;
	char said[160] = "";
	int rc;

	if (!strcmp(mode, "auto"))
		mode = ask_policy(v, said, sizeof(said));
	if (!mode)
		return -EINPROGRESS;
	if (v->phase == DEV_LIVE && !v->retarget && !strcmp(mode, v->mode)) {
		snprintf(text, size, "%s%s already", said, mode);
		return 0;
	}
	rc = check_switch(v, mode, &generate, e);
	if (rc == -EINPROGRESS)
		return rc;
	if (rc)
		return hv_err_in(e, "it cannot switch to %s now", mode);
	snprintf(text, size, "%sit can switch to %s now%s", said, mode, generate ? ", when the driver has been generated" : "");
	return 0;
}

struct json_object *dry_run(struct daemon *d, struct json_object *question, bool again)
{
	int64_t domid = hv_json_int(question, "domid"), id = hv_json_int(question, "id");
	const char *mode = hv_json_text(question, "mode");
	struct dom *dom = domid >= 0 && domid < 32768 ? dom_find(d, domid) : NULL;
	struct dev *v = dom && id >= 0 && id <= HV_ID_MAX ? dev_find(dom, id) : NULL;
	struct json_object *o;
	struct hv_err e = { 0 };
	char text[256] = "";
	int rc;

	rc = hv_mode_check(mode, &e);
	if (!rc && !v)
		rc = hv_err(&e, ENOENT, "hvdrvd does not know this device");
	if (!rc && !again)
		direct_ask_anew(v);
	if (!rc)
		rc = try(v, mode, text, sizeof(text), &e);
	if (rc == -EINPROGRESS)
		return NULL;
	o = json_object_new_object();
	if (rc)
		json_object_object_add(o, "error", json_object_new_int(-rc));
	json_object_object_add(o, "text", json_object_new_string(rc ? e.text : text));
	return o;
}
