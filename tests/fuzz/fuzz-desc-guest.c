// SPDX-License-Identifier: GPL-2.0-only
/* The descriptor pages of a guest. First byte odd: a good descriptor, then changed at places of the input's choice. */
#include <errno.h>
#include "fuzz.h"
#include "ring/desc.h"

struct chain {
	struct input in;
	uint8_t page[HVDRV_DESC_PAGES][HVDRV_PAGE];
	unsigned int copied;
};

static int copy(void *arg, uint32_t ref, void *page)
{
	struct chain *c = arg;

	MUST(++c->copied <= HVDRV_DESC_PAGES);
	if (ref > HVDRV_DESC_PAGES)
		return -EFAULT;
	memcpy(page, c->page[ref - 1], HVDRV_PAGE);
	return 0;
}

/* Pages have grant references 1, 2, ... */
static void make_good(struct chain *c, uint32_t depth, uint32_t pages, uint32_t queues, uint32_t pool)
{
	struct hvdrv_desc *d = (struct hvdrv_desc *)c->page[0];

	for (uint32_t p = 1; p < HVDRV_DESC_PAGES; p++) {
		struct hvdrv_desc_more *m = (struct hvdrv_desc_more *)c->page[p];

		m->magic = HVDRV_DESC_MAGIC;
		m->next = p + 2;
		for (size_t i = 0; i < HVDRV_DESC_MORE; i++)
			m->gref[i] = 100 + i;
	}
	*d = (struct hvdrv_desc){
		.magic = HVDRV_DESC_MAGIC, .version = HVDRV_ABI_MAX, .next = 2, .num_queues = queues, .depth = depth,
		.record_pages = HVDRV_RECORD_PAGES(depth), .queue_pages = pages, .slot_va = 0xffffffffc0000000,
	};
	d->pool_pages = pool;
	d->num_grefs = queues * (1 + d->record_pages + pages) + pool;
	for (size_t i = 0; i < HVDRV_DESC_FIRST; i++)
		d->gref[i] = 100 + i;
}

static void change(struct chain *c)
{
	while (c->in.left > 4) {
		uint16_t at = in_u16(&c->in) % (sizeof(c->page) / 4);
		uint16_t low = in_u16(&c->in);

		((uint32_t *)c->page)[at] = (int32_t)(int16_t)low;
	}
}

static void check_offer(const struct hv_offer *o, uint32_t depth, uint32_t pages, uint32_t queues)
{
	MUST(o->abi >= HVDRV_ABI_MIN && o->abi <= HVDRV_ABI_MAX);
	MUST(o->num_queues && o->num_queues <= queues && o->depth == depth && o->queue_pages == pages);
	MUST(o->slot_index < HVDRV_SLOTS && !(o->slot_va % HVDRV_PAGE));
	MUST(o->pool_pages <= HVDRV_MAX_POOL);
	for (uint32_t i = 0; i < o->pool_pages; i++)
		MUST(o->pool[i]);
	for (uint32_t q = 0; q < o->num_queues; q++) {
		MUST(o->queue[q].state);
		for (uint32_t i = 0; i < o->record_pages; i++)
			MUST(o->queue[q].record[i]);
		for (uint32_t i = 0; i < pages; i++)
			MUST(o->queue[q].page[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct chain c;
	static struct hv_offer o;
	uint32_t depth, pages, queues;
	struct hv_err e = { 0 };
	uint8_t how;
	int rc;

	memset(&c, 0, sizeof(c));
	c.in = (struct input){ data, size };
	how = in_u8(&c.in);
	depth = 1 + in_u8(&c.in) % HVDRV_MAX_DEPTH;
	pages = 1 + in_u8(&c.in) % HVDRV_MAX_QUEUE_PAGES;
	queues = 1 + (how >> 1) % HVDRV_MAX_QUEUES;
	if (how & 1)
		make_good(&c, depth, pages, queues, in_u8(&c.in) * 8);
	else
		in_bytes(&c.in, c.page, sizeof(c.page));
	change(&c);
	rc = hv_desc_read(copy, &c, 1, depth, pages, queues, &o, &e);
	if (!rc)
		check_offer(&o, depth, pages, queues);
	else
		MUST(rc == -e.code && *e.text);
	return 0;
}
