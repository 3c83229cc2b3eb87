// SPDX-License-Identifier: GPL-2.0-only
/* The worker against a guest that is right, wrong, or hostile; with either I/O engine. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "served.h"
#include "unit.h"
#include "util/sock.h"

#define DATA 100u

static unsigned int syncs;

int fdatasync(int fd)
{
	syncs++;
	return syscall(SYS_fdatasync, fd);
}

/* Each number of segments, with odd ends: what the guest writes is in the file, and comes back. */
START_TEST(data)
{
	struct world w;
	struct rng r;

	if (!world(&w, _i, NULL))
		return;
	rng_init(&r, "serve data");
	for (int n = 1; n <= (int)HVDRV_MAX_SEGS; n++) {
		struct front_seg s[HVDRV_MAX_SEGS];
		uint64_t sector = rng_below(&r, 2048 - 63 * 8);

		for (int i = 0; i < n; i++) {
			s[i] = (struct front_seg){ DATA + i, rng_below(&r, 4), 4 + rng_below(&r, 4) };
			rng_fill(&r, bench_page(w.b, DATA + i), HVDRV_PAGE);
		}
		ck_round_trip(&w, n & 1 ? OP(write) : OP(write_fua), sector, s, n);
	}
	ck_assert_uint_eq(dev(&w)->stats.errors, 0);
	ck_assert_uint_eq(dev(&w)->stats.requests[HVDRV_OP_READ], HVDRV_MAX_SEGS);
	ck_assert_uint_eq(dev(&w)->stats.bytes[HVDRV_OP_READ], dev(&w)->stats.bytes[HVDRV_OP_WRITE]);
	bench_free(w.b);
}
END_TEST

START_TEST(other_operations)
{
	struct front_seg s = { DATA, 0, 7 };
	uint8_t buf[4096];
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	memset(bench_page(w.b, DATA), 0x77, HVDRV_PAGE);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(data_op(&w, OP(write), i * 8, &s, 1), 0);
	front_range(L, front_next(&w.f), OP(flush), 1, 0, 0);
	go(&w);
	ck_assert_int_eq(answer(&w, 1), 0);
	front_range(L, front_next(&w.f), OP(write_zeroes), 2, 8, 16);
	go(&w);
	ck_assert_int_eq(answer(&w, 2), 0);
	front_range(L, front_next(&w.f), OP(discard), 3, 32, 8);
	go(&w);
	ck_assert_int_eq(answer(&w, 3), 0);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(pread(w.fd, buf, 4096, i * 4096), 4096);
		ck_assert_int_eq(buf[0], i == 1 || i == 2 || i == 4 ? 0 : 0x77);
		ck_assert_int_eq(buf[4095], i == 1 || i == 2 || i == 4 ? 0 : 0x77);
	}
	bench_free(w.b);
}
END_TEST

