/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The host's end of a mediated NVMe queue pair: every byte here is guest-writable. A command is copied once, parsed
 * from the copy, and checked against the device's limits; what is returned can be used as it is.
 *
 * Mediated: an LBA has 512 bytes, a PRP is a grant reference << 12 | offset, the doorbell is the state page's tail.
 */
#ifndef HV_RING_NVME_H
#define HV_RING_NVME_H

#include "ring/blk.h"

#define HV_NVME_ENTRIES 64u	/* of either queue; at most one less is outstanding */
#define HV_NVME_COMMAND 64u	/* bytes of a submission queue entry */
#define HV_NVME_COMPLETION 16u

/* Where things are and what numbers mean. hv_nvme_mediated is the specification; tests make others. */
struct hv_nvme_layout {
	uint8_t opcode, flags, cid, nsid, prp1, prp2;	/* offsets in every command */
	uint8_t slba, nlb, control;			/* of read, write, write-zeroes */
	uint8_t nr, attributes;				/* of dataset management */
	uint8_t range_length, range_slba;
	uint8_t cpl_sq_head, cpl_cid, cpl_status;
	uint8_t op_flush, op_write, op_read, op_write_zeroes, op_discard;
	uint8_t ad;					/* bit of attributes */
	uint16_t fua;					/* and of control */
	uint16_t st_ok, st_ioerr, st_unsupported, st_nospc;
};
extern const struct hv_nvme_layout hv_nvme_mediated;

/* What a request lacks: so many bytes from the begin of a granted page. */
struct hv_blk_fetch {
	uint32_t gref;
	uint16_t len;
};

/*
 * Parses a copied command. HV_REJ_NONE: r is whole, or, when f->len is not 0, lacks what is in a page: copy it and
 * give it to hv_nvme_fetched(). Else r has id and opcode only. The id is the command's, 16 bits.
 */
enum hv_reject hv_nvme_parse(const struct hv_nvme_layout *l, const struct hv_blkif_limits *lim, const uint8_t *entry,
			     struct hv_blk_req *r, struct hv_blk_fetch *f);
enum hv_reject hv_nvme_fetched(const struct hv_nvme_layout *l, const struct hv_blkif_limits *lim, const uint8_t *bytes,
			       struct hv_blk_req *r);

/* The pair. One thread; numbers are ours and free-running, the shared ones are only published or copied. */
struct hv_nvmeq {
	const struct hv_nvme_layout *l;
	uint8_t *sq, *cq;
	struct hvdrv_state *state;
	uint32_t taken, outstanding;		/* commands; those without a completion, carried ones too */
	uint32_t produced, pushed;		/* completions; those that the guest was told of */
};

/* mem: a page of commands, a page of completions. A new pair, zeroed; carried: requests that are begun already. */
void hv_nvmeq_init(struct hv_nvmeq *q, const struct hv_nvme_layout *l, void *mem, struct hvdrv_state *state, uint32_t carried);

/*
 * A pair in use is taken up where its completions end: whoever served it has answered all that it took. Where that
 * is, is read from the queues and the state page: a guest that lies there misses its own completions.
 */
void hv_nvmeq_take_up(struct hv_nvmeq *q, const struct hv_nvme_layout *l, void *mem, struct hvdrv_state *state);

/* 1: the next command is copied (HV_NVME_COMMAND bytes); 0: none; -1: the tail is beyond the queue. */
int hv_nvmeq_take(struct hv_nvmeq *q, uint8_t *entry);

/* Is there one? Also true when the tail cannot be: then taking says so. */
bool hv_nvmeq_ready(const struct hv_nvmeq *q);

/* Ask for an event at the next command; true when one is there already. Disarmed, the guest sends none. */
bool hv_nvmeq_arm(struct hv_nvmeq *q);
void hv_nvmeq_disarm(struct hv_nvmeq *q);

/* Write the completion, at once visible; hv_nvmeq_push() after the last of a batch, true: send an event. */
void hv_nvmeq_answer(struct hv_nvmeq *q, uint16_t cid, enum hvdrv_status st);
bool hv_nvmeq_push(struct hv_nvmeq *q);

#endif
