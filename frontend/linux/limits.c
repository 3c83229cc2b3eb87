// SPDX-License-Identifier: GPL-2.0-only
/* A disk with the class's limits, as this kernel's block layer takes them: one by one afterwards, or all of them at once. */
#include "stub.h"
#include <linux/blkdev.h>
#include <linux/version.h>

/* One segment is one page, and only the first and the last may be partial: any driver can express it. */
#define BOUNDARY (PAGE_SIZE - 1)

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)

static void set_limits(struct request_queue *q, const struct hv_limits *l)
{
	blk_queue_logical_block_size(q, l->block_size);
	blk_queue_max_hw_sectors(q, l->max_bytes >> SECTOR_SHIFT);
	blk_queue_max_segments(q, l->max_segments);
	blk_queue_virt_boundary(q, BOUNDARY);
	blk_queue_segment_boundary(q, BOUNDARY);
	blk_queue_write_cache(q, l->flush, l->fua);
	if (l->discard_granularity) {
		q->limits.discard_granularity = l->discard_granularity;
		blk_queue_max_discard_sectors(q, UINT_MAX >> SECTOR_SHIFT);
	}
	if (l->write_zeroes)		/* no more than any later driver of the class can express */
		blk_queue_max_write_zeroes_sectors(q, HVDRV_MAX_ZERO_SECTORS);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
}

struct gendisk *hv_disk_alloc(struct hv_dev *hv)
{
	struct gendisk *disk = blk_mq_alloc_disk(&hv->tags, hv);

	if (!IS_ERR(disk))
		set_limits(disk->queue, &hv->lim);
	return disk;
}

#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)

struct gendisk *hv_disk_alloc(struct hv_dev *hv)
{
	const struct hv_limits *l = &hv->lim;
	struct queue_limits lim = {
		.logical_block_size = l->block_size,
		.max_hw_sectors = l->max_bytes >> SECTOR_SHIFT,
		.max_segments = l->max_segments,
		.virt_boundary_mask = BOUNDARY,
		.seg_boundary_mask = BOUNDARY,
		.features = (l->flush ? BLK_FEAT_WRITE_CACHE : 0) | (l->flush && l->fua ? BLK_FEAT_FUA : 0),
		/* no more than any later driver of the class can express */
		.max_write_zeroes_sectors = l->write_zeroes ? HVDRV_MAX_ZERO_SECTORS : 0,
	};

	if (l->discard_granularity) {
		lim.discard_granularity = l->discard_granularity;
		lim.max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
	}
	return blk_mq_alloc_disk(&hv->tags, &lim, hv);
}

#else
#error "hvdrv: Linux 6.9 and 6.10 take a disk's limits in a way of their own, which is not known here"
#endif
