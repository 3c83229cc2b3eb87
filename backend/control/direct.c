// SPDX-License-Identifier: GPL-2.0-only
/*
 * Path direct: hardware queues in the guest's pages. They are made and deleted by the controller's hvdrv-keeper (keep.h, keepers.c),
 * the guest is asked for its window and given the doorbells by the key `window`. What may have them is in direct-check.c.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon.h"

#define WINDOW_NS 6000000000ll		/* a guest that does not open its window */
#define LOOK_S 1			/* how often it is looked whether the keeper is there */
#define ABSENT_NS 5000000000ll		/* so long without one: back to the mediated queue */
#define AGAIN_NS 5000000000ll		/* a switch that failed is tried again */
#define DOORBELLS 0x1000u		/* where they begin in the registers (NVM Express Base Specification 2.0) */

static struct hv_host *host(const struct dev *v)
{
	return v->dom->d->host;
}

bool direct_mode(const char *mode)
{
	return !strcmp(mode, "direct");
}

bool direct_is(const struct dev *v)
{
	return direct_mode(v->mode);
}

static struct keep_device name_of(const struct dev *v)
{
	return (struct keep_device){ v->id.domid, v->id.id };
}

/* ---- there ---- */

static void on_left(void *arg)
{
	struct dev *v = arg;

	v->direct.leaving = false;
	dev_left_direct(v);
}

static void delete_queues(struct dev *v)
{
	v->direct.leaving = !keepers_delete(v->dom->d, v->direct.controller, name_of(v), on_left, v);
}

static void on_added(void *arg, int rc, const struct keep_msg *a, const struct hv_err *e)
{
	struct direct *x = &((struct dev *)arg)->direct;
	bool unwanted = x->unwanted;

	x->adding = x->unwanted = false;
	if (unwanted) {
		delete_queues(arg);
		return;
	}
	if (rc == -ENOTCONN)		/* it may have made them all the same */
		keepers_delete_any(((struct dev *)arg)->dom->d, x->controller, name_of(arg));
	x->add_rc = rc;
	x->add_e = *e;
	if (rc)
		return;
	x->kept = true;
	memcpy(x->qid, a->qid, sizeof(x->qid));
	direct_watch(arg);
}

static int make_queues(struct dev *v, const struct target_nvme *n, struct hv_err *e)
{
	struct keep_msg *m = calloc(1, sizeof(*m));
	const struct hv_offer *o = &v->offer;
	int rc;

	if (!m)
		return hv_err(e, ENOMEM, "no memory");
	m->type = KEEP_ADD;
	m->dev = name_of(v);
	m->add.num_queues = o->num_queues;
	m->add.queue_pages = o->queue_pages;
	for (uint32_t q = 0; q < o->num_queues; q++)
		for (uint32_t i = 0; i < o->queue_pages; i++)
			m->add.ref[m->add.num_pages++] = o->queue[q].page[i];
	for (uint32_t i = 0; i < o->pool_pages; i++)
		m->add.ref[m->add.num_pages++] = o->pool[i];
	rc = keepers_ask(v->dom->d, n->controller, m, KEEP_QUEUES, on_added, v);
	v->direct.adding = !rc;
	free(m);
	return rc ? hv_err(e, -rc, "no memory") : -EINPROGRESS;
}

static unsigned int log2_of(uint32_t n)
{
	return n > 1 ? 1 + log2_of(n / 2) : 0;
}

/* What the driver cannot know. No other driver looks at it. */
static void tell_driver(struct dev *v)
{
	for (uint32_t q = 0; q < v->slot.num_queues; q++) {
		struct hvdrv_state *st = v->slot.state[q];

		st->nsid = v->direct.nsid;
		st->lba_shift = log2_of(v->target.block_size / HVDRV_SECTOR);
		st->sq_doorbell = v->direct.qid[q] * 8;
		st->cq_doorbell = v->direct.qid[q] * 8 + 4;
	}
}

static int begin(struct dev *v, struct hv_err *e)
{
	struct direct *x = &v->direct;
	struct target_nvme n;

	if (target_namespace(&v->target, &n))
		return hv_err(e, ENODEV, "%s has gone", v->params.backend);
	/* the keeper deletes what is left of former ones before it makes these; asked for later it would delete these */
	keepers_delete_not(v->dom->d, n.controller, name_of(v));
	x->leaving = x->lost = false;
	x->epoch++;
	x->asked_ns = x->absent_ns = x->left_ns = 0;
	x->nsid = n.nsid;
	x->doorbells = n.registers + DOORBELLS;
	memcpy(x->controller, n.controller, sizeof(n.controller));
	return make_queues(v, &n, e);
}

