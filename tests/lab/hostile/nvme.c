// SPDX-License-Identifier: GPL-2.0-only
/* The guest that lies, in NVMe commands: page 0 of the queue is the submission queue, page 1 the completion queue. */
#include <string.h>
#include <unistd.h>
#include "hostile.h"

#define COMMAND 64u
#define COMPLETION 16u

struct cmd {
	uint8_t opcode, flags;
	uint32_t nsid;
	uint64_t prp1, prp2, slba;
	uint16_t nlb, control;		/* nlb as in the command: one less */
	uint32_t nr, attributes;	/* of dataset management, in the place of slba */
};

static struct hvdrv_state *state(struct guest *g)
{
	return (struct hvdrv_state *)g->mem;
}

static volatile uint8_t *completion(struct guest *g)
{
	return g->ring + HVDRV_PAGE + g->cons % ENTRIES * COMPLETION;
}

/* The next completion is there when its phase is this lap's. */
static bool completed(struct guest *g)
{
	return (completion(g)[14] & 1) == !(g->cons / ENTRIES & 1);
}

static int answer(struct guest *g)
{
	uint16_t st;

	for (int i = 0; i < 4000 && !completed(g) && back_state(g) == 4; i++)
		usleep(1000);
	if (!completed(g))
		return -1;
	memcpy(&st, (const void *)(completion(g) + 14), 2);
	g->cons++;
	g->answered++;
	return st >> 1;
}

static void tell(struct guest *g)
{
	__sync_synchronize();
	*(volatile uint32_t *)&state(g)->tail = g->prod;
	xenevtchn_notify(g->xce, g->port);
}

static int ask(struct guest *g, struct cmd c)
{
	uint8_t *e = g->ring + g->prod % ENTRIES * COMMAND;

	memset(e, 0, COMMAND);
	e[0] = c.opcode;
	e[1] = c.flags;
	u16_at(e, 2, g->prod & 0x3f);
	u32_at(e, 4, c.nsid);
	u64_at(e, 24, c.prp1);
	u64_at(e, 32, c.prp2);
	u64_at(e, 40, c.slba);
	if (c.opcode == 9) {
		u32_at(e, 40, c.nr);
		u32_at(e, 44, c.attributes);
	}
	u16_at(e, 48, c.nlb);
	u16_at(e, 50, c.control);
	g->prod++;
	tell(g);
	return answer(g);
}

static uint64_t prp(uint64_t ref)
{
	return ref << 12;
}

static int good_read(struct guest *g)
{
	return ask(g, (struct cmd){ .opcode = 2, .nsid = 1, .prp1 = prp(g->data_ref[0]), .nlb = 7 });
}

/* A list of 19 pages in the page of some tag, each this. */
static uint64_t list(struct guest *g, uint64_t entry)
{
	uint8_t *page = g->ring + 2 * HVDRV_PAGE;

	for (int i = 0; i < 19; i++)
		u64_at(page, 8 * i, entry);
	return prp(g->mem_ref[1 + RECORD_PAGES + 2]);
}

/* A discard of this range, described in a data page. */
static int discard(struct guest *g, uint32_t nr, uint32_t attributes, uint64_t sector, uint32_t sectors)
{
	u32_at(g->data + 4096, 4, sectors);
	u64_at(g->data + 4096, 8, sector);
	return ask(g, (struct cmd){ .opcode = 9, .nsid = 1, .prp1 = prp(g->data_ref[1]), .nr = nr, .attributes = attributes });
}

