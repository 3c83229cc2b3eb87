// SPDX-License-Identifier: GPL-2.0-only
/*
 * May a device have hardware queues? Each reason why not. What only hvdrv-keeper knows, of the controller, is asked for, and known for
 * a moment; until it is known the answer is -EINPROGRESS.
 */
#include <errno.h>
#include <string.h>
#include "daemon.h"

#define FACTS_NS 1000000000ll		/* so long what the keeper said is believed */

/* NVM Express Base Specification 2.0 */
#define OACS_DOORBELLS (1u << 8)	/* Doorbell Buffer Config: the controller may look at memory, and not at doorbells */
#define ONCS_DISCARD (1u << 2)
#define ONCS_WRITE_ZEROES (1u << 3)

static struct hv_host *host(const struct dev *v)
{
	return v->dom->d->host;
}

/* Another guest's device, with a part of the controller. */
static bool has_part(const struct dev *v, const struct dev *o, const char *controller)
{
	char other[16];

	return o->dom != v->dom && target_controller(&o->target, other) && !strcmp(other, controller);
}

bool direct_shares(const struct dev *v, const struct dev *o)
{
	char controller[16];

	return o->target.fd >= 0 && v->target.fd >= 0 && target_controller(&v->target, controller) && has_part(v, o, controller);
}

/* Another guest's device with any part of the controller; kept: that has hardware queues of it. */
static const struct dev *beside(const struct dev *v, const char *controller, bool kept)
{
	struct dom *dom;
	struct dev *o;

	TAILQ_FOREACH(dom, &v->dom->d->doms, link)
		TAILQ_FOREACH(o, &dom->devs, link)
			if ((kept ? o->direct.kept : o->target.fd >= 0) && has_part(v, o, controller))
				return o;
	return NULL;
}

const struct dev *direct_neighbour(const struct dev *v)
{
	char controller[16];

	return target_controller(&v->target, controller) ? beside(v, controller, true) : NULL;
}

bool direct_undeleted(const struct dev *v, char *controller)
{
	return target_controller(&v->target, controller) && keepers_owe(v->dom->d, controller, v->id.domid);
}

static int check_device(const struct dev *v, struct target_nvme *n, struct hv_err *e)
{
	const struct dev *o;

	if (!v->params.trusted)
		return hv_err(e, EPERM, "it was not attached with trusted=1: a guest with a hardware queue reaches the whole controller and the "
			      "host's memory");
	if (v->target.window)
		return hv_err(e, EINVAL, "it is a range of its backend: a hardware queue reaches the whole controller");
	if (target_namespace(&v->target, n))
		return hv_err(e, ENODEV, "%s is not a whole namespace of an NVMe controller", v->params.backend);
	if (v->params.ro)
		return hv_err(e, EINVAL, "it is read-only: nothing keeps a hardware queue from writing");
	if (v->params.depth)
		return hv_err(e, EINVAL, "its requests go by turns (depth=): a hardware queue waits for nobody");
	if (v->params.shared)
		return hv_err(e, EINVAL, "it is shared: a hardware queue is for one guest alone");
	o = beside(v, n->controller, false);
	return o ? hv_err(e, EBUSY, "%s has a part of %s as %s: a hardware queue reaches it, too", o->dom->name, n->controller, o->params.name) : 0;
}

static int check_guest(const struct dev *v, struct hv_err *e)
{
	uint32_t pool = v->offer.pool_pages / v->offer.num_queues;
	struct hv_domain d;

	if (host(v)->ops->domain(host(v), v->id.domid, &d))
		return hv_err(e, ESRCH, "the guest is going");
	if (d.hvm)
		return hv_err(e, ENOTSUP, "it is not a PV guest: only those know the machine addresses of their memory");
	if (v->offer.abi < HVDRV_ABI_WINDOW)
		return hv_err(e, EPROTO, "the guest's hvdrv speaks version %u of the contract, a hardware queue needs %u: update it in the guest",
			      v->offer.abi, HVDRV_ABI_WINDOW);
	if (pool < HVDRV_MAX_SEGS)
		return hv_err(e, ENOSPC, "the guest's pool has %u pages a queue, a request may need %u: load its hvdrv with a larger pool_pages",
			      pool, HVDRV_MAX_SEGS);
	return 0;
}

