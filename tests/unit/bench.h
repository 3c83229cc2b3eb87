/* SPDX-License-Identifier: GPL-2.0-only */
/* A worker in this process, with a guest made of plain memory (worker/guest.h) and either I/O engine. */
#ifndef BENCH_H
#define BENCH_H

#include "worker/worker.h"

#define BENCH_PAGES 12288u	/* of the guest; page n is granted as n, page 0 never */
#define BENCH_STATE (BENCH_PAGES - 64)	/* each queue's state page: the same of all devices */
#define BENCH_ENGINES 2		/* plain, io_uring */

struct bench {
	struct worker *wk;
	uint8_t *mem;			/* the guest's pages, contiguous */
	uint8_t grant[BENCH_PAGES];	/* 0: none, 1: read-write, 2: read-only */
	unsigned int maps, ports;	/* held by the worker now */
	unsigned int notified[64];	/* events to the guest, by its port */
	uint32_t more;			/* pages of each queue behind its ring, mapped with it */
	const uint32_t *pool;		/* references of the next device's pool, or NULL */
	uint32_t pool_pages;
	uint32_t format;		/* of devices that are added: enum wire_format */
	bool by_turns;			/* devices that are added begin nothing without a turn */
	int map_errno, bind_errno, copy_errno;	/* to fail with */
	void (*on_copy)(void *arg);		/* the guest, while the worker copies */
	void *on_copy_arg;
	int events[2], ctl[2];		/* socket pairs; [0] is the worker's */
};

/* NULL: this engine is not to be had here; the test was marked as skipped. */
struct bench *bench_new(int engine);
void bench_free(struct bench *b);

void *bench_page(struct bench *b, uint32_t n);

/* Adds a device: its rings are pages of the guest from `ring` on, its ports from `port` on. The file is opened. */
int bench_add(struct bench *b, uint32_t id, const char *path, int flags, const struct hv_blkif_limits *lim, uint32_t queues,
	      uint32_t ring_pages, uint32_t ring, uint32_t port, struct hv_err *e);

void bench_kick(struct bench *b, uint32_t port);	/* the guest's event; seen by the next bench_run() */
void bench_run(struct bench *b);			/* until nothing is in flight and no event waits */

/* The next message to hvdrvd of this type; false: none waits. */
bool bench_told(struct bench *b, uint32_t type, struct wire_msg *m);

/* Asks as hvdrvd does, runs the worker, gives back its answer. fd (or -1) goes along. */
struct wire_msg bench_ask(struct bench *b, struct wire_msg m, int fd);

extern const struct hv_blkif_limits bench_limits;	/* 1 MiB, everything offered */

#endif
