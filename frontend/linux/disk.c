// SPDX-License-Identifier: GPL-2.0-only
/* The blk-mq disk: requests become records, completions end them. No queue format is known here. */
#include "stub.h"
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/version.h>
#include <xen/page.h>

struct hv_cmd {
	u16 nseg;
	u8 status;
	bool pooled;
	union {
		grant_ref_t ref[HVDRV_MAX_SEGS];
		u16 page[HVDRV_MAX_SEGS];	/* of the queue's pool */
	};
};

static int op_of(struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_READ: return HVDRV_OP_READ;
	case REQ_OP_WRITE: return HVDRV_OP_WRITE;
	case REQ_OP_FLUSH: return HVDRV_OP_FLUSH;
	case REQ_OP_DISCARD: return HVDRV_OP_DISCARD;
	case REQ_OP_WRITE_ZEROES: return HVDRV_OP_WRITE_ZEROES;
	default: return -EOPNOTSUPP;
	}
}

/* Pages of the request, joined where they go on in the same page. -ENOBUFS when the block layer broke the limits. */
static int fill_segs(struct request *rq, struct hvdrv_record *rec)
{
	struct page *last = NULL;
	struct req_iterator it;
	struct bio_vec bv;
	int n = 0;

	rq_for_each_segment(bv, rq, it) {
		struct hvdrv_seg *s = &rec->seg[n - 1];

		if (n && bv.bv_page == last && s->off + s->len == bv.bv_offset) {
			s->len += bv.bv_len;
			continue;
		}
		if (n == HVDRV_MAX_SEGS)
			return -ENOBUFS;
		rec->seg[n++] = (struct hvdrv_seg){
			.gfn = xen_page_to_gfn(bv.bv_page), .off = bv.bv_offset, .len = bv.bv_len,
		};
		last = bv.bv_page;
	}
	return n;
}

static int grant_segs(struct hv_queue *q, struct request *rq, struct hvdrv_record *rec)
{
	struct hv_cmd *cmd = blk_mq_rq_to_pdu(rq);
	grant_ref_t pool;
	unsigned int i;
	int ro = rq_data_dir(rq) == WRITE;

	atomic_inc(&q->dev->granted);	/* before we look whether it may be: who asks for the window waits for the count */
	smp_mb__after_atomic();
	if (READ_ONCE(q->dev->window) || gnttab_alloc_grant_references(rec->nseg, &pool)) {
		atomic_dec(&q->dev->granted);
		return -ENOSPC;
	}
	for (i = 0; i < rec->nseg; i++) {
		int ref = gnttab_claim_grant_reference(&pool);

		gnttab_grant_foreign_access_ref(ref, q->dev->xb->otherend_id, rec->seg[i].gfn, ro);
		rec->seg[i].gref = cmd->ref[i] = ref;
	}
	cmd->nseg = rec->nseg;
	atomic_add(rec->nseg, &hv_count.grants);
	return 0;
}

/* Between the request's pages and those of the pool; each segment keeps its place in its page. */
static void copy_pooled(struct hv_queue *q, struct request *rq, bool to_pool)
{
	const struct hvdrv_record *rec = hv_record(q, rq->tag);
	struct hv_cmd *cmd = blk_mq_rq_to_pdu(rq);
	unsigned int i = 0, done = 0;
	struct req_iterator it;
	struct bio_vec bv;

	rq_for_each_segment(bv, rq, it) {
		char *page;

		if (WARN_ON_ONCE(i == cmd->nseg))
			return;
		page = page_address(q->pool.mem.page[cmd->page[i]]) + bv.bv_offset;
		if (to_pool)
			memcpy_from_bvec(page, &bv);
		else
			memcpy_to_bvec(&bv, page);
		done += bv.bv_len;
		if (done == rec->seg[i].len) {
			done = 0;
			i++;
		}
	}
}

static bool pool_segs(struct hv_queue *q, struct request *rq, struct hvdrv_record *rec)
{
	struct hv_cmd *cmd = blk_mq_rq_to_pdu(rq);
	unsigned int i;

	if (!(READ_ONCE(q->dev->use_pool) || READ_ONCE(q->dev->window)) || !hv_pool_take(q, rec->nseg, cmd->page))
		return false;
	cmd->pooled = true;
	cmd->nseg = rec->nseg;
	for (i = 0; i < rec->nseg; i++) {
		rec->seg[i].gref = q->pool.mem.ref[cmd->page[i]];
		rec->seg[i].gfn = xen_page_to_gfn(q->pool.mem.page[cmd->page[i]]);
	}
	if (rq_data_dir(rq) == WRITE)
		copy_pooled(q, rq, true);
	return true;
}

