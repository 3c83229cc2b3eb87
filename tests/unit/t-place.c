// SPDX-License-Identifier: GPL-2.0-only
/* Slots: mapped as a whole or not at all, filled to their last byte, and given back. */
#include "core/place.h"
#include "host/fake/fake.h"
#include "img.h"
#include "unit.h"

#define CODE 100u		/* the guest's frames: the slot here, scattered; state pages from STATE on */
#define STATE 200u

struct world {
	struct fake *f;
	struct hv_host *h;
	struct hv_offer o;
};

static uint64_t code_gfn(unsigned int i)
{
	return CODE + 7 * (HVDRV_SLOT_PAGES - i);
}

static struct world world(uint32_t queues)
{
	struct world w = { .f = fake_new() };

	fake_domain_add(w.f, 5, "web1");
	w.h = fake_open(w.f);
	w.o.num_queues = queues;
	w.o.slot_va = 0xffffffffc0100000;
	for (unsigned int i = 0; i < HVDRV_SLOT_PAGES; i++) {
		w.o.slot_gfn[i] = code_gfn(i);
		w.o.slot_gref[i] = fake_grant(w.f, 5, code_gfn(i), false);
		memset(fake_page(w.f, 5, code_gfn(i)), HVDRV_SLOT_FILL, HVDRV_PAGE);
	}
	for (uint32_t q = 0; q < queues; q++)
		w.o.queue[q].state = fake_grant(w.f, 5, STATE + q, false);
	return w;
}

static void done(struct world *w)
{
	ck_assert_uint_eq(fake_mapped(w->f), 0);
	hv_host_close(w->h);
	fake_free(w->f);
}

static void big_image(struct hv_image *img, size_t len)
{
	uint8_t *body = malloc(len);

	for (size_t i = 0; i < len; i++)
		body[i] = i * 31 + (i >> 8);
	img_make(img, body, len, true);
	free(body);
}

static const size_t sizes[] = { 1, 4096 - IMG_BODY, 4097 - IMG_BODY, HVDRV_SLOT_SIZE - IMG_BODY - 1, HVDRV_SLOT_SIZE - IMG_BODY };

/* By grants and by frames, from the smallest to a whole slot: the guest sees the image, then int3 to the end. */
START_TEST(placed)
{
	bool foreign = _i & 1;
	struct world w = world(3);
	struct hv_slot s;
	struct hv_image img;
	struct hvdrv_state *st;
	uint8_t want[HVDRV_SLOT_SIZE];
	struct hv_err e = { 0 };

	big_image(&img, sizes[_i / 2]);
	memset(want, HVDRV_SLOT_FILL, sizeof(want));
	memcpy(want, img.payload, img.h.payload_size);
	for (uint32_t q = 0; q < 3; q++) {
		st = fake_page(w.f, 5, STATE + q);
		memset(st, 0x55, sizeof(*st));
	}
	ck_assert_msg(!hv_slot_map(w.h, 5, &w.o, foreign, &s, &e), "%s", e.text);
	ck_assert_uint_eq(fake_mapped(w.f), HVDRV_SLOT_PAGES + 3);
	ck_assert_uint_eq(s.guest_va, w.o.slot_va);
	ck_assert(hv_slot_empty(&s));
	hv_place(&s, &img, 7);
	ck_assert(!hv_slot_empty(&s));
	for (unsigned int i = 0; i < HVDRV_SLOT_PAGES; i++)
		ck_assert_mem_eq(fake_page(w.f, 5, code_gfn(i)), want + i * HVDRV_PAGE, HVDRV_PAGE);
	for (uint32_t q = 0; q < 3; q++) {
		st = fake_page(w.f, 5, STATE + q);
		ck_assert_uint_eq(st->generation, 7);
		ck_assert_uint_eq(st->hold, 0x55555555);	/* not placing's */
		ck_assert_uint_eq(st->inside, 0x55555555);
		ck_assert_uint_eq(st->tail, 0);			/* nothing is posted in the new driver's queue */
		ck_assert_uint_eq(st->event, 1);
		ck_octets(st->drv, sizeof(st->drv), 0);
	}
	hv_slot_wipe(&s);
	ck_assert(hv_slot_empty(&s));
	hv_slot_unmap(w.h, &s);
	hv_slot_unmap(w.h, &s);		/* twice does no harm */
	ck_assert_ptr_null(s.code);
	hv_image_free(&img);
	done(&w);
}
END_TEST

