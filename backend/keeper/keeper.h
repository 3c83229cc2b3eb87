/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hvdrv-keeper: one per NVMe controller. It keeps what must outlive hvdrvd and every worker: the mappings of a guest's pages that
 * the controller reads and writes, and the hardware queues that tell it to. A page is unmapped, and so may be given to somebody
 * else, only when the queues that name it are deleted. It reads no byte that a guest wrote.
 *   queues.c     make, delete, and again after our own death
 *   list.c       the file that says what there is
 *   witness.c    has the controller been reset?
 *   machine.c    the controller and the mappings, for real
 *   main.c       questions
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <stdbool.h>
#include "keep.h"
#include "util/err.h"
#include "util/list.h"

/* Status of a command: 0; above 0 the controller's; -errno: it was not sent. */
struct keeper_ops {
	int (*admin)(void *arg, uint8_t opcode, uint32_t nsid, void *data, uint32_t len, uint32_t cdw10, uint32_t cdw11, uint32_t *result);
	void *(*map)(void *arg, uint32_t domid, const uint32_t *refs, unsigned int n);
	int (*unmap)(void *arg, void *va, unsigned int n);
	int (*kernel_queues)(void *arg);	/* pairs for I/O that the kernel's driver uses: 1 to that; or -errno */
};

struct kept {
	struct keep_device dev;
	struct keep_add pages;
	uint32_t qid[HVDRV_MAX_QUEUES];
	uint8_t *map;
	bool going;			/* a queue of it could not be deleted yet */
	bool lost;			/* the controller has been reset: it has no queues any more */
	TAILQ_ENTRY(kept) link;
};

TAILQ_HEAD(kept_list, kept);

struct keeper {
	const struct keeper_ops *ops;
	void *arg;
	const char *file;		/* the list */
	struct kept_list all;
};

/* queues.c: 0 or -errno with e */
int keeper_ask(struct keeper *k, uint32_t nsid, struct keep_controller *c, struct hv_err *e);
int keeper_add(struct keeper *k, const struct keep_device *dev, const struct keep_add *pages, uint32_t qid[HVDRV_MAX_QUEUES],
	       struct hv_err *e);
int keeper_del(struct keeper *k, const struct keep_device *dev, struct hv_err *e);

/* At start: what a former keeper had is mapped again and kept; what cannot be mapped any more loses its queues first of all. */
int keeper_recover(struct keeper *k, struct hv_err *e);

/* Tries again what could not be deleted; true: something is left of it. */
bool keeper_retry(struct keeper *k);

/* Asks the controller for each queue whether it is there still; lost is set where not. True: one could not be asked, try again. */
bool keeper_check(struct keeper *k);

/*
 * witness.c. open: what the kernel tells of its devices; a descriptor, or -errno. heard: it has told something of this controller, or
 * something that was missed. is_of: is this uevent of it?
 */
int keeper_witness_open(void);
bool keeper_witness_heard(int fd, const char *controller);
bool keeper_witness_is_of(const char *text, size_t len, const char *controller);

/* list.c: the list as a file. read: -EINVAL damaged, -ENOTSUP a newer version, both with e; nothing there is an empty list. */
int keeper_list_write(const char *file, const struct kept_list *all);
int keeper_list_read(const char *file, struct kept_list *all, struct hv_err *e);
int keeper_list_parse(const char *text, struct kept_list *all, struct hv_err *e);
void keeper_list_free(struct kept_list *all);

#endif
