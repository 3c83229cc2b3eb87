// SPDX-License-Identifier: GPL-2.0-only
#include <sys/mman.h>
#include <unistd.h>
#include "stub.h"
#include "unit.h"

#define NOT_LIVE 0xffffu

static void map_slot(struct stub *s)
{
	int fd = memfd_create("slot", MFD_CLOEXEC);
	uint8_t *exec;

	ck_assert_int_eq(ftruncate(fd, HVDRV_SLOT_SIZE), 0);
	s->slot.code = mmap(NULL, HVDRV_SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	exec = mmap(NULL, HVDRV_SLOT_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	ck_assert(s->slot.code != MAP_FAILED && exec != MAP_FAILED);
	close(fd);
	hv_slot_wipe(&s->slot);
	for (uint32_t k = 0; k < HVDRV_ENTRIES; k++)
		s->entry[k] = (hvdrv_entry_fn)(uintptr_t)(exec + HVDRV_ENTRY_OFFSET(k));
}

void stub_init(struct stub *s, uint8_t *mem, const uint32_t *gref, uint32_t depth)
{
	uint32_t rp = HVDRV_RECORD_PAGES(depth);

	memset(s, 0, sizeof(*s));
	map_slot(s);
	s->slot.num_queues = 1;
	s->slot.state[0] = (struct hvdrv_state *)mem;
	s->ctx = (struct hvdrv_ctx){
		.size = sizeof(s->ctx), .depth = depth, .queue_pages = 2 + depth, .state = s->slot.state[0],
		.records = (struct hvdrv_record *)(mem + HVDRV_PAGE), .pages = mem + (1 + rp) * HVDRV_PAGE, .grefs = gref + 1 + rp,
	};
	memset(s->live, 0xff, sizeof(s->live));
}

void stub_free(struct stub *s)
{
	munmap(s->slot.code, HVDRV_SLOT_SIZE);
	munmap((void *)(uintptr_t)s->entry[0], HVDRV_SLOT_SIZE);
}

struct hvdrv_record *stub_record(struct stub *s, uint32_t tag)
{
	return &s->ctx.records[tag];
}

uint32_t stub_call(struct stub *s, enum hvdrv_entry e, uint32_t arg)
{
	struct hvdrv_state *st = s->ctx.state;
	uint32_t r = 0;
	bool adopt;

	if (s->dead)
		return HVDRV_R_BROKEN;
	st->inside = 1;
	if (e == HVDRV_ENTRY_SUBMIT && st->hold) {
		r = HVDRV_R_BUSY;
	} else {
		adopt = st->adopt != st->adopted;
		if (adopt) {
			r = s->entry[HVDRV_ENTRY_ADOPT](&s->ctx, 0);
			st->adopted = st->adopt;
			s->adopts++;
		}
		if (!adopt || e != HVDRV_ENTRY_SUBMIT)	/* adopt has posted it */
			r |= s->entry[e](&s->ctx, arg);
	}
	st->inside = 0;
	return r;
}

uint32_t stub_submit(struct stub *s, uint32_t tag)
{
	struct hvdrv_record *rec = stub_record(s, tag);
	uint16_t handle = HVDRV_HANDLE(tag, s->gen[tag]++);
	uint32_t r;

	rec->handle = handle;
	rec->state = HVDRV_REC_READY;
	s->live[tag] = handle;
	r = stub_call(s, HVDRV_ENTRY_SUBMIT, handle);
	if (r & (HVDRV_R_BUSY | HVDRV_R_BROKEN)) {
		s->live[tag] = NOT_LIVE;
		rec->state = HVDRV_REC_FREE;
	}
	return r;
}

uint32_t stub_event(struct stub *s, struct hvdrv_done *done, unsigned int *n)
{
	uint32_t r = stub_call(s, HVDRV_ENTRY_COMPLETE, 0);

	*n = 0;
	for (uint32_t i = 0; i < s->ctx.ndone && i < s->ctx.depth; i++) {
		uint32_t tag = HVDRV_HANDLE_TAG(s->ctx.done[i].handle);

		if (tag >= s->ctx.depth || s->live[tag] != s->ctx.done[i].handle) {
			s->ctx.state->stale++;
			continue;
		}
		s->live[tag] = NOT_LIVE;
		stub_record(s, tag)->state = HVDRV_REC_FREE;
		done[(*n)++] = s->ctx.done[i];
	}
	s->ctx.ndone = 0;
	s->dead |= !!(r & HVDRV_R_BROKEN);
	return r;
}
