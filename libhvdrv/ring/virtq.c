// SPDX-License-Identifier: LGPL-2.1-only
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include "ring/virtq.h"

#define HEADER sizeof(struct virtio_blk_outhdr)
#define RANGE sizeof(struct virtio_blk_discard_write_zeroes)
#define DESC sizeof(struct vring_desc)
#define ELEM sizeof(struct vring_used_elem)
#define TAG_ONLY 0x10000u		/* in an id, until the header is read: of no driver's, so never taken for a request of generation 0 */

/* The public headers, and what is ours: write_fua, nospc, the places in a tag's page. repo/devices/virtio-blk.conf has the same. */
const struct hv_virtq_layout hv_virtq_split = {
	.avail = HV_VIRTQ_SIZE * DESC, .used = HVDRV_PAGE,
	.desc_addr = offsetof(struct vring_desc, addr), .desc_len = offsetof(struct vring_desc, len),
	.desc_flags = offsetof(struct vring_desc, flags), .desc_next = offsetof(struct vring_desc, next),
	.next = VRING_DESC_F_NEXT, .write = VRING_DESC_F_WRITE, .indirect = VRING_DESC_F_INDIRECT,
	.avail_idx = offsetof(struct vring_avail, idx), .avail_ring = offsetof(struct vring_avail, ring),
	.used_event = offsetof(struct vring_avail, ring) + HV_VIRTQ_SIZE * sizeof(uint16_t),
	.used_idx = offsetof(struct vring_used, idx), .used_ring = offsetof(struct vring_used, ring),
	.avail_event = offsetof(struct vring_used, ring) + HV_VIRTQ_SIZE * ELEM,
	.elem_id = offsetof(struct vring_used_elem, id), .elem_len = offsetof(struct vring_used_elem, len),
	.header = 0, .range = 16, .status = 32, .table = 48,
	.type = offsetof(struct virtio_blk_outhdr, type), .handle = offsetof(struct virtio_blk_outhdr, ioprio),
	.sector = offsetof(struct virtio_blk_outhdr, sector),
	.range_sector = offsetof(struct virtio_blk_discard_write_zeroes, sector),
	.range_sectors = offsetof(struct virtio_blk_discard_write_zeroes, num_sectors),
	.range_flags = offsetof(struct virtio_blk_discard_write_zeroes, flags),
	.op_read = VIRTIO_BLK_T_IN, .op_write = VIRTIO_BLK_T_OUT, .op_write_fua = 65, .op_flush = VIRTIO_BLK_T_FLUSH,
	.op_discard = VIRTIO_BLK_T_DISCARD, .op_write_zeroes = VIRTIO_BLK_T_WRITE_ZEROES,
	.st_ok = VIRTIO_BLK_S_OK, .st_ioerr = VIRTIO_BLK_S_IOERR, .st_unsupported = VIRTIO_BLK_S_UNSUPP, .st_nospc = 128,
};

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static struct desc desc_of(const struct hv_virtq_layout *l, const uint8_t *e)
{
	return (struct desc){ hv_blk_get(e + l->desc_addr, 8), hv_blk_get(e + l->desc_len, 4), hv_blk_get(e + l->desc_flags, 2),
			      hv_blk_get(e + l->desc_next, 2) };
}

/* ---- requests ---- */

enum hv_reject hv_virtq_parse(const struct hv_virtq_layout *l, const uint8_t *entry, struct hv_blk_req *r, struct hv_blk_fetch *f)
{
	struct desc d = desc_of(l, entry);
	uint64_t ref = d.addr / HVDRV_PAGE;
	uint32_t n = d.len / DESC;

	*f = (struct hv_blk_fetch){ 0 };
	*r = (struct hv_blk_req){ .id = TAG_ONLY | hv_blk_get(entry + DESC, 2) };
	if (d.flags != l->indirect || d.len % DESC || n < 2 || !ref || ref > UINT32_MAX || d.addr % HVDRV_PAGE != l->table)
		return HV_REJ_INDIRECT_PAGE;
	if (n > HVDRV_MAX_SEGS + 2)
		return HV_REJ_SEGMENTS;
	r->nseg = n;
	f->gref = ref;
	f->len = l->table + d.len;
	return HV_REJ_NONE;
}

/* Which operation it is, and whether the device has it. */
static enum hv_reject operation(const struct hv_virtq_layout *l, const struct hv_blkif_limits *lim, uint32_t type, struct hv_blk_req *r)
{
	bool offered = true;

