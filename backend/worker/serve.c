// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way of a request through the worker:
 *
 *   take     copy the queue's entry, check the copy                (format.c, ring/)
 *   fetch    write: copy from the guest into our buffer: from the pool, else by Xen (one batch for all that was taken)
 *   begin    host I/O on the target                                (host-io/)
 *   deliver  read: copy to the guest, in the same way              (one batch for all that ended)
 *   answer   response into the ring, one event per queue and batch
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "util/fault.h"
#include "worker/worker.h"

#define TAKE_MAX 128u	/* of one queue in one look: more than its ring holds */
#define PASSES_MAX 16	/* looks without hearing hvdrvd and the engine */

static int latency_bucket(int64_t ns)
{
	int b = ns > 0 ? 63 - __builtin_clzll(ns) : 0;

	return b < WIRE_HIST ? b : WIRE_HIST - 1;
}

static enum hvdrv_status status_of(int err)
{
	switch (-err) {
	case 0: return HVDRV_ST_OK;
	case ENOSPC: case EDQUOT: return HVDRV_ST_NOSPC;
	case EOPNOTSUPP: return HVDRV_ST_UNSUPPORTED;
	default: return HVDRV_ST_IOERR;
	}
}

static void put_req(struct worker *wk, struct wk_req *rq)
{
	rq->busy = false;
	SLIST_INSERT_HEAD(&wk->free_reqs, rq, free);
}

/* ---- time: the counter of the CPU, since a clock is a system call on a PV dom0 ---- */

static double ns_per_tick(void)
{
	int64_t t0 = hv_now_ns(), t1;
	uint64_t c0 = __builtin_ia32_rdtsc();

	while ((t1 = hv_now_ns()) - t0 < 2000000)
		;
	return (double)(t1 - t0) / (__builtin_ia32_rdtsc() - c0);
}

/* ---- deliver and answer ---- */

static void log_io_error(struct wk_dev *d, const struct wk_req *rq)
{
	static const char *const names[] = { "read", "write", "flush", "discard", "write-zeroes" };
	struct hv_about a = d->wk->about;

	a.device = d->name;
	hv_log_guest(&d->rate, HV_WARN, &a, "%s of %llu sectors at %llu failed: %s", names[rq->r.op],
		     (unsigned long long)rq->r.sectors, (unsigned long long)rq->r.sector, strerror(-rq->error));
}

static void tell_first_read(struct wk_dev *d)
{
	struct wire_msg m = { .type = WIRE_EV_FIRST_READ, .dev = d->id };

	d->read_answered = true;
	wk_tell(d->wk, &m);
}

static void answer(struct worker *wk, struct wk_req *rq)
{
	int64_t ns = (__builtin_ia32_rdtsc() - rq->taken) * wk->ns_per_tick;
	struct wk_dev *d = rq->q->dev;

	if (rq->orphan)
		d->stats.orphans++;
	else
		wk_note_answered(rq->q, &rq->r, status_of(rq->error));
	d->stats.requests[rq->r.op]++;
	if (rq->error)
		d->stats.errors++;
	else if (rq->r.op != HVDRV_OP_FLUSH)
		d->stats.bytes[rq->r.op] += rq->r.sectors * HVDRV_SECTOR;
	d->stats.latency[latency_bucket(ns)]++;
	d->stats.latency_ns += ns > 0 ? ns : 0;
	d->stats.pool_requests += !rq->error && rq->r.nseg && !rq->grants;
	d->stats.passed += rq->op.pass != NULL;
	rq->q->inflight--;
	put_req(wk, rq);
}

/* What is in the pool is copied at once, the rest is put on the list for Xen. */
static unsigned int add_copies(struct worker *wk, unsigned int n, struct wk_req *rq)
{
	struct wk_dev *d = rq->q->dev;
	uint8_t *local = rq->op.buf;

	rq->grants = 0;

	for (unsigned int i = 0; i < rq->r.nseg; i++) {
		const struct hv_blk_seg *s = &rq->r.seg[i];

		wk->copy[n] = (struct guest_copy){
			.local = local, .ref = s->gref, .off = s->off, .len = s->len, .to_guest = rq->r.op == HVDRV_OP_READ,
		};
		if (!wk_pool_copy(&d->pool, &wk->copy[n])) {
			rq->grants++;
			n++;
		}
		local += s->len;
	}
	return n;
}