/* Every reason why a request is turned away: answered, counted by name, and the next one is served. */
START_TEST(every_reject)
{
	struct hv_blkif_limits lim = bench_limits;
	struct front_seg good = { DATA, 0, 7 }, outside = { DATA, 0, 9 }, no_grant = { 900, 0, 7 }, ro_grant = { 901, 0, 7 };
	const uint64_t *rej;
	struct world w;

	lim.block = 4096;
	if (!world(&w, _i, &lim))
		return;
	rej = dev(&w)->stats.rejects;
	w.b->grant[900] = 0;
	w.b->grant[901] = 2;
	ck_assert_int_eq(data_op(&w, 99, 0, &good, 1), -2);
	ck_assert_uint_eq(rej[HV_REJ_OPCODE], 1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &good, 0), -1);
	ck_assert_uint_eq(rej[HV_REJ_SEGMENTS], 1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &outside, 1), -1);
	ck_assert_uint_eq(rej[HV_REJ_SEGMENT], 1);
	ck_assert_int_eq(data_op(&w, OP(read), 2048, &good, 1), -1);
	ck_assert_uint_eq(rej[HV_REJ_RANGE], 1);
	ck_assert_int_eq(data_op(&w, OP(read), 1, &good, 1), -1);
	ck_assert_uint_eq(rej[HV_REJ_ALIGN], 1);
	front_indirect(L, front_next(&w.f), OP(flush), 7, 0, SEGS, 1);
	go(&w);
	ck_assert_int_eq(answer(&w, 7), -1);
	ck_assert_uint_eq(rej[HV_REJ_INDIRECT], 1);
	front_indirect(L, front_next(&w.f), OP(read), 8, 0, 900, 1);
	go(&w);
	ck_assert_int_eq(answer(&w, 8), -1);
	ck_assert_uint_eq(rej[HV_REJ_INDIRECT_PAGE], 1);
	front_segs(L, bench_page(w.b, SEGS), &outside, 1);		/* the page can be read, what is in it cannot be */
	front_indirect(L, front_next(&w.f), OP(read), 9, 0, SEGS, 1);
	go(&w);
	ck_assert_int_eq(answer(&w, 9), -1);
	ck_assert_uint_eq(rej[HV_REJ_SEGMENT], 2);
	ck_assert_int_eq(data_op(&w, OP(write), 0, &no_grant, 1), -1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &no_grant, 1), -1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &ro_grant, 1), -1);	/* to a page that is not to be written */
	ck_assert_uint_eq(rej[HV_REJ_DATA_PAGE], 3);
	ck_assert_int_eq(data_op(&w, OP(write), 0, &ro_grant, 1), 0);
	dev(&w)->lim.read_only = true;
	ck_assert_int_eq(data_op(&w, OP(write), 0, &good, 1), -1);
	ck_assert_uint_eq(rej[HV_REJ_READ_ONLY], 1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &good, 1), 0);
	ck_assert_uint_eq(rej[HV_REJ_RING], 0);
	front_set(w.f.ring, L->req_prod, w.f.prod + 65);
	bench_kick(w.b, PORT);
	bench_run(w.b);
	ck_assert_uint_eq(rej[HV_REJ_RING], 1);
	for (int i = HV_REJ_NONE + 1; i < HV_REJECTS; i++)
		ck_assert_msg(rej[i] || i == HV_REJ_NAMESPACE, "%s was not reached", hv_reject_name(i));	/* not in blkif */
	bench_free(w.b);
}
END_TEST

static const uint32_t bad_steps[] = { 65, 1000, UINT32_MAX, 0x80000000 };

#define WINDOW 800u		/* sectors before it, 16 in it */

static struct wire_msg add_window(struct world *w, uint64_t first, uint64_t sectors)
{
	struct wire_msg m = { .type = WIRE_ADD, .dev = 1 };
	int fd = open(w->path, O_RDWR | O_CLOEXEC);

	m.add = (struct wire_add){
		.name = "window", .lim = bench_limits, .first = first, .num_queues = 1, .queue_pages = 2, .ring_pages = 2, .port = { 2 },
		.state_ref = { BENCH_STATE }, .page_ref = { { 11, 12 } }
	};
	m.add.lim.sectors = sectors;
	return bench_ask(w->b, m, fd);
}

/* One request to the device with the window: a segment of 8 sectors, or a range. */
static int in_window(struct world *w, struct front *f, uint8_t op, uint64_t sector, unsigned int sectors)
{
	struct front_seg s[2] = { { DATA, 0, sectors > 8 ? 7 : sectors - 1 }, { DATA + 1, 0, sectors - 9 } };
	static uint64_t id;
	uint64_t got;
	int st;

	if (op == OP(discard) || op == OP(write_zeroes))
		front_range(L, front_next(f), op, ++id, sector, sectors);
	else
		front_direct(L, front_next(f), op, ++id, sector, s, sectors > 8 ? 2 : 1);
	front_show(f);
	bench_kick(w->b, 2);
	bench_run(w->b);
	ck_assert(front_answer(f, &got, &st));
	ck_assert_uint_eq(got, id);
	return st;
}

