// SPDX-License-Identifier: GPL-2.0-only
#include "emu.h"
#ifdef HAVE_UNICORN
#include <stddef.h>
#include <sys/mman.h>
#include <unicorn/unicorn.h>

#define STACK_BYTES 512		/* that a driver may use */

/* Far apart, so that none is reached from another. */
enum { CODE, CTX, STATE, RECORDS, PAGES, GREFS, FRAMES, DOORBELLS, STACK, REGIONS };
static const struct { uint64_t at; uint32_t bytes; } map[REGIONS] = {
	{ 0xffffffffc0400000, 0x4000 }, { 0xffff888001000000, 0x1000 }, { 0xffff888012345000, 0x1000 },
	{ 0xffff888023456000, 0x23000 }, { 0xffff888034567000, 0x90000 }, { 0xffff888045678000, 0x1000 },
	{ 0xffff888056789000, 0x1000 }, { 0xffffc90000067000, 0x1000 }, { 0xffffc900000a0000, 0x3000 },
};
#define RETURNS 0xffffffff81234560	/* where the stub would go on: mapped nowhere */
#define TOP (map[STACK].at + 0x2000)	/* of the return address */

struct right {
	uint64_t from, to;
	bool write;
};

struct emu {
	uc_engine *uc;
	uc_hook hook[3];
	uint8_t *mem[REGIONS];
	struct hv_image_header h;
	uint32_t depth;
	struct right right[24];
	unsigned int nright;
	const char *broke;
};

static bool may(const struct emu *m, uint64_t at, int size, bool write)
{
	for (unsigned int k = 0; k < m->nright; k++)
		if (at >= m->right[k].from && at + size <= m->right[k].to && (m->right[k].write || !write))
			return true;
	/* registers of a controller: written only */
	return write && !strcmp(m->h.mode, "direct") && at >= map[DOORBELLS].at && at + size <= map[DOORBELLS].at + HVDRV_PAGE;
}

static void on_memory(uc_engine *uc, uc_mem_type type, uint64_t at, int size, int64_t value, void *arg)
{
	struct emu *m = arg;
	bool write = type == UC_MEM_WRITE;

	if (may(m, at, size, write) || m->broke)
		return;
	m->broke = write ? "writes what it may not" : "reads what it may not";
	uc_emu_stop(uc);
}

static bool on_nothing(uc_engine *uc, uc_mem_type type, uint64_t at, int size, int64_t value, void *arg)
{
	struct emu *m = arg;

	m->broke = type == UC_MEM_FETCH_UNMAPPED ? "goes where no code is" : "reaches memory that is not there";
	return false;
}

static void on_interrupt(uc_engine *uc, uint32_t number, void *arg)
{
	((struct emu *)arg)->broke = "raises an exception";
	uc_emu_stop(uc);
}

struct emu *emu_new(void)
{
	struct emu *m = calloc(1, sizeof(*m));

