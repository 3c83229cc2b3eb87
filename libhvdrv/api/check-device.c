// SPDX-License-Identifier: LGPL-2.1-only
/* What can be wrong with one device: keys that are missing or wrong, versions, states that last too long, its driver. */
#include <stdio.h>
#include <stdlib.h>
#include "api/check.h"
#include "core/keys.h"
#include "core/params.h"

enum folder { FRONT, BACK, ADMIN };

struct place {
	struct hv_check *c;
	struct json_object *row;
	struct hv_dev_id id;
	struct hv_dev_paths at;
};

static const char *dir(const struct place *p, enum folder f)
{
	return f == FRONT ? p->at.front : f == BACK ? p->at.back : p->at.admin;
}

static char *get(const struct place *p, enum folder f, const char *key)
{
	return hv_readf(p->c->h->host, 0, "%s/%s", dir(p, f), key);
}

/* ---- keys ---- */

static const struct {
	enum folder dir;
	const char *key;
	bool served;			/* only of one that is served */
} keys[] = {
	{ BACK, "frontend", false }, { BACK, "frontend-id", false }, { BACK, "online", false }, { BACK, "name", false },
	{ BACK, "class", false }, { BACK, "state", false },
	{ FRONT, "backend", false }, { FRONT, "backend-id", false }, { FRONT, "state", false },
	{ ADMIN, "params", false }, { ADMIN, "name", false }, { ADMIN, "domid", false }, { ADMIN, "status", false }, { ADMIN, "want", false },
	{ BACK, "abi-min", true }, { BACK, "abi-max", true }, { BACK, "limits/sectors", true }, { BACK, "limits/block-size", true },
	{ BACK, "limits/max-segments", true }, { BACK, "limits/max-bytes", true }, { BACK, "limits/depth", true },
	{ BACK, "limits/queue-pages", true }, { BACK, "limits/max-queues", true }, { BACK, "limits/flush", true },
	{ BACK, "limits/fua", true }, { BACK, "limits/discard-granularity", true }, { BACK, "limits/write-zeroes", true },
	{ BACK, "limits/read-only", true }, { BACK, "address", true }, { BACK, "entry/attach", true }, { BACK, "entry/submit", true },
	{ BACK, "entry/complete", true }, { BACK, "entry/adopt", true }, { BACK, "entry/detach", true }, { BACK, "driver/name", true },
	{ BACK, "driver/hash", true }, { BACK, "driver/generation", true }, { BACK, "driver/ring-pages", true }, { BACK, "mode", true },
	{ FRONT, "os/type", true }, { FRONT, "os/release", true }, { FRONT, "os/arch", true }, { FRONT, "os/abi", true },
	{ FRONT, "abi-min", true }, { FRONT, "abi-max", true }, { FRONT, "slot-va", true }, { FRONT, "slot-ref", true },
	{ FRONT, "disk", true }, { ADMIN, "cache", true }, { ADMIN, "path", true },
};

static const char again[] = "detach it and attach it again";

static void check_present(const struct place *p, bool served)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *v = keys[i].served && !served ? NULL : get(p, keys[i].dir, keys[i].key);

		if (!v && (served || !keys[i].served))
			hv_check_found(p->c, p->row, "key-missing", "whoever reads it next cannot go on, as a hvdrvd that is started anew", again,
				       "the key %s/%s is missing", dir(p, keys[i].dir), keys[i].key);
		free(v);
	}
}

static void check_value(const struct place *p, enum folder f, const char *key, const char *const *may)
{
	char *v = get(p, f, key);
	bool ok = !v;

	for (int i = 0; !ok && may[i]; i++)
		ok = !strcmp(v, may[i]);
	if (!ok)
		hv_check_found(p->c, p->row, "key-wrong", "somebody else than hvdrvd and its commands has written it", again,
			       "the key %s/%s is \"%.100s\", not \"%.100s\"", dir(p, f), key, v, may[0]);
	free(v);
}