/* A smaller driver after a larger one leaves nothing of it. */
START_TEST(replaced)
{
	struct world w = world(1);
	struct hv_image large, tiny;
	struct hv_slot s;

	big_image(&large, HVDRV_SLOT_SIZE - IMG_BODY);
	big_image(&tiny, 1);
	ck_assert_int_eq(hv_slot_map(w.h, 5, &w.o, false, &s, NULL), 0);
	hv_place(&s, &large, 1);
	hv_place(&s, &tiny, 2);
	ck_octets(s.code + tiny.h.payload_size, HVDRV_SLOT_SIZE - tiny.h.payload_size, HVDRV_SLOT_FILL);
	hv_slot_unmap(w.h, &s);
	done(&w);
}
END_TEST

/* One byte that is not int3 anywhere: not a slot. */
START_TEST(not_empty)
{
	struct world w = world(1);
	struct hv_slot s;

	ck_assert_int_eq(hv_slot_map(w.h, 5, &w.o, false, &s, NULL), 0);
	for (uint32_t i = 0; i < HVDRV_SLOT_SIZE; i += 1 + i % 97) {
		s.code[i] = 0x90;
		ck_assert(!hv_slot_empty(&s));
		s.code[i] = HVDRV_SLOT_FILL;
	}
	s.code[HVDRV_SLOT_SIZE - 1] = 0;
	ck_assert(!hv_slot_empty(&s));
	hv_slot_unmap(w.h, &s);
	done(&w);
}
END_TEST

/* A failure at any call of the host: nothing stays mapped, and the guest's pages are as they were. */
START_TEST(fail_at_each_call)
{
	struct world w = world(HVDRV_MAX_QUEUES);
	unsigned int n;

	for (n = 1; n < 50; n++) {
		struct hv_slot s;
		struct hv_err e = { 0 };
		int rc;

		fake_fail(w.f, NULL, n, ENOMEM);
		rc = hv_slot_map(w.h, 5, &w.o, _i, &s, &e);
		if (!fake_failed(w.f)) {
			ck_assert_int_eq(rc, 0);
			hv_slot_unmap(w.h, &s);
			break;
		}
		ck_assert_int_eq(rc, -EFAULT);
		ck_assert_uint_eq(fake_mapped(w.f), 0);
		ck_assert_ptr_null(s.code);
		ck_assert_uint_gt(strlen(e.text), 0);
	}
	ck_assert_uint_eq(n, 2 + HVDRV_MAX_QUEUES);
	ck_octets(fake_page(w.f, 5, CODE + 7), HVDRV_PAGE, HVDRV_SLOT_FILL);
	done(&w);
}
END_TEST

static void lie_no_ref(struct world *w) { w->o.slot_gref[3] = 999; }
static void lie_huge_ref(struct world *w) { w->o.slot_gref[0] = UINT32_MAX; }
static void lie_readonly(struct world *w) { w->o.slot_gref[1] = fake_grant(w->f, 5, 300, true); }
static void lie_revoked(struct world *w) { fake_revoke(w->f, 5, w->o.slot_gref[2]); }
static void lie_state(struct world *w) { w->o.queue[1].state = 999; }
static void lie_state_ro(struct world *w) { w->o.queue[0].state = fake_grant(w->f, 5, 300, true); }
static void lie_dead(struct world *w) { fake_domain_die(w->f, 5); }

static const struct {
	void (*lie)(struct world *w);
	const char *says;
} lies[] = {
	{ lie_no_ref, "grants are not valid" }, { lie_huge_ref, "grants are not valid" }, { lie_readonly, "grants are not valid" },
	{ lie_revoked, "grants are not valid" }, { lie_state, "state page of queue 1" }, { lie_state_ro, "state page of queue 0" },
	{ lie_dead, "cannot be mapped" },
};

START_TEST(lie)
{
	struct world w = world(2);
	struct hv_slot s;
	struct hv_err e = { 0 };

	lies[_i].lie(&w);
	ck_assert_int_eq(hv_slot_map(w.h, 5, &w.o, false, &s, &e), -EFAULT);
	ck_contains(e.text, lies[_i].says);
	done(&w);
}
END_TEST

START_TEST(lie_frames)
{
	struct world w = world(1);
	struct hv_slot s;
	struct hv_err e = { 0 };

	w.o.slot_gfn[2] = UINT64_MAX;
	ck_assert_int_eq(hv_slot_map(w.h, 5, &w.o, true, &s, &e), -EFAULT);
	ck_contains(e.text, "frame numbers");
	done(&w);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("place", (const TTest *[]){ replaced, not_empty, lie_frames, NULL });

	unit_loop(s, "placed", placed, 2 * N(sizes));
	unit_loop(s, "fail-at-each-call", fail_at_each_call, 2);
	unit_loop(s, "lie", lie, N(lies));
	return s;
}
