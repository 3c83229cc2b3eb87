/* SPDX-License-Identifier: LGPL-2.1-only OR GPL-2.0-only */
/*
 * The contract between guest and host: what lies in memory that both see, and
 * how the guest calls the code that the host places. hvdrv-abi(7) tells it in
 * prose. Included by the host, by the guest extension and by generated drivers.
 *
 * Who may write a field is said at each structure. A reader on the host copies
 * guest-writable memory once, checks the copy and uses only the copy.
 */
#ifndef HVDRV_ABI_H
#define HVDRV_ABI_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

/*
 * Versions of this contract that this build speaks; both sides publish theirs, the highest common one is used.
 *   2: the descriptor may list a pool
 *   3: HVDRV_R_POLL, the window, frames and doorbells in the context: a driver may own a hardware queue
 */
#define HVDRV_ABI_MIN 1u
#define HVDRV_ABI_MAX 3u
#define HVDRV_ABI_DRIVER 1u	/* what a placed driver needs: a pool's pages are to it as any that are granted */
#define HVDRV_ABI_WINDOW 3u	/* since when a guest can be given a hardware queue */

#define HVDRV_PAGE 4096u
#define HVDRV_SECTOR 512u	/* unit of every sector number, whatever the logical block size */

#define HVDRV_SLOTS 16u		/* code slots in a guest; one device takes one */
#define HVDRV_SLOT_PAGES 4u
#define HVDRV_SLOT_SIZE (HVDRV_SLOT_PAGES * HVDRV_PAGE)
#define HVDRV_SLOT_FILL 0xcc	/* int3: what a slot holds while no driver is placed */

#define HVDRV_MAX_QUEUES 8u
#define HVDRV_MAX_DEPTH 128u	/* requests in flight per queue */
#define HVDRV_MAX_SEGS 63u	/* segments of a request: 252 KiB, what a passthrough command carries on a PV dom0 */
#define HVDRV_MAX_QUEUE_PAGES 160u
#define HVDRV_MAX_POOL 2048u	/* pages of a device's pool, of all its queues together */
#define HVDRV_MAX_ZERO_SECTORS 65536u	/* of a write-zeroes request: what NVMe's 16 bits can say */
#define HVDRV_NAME_MAX 31u	/* length of a device's NAME, without its NUL */

/* Entry k of a placed driver sits at this offset of its slot, whatever driver it is. */
enum hvdrv_entry {
	HVDRV_ENTRY_ATTACH,	/* once per queue before its first use; arg unused */
	HVDRV_ENTRY_SUBMIT,	/* arg: handle of a record that is READY */
	HVDRV_ENTRY_COMPLETE,	/* after an event: fills ctx->done, posts what waited; arg unused */
	HVDRV_ENTRY_ADOPT,	/* first after a replacement: takes over the records in flight; arg unused. It posts all
				 * that are READY: one that is just being submitted is then not submitted again */
	HVDRV_ENTRY_DETACH,	/* once per queue after its last use; arg unused */
	HVDRV_ENTRIES
};
#define HVDRV_ENTRY_SPACING 32u
#define HVDRV_ENTRY_OFFSET(k) ((k) * HVDRV_ENTRY_SPACING)
#define HVDRV_ENTRY_NAMES { "attach", "submit", "complete", "adopt", "detach" }

/* What an entry returns: a set of these. */
#define HVDRV_R_NOTIFY 1u	/* send the queue's event to the host */
#define HVDRV_R_BUSY 2u		/* the gate's answer while the host holds the queue: try again after its event */
#define HVDRV_R_BROKEN 4u	/* the queue holds what cannot be: the device must end */
#define HVDRV_R_POLL 8u		/* call complete again after a while: nobody sends an event for what is outstanding */

/* Operations of class block. */
enum hvdrv_op {
	HVDRV_OP_READ,
	HVDRV_OP_WRITE,
	HVDRV_OP_FLUSH,		/* covers every write whose completion was passed up before this was submitted */
	HVDRV_OP_DISCARD,
	HVDRV_OP_WRITE_ZEROES,
	HVDRV_OPS
};
#define HVDRV_F_FUA 1u		/* write: on stable storage before it is completed */

/* How a request ended. */
enum hvdrv_status {
	HVDRV_ST_OK,
	HVDRV_ST_IOERR,
	HVDRV_ST_UNSUPPORTED,
	HVDRV_ST_NOSPC,
	HVDRV_STATUSES
};

