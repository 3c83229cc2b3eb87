// SPDX-License-Identifier: GPL-2.0-only
/* Requests as NVMe commands: bytes of the entry as the specification has them, the fence of blocks, what a status means. */
#include <stddef.h>
#include "host-io/nvme.h"
#include "unit.h"

#define KIB 1024ull
#define GIB (1ull << 30)

static struct io_pass pass_of(uint32_t block)
{
	return (struct io_pass){
		.fd = -1, .nsid = 7, .block = block, .base = 1 << 20, .first = 3 << 20, .end = 5 << 20, .max_bytes = 252 * KIB,
		.max_discard = 1 << 20, .max_zeroes = 128 * KIB,
	};
}

static uint8_t data[1 << 20] __attribute__((aligned(4096)));

/* The submission entry's dwords as the device gets them: 0, 1, then from 10 on. */
static void dwords(const struct nvme_uring_cmd *c, uint32_t dw[16])
{
	memset(dw, 0, 16 * sizeof(*dw));
	dw[0] = c->opcode | (uint32_t)c->flags << 8;
	dw[1] = c->nsid;
	memcpy(dw + 10, &c->cdw10, 6 * sizeof(*dw));
}

static struct io_op op_of(const struct io_pass *p, enum io_kind kind, uint64_t off, uint64_t len)
{
	return (struct io_op){ .kind = kind, .pass = p, .off = off, .len = len, .buf = data };
}

/* What the kernel reads is the structure of its own header, at these places. */
START_TEST(layout)
{
	ck_assert_uint_eq(sizeof(struct nvme_uring_cmd), 72);
	ck_assert_uint_eq(offsetof(struct nvme_uring_cmd, opcode), 0);
	ck_assert_uint_eq(offsetof(struct nvme_uring_cmd, nsid), 4);
	ck_assert_uint_eq(offsetof(struct nvme_uring_cmd, metadata), 16);
	ck_assert_uint_eq(offsetof(struct nvme_uring_cmd, addr), 24);
	ck_assert_uint_eq(offsetof(struct nvme_uring_cmd, metadata_len), 32);
	ck_assert_uint_eq(offsetof(struct nvme_uring_cmd, data_len), 36);
	ck_assert_uint_eq(offsetof(struct nvme_uring_cmd, cdw10), 40);
	ck_assert_uint_eq(offsetof(struct nvme_uring_cmd, timeout_ms), 64);
}
END_TEST

static const struct {
	enum io_kind kind;
	bool fua;
	uint32_t block;
	uint64_t off, len;		/* off counts from 1 MiB of the namespace */
	uint32_t dw0, dw10, dw11, dw12, data_len;
	int64_t bytes;
} commands[] = {
	{ IO_READ, false, 512, 2 << 20, 4096, 0x02, 6144, 0, 7, 4096, 4096 },
	{ IO_READ, true, 512, (2 << 20) + 512, 512, 0x02, 6145, 0, 0, 512, 512 },	/* FUA is of writes */
	{ IO_WRITE, false, 512, 2 << 20, 252 * 1024, 0x01, 6144, 0, 503, 252 * 1024, 252 * 1024 },
	{ IO_WRITE, true, 512, 2 << 20, 512, 0x01, 6144, 0, 1u << 30, 512, 512 },
	{ IO_WRITE, false, 4096, 2 << 20, 8192, 0x01, 768, 0, 1, 8192, 8192 },
	{ IO_WRITE, true, 4096, (2 << 20) + 4096, 8192, 0x01, 769, 0, 1 | 1u << 30, 8192, 8192 },
	{ IO_READ, false, 512, 2 << 20, 512 * 1024, 0x02, 6144, 0, 503, 252 * 1024, 252 * 1024 },	/* the first of several */
	{ IO_FLUSH, false, 512, 0, 0, 0x00, 0, 0, 0, 0, 0 },
	{ IO_DISCARD, false, 512, 2 << 20, 65536, 0x09, 0, 4, 0, 16, 65536 },
	{ IO_ZERO, false, 512, 2 << 20, 65536, 0x08, 6144, 0, 127, 0, 65536 },
	{ IO_ZERO, false, 512, 2 << 20, 1 << 20, 0x08, 6144, 0, 255, 0, 128 * 1024 },
};

