/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The host's end of a split virtqueue with block requests (virtio 1.x): every byte here is guest-writable. A request is
 * copied once, parsed from the copy, and checked against the device's limits; what is returned can be used as it is.
 *
 * Terms: the features INDIRECT_DESC and EVENT_IDX; a request is the descriptor of its tag, which names a table in the tag's
 * queue page, where header, range and status are, too; an address is a grant reference << 12 | offset; the reserved
 * field of the header has the request's handle.
 */
#ifndef HV_RING_VIRTQ_H
#define HV_RING_VIRTQ_H

#include "ring/blk.h"
#include "ring/nvme.h"		/* struct hv_blk_fetch */

#define HV_VIRTQ_SIZE 128u	/* descriptors, and entries of either ring */
#define HV_VIRTQ_PAGES 2u	/* of the queue's pages; then one per tag */
#define HV_VIRTQ_ENTRY 18u	/* bytes of a copied entry: the descriptor, and its number */

/* Where things are and what numbers mean. hv_virtq_split is the specification and the terms above; tests make others. */
struct hv_virtq_layout {
	uint16_t avail, used;				/* offsets in the queue's pages; descriptors are at 0 */
	uint8_t desc_addr, desc_len, desc_flags, desc_next;
	uint16_t next, write, indirect;			/* bits of flags */
	uint16_t avail_idx, avail_ring, used_event;	/* in the available ring */
	uint16_t used_idx, used_ring, avail_event;	/* in the used ring */
	uint16_t elem_id, elem_len;
	uint16_t header, range, status, table;		/* in the tag's page */
	uint8_t type, handle, sector;			/* in the header */
	uint8_t range_sector, range_sectors, range_flags;
	uint8_t st_ok, st_ioerr, st_unsupported, st_nospc;
	uint32_t op_read, op_write, op_write_fua, op_flush, op_discard, op_write_zeroes;
};
extern const struct hv_virtq_layout hv_virtq_split;

/*
 * Parses a copied entry. HV_REJ_NONE: r has the tag, which is its id so far, and the number of descriptors as nseg; it is whole
 * once f->len bytes from the begin of the page f->gref were given to hv_virtq_fetched(). Else r has the id only.
 */
enum hv_reject hv_virtq_parse(const struct hv_virtq_layout *l, const uint8_t *entry, struct hv_blk_req *r, struct hv_blk_fetch *f);

/* The id is the request's handle then if it has one of this tag, else still the tag. */
enum hv_reject hv_virtq_fetched(const struct hv_virtq_layout *l, const struct hv_blkif_limits *lim, const uint8_t *bytes,
				struct hv_blk_req *r);

/* The queue. One thread; indexes are ours, the shared ones are only published or copied. */
struct hv_virtq {
	const struct hv_virtq_layout *l;
	uint8_t *mem;
	uint32_t tags;				/* that have a page */
	uint16_t taken, answered, pushed;	/* free-running, as in the queue */
};

/* mem: `pages` queue pages, one after another. A queue in use is taken up where its used ring ends: all that was taken is answered. */
void hv_virtq_init(struct hv_virtq *q, const struct hv_virtq_layout *l, void *mem, uint32_t pages);

/*
 * After a switch: prepare under pause, on zeroed pages, then renew. Each request that is begun counts as one that was
 * made available here and taken.
 */
void hv_virtq_prepare(const struct hv_virtq_layout *l, void *mem, uint32_t begun);
void hv_virtq_renew(struct hv_virtq *q, const struct hv_virtq_layout *l, void *mem, uint32_t pages, uint32_t begun);

/* 1: the next entry is copied (HV_VIRTQ_ENTRY bytes); 0: none; -1: the index is beyond the ring, or what it names is no tag's. */
int hv_virtq_take(struct hv_virtq *q, uint8_t *entry);

/* Ask for an event at the next request; true when one is there already. */
bool hv_virtq_arm(struct hv_virtq *q);

/* Write the answer; hv_virtq_push() publishes all that were written, true: send an event. */
void hv_virtq_answer(struct hv_virtq *q, const struct hv_blk_req *r, enum hvdrv_status st);
bool hv_virtq_push(struct hv_virtq *q);

#endif