static int tell_guest(struct dev *v, struct hv_err *e)
{
	char text[24];
	int rc = host(v)->ops->iomem(host(v), v->id.domid, v->direct.doorbells / HVDRV_PAGE, true);

	v->direct.asked_ns = hv_now_ns();
	tell_driver(v);
	if (rc)
		return hv_err(e, -rc, "the guest cannot be given the doorbells: %s", strerror(-rc));
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v->direct.doorbells);
	hv_rmf(host(v), 0, "%s/window", v->at.front);
	rc = hv_writef(host(v), 0, text, "%s/window", v->at.back);
	if (rc)
		return hv_err(e, -rc, "the key window cannot be written to xenstore: %s", strerror(-rc));
	dev_set_state(v, HV_XB_CONNECTED);	/* written again: the guest looks */
	return -EINPROGRESS;
}

static int ask_guest(struct dev *v, struct hv_err *e)
{
	char *says = hv_readf(host(v), 0, "%s/window", v->at.front);
	int rc;

	if (says && !strcmp(says, "1"))
		rc = 0;
	else if (says)
		rc = hv_err(e, EREMOTEIO, "the guest says: %.200s", says);
	else if (hv_now_ns() - v->direct.asked_ns > WINDOW_NS)
		rc = hv_err(e, ETIMEDOUT, "the guest has not opened its window within %lld s", WINDOW_NS / 1000000000);
	else
		rc = -EINPROGRESS;
	free(says);
	return rc;
}

int direct_prepare(struct dev *v, struct hv_err *e)
{
	int rc = v->direct.add_rc;

	if (v->direct.adding)
		return -EINPROGRESS;
	if (rc) {
		*e = v->direct.add_e;
		v->direct.add_rc = 0;
		return rc;
	}
	if (!v->direct.kept)
		return begin(v, e);
	return v->direct.asked_ns ? ask_guest(v, e) : tell_guest(v, e);
}

/* ---- and back ---- */

void direct_leave(struct dev *v)
{
	v->direct.add_rc = 0;
	v->direct.unwanted = v->direct.adding;
	if (!v->direct.kept)
		return;
	v->direct.kept = v->direct.lost = false;
	delete_queues(v);
	host(v)->ops->iomem(host(v), v->id.domid, v->direct.doorbells / HVDRV_PAGE, false);
	hv_rmf(host(v), 0, "%s/window", v->at.back);
	if (v->phase == DEV_LIVE)
		dev_set_state(v, HV_XB_CONNECTED);	/* written again: the guest unmaps them */
}

void direct_drop(struct dev *v)
{
	if (v->direct.look)
		event_free(v->direct.look);
	v->direct.look = NULL;
	keepers_forget(v->dom->d, v);
	if (v->direct.adding)
		keepers_delete(v->dom->d, v->direct.controller, name_of(v), NULL, NULL);
	v->direct.kept = v->direct.adding = v->direct.leaving = v->direct.looking = v->direct.facts.asked = false;
}

/* ---- while it lasts ---- */

static bool keeper_has(struct dev *v, const struct keep_msg *m)
{
	struct hv_about a = dev_about(v);

	for (uint32_t i = 0; i < m->has.n && i < KEEP_DEVICES; i++) {
		if (m->has.dev[i].domid == v->id.domid && m->has.dev[i].id == v->id.id) {
			if (!v->direct.lost && m->has.lost >> i & 1)
				hv_log(HV_ERROR, &a, "the controller has been reset: its hardware queues are gone");
			v->direct.lost |= m->has.lost >> i & 1;
			return true;
		}
	}
	return false;
}

/* To the mediated queue, by a switch of ours. What cannot begin now, or is undone, is tried again. */
static void leave_by_ourselves(struct dev *v, int64_t deadline_ns)
{
	int64_t now = hv_now_ns();
	struct hv_err e;

	if (v->retarget || v->phase != DEV_LIVE || (v->direct.left_ns && now - v->direct.left_ns < AGAIN_NS))
		return;
	v->direct.left_ns = now;
	retarget_start(v, "paravirtual", "keeper", deadline_ns, &e);
}