/*
 * A handle names a request towards the host: tag in the low bits, a generation
 * above it that changes each time the tag is used again. It fits an NVMe CID.
 */
#define HVDRV_HANDLE_TAG_BITS 12
#define HVDRV_HANDLE_TAG(h) ((h) & 0xfffu)
#define HVDRV_HANDLE_GEN(h) ((h) >> HVDRV_HANDLE_TAG_BITS & 0xfu)
#define HVDRV_HANDLE(tag, gen) ((((gen) & 0xfu) << HVDRV_HANDLE_TAG_BITS) | (tag))

struct hvdrv_seg {
	uint64_t gfn;		/* frame of the page: what a queue that speaks frames needs */
	uint32_t gref;		/* grant reference of the page */
	uint16_t off, len;	/* bytes within the page; off + len <= 4096, multiples of 512 */
};

/* The record's state. The guest goes FREE -> READY -> FREE; the host writes the others, under pause only. */
enum hvdrv_record_state {
	HVDRV_REC_FREE,
	HVDRV_REC_READY,
	HVDRV_REC_BEGUN,	/* begun at the host: will be answered through the new queue */
	HVDRV_REC_DONE,		/* ended at the host; status says how */
};

/* One request in flight. Written by the guest's stub, except as said above. */
struct hvdrv_record {
	uint8_t op, flags;
	uint8_t state, status;
	uint16_t handle;
	uint16_t nseg;
	uint64_t sector;
	uint64_t sectors;	/* of discard and write-zeroes; else the sum of the segments */
	uint8_t reserved[40];
	struct hvdrv_seg seg[HVDRV_MAX_SEGS];
	uint8_t pad[16];
};
#define HVDRV_RECORD_PAGES(depth) \
	(((depth) * (uint32_t)sizeof(struct hvdrv_record) + HVDRV_PAGE - 1) / HVDRV_PAGE)

#define HVDRV_DRV_SIZE 256u

/* Of a hardware queue, whose requests no host sees: counted by its driver, free-running, never reset. Requests that have ended. */
struct hvdrv_counts {
	uint64_t requests[HVDRV_OPS];
	uint64_t sectors[HVDRV_OPS];	/* of those that ended well */
	uint64_t errors;
	uint64_t looks;			/* for completions */
};

#define HVDRV_TIMES 32u
/* Of a hardware queue: how long requests took, of those that the guest has timed. Free-running, never reset. */
struct hvdrv_times {
	uint64_t sum_ns;
	uint64_t took[HVDRV_TIMES];	/* took[b]: of 2^b to 2^(b+1) ns; the last one: and longer */
};

/* The state page, one per queue. No pointers; each field has one writer; whole-word stores. */
struct hvdrv_state {
	/* The host writes this line. */
	uint32_t hold;		/* 1: submit answers BUSY */
	uint32_t generation;	/* of the code in the slot; a CPU that sees another one than last serialises first */
	uint32_t adopt;		/* generation that wants adopting: differs from `adopted` until that is done */
	uint32_t need_kick;	/* 1: the host sleeps; notify after publishing (polled queues only) */
	/* Of a hardware queue: what the driver cannot know. The host writes it before it places. */
	uint32_t nsid;
	uint32_t lba_shift;	/* sectors of 512 bytes >> this: logical blocks */
	uint32_t sq_doorbell, cq_doorbell;	/* bytes from hvdrv_ctx.doorbells */
	uint8_t pad0[32];
	/* The guest writes this line; the host resets tail and event when it places. */
	uint32_t inside;	/* 1 while a CPU is in the slot for this queue */
	uint32_t adopted;
	uint32_t tail;		/* commands posted since the driver was placed (polled queues only) */
	uint32_t stale;		/* completions dropped because their handle was not in flight */
	uint32_t event;		/* completion number after which the guest wants an event (polled queues only); of a hardware
				 * queue one more than were taken */
	uint8_t pad1[44];
	struct hvdrv_counts counts;	/* the guest writes them; who reads them has its word only */
	uint8_t reserved[32];
	/* The placed driver's only memory beside the queue pages; zeroed by the host when it places. */
	uint8_t drv[HVDRV_DRV_SIZE];
	struct hvdrv_times times;	/* as counts, but by the guest's stub, not by the driver; a stub that times nothing leaves 0 */
};

/* ---- guest only: never in shared memory ---- */

struct hvdrv_done {
	uint16_t handle;
	uint8_t status;		/* enum hvdrv_status */
	uint8_t pad;
};