START_TEST(encoded)
{
	struct io_pass p = pass_of(commands[_i].block);
	struct io_op op = op_of(&p, commands[_i].kind, commands[_i].off, commands[_i].len);
	struct nvme_uring_cmd c;
	uint32_t dw[16];

	op.fua = commands[_i].fua;
	memset(&c, 0xee, sizeof(c));
	ck_assert_int_eq(nvme_command(&op, &c), commands[_i].bytes);
	dwords(&c, dw);
	ck_assert_uint_eq(dw[0], commands[_i].dw0);
	ck_assert_uint_eq(dw[1], 7);
	ck_assert_uint_eq(dw[10], commands[_i].dw10);
	ck_assert_uint_eq(dw[11], commands[_i].dw11);
	ck_assert_uint_eq(dw[12], commands[_i].dw12);
	ck_assert_uint_eq(dw[13] | dw[14] | dw[15], 0);
	ck_assert_uint_eq(c.data_len, commands[_i].data_len);
	ck_assert_uint_eq(c.metadata | c.metadata_len | c.timeout_ms | c.cdw2 | c.cdw3 | c.rsvd1 | c.rsvd2, 0);
	if (op.kind == IO_READ || op.kind == IO_WRITE)
		ck_assert_uint_eq(c.addr, (uintptr_t)data);
	else if (op.kind != IO_DISCARD)
		ck_assert_uint_eq(c.addr, 0);
}
END_TEST

/* One range: 4 bytes of attributes, 4 of blocks, 8 of the first block. */
START_TEST(discard_range)
{
	struct io_pass p = pass_of(4096);
	struct io_op op = op_of(&p, IO_DISCARD, 2 << 20, 65536);
	static const uint8_t range[16] = { 0, 0, 0, 0, 16, 0, 0, 0, 0, 3 };
	struct nvme_uring_cmd c;

	ck_assert_int_eq(nvme_command(&op, &c), 65536);
	ck_assert_uint_eq(c.addr, (uintptr_t)op.range);
	ck_assert_mem_eq(op.range, range, 16);
	/* no such command: zeroes that may deallocate, which plain zeroes do not; neither: not to be had */
	p.max_discard = 0;
	ck_assert_int_eq(nvme_command(&op, &c), 65536);
	ck_assert_uint_eq(c.opcode, 0x08);
	ck_assert_uint_eq(c.cdw12, 15 | 1u << 25);
	p.max_zeroes = 0;
	ck_assert_int_eq(nvme_command(&op, &c), -EOPNOTSUPP);
	op.kind = IO_ZERO;			/* are written, then */
	ck_assert_int_eq(nvme_command(&op, &c), 65536);
	ck_assert_uint_eq(c.opcode, 0x01);
	ck_assert_uint_eq(c.cdw12, 15);
	ck_octets((const void *)(uintptr_t)c.addr, 65536, 0);
	op.kind = IO_DROP;
	ck_assert_int_eq(nvme_command(&op, &c), -EOPNOTSUPP);
}
END_TEST

START_TEST(beyond_32_bits)
{
	struct io_pass p = pass_of(512);
	struct io_op op = op_of(&p, IO_WRITE, 0, 4096);
	struct nvme_uring_cmd c;

	p.base = p.first = 5ull << 41;		/* block 5 << 32 */
	p.end = p.first + GIB;
	ck_assert_int_eq(nvme_command(&op, &c), 4096);
	ck_assert_uint_eq(c.cdw10, 0);
	ck_assert_uint_eq(c.cdw11, 5);
	op.kind = IO_DISCARD;
	ck_assert_int_eq(nvme_command(&op, &c), 4096);
	ck_assert_uint_eq(op.range[1], 5ull << 32);
}
END_TEST