/* What the request's data was carried in, back. */
static void end_data(struct hv_queue *q, struct request *rq)
{
	struct hv_cmd *cmd = blk_mq_rq_to_pdu(rq);
	unsigned int i;

	if (cmd->pooled) {
		hv_pool_put(q, cmd->nseg, cmd->page);
		cmd->pooled = false;
		cmd->nseg = 0;
		return;
	}

	if (!cmd->nseg)
		return;
	atomic_dec(&q->dev->granted);
	/* no page is passed: it belongs to the request; a host that still copies keeps only the reference busy */
	for (i = 0; i < cmd->nseg; i++)
		gnttab_end_foreign_access(cmd->ref[i], NULL);
	atomic_sub(cmd->nseg, &hv_count.grants);
	cmd->nseg = 0;
}

static blk_status_t fill_record(struct hv_queue *q, struct request *rq)
{
	struct hvdrv_record *rec = hv_record(q, rq->tag);
	struct hv_cmd *cmd = blk_mq_rq_to_pdu(rq);
	int op = op_of(rq), n = 0;

	if (op < 0)
		return BLK_STS_NOTSUPP;
	rec->op = op;
	rec->flags = rq->cmd_flags & REQ_FUA ? HVDRV_F_FUA : 0;
	rec->status = 0;
	rec->sector = op == HVDRV_OP_FLUSH ? 0 : blk_rq_pos(rq);
	rec->sectors = blk_rq_sectors(rq);
	if (op == HVDRV_OP_READ || op == HVDRV_OP_WRITE)
		n = fill_segs(rq, rec);
	if (n < 0)
		return BLK_STS_IOERR;
	rec->nseg = n;
	cmd->nseg = 0;
	cmd->pooled = false;
	if (n && !pool_segs(q, rq, rec) && grant_segs(q, rq, rec))
		return BLK_STS_RESOURCE;		/* a page that comes back runs the queue again */
	return BLK_STS_OK;
}

static blk_status_t queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct hv_queue *q = hctx->driver_data;
	struct request *rq = bd->rq;
	blk_status_t st;

	st = fill_record(q, rq);
	if (st != BLK_STS_OK)
		goto out;
	blk_mq_start_request(rq);
	atomic_inc(&hv_count.requests);
	st = hv_queue_submit(q, rq->tag, bd->last);
	if (st != BLK_STS_OK) {
		atomic_dec(&hv_count.requests);
		end_data(q, rq);
	}
out:
	/* blk-mq calls no commit_rqs when the last of a batch was refused */
	if (st != BLK_STS_OK)
		hv_queue_flush_notify(q);
	return st;
}

static void commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	hv_queue_flush_notify(hctx->driver_data);
}

void hv_disk_done(struct hv_queue *q, unsigned int tag, u8 status)
{
	struct request *rq = blk_mq_tag_to_rq(q->dev->tags.tags[q->index], tag);
	struct hv_cmd *cmd = blk_mq_rq_to_pdu(rq);

	cmd->status = status;
	blk_mq_complete_request(rq);
}

static void complete_rq(struct request *rq)
{
	static const blk_status_t as[] = {
		[HVDRV_ST_OK] = BLK_STS_OK, [HVDRV_ST_IOERR] = BLK_STS_IOERR,
		[HVDRV_ST_UNSUPPORTED] = BLK_STS_NOTSUPP, [HVDRV_ST_NOSPC] = BLK_STS_NOSPC,
	};
	struct hv_cmd *cmd = blk_mq_rq_to_pdu(rq);
	struct hv_queue *q = rq->mq_hctx->driver_data;
	u8 st = cmd->status;

	if (cmd->pooled) {
		atomic64_inc(&hv_count.pooled);
		if (st == HVDRV_ST_OK && rq_data_dir(rq) == READ)
			copy_pooled(q, rq, false);
	}
	end_data(q, rq);
	atomic_dec(&hv_count.requests);
	atomic64_inc(&hv_count.completed);
	blk_mq_end_request(rq, st < ARRAY_SIZE(as) ? as[st] : BLK_STS_IOERR);
}

