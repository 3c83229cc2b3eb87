/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turns on a target that takes `depth` requests at once: a worker begins a request of a device on it only with a turn,
 * which hvdrv-share hands out. Messages over SOCK_SEQPACKET, one struct per message, fixed size. TURNS_VERSION covers
 * everything here.
 */
#ifndef BACKEND_TURNS_H
#define BACKEND_TURNS_H

#include <stdint.h>

#define TURNS_VERSION 1u
#define TURNS_WAITING 16u	/* requests of a device that wait for a turn in the worker; more wait in the guest's queue */
#define TURNS_HELD 64u		/* turns of a device, at most: more than a worker can use */
#define TURNS_DEPTH 32u		/* of a target, at most */
#define TURNS_DEVICES 128u	/* on a target, at most */

/*
 * A worker to hvdrv-share, for one device. The first message may say what is begun already: another hvdrv-share knew of
 * it. All numbers are of what is new, so nothing is lost or counted twice when messages cross.
 */
struct turns_ask {
	uint32_t version;
	uint32_t held;		/* in the first message: turns that the device has; else 0 */
	uint32_t wait;		/* requests that now wait, beside those told before */
	uint32_t back;		/* turns that are given back */
};

/* hvdrv-share to a worker. */
struct turns_give {
	uint32_t version;
	uint32_t turns;		/* so many more */
};

/* hvdrvd and hvdrv-share, over its descriptor 3; hvdrvd's end closing: no more will come. */
enum turns_type {
	TURNS_ADD,		/* with a descriptor: a worker's connection for a device */
	TURNS_WEIGHT,
	TURNS_EV_DROPPED,	/* the worker said what cannot be: the device gets no more turns */
};

struct turns_ctl {
	uint32_t version, type;
	uint32_t id;		/* of the connection; never used again */
	uint32_t weight;
	uint32_t again;		/* ADD: the worker had another connection before: it may have turns */
};

#endif