/* What a field can say, whatever the device could do. */
START_TEST(widest)
{
	struct io_pass p = { .nsid = 1, .block = 512, .end = 1ull << 45, .max_bytes = 65536, .max_zeroes = 1ull << 44, .max_discard = 1ull << 44 };
	struct io_op op = op_of(&p, IO_ZERO, 0, 1ull << 44);
	struct nvme_uring_cmd c;

	ck_assert_int_eq(nvme_command(&op, &c), 65536 * 512);
	ck_assert_uint_eq(c.cdw12, 65535);
	op.kind = IO_DISCARD;
	ck_assert_int_eq(nvme_command(&op, &c), UINT32_MAX * 512ll);
	ck_assert_uint_eq(op.range[0], (uint64_t)UINT32_MAX << 32);
	/* a sum that begins again at 0 is not at 0 */
	p.base = 1 << 20;
	op.off = -(1ull << 20);
	op.len = 512;
	ck_assert_int_eq(nvme_command(&op, &c), -ERANGE);
}
END_TEST

/* ---- the fence: the window is 3 to 5 MiB of the namespace, offsets count from 1 MiB ---- */

#define M (1ull << 20)
#define TOP UINT64_MAX

static const struct { uint64_t off, len; int rc; } borders[] = {
	{ 2 * M, 512, 0 }, { 2 * M, 2 * M, 0 }, { 4 * M - 512, 512, 0 },
	{ 2 * M - 512, 512, -ERANGE }, { 2 * M - 512, 1024, -ERANGE }, { 4 * M, 512, -ERANGE }, { 4 * M - 512, 1024, -ERANGE },
	{ 2 * M, 2 * M + 512, -ERANGE }, { 0, 512, -ERANGE }, { 0, 8 * M, -ERANGE },
	{ 2 * M, 0, -ERANGE }, { 4 * M, 0, -ERANGE },
	{ TOP - 511, 512, -ERANGE }, { TOP - M + 1, 512, -ERANGE }, { TOP - M, 512, -ERANGE }, { TOP, 1, -ERANGE },
	{ 2 * M, TOP, -ERANGE }, { 2 * M, TOP - 511, -ERANGE }, { 2 * M, TOP - 5 * M + 1, -ERANGE }, { 4 * M - 512, TOP - 511, -ERANGE },
	{ TOP - 511, TOP - 511, -ERANGE }, { 2 * M + 1, 512, -EINVAL }, { 2 * M + 256, 256, -EINVAL }, { 2 * M, 511, -EINVAL },
	{ 2 * M, 513, -EINVAL },
};

START_TEST(fence)
{
	static const enum io_kind kinds[] = { IO_READ, IO_WRITE, IO_DISCARD, IO_ZERO };
	struct io_pass p = pass_of(512);
	struct nvme_uring_cmd c;
	uint64_t at;

	ck_assert_int_eq(nvme_place(&p, borders[_i].off, borders[_i].len, &at), borders[_i].rc);
	for (size_t k = 0; k < N(kinds); k++) {
		struct io_op op = op_of(&p, kinds[k], borders[_i].off, borders[_i].len);
		int64_t n = nvme_command(&op, &c);

		if (borders[_i].rc)
			ck_assert_int_eq(n, borders[_i].rc);
		else
			ck_assert_int_gt(n, 0);
	}
}
END_TEST

/* Where a command's blocks are, by what the device reads. */
static void reach(const struct io_pass *p, const struct io_op *op, const struct nvme_uring_cmd *c, unsigned __int128 *from,
		  unsigned __int128 *to)
{
	bool dsm = c->opcode == 0x09;
	uint64_t lba = dsm ? op->range[1] : (uint64_t)c->cdw11 << 32 | c->cdw10;
	uint64_t blocks = dsm ? op->range[0] >> 32 : (c->cdw12 & 0xffff) + 1ull;

	*from = (unsigned __int128)lba * p->block;
	*to = *from + (unsigned __int128)blocks * p->block;
}

