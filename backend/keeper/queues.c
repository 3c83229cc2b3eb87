// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order is everything: a queue is in the list before it is made, and its pages are mapped before that; its pages are unmapped
 * after it is deleted, and it leaves the list last. So at any death the list has at least all that there is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "keeper/keeper.h"
#include "nvme-id.h"
#include "util/log.h"

/* NVM Express Base Specification 2.0: opcodes and what they take */
#define ADMIN_DELETE_SQ 0x00
#define ADMIN_CREATE_SQ 0x01
#define ADMIN_DELETE_CQ 0x04
#define ADMIN_CREATE_CQ 0x05
#define ADMIN_IDENTIFY 0x06
#define ADMIN_GET_FEATURES 0x0a
#define FEATURE_QUEUES 7
#define CONTIGUOUS 1u			/* and no interrupts: the guest looks */
#define STATUS_MASK 0x7ff		/* type and code */
#define STATUS_NO_SUCH_CQ 0x100		/* some say this, others the next */
#define STATUS_NO_SUCH_QUEUE 0x101
#define STATUS_CQ_IN_USE 0x10c		/* by a submission queue: it stays */

static int check_status(int st, const char *what, uint32_t qid, struct hv_err *e)
{
	if (st < 0)
		return hv_err(e, -st, "%s %u: %s", what, qid, strerror(-st));
	return st ? hv_err(e, EIO, "%s %u: the controller says status 0x%x", what, qid, st & STATUS_MASK) : 0;
}

static int identify(struct keeper *k, uint32_t nsid, uint32_t cns, uint8_t *page, struct hv_err *e)
{
	return check_status(k->ops->admin(k->arg, ADMIN_IDENTIFY, nsid, page, HVDRV_PAGE, cns, 0, NULL), "Identify", cns, e);
}

/* Pairs of I/O queues that the kernel's driver uses: the first ones. -errno with e. */
static int kernels_queues(struct keeper *k, struct hv_err *e)
{
	int n = k->ops->kernel_queues(k->arg);

	return n < 0 ? hv_err(e, -n, "how many queues the kernel's driver uses is not known: %s", strerror(-n)) : n;
}

/* Pairs of I/O queues that the controller gave when the kernel's driver asked, and those that the driver uses. */
static int count_queues(struct keeper *k, uint32_t *granted, uint32_t *used, struct hv_err *e)
{
	uint32_t v = 0, sq, cq;
	int st = k->ops->admin(k->arg, ADMIN_GET_FEATURES, 0, NULL, 0, FEATURE_QUEUES, 0, &v);
	int n;

	if (st)
		return check_status(st, "Get Features", FEATURE_QUEUES, e);
	n = kernels_queues(k, e);
	if (n < 0)
		return n;
	sq = (v & 0xffff) + 1;
	cq = (v >> 16) + 1;
	*granted = sq < cq ? sq : cq;
	*used = n;
	return 0;
}

static bool is_taken(const struct keeper *k, uint32_t qid)
{
	const struct kept *p;

	TAILQ_FOREACH(p, &k->all, link)
		for (uint32_t i = 0; i < p->pages.num_queues; i++)
			if (p->qid[i] == qid)
				return true;
	return false;
}

int keeper_ask(struct keeper *k, uint32_t nsid, struct keep_controller *c, struct hv_err *e)
{
	uint8_t page[HVDRV_PAGE] __attribute__((aligned(4096)));
	int rc = count_queues(k, &c->granted, &c->used, e);

	if (!rc)
		rc = identify(k, 0, 1, page, e);
	if (rc)
		return rc;
	c->spare = 0;
	for (uint32_t q = c->used + 1; q <= c->granted; q++)
		c->spare += !is_taken(k, q);
	c->mdts = page[77];
	c->oacs = page[256] | page[257] << 8;
	c->oncs = page[520] | page[521] << 8;
	rc = identify(k, nsid, 0, page, e);
	if (!rc) {
		const uint8_t *lbaf = nvme_lba_format(page);

		c->metadata = lbaf[0] | lbaf[1] << 8;
	}
	return rc;
}

static struct kept *find(struct keeper *k, const struct keep_device *dev)
{
	struct kept *p;

	TAILQ_FOREACH(p, &k->all, link)
		if (p->dev.domid == dev->domid && p->dev.id == dev->id)
			return p;
	return NULL;
}

static int choose_queues(struct keeper *k, struct kept *p, struct hv_err *e)
{
	uint32_t granted, used, n = 0;
	int rc = count_queues(k, &granted, &used, e);

	if (rc)
		return rc;
	for (uint32_t q = used + 1; q <= granted && n < p->pages.num_queues; q++)
		if (!is_taken(k, q))
			p->qid[n++] = q;
	return n == p->pages.num_queues ? 0 : hv_err(e, ENOSPC, "the controller has %u spare queues, %u are needed", n, p->pages.num_queues);
}

