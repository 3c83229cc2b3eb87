/* SPDX-License-Identifier: GPL-2.0-only */
/* One device of 1 MiB, served by a worker in this process (bench.h), and the guest's side of its one blkif queue (front.h). */
#ifndef SERVED_H
#define SERVED_H

#include "bench.h"
#include "front.h"

#define L (&hv_blkif_xen)
#define OP(x) (hv_blkif_xen.op_##x)
#define RING 1u			/* the ring's two pages of the guest; those of a second device are 11, ... */
#define SEGS 90u		/* page of segments */
#define PORT 1u

struct world {
	struct bench *b;
	struct front f;
	char path[300];
	int fd;			/* the file, for a look from outside */
};

void make_file(char path[300], const char *name, size_t size);

/* The worker and the file. False: this engine is not to be had here; the test was marked as skipped. */
bool world_open(struct world *w, int engine);
void world_add(struct world *w, const struct hv_blkif_limits *lim);	/* and the device; NULL: bench_limits */
bool world(struct world *w, int engine, const struct hv_blkif_limits *lim);	/* both */
struct wk_dev *dev(struct world *w);

void put(struct world *w, uint8_t op, uint64_t id, uint64_t sector, const struct front_seg *s, int n);	/* not shown yet */
void go(struct world *w);			/* shown, and served */
int answer(struct world *w, uint64_t want);	/* the status of the one answer that is there */
int data_op(struct world *w, uint8_t op, uint64_t sector, const struct front_seg *s, int n);	/* all of it, its status */

/* What is in these segments is written by this operation: it is in the file, and comes back, and no more of a page than that. */
void ck_round_trip(struct world *w, uint8_t write, uint64_t sector, const struct front_seg *s, int n);

#endif
