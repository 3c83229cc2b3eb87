// SPDX-License-Identifier: GPL-2.0-only
/* By the block node or by commands, and from one to the other, with an engine that ends what it is told to end. */
#include "unit.h"
#include "worker/worker.h"

struct fake {
	struct io_engine io;
	struct io_op *op[16];
	unsigned int n;
};

static void queue(struct io_engine *io, struct io_op *op)
{
	struct fake *f = (struct fake *)io;

	ck_assert_uint_lt(f->n, N(f->op));
	f->op[f->n++] = op;
}

/* The i-th of what is at the target ends. */
static void end(struct fake *f, unsigned int i, int res)
{
	struct io_op *op = f->op[i];

	ck_assert_uint_lt(i, f->n);
	memmove(f->op + i, f->op + i + 1, (--f->n - i) * sizeof(op));
	op->done(op, res);
}

struct world {
	struct fake f;
	struct worker wk;
	struct wk_dev d;
	struct wk_queue q;
	struct wk_req rq[8];
	unsigned int ended;
	int last;
};

static const struct io_engine_ops ops = { .name = "fake", .queue = queue };

static struct wire_add add_of(void)
{
	return (struct wire_add){
		.lim.sectors = 64, .first = 9, .format = WIRE_BLKIF,
		.pass = { .nsid = 1, .block = 512, .max_bytes = 65536, .at = 1 << 20, .max_discard = 4096, .max_zeroes = 4096 },
	};
}

static void make(struct world *w, const struct wire_add *a, int ng)
{
	memset(w, 0, sizeof(*w));
	w->f.io = (struct io_engine){ .ops = &ops, .passes = true };
	w->wk.io = &w->f.io;
	w->d = (struct wk_dev){ .wk = &w->wk, .fd = 5, .first = a->first, .lim = a->lim };
	w->q.dev = &w->d;
	wk_way_init(&w->d, a, ng);
}

static void done(struct io_op *op, int res)
{
	struct wk_req *rq = (struct wk_req *)op;
	struct world *w = (struct world *)((char *)rq->q - offsetof(struct world, q));

	wk_way_ended(rq);
	w->ended++;
	w->last = res;
}

static void begin(struct worker *wk, struct wk_req *rq)
{
	if (wk_way_begin(rq))
		wk->io->ops->queue(wk->io, &rq->op);
}

static void start(struct world *w, unsigned int i, enum io_kind kind)
{
	w->rq[i] = (struct wk_req){ .q = &w->q, .op = { .kind = kind, .done = done } };
	begin(&w->wk, &w->rq[i]);
}

static void serve(struct world *w)
{
	for (int i = 0; wk_way_serve(&w->d, begin); i++)
		ck_assert_int_lt(i, 8);
}

/* What was begun before is not known: flushes wait until the cache is written and dropped, nothing else does. */
START_TEST(taken_on)
{
	struct wire_add a = add_of();
	struct world w;

	make(&w, &a, 7);
	ck_assert_int_eq(w.d.pass.fd, 7);
	ck_assert_uint_eq(w.d.pass.first, (1 << 20) + 9 * 512);
	ck_assert_uint_eq(w.d.pass.end, (1 << 20) + 73 * 512);
	wk_way_cross(&w.d);
	start(&w, 0, IO_FLUSH);
	start(&w, 1, IO_WRITE);
	ck_assert_uint_eq(w.f.n, 1);
	ck_assert_ptr_null(w.rq[1].op.pass);
	serve(&w);
	ck_assert_uint_eq(w.f.n, 2);
	ck_assert_int_eq(w.f.op[1]->kind, IO_FLUSH);
	ck_assert_int_eq(w.f.op[1]->fd, 5);
	end(&w.f, 1, 0);
	ck_assert_int_eq(w.f.op[1]->kind, IO_DROP);
	/* whole pages around sectors 9 to 72 */
	ck_assert_uint_eq(w.f.op[1]->off, 4096);
	ck_assert_uint_eq(w.f.op[1]->len, 9 * 4096);
	serve(&w);
	ck_assert(wk_way_crossing(&w.d));
	end(&w.f, 1, 0);
	serve(&w);
	ck_assert_uint_eq(w.f.n, 2);
	ck_assert_int_eq(w.f.op[1]->kind, IO_FLUSH);
	ck_assert_ptr_eq(w.f.op[1], &w.rq[0].op);
	end(&w.f, 1, 0);
	end(&w.f, 0, 0);
	ck_assert_uint_eq(w.ended, 2);
	ck_assert_uint_eq(w.d.begun[0] + w.d.begun[1], 0);
}
END_TEST