/* A guest's sector 0 is the window's first; its last is the window's last, and one sector further nothing is served. */
START_TEST(window)
{
	const uint8_t ops[] = { OP(read), OP(write), OP(write_fua), OP(discard), OP(write_zeroes) };
	uint8_t want[2048 * 512], got[sizeof(want)];
	struct wire_msg r;
	struct world w;
	struct front f;

	if (!world(&w, _i, NULL))
		return;
	memset(want, 0x5a, sizeof(want));
	ck_assert_int_eq(pwrite(w.fd, want, sizeof(want), 0), sizeof(want));
	front_init(&f, L, bench_page(w.b, 11), 2);
	r = add_window(&w, UINT64_MAX - 3, 16);			/* would wrap around */
	ck_assert_uint_eq(r.error.code, EINVAL);
	r = add_window(&w, INT64_MAX / 512, 1);
	ck_assert_uint_eq(r.error.code, EINVAL);
	r = add_window(&w, WINDOW, 16);
	ck_assert_uint_eq(r.type, WIRE_OK);
	memset(bench_page(w.b, DATA), 0xee, 2 * HVDRV_PAGE);
	for (size_t i = 0; i < N(ops); i++) {
		ck_assert_int_eq(in_window(&w, &f, ops[i], 8, 9), -1);		/* begins inside, ends one further */
		ck_assert_int_eq(in_window(&w, &f, ops[i], 16, 1), -1);
		ck_assert_int_eq(in_window(&w, &f, ops[i], 16, 8), -1);
		ck_assert_int_eq(in_window(&w, &f, ops[i], 2048 - 8, 8), -1);	/* the target has these, the guest has not */
		ck_assert_int_eq(in_window(&w, &f, ops[i], UINT64_MAX - WINDOW + 1, 8), -1);	/* sector 0 of the target, if it were added first */
		ck_assert_int_eq(in_window(&w, &f, ops[i], UINT64_MAX, 1), -1);
		ck_assert_uint_eq(wk_dev_find(w.b->wk, 1)->stats.rejects[HV_REJ_RANGE], 6 * (i + 1));
	}
	ck_assert_int_eq(pread(w.fd, got, sizeof(got), 0), sizeof(got));
	ck_assert_mem_eq(got, want, sizeof(got));
	ck_assert_int_eq(in_window(&w, &f, OP(write), 8, 8), 0);		/* up to its end */
	ck_assert_int_eq(in_window(&w, &f, OP(write), 0, 1), 0);
	ck_assert_int_eq(in_window(&w, &f, OP(write_zeroes), 1, 1), 0);
	memset(want + (WINDOW + 8) * 512, 0xee, 8 * 512);
	memset(want + WINDOW * 512, 0xee, 512);
	memset(want + (WINDOW + 1) * 512, 0, 512);
	ck_assert_int_eq(pread(w.fd, got, sizeof(got), 0), sizeof(got));
	ck_assert_mem_eq(got, want, sizeof(got));
	memset(bench_page(w.b, DATA), 0, 2 * HVDRV_PAGE);
	ck_assert_int_eq(in_window(&w, &f, OP(read), 0, 16), 0);
	ck_assert_mem_eq(bench_page(w.b, DATA), want + WINDOW * 512, 16 * 512);
	bench_free(w.b);
}
END_TEST

/* A ring that cannot be ends its device, once, and no other. */
START_TEST(broken_ring)
{
	struct front_seg s = { DATA, 0, 7 };
	struct front other;
	struct wire_msg m;
	struct world w;
	uint64_t id;
	int st;

	if (!world(&w, _i % BENCH_ENGINES, NULL))
		return;
	front_init(&other, L, bench_page(w.b, 11), 2);
	ck_assert_int_eq(bench_add(w.b, 1, w.path, O_RDWR, &bench_limits, 1, 2, 11, 2, NULL), 0);
	/* one good request, and an index that cannot be, in the same look */
	front_direct(L, front_next(&w.f), OP(read), 1, 0, &s, 1);
	go(&w);
	ck_assert_int_eq(answer(&w, 1), 0);
	for (int again = 0; again < 3; again++) {
		front_set(w.f.ring, L->req_prod, w.f.prod + bad_steps[_i / BENCH_ENGINES]);
		bench_kick(w.b, PORT);
		front_direct(L, front_next(&other), OP(read), 50 + again, 0, &s, 1);
		front_show(&other);
		bench_kick(w.b, 2);
		bench_run(w.b);
		ck_assert(front_answer(&other, &id, &st));
		ck_assert_uint_eq(id, 50 + again);
		ck_assert_int_eq(st, 0);
	}
	ck_assert(bench_told(w.b, WIRE_EV_FAILED, &m));
	ck_assert_uint_eq(m.dev, 0);
	ck_assert_uint_eq(m.error.reject, HV_REJ_RING);
	ck_assert(!bench_told(w.b, WIRE_EV_FAILED, &m));	/* said once */
	ck_assert(dev(&w)->failed);
	ck_assert(!wk_dev_find(w.b->wk, 1)->failed);
	ck_assert_uint_eq(dev(&w)->stats.rejects[HV_REJ_RING], 1);
	bench_free(w.b);
}
END_TEST

