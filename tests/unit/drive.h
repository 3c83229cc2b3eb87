/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A really generated driver, executed here, against the worker's own code: random requests (load.h) on a file, through a
 * queue of whatever format; and the tests that every such format must pass.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include "bench.h"
#include "gen.h"
#include "load.h"

#define DRIVE_PORT 1u

struct drive;

/* What is a format's own. */
struct drive_format {
	const char *property;		/* what its randomness goes by */
	const char *conf;		/* the project's own description */
	void (*layout)(struct drive *d, const char *conf);	/* d->layout, as this description has it */
	void (*serve)(struct drive *d);	/* the worker takes up the queue where it is, with d->layout */
	const void *(*posted)(const struct drive *d, size_t *size);	/* the index in the queue that the driver moves when it posts */
};

struct drive {
	const struct drive_format *f;
	struct bench *b;
	struct load *l;
	struct hv_image img;
	union {
		struct hv_blkif_layout blkif;
		struct hv_virtq_layout virtq;
	} layout;			/* the worker's */
	uint32_t refs[STUB_PAGES(HVDRV_MAX_DEPTH)];
	char path[300];
	int fd;
	uint32_t seen;			/* events to the guest that it has handled */
};

/*
 * The driver of one description, attached, and a worker that serves it by another or the same. False: no compiler or
 * engine here, the test was marked as skipped.
 */
bool drive_new(struct drive *d, const struct drive_format *f, int engine, uint32_t depth, const char *driver, const char *worker);
void drive_free(struct drive *d);

/* For a format's serve(): the device, with so many pages of ring. */
struct wk_dev *drive_add(struct drive *d, uint32_t ring_pages);

void drive_exchange(struct drive *d);		/* events, either way, where one is due */
void drive_finish(struct drive *d);		/* until nothing is in flight, or is stuck */
void drive_compare(struct drive *d);		/* the file holds what the guest wrote, byte for byte */
void drive_run(struct drive *d, unsigned int requests);	/* until so many have ended, then as the two above */

/* A description in which something is changed (from NULL ends the changes). */
struct drive_altered {
	const char *what;
	struct gen_change change[5];
};

void drive_verified(const struct drive_format *f, int engine, uint32_t depth);	/* both by the project's own description */
void drive_held(const struct drive_format *f);
void drive_altered_both(const struct drive_format *f, const struct drive_altered *a, int engine);
void drive_altered_one(const struct drive_format *f, const struct drive_altered *a, bool driver);	/* it, or else the worker */

#endif
