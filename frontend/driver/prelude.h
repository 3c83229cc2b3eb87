/* SPDX-License-Identifier: GPL-2.0-only */
/* What every generated driver stands on: memory shared with the host, read and written once, at any alignment. */
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
#define mb() __asm__ __volatile__("mfence" ::: "memory")

uint32_t drv_attach(struct hvdrv_ctx *ctx, uint32_t arg);
uint32_t drv_submit(struct hvdrv_ctx *ctx, uint32_t handle);
uint32_t drv_complete(struct hvdrv_ctx *ctx, uint32_t arg);
uint32_t drv_adopt(struct hvdrv_ctx *ctx, uint32_t arg);
uint32_t drv_detach(struct hvdrv_ctx *ctx, uint32_t arg);

#endif
