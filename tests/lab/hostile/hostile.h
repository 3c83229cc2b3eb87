/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stdint.h>
#include <hvdrv/abi.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define FRONT "device/hvdrv/0"
#define DEPTH 64u
#define RECORD_PAGES HVDRV_RECORD_PAGES(DEPTH)
#define QUEUE_PAGES 66u
#define MEM_PAGES (1 + RECORD_PAGES + QUEUE_PAGES)
#define POOL_PAGES 16u
#define ENTRIES 64u
#define STRIDE 112u

struct guest {
	struct xs_handle *xs;
	xengntshr_handle *shr;
	xenevtchn_handle *xce;
	evtchn_port_t port;
	char back[128];
	uint8_t *desc, *slot, *mem, *data;
	uint32_t desc_ref, slot_ref[4], mem_ref[MEM_PAGES], data_ref[8], pool_ref[POOL_PAGES];
	uint8_t *pool;
	uint8_t *ring;			/* two pages of mem */
	uint32_t prod, cons, answered;
	unsigned int seed;
	unsigned long writes;
};

#define OUTSIDE "OUTSIDE!"		/* what a scenario fills the device with, but for the guests' windows */

unsigned int rnd(struct guest *g);
int back_state(struct guest *g);		/* 4: the host serves */

static inline void u16_at(uint8_t *p, int at, uint16_t v) { __builtin_memcpy(p + at, &v, 2); }
static inline void u32_at(uint8_t *p, int at, uint32_t v) { __builtin_memcpy(p + at, &v, 4); }
static inline void u64_at(uint8_t *p, int at, uint64_t v) { __builtin_memcpy(p + at, &v, 8); }

/* How this guest speaks: as the driver of a mode would, and not. */
struct speech {
	const char *name;
	int (*good_read)(struct guest *g);	/* 0: the host did it */
	int (*crafted)(struct guest *g);	/* one round of what must be refused; how many were not */
	void (*scribble)(struct guest *g, unsigned long from, unsigned long to);	/* random stores number from to to */
	void (*impossible)(struct guest *g);	/* an index that cannot be */
	int (*pool_lies)(struct guest *g);	/* how many were not as they should be */
	bool (*settle)(struct guest *g);	/* waits until all is answered; false: it is not */
};
extern const struct speech speech_blkif;
extern const struct speech speech_nvme;

void storm(struct guest *g, const struct speech *sp, unsigned int seconds);

#endif
