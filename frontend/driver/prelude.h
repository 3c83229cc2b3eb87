/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every generated driver stands on: memory shared with the host, read and written once, at any alignment; and the
 * bookkeeping of requests that is the same for each queue format.
 */
#ifndef HVDRV_PRELUDE_H
#define HVDRV_PRELUDE_H

#include <stdint.h>
#include <hvdrv/abi.h>

/* Volatile: each access happens, once; the type may alias and need not be aligned. */
#define SHARED(bits) \
	typedef volatile uint##bits##_t __attribute__((may_alias, aligned(1))) shared##bits##_t; \
	static inline uint##bits##_t load##bits(const uint8_t *p) { return *(const shared##bits##_t *)p; } \
	static inline void store##bits(uint8_t *p, uint##bits##_t v) { *(shared##bits##_t *)p = v; }
SHARED(8)
SHARED(16)
SHARED(32)
SHARED(64)
#undef SHARED

#define barrier() __asm__ __volatile__("" ::: "memory")
/* v stays in one register: what is compared is what is used, and the gate can see that */
#define one_value(v) __asm__("" : "+r"(v))
#define mb() __asm__ __volatile__("mfence" ::: "memory")

/* Tags of READY records that found the queue full. */
struct waiting {
	uint64_t tags[HVDRV_MAX_DEPTH / 64];
};

static inline int waiting_any(const struct waiting *w)
{
	return (w->tags[0] | w->tags[1]) != 0;
}

static inline void waiting_add(struct waiting *w, uint32_t tag)
{
	w->tags[tag >> 6] |= 1ull << (tag & 63);
}

/* Was this tag waiting? It is no more. */
static inline int waiting_take(struct waiting *w, uint32_t tag)
{
	uint64_t bit = 1ull << (tag & 63), was = w->tags[tag >> 6] & bit;

	w->tags[tag >> 6] &= ~bit;
	return was != 0;
}

static inline void push_done(struct hvdrv_ctx *ctx, uint16_t handle, uint8_t status)
{
	if (ctx->ndone < HVDRV_MAX_DEPTH) {
		ctx->done[ctx->ndone].handle = handle;
		ctx->done[ctx->ndone++].status = status;
	}
}

/* After a replacement: what has ended is reported, what has not begun waits. The number of those that are begun. */
static inline uint32_t take_over(struct hvdrv_ctx *ctx, struct waiting *w)
{
	uint32_t begun = 0;

	for (uint32_t tag = 0; tag < ctx->depth && tag < HVDRV_MAX_DEPTH; tag++) {
		const struct hvdrv_record *rec = &ctx->records[tag];

		if (rec->state == HVDRV_REC_DONE)
			push_done(ctx, rec->handle, rec->status);
		else if (rec->state == HVDRV_REC_READY)
			waiting_add(w, tag);
		else if (rec->state == HVDRV_REC_BEGUN)
			begun++;
	}
	return begun;
}

uint32_t drv_attach(struct hvdrv_ctx *ctx, uint32_t arg);
uint32_t drv_submit(struct hvdrv_ctx *ctx, uint32_t handle);
uint32_t drv_complete(struct hvdrv_ctx *ctx, uint32_t arg);
uint32_t drv_adopt(struct hvdrv_ctx *ctx, uint32_t arg);
uint32_t drv_detach(struct hvdrv_ctx *ctx, uint32_t arg);

#endif
