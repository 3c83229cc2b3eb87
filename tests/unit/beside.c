// SPDX-License-Identifier: GPL-2.0-only
#include "beside.h"
#include "unit.h"

void look_now(struct world *w)
{
	policy_poke(&w->d);
	look(w);
}

/* The guest's disk has answered: policy looks at it. */
void answered(struct world *w)
{
	workers.last->ev->event(workers.last->dom, &(struct wire_msg){ .type = WIRE_EV_FIRST_READ });
	look(w);
}

void start_with(struct world *w, const char *more)
{
	char dir[300];

	start(w);
	w->d.opt.hold_down_ns = HOUR;
	run_dirs(w, dir, sizeof(dir));
	serve(w, more);
	answered(w);
}

/* The switch that is under way; the next one may follow at once. */
void through_one(struct world *w)
{
	hold(w, NULL);
	ck_assert_uint_eq(question(WIRE_GO)->go.renewed, 1);
	answer(WIRE_GO, WIRE_OK, 0);
	adopt(w);
}

void through(struct world *w)
{
	through_one(w);
	ck_quiet(w);
}

struct hv_dev_paths other;

/* A second guest's device; it stays where its guest has to do something. */
void join_as(struct world *w, uint32_t domid, const char *backend, const char *more)
{
	struct hv_dev_id id = { .domid = domid };
	char text[700];
	struct hv_params p;
	struct hv_err e = { 0 };

	fake_domain_add(w->f, domid, "web2");
	snprintf(text, sizeof(text), "class=block,backend=%s%s", backend, more);
	ck_assert_msg(!hv_params_parse(text, &p, &e), "%s", e.text);
	strcpy(p.name, "theirs");
	ck_assert_msg(!hv_device_create(w->d.host, &p, &id, &e), "%s", e.text);
	hv_dev_paths(&id, &other);
}

void join(struct world *w, const char *backend, const char *more)
{
	join_as(w, 6, backend, more);
	look(w);
}

void ck_other(struct world *w, const char *status, const char *state)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/status", other.admin);
	ck_assert(is(w, path, status));
	snprintf(path, sizeof(path), "%s/state", other.back);
	ck_assert(is(w, path, state));
}

void leave(struct world *w)
{
	fake_domain_end(w->f, 6);
	look(w);
}