/* The new way at once, the old one to its end, then the cache, then flushes. */
START_TEST(crossed)
{
	struct wire_add a = add_of();
	struct world w;

	make(&w, &a, 7);
	for (uint32_t to = WIRE_NVME; to <= WIRE_NVME; to--) {
		bool commands = to == WIRE_NVME;

		start(&w, 0, IO_WRITE);
		start(&w, 1, IO_READ);
		ck_assert(!!w.rq[0].op.pass == !commands);
		wk_way_turn(&w.d, to);
		start(&w, 2, IO_WRITE);
		start(&w, 3, IO_FLUSH);
		ck_assert(!!w.rq[2].op.pass == commands);
		serve(&w);
		ck_assert_uint_eq(w.f.n, 3);		/* two of the old way, one of the new */
		end(&w.f, 0, 0);
		serve(&w);
		ck_assert_uint_eq(w.f.n, 2);
		end(&w.f, 0, 0);
		serve(&w);
		ck_assert_uint_eq(w.f.n, 2);
		ck_assert_ptr_eq(w.f.op[1], &w.d.cross.op);
		end(&w.f, 1, 0);
		end(&w.f, 1, 0);
		serve(&w);
		ck_assert_ptr_eq(w.f.op[1], &w.rq[3].op);
		ck_assert(!!w.rq[3].op.pass == commands);
		end(&w.f, 1, 0);
		end(&w.f, 0, 0);
		ck_assert(!wk_way_crossing(&w.d));
		wk_way_turn(&w.d, to);			/* the same: nothing to do */
		ck_assert(!wk_way_crossing(&w.d));
		if (!to)
			break;
	}
	ck_assert_uint_eq(w.ended, 8);
}
END_TEST

/* And back before the first crossing has ended: flushes wait for the second one, too. */
START_TEST(crossed_twice)
{
	struct wire_add a = add_of();
	struct world w;

	make(&w, &a, 7);
	wk_way_turn(&w.d, WIRE_NVME);
	start(&w, 0, IO_FLUSH);
	serve(&w);
	start(&w, 1, IO_WRITE);
	wk_way_turn(&w.d, WIRE_BLKIF);
	end(&w.f, 0, 0);
	end(&w.f, 1, 0);				/* the first crossing */
	serve(&w);
	ck_assert_uint_eq(w.f.n, 1);
	ck_assert(wk_way_crossing(&w.d));
	end(&w.f, 0, 0);				/* the last command */
	serve(&w);
	end(&w.f, 0, 0);
	end(&w.f, 0, 0);
	serve(&w);
	ck_assert_ptr_eq(w.f.op[0], &w.rq[0].op);
	ck_assert_ptr_null(w.rq[0].op.pass);
	end(&w.f, 0, 0);
	ck_assert_int_eq(w.last, 0);
}
END_TEST

/* The cache could not be written: the flushes that waited say so, later ones are themselves. */
START_TEST(not_written)
{
	struct wire_add a = add_of();
	struct world w;

	make(&w, &a, 7);
	wk_way_turn(&w.d, WIRE_NVME);
	start(&w, 0, IO_FLUSH);
	serve(&w);
	end(&w.f, 0, -EIO);
	end(&w.f, 0, 0);
	serve(&w);
	ck_assert_uint_eq(w.ended, 1);
	ck_assert_int_eq(w.last, -EIO);
	start(&w, 1, IO_FLUSH);
	end(&w.f, 0, 0);
	ck_assert_int_eq(w.last, 0);
}
END_TEST

/* Without the descriptor, an engine that can, or with what hvdrvd cannot have meant: by the block node, whatever the mode. */
START_TEST(not_to_be_had)
{
	struct wire_add a = add_of(), bad[8];
	struct world w;

	make(&w, &a, -1);
	ck_assert_int_eq(w.d.pass.fd, -1);
	wk_way_cross(&w.d);
	wk_way_turn(&w.d, WIRE_NVME);
	ck_assert(!wk_way_crossing(&w.d) && !w.d.commands);
	start(&w, 0, IO_FLUSH);
	ck_assert_uint_eq(w.f.n, 1);
	ck_assert_ptr_null(w.rq[0].op.pass);
	w.f.io.passes = false;
	wk_way_init(&w.d, &a, 7);
	ck_assert_int_eq(w.d.pass.fd, -1);
	for (size_t i = 0; i < N(bad); i++)
		bad[i] = a;
	bad[0].pass.nsid = 0;
	bad[1].pass.block = 1024;
	bad[2].pass.max_bytes = 4096;
	bad[3].pass.max_bytes = 65537;
	bad[4].pass.max_discard = 1;
	bad[5].pass.max_zeroes = 511;
	bad[6].pass.at = INT64_MAX;
	bad[7].pass.at = INT64_MAX - 73 * 512 + 1;
	for (size_t i = 0; i < N(bad); i++) {
		make(&w, &bad[i], 7);
		ck_assert_msg(w.d.pass.fd == -1, "case %zu", i);
	}
	a.pass.at = INT64_MAX - 73 * 512;
	make(&w, &a, 7);
	ck_assert_int_eq(w.d.pass.fd, 7);
}
END_TEST

START_TEST(grown)
{
	struct wire_add a = add_of();
	struct world w;

	a.format = WIRE_NVME;			/* taken on in this mode */
	make(&w, &a, 7);
	w.d.lim.sectors = 128;
	wk_way_resize(&w.d);
	ck_assert_uint_eq(w.d.pass.end, (1 << 20) + 137 * 512);
	start(&w, 0, IO_READ);
	ck_assert_ptr_eq(w.rq[0].op.pass, &w.d.pass);
	end(&w.f, 0, 0);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("way", (const TTest *[]){ taken_on, crossed, crossed_twice, not_written, not_to_be_had, grown, NULL });
}