static int init_hctx(struct blk_mq_hw_ctx *hctx, void *data, unsigned int i)
{
	struct hv_dev *hv = data;

	hctx->driver_data = &hv->queue[i];
	hv->queue[i].hctx = hctx;
	return 0;
}

static const struct blk_mq_ops mq_ops = {
	.queue_rq = queue_rq,
	.commit_rqs = commit_rqs,
	.complete = complete_rq,
	.init_hctx = init_hctx,
};

/* Called with disk->open_mutex held, as the check in device.c is: a detach and an open cannot both win. */
static int open_disk(struct gendisk *disk)
{
	struct hv_dev *hv = disk->private_data;

	return READ_ONCE(hv->closing) ? -ENXIO : 0;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
static int disk_open(struct block_device *bdev, fmode_t mode)
{
	return open_disk(bdev->bd_disk);
}
#else
static int disk_open(struct gendisk *disk, blk_mode_t mode)
{
	return open_disk(disk);
}
#endif

static const struct block_device_operations disk_ops = {
	.owner = THIS_MODULE,
	.open = disk_open,
};

/* The name that the admin gave; udev makes /dev/disk/by-id/hvdrv-NAME of it. */
static ssize_t serial_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct hv_dev *hv = dev_to_disk(dev)->private_data;

	return sysfs_emit(buf, "%s\n", hv->name);
}
static DEVICE_ATTR_RO(serial);
static struct attribute *disk_attrs[] = { &dev_attr_serial.attr, NULL };
ATTRIBUTE_GROUPS(disk);

static void disk_name(struct hv_dev *hv)
{
	char *p = hv->disk->disk_name + sprintf(hv->disk->disk_name, "hvd");

	if (hv->id >= 26)
		*p++ = 'a' + hv->id / 26 % 26 - 1;
	*p++ = 'a' + hv->id % 26;
	*p = 0;
}

int hv_disk_add(struct hv_dev *hv)
{
	struct gendisk *disk;
	int rc;

	hv->tags = (struct blk_mq_tag_set){
		.ops = &mq_ops, .nr_hw_queues = hv->nq, .queue_depth = hv->lim.depth, .numa_node = NUMA_NO_NODE,
		.cmd_size = sizeof(struct hv_cmd), .flags = BLK_MQ_F_SHOULD_MERGE, .driver_data = hv,
	};
	rc = blk_mq_alloc_tag_set(&hv->tags);
	if (rc)
		return rc;
	disk = hv_disk_alloc(hv);
	if (IS_ERR(disk)) {
		blk_mq_free_tag_set(&hv->tags);
		return PTR_ERR(disk);
	}
	hv->disk = disk;
	disk->private_data = hv;
	disk->fops = &disk_ops;
	disk_name(hv);
	set_disk_ro(disk, hv->lim.read_only);
	set_capacity(disk, hv->sectors);
	rc = xenbus_printf(XBT_NIL, hv->xb->nodename, "disk", "%s", disk->disk_name);
	if (!rc)
		rc = device_add_disk(&hv->xb->dev, disk, disk_groups);
	if (rc) {
		put_disk(disk);
		blk_mq_free_tag_set(&hv->tags);
		hv->disk = NULL;
		return rc;
	}
	atomic_inc(&hv_count.disks);
	return 0;
}

void hv_disk_del(struct hv_dev *hv)
{
	if (!hv->disk)
		return;
	del_gendisk(hv->disk);
	put_disk(hv->disk);
	blk_mq_free_tag_set(&hv->tags);
	hv->disk = NULL;
	atomic_dec(&hv_count.disks);
}

static bool fail_one(struct request *rq, void *data)
{
	struct hv_queue *q = rq->mq_hctx->driver_data;

	if (hv_queue_forget(q, rq->tag))
		hv_disk_done(q, rq->tag, HVDRV_ST_IOERR);
	return true;
}

void hv_disk_kill(struct hv_dev *hv)
{
	hv_queues_kill(hv);
	if (!hv->disk)
		return;
	blk_mark_disk_dead(hv->disk);
	blk_mq_tagset_busy_iter(&hv->tags, fail_one, NULL);
}

void hv_disk_resize(struct hv_dev *hv)
{
	set_capacity_and_notify(hv->disk, hv->sectors);
}