/* As many as the ring holds, which is more than the worker serves at once: each is answered once. */
START_TEST(full_ring)
{
	bool seen[64] = { false };
	struct world w;
	uint64_t id;
	int st;

	if (!world(&w, _i, NULL))
		return;
	ck_assert_uint_gt(w.f.entries, WK_REQS);
	for (uint32_t i = 0; i < w.f.entries; i++) {
		struct front_seg s = { DATA + i, 0, 7 };

		memset(bench_page(w.b, DATA + i), i + 1, HVDRV_PAGE);
		front_direct(L, front_next(&w.f), OP(write), i, i * 8, &s, 1);
	}
	go(&w);
	while (front_answer(&w.f, &id, &st)) {
		ck_assert_int_eq(st, 0);
		ck_assert_uint_lt(id, 64);
		ck_assert(!seen[id]);
		seen[id] = true;
	}
	for (uint32_t i = 0; i < w.f.entries; i++) {
		uint8_t c = 0;

		ck_assert(seen[i]);
		ck_assert_int_eq(pread(w.fd, &c, 1, i * 4096 + 4095), 1);
		ck_assert_int_eq(c, i + 1);
	}
	bench_free(w.b);
}
END_TEST

/* Two devices that both want all that the worker has. */
START_TEST(two_devices)
{
	struct front_seg s = { DATA, 0, 7 };
	struct front other;
	struct world w;
	uint64_t id;
	int st, n[2] = { 0, 0 };

	if (!world(&w, _i, NULL))
		return;
	front_init(&other, L, bench_page(w.b, 11), 2);
	ck_assert_int_eq(bench_add(w.b, 1, w.path, O_RDWR, &bench_limits, 1, 2, 11, 2, NULL), 0);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 64; i++) {
			front_direct(L, front_next(&w.f), OP(read), i, 0, &s, 1);
			front_direct(L, front_next(&other), OP(read), i, 0, &s, 1);
		}
		front_show(&other);
		bench_kick(w.b, 2);
		go(&w);
		while (front_answer(&w.f, &id, &st))
			n[0]++;
		while (front_answer(&other, &id, &st))
			n[1]++;
	}
	ck_assert_int_eq(n[0], 4 * 64);
	ck_assert_int_eq(n[1], 4 * 64);
	bench_free(w.b);
}
END_TEST

/* Eight queues of one page each. */
START_TEST(queues)
{
	struct front_seg s = { DATA, 0, 7 };
	struct bench *b = bench_new(_i);
	struct front f[HVDRV_MAX_QUEUES];
	char path[300];
	uint64_t id;
	int st;

	if (!b)
		return;
	make_file(path, "disk", 1 << 20);
	for (uint32_t q = 0; q < HVDRV_MAX_QUEUES; q++)
		front_init(&f[q], L, bench_page(b, RING + q), 1);
	ck_assert_int_eq(bench_add(b, 4, path, O_RDWR, &bench_limits, HVDRV_MAX_QUEUES, 1, RING, PORT, NULL), 0);
	for (uint32_t q = 0; q < HVDRV_MAX_QUEUES; q++) {
		front_direct(L, front_next(&f[q]), OP(read), 40 + q, 0, &s, 1);
		front_show(&f[q]);
		bench_kick(b, PORT + q);
	}
	bench_run(b);
	for (uint32_t q = 0; q < HVDRV_MAX_QUEUES; q++) {
		ck_assert(front_answer(&f[q], &id, &st));
		ck_assert_uint_eq(id, 40 + q);
		ck_assert_uint_eq(b->notified[PORT + q], 1);
	}
	bench_free(b);
}
END_TEST

/* What lies in the ring when it is taken up is served, from where the answers end. */
START_TEST(taken_up)
{
	struct front_seg s = { DATA, 0, 7 };
	struct bench *b = bench_new(_i);
	struct front f;
	char path[300];
	uint64_t id;
	int st;

	if (!b)
		return;
	make_file(path, "disk", 1 << 20);
	front_init(&f, L, bench_page(b, RING), 2);
	f.prod = f.cons = UINT32_MAX - 1;
	front_set(f.ring, L->rsp_prod, f.prod);
	front_set(f.ring, L->rsp_event, f.prod + 1);
	for (int i = 0; i < 5; i++)
		front_direct(L, front_next(&f), OP(read), i, 0, &s, 1);
	front_show(&f);
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 1, 2, RING, PORT, NULL), 0);
	bench_run(b);			/* no event of the guest */
	for (int i = 0; i < 5; i++) {
		ck_assert(front_answer(&f, &id, &st));
		ck_assert_int_eq(st, 0);
	}
	ck_assert_uint_eq(b->notified[PORT], 1);
	bench_free(b);
}
END_TEST

