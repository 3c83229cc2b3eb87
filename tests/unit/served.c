// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <unistd.h>
#include "served.h"
#include "unit.h"

void make_file(char path[300], const char *name, size_t size)
{
	snprintf(path, 300, "%s", unit_path(name));
	unit_write(path, "", 0);
	ck_assert_int_eq(truncate(path, size), 0);
}

bool world_open(struct world *w, int engine)
{
	w->b = bench_new(engine);
	if (!w->b)
		return false;
	make_file(w->path, "disk", 1 << 20);
	w->fd = open(w->path, O_RDWR | O_CLOEXEC);
	return true;
}

void world_add(struct world *w, const struct hv_blkif_limits *lim)
{
	struct hv_err e = { 0 };

	front_init(&w->f, L, bench_page(w->b, RING), 2);
	ck_assert_msg(!bench_add(w->b, 0, w->path, O_RDWR, lim ? lim : &bench_limits, 1, 2, RING, PORT, &e), "%s", e.text);
}

bool world(struct world *w, int engine, const struct hv_blkif_limits *lim)
{
	if (!world_open(w, engine))
		return false;
	world_add(w, lim);
	return true;
}

struct wk_dev *dev(struct world *w)
{
	return wk_dev_find(w->b->wk, 0);
}

void put(struct world *w, uint8_t op, uint64_t id, uint64_t sector, const struct front_seg *s, int n)
{
	if (n <= 11) {
		front_direct(L, front_next(&w->f), op, id, sector, s, n);
	} else {
		front_segs(L, bench_page(w->b, SEGS), s, n);
		front_indirect(L, front_next(&w->f), op, id, sector, SEGS, n);
	}
}

void go(struct world *w)
{
	front_show(&w->f);
	bench_kick(w->b, PORT);
	bench_run(w->b);
}

int answer(struct world *w, uint64_t want)
{
	uint64_t id;
	int st;

	ck_assert(front_answer(&w->f, &id, &st));
	ck_assert_uint_eq(id, want);
	return st;
}

int data_op(struct world *w, uint8_t op, uint64_t sector, const struct front_seg *s, int n)
{
	static uint64_t id = 1000;

	put(w, op, ++id, sector, s, n);
	go(w);
	return answer(w, id);
}

static size_t seg_len(const struct front_seg *s)
{
	return (s->last - s->first + 1) * 512;
}

/* The segment has what was written, the page beside it the guest's own. */
static void ck_segment(const uint8_t *page, const struct front_seg *s, const uint8_t *want)
{
	ck_assert_mem_eq(page + s->first * 512, want, seg_len(s));
	ck_octets(page, s->first * 512, 0xaa);
	ck_octets(page + (s->last + 1) * 512, HVDRV_PAGE - (s->last + 1) * 512, 0xaa);
}

void ck_round_trip(struct world *w, uint8_t write, uint64_t sector, const struct front_seg *s, int n)
{
	uint8_t want[HVDRV_MAX_SEGS * HVDRV_PAGE], got[sizeof(want)];
	size_t len = 0;

	for (int i = 0; i < n; len += seg_len(&s[i++]))
		memcpy(want + len, (uint8_t *)bench_page(w->b, s[i].gref) + s[i].first * 512, seg_len(&s[i]));
	ck_assert_int_eq(data_op(w, write, sector, s, n), 0);
	ck_assert_int_eq(pread(w->fd, got, len, sector * 512), (ssize_t)len);
	ck_assert_mem_eq(got, want, len);
	for (int i = 0; i < n; i++)
		memset(bench_page(w->b, s[i].gref), 0xaa, HVDRV_PAGE);
	ck_assert_int_eq(data_op(w, OP(read), sector, s, n), 0);
	len = 0;
	for (int i = 0; i < n; len += seg_len(&s[i++]))
		ck_segment(bench_page(w->b, s[i].gref), &s[i], want + len);
}