static int crafted(struct guest *g)
{
	const uint64_t data = prp(g->data_ref[0]), other = prp(g->data_ref[2]);
#define CMD(...) ask(g, (struct cmd){ __VA_ARGS__ })
#define READ .opcode = 2, .nsid = 1
	const int st[] = {
		CMD(.opcode = 200, .nsid = 1, .prp1 = data), CMD(.opcode = 4, .nsid = 1, .prp1 = data), CMD(READ, .flags = 0x40, .prp1 = data),
		CMD(READ, .flags = 1, .prp1 = data), CMD(READ, .control = 1 << 14, .prp1 = data), discard(g, 0, 0, 0, 8),
		CMD(.opcode = 2, .nsid = 0, .prp1 = data), CMD(.opcode = 1, .nsid = 0xffffffff, .prp1 = data), CMD(.opcode = 0, .nsid = 7),
		CMD(READ, .nlb = 0xffff, .prp1 = data), CMD(READ, .nlb = 504, .prp1 = data, .prp2 = list(g, other)), discard(g, 255, 4, 0, 8),
		CMD(READ, .prp1 = 0), CMD(READ, .prp1 = data | 100), CMD(READ, .prp1 = 1ull << 46), CMD(READ, .prp1 = data, .nlb = 15),
		CMD(READ, .prp1 = data, .prp2 = other | 512, .nlb = 15), CMD(READ, .prp1 = data, .prp2 = list(g, other | 8), .nlb = 159),
		CMD(READ, .prp1 = data, .prp2 = list(g, 0), .nlb = 159), CMD(READ, .prp1 = data, .slba = ~0ull),
		CMD(READ, .prp1 = data, .slba = 1ull << 40), CMD(.opcode = 8, .nsid = 1, .slba = ~0ull - 3, .nlb = 7),
		discard(g, 0, 4, ~0ull, 16), discard(g, 0, 4, 0, 0), CMD(READ, .prp1 = prp(999999)), CMD(.opcode = 1, .nsid = 1, .prp1 = prp(555555)),
		CMD(READ, .prp1 = data, .prp2 = list(g, prp(777777)), .nlb = 159), CMD(READ, .prp1 = data, .prp2 = prp(888888), .nlb = 159),
		CMD(.opcode = 9, .nsid = 1, .prp1 = prp(666666), .attributes = 4),
	};
	int good = 0;

	for (unsigned int i = 0; i < sizeof(st) / sizeof(st[0]); i++)
		good += st[i] == 0;
	return good;
}

/* Something that looks more like a command. */
static void plausible(struct guest *g)
{
	uint8_t *e = g->ring + g->prod % ENTRIES * COMMAND;

	memset(e, 0, COMMAND);
	e[0] = rnd(g) % 10;
	u16_at(e, 2, g->prod & 0x3f);
	u32_at(e, 4, 1);
	u64_at(e, 24, prp(g->data_ref[rnd(g) % 8]));
	u64_at(e, 32, list(g, prp(g->data_ref[rnd(g) % 8])));
	u64_at(e, 40, rnd(g) % 65536);
	u32_at(e, 48, rnd(g) % 600);
}

/* Everywhere but where the completions come; the lists and ranges change while the host reads them. */
static void scribble(struct guest *g, unsigned long from, unsigned long to)
{
	size_t size = MEM_PAGES * 4096ul, ring = g->ring - g->mem, tail = offsetof(struct hvdrv_state, tail);

	for (unsigned long k = from; k < to; k++) {
		size_t at = k % 3 ? ring + rnd(g) % (4096 - 8) : rnd(g) % (size - 8);

		if ((at + 8 > ring + 4096 && at < ring + 8192) || (at + 8 > tail && at < tail + 4))
			continue;
		u64_at(g->mem, at, (uint64_t)rnd(g) << 32 | rnd(g));
		if (k % 50)
			continue;
		while (completed(g))
			g->cons++;
		for (int n = g->prod - g->cons < ENTRIES / 2 ? rnd(g) % 16 : 0; n; n--, g->prod++)
			if (n % 2)
				plausible(g);
		tell(g);
	}
}

static void impossible(struct guest *g)
{
	g->prod += 0x7fffffff;
	tell(g);
}

/* Right data from the pool's pages, at an offset too; a reference that is none is refused. */
static int pool_lies(struct guest *g)
{
	uint8_t *page = g->pool + 4096 * 5, fill = rnd(g), other = ~fill;
	int wrong = 0;

	memset(page, fill, 4096);
	wrong += ask(g, (struct cmd){ .opcode = 1, .nsid = 1, .prp1 = prp(g->pool_ref[5]), .slba = 16, .nlb = 7 }) != 0;
	memset(page, other, 4096);
	wrong += ask(g, (struct cmd){ .opcode = 2, .nsid = 1, .prp1 = prp(g->pool_ref[5]) | 1024, .slba = 16, .nlb = 3 }) != 0;
	wrong += page[1023] != other || page[1024] != fill || page[3071] != fill || page[3072] != other;
	wrong += ask(g, (struct cmd){ .opcode = 2, .nsid = 1, .prp1 = prp(g->pool_ref[POOL_PAGES - 1] + 100000ull), .nlb = 7 }) == 0;
	return wrong;
}

static bool settle(struct guest *g)
{
	for (int i = 0; i < 10000 && g->cons != g->prod && back_state(g) == 4; i++) {
		while (g->cons != g->prod && completed(g))
			g->cons++;
		if (g->cons != g->prod)
			usleep(1000);
	}
	return g->cons == g->prod;
}

const struct speech speech_nvme = { "nvme", good_read, crafted, scribble, impossible, pool_lies, settle };