/* Did all pages of this request copy? Those that did not are the guest's fault: it ended or never made the grant. */
static unsigned int check_copies(struct worker *wk, unsigned int n, struct wk_req *rq)
{
	bool bad = false;

	for (unsigned int i = 0; i < rq->grants; i++)
		bad |= wk->copy[n++].status != 0;
	if (bad) {
		rq->error = -EFAULT;
		rq->q->dev->stats.rejects[HV_REJ_DATA_PAGE]++;
	}
	return n;
}

/* Copies the data of all requests in the list; rq->error says which failed. */
static void copy_batch(struct worker *wk, struct wk_req_list *list)
{
	unsigned int n = 0, done = 0;
	struct wk_dev *called = NULL;
	struct wk_req *rq;
	int rc;

	STAILQ_FOREACH(rq, list, list)
		n = add_copies(wk, n, rq);
	if (!n)
		return;
	rc = wk->guest.ops->copy(wk->guest.arg, wk->copy, n);
	STAILQ_FOREACH(rq, list, list) {
		if (!rq->grants)
			continue;
		called = called ? called : rq->q->dev;	/* one call for all: counted once */
		done = check_copies(wk, done, rq);
		if (rc)
			rq->error = rc;
	}
	called->stats.copies++;
}

static void push_answers(struct worker *wk, struct wk_queue *q)
{
	struct wk_dev *d = q->dev;

	if (q->format->push(q)) {
		hv_fault("worker-pushed");
		wk->guest.ops->notify(wk->guest.arg, q->port);
		d->stats.events_out++;
	}
}

static bool answer_done(struct worker *wk)
{
	struct wk_req_list all = STAILQ_HEAD_INITIALIZER(all), reads = STAILQ_HEAD_INITIALIZER(reads);
	struct wk_req *rq, *next;
	struct wk_dev *d;

	STAILQ_CONCAT(&all, &wk->done);
	STAILQ_FOREACH_SAFE(rq, &all, list, next) {
		if (!rq->q->dev->held)
			continue;
		STAILQ_REMOVE(&all, rq, wk_req, list);
		STAILQ_INSERT_TAIL(&rq->q->dev->parked, rq, list);
	}
	if (STAILQ_EMPTY(&all))
		return false;
	STAILQ_FOREACH_SAFE(rq, &all, list, next) {
		if (rq->r.op != HVDRV_OP_READ || rq->error)
			continue;
		STAILQ_REMOVE(&all, rq, wk_req, list);
		STAILQ_INSERT_TAIL(&reads, rq, list);
	}
	copy_batch(wk, &reads);
	STAILQ_CONCAT(&all, &reads);
	while ((rq = STAILQ_FIRST(&all))) {
		STAILQ_REMOVE_HEAD(&all, list);
		d = rq->q->dev;
		if (rq->error)
			log_io_error(d, rq);
		rq->q->pending = true;		/* a request object is free again: the ring may have waited for it */
		hv_fault("worker-ended");
		answer(wk, rq);
		hv_fault("worker-answered");
		if (rq->r.op == HVDRV_OP_READ && !d->read_answered)
			tell_first_read(d);
	}
	TAILQ_FOREACH(d, &wk->devs, link)
		for (uint32_t i = 0; i < d->num_queues; i++)
			push_answers(wk, &d->queue[i]);
	return true;
}

/* ---- take and begin ---- */

static void on_io_done(struct io_op *op, int res)
{
	struct wk_req *rq = (struct wk_req *)op;

	rq->error = res;
	wk_way_ended(rq);
	if (rq->q->dev->turns.needed)
		wk_turns_ended(rq->q->dev);
	STAILQ_INSERT_TAIL(&rq->q->dev->wk->done, rq, list);
}

static void begin(struct worker *wk, struct wk_req *rq)
{
	static const enum io_kind kind[] = { IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD, IO_ZERO };

	rq->op.kind = kind[rq->r.op];
	rq->op.fd = rq->q->dev->fd;
	rq->op.fua = rq->r.fua;
	rq->op.off = (rq->q->dev->first + rq->r.sector) * HVDRV_SECTOR;
	rq->op.len = rq->r.sectors * HVDRV_SECTOR;
	rq->op.done = on_io_done;
	if (wk_way_begin(rq))
		wk->io->ops->queue(wk->io, &rq->op);
}