START_TEST(first_read_is_told)
{
	struct front_seg s = { DATA, 0, 7 };
	struct wire_msg m;
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	ck_assert_int_eq(data_op(&w, OP(write), 0, &s, 1), 0);
	ck_assert(!bench_told(w.b, WIRE_EV_FIRST_READ, &m));
	ck_assert_int_eq(data_op(&w, OP(read), 0, &s, 1), 0);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &s, 1), 0);
	ck_assert(bench_told(w.b, WIRE_EV_FIRST_READ, &m));
	ck_assert(!bench_told(w.b, WIRE_EV_FIRST_READ, &m));
	bench_free(w.b);
}
END_TEST

/* The host's own trouble: what it is reaches the guest, and the device goes on. */
START_TEST(target_fails)
{
	struct front_seg s = { DATA, 0, 7 };
	const char *dir;
	char path[320];
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	ck_assert_int_eq(ftruncate(w.fd, 4096), 0);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &s, 1), 0);
	ck_assert_int_eq(data_op(&w, OP(read), 8, &s, 1), -1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &s, 1), 0);
	w.b->copy_errno = EFAULT;
	ck_assert_int_eq(data_op(&w, OP(read), 0, &s, 1), -1);
	ck_assert_int_eq(data_op(&w, OP(write), 0, &s, 1), -1);
	w.b->copy_errno = 0;
	ck_assert_int_eq(data_op(&w, OP(write), 0, &s, 1), 0);
	ck_assert_uint_eq(dev(&w)->stats.errors, 3);
	wk_dev_remove(dev(&w));
	dir = unit_small_fs();
	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/f", dir);
	unit_write(path, "", 0);
	ck_assert_int_eq(truncate(path, 1 << 20), 0);
	front_init(&w.f, L, memset(bench_page(w.b, RING), 0, 8192), 2);
	ck_assert_int_eq(bench_add(w.b, 0, path, O_RDWR, &bench_limits, 1, 2, RING, PORT, NULL), 0);
	umount2(dir, MNT_DETACH);
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(data_op(&w, OP(write), i * 8, &s, 1), 0);
	ck_assert_int_eq(data_op(&w, OP(write), 16 * 8, &s, 1), -28);
	front_range(L, front_next(&w.f), OP(discard), 5, 0, 64);
	go(&w);
	ck_assert_int_eq(answer(&w, 5), 0);
	ck_assert_int_eq(data_op(&w, OP(write), 16 * 8, &s, 1), 0);
	bench_free(w.b);
}
END_TEST

/* Each call that can fail while a device is added: nothing of it stays, and the file stays the caller's. */
START_TEST(add_fails)
{
	struct bench *b = bench_new(_i);
	struct hv_err e;
	char path[300];

	if (!b)
		return;
	make_file(path, "disk", 1 << 20);
	b->map_errno = ENOMEM;
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 2, 2, RING, PORT, &e), -ENOMEM);
	ck_contains(e.text, "ring of queue 0");
	b->map_errno = 0;
	b->grant[RING + 3] = 2;			/* the second queue's ring is not to be written */
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 2, 2, RING, PORT, &e), -EINVAL);
	ck_contains(e.text, "ring of queue 1");
	b->grant[RING + 3] = 1;
	b->bind_errno = EPERM;
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 2, 2, RING, PORT, &e), -EPERM);
	ck_contains(e.text, "event channel");
	b->bind_errno = 0;
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 0, 2, RING, PORT, &e), -EINVAL);
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 9, 1, RING, PORT, &e), -EINVAL);
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 1, 0, RING, PORT, &e), -EINVAL);
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 1, 5, RING, PORT, &e), -EINVAL);
	for (b->format = WIRE_NVME; b->format <= WIRE_FORMATS; b->format++)	/* of one page; hardware queues have none that are ours */
		if (b->format != WIRE_DIRECT)
			ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 1, 1, RING, PORT, &e), -EINVAL);
	b->format = WIRE_BLKIF;
	ck_assert(TAILQ_EMPTY(&b->wk->devs));
	ck_assert_uint_eq(b->maps, 0);
	ck_assert_uint_eq(b->ports, 0);
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 2, 2, RING, PORT, &e), 0);
	ck_assert_int_eq(bench_add(b, 0, path, O_RDWR, &bench_limits, 2, 2, RING, PORT, &e), -EEXIST);
	ck_assert_uint_eq(b->maps, 4);		/* of each queue its ring and its state page */
	bench_free(b);
}
END_TEST

