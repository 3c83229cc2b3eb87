// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostile - a guest that lies. Runs in a lab guest without the hvdrv module and is itself the frontend of device 0:
 * it grants its pages, writes the keys, and then breaks every rule of the contract.
 *
 *   hostile SEED serve WRITES   a good read first (so that attach returns), then every refused request, then WRITES
 *                               random stores into ring, records, state and queue pages, then an impossible index
 *   hostile SEED serve-nvme WRITES   the same as the driver of mode paravirtual would speak
 *   hostile SEED storm[-nvme] SECONDS   all of it together, for so long, and then an impossible index (storm.c)
 *   hostile SEED offer N        N-th way of a bad descriptor
 *
 * Between its steps it waits for xenstore's data/hostile/go to hold the step's number.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "hostile.h"

static void die(const char *what)
{
	fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
	exit(1);
}

unsigned int rnd(struct guest *g)
{
	return rand_r(&g->seed) ^ (unsigned int)rand_r(&g->seed) << 15;
}

static void put(struct guest *g, const char *key, const char *val)
{
	char path[128];

	snprintf(path, sizeof(path), FRONT "/%s", key);
	if (!xs_write(g->xs, XBT_NULL, path, val, strlen(val)))
		die(path);
}

int back_state(struct guest *g)
{
	char path[160], *s;
	int st;

	snprintf(path, sizeof(path), "%s/state", g->back);
	s = xs_read(g->xs, XBT_NULL, path, NULL);
	st = s ? atoi(s) : 0;
	free(s);
	return st;
}

/* Until the host's state is one of two; the other ends the wait, too. */
static int wait_state(struct guest *g, int a, int b)
{
	int st;

	for (int i = 0; i < 600; i++) {
		st = back_state(g);
		if (st == a || st == b)
			return st;
		usleep(50000);
	}
	fprintf(stderr, "hostile: the host's state stays %d\n", st);
	exit(1);
}

static void wait_go(struct guest *g, int step)
{
	printf("step %d\n", step);
	fflush(stdout);
	for (;;) {
		char *s = xs_read(g->xs, XBT_NULL, "data/hostile/go", NULL);
		bool go = s && atoi(s) >= step;

		free(s);
		if (go)
			return;
		usleep(50000);
	}
}

static void find_device(struct guest *g)
{
	char *b = NULL;

	for (int i = 0; i < 1200 && !b; i++) {
		b = xs_read(g->xs, XBT_NULL, FRONT "/backend", NULL);
		if (!b)
			usleep(50000);
	}
	if (!b)
		die("no device");
	snprintf(g->back, sizeof(g->back), "%s", b);
	free(b);
	wait_state(g, 2, 2);
}

static void *share(struct guest *g, int n, uint32_t *refs)
{
	void *p = xengntshr_share_pages(g->shr, 0, n, refs, 1);

	if (!p)
		die("gntalloc");
	memset(p, 0, n * 4096ul);
	return p;
}

static void make_offer(struct guest *g)
{
	struct hvdrv_desc *d;
	unsigned int n = 0;

	g->desc = share(g, 1, &g->desc_ref);
	g->slot = share(g, 4, g->slot_ref);
	g->mem = share(g, MEM_PAGES, g->mem_ref);
	g->data = share(g, 8, g->data_ref);
	g->pool = share(g, POOL_PAGES, g->pool_ref);
	memset(g->slot, HVDRV_SLOT_FILL, HVDRV_SLOT_SIZE);
	g->ring = g->mem + (1 + RECORD_PAGES) * 4096;
	g->port = xenevtchn_bind_unbound_port(g->xce, 0);
	d = (void *)g->desc;
	d->magic = HVDRV_DESC_MAGIC;
	d->version = 2;
	d->num_grefs = MEM_PAGES + POOL_PAGES;
	d->pool_pages = POOL_PAGES;
	d->num_queues = 1;
	d->depth = DEPTH;
	d->record_pages = RECORD_PAGES;
	d->queue_pages = QUEUE_PAGES;
	d->slot_va = 0xffffffffc0000000ull;
	memcpy(d->slot_gref, g->slot_ref, sizeof(d->slot_gref));
	d->port[0] = g->port;
	for (; n < MEM_PAGES; n++)
		d->gref[n] = g->mem_ref[n];
	for (unsigned int i = 0; i < POOL_PAGES; i++)
		d->gref[n++] = g->pool_ref[i];
}