static void check_params(const struct place *p)
{
	char *text = get(p, ADMIN, "params");
	struct hv_params params;
	struct hv_err e = { 0 };

	if (text && hv_params_parse(text, &params, &e))
		hv_check_found(p->c, p->row, "key-wrong", "a hvdrvd that is started anew cannot serve it", again, "the key %s/params: %.200s",
			       p->at.admin, e.text);
	free(text);
}

static void check_values(const struct place *p, bool served)
{
	static const char *const modes[] = { "virtual", "paravirtual", NULL }, *const wants[] = { "virtual", "paravirtual", "direct", "auto", NULL };
	static const char *const paths[] = { "pool", "copy", "direct", NULL }, *const want_paths[] = { "auto", "pool", "copy", NULL };
	static const char *const connected[] = { "4", NULL };
	char domid[16], *name = get(p, BACK, "name");

	snprintf(domid, sizeof(domid), "%u", p->id.domid);
	check_value(p, BACK, "frontend", (const char *[]){ p->at.front, NULL });
	check_value(p, BACK, "frontend-id", (const char *[]){ domid, NULL });
	check_value(p, FRONT, "backend", (const char *[]){ p->at.back, NULL });
	check_value(p, FRONT, "backend-id", (const char *[]){ "0", NULL });
	check_value(p, ADMIN, "domid", (const char *[]){ domid, NULL });
	check_value(p, ADMIN, "want", wants);
	check_value(p, ADMIN, "want-path", want_paths);
	if (name)
		check_value(p, ADMIN, "name", (const char *[]){ name, NULL });
	free(name);
	check_params(p);
	if (!served)
		return;
	check_value(p, BACK, "mode", modes);
	check_value(p, BACK, "path", paths);
	check_value(p, ADMIN, "path", paths);
	check_value(p, BACK, "state", connected);
	check_value(p, FRONT, "state", connected);
	if (*hv_check_text(p->row, "image"))
		check_value(p, BACK, "driver/hash", (const char *[]){ hv_check_text(p->row, "image"), NULL });
}

/* ---- versions ---- */

static void check_abi(const struct place *p)
{
	struct hv_host *h = p->c->h->host;
	uint64_t lo = hv_read_u64(h, 0, UINT32_MAX, "%s/abi-min", p->at.front), hi = hv_read_u64(h, 0, UINT32_MAX, "%s/abi-max", p->at.front);
	uint64_t host_lo = hv_read_u64(h, 0, UINT32_MAX, "%s/abi-min", p->at.back);
	uint64_t host_hi = hv_read_u64(h, 0, UINT32_MAX, "%s/abi-max", p->at.back);

	if (!hi || !host_hi || (hi >= host_lo && lo <= host_hi))
		return;
	hv_check_found(p->c, p->row, "abi", "they have no version of hvdrv-abi(7) in common",
		       hi < host_lo ? "update hvdrv in the guest" : "update hvdrv on the host",
		       "the guest's extension speaks versions %llu to %llu, the host %llu to %llu", (unsigned long long)lo,
		       (unsigned long long)hi, (unsigned long long)host_lo, (unsigned long long)host_hi);
}

/* ---- states ---- */