START_TEST(control)
{
	struct wire_msg add = { .type = WIRE_ADD, .dev = 3 }, r;
	struct front_seg s = { DATA, 0, 7 };
	struct world w;
	int fd;

	if (!world(&w, _i, NULL))
		return;
	r = bench_ask(w.b, (struct wire_msg){ .type = WIRE_HELLO }, -1);
	ck_assert_uint_eq(r.type, WIRE_HELLO);
	ck_assert_uint_eq(r.hello.n, 1);
	ck_assert_uint_eq(r.hello.dev[0], 0);
	r = bench_ask(w.b, (struct wire_msg){ .type = WIRE_HELLO, .version = 99 }, -1);
	ck_assert_uint_eq(r.type, WIRE_ERROR);
	ck_assert_uint_eq(r.error.code, EPROTO);
	r = bench_ask(w.b, (struct wire_msg){ .type = 999 }, -1);
	ck_assert_uint_eq(r.error.code, EINVAL);
	r = bench_ask(w.b, (struct wire_msg){ .type = WIRE_DEL, .dev = 9 }, -1);
	ck_assert_uint_eq(r.error.code, ENOENT);
	ck_contains(r.error.text, "no device 9");

	fd = open(w.path, O_RDWR | O_CLOEXEC);
	add.add = (struct wire_add){ .name = "late", .lim = bench_limits, .num_queues = 1, .queue_pages = 1, .ring_pages = 1, .port = { 9 }, .state_ref = { BENCH_STATE },
				  .page_ref = { { 20 } } };
	r = bench_ask(w.b, add, fd);
	ck_assert_uint_eq(r.type, WIRE_OK);
	ck_assert_str_eq(wk_dev_find(w.b->wk, 3)->name, "late");
	r = bench_ask(w.b, add, fd);
	ck_assert_uint_eq(r.error.code, EEXIST);

	r = bench_ask(w.b, (struct wire_msg){ .type = WIRE_RESIZE, .resize.sectors = 4096 }, -1);
	ck_assert_uint_eq(r.type, WIRE_OK);
	ck_assert_int_eq(ftruncate(w.fd, 2 << 20), 0);
	ck_assert_int_eq(data_op(&w, OP(read), 4088, &s, 1), 0);
	ck_assert_int_eq(data_op(&w, OP(read), 4096, &s, 1), -1);
	r = bench_ask(w.b, (struct wire_msg){ .type = WIRE_STATS }, -1);
	ck_assert_uint_eq(r.type, WIRE_STATS);
	ck_assert_uint_eq(r.stats.of[WIRE_BLKIF].requests[HVDRV_OP_READ], 1);
	ck_assert_uint_eq(r.stats.of[WIRE_BLKIF].rejects[HV_REJ_RANGE], 1);
	ck_assert_uint_eq(r.stats.queues, 1);
	ck_assert_uint_eq(r.stats.inflight, 0);

	/* what was answered is on stable storage before it is said that the device has gone */
	syncs = 0;
	r = bench_ask(w.b, (struct wire_msg){ .type = WIRE_DEL, .dev = 3 }, -1);
	ck_assert_uint_eq(r.type, WIRE_OK);
	ck_assert_ptr_null(wk_dev_find(w.b->wk, 3));
	ck_assert_uint_eq(w.b->maps, 2);
	ck_assert_uint_eq(syncs, 1);
	bench_ask(w.b, (struct wire_msg){ .type = WIRE_QUIT }, -1);
	ck_assert(w.b->wk->quit);
	ck_assert_uint_eq(syncs, 2);
	ck_assert_uint_eq(w.b->maps, 0);
	bench_free(w.b);
}
END_TEST