static void publish(struct guest *g)
{
	struct utsname release;
	char text[32];

	uname(&release);
	put(g, "os/type", "linux");
	put(g, "os/release", release.release);	/* the host knows what it was started with */
	put(g, "os/arch", "x86_64");
	put(g, "os/abi", "linux-kernel");
	put(g, "abi-min", "1");
	put(g, "abi-max", "2");
	put(g, "slot-va", "0xffffffffc0000000");
	snprintf(text, sizeof(text), "%u", g->desc_ref);
	put(g, "slot-ref", text);
	put(g, "state", "3");
}

/* ---- requests ---- */

static uint8_t *entry(struct guest *g)
{
	uint8_t *e = g->ring + 64 + (g->prod % ENTRIES) * STRIDE;

	memset(e, 0, STRIDE);
	return e;
}

static void push(struct guest *g)
{
	g->prod++;
	__sync_synchronize();
	*(volatile uint32_t *)g->ring = g->prod;
	xenevtchn_notify(g->xce, g->port);
}

/* Waits for one answer; its status. */
static int answer(struct guest *g)
{
	int16_t st = 1;

	for (int i = 0; i < 4000 && *(volatile uint32_t *)(g->ring + 8) == g->cons; i++) {
		if (back_state(g) != 4)
			break;
		usleep(1000);
	}
	if (*(volatile uint32_t *)(g->ring + 8) != g->cons) {
		memcpy(&st, g->ring + 64 + (g->cons % ENTRIES) * STRIDE + 10, 2);
		g->cons++;
		g->answered++;
	}
	return st;
}

static void seg(uint8_t *at, uint32_t ref, int first, int last)
{
	u32_at(at, 0, ref);
	at[4] = first;
	at[5] = last;
}

static int simple(struct guest *g, int op, int nseg, uint64_t sector, uint32_t ref, int first, int last)
{
	uint8_t *e = entry(g);

	e[0] = op;
	e[1] = nseg;
	u64_at(e, 8, g->prod);
	u64_at(e, 16, sector);
	for (int i = 0; i < (nseg < 11 ? nseg : 11); i++)
		seg(e + 24 + 8 * i, ref, first, last);
	push(g);
	return answer(g);
}

static int indirect(struct guest *g, int op, int nseg, uint32_t page_ref, uint32_t seg_ref, int first, int last)
{
	uint8_t *e = entry(g), *page = g->mem + (1 + RECORD_PAGES + 2) * 4096;

	for (int i = 0; i < 64; i++)
		seg(page + 8 * i, seg_ref, first, last);
	e[0] = 6;
	e[1] = op;
	u16_at(e, 2, nseg);
	u64_at(e, 8, g->prod);
	u64_at(e, 16, 0);
	u32_at(e, 28, page_ref);
	push(g);
	return answer(g);
}

static int range(struct guest *g, int op, uint64_t sector, uint64_t count)
{
	uint8_t *e = entry(g);

	e[0] = op;
	u64_at(e, 8, g->prod);
	u64_at(e, 16, sector);
	u64_at(e, 24, count);
	push(g);
	return answer(g);
}

static int good_read(struct guest *g)
{
	return simple(g, 0, 1, 0, g->data_ref[0], 0, 7);
}

/* Right data from the pool's pages, at an offset too, and nothing beyond a page; a reference that is none is refused. */
static int pool_lies(struct guest *g)
{
	const uint8_t fill = rnd(g), other = ~fill;
	uint8_t *page = g->pool + 4096 * 3;
	int wrong = 0;

	memset(page, fill, 4096);
	wrong += simple(g, 1, 1, 8, g->pool_ref[3], 0, 7) != 0;
	memset(page, other, 4096);
	wrong += simple(g, 0, 1, 8, g->pool_ref[3], 2, 5) != 0;
	wrong += page[1023] != other || page[1024] != fill || page[3071] != fill || page[3072] != other;
	wrong += simple(g, 0, 1, 8, g->pool_ref[3], 0, 8) == 0;		/* out of its page, into the next of the pool */
	wrong += simple(g, 0, 1, 8, g->pool_ref[POOL_PAGES - 1] + 100000, 0, 7) == 0;
	return wrong;
}

