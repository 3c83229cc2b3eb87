// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that are begun at the host when the driver is replaced: carried over, answered through the new queue; also
 * when that has another format, to and fro.
 */
#include "gen.h"
#include "ramdisk.h"

static const struct ramdisk_format blkif = { .blkif = &hv_blkif_xen }, nvme = { .nvme = &hv_nvme_mediated },
	virtq = { .virtq = &hv_virtq_split };

/* Which drivers follow each other. */
static const struct {
	const char *conf[2];
	const struct ramdisk_format *f[2];
} turns[] = {
	{ { gen_device, gen_device }, { &blkif, &blkif } },
	{ { gen_nvme, gen_nvme }, { &nvme, &nvme } },
	{ { gen_device, gen_nvme }, { &blkif, &nvme } },
	{ { gen_virtio, gen_virtio }, { &virtq, &virtq } },
	{ { gen_virtio, gen_nvme }, { &virtq, &nvme } },
	{ { gen_device, gen_virtio }, { &blkif, &virtq } },
};

/* Any state that requests can be in: not posted, posted, taken, answered and not seen. */
static void work(struct ramdisk *d)
{
	struct load *l = &d->load;

	load_submit(l, rng_below(&l->rng, l->depth));
	ramdisk_take(d, rng_below(&l->rng, 40));
	if (ramdisk_end(d, rng_below(&l->rng, 40)) && rng_below(&l->rng, 4))
		ramdisk_event(d);
}

static void after_replacement(struct ramdisk *d)
{
	struct load *l = &d->load;

	ramdisk_take(d, 1);			/* before the guest has adopted: nothing is there, of whatever queue */
	if (rng_below(&l->rng, 2))
		load_submit(l, 2);		/* another entry than complete may be the first */
	if (rng_below(&l->rng, 2))
		ramdisk_end(d, 3);		/* answered before the guest has run at all */
	ramdisk_event(d);			/* the kick */
}

START_TEST(carried)
{
	uint32_t depth = _i & 1 ? 64 : 32, times = 0;
	struct hv_image img[2];
	struct ramdisk *d;
	struct load *l;

	if (!gen_image(turns[_i / 2].conf[0], &img[0]))
		return;
	ck_assert(gen_image(turns[_i / 2].conf[1], &img[1]));
	d = ramdisk_new(&img[0], *turns[_i / 2].f[0], depth, "carry");
	l = &d->load;
	while ((l->ended < 20000 || times < 200) && !*l->bad) {
		work(d);
		if (rng_below(&l->rng, 10))
			continue;
		times++;
		ramdisk_replace(d, &img[times & 1], *turns[_i / 2].f[times & 1]);
		after_replacement(d);
	}
	for (int i = 0; l->inflight && i < 1000 && !*l->bad; i++) {
		ramdisk_take(d, 100);
		ramdisk_end(d, 100);
		ramdisk_event(d);
	}
	ck_assert_msg(!*l->bad, "%s (after %u replacements, %u requests)", l->bad, times, l->ended);
	ck_assert_uint_eq(l->inflight, 0);
	ck_assert_uint_eq(d->begun, l->ended);		/* none twice, none not at all */
	ck_assert_uint_eq(d->twice + d->refused + d->broken, 0);
	ck_assert_uint_gt(d->carried, 100);
	ck_assert_mem_eq(d->disk, l->disk, sizeof(d->disk));
	ck_assert_uint_eq(l->stub.adopts, times);
	ramdisk_free(d);
}
END_TEST

/* Each tag begun under blkif is one more than NVMe's queue holds: all are answered, and then it takes as many as it can. */
START_TEST(all_begun)
{
	struct hv_image from, to;
	struct ramdisk *d;

	if (!gen_image(gen_device, &from))
		return;
	ck_assert(gen_image(gen_nvme, &to));
	d = ramdisk_new(&from, blkif, 128, "carry");
	while (d->load.inflight < 128)
		load_submit(&d->load, 128);		/* 64 of them wait */
	ramdisk_take(d, 128);
	ck_assert_uint_eq(d->nheld, 64);
	ramdisk_replace(d, &to, nvme);
	ck_assert(!hv_nvmeq_ready(&d->nvmeq));		/* nothing of the other driver's queue */
	ramdisk_event(d);
	ramdisk_take(d, 1);
	ck_assert_uint_eq(d->nheld, 64);
	ramdisk_end(d, 64);
	ramdisk_event(d);
	ramdisk_take(d, 128);
	ck_assert_uint_eq(d->nheld, 63);
	ramdisk_end(d, 63);
	ramdisk_event(d);
	ramdisk_take(d, 128);
	ramdisk_end(d, 1);
	ramdisk_event(d);
	ck_assert_msg(!*d->load.bad && !d->broken, "%s", d->load.bad);
	ck_assert_uint_eq(d->load.ended, 128);
	ck_assert_mem_eq(d->disk, d->load.disk, sizeof(d->disk));
	ramdisk_free(d);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("carry", (const TTest *[]){ all_begun, NULL });

	unit_loop(s, "carried", carried, 2 * N(turns));
	return s;
}