static int make_queue(struct keeper *k, struct kept *p, uint32_t i, struct hv_err *e)
{
	uint8_t *pages = p->map + (size_t)i * p->pages.queue_pages * HVDRV_PAGE;
	uint32_t qid = p->qid[i], size = (KEEP_ENTRIES - 1) << 16 | qid;
	int rc = check_status(k->ops->admin(k->arg, ADMIN_CREATE_CQ, 0, pages + HVDRV_PAGE, HVDRV_PAGE, size, CONTIGUOUS, NULL),
			      "Create I/O Completion Queue", qid, e);

	return rc ? rc : check_status(k->ops->admin(k->arg, ADMIN_CREATE_SQ, 0, pages, HVDRV_PAGE, size, CONTIGUOUS | qid << 16, NULL),
				      "Create I/O Submission Queue", qid, e);
}

static bool no_such(int st)
{
	return st > 0 && ((st & STATUS_MASK) == STATUS_NO_SUCH_CQ || (st & STATUS_MASK) == STATUS_NO_SUCH_QUEUE);
}

/* One that is not there is deleted. */
static int delete_queue(struct keeper *k, uint8_t opcode, uint32_t qid, struct hv_err *e)
{
	int st = k->ops->admin(k->arg, opcode, 0, NULL, 0, qid, 0, NULL);

	if (no_such(st))
		return 0;
	return check_status(st, opcode == ADMIN_DELETE_SQ ? "Delete I/O Submission Queue" : "Delete I/O Completion Queue", qid, e);
}

/* The submission queue first: after it the controller has ended, or forgotten, all that came by it. */
static int delete_queues(struct keeper *k, const struct kept *p, struct hv_err *e)
{
	int rc = 0, kernels = kernels_queues(k, e);

	if (kernels < 0)
		return kernels;
	for (uint32_t i = 0; i < p->pages.num_queues; i++) {
		int st;

		if (p->qid[i] <= (uint32_t)kernels)
			continue;	/* taken by the kernel's driver, after a reset: ours has gone */
		st = delete_queue(k, ADMIN_DELETE_SQ, p->qid[i], e);

		if (!st)
			st = delete_queue(k, ADMIN_DELETE_CQ, p->qid[i], e);
		rc = rc ? rc : st;
	}
	return rc;
}

static int drop(struct keeper *k, struct kept *p, struct hv_err *e)
{
	int rc = delete_queues(k, p, e);

	p->going = rc;
	if (rc)
		return rc;		/* mapped it stays: the controller may write there */
	if (p->map)
		k->ops->unmap(k->arg, p->map, p->pages.num_pages);
	TAILQ_REMOVE(&k->all, p, link);
	free(p);
	rc = keeper_list_write(k->file, &k->all);
	return rc ? hv_err(e, -rc, "%s: %s", k->file, strerror(-rc)) : 0;
}

static int make(struct keeper *k, struct kept *p, struct hv_err *e)
{
	int rc = choose_queues(k, p, e);

	if (rc)
		return rc;
	p->map = k->ops->map(k->arg, p->dev.domid, p->pages.ref, p->pages.num_pages);
	if (!p->map)
		return hv_err(e, errno, "the guest's pages cannot be mapped: %s", strerror(errno));
	TAILQ_INSERT_TAIL(&k->all, p, link);
	rc = keeper_list_write(k->file, &k->all);
	if (rc) {
		k->ops->unmap(k->arg, p->map, p->pages.num_pages);
		TAILQ_REMOVE(&k->all, p, link);
		return hv_err(e, -rc, "%s: %s", k->file, strerror(-rc));
	}
	return 0;
}

static bool is_sane(const struct keep_add *a)
{
	return a->num_queues && a->num_queues <= HVDRV_MAX_QUEUES && a->queue_pages >= 2 && a->queue_pages <= HVDRV_MAX_QUEUE_PAGES &&
	       a->num_pages <= KEEP_PAGES && a->num_pages >= a->num_queues * a->queue_pages;
}

int keeper_add(struct keeper *k, const struct keep_device *dev, const struct keep_add *pages, uint32_t qid[HVDRV_MAX_QUEUES],
	       struct hv_err *e)
{
	struct hv_err ignored = { 0 };
	unsigned int n = 0;
	struct kept *p;
	int rc;