/*
 * What a placed driver works on, one per queue; the first argument of each
 * entry. The stub fills it before attach; the driver writes done and ndone only.
 */
struct hvdrv_ctx {
	uint32_t size;			/* sizeof(struct hvdrv_ctx) */
	uint32_t depth;			/* number of records */
	uint32_t queue_pages;
	uint32_t ndone;			/* entries of done that complete or adopt filled; reset by them */
	struct hvdrv_state *state;
	struct hvdrv_record *records;
	uint8_t *pages;			/* the queue pages, contiguous */
	const uint32_t *grefs;		/* their grant references */
	struct hvdrv_done done[HVDRV_MAX_DEPTH];
	/* since version 3 */
	const uint64_t *frames;		/* of the queue pages */
	uint8_t *doorbells;		/* a page of the controller's registers, mapped while the host gives one; else NULL */
};

/* An entry point. Called with interrupts off and the queue's lock held, never nested; must not sleep or call out. */
typedef uint32_t (*hvdrv_entry_fn)(struct hvdrv_ctx *ctx, uint32_t arg);

/* ---- the descriptor: what the guest offers, in pages that it grants to the host ---- */

#define HVDRV_DESC_MAGIC 0x44564948u	/* "HIVD" */
#define HVDRV_DESC_PAGES 4u		/* length of a chain at most */

/*
 * First page. The grant references follow in this order, going on in the next
 * pages: for each queue its state page, its record pages, its queue pages; then
 * the pool's pages: the guest's own, granted read-write for good, which requests
 * may carry their data in. The host maps them once and copies without Xen.
 */
struct hvdrv_desc {
	uint32_t magic;
	uint32_t version;		/* the contract's, as negotiated */
	uint32_t next;			/* grant reference of the next page of the chain, 0: none */
	uint32_t num_grefs;		/* in all pages together */
	uint32_t num_queues, depth;
	uint32_t record_pages, queue_pages;	/* per queue */
	uint64_t slot_va;		/* where the slot is in the guest's address space */
	uint32_t slot_index;
	uint32_t pool_pages;		/* of the whole device; in version 1 nothing: 0 */
	uint64_t slot_gfn[HVDRV_SLOT_PAGES];
	uint32_t slot_gref[HVDRV_SLOT_PAGES];
	uint32_t port[HVDRV_MAX_QUEUES];	/* event channel of each queue, unbound, for the host */
	uint32_t gref[];
};

struct hvdrv_desc_more {
	uint32_t magic;
	uint32_t next;
	uint32_t gref[];
};

#define HVDRV_DESC_FIRST ((HVDRV_PAGE - offsetof(struct hvdrv_desc, gref)) / 4)
#define HVDRV_DESC_MORE ((HVDRV_PAGE - offsetof(struct hvdrv_desc_more, gref)) / 4)

#define HVDRV_ASSERT(what, name) typedef char hvdrv_assert_##name[(what) ? 1 : -1] __attribute__((unused))
HVDRV_ASSERT(sizeof(struct hvdrv_seg) == 16, seg);
HVDRV_ASSERT(sizeof(struct hvdrv_record) == 1088 && offsetof(struct hvdrv_record, seg) == 64, record);
HVDRV_ASSERT(offsetof(struct hvdrv_state, inside) == 64 && offsetof(struct hvdrv_state, event) == 80, state_inside);
HVDRV_ASSERT(offsetof(struct hvdrv_state, counts) == 128 && sizeof(struct hvdrv_counts) == 96, counts);
HVDRV_ASSERT(offsetof(struct hvdrv_state, drv) == 256 && offsetof(struct hvdrv_state, times) == 512 && sizeof(struct hvdrv_state) == 776,
	     state_drv);
HVDRV_ASSERT(offsetof(struct hvdrv_ctx, state) == 16 && offsetof(struct hvdrv_ctx, done) == 48, ctx);
HVDRV_ASSERT(offsetof(struct hvdrv_desc, slot_va) == 32 && offsetof(struct hvdrv_desc, gref) == 128, desc);
HVDRV_ASSERT(HVDRV_DESC_FIRST + (HVDRV_DESC_PAGES - 1) * HVDRV_DESC_MORE >= HVDRV_MAX_POOL + HVDRV_MAX_QUEUES *
	     (1 + HVDRV_RECORD_PAGES(HVDRV_MAX_DEPTH) + HVDRV_MAX_QUEUE_PAGES), chain);

#endif
