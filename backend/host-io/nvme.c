// SPDX-License-Identifier: GPL-2.0-only
/*
 * NVM command set: opcodes, fields and status codes as the NVM Express base and NVM command set specifications have them. The kernel
 * compares neither a command's blocks with the device nor its data length with its block count, so both are made here, of
 * numbers that were checked here.
 */
#include <errno.h>
#include "host-io/nvme.h"

enum { CMD_FLUSH = 0x00, CMD_WRITE = 0x01, CMD_READ = 0x02, CMD_ZEROES = 0x08, CMD_DSM = 0x09 };
#define DW12_FUA (1u << 30)
#define DW12_DEAC (1u << 25)		/* zeroes by deallocating, where the device can */
#define DW11_DEALLOCATE (1u << 2)
#define NLB_MAX 65536ull		/* blocks in one command: 16 bits, 0 is one */
#define PAGE 4096u

int nvme_place(const struct io_pass *p, uint64_t off, uint64_t len, uint64_t *at)
{
	if (!len || off > UINT64_MAX - p->base)
		return -ERANGE;
	*at = p->base + off;
	if (*at < p->first || *at > p->end || len > p->end - *at)
		return -ERANGE;
	return *at % p->block || len % p->block ? -EINVAL : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void set_blocks(const struct io_pass *p, struct nvme_uring_cmd *c, uint64_t at, uint64_t n)
{
	uint64_t lba = at / p->block;

	c->cdw10 = lba;
	c->cdw11 = lba >> 32;
	c->cdw12 |= n / p->block - 1;
}

static uint64_t transfer(struct io_op *op, struct nvme_uring_cmd *c, uint64_t at, uint64_t left)
{
	const struct io_pass *p = op->pass;
	const uint8_t *buf = op->buf + op->moved;
	/* a command has so many pages, whatever part of the first is used */
	uint64_t room = p->max_bytes - (uintptr_t)buf % PAGE;
	uint64_t n = least(left, least(room - room % p->block, NLB_MAX * p->block));

	c->opcode = op->kind == IO_READ ? CMD_READ : CMD_WRITE;
	c->addr = (uintptr_t)buf;
	c->data_len = n;
	c->cdw12 = op->kind == IO_WRITE && op->fua ? DW12_FUA : 0;
	set_blocks(p, c, at, n);
	return n;
}

static uint64_t discard(struct io_op *op, struct nvme_uring_cmd *c, uint64_t at, uint64_t left)
{
	const struct io_pass *p = op->pass;
	uint64_t n = least(left, least(p->max_discard, (uint64_t)UINT32_MAX * p->block));

	/* one range: attributes, blocks, first block; little endian, as this host */
	op->range[0] = n / p->block << 32;
	op->range[1] = at / p->block;
	c->opcode = CMD_DSM;
	c->addr = (uintptr_t)op->range;
	c->data_len = sizeof(op->range);
	c->cdw11 = DW11_DEALLOCATE;
	return n;
}

/* A discard of a device that has no such command may deallocate, zeroes that the guest asks for stay allocated. */
static uint64_t zero(struct io_op *op, struct nvme_uring_cmd *c, uint64_t at, uint64_t left)
{
	static const uint8_t zeros[65536] __attribute__((aligned(PAGE)));
	const struct io_pass *p = op->pass;
	uint64_t n;

	if (p->max_zeroes) {
		n = least(left, least(p->max_zeroes, NLB_MAX * p->block));
		c->opcode = CMD_ZEROES;
		c->cdw12 = op->kind == IO_DISCARD ? DW12_DEAC : 0;
	} else {
		n = least(left, least(p->max_bytes, sizeof(zeros)));
		c->opcode = CMD_WRITE;
		c->addr = (uintptr_t)zeros;
		c->data_len = n;
	}
	set_blocks(p, c, at, n);
	return n;
}

int64_t nvme_command(struct io_op *op, struct nvme_uring_cmd *c)
{
	const struct io_pass *p = op->pass;
	uint64_t at, left = op->len - op->moved;
	int rc;

	*c = (struct nvme_uring_cmd){ .opcode = CMD_FLUSH, .nsid = p->nsid };
	if (op->kind == IO_FLUSH)
		return 0;
	rc = nvme_place(p, op->off, op->len, &at);	/* the whole of it, each time */
	if (rc)
		return rc;
	at += op->moved;
	switch (op->kind) {
	case IO_READ: case IO_WRITE:
		return transfer(op, c, at, left);
	case IO_DISCARD:
		if (p->max_discard)
			return discard(op, c, at, left);
		return p->max_zeroes ? (int64_t)zero(op, c, at, left) : -EOPNOTSUPP;
	case IO_ZERO:
		return zero(op, c, at, left);
	default:
		return -EOPNOTSUPP;
	}
}

/* Status code type and code; without "more", the command retry delay, and "do not retry". */
#define CODE(status) ((status) & 0x7ff)
#define DO_NOT_RETRY 0x4000

int nvme_errno(int status)
{
	switch (CODE(status)) {
	case 0x000:
		return 0;
	case 0x001: case 0x002:			/* invalid opcode, invalid field */
		return -EOPNOTSUPP;
	case 0x081:				/* capacity exceeded */
		return -ENOSPC;
	case 0x182:				/* namespace is write protected, by a former number */
	case 0x020:				/* namespace is write protected */
		return -EROFS;
	case 0x280: case 0x281:			/* write fault, unrecovered read error */
	case 0x285: case 0x286: case 0x287:	/* compare failure, access denied, deallocated or unwritten block */
		return -ENODATA;
	case 0x282: case 0x283: case 0x284:	/* guard, application tag, reference tag */
		return -EILSEQ;
	default:
		return -EIO;
	}
}

bool nvme_again(int status)
{
	if (!CODE(status) || status & DO_NOT_RETRY)
		return false;
	switch (CODE(status)) {
	case 0x007: case 0x008:			/* aborted: as asked, with its queue */
	case 0x006:				/* internal error */
	case 0x082:				/* namespace not ready */
		return true;
	default:
		return nvme_by_kernel(status);
	}
}

bool nvme_by_kernel(int status)
{
	return !(status & DO_NOT_RETRY) && (CODE(status) == 0x370 || CODE(status) == 0x371);	/* path error, aborted by a reset of the controller */
}