	ck_assert_int_eq(uc_open(UC_ARCH_X86, UC_MODE_64, &m->uc), UC_ERR_OK);
	for (int k = 0; k < REGIONS; k++) {
		m->mem[k] = mmap(NULL, map[k].bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(m->mem[k], MAP_FAILED);
		ck_assert_int_eq(uc_mem_map_ptr(m->uc, map[k].at, map[k].bytes, k == CODE ? UC_PROT_READ | UC_PROT_EXEC :
						UC_PROT_READ | UC_PROT_WRITE, m->mem[k]), UC_ERR_OK);
	}
	uc_hook_add(m->uc, &m->hook[0], UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, on_memory, m, 1, 0);
	uc_hook_add(m->uc, &m->hook[1], UC_HOOK_MEM_INVALID, on_nothing, m, 1, 0);
	uc_hook_add(m->uc, &m->hook[2], UC_HOOK_INTR, on_interrupt, m, 1, 0);
	return m;
}

void emu_free(struct emu *m)
{
	if (!m)
		return;
	uc_close(m->uc);
	for (int k = 0; k < REGIONS; k++)
		munmap(m->mem[k], map[k].bytes);
	free(m);
}

void emu_place(struct emu *m, const struct hv_image *img)
{
	m->h = img->h;
	memset(m->mem[CODE], HVDRV_SLOT_FILL, HVDRV_SLOT_SIZE);
	memcpy(m->mem[CODE], img->payload, img->h.payload_size);
	uc_ctl_remove_cache(m->uc, map[CODE].at, map[CODE].at + HVDRV_SLOT_SIZE);
}

/* ---- what a call finds ---- */

static uint32_t pick(struct rng *r, const uint32_t *of, uint32_t n)
{
	return of[rng_below(r, n)];
}

static void allow(struct emu *m, int region, uint32_t at, uint32_t bytes, bool write)
{
	ck_assert_uint_lt(m->nright, N(m->right));
	m->right[m->nright++] = (struct right){ map[region].at + at, map[region].at + at + bytes, write };
}

static void set_rights(struct emu *m)
{
	uint32_t pages = m->h.queue_fixed_pages + m->h.queue_pages_per_tag * m->depth;

	m->nright = 0;
	allow(m, CODE, 0, m->h.payload_size, false);
	allow(m, CTX, 0, sizeof(struct hvdrv_ctx), false);
	allow(m, CTX, offsetof(struct hvdrv_ctx, ndone), 4, true);
	allow(m, CTX, offsetof(struct hvdrv_ctx, done), sizeof(((struct hvdrv_ctx *)0)->done), true);
	allow(m, STATE, 0, offsetof(struct hvdrv_state, times), false);
	allow(m, STATE, offsetof(struct hvdrv_state, tail), 4, true);
	allow(m, STATE, offsetof(struct hvdrv_state, event), 4, true);
	allow(m, STATE, offsetof(struct hvdrv_state, drv), HVDRV_DRV_SIZE, true);
	if (!strcmp(m->h.mode, "direct"))
		allow(m, STATE, offsetof(struct hvdrv_state, counts), sizeof(((struct hvdrv_state *)0)->counts), true);
	allow(m, RECORDS, 0, m->depth * sizeof(struct hvdrv_record), false);
	allow(m, PAGES, 0, pages * HVDRV_PAGE, true);
	allow(m, GREFS, 0, pages * 4, false);
	allow(m, FRAMES, 0, pages * 8, false);
	allow(m, STACK, 0x2000 - STACK_BYTES, STACK_BYTES, true);
	allow(m, STACK, 0x2000, 8, false);
}

/* Values near each other, so that queues are full and empty, ready and not. */
static void make_words(struct rng *r, uint8_t *to, uint32_t bytes)
{
	uint32_t base = rng_below(r, 3) ? rng_below(r, 200) : rng_u64(r), v;

	for (uint32_t k = 0; k + 4 <= bytes; k += 4) {
		v = rng_below(r, 8) ? base + rng_below(r, 66) : rng_u64(r);
		memcpy(to + k, &v, 4);
	}
}

static void make_records(struct emu *m, struct rng *r)
{
	static const uint32_t segs[] = { 0, 1, 1, 2, 3, 11, 12, 63, 63, 64, 65535 };

	for (uint32_t k = 0; k < m->depth; k++) {
		struct hvdrv_record *rec = (struct hvdrv_record *)m->mem[RECORDS] + k;

		rng_fill(r, rec, 64 + 16 * 4);
		rec->op = rng_below(r, 16) ? rng_below(r, 5) : rec->op;
		rec->state = rng_below(r, 16) ? rng_below(r, 4) : rec->state;
		rec->handle = rng_below(r, 4) ? k : rec->handle;
		rec->nseg = pick(r, segs, N(segs));
	}
}

static void make_memory(struct emu *m, struct rng *r)
{
	static const uint32_t depths[] = { 1, 2, 3, 31, 64, 64, 64, 127, 128 }, dones[] = { 0, 0, 0, 0, 0, 1, 63, 127, 128, 129, UINT32_MAX };
	struct hvdrv_ctx *c = (struct hvdrv_ctx *)m->mem[CTX];

	m->depth = pick(r, depths, N(depths));
	make_words(r, m->mem[STATE], HVDRV_PAGE);
	make_words(r, m->mem[PAGES], 3 * HVDRV_PAGE);
	if (rng_below(r, 2))		/* completions of one phase, mostly */
		memset(m->mem[PAGES] + HVDRV_PAGE, rng_below(r, 2), 16 * rng_below(r, 65));
	make_records(m, r);
	rng_fill(r, c, sizeof(*c));
	c->size = sizeof(*c);
	c->depth = m->depth;
	c->queue_pages = m->h.queue_fixed_pages + m->h.queue_pages_per_tag * m->depth;
	c->ndone = pick(r, dones, N(dones));
	c->state = (void *)map[STATE].at;
	c->records = (void *)map[RECORDS].at;
	c->pages = (void *)map[PAGES].at;
	c->grefs = (void *)map[GREFS].at;
	c->frames = (void *)map[FRAMES].at;
	c->doorbells = rng_below(r, 4) ? (void *)map[DOORBELLS].at : NULL;
	set_rights(m);
}

static const int general[] = { UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX, UC_X86_REG_RBP, UC_X86_REG_RSI,
			       UC_X86_REG_RDI, UC_X86_REG_R8, UC_X86_REG_R9, UC_X86_REG_R10, UC_X86_REG_R11, UC_X86_REG_R12,
			       UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15 };
static bool is_callers(int reg)
{
	return reg == UC_X86_REG_RBX || reg == UC_X86_REG_RBP || (reg >= UC_X86_REG_R12 && reg <= UC_X86_REG_R15);
}

#define EFLAGS_FREE 0x8d5u	/* carry, parity, adjust, zero, sign, overflow: whatever is left there */

static const char *check_return(struct emu *m, const uint64_t before[N(general)], uint64_t flags)
{
	uint64_t v, after = 0;

	uc_reg_read(m->uc, UC_X86_REG_RIP, &v);
	if (v != RETURNS)
		return "does not return in so many instructions";
	uc_reg_read(m->uc, UC_X86_REG_RSP, &v);
	if (v != TOP + 8)
		return "returns with another stack pointer";
	for (size_t k = 0; k < N(general); k++) {
		uc_reg_read(m->uc, general[k], &v);
		if (is_callers(general[k]) && v != before[k])
			return "changes a register of its caller";
		if (general[k] == UC_X86_REG_RAX && (uint32_t)v > 15)
			return "returns what is no answer";
	}
	uc_reg_read(m->uc, UC_X86_REG_EFLAGS, &after);
	return (after ^ flags) & ~(uint64_t)EFLAGS_FREE & 0xffffff ? "leaves other flags" : NULL;
}

const char *emu_call(struct emu *m, enum hvdrv_entry entry, uint64_t insns, struct rng *r)
{
	uint64_t before[N(general)], sp = TOP, back = RETURNS, flags = 2 | (rng_u64(r) & EFLAGS_FREE);
	uc_err err;

	make_memory(m, r);
	memset(m->mem[STACK], 0xa5, map[STACK].bytes);
	memcpy(m->mem[STACK] + 0x2000, &back, 8);
	for (size_t k = 0; k < N(general); k++) {
		before[k] = rng_u64(r);
		if (general[k] == UC_X86_REG_RDI)
			before[k] = map[CTX].at;
		if (general[k] == UC_X86_REG_RSI && rng_below(r, 8))
			before[k] = (before[k] & 0xffffffff0000f000) | rng_below(r, m->depth + 1);
		uc_reg_write(m->uc, general[k], &before[k]);
	}
	uc_reg_write(m->uc, UC_X86_REG_RSP, &sp);
	uc_reg_write(m->uc, UC_X86_REG_EFLAGS, &flags);
	uc_reg_read(m->uc, UC_X86_REG_EFLAGS, &flags);
	m->broke = NULL;
	err = uc_emu_start(m->uc, map[CODE].at + m->h.entry[entry], RETURNS, 0, insns);
	if (m->broke)
		return m->broke;
	return err ? uc_strerror(err) : check_return(m, before, flags);
}
#else
struct emu *emu_new(void)
{
	return NULL;
}

void emu_free(struct emu *m)
{
}

void emu_place(struct emu *m, const struct hv_image *img)
{
}

const char *emu_call(struct emu *m, enum hvdrv_entry entry, uint64_t insns, struct rng *r)
{
	return "no emulator";
}
#endif