/* Every kind of request that must be refused, and none may succeed. (Reference 0 would: it is the console's.) */
static int crafted(struct guest *g)
{
	uint32_t ind = g->mem_ref[1 + RECORD_PAGES + 2], data = g->data_ref[0];
	const int st[] = {
		simple(g, 200, 1, 0, data, 0, 7), simple(g, 2, 1, 0, data, 0, 7), simple(g, 4, 1, 0, data, 0, 7),
		simple(g, 0, 0, 0, data, 0, 7), simple(g, 0, 12, 0, data, 0, 7), simple(g, 0, 255, 0, data, 0, 7),
		simple(g, 0, 1, 0, data, 5, 4), simple(g, 0, 1, 0, data, 0, 8), simple(g, 0, 1, 0, data, 255, 255),
		simple(g, 0, 1, ~0ull, data, 0, 7), simple(g, 0, 1, 1ull << 40, data, 0, 7),
		simple(g, 0, 1, ~0ull - 3, data, 0, 7), simple(g, 0, 1, 0, 999999, 0, 7),
		simple(g, 1, 1, 0, 0xffffffff, 0, 7), simple(g, 0, 1, 0, 555555, 0, 7), indirect(g, 3, 4, ind, data, 0, 7),
		indirect(g, 6, 4, ind, data, 0, 7), indirect(g, 0, 0, ind, data, 0, 7), indirect(g, 0, 64, ind, data, 0, 7),
		indirect(g, 0, 0xffff, ind, data, 0, 7), indirect(g, 0, 20, 666666, data, 0, 7),
		indirect(g, 0, 20, 888888, data, 0, 7), indirect(g, 0, 20, ind, 777777, 0, 7),
		indirect(g, 0, 20, ind, data, 7, 0), range(g, 5, 0, 0), range(g, 5, ~0ull, 16), range(g, 64, 0, ~0ull),
		range(g, 64, 1ull << 50, 8), simple(g, 0, 1, 1, data, 0, 3), simple(g, 1, 1, 3, data, 1, 2),
};
	int good = 0;

	/* the last two are refused by a device of 4 KiB blocks only */
	for (unsigned int i = 0; i < sizeof(st) / sizeof(st[0]) - 2; i++)
		good += st[i] == 0;
	return good;
}

/* Stores everywhere but the ring's own indexes; now and then the host is told that there is more. */
static void scribble(struct guest *g, unsigned long from, unsigned long to)
{
	size_t size = MEM_PAGES * 4096ul, ring = g->ring - g->mem;

	for (unsigned long k = from; k < to; k++) {
		size_t at = k % 3 ? ring + 64 + rnd(g) % (8192 - 72) : rnd(g) % (size - 8);

		if (at + 8 > ring && at < ring + 16)
			continue;
		u64_at(g->mem, at, (uint64_t)rnd(g) << 32 | rnd(g));
		if (k % 5 == 0)			/* something that looks more like a request */
			g->ring[64 + (g->prod % ENTRIES) * STRIDE] = rnd(g) % 8;
		if (k % 50)
			continue;
		g->prod = *(volatile uint32_t *)(g->ring + 8) + rnd(g) % ENTRIES;
		if ((int32_t)(g->prod - *(volatile uint32_t *)g->ring) > 0)
			*(volatile uint32_t *)g->ring = g->prod;
		xenevtchn_notify(g->xce, g->port);
	}
}

static void impossible(struct guest *g)
{
	g->prod = *(volatile uint32_t *)g->ring + 0x7fffffff;
	push(g);
}

static bool settle(struct guest *g)
{
	g->prod = *(volatile uint32_t *)g->ring;
	for (int i = 0; i < 10000 && *(volatile uint32_t *)(g->ring + 8) != g->prod && back_state(g) == 4; i++)
		usleep(1000);
	g->cons = *(volatile uint32_t *)(g->ring + 8);
	return g->cons == g->prod;
}

const struct speech speech_blkif = { "blkif", good_read, crafted, scribble, impossible, pool_lies, settle };

static void connect_as(struct guest *g, const struct speech *sp)
{
	make_offer(g);
	publish(g);
	wait_state(g, 4, 6);
	put(g, "disk", "\033[31mevil\n");
	put(g, "state", "4");
	printf("%s: first read: %d\n", sp->name, sp->good_read(g));
}