/* The page of segments of the request's tag, which is mapped for good; NULL when ref is another page. */
static const uint8_t *segment_page(const struct wk_queue *q, uint64_t id, uint32_t ref)
{
	uint32_t i = q->ring_pages + HVDRV_HANDLE_TAG(id);

	return i < q->pages && q->ref[i] == ref ? q->map + i * HVDRV_PAGE : NULL;
}

/* What an entry points to, its segments or ranges: copied once; from the queue's own pages without a call. */
static enum hv_reject fetch(struct worker *wk, struct wk_req *rq, const struct wk_fetch *f)
{
	struct guest_copy c = { .local = rq->buf, .ref = f->ref, .len = f->len };
	const uint8_t *page = segment_page(rq->q, rq->r.id, f->ref);

	if (page) {
		memcpy(rq->buf, page, c.len);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* the compiler must not read the shared page again */
	} else {
		rq->q->dev->stats.copies++;
		if (wk->guest.ops->copy(wk->guest.arg, &c, 1) || c.status)
			return HV_REJ_INDIRECT_PAGE;
	}
	return rq->q->format->fetched(rq->q, rq->buf, &rq->r);
}

static void reject(struct wk_req *rq, enum hv_reject why)
{
	struct wk_dev *d = rq->q->dev;
	struct hv_about a = d->wk->about;

	a.device = d->name;
	d->stats.rejects[why]++;
	d->stats.errors++;
	hv_log_guest(&d->rate, HV_WARN, &a, "request refused: %s (opcode %u)", hv_reject_name(why), rq->r.opcode);
	wk_note_taken(rq);
	wk_note_answered(rq->q, &rq->r, why == HV_REJ_OPCODE ? HVDRV_ST_UNSUPPORTED : HVDRV_ST_IOERR);
}

/* One entry of the ring into rq. 1: to be begun; 0: none; -1: refused and answered, or the ring is broken. */
static int take(struct worker *wk, struct wk_queue *q, struct wk_req *rq)
{
	uint8_t entry[WK_ENTRY_MAX];
	struct wk_dev *d = q->dev;
	struct wk_fetch f = { 0 };
	enum hv_reject why;
	int got = q->format->take(q, entry);

	if (got <= 0) {
		if (got < 0)
			wk_dev_fail(d, HV_REJ_RING);
		return 0;
	}
	rq->q = q;
	rq->error = 0;
	rq->orphan = rq->begun = false;
	rq->op.pass = NULL;
	why = q->format->parse(q, entry, &rq->r, &f);
	if (!why && f.len)
		why = fetch(wk, rq, &f);
	if (why) {
		reject(rq, why);
		return -1;
	}
	rq->busy = true;
	rq->taken = __builtin_ia32_rdtsc();
	wk_note_taken(rq);
	/* keep the offset in the page: whole pages of the guest stay whole pages here */
	rq->op.buf = rq->buf + (rq->r.nseg ? rq->r.seg[0].off : 0);
	q->inflight++;
	return 1;
}

/*
 * TAKE_MAX at most: a guest may write the next as fast as one is refused, and others are to be heard. True: there may be more.
 */
static bool take_queue(struct worker *wk, struct wk_queue *q, struct wk_req_list *taken)
{
	struct wk_req *rq;
	int got = 1;

	q->pending = false;
	for (unsigned int n = 0; got && !q->dev->stopping && !q->dev->failed; n++) {
		if (n == TAKE_MAX) {
			q->pending = true;
			return true;
		}
		rq = SLIST_FIRST(&wk->free_reqs);
		if (!rq || wk_turns_full(q->dev)) {
			q->pending = true;	/* looked at again when one is free */
			return false;
		}
		got = take(wk, q, rq);
		if (got > 0) {
			SLIST_REMOVE_HEAD(&wk->free_reqs, free);
			STAILQ_INSERT_TAIL(taken, rq, list);
		} else if (!got && !q->dev->failed && q->format->arm(q)) {
			got = 1;		/* one came before the guest was asked for an event */
		}
	}
	return false;
}

