/* SPDX-License-Identifier: LGPL-2.1-only */
/* Class block behind its queue formats: what a request is once it is checked, and what it was checked against. */
#ifndef HV_RING_BLK_H
#define HV_RING_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <hvdrv/abi.h>

struct hv_blkif_limits {
	uint64_t sectors;			/* of 512 bytes */
	uint32_t block;				/* logical block, 512 or 4096: every range is a multiple of it */
	uint32_t max_segs, max_bytes;
	bool read_only, flush, fua, discard, write_zeroes;
};

/* Why a request was turned away. HV_REJ_RING ends the device, the others fail the request. */
enum hv_reject {
	HV_REJ_NONE,
	HV_REJ_OPCODE,		/* no such operation, or not offered */
	HV_REJ_SEGMENTS,	/* no segment, or too many */
	HV_REJ_SEGMENT,		/* begins after its end, or leaves its page */
	HV_REJ_RANGE,		/* beyond the end of the device, or empty */
	HV_REJ_ALIGN,		/* not a multiple of the logical block */
	HV_REJ_READ_ONLY,
	HV_REJ_INDIRECT,	/* indirect request of something that has no data */
	HV_REJ_INDIRECT_PAGE,	/* its page of segments, PRPs or a range cannot be read */
	HV_REJ_DATA_PAGE,	/* a page of its data cannot be copied */
	HV_REJ_NAMESPACE,	/* a namespace that there is not */
	HV_REJ_RING,		/* the queue's index is beyond the queue */
	HV_REJECTS
};
const char *hv_reject_name(enum hv_reject r);

struct hv_blk_seg {
	uint32_t gref;
	uint16_t off, len;
};

struct hv_blk_req {
	uint64_t id;				/* the guest's: sent back as it is */
	uint8_t opcode;				/* as in the queue */
	uint8_t op;				/* enum hvdrv_op */
	bool fua;
	uint16_t nseg;
	uint64_t sector, sectors;
	struct hv_blk_seg seg[HVDRV_MAX_SEGS];
};

/* A field of a copied entry; little endian, as the guest's. */
static inline uint64_t hv_blk_get(const uint8_t *p, size_t size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

static inline enum hv_reject hv_blk_check_range(const struct hv_blkif_limits *lim, const struct hv_blk_req *r)
{
	uint32_t mask = lim->block / HVDRV_SECTOR - 1;

	if (!r->sectors || r->sectors > lim->sectors || r->sector > lim->sectors - r->sectors)
		return HV_REJ_RANGE;
	return (r->sector | r->sectors) & mask ? HV_REJ_ALIGN : HV_REJ_NONE;
}

#endif
