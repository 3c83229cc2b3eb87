// SPDX-License-Identifier: GPL-2.0-only
/*
 * The validator of mediated NVMe queues. The input is a guest's programme: limits, then steps that write the queues and
 * the state page, and steps of a host that takes, answers, publishes and begins again. A request that is passed must keep
 * to the limits, and no more are ever out than the queue holds.
 */
#include "blk.h"
#include "ring/nvme.h"

struct run {
	struct input in;
	struct hv_blkif_limits lim;
	struct hv_nvmeq q;
	uint8_t *mem;
	struct hvdrv_state *state;
	uint16_t id[HV_NVME_ENTRIES];
	unsigned int out;
	bool broken;
};

/* What NVMe can say: only a request's ends are within a page. */
static void check_passed(const struct run *r, const struct hv_blk_req *q)
{
	blk_check(&r->lim, q);
	MUST(q->nseg <= r->lim.max_segs);
	for (int i = 0; i < q->nseg; i++) {
		const struct hv_blk_seg *s = &q->seg[i];

		MUST(s->gref && (!i || !s->off));
		MUST(i + 1 == q->nseg || s->off + s->len == HVDRV_PAGE);
	}
}

/* What lies in a page, in memory of just the size that may be read. */
static enum hv_reject fetch(struct run *r, const struct hv_blk_fetch *f, struct hv_blk_req *q)
{
	uint8_t *bytes = malloc(f->len);
	enum hv_reject rej;

	MUST(bytes && f->gref && f->len <= HVDRV_PAGE);
	in_bytes(&r->in, bytes, f->len);
	rej = hv_nvme_fetched(&hv_nvme_mediated, &r->lim, bytes, q);
	free(bytes);
	return rej;
}

static void take(struct run *r)
{
	uint8_t *entry = malloc(HV_NVME_COMMAND);
	struct hv_blk_req q;
	struct hv_blk_fetch f;
	enum hv_reject rej;
	int got;

	MUST(entry);
	got = hv_nvmeq_take(&r->q, entry);
	r->broken |= got < 0;
	if (got == 1) {
		rej = hv_nvme_parse(&hv_nvme_mediated, &r->lim, entry, &q, &f);
		if (!rej && f.len)
			rej = fetch(r, &f, &q);
		MUST(rej < HV_REJ_RING && *hv_reject_name(rej));
		if (!rej)
			check_passed(r, &q);
		MUST(r->out < HV_NVME_ENTRIES - 1 && q.id <= UINT16_MAX);
		r->id[r->out++] = q.id;
	}
	free(entry);
}

static void answer(struct run *r)
{
	uint8_t st = in_u8(&r->in);

	if (r->out)
		hv_nvmeq_answer(&r->q, r->id[--r->out], st % HVDRV_STATUSES);
	MUST(r->q.outstanding == r->out);
}

/* What a guest does: a number moved, a command written whole, any byte of the queues written. */
static void guest(struct run *r, uint8_t how)
{
	switch (how % 4) {
	case 0:
		r->state->tail += (int8_t)in_u8(&r->in);
		break;
	case 1:
		in_bytes(&r->in, r->mem + in_u8(&r->in) % HV_NVME_ENTRIES * HV_NVME_COMMAND, HV_NVME_COMMAND);
		break;
	case 2:
		r->state->event = in_u32(&r->in);
		break;
	default:
		r->mem[in_u16(&r->in) % (2 * HVDRV_PAGE)] = in_u8(&r->in);
		break;
	}
}

/* Another host goes on once all is answered: nothing that lies there may lead it out of the queues. */
static void again(struct run *r)
{
	if (r->out)
		return;
	hv_nvmeq_take_up(&r->q, &hv_nvme_mediated, r->mem, r->state);
	MUST(!r->q.outstanding && r->state->tail - r->q.taken < HV_NVME_ENTRIES);
}

static void step(struct run *r)
{
	uint8_t what = in_u8(&r->in);

	if (what % 8 < 4)
		guest(r, what / 8);
	else if (what % 8 < 6)
		take(r);
	else if (what % 8 == 6)
		answer(r);
	else if (what & 8)
		hv_nvmeq_push(&r->q);
	else if (what & 16)
		again(r);
	else
		hv_nvmeq_arm(&r->q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { .in = { data, size } };

	blk_limits(&r.in, &r.lim);
	r.mem = aligned_alloc(HVDRV_PAGE, 2 * HVDRV_PAGE);
	r.state = calloc(1, sizeof(*r.state));
	MUST(r.mem && r.state);
	memset(r.mem, 0, 2 * HVDRV_PAGE);
	r.state->tail = in_u32(&r.in);		/* a pair in use, its numbers anywhere */
	r.state->event = r.state->tail + 1;
	hv_nvmeq_take_up(&r.q, &hv_nvme_mediated, r.mem, r.state);
	while (r.in.left && !r.broken)
		step(&r);
	free(r.mem);
	free(r.state);
	return 0;
}
