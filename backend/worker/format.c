// SPDX-License-Identifier: GPL-2.0-only
/* The queue formats that a worker serves: the same requests in other clothes. Each is parsed in libhvdrv/ring. */
#include "worker/worker.h"

/* ---- blkif: a ring whose entries the answers overwrite ---- */

static void blkif_take_up(struct wk_queue *q)
{
	hv_blkring_init(&q->ring, q->dev->layout, q->map, q->ring_pages);
}

static void blkif_renew(struct wk_queue *q, unsigned int begun)
{
	hv_blkring_renew(&q->ring, q->dev->layout, q->map, q->ring_pages, begun);
}

static int blkif_take(struct wk_queue *q, uint8_t *entry)
{
	return hv_blkring_take(&q->ring, entry);
}

static enum hv_reject blkif_parse(struct wk_queue *q, const uint8_t *entry, struct hv_blk_req *r, struct wk_fetch *f)
{
	const struct hv_blkif_layout *l = q->dev->layout;
	enum hv_reject why = hv_blkif_parse(l, &q->dev->lim, entry, r, &f->ref);

	f->len = !why && f->ref ? r->nseg * l->seg_stride : 0;
	return why;
}

static enum hv_reject blkif_fetched(struct wk_queue *q, const uint8_t *bytes, struct hv_blk_req *r)
{
	return hv_blkif_segments(q->dev->layout, &q->dev->lim, bytes, r);
}

static bool blkif_arm(struct wk_queue *q)
{
	return hv_blkring_arm(&q->ring);
}

static void blkif_answer(struct wk_queue *q, const struct hv_blk_req *r, enum hvdrv_status st)
{
	hv_blkring_answer(&q->ring, r->id, r->opcode, st);
}

static bool blkif_push(struct wk_queue *q)
{
	return hv_blkring_push(&q->ring);
}

/* ---- nvme: a queue of commands, a queue of completions ---- */

static void nvme_take_up(struct wk_queue *q)
{
	hv_nvmeq_take_up(&q->nvme, &hv_nvme_mediated, q->map, q->state);
}

static void nvme_renew(struct wk_queue *q, unsigned int begun)
{
	hv_nvmeq_init(&q->nvme, &hv_nvme_mediated, q->map, q->state, begun);
}

static int nvme_take(struct wk_queue *q, uint8_t *entry)
{
	return hv_nvmeq_take(&q->nvme, entry);
}

static enum hv_reject nvme_parse(struct wk_queue *q, const uint8_t *entry, struct hv_blk_req *r, struct wk_fetch *f)
{
	struct hv_blk_fetch need = { 0 };
	enum hv_reject why = hv_nvme_parse(&hv_nvme_mediated, &q->dev->lim, entry, r, &need);

	*f = (struct wk_fetch){ need.gref, need.len };
	return why;
}

static enum hv_reject nvme_fetched(struct wk_queue *q, const uint8_t *bytes, struct hv_blk_req *r)
{
	return hv_nvme_fetched(&hv_nvme_mediated, &q->dev->lim, bytes, r);
}

static bool nvme_arm(struct wk_queue *q)
{
	return hv_nvmeq_arm(&q->nvme);
}

static void nvme_answer(struct wk_queue *q, const struct hv_blk_req *r, enum hvdrv_status st)
{
	hv_nvmeq_answer(&q->nvme, r->id, st);
}

static bool nvme_push(struct wk_queue *q)
{
	return hv_nvmeq_push(&q->nvme);
}

/* ---- virtq: a split virtqueue, each request a table in the page of its tag ---- */

static void virtq_take_up(struct wk_queue *q)
{
	hv_virtq_init(&q->virtq, q->dev->virtq_layout, q->map, q->pages);
}

static void virtq_renew(struct wk_queue *q, unsigned int begun)
{
	hv_virtq_renew(&q->virtq, q->dev->virtq_layout, q->map, q->pages, begun);
}

static int virtq_take(struct wk_queue *q, uint8_t *entry)
{
	return hv_virtq_take(&q->virtq, entry);
}

static enum hv_reject virtq_parse(struct wk_queue *q, const uint8_t *entry, struct hv_blk_req *r, struct wk_fetch *f)
{
	struct hv_blk_fetch need = { 0 };
	enum hv_reject why = hv_virtq_parse(q->dev->virtq_layout, entry, r, &need);

	*f = (struct wk_fetch){ need.gref, need.len };
	return why;
}

static enum hv_reject virtq_fetched(struct wk_queue *q, const uint8_t *bytes, struct hv_blk_req *r)
{
	return hv_virtq_fetched(q->dev->virtq_layout, &q->dev->lim, bytes, r);
}

static bool virtq_arm(struct wk_queue *q)
{
	return hv_virtq_arm(&q->virtq);
}

static void virtq_answer(struct wk_queue *q, const struct hv_blk_req *r, enum hvdrv_status st)
{
	hv_virtq_answer(&q->virtq, r, st);
}

static bool virtq_push(struct wk_queue *q)
{
	return hv_virtq_push(&q->virtq);
}

/* ---- direct: the guest's own hardware queue; the worker is there for when it is not any more ---- */

static void direct_take_up(struct wk_queue *q)
{
}

static void direct_renew(struct wk_queue *q, unsigned int begun)
{
}

static int direct_take(struct wk_queue *q, uint8_t *entry)
{
	return 0;
}

static enum hv_reject direct_parse(struct wk_queue *q, const uint8_t *entry, struct hv_blk_req *r, struct wk_fetch *f)
{
	return HV_REJ_OPCODE;
}

static enum hv_reject direct_fetched(struct wk_queue *q, const uint8_t *bytes, struct hv_blk_req *r)
{
	return HV_REJ_OPCODE;
}

static bool direct_arm(struct wk_queue *q)
{
	return false;
}

static void direct_answer(struct wk_queue *q, const struct hv_blk_req *r, enum hvdrv_status st)
{
}

static bool direct_push(struct wk_queue *q)
{
	return false;
}

#define FORMAT(f, pages) { #f, pages, f##_take_up, f##_renew, f##_take, f##_parse, f##_fetched, f##_arm, f##_answer, f##_push }

const struct wk_format *wk_format(uint32_t format)
{
	static const struct wk_format formats[WIRE_FORMATS] = { [WIRE_BLKIF] = FORMAT(blkif, 1), [WIRE_NVME] = FORMAT(nvme, 2),
		[WIRE_VIRTQ] = FORMAT(virtq, HV_VIRTQ_PAGES), [WIRE_DIRECT] = FORMAT(direct, 0) };

	return format < WIRE_FORMATS ? &formats[format] : NULL;
}