static const struct {
	const char *state;
	unsigned int limit;		/* seconds */
	const char *why, *todo;
} states[] = {
	{ "new", 15, "hvdrvd has not taken it up", "see hvdrvd's log" },
	{ "joining", 60, "a guest that has its backend alone does not come to share it", "see `hvdrv show` of that guest, and hvdrvd's log" },
	{ "waiting-for-guest", 60, "the guest has not offered memory for the driver",
	  "in the guest: is hvdrv-guest-dkms installed, the module loaded (`modprobe hvdrv`), and what says its kernel log?" },
	{ "generating", 600, "hvdrv-repo does not end", "see hvdrvd's log" },
	{ "placing", 60, "its worker does not start to serve", "see hvdrvd's log" },
	{ "connected", 60, "its disk has not answered a first read", "see the guest's kernel log, and what the backend waits for" },
	{ "recovering", 60, "its worker has ended, and no other can take over what the guest waits for",
	  "see hvdrvd's log; a guest that is paused goes on after `xl unpause`; is its backend alive?" },
	{ "held", 60, "its guest keeps a CPU in the driver, is paused, or does not take over, so that it cannot share with the others",
	  "look at the guest; it goes on when it lets go; `hvdrv detach --force` takes it away" },
	{ "detach-requested", 60, "hvdrvd has not begun with it", "see hvdrvd's log" },
	{ "closing", 60, "the guest does not let go of it", "look at the guest, or use `hvdrv detach --force`" },
	{ "closed-by-guest", 60, "the guest's module went down or was unloaded",
	  "load it in the guest (`modprobe hvdrv`), or detach it" },
};

static void check_state(const struct place *p)
{
	const char *state = hv_check_text(p->row, "state"), *error = hv_check_text(p->row, "error");
	uint64_t seconds = hv_check_number(p->row, "state_ns") / 1000000000;

	if (hv_is(state, "failed"))
		hv_check_found(p->c, p->row, "failed", *error ? error : "see hvdrvd's log", "mend that, then detach it and attach it again",
			       "it is not served");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (hv_is(state, states[i].state) && seconds > states[i].limit)
			hv_check_found(p->c, p->row, "state-stuck", states[i].why, states[i].todo, "it is in state %s for %llu s", state,
				       (unsigned long long)seconds);
}

#define SWITCH_LIMIT 120		/* s: an image may have to be made first */

static void check_switch(const struct place *p)
{
	uint64_t seconds = hv_check_number(p->row, "switch_ns") / 1000000000;
	bool under_way = json_object_object_get_ex(p->row, "switch_ns", NULL);
	struct json_object *last = NULL;
	bool says;

	json_object_object_get_ex(p->row, "switch", &last);
	says = last && hv_is(hv_check_text(last, "state"), "running");
	if (under_way && seconds > SWITCH_LIMIT)
		hv_check_found(p->c, p->row, "switch-stuck", "no other can begin, and detach waits for it", "see hvdrvd's log; restarting hvdrvd undoes it",
			       "a switch is under way for %llu s", (unsigned long long)seconds);
	else if (says && !p->c->daemon)
		hv_check_found(p->c, p->row, "switch-stuck", "hvdrvd has ended in it", "start hvdrvd: it finishes or undoes it",
			       "switch %llu has not ended", (unsigned long long)hv_check_number(last, "seq"));
	if (json_object_get_boolean(json_object_object_get(p->row, "held")) && !under_way)
		hv_check_found(p->c, p->row, "held", "the guest's requests wait, and nobody will let them go on",
			       "restart hvdrvd: `systemctl restart hvdrvd`", "its queues are held, and no switch is under way");
}

static void check_image(const struct place *p)
{
	const char *error = hv_check_text(p->row, "image_error");

	if (*error)
		hv_check_found(p->c, p->row, "image", error, "the guest goes on; import the image or its key again, or attach the device anew",
			       "the driver %.12s, which is placed, is not one of the repository's that are trusted", hv_check_text(p->row, "image"));
}

void hv_check_device(struct hv_check *c, struct json_object *row)
{
	struct place p = { .c = c, .row = row, .id = { .domid = hv_check_number(row, "domid"), .id = hv_check_number(row, "id") } };
	const char *state = hv_check_text(row, "state");
	bool served = hv_is(state, "ready") || hv_is(state, "in-use") || hv_is(state, "held");

	if (hv_domain_uuid(c->h->host, p.id.domid, p.id.uuid))
		return;			/* the guest has gone meanwhile */
	hv_dev_paths(&p.id, &p.at);
	check_present(&p, served);
	check_values(&p, served);
	check_abi(&p);
	check_state(&p);
	check_switch(&p);
	check_image(&p);
}