/* Registers: are the queues as large as ours, and the doorbells of all that there may be in their first page? */
static int check_registers(const struct dev *v, const struct target_nvme *n, struct hv_err *e)
{
	uint64_t frame = n->registers / HVDRV_PAGE, cap;
	volatile uint32_t *r = host(v)->ops->map_frames(host(v), HV_DOMID_IO, &frame, 1);

	if (!r)
		return hv_err(e, EIO, "the registers of %s cannot be mapped: %s", n->controller, strerror(errno));
	cap = r[0] | (uint64_t)r[1] << 32;
	host(v)->ops->unmap_frames(host(v), (void *)r, 1);
	if ((cap & 0xffff) + 1 < KEEP_ENTRIES)
		return hv_err(e, ERANGE, "the queues of %s have %u entries at most, %u are needed", n->controller, (uint32_t)(cap & 0xffff) + 1,
			      KEEP_ENTRIES);
	if (cap >> 32 & 15)
		return hv_err(e, ENOTSUP, "the doorbells of %s are not beside each other (CAP.DSTRD is %u)", n->controller, (uint32_t)(cap >> 32 & 15));
	return 0;
}

static int check_controller(const struct dev *v, const struct target_nvme *n, const struct keep_controller *c, struct hv_err *e)
{
	if (c->oacs & OACS_DOORBELLS)
		return hv_err(e, ENOTSUP, "%s has Doorbell Buffer Config: it may not look at the doorbells of other queues than the kernel's",
			      n->controller);
	if (c->metadata)
		return hv_err(e, ENOTSUP, "the blocks of %s have %u bytes of metadata", v->params.backend, c->metadata);
	if (c->mdts && c->mdts < 6)
		return hv_err(e, ERANGE, "%s is narrower than the guest's disk: a transfer has %u pages at most", n->controller, 1u << c->mdts);
	if ((v->target.discard && !(c->oncs & ONCS_DISCARD)) || !(c->oncs & ONCS_WRITE_ZEROES))
		return hv_err(e, ERANGE, "%s is narrower than the guest's disk: it has no %s", n->controller,
			      c->oncs & ONCS_WRITE_ZEROES ? "discard" : "write-zeroes");
	if (c->spare < v->offer.num_queues)
		return hv_err(e, ENOSPC, "%s has given %u queues, the kernel uses %u, %u are spare, the guest needs %u: load nvme with poll_queues=%u",
			      n->controller, c->granted, c->used, c->spare, v->offer.num_queues, v->offer.num_queues);
	return 0;
}

static void on_facts(void *arg, int rc, const struct keep_msg *a, const struct hv_err *e)
{
	struct dev *v = arg;
	struct direct_facts *f = &v->direct.facts;

	f->asked = false;
	f->rc = rc;
	f->e = *e;
	if (!rc)
		f->controller = a->controller;
	f->known_ns = hv_now_ns();
	if (f->poke)
		policy_poke(v->dom->d);
	f->poke = false;
}

static int ask_controller(struct dev *v, const struct target_nvme *n, struct hv_err *e)
{
	struct keep_msg q = { .type = KEEP_ASK, .nsid = n->nsid };
	struct direct_facts *f = &v->direct.facts;

	if (!f->asked && (!f->known_ns || hv_now_ns() - f->known_ns > FACTS_NS)) {
		if (keepers_ask(v->dom->d, n->controller, &q, KEEP_CONTROLLER, on_facts, v))
			return hv_err(e, ENOMEM, "no memory");
		f->asked = true;
	}
	if (f->asked)
		return -EINPROGRESS;
	if (f->rc)
		*e = f->e;
	return f->rc ? f->rc : check_controller(v, n, &f->controller, e);
}

void direct_ask_anew(struct dev *v)
{
	v->direct.facts.known_ns = 0;
}

int direct_check(struct dev *v, struct hv_err *e)
{
	struct target_nvme n;
	int rc = check_device(v, &n, e);

	if (!rc)
		rc = check_guest(v, e);
	if (!rc && (v->direct.kept || v->direct.adding))
		return 0;			/* it has them already, or is about to */
	if (!rc)
		rc = check_registers(v, &n, e);
	return rc ? rc : ask_controller(v, &n, e);
}

int direct_wanted(struct dev *v)
{
	struct hv_err e = { 0 };
	int rc = v->params.trusted && v->phase == DEV_LIVE ? direct_check(v, &e) : -EPERM;

	v->direct.facts.poke |= rc == -EINPROGRESS;
	return rc == -EINPROGRESS ? rc : !rc;
}
