/* SPDX-License-Identifier: GPL-2.0-only */
/* stamp's parts: model.c knows what each sector must hold, disk.c moves requests, stamp.c decides which. */
#ifndef STAMP_H
#define STAMP_H

#include <linux/aio_abi.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SECTOR 512u

/* ---- model.c ---- */
enum kind { UNKNOWN, STAMPED, ZEROED };
enum verdict { GOOD, LOST, STALE, ORPHAN, MISDIRECTED, CORRUPT, VERDICTS };

struct sector {
	uint64_t seq : 60;	/* of the last acknowledged write or zeroing */
	uint64_t kind : 2;
	uint64_t seen : 1;	/* that sequence was read back */
	uint64_t busy : 1;	/* a request in flight covers it */
};

struct model {
	uint64_t seed, run;	/* run: no two runs have the same, so that an earlier one's stamps are told from ours */
	uint64_t first, n;	/* sectors */
	struct sector *s;
	uint64_t count[VERDICTS], good_bytes;
	unsigned int told;	/* errors described so far */
};

int model_init(struct model *m, uint64_t first, uint64_t n);
void model_fill(const struct model *m, void *buf, uint64_t at, uint32_t n, uint64_t seq);
enum verdict model_judge(const struct model *m, uint64_t at, const void *buf);
void model_check(struct model *m, uint64_t at, uint32_t n, const uint8_t *buf);
void model_set(struct model *m, uint64_t at, uint32_t n, enum kind kind, uint64_t seq);
bool model_take(struct model *m, uint64_t at, uint32_t n);
void model_release(struct model *m, uint64_t at, uint32_t n);
bool model_tell(struct model *m);
int model_save(const struct model *m, const char *path);
int model_load(struct model *m, const char *path);

/* ---- disk.c ---- */
enum op { READ, WRITE, FLUSH, DISCARD, ZERO, OPS };

struct req {
	struct iocb cb;
	enum op op;
	uint64_t at, seq;
	uint32_t n;		/* sectors */
	bool fua;
	uint8_t *buf, *data;
	uint64_t start, end;	/* ns */
	long res;		/* bytes, or -errno */
};

struct disk {
	int fd;
	bool block;
	bool discards, zeroes;
	uint32_t align, coarse;	/* sectors: of a transfer, of a discard or zeroing */
	uint64_t sectors;
};

struct engine {
	struct disk disk;
	aio_context_t ctx;
	unsigned int depth, flying, n_idle, n_ready, n_ended;
	struct req *req, **idle, **ended;
	struct iocb **ready;
	struct io_event *events;
	/* discard and zeroing have no asynchronous call: a thread waits for them, one at a time */
	struct req slow;
	pthread_t thread;
	sem_t go;
	atomic_int slow_state;
};

uint64_t now_ns(void);
int disk_open(struct disk *d, const char *path, bool write);
void disk_probe(struct disk *d, uint64_t at, uint64_t n);
int engine_start(struct engine *e, unsigned int depth, uint32_t max_sectors);
struct req *engine_idle(struct engine *e);
bool engine_slow_idle(struct engine *e);
void engine_ready(struct engine *e, struct req *r);
void engine_submit(struct engine *e);
void engine_collect(struct engine *e, bool wait);
struct req *engine_ended(struct engine *e);
void engine_put(struct engine *e, struct req *r);
void engine_stop(struct engine *e);

#endif
