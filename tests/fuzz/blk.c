// SPDX-License-Identifier: GPL-2.0-only
#include "blk.h"

uint8_t blk_limits(struct input *in, struct hv_blkif_limits *lim)
{
	uint8_t flags = in_u8(in);

	lim->read_only = flags & 1;
	lim->flush = flags & 2;
	lim->fua = flags & 4;
	lim->discard = flags & 8;
	lim->write_zeroes = flags & 16;
	lim->block = flags & 32 ? 4096 : 512;
	lim->sectors = in_u32(in);
	lim->sectors |= (uint64_t)in_u8(in) << 56;
	lim->max_segs = in_u8(in);
	lim->max_bytes = in_u32(in);
	return flags;
}

static void check_data(const struct hv_blkif_limits *lim, const struct hv_blk_req *q)
{
	uint64_t sum = 0;

	MUST(q->nseg >= 1 && q->nseg <= HVDRV_MAX_SEGS);
	for (int i = 0; i < q->nseg; i++) {
		const struct hv_blk_seg *s = &q->seg[i];

		MUST(s->len && s->off + s->len <= HVDRV_PAGE && !(s->off % HVDRV_SECTOR) && !(s->len % HVDRV_SECTOR));
		sum += s->len;
	}
	MUST(sum == q->sectors * HVDRV_SECTOR && sum <= lim->max_bytes);
}

void blk_check(const struct hv_blkif_limits *lim, const struct hv_blk_req *q)
{
	MUST(q->op < HVDRV_OPS);
	MUST(!lim->read_only || q->op == HVDRV_OP_READ || q->op == HVDRV_OP_FLUSH);
	MUST(!q->fua || (lim->fua && q->op == HVDRV_OP_WRITE));
	if (q->op == HVDRV_OP_FLUSH) {
		MUST(lim->flush && !q->nseg);
		return;
	}
	MUST(q->sectors && q->sectors <= lim->sectors && q->sector <= lim->sectors - q->sectors);
	MUST(!(q->sector * HVDRV_SECTOR % lim->block) && !(q->sectors * HVDRV_SECTOR % lim->block));
	if (q->op == HVDRV_OP_READ || q->op == HVDRV_OP_WRITE)
		check_data(lim, q);
	else
		MUST(!q->nseg && (q->op == HVDRV_OP_DISCARD ? lim->discard : lim->write_zeroes));
}