	TAILQ_FOREACH(p, &k->all, link)
		n++;
	if (!is_sane(pages) || n == KEEP_DEVICES)
		return hv_err(e, EINVAL, "%u queues of %u pages, %u pages in all, beside %u devices", pages->num_queues,
			      pages->queue_pages, pages->num_pages, n);
	/* of a question whose answer came too late: hvdrvd does not know of them */
	rc = keeper_del(k, dev, e);
	if (rc)
		return rc;
	p = calloc(1, sizeof(*p));
	if (!p)
		return hv_err(e, ENOMEM, "no memory");
	p->dev = *dev;
	p->pages = *pages;
	rc = make(k, p, e);
	if (rc) {
		free(p);
		return rc;
	}
	for (uint32_t i = 0; !rc && i < pages->num_queues; i++)
		rc = make_queue(k, p, i, e);
	if (rc) {
		drop(k, p, &ignored);	/* what cannot be deleted now is tried again */
		return rc;
	}
	memcpy(qid, p->qid, sizeof(p->qid));
	return 0;
}

int keeper_del(struct keeper *k, const struct keep_device *dev, struct hv_err *e)
{
	struct kept *p = find(k, dev);

	return p ? drop(k, p, e) : 0;
}

/*
 * A completion queue that has a submission queue cannot be deleted: so a command to delete it says whether it is there, and changes
 * nothing. 1, 0; -1: not known.
 */
static int is_there(struct keeper *k, uint32_t qid)
{
	int st = k->ops->admin(k->arg, ADMIN_DELETE_CQ, 0, NULL, 0, qid, 0, NULL);

	if (!st || no_such(st))
		return 0;		/* without its submission queue it is of no use, either */
	return st > 0 && (st & STATUS_MASK) == STATUS_CQ_IN_USE ? 1 : -1;
}

/* Of all its queues the least. One with a number of the kernel's is not ours any more. */
static int has_queues(struct keeper *k, const struct kept *p, int kernels)
{
	int all = 1;

	for (uint32_t i = 0; all > 0 && i < p->pages.num_queues; i++)
		all = p->qid[i] <= (uint32_t)kernels ? 0 : is_there(k, p->qid[i]);
	return all;
}

bool keeper_check(struct keeper *k)
{
	int kernels = k->ops->kernel_queues(k->arg), there;
	bool again = kernels < 0;
	struct kept *p;

	TAILQ_FOREACH(p, &k->all, link) {
		struct hv_about a = { .domid = p->dev.domid };

		if (p->lost || p->going || kernels < 0)
			continue;
		there = has_queues(k, p, kernels);
		again |= there < 0;
		p->lost = !there;
		if (p->lost)
			hv_log(HV_WARN, &a, "the controller has been reset: device %u has no queues any more", p->dev.id);
	}
	return again;
}

bool keeper_retry(struct keeper *k)
{
	struct kept *p, *next;
	struct hv_err e = { 0 };
	bool left = false;

	TAILQ_FOREACH_SAFE(p, &k->all, link, next)
		left |= p->going && drop(k, p, &e);
	return left;
}

/* The list cannot be read: nobody knows whose they are, but the kernel's are not among them. */
static int delete_all_spare(struct keeper *k, struct hv_err *e)
{
	uint32_t granted, used;
	int rc = count_queues(k, &granted, &used, e);

	for (uint32_t q = used + 1; !rc && q <= granted; q++) {
		rc = delete_queue(k, ADMIN_DELETE_SQ, q, e);
		if (!rc)
			rc = delete_queue(k, ADMIN_DELETE_CQ, q, e);
	}
	return rc;
}

int keeper_recover(struct keeper *k, struct hv_err *e)
{
	struct kept *p, *next;
	int rc = keeper_list_read(k->file, &k->all, e);

	if (rc == -EINVAL) {
		hv_log(HV_ERROR, NULL, "%s; all queues that are not the kernel's are deleted", e->text);
		rc = delete_all_spare(k, e);
		return rc ? rc : keeper_list_write(k->file, &k->all);
	}
	if (rc)
		return rc;
	TAILQ_FOREACH_SAFE(p, &k->all, link, next) {
		struct hv_err why = { 0 };
		struct hv_about a = { .domid = p->dev.domid };

		p->map = k->ops->map(k->arg, p->dev.domid, p->pages.ref, p->pages.num_pages);
		if (p->map)
			hv_log(HV_INFO, &a, "the queues of device %u are kept on", p->dev.id);
		else if (drop(k, p, &why))
			hv_log(HV_ERROR, &a, "a queue of device %u is not deleted: %s", p->dev.id, why.text);
		else
			hv_log(HV_WARN, &a, "its guest has gone: the queues of a device are deleted");
	}
	return 0;
}
