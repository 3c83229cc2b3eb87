// SPDX-License-Identifier: GPL-2.0-only
/*
 * mapcost [--rounds N] [--count N] [--kill SLOW] DOM NAME TARGET
 *
 * In dom0: finds the pool of DOM's device NAME as hvdrvd does (hvdrv-xenstore(7), hvdrv-abi(7)) and measures each way between its pages
 * and TARGET, which is only read: N rounds of N runs for 1, 8 and 32 pages, every round begun with another way. DOM must not use the
 * device meanwhile. A ratio is that of two medians of one round; the median of all rounds is printed, with the smallest and the largest.
 * --kill: afterwards, see mapcost.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "core/keys.h"
#include "gntdev.h"
#include "mapcost.h"
#include "ring/desc.h"
#include "util/str.h"

#define SIZES 3
#define WAYS 16
static const unsigned int sizes[SIZES] = { 1, 8, MAPCOST_PAGES };

struct options {
	uint64_t rounds, count;
	const char *slow, *dom, *name, *target;
};

struct times {
	uint64_t rounds, count;
	int64_t *ns[SIZES][WAYS];	/* one round after the other */
	int64_t *median[SIZES][WAYS];	/* of each round */
};

/* ---- the guest ---- */

int mapcost_open_guest(struct mapcost *m)
{
	int evtchn = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC);

	m->gntdev = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
	return m->gntdev < 0 || evtchn < 0 ? -errno : guest_xen_init(&m->guest, m->gntdev, evtchn, m->domid);
}

static int copy_page(void *arg, uint32_t ref, void *page)
{
	const struct mapcost *m = arg;
	struct guest_copy c = { .local = page, .ref = ref, .len = HVDRV_PAGE };
	int rc = m->guest.ops->copy(m->guest.arg, &c, 1);

	return rc ? rc : c.status ? -EFAULT : 0;
}

static int read_pool_refs(struct mapcost *m, struct hv_host *h, const struct hv_dev_id *id, struct hv_err *e)
{
	struct hv_offer *o = calloc(1, sizeof(*o));
	struct hv_dev_paths at;
	int rc;

	if (!o)
		return hv_err(e, ENOMEM, "no memory");
	hv_dev_paths(id, &at);
	rc = hv_desc_read(copy_page, m, hv_read_u64(h, 0, UINT32_MAX, "%s/slot-ref", at.front),
			  hv_read_u64(h, 0, HVDRV_MAX_DEPTH, "%s/limits/depth", at.back),
			  hv_read_u64(h, 0, HVDRV_MAX_QUEUE_PAGES, "%s/limits/queue-pages", at.back), HVDRV_MAX_QUEUES, o, e);
	if (!rc && o->pool_pages < sizeof(m->ref) / sizeof(m->ref[0][0]))
		rc = hv_err(e, ENODEV, "the device's pool has %u pages, %zu are needed", o->pool_pages,
			    sizeof(m->ref) / sizeof(m->ref[0][0]));
	if (!rc)
		memcpy(m->ref, o->pool, sizeof(m->ref));
	free(o);
	return rc;
}

static int find_pool(struct mapcost *m, const struct options *o, struct hv_err *e)
{
	struct hv_host *h = hv_host_store_open(e);
	struct hv_dev_id id;
	int rc = h ? hv_domain_find(h, o->dom, &m->domid, e) : -e->code;

	if (!rc)
		rc = hv_device_find(h, m->domid, o->name, &id, e);
	if (!rc && mapcost_open_guest(m))
		rc = hv_err(e, errno, "gntdev or evtchn: %s", strerror(errno));
	if (!rc)
		rc = read_pool_refs(m, h, &id, e);
	hv_host_close(h);
	if (rc)
		return rc;
	m->standing = gntdev_map(m->gntdev, m->domid, m->ref[PART_STAND], MAPCOST_PAGES);
	return m->standing ? 0 : hv_err(e, errno, "the pool cannot be mapped: %s", strerror(errno));
}

