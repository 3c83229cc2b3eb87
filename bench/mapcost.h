/* SPDX-License-Identifier: GPL-2.0-only */
/* What the ways of data between a guest and a disk cost, measured on pages of a device's pool. The guest must leave the device alone. */
#ifndef BENCH_MAPCOST_H
#define BENCH_MAPCOST_H

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"
#include "worker/guest.h"

#define MAPCOST_PAGES 32u	/* of the largest request: 128 KiB */

/* Pages of the guest: each way of reaching them has its own. (Whatever the way, the guest's worker has all of them mapped.) */
enum mapcost_part { PART_COPY, PART_MAP, PART_STAND, PARTS };

struct mapcost {
	int gntdev;
	struct guest guest;		/* on the same descriptor: grant copy as the worker does it */
	uint32_t domid;
	uint32_t ref[PARTS][MAPCOST_PAGES];
	uint8_t *standing;		/* PART_STAND, mapped all the time */
	uint8_t *own;			/* as many pages of our own, for O_DIRECT */
	uint8_t *expect;		/* and as many again: what a read should have brought */
	int target;			/* O_DIRECT, read only */
};

/* Opens what reaches the guest, in each process anew. 0 or -errno. */
int mapcost_open_guest(struct mapcost *m);

/* ---- mapcost-ways.c ---- */

struct mapcost_way {
	const char *name, *base;	/* base: the way that it is compared with, NULL: none */
	int (*run)(const struct mapcost *m, unsigned int pages, uint64_t at);	/* once; 0 or -errno */
	int part;			/* of the guest, where a read ends; -1: no read into the guest */
};

/* The n ways, in the order of the report. */
const struct mapcost_way *mapcost_ways(unsigned int *n);

/* Does a read by this way bring to the guest what is on the target? 0; -EBADMSG: no; -errno. Of other ways: 0. */
int mapcost_verify(const struct mapcost *m, const struct mapcost_way *w, unsigned int pages, uint64_t at);

/* Grant copy of so many pages of a part, from or to local. 0 or -errno. */
int mapcost_copy(const struct mapcost *m, enum mapcost_part part, uint8_t *local, unsigned int pages, bool to_guest);

/* Reads all of it, however it comes. 0; -EIO: the target ends; -errno. */
int mapcost_read(const struct mapcost *m, uint8_t *to, unsigned int pages, uint64_t at);

/* ---- mapcost-kill.c ---- */

/*
 * Kills a process while slow, a device that keeps requests for a second or two, reads into memory of its own; then one that has it read
 * into mapped pages of the guest. Prints what dom0's kernel says. The second damages a PV dom0 until it is booted again.
 */
int mapcost_kill(const struct mapcost *m, const char *slow, struct hv_err *e);

#endif