/* Any window, any request: all its commands together are exactly it, or it is refused; judged with wider numbers. */
START_TEST(any_request)
{
	static const enum io_kind kinds[] = { IO_READ, IO_WRITE, IO_DISCARD, IO_ZERO };
	unsigned int done = 0, refused = 0;
	struct nvme_uring_cmd c;
	struct rng r;

	rng_init(&r, "any-request");
	for (int i = 0; i < 100000; i++) {
		struct io_pass p = pass_of(rng_below(&r, 2) ? 512 : 4096);
		unsigned int high = rng_below(&r, 8) ? 0 : 63;
		struct io_op op = op_of(&p, kinds[rng_below(&r, 4)], 0, 0);
		unsigned __int128 from, to, next, at;

		p.base = (uint64_t)rng_below(&r, 64) * p.block + ((uint64_t)rng_below(&r, 2) << high >> 1 << 1);
		p.first = p.base + (uint64_t)rng_below(&r, 32) * p.block;
		p.end = p.first + (uint64_t)rng_below(&r, 256) * p.block;
		p.max_bytes = (2 + rng_below(&r, 62)) * 4096;
		p.max_discard = rng_below(&r, 3) * 16 * 4096;
		p.max_zeroes = rng_below(&r, 3) * 8 * 4096;
		op.off = (uint64_t)rng_below(&r, 300) * p.block - (rng_below(&r, 16) ? 0 : rng_u64(&r) << rng_below(&r, 64));
		op.len = (uint64_t)rng_below(&r, 300) * p.block - (rng_below(&r, 16) ? 0 : rng_u64(&r) << rng_below(&r, 64));
		op.buf = data + rng_below(&r, 8) * 512;
		at = next = (unsigned __int128)p.base + op.off;
		if (p.end < p.first || !op.len || at < p.first || at + op.len > p.end || at % p.block || op.len % p.block) {
			ck_assert_int_lt(nvme_command(&op, &c), 0);
			refused++;
			continue;
		}
		while (op.moved < op.len) {
			int64_t n = nvme_command(&op, &c);

			if (n == -EOPNOTSUPP && op.kind == IO_DISCARD && !p.max_discard && !p.max_zeroes)
				break;
			ck_assert_int_gt(n, 0);
			reach(&p, &op, &c, &from, &to);
			ck_assert(from == next && to == from + n);
			if (c.opcode == 0x01 || c.opcode == 0x02) {
				ck_assert_int_eq(c.data_len, n);
				ck_assert_uint_le(c.addr % 4096 + n, p.max_bytes);
			}
			next = to;
			op.moved += n;
		}
		done++;
	}
	ck_assert_uint_gt(done, 1000);
	ck_assert_uint_gt(refused, 1000);
}
END_TEST

static const struct { int status, err; bool again; } statuses[] = {
	{ 0, 0, false }, { 0x4080, -EIO, false }, { 0x80, -EIO, false }, { 0x4001, -EOPNOTSUPP, false }, { 0x4002, -EOPNOTSUPP, false },
	{ 0x81, -ENOSPC, false }, { 0x20, -EROFS, false }, { 0x281, -ENODATA, false }, { 0x4280, -ENODATA, false },
	{ 0x282, -EILSEQ, false }, { 0x7, -EIO, true }, { 0x4007, -EIO, false }, { 0x371, -EIO, true }, { 0x370, -EIO, true }, { 0x4370, -EIO, false }, { 0x6, -EIO, true },
	{ 0x4006, -EIO, false }, { 0x82, -EIO, true }, { 0x6281, -ENODATA, false },
};

START_TEST(status)
{
	ck_assert_int_eq(nvme_errno(statuses[_i].status), statuses[_i].err);
	ck_assert_int_eq(nvme_again(statuses[_i].status), statuses[_i].again);
	ck_assert_int_eq(nvme_by_kernel(statuses[_i].status), statuses[_i].status == 0x370 || statuses[_i].status == 0x371);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("command", (const TTest *[]){ layout, discard_range, beyond_32_bits, widest, any_request, NULL });

	unit_loop(s, "encoded", encoded, N(commands));
	unit_loop(s, "fence", fence, N(borders));
	unit_loop(s, "status", status, N(statuses));
	return s;
}
