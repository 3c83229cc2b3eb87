/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hvdrvd in the test's process, on the fake host: the test is the guest, the admin and the worker. Stands in for
 * backend/control/link.c: what is sent to a worker is kept, and answered when a test says so.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "control/daemon.h"
#include "host/fake/fake.h"

#define DOMID 5u
#define UUID "5f9c4a1e-0000-4000-8000-000000000005"
#define FRONT "/local/domain/5/device/hvdrv/0/"
#define BACK "/local/domain/0/backend/hvdrv/5/0/"
#define ADMIN "/local/domain/0/hvdrv/" UUID "/0/"
#define CODE 500u		/* the guest's frames: slot, descriptor, queue memory */
#define DESC 510u
#define QUEUE 600u
#define SLOT_VA 0xffffffffc0200000ull

/* ---- the worker's end ---- */

struct sent {
	struct wire_msg m;
	int fd;				/* of a connection for turns, or -1 */
	link_reply_fn fn;		/* NULL: who has asked does not wait any more */
	void *arg;
};

struct link {
	struct dom *dom;
	const struct link_events *ev;
	bool quitting, killed;
	struct sent sent[32];
	unsigned int n;
};

extern struct workers {
	struct link *last;		/* the link there is, NULL: none */
	int target;			/* what the last ADD brought; 0: none. Closed when the worker ends */
	int fail_start, fail_send;
} workers;

void answer(uint32_t type, uint32_t with, uint32_t code);	/* the oldest question, which must be of this type */
void answer_with(uint32_t type, struct wire_msg *m);
void worker_ends(void);

/* ---- the world ---- */

struct world {
	struct fake *f;
	struct hv_host *g;		/* the guest's own handle */
	struct daemon d;
	struct hv_dev_id id;
	char disk[300], repo[256], keys[256], state[256];
	char blkif[65], nvme[65];	/* names of the images: virtual, paravirtual */
	unsigned int nodes, watches;	/* before there is a device */
};

void make_world(struct world *w);	/* all but hvdrvd */
void put_version(struct world *w, uint32_t version, char id[65]);	/* another image of mode virtual, signed by another key that is trusted */
void put_again(struct world *w);	/* the image that there is of mode virtual, signed by another key that is trusted */
void start_daemon(struct world *w);
void start(struct world *w);		/* both */
void spin(struct world *w);		/* what can be done without waiting is done */
void attach(struct world *w, const char *more);	/* more: of the parameters, behind class and backend */
void request(struct world *w, const char *what);
bool is(struct world *w, const char *path, const char *want);	/* want NULL: no such key */
void ck_released(struct world *w);	/* nothing of the device is left, neither here nor in the store */

/* As the guest. */
void put(struct world *w, const char *key, const char *v);
struct hvdrv_desc *offer_keys(struct world *w);	/* all that it writes before state 3 */
void guest_state(struct world *w, const char *s);

#endif