static bool begin_taken(struct worker *wk, struct wk_req_list *taken)
{
	struct wk_req_list writes = STAILQ_HEAD_INITIALIZER(writes);
	struct wk_req *rq, *next;
	bool any = !STAILQ_EMPTY(taken);

	if (any)
		hv_fault("worker-taken");
	STAILQ_FOREACH_SAFE(rq, taken, list, next) {
		if (rq->r.op != HVDRV_OP_WRITE)
			continue;
		STAILQ_REMOVE(taken, rq, wk_req, list);
		STAILQ_INSERT_TAIL(&writes, rq, list);
	}
	copy_batch(wk, &writes);
	STAILQ_CONCAT(taken, &writes);
	if (any)
		hv_fault("worker-copied");
	while ((rq = STAILQ_FIRST(taken))) {
		STAILQ_REMOVE_HEAD(taken, list);
		if (rq->error)
			STAILQ_INSERT_TAIL(&wk->done, rq, list);
		else if (rq->q->dev->turns.needed)
			wk_turns_wait(rq);
		else
			begin(wk, rq);
	}
	if (any)
		hv_fault("worker-queued");
	return any;
}

static bool take_all(struct worker *wk)
{
	struct wk_req_list taken = STAILQ_HEAD_INITIALIZER(taken);
	struct wk_dev *d;
	bool more = false;

	TAILQ_FOREACH(d, &wk->devs, link) {
		for (uint32_t i = 0; i < d->num_queues; i++) {
			struct wk_queue *q = &d->queue[i];

			if (!q->pending || d->failed || d->held)
				continue;
			more |= take_queue(wk, q, &taken);
			push_answers(wk, q);	/* of those refused */
		}
	}
	/* the device looked at first has the first pick of the buffers: another one next time */
	d = TAILQ_FIRST(&wk->devs);
	if (d && TAILQ_NEXT(d, link)) {
		TAILQ_REMOVE(&wk->devs, d, link);
		TAILQ_INSERT_TAIL(&wk->devs, d, link);
	}
	return begin_taken(wk, &taken) || more;
}

static bool serve_ways(struct worker *wk)
{
	struct wk_dev *d;
	bool any = false;

	TAILQ_FOREACH(d, &wk->devs, link)
		if (d->pass.fd >= 0)
			any |= wk_way_serve(d, begin);
	return any;
}

static bool serve_turns(struct worker *wk)
{
	struct wk_dev *d;
	bool any = false;

	if (!wk->by_turns)
		return false;
	TAILQ_FOREACH(d, &wk->devs, link)
		if (d->turns.needed)
			any |= wk_turns_serve(d, begin);
	return any;
}

bool wk_serve(struct worker *wk)
{
	struct wk_dev *d, *next;
	bool any = answer_done(wk);

	any |= take_all(wk);
	any |= serve_turns(wk);
	any |= serve_ways(wk);
	TAILQ_FOREACH_SAFE(d, &wk->devs, link, next)
		wk_dev_check_drained(d);
	return any;
}

static void port_fired(struct worker *wk, int port)
{
	struct wk_dev *d;

	TAILQ_FOREACH(d, &wk->devs, link) {
		for (uint32_t i = 0; i < d->num_queues; i++) {
			if (port != d->queue[i].port)
				continue;
			d->queue[i].pending = true;
			d->stats.events_in++;
			return;
		}
	}
}

/* The ports were masked when they were read; written back they are open again, and whoever sends then wakes us. */
void wk_on_events(struct io_watch *w)
{
	struct worker *wk = (struct worker *)((char *)w - offsetof(struct worker, events));
	int n = w->got / (int)sizeof(uint32_t);

	if (n <= 0)
		return;
	for (int i = 0; i < n; i++)
		port_fired(wk, wk->ports[i]);
	w->reply = n * sizeof(uint32_t);
}

int wk_serve_init(struct worker *wk)
{
	wk->buf_size = (size_t)WK_REQS * WK_BUF;
	wk->buf = mmap(NULL, wk->buf_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	wk->reqs = calloc(WK_REQS, sizeof(*wk->reqs));
	if (wk->buf == MAP_FAILED || !wk->reqs)
		return -ENOMEM;
	wk->ns_per_tick = ns_per_tick();
	wk->events.buf = wk->ports;
	wk->events.size = sizeof(wk->ports);
	TAILQ_INIT(&wk->devs);
	SLIST_INIT(&wk->free_reqs);
	STAILQ_INIT(&wk->done);
	for (int i = WK_REQS - 1; i >= 0; i--) {
		wk->reqs[i].buf = wk->buf + (size_t)i * WK_BUF;
		put_req(wk, &wk->reqs[i]);
	}
	return 0;
}

bool wk_serve_some(struct worker *wk)
{
	bool more = true;

	for (int i = 0; more && i < PASSES_MAX; i++)
		more = wk_serve(wk);
	return more;
}
