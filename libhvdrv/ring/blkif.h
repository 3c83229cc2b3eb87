/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The backend's end of Xen's block ring: every byte here is guest-writable. An entry is copied once, parsed from
 * the copy, and checked against the device's limits; what is returned can be used as it is.
 */
#ifndef HV_RING_BLKIF_H
#define HV_RING_BLKIF_H

#include "ring/blk.h"

#define HV_BLKIF_ENTRY_MAX 128	/* bytes of a ring entry at most */
#define HV_BLKIF_DIRECT_MAX 16

/* Where things are and what numbers mean. hv_blkif_xen is Xen's public header; tests make others. */
struct hv_blkif_layout {
	uint16_t stride, first;			/* ring: bytes per entry, offset of entry 0 */
	uint16_t req_prod, req_event, rsp_prod, rsp_event;
	uint8_t operation;			/* offset in every kind of request */
	uint8_t nseg, id, sector, segs, seg_stride, seg_direct;
	uint8_t seg_gref, seg_first, seg_last;
	uint8_t range_sectors;
	uint8_t ind_op, ind_nseg, ind_id, ind_sector, ind_page;
	uint8_t rsp_id, rsp_op, rsp_status;
	uint8_t op_read, op_write, op_write_fua, op_flush, op_discard, op_write_zeroes, op_indirect;
	int16_t st_ok, st_ioerr, st_unsupported, st_nospc;
};
extern const struct hv_blkif_layout hv_blkif_xen;

/*
 * Parses a copied entry. HV_REJ_NONE: r is whole, or, when *indirect is not 0, lacks its segments: copy r->nseg *
 * seg_stride bytes from the grant *indirect and give them to hv_blkif_segments(). Else r has id and opcode only.
 */
enum hv_reject hv_blkif_parse(const struct hv_blkif_layout *l, const struct hv_blkif_limits *lim, const uint8_t *entry,
			      struct hv_blk_req *r, uint32_t *indirect);
enum hv_reject hv_blkif_segments(const struct hv_blkif_layout *l, const struct hv_blkif_limits *lim,
				 const uint8_t *segs, struct hv_blk_req *r);

/* The ring. One thread; indexes are ours, the shared ones are only published or copied. */
struct hv_blkring {
	const struct hv_blkif_layout *l;
	uint8_t *mem;
	uint32_t entries;
	uint32_t req_cons, rsp_prod, rsp_pushed;
};

/* Number of entries in so many ring pages: the largest power of two that fits. */
uint32_t hv_blkring_entries(const struct hv_blkif_layout *l, uint32_t pages);

/* A ring in use is taken up where its responses end: whoever served it has answered all that it took. */
void hv_blkring_init(struct hv_blkring *r, const struct hv_blkif_layout *l, void *mem, uint32_t pages);

/*
 * After a switch: prepare under pause, on zeroed pages, then renew. The guest's driver counts each request that is begun
 * as an entry that was taken, so that there is room for its answer.
 */
void hv_blkring_prepare(const struct hv_blkif_layout *l, void *mem, uint32_t begun);
void hv_blkring_renew(struct hv_blkring *r, const struct hv_blkif_layout *l, void *mem, uint32_t pages, uint32_t begun);

/* 1: the next entry is copied (stride bytes); 0: none; -1: the index is beyond the ring. */
int hv_blkring_take(struct hv_blkring *r, uint8_t *entry);

/* Ask for an event at the next request; true when one is there already. */
bool hv_blkring_arm(struct hv_blkring *r);

/* Write the answer; hv_blkring_push() publishes all that were written, true: send an event. */
void hv_blkring_answer(struct hv_blkring *r, uint64_t id, uint8_t opcode, enum hvdrv_status st);
bool hv_blkring_push(struct hv_blkring *r);

#endif