/* Asked to end while requests wait in the ring: those that were begun are answered, the others wait for who comes next. */
START_TEST(drained)
{
	struct front_seg s = { DATA, 0, 7 };
	struct wire_msg del = { .type = WIRE_DEL, .version = WIRE_VERSION, .seq = 5 }, m;
	unsigned int answered = 0;
	struct world w;
	uint64_t id;
	int st;

	if (!world(&w, _i, NULL))
		return;
	for (int i = 0; i < 64; i++)
		front_direct(L, front_next(&w.f), OP(read), i, 0, &s, 1);
	front_show(&w.f);
	dev(&w)->queue[0].pending = true;
	wk_serve(w.b->wk);		/* takes as many as it has room for */
	ck_assert_uint_eq(wk_dev_inflight(dev(&w)), WK_REQS);
	ck_assert_int_eq(wire_send(w.b->ctl[1], &del, NULL, 0), 0);
	wk_on_ctl(&w.b->wk->ctl);
	ck_assert(!bench_told(w.b, WIRE_OK, &m));
	bench_run(w.b);
	ck_assert(bench_told(w.b, WIRE_OK, &m));
	ck_assert_uint_eq(m.seq, 5);
	ck_assert_ptr_null(dev(&w));
	ck_assert_uint_eq(w.b->maps, 0);
	while (front_answer(&w.f, &id, &st))
		answered++;
	ck_assert_uint_eq(answered, WK_REQS);
	ck_assert_int_eq(bench_add(w.b, 0, w.path, O_RDWR, &bench_limits, 1, 2, RING, PORT, NULL), 0);
	bench_run(w.b);
	while (front_answer(&w.f, &id, &st))
		answered++;
	ck_assert_uint_eq(answered, 64);
	bench_free(w.b);
}
END_TEST

/* hvdrvd has gone: the worker goes on. */
START_TEST(hung_up)
{
	struct front_seg s = { DATA, 0, 7 };
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	shutdown(w.b->ctl[1], SHUT_RDWR);
	wk_on_ctl(&w.b->wk->ctl);
	ck_assert_int_eq(w.b->wk->ctl.fd, -1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &s, 1), 0);
	ck_assert(!w.b->wk->quit);
	bench_free(w.b);
}
END_TEST