static void end_it(struct guest *g, const struct speech *sp)
{
	sp->impossible(g);
	wait_state(g, 6, 6);
	put(g, "state", "6");		/* so that nobody waits for it to let go */
	printf("ended by the host\n");
}

static void serve_storm(struct guest *g, const struct speech *sp, unsigned int seconds)
{
	connect_as(g, sp);
	printf("pool: %d wrong\n", sp->pool_lies(g));
	wait_go(g, 1);
	storm(g, sp, seconds);
	wait_go(g, 2);
	end_it(g, sp);
}

static void serve(struct guest *g, const struct speech *sp, unsigned long writes)
{
	int good = 0;

	connect_as(g, sp);
	for (int round = 0; round < 5; round++)
		good += sp->crafted(g);
	printf("pool: %d wrong\n", sp->pool_lies(g));
	printf("crafted: %u answered, %d of those that must fail did not\n", g->answered, good);
	wait_go(g, 1);
	for (unsigned long i = 0; i < writes && back_state(g) == 4; i += 500) {
		sp->scribble(g, i, i + 500 < writes ? i + 500 : writes);
		g->writes = i + 500 < writes ? i + 500 : writes;
	}
	printf("scribbled: %lu writes\n", g->writes);
	wait_go(g, 2);
	end_it(g, sp);
}

/* Descriptors that cannot be. */
static void offer(struct guest *g, int way)
{
	struct hvdrv_desc *d;

	make_offer(g);
	d = (void *)g->desc;
	switch (way) {
	case 0: d->magic = 0; break;
	case 1: d->num_grefs = 0xffffffff; break;
	case 2: d->num_queues = 200; break;
	case 3: d->depth = 0; break;
	case 4: d->gref[5] = 0; break;
	case 5: d->gref[0] = 123456; break;
	case 6: d->slot_gref[2] = 99999; break;
	case 7: d->slot_va = 0x1001; break;
	case 8: d->next = g->desc_ref; d->num_queues = 8; d->num_grefs = 8 * MEM_PAGES + POOL_PAGES; break;
	case 9: memset(g->slot, 0x90, HVDRV_SLOT_SIZE); break;
	case 10: d->port[0] = 4000; break;
	case 11: d->version = 77; break;
	case 12: d->pool_pages = 0xffffffff; break;
	case 13: d->pool_pages = HVDRV_MAX_POOL; break;	/* more than are listed */
	case 14: d->gref[MEM_PAGES + 3] = 0; break;
	case 15: d->version = 1; break;			/* which has no pool */
	default:
		for (int i = 0; i < 4096; i++)
			g->desc[i] = rnd(g);
		if (way & 1)
			d->magic = HVDRV_DESC_MAGIC;
	}
	publish(g);
	printf(wait_state(g, 4, 5) == 4 ? "ACCEPTED\n" : "refused\n");
	if (!way)
		return;			/* once it says nothing at all: the host has limits for that */
	put(g, "state", "6");
	wait_state(g, 6, 0);
	put(g, "state", "1");
}

int main(int argc, char **argv)
{
	struct guest g = { .seed = argc > 1 ? atoi(argv[1]) : 1 };

	if (argc != 4) {
		fprintf(stderr, "usage: hostile SEED serve|serve-nvme WRITES | storm|storm-nvme SECONDS | offer WAY\n");
		return 2;
	}
	g.xs = xs_open(0);
	g.shr = xengntshr_open(NULL, 0);
	g.xce = xenevtchn_open(NULL, 0);
	if (!g.xs || !g.shr || !g.xce)
		die("open");
	find_device(&g);
	if (!strcmp(argv[2], "serve"))
		serve(&g, &speech_blkif, strtoul(argv[3], NULL, 10));
	else if (!strcmp(argv[2], "serve-nvme"))
		serve(&g, &speech_nvme, strtoul(argv[3], NULL, 10));
	else if (!strcmp(argv[2], "storm"))
		serve_storm(&g, &speech_blkif, atoi(argv[3]));
	else if (!strcmp(argv[2], "storm-nvme"))
		serve_storm(&g, &speech_nvme, atoi(argv[3]));
	else
		offer(&g, atoi(argv[3]));
	return 0;
}