	if (type == l->op_read) {
		r->op = HVDRV_OP_READ;
	} else if (type == l->op_write || type == l->op_write_fua) {
		r->op = HVDRV_OP_WRITE;
		r->fua = type == l->op_write_fua;
		offered = !r->fua || lim->fua;
	} else if (type == l->op_flush) {
		r->op = HVDRV_OP_FLUSH;
		offered = lim->flush;
	} else if (type == l->op_discard) {
		r->op = HVDRV_OP_DISCARD;
		offered = lim->discard;
	} else if (type == l->op_write_zeroes) {
		r->op = HVDRV_OP_WRITE_ZEROES;
		offered = lim->write_zeroes;
	} else {
		offered = false;
	}
	if (!offered)
		return HV_REJ_OPCODE;
	return lim->read_only && r->op != HVDRV_OP_READ && r->op != HVDRV_OP_FLUSH ? HV_REJ_READ_ONLY : HV_REJ_NONE;
}

static enum hv_reject add_segment(const struct desc *d, struct hv_blk_req *r)
{
	uint64_t ref = d->addr / HVDRV_PAGE;
	uint32_t off = d->addr % HVDRV_PAGE;

	if (r->nseg == HVDRV_MAX_SEGS)
		return HV_REJ_SEGMENTS;
	if (!ref || ref > UINT32_MAX || !d->len || d->len > HVDRV_PAGE - off || (off | d->len) % HVDRV_SECTOR)
		return HV_REJ_SEGMENT;
	r->seg[r->nseg++] = (struct hv_blk_seg){ ref, off, d->len };
	r->sectors += d->len / HVDRV_SECTOR;
	return HV_REJ_NONE;
}

/* A piece of the tag's page at its place? */
static bool is_at(const struct desc *d, uint16_t off, uint32_t len)
{
	return d->addr % HVDRV_PAGE == off && d->len == len;
}

/*
 * The chain: header, then data or a range, then the status. n descriptors, and no more than n steps: a chain that bites its tail
 * is refused as well.
 */
static enum hv_reject follow(const struct hv_virtq_layout *l, const uint8_t *table, uint32_t n, struct hv_blk_req *r, bool *range)
{
	uint16_t data = r->op == HVDRV_OP_READ ? l->next | l->write : l->next;
	struct desc d = desc_of(l, table);
	enum hv_reject rej = HV_REJ_NONE;

	if (d.flags != l->next || !is_at(&d, l->header, HEADER))
		return HV_REJ_INDIRECT;
	for (uint32_t steps = 1; steps < n; steps++) {
		if (d.next >= n)
			return HV_REJ_INDIRECT;
		d = desc_of(l, table + d.next * DESC);
		if (d.flags == l->write)
			return is_at(&d, l->status, 1) ? HV_REJ_NONE : HV_REJ_INDIRECT;
		if (d.flags != data)
			return HV_REJ_INDIRECT;
		if (r->op == HVDRV_OP_READ || r->op == HVDRV_OP_WRITE)
			rej = add_segment(&d, r);
		else if (r->op == HVDRV_OP_FLUSH || *range || !is_at(&d, l->range, RANGE))
			rej = HV_REJ_INDIRECT;
		else
			*range = true;
		if (rej)
			return rej;
	}
	return HV_REJ_INDIRECT;		/* it does not end with a status */
}

static enum hv_reject take_range(const struct hv_virtq_layout *l, const struct hv_blkif_limits *lim, const uint8_t *at, struct hv_blk_req *r)
{
	r->sector = hv_blk_get(at + l->range_sector, 8);
	r->sectors = hv_blk_get(at + l->range_sectors, 4);
	if (hv_blk_get(at + l->range_flags, 4))
		return HV_REJ_OPCODE;		/* write-zeroes that unmap are not offered */
	return hv_blk_check_range(lim, r);
}

enum hv_reject hv_virtq_fetched(const struct hv_virtq_layout *l, const struct hv_blkif_limits *lim, const uint8_t *bytes,
				struct hv_blk_req *r)
{
	uint32_t type = hv_blk_get(bytes + l->header + l->type, 4), handle = hv_blk_get(bytes + l->header + l->handle, 4);
	uint32_t n = r->nseg;
	bool range = false;
	enum hv_reject rej;

	r->nseg = 0;
	r->opcode = type > UINT8_MAX ? UINT8_MAX : type;
	if (handle > UINT16_MAX || HVDRV_HANDLE_TAG(handle) != HVDRV_HANDLE_TAG(r->id))
		return HV_REJ_INDIRECT;
	r->id = handle;
	rej = operation(l, lim, type, r);
	if (!rej)
		rej = follow(l, bytes + l->table, n, r, &range);
	if (rej || r->op == HVDRV_OP_FLUSH)
		return rej;
	if (r->op == HVDRV_OP_DISCARD || r->op == HVDRV_OP_WRITE_ZEROES)
		return range ? take_range(l, lim, bytes + l->range, r) : HV_REJ_INDIRECT;
	r->sector = hv_blk_get(bytes + l->header + l->sector, 8);
	if (!r->nseg || r->nseg > lim->max_segs || r->sectors * HVDRV_SECTOR > lim->max_bytes)
		return HV_REJ_SEGMENTS;
	return hv_blk_check_range(lim, r);
}