static int set_up(struct mapcost *m, const struct options *o, struct hv_err *e)
{
	int rc = find_pool(m, o, e);

	if (rc)
		return rc;
	m->own = mmap(NULL, 2 * MAPCOST_PAGES * HVDRV_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (m->own == MAP_FAILED)
		return hv_err(e, errno, "no memory: %s", strerror(errno));
	m->expect = m->own + MAPCOST_PAGES * HVDRV_PAGE;
	m->target = open(o->target, O_RDONLY | O_DIRECT | O_CLOEXEC);
	return m->target < 0 ? hv_err(e, errno, "%s: %s", o->target, strerror(errno)) : 0;
}

/* ---- measuring ---- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* One way in one round, and that it does what it is for. Reads go through the first 8 MiB. */
static int run_way(const struct mapcost *m, const struct mapcost_way *w, struct times *t, unsigned int size, unsigned int way,
		   unsigned int round, struct hv_err *e)
{
	uint64_t bytes = sizes[size] * HVDRV_PAGE, places = (8u << 20) / bytes;
	int64_t *ns = t->ns[size][way] + round * t->count;
	int rc = mapcost_verify(m, w, sizes[size], round % places * bytes);

	for (uint64_t i = 0; !rc && i < t->count; i++) {
		uint64_t at = (round * t->count + i) % places * bytes;

		ns[i] = now_ns();
		rc = w->run(m, sizes[size], at);
		ns[i] = now_ns() - ns[i];
	}
	if (rc)
		return hv_err(e, -rc, "%s, %u pages: %s", w->name, sizes[size], strerror(-rc));
	qsort(ns, t->count, sizeof(*ns), by_value);
	t->median[size][way][round] = ns[t->count / 2];
	return 0;
}

static int measure(const struct mapcost *m, struct times *t, struct hv_err *e)
{
	unsigned int n;
	const struct mapcost_way *ways = mapcost_ways(&n);
	int rc = 0;

	for (unsigned int round = 0; round < t->rounds; round++)
		for (unsigned int size = 0; size < SIZES; size++)
			for (unsigned int i = 0; !rc && i < n; i++)
				rc = run_way(m, &ways[(i + round) % n], t, size, (i + round) % n, round, e);
	return rc;
}

static int times_new(struct times *t, unsigned int n, struct hv_err *e)
{
	for (unsigned int size = 0; size < SIZES; size++)
		for (unsigned int way = 0; way < n; way++) {
			t->ns[size][way] = calloc(t->rounds * t->count, sizeof(int64_t));
			t->median[size][way] = calloc(t->rounds, sizeof(int64_t));
			if (!t->ns[size][way] || !t->median[size][way])
				return hv_err(e, ENOMEM, "no memory for %llu times", (unsigned long long)(t->rounds * t->count));
		}
	return 0;
}

static void times_free(struct times *t, unsigned int n)
{
	for (unsigned int size = 0; size < SIZES; size++)
		for (unsigned int way = 0; way < n; way++) {
			free(t->ns[size][way]);
			free(t->median[size][way]);
		}
}

/* ---- the report ---- */

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_ratio(const struct times *t, unsigned int size, unsigned int way, unsigned int base)
{
	double *r = calloc(t->rounds, sizeof(*r));

	if (!r)
		return;
	for (uint64_t i = 0; i < t->rounds; i++)
		r[i] = (double)t->median[size][way][i] / t->median[size][base][i];
	qsort(r, t->rounds, sizeof(*r), by_number);
	printf("%.2f (%.2f to %.2f)", r[t->rounds / 2], r[0], r[t->rounds - 1]);
	free(r);
}

static void print_way(struct times *t, const struct mapcost_way *ways, unsigned int size, unsigned int way)
{
	uint64_t all = t->rounds * t->count;
	int64_t *ns = t->ns[size][way];
	unsigned int base = 0;

	qsort(ns, all, sizeof(*ns), by_value);
	printf("| %u | %s | %.0f/%.0f/%.0f | ", sizes[size], ways[way].name, ns[all / 2] / 1e3, ns[all * 99 / 100] / 1e3, ns[all - 1] / 1e3);
	if (ways[way].base) {
		while (strcmp(ways[base].name, ways[way].base))
			base++;
		print_ratio(t, size, way, base);
	} else {
		printf("1");
	}
	printf(" |\n");
}

static void report(struct times *t, const char *target)
{
	unsigned int n;
	const struct mapcost_way *ways = mapcost_ways(&n);

	printf("%llu rounds of %llu runs, reads of %s; ratio to the same by grant copy\n\n| pages | way | p50/p99/max us | ratio |\n"
	       "|---|---|---|---|\n", (unsigned long long)t->rounds, (unsigned long long)t->count, target);
	for (unsigned int size = 0; size < SIZES; size++)
		for (unsigned int way = 0; way < n; way++)
			print_way(t, ways, size, way);
	fflush(stdout);
}

/* ---- */

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "rounds", required_argument, NULL, 'r' }, { "count", required_argument, NULL, 'c' },
		{ "kill", required_argument, NULL, 'k' }, { NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'k')
			o->slow = optarg;
		else if (c == '?' || hv_str_u64(optarg, 100000, c == 'r' ? &o->rounds : &o->count))
			return -EINVAL;
	}
	if (argc - optind != 3 || !o->rounds || !o->count)
		return -EINVAL;
	o->dom = argv[optind];
	o->name = argv[optind + 1];
	o->target = argv[optind + 2];
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .rounds = 7, .count = 200 };
	struct mapcost m = { 0 };
	struct times t = { 0 };
	struct hv_err e = { 0 };
	unsigned int n;
	int rc;

	if (parse(argc, argv, &o)) {
		fprintf(stderr, "usage: mapcost [--rounds N] [--count N] [--kill SLOW] DOM NAME TARGET\n");
		return 2;
	}
	mapcost_ways(&n);
	t.rounds = o.rounds;
	t.count = o.count;
	rc = n > WAYS ? hv_err(&e, E2BIG, "%u ways", n) : times_new(&t, n, &e);
	if (!rc)
		rc = set_up(&m, &o, &e);
	if (!rc)
		rc = measure(&m, &t, &e);
	if (!rc)
		report(&t, o.target);
	if (!rc && o.slow)
		rc = mapcost_kill(&m, o.slow, &e);
	if (rc)
		fprintf(stderr, "mapcost: %s\n", e.text);
	times_free(&t, n);
	return rc != 0;
}