/* Without a keeper the guest's I/O goes on, but nothing would keep its pages if it died: not for long. */
static void not_kept(struct dev *v, const char *why)
{
	struct hv_about a = dev_about(v);
	int64_t now = hv_now_ns();

	if (v->retarget)
		return;
	if (!v->direct.absent_ns) {
		hv_log(HV_ERROR, &a, "its hardware queues are not kept: %s", why);
		v->direct.absent_ns = now;
	}
	if (now - v->direct.absent_ns > ABSENT_NS)
		leave_by_ourselves(v, 0);
}

static void on_list(void *arg, int rc, const struct keep_msg *m, const struct hv_err *e)
{
	struct dev *v = arg;
	struct hv_about a = dev_about(v);

	v->direct.looking = false;
	if (!direct_is(v) || v->direct.epoch != v->direct.look_epoch)
		return;			/* it was asked about others */
	if (rc || !keeper_has(v, m)) {
		not_kept(v, rc ? e->text : "hvdrv-keeper does not have them");
		return;
	}
	if (v->direct.absent_ns)
		hv_log(HV_INFO, &a, "its hardware queues are kept again");
	v->direct.absent_ns = 0;
	/*
	 * What the guest has posted to queues that the controller has forgotten is never answered, and can change no memory any more: it
	 * begins again on the mediated queue, as after a worker's death. However long that takes: as it is it does not go on. A switch
	 * that is under way goes on without waiting for them.
	 */
	if (v->direct.lost)
		leave_by_ourselves(v, HV_RT_HOLD_NS);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct keep_msg q = { .type = KEEP_LIST };
	struct dev *v = arg;

	if (!v->direct.kept)
		event_del(v->direct.look);	/* until there is something to look after again */
	if (!direct_is(v) || v->direct.looking)
		return;
	v->direct.look_epoch = v->direct.epoch;
	v->direct.looking = !keepers_ask(v->dom->d, v->direct.controller, &q, KEEP_HAS, on_list, v);
}

void direct_watch(struct dev *v)
{
	const struct timeval tv = { .tv_sec = LOOK_S };

	if (!v->direct.look)
		v->direct.look = event_new(v->dom->d->base, -1, EV_PERSIST, on_look, v);
	event_add(v->direct.look, &tv);
}

/* ---- after a restart ---- */

void direct_take_up(struct dev *v)
{
	uint64_t at = hv_read_u64(host(v), 0, UINT64_MAX, "%s/window", v->at.back);

	if (!v->params.trusted || !target_controller(&v->target, v->direct.controller))
		return;
	v->direct.kept = at;
	v->direct.doorbells = at;
	if (direct_is(v)) {
		direct_watch(v);
		return;
	}
	direct_leave(v);
	if (!at)
		keepers_delete_any(v->dom->d, v->direct.controller, name_of(v));	/* of a switch back while no keeper was there */
}

struct sweep {
	struct daemon *d;
	char controller[16];
};

static void on_sweep(void *arg, int rc, const struct keep_msg *m, const struct hv_err *e)
{
	struct sweep *s = arg;
	struct hv_domain dom;

	for (uint32_t i = 0; !rc && i < m->has.n && i < KEEP_DEVICES; i++) {
		int gone = s->d->host->ops->domain(s->d->host, m->has.dev[i].domid, &dom);

		if (gone == -ESRCH || (!gone && dom.dying))
			keepers_delete(s->d, s->controller, m->has.dev[i], NULL, NULL);
	}
	free(s);
}

static void sweep(struct daemon *d, const char *controller)
{
	struct keep_msg q = { .type = KEEP_LIST };
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return;
	s->d = d;
	snprintf(s->controller, sizeof(s->controller), "%s", controller);
	if (keepers_ask(d, controller, &q, KEEP_HAS, on_sweep, s))
		free(s);
}

void direct_sweep(struct daemon *d)
{
	char dir[128];
	struct dirent *de;
	DIR *dp;

	snprintf(dir, sizeof(dir), "%s/keeper", d->opt.run);
	dp = opendir(dir);
	while (dp && (de = readdir(dp)))
		if (!strchr(de->d_name, '.'))		/* a socket, neither a list nor a lock */
			sweep(d, de->d_name);
	if (dp)
		closedir(dp);
}