/* ---- the queue ---- */

static uint16_t load(const struct hv_virtq *q, uint32_t at)
{
	return __atomic_load_n((const uint16_t *)(q->mem + at), __ATOMIC_ACQUIRE);
}

static void store(uint8_t *mem, uint32_t at, uint16_t v)
{
	__atomic_store_n((uint16_t *)(mem + at), v, __ATOMIC_RELEASE);
}

static uint16_t available(const struct hv_virtq *q)
{
	return load(q, q->l->avail + q->l->avail_idx);
}

static uint32_t tags_of(uint32_t pages)
{
	uint32_t tags = pages > HV_VIRTQ_PAGES ? pages - HV_VIRTQ_PAGES : 0;

	return tags < HV_VIRTQ_SIZE ? tags : HV_VIRTQ_SIZE;
}

void hv_virtq_init(struct hv_virtq *q, const struct hv_virtq_layout *l, void *mem, uint32_t pages)
{
	*q = (struct hv_virtq){ .l = l, .mem = mem, .tags = tags_of(pages) };
	q->taken = q->answered = q->pushed = load(q, l->used + l->used_idx);
}

void hv_virtq_prepare(const struct hv_virtq_layout *l, void *mem, uint32_t begun)
{
	store(mem, l->avail + l->avail_idx, begun);
	store(mem, l->used + l->avail_event, begun);
}

void hv_virtq_renew(struct hv_virtq *q, const struct hv_virtq_layout *l, void *mem, uint32_t pages, uint32_t begun)
{
	*q = (struct hv_virtq){ .l = l, .mem = mem, .tags = tags_of(pages), .taken = begun };
}

int hv_virtq_take(struct hv_virtq *q, uint8_t *entry)
{
	uint16_t there = available(q) - q->taken, out = q->taken - q->answered, head;	/* acquire: descriptors were written before it */

	/* as many without an answer as there are descriptors, not one more, and never back */
	if (out > HV_VIRTQ_SIZE || there > HV_VIRTQ_SIZE - out)
		return -1;
	if (!there)
		return 0;
	head = load(q, q->l->avail + q->l->avail_ring + q->taken % HV_VIRTQ_SIZE * sizeof(uint16_t));
	if (head >= q->tags)
		return -1;
	memcpy(entry, q->mem + head * DESC, DESC);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* the compiler must not read the shared descriptor again */
	memcpy(entry + DESC, &head, sizeof(head));
	q->taken++;
	return 1;
}

bool hv_virtq_arm(struct hv_virtq *q)
{
	store(q->mem, q->l->used + q->l->avail_event, q->taken);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* ask before the last look */
	return available(q) != q->taken;
}

static uint8_t status_code(const struct hv_virtq_layout *l, enum hvdrv_status st)
{
	switch (st) {
	case HVDRV_ST_OK: return l->st_ok;
	case HVDRV_ST_UNSUPPORTED: return l->st_unsupported;
	case HVDRV_ST_NOSPC: return l->st_nospc;
	default: return l->st_ioerr;
	}
}

/* The status is in the page that is ours to reach: that of the tag, whatever address the guest wrote. */
void hv_virtq_answer(struct hv_virtq *q, const struct hv_blk_req *r, enum hvdrv_status st)
{
	uint32_t tag = HVDRV_HANDLE_TAG(r->id), len = 1 + (r->op == HVDRV_OP_READ && st == HVDRV_ST_OK ? r->sectors * HVDRV_SECTOR : 0);
	uint8_t *e = q->mem + q->l->used + q->l->used_ring + q->answered++ % HV_VIRTQ_SIZE * ELEM;

	if (tag < q->tags)
		q->mem[(HV_VIRTQ_PAGES + tag) * HVDRV_PAGE + q->l->status] = status_code(q->l, st);
	memcpy(e + q->l->elem_id, &tag, sizeof(tag));
	memcpy(e + q->l->elem_len, &len, sizeof(len));
}

bool hv_virtq_push(struct hv_virtq *q)
{
	uint16_t old = q->pushed, now = q->answered, event;

	if (old == now)
		return false;
	store(q->mem, q->l->used + q->l->used_idx, now);
	q->pushed = now;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* the index before we look whether the guest sleeps */
	event = load(q, q->l->avail + q->l->used_event);
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}