/* A hvdrvd that does not read for a while: answers wait, and none is lost; when there is no more room it is left, and the worker goes on. */
START_TEST(unread)
{
	struct wire_msg ask = { .type = WIRE_STATS, .version = WIRE_VERSION }, m;
	int fds[HV_SOCK_FDS], rc, size = 4096;
	struct front_seg s = { DATA, 0, 7 };
	uint32_t asked = 0, heard = 0;
	struct world w;

	if (!world(&w, _i, NULL))
		return;
	ck_assert_int_eq(setsockopt(w.b->wk->ctl.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	while (w.b->wk->ctl.fd >= 0 && asked < 1000) {
		ask.seq = ++asked;
		ck_assert_int_eq(wire_send(w.b->ctl[1], &ask, NULL, 0), 0);
		wk_on_ctl(&w.b->wk->ctl);
	}
	ck_assert_int_eq(w.b->wk->ctl.fd, -1);
	while (!(rc = wire_recv(w.b->ctl[1], &m, fds)))
		ck_assert_uint_eq(m.seq, ++heard);
	ck_assert_int_eq(rc, -EPIPE);		/* it is the end, not one that would come */
	ck_assert_uint_ge(heard, 1);
	ck_assert_uint_eq(heard, asked - 1);
	ck_assert_int_eq(data_op(&w, OP(read), 0, &s, 1), 0);
	bench_free(w.b);
}
END_TEST

/* A guest that writes at random into its ring and its pages of segments; a neighbour is served all the while. */
START_TEST(hostile)
{
	struct front_seg s = { DATA, 0, 7 };
	struct front other;
	unsigned int revived = 0;
	struct world w;
	struct rng r;
	uint64_t id;
	int st;

	if (!world(&w, _i, NULL))
		return;
	rng_init(&r, "hostile ring");
	front_init(&other, L, bench_page(w.b, 11), 2);
	ck_assert_int_eq(bench_add(w.b, 1, w.path, O_RDWR, &bench_limits, 1, 2, 11, 2, NULL), 0);
	memset(w.b->grant + 11, 0, 2);			/* not a target of the other's reads */
	for (int round = 0; round < 800; round++) {
		uint8_t *ring = bench_page(w.b, RING);

		for (int k = 0; k < 20; k++)
			ring[64 + rng_below(&r, 8192 - 64)] = rng_below(&r, 4) ? rng_below(&r, 9) : rng_u64(&r);
		for (int k = 0; k < 4; k++)
			((uint8_t *)bench_page(w.b, SEGS))[rng_below(&r, 4096)] = rng_u64(&r);
		front_init(&other, L, bench_page(w.b, 11), 2);
		other.prod = other.cons = wk_dev_find(w.b->wk, 1)->queue[0].ring.rsp_prod;
		front_set(other.ring, L->req_prod, other.prod);
		front_set(other.ring, L->rsp_prod, other.prod);
		front_direct(L, front_next(&other), OP(read), round, 0, &s, 1);
		front_show(&other);
		front_set(ring, L->req_prod, front_get(ring, L->rsp_prod) + rng_below(&r, 66));
		if (rng_below(&r, 2))
			front_set(ring, L->req_prod, dev(&w)->queue[0].ring.rsp_prod + rng_below(&r, 65));
		if (round % 100 == 99)
			front_set(ring, L->req_prod, dev(&w)->queue[0].ring.rsp_prod + 65);	/* whatever the seed: once in a while for sure */
		bench_kick(w.b, PORT);
		bench_kick(w.b, 2);
		bench_run(w.b);
		ck_assert(front_answer(&other, &id, &st));
		ck_assert_uint_eq(id, round);
		ck_assert_int_eq(st, 0);
		if (dev(&w)->failed) {
			wk_dev_remove(dev(&w));
			memset(ring, 0, 8192);
			ck_assert_int_eq(bench_add(w.b, 0, w.path, O_RDWR, &bench_limits, 1, 2, RING, PORT, NULL), 0);
			revived++;
		}
	}
	ck_assert_uint_ge(revived, 800 / 100);
	bench_free(w.b);
}
END_TEST

/* A guest that writes the next request as soon as one is looked at: NUMBER of them, of a kind that is refused at once, or later. */
struct refill {
	struct world *w;
	uint8_t op;
	bool indirect;
	unsigned int left;
};

static void refill(void *arg)
{
	struct front_seg no_grant = { DATA, 0, 7 };
	struct refill *r = arg;
	struct world *w = r->w;

	if (!r->left--) {
		r->left = 0;
		return;
	}
	if (r->indirect)
		front_indirect(L, front_next(&w->f), OP(read), r->left, 0, 900, 1);
	else
		front_direct(L, front_next(&w->f), OP(write), r->left, 0, &no_grant, 1);
	front_show(&w->f);
}

/* hvdrvd is heard beside it: what is asked is answered long before the guest comes to an end. */
START_TEST(never_ending)
{
	struct refill r = { .left = 100000, .indirect = _i / BENCH_ENGINES };
	struct world w;

	if (!world(&w, _i % BENCH_ENGINES, NULL))
		return;
	r.w = &w;
	w.b->grant[900] = w.b->grant[DATA] = 0;
	w.b->on_copy = refill;
	w.b->on_copy_arg = &r;
	refill(&r);
	dev(&w)->queue[0].pending = true;
	ck_assert(wk_serve_some(w.b->wk));
	ck_assert_uint_gt(r.left, 90000);
	ck_assert_uint_lt(r.left, 99990);
	w.b->on_copy = NULL;
	bench_run(w.b);
	ck_assert_uint_gt(dev(&w)->stats.errors, 10);
	bench_free(w.b);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("serve", NULL);

	unit_loop(s, "data", data, BENCH_ENGINES);
	unit_loop(s, "other-operations", other_operations, BENCH_ENGINES);
	unit_loop(s, "every-reject", every_reject, BENCH_ENGINES);
	unit_loop(s, "window", window, BENCH_ENGINES);
	unit_loop(s, "broken-ring", broken_ring, BENCH_ENGINES * N(bad_steps));
	unit_loop(s, "full-ring", full_ring, BENCH_ENGINES);
	unit_loop(s, "two-devices", two_devices, BENCH_ENGINES);
	unit_loop(s, "queues", queues, BENCH_ENGINES);
	unit_loop(s, "taken-up", taken_up, BENCH_ENGINES);
	unit_loop(s, "first-read", first_read_is_told, BENCH_ENGINES);
	unit_loop(s, "target-fails", target_fails, BENCH_ENGINES);
	unit_loop(s, "add-fails", add_fails, BENCH_ENGINES);
	unit_loop(s, "control", control, BENCH_ENGINES);
	unit_loop(s, "drained", drained, BENCH_ENGINES);
	unit_loop(s, "unread", unread, BENCH_ENGINES);
	unit_loop(s, "hung-up", hung_up, BENCH_ENGINES);
	unit_loop(s, "never-ending", never_ending, BENCH_ENGINES * 2);
	unit_loop(s, "hostile", hostile, BENCH_ENGINES);
	return s;
}
