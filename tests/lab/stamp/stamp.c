// SPDX-License-Identifier: GPL-2.0-only
/*
 * stamp - a load on a block device that knows what each sector must hold, while the driver below it is replaced.
 *
 *   stamp run DEVICE --seed N --seconds S|--ops N [--depth D] [--from BYTE] [--size BYTES] [--max-kib K] [--log FILE]
 *             [--no-discard] [--rare PERCENT] [--rate PER-SECOND] [--gaps FILE]
 *   stamp verify DEVICE --log FILE [--depth D] [--max-kib K]
 *
 * run destroys what the range holds. It keeps D requests in flight, of 512 bytes to K KiB: reads, writes, writes with
 * FUA, flushes, discards, zeroings (PERCENT of each of these three, 2 unless told). With --rate it begins so many in a
 * second, at most, and does not make up for what was late. No two in flight overlap, so there is one right answer to every
 * read. Each sector written holds the seed, the run, its own number, the sequence of its write, and a checksum. At the end,
 * and after SIGTERM, all sectors whose content is known are read; then --log keeps the table of them for `verify`, which
 * may be another day, after detach and attach, or on a copy. At each SIGUSR1 a line is added to the file of --gaps: the longest time
 * in us, since the last one, in which no request ended. A plain file will do for DEVICE; there is no O_DIRECT then
 * where the file system has none.
 *
 * What can be wrong; the first five count sectors, the last counts requests:
 *   lost         content from before the last acknowledged write (an older sequence, an earlier run's, or zeroes), and
 *                that write was never read back: what was acknowledged is not there
 *   stale        the same, after the newer content had been read back: an older write (or a discard) took effect again,
 *                or the read was answered from an old copy
 *   orphan       a right stamp with a newer sequence than any acknowledged for this sector
 *   misdirected  a right stamp of another sector or of another seed (give each disk its own)
 *   corrupt      neither zeroes nor a right stamp. Buffers are spoilt before a read: one that brought nothing is corrupt
 *   failed       the request ended with an error, or moved less than it should; said with errno
 * A write done twice is seen only when another write was acknowledged in between: it is stale then, or lost if nobody
 * read in between. A completion reported twice for one request ends in the kernel and cannot be seen from here: the
 * guest module counts those. What a device holds after a discard or a failed write is unknown, and not judged until
 * it is written again; in a plain file a discard is a hole, which reads as zeroes.
 *
 * The only other output is one line of key=value. ops, reads and so on count ended requests without the last pass, of which
 * verified_bytes has the bytes too. gap_us is the longest time between two ends of requests that followed each other,
 * p50_us, p99_us and max_us are of the time from submission to end; without the last pass. Status: 0 when there was
 * something to verify and nothing was wrong, 1 when something was, 2 when nothing could be done.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "stamp.h"

#define RECENT 64		/* written ranges that reads come back to */
#define BATCH 8			/* at most as many requests per submission */
#define BUCKETS (64 * 16)	/* of latencies: 16 to each power of two */

enum next { PREPARED, LATER, END };

struct load {
	struct engine e;
	struct model m;
	enum next (*next)(struct load *l);
	bool timed;			/* counted and timed; not so the last pass of a run */
	uint64_t rnd, seq, issued, max_ops, deadline;
	uint64_t every, due;		/* ns from one request's begin to the next one's, at least; when the next may begin */
	uint32_t max_sectors;
	bool discard;
	unsigned int rare;
	struct { uint64_t at; uint32_t n; } recent[RECENT];
	unsigned int n_recent;
	uint64_t cursor;		/* of the last pass */
	uint64_t done[OPS], fua, failed, written_bytes;
	uint64_t last_end, gap, longest, slower[BUCKETS];
	FILE *gaps;
	uint64_t marked, gap_here;	/* since when, and the longest time since then */
};

struct options {
	const char *device, *log, *gaps;
	uint64_t seed, seconds, ops, depth, from, size, max_kib, rare, rate;
	bool run, no_discard;
};

static const char *const name_of[OPS] = { "read", "write", "flush", "discard", "zeroing" };
static volatile sig_atomic_t stop, mark;

static void on_term(int sig)
{
	stop = 1;
}

static void on_mark(int sig)
{
	mark = 1;
}

static uint64_t rnd(struct load *l, uint64_t n)
{
	l->rnd ^= l->rnd << 13;
	l->rnd ^= l->rnd >> 7;
	l->rnd ^= l->rnd << 17;
	return (l->rnd >> 11) % n;
}

/* ---- what is asked next ---- */

static uint64_t round_to(uint64_t n, uint32_t align)
{
	return n / align * align;
}

/* 512 and 4096 bytes as often as all other sizes together; those spread evenly over the powers of two. */
static uint32_t pick_size(struct load *l, uint32_t align)
{
	static const uint32_t common[] = { 1, 8 };
	uint64_t n = rnd(l, 2) ? common[rnd(l, 2)] : 1 + rnd(l, 1u << rnd(l, 11));

	n = n < l->max_sectors ? n : l->max_sectors;
	n = round_to(n < l->m.n ? n : l->m.n, align);
	return n ? n : align;
}

/* A range that no request in flight touches; half of the reads come back to what was written lately. */
static bool pick_range(struct load *l, struct req *r, uint32_t align)
{
	uint64_t first = (l->m.first + align - 1) / align * align;
	uint64_t end = round_to(l->m.first + l->m.n, align);

	for (int i = 0; i < 32; i++) {
		r->n = pick_size(l, align);
		if (first + r->n > end)
			return false;
		r->at = first + rnd(l, (end - first - r->n) / align + 1) * align;
		if (r->op == READ && l->n_recent && rnd(l, 2)) {
			unsigned int k = rnd(l, l->n_recent < RECENT ? l->n_recent : RECENT);

			r->at = l->recent[k].at;
			r->n = l->recent[k].n;
		}
		if (model_take(&l->m, r->at, r->n))
			return true;
	}
	return false;
}

static enum op pick_op(struct load *l)
{
	unsigned int x = rnd(l, 100);
	bool slow = engine_slow_idle(&l->e);

	if (x < l->rare)
		return FLUSH;
	if (x < 2 * l->rare && slow && l->discard)
		return DISCARD;
	if (x < 3 * l->rare && slow && l->e.disk.zeroes)
		return ZERO;
	return x < 50 ? READ : WRITE;
}

/* Without this a read that brings nothing would show what an earlier one left in the buffer. */
static void spoil(struct req *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		memset(r->data + (size_t)i * SECTOR, 0x5a, 8);
}

static void fill_data(struct load *l, struct req *r)
{
	/* segments that begin anywhere in a page */
	r->data = r->buf + (l->e.disk.align == 1 ? rnd(l, 8) * SECTOR : 0);
	if (r->op == READ)
		spoil(r);
	else
		model_fill(&l->m, r->data, r->at, r->n, r->seq);
}

static bool enough(const struct load *l)
{
	return stop || l->issued >= l->max_ops || now_ns() >= l->deadline;
}

static enum next next_random(struct load *l)
{
	enum op op = pick_op(l);
	bool slow = op == DISCARD || op == ZERO;
	struct req *r = slow ? &l->e.slow : engine_idle(&l->e);

	if (enough(l))
		return END;
	if (!r || (l->every && now_ns() < l->due))
		return LATER;
	r->op = op;
	r->at = r->n = 0;
	if (op != FLUSH && !pick_range(l, r, slow ? l->e.disk.coarse : l->e.disk.align))
		return LATER;
	r->seq = ++l->seq;
	r->fua = op == WRITE && rnd(l, 4) == 0;
	if (op == READ || op == WRITE)
		fill_data(l, r);
	l->issued++;
	l->due = now_ns() + l->every;
	engine_ready(&l->e, r);
	return PREPARED;
}

/* Is anything known of this block? Blocks may be larger than sectors, and a wrong sector is known no longer. */
static bool known(const struct load *l, uint64_t at)
{
	for (uint32_t i = 0; i < l->e.disk.align; i++)
		if (at + i < l->m.n && l->m.s[at + i].kind != UNKNOWN)
			return true;
	return false;
}

/* The last pass: every range that is known. */
static enum next next_known(struct load *l)
{
	uint32_t align = l->e.disk.align;
	struct req *r = engine_idle(&l->e);
	uint64_t at;

	if (!r)
		return LATER;
	while (l->cursor < l->m.n && !known(l, l->cursor))
		l->cursor += align;
	if (l->cursor >= l->m.n)
		return END;
	at = l->cursor;
	while (l->cursor < l->m.n && l->cursor - at + align <= l->max_sectors && known(l, l->cursor))
		l->cursor += align;
	r->op = READ;
	r->at = l->m.first + at;
	r->n = l->cursor - at;
	r->fua = false;
	r->data = r->buf;
	spoil(r);
	engine_ready(&l->e, r);
	return PREPARED;
}

/* ---- what has ended ---- */

static unsigned int bucket_of(uint64_t us)
{
	unsigned int e = us < 16 ? 0 : 63 - __builtin_clzll(us) - 3;

	return e * 16 + ((us >> (e ? e - 1 : 0)) & 15);
}

/* The largest time that the bucket stands for. */
static uint64_t bucket_end(unsigned int b)
{
	unsigned int e = b / 16;

	return e ? ((17ull + b % 16) << (e - 1)) - 1 : b;
}

/* The longest time since the last mark in which nothing ended, up to `end`. */
static void note_gap(struct load *l, uint64_t end)
{
	uint64_t from = l->last_end > l->marked ? l->last_end : l->marked;

	if (end > from && end - from > l->gap_here)
		l->gap_here = end - from;
}

static void note_mark(struct load *l)
{
	mark = 0;
	note_gap(l, now_ns());
	if (l->gaps)
		fprintf(l->gaps, "%" PRIu64 "\n", l->gap_here / 1000);
	if (l->gaps)
		fflush(l->gaps);
	l->marked = now_ns();
	l->gap_here = 0;
}

static void note_time(struct load *l, const struct req *r)
{
	uint64_t us = (r->end - r->start) / 1000;

	note_gap(l, r->end);
	if (l->last_end && r->end > l->last_end && r->end - l->last_end > l->gap)
		l->gap = r->end - l->last_end;
	if (r->end > l->last_end)
		l->last_end = r->end;
	if (us > l->longest)
		l->longest = us;
	l->slower[bucket_of(us)]++;
	l->done[r->op]++;
	l->fua += r->fua;
}

static void request_failed(struct load *l, const struct req *r)
{
	l->failed++;
	if (model_tell(&l->m))
		fprintf(stderr, "stamp: %s of %u sectors at %" PRIu64 ": failed: %s\n", name_of[r->op], r->n, r->at,
			r->res < 0 ? strerror(-r->res) : "fewer bytes than asked");
	if (r->op != READ && r->n)
		model_set(&l->m, r->at, r->n, UNKNOWN, 0);
}

static void request_good(struct load *l, const struct req *r)
{
	switch (r->op) {
	case READ:
		model_check(&l->m, r->at, r->n, r->data);
		break;
	case WRITE:
		l->written_bytes += r->res;
		model_set(&l->m, r->at, r->n, STAMPED, r->seq);
		l->recent[l->n_recent % RECENT].at = r->at;
		l->recent[l->n_recent++ % RECENT].n = r->n;
		break;
	case DISCARD:
		model_set(&l->m, r->at, r->n, l->e.disk.block ? UNKNOWN : ZEROED, r->seq);
		break;
	case ZERO:
		model_set(&l->m, r->at, r->n, ZEROED, r->seq);
		break;
	default:
		break;
	}
}

static void request_ended(struct load *l, struct req *r)
{
	bool random = l->next == next_random;

	if (l->timed)
		note_time(l, r);
	if (r->res != (long)r->n * SECTOR)
		request_failed(l, r);
	else
		request_good(l, r);
	if (random && r->n)
		model_release(&l->m, r->at, r->n);
	engine_put(&l->e, r);
}

/* One request at a time is made, and one judged, so that what ends meanwhile is taken soon. */
static void pump(struct load *l, enum next (*next)(struct load *))
{
	unsigned int batch = BATCH;
	enum next what;
	struct req *r;

	l->next = next;
	do {
		what = next(l);
		if (what != PREPARED || l->e.n_ready >= batch) {
			engine_submit(&l->e);
			batch = 1 + rnd(l, BATCH);
		}
		engine_collect(&l->e, what != PREPARED && l->e.flying && !l->e.n_ended);
		if (mark)
			note_mark(l);
		if (what == LATER && !l->e.flying && !l->e.n_ended)
			usleep(1000);			/* nothing is under way, and it is too soon for more */
		r = engine_ended(&l->e);
		if (r)
			request_ended(l, r);
	} while (what != END || l->e.flying);
}

/* ---- the whole ---- */

static uint64_t percentile(const struct load *l, unsigned int percent)
{
	uint64_t all = 0, sum = 0;

	for (unsigned int i = 0; i < BUCKETS; i++)
		all += l->slower[i];
	for (unsigned int i = 0; i < BUCKETS; i++) {
		sum += l->slower[i];
		if (sum && sum * 100 >= all * percent)
			return bucket_end(i) < l->longest ? bucket_end(i) : l->longest;
	}
	return 0;
}

static void put(const char *key, uint64_t n)
{
	printf("%s=%" PRIu64 " ", key, n);
}

static int report(const struct load *l)
{
	uint64_t ops = 0, wrong = l->failed;

	for (int i = 0; i < OPS; i++)
		ops += l->done[i];
	for (int v = LOST; v < VERDICTS; v++)
		wrong += l->m.count[v];
	put("ops", ops);
	put("reads", l->done[READ]);
	put("writes", l->done[WRITE]);
	put("fua", l->fua);
	put("flushes", l->done[FLUSH]);
	put("discards", l->done[DISCARD]);
	put("zeroings", l->done[ZERO]);
	put("verified_bytes", l->m.good_bytes);
	put("written_bytes", l->written_bytes);
	put("lost", l->m.count[LOST]);
	put("stale", l->m.count[STALE]);
	put("orphan", l->m.count[ORPHAN]);
	put("misdirected", l->m.count[MISDIRECTED]);
	put("corrupt", l->m.count[CORRUPT]);
	put("failed", l->failed);
	put("gap_us", l->gap / 1000);
	put("p50_us", percentile(l, 50));
	put("p99_us", percentile(l, 99));
	printf("max_us=%" PRIu64 "\n", l->longest);
	if (fflush(stdout))
		return 2;
	return wrong || !ops || !l->m.good_bytes;
}

static int die(const char *what, int rc)
{
	fprintf(stderr, "stamp: %s: %s\n", what, strerror(-rc));
	return 2;
}

static int set_range(struct load *l, const struct options *o)
{
	const struct disk *d = &l->e.disk;
	uint64_t first = o->from / SECTOR, n;

	if (o->from % SECTOR || first % d->align || first >= d->sectors)
		return -EINVAL;
	n = d->sectors - first;
	if (o->size && o->size / SECTOR < n)
		n = o->size / SECTOR;
	n = round_to(n, d->align);
	return n ? model_init(&l->m, first, n) : -EINVAL;
}

static void seed(struct load *l, uint64_t with)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	l->m.seed = with;
	l->m.run = t.tv_sec * 1000000000ull + t.tv_nsec;
	l->rnd ^= with * 0x9e3779b97f4a7c15ull;
	/* the generator stays at 0 */
	l->rnd = l->rnd ? l->rnd : 1;
}

static int run(struct load *l, const struct options *o)
{
	struct sigaction sa = { .sa_handler = on_term }, marks = { .sa_handler = on_mark };
	int rc = set_range(l, o), st;

	if (rc)
		return die("the range to work on", rc);
	seed(l, o->seed);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGUSR1, &marks, NULL);
	l->gaps = o->gaps ? fopen(o->gaps, "a") : NULL;
	if (o->gaps && !l->gaps)
		return die(o->gaps, -errno);
	l->marked = now_ns();
	disk_probe(&l->e.disk, l->m.first, l->m.n);
	l->discard = l->e.disk.discards && !o->no_discard;
	l->rare = o->rare;
	l->every = o->rate ? 1000000000 / o->rate : 0;
	l->max_ops = o->ops ? o->ops : UINT64_MAX;
	l->deadline = o->seconds ? now_ns() + o->seconds * 1000000000 : UINT64_MAX;
	l->timed = true;
	pump(l, next_random);
	l->timed = false;
	pump(l, next_known);
	st = report(l);
	rc = o->log ? model_save(&l->m, o->log) : 0;
	return rc ? die(o->log, rc) : st;
}

static int verify(struct load *l, const struct options *o)
{
	int rc = model_load(&l->m, o->log);

	if (rc)
		return die(o->log, rc);
	if (l->m.first % l->e.disk.align || l->m.n % l->e.disk.align)
		return die("the log's range and the blocks of this device", -EINVAL);
	l->timed = true;
	pump(l, next_known);
	return report(l);
}

static int usage(void)
{
	fprintf(stderr, "usage: stamp run DEVICE --seed N --seconds S|--ops N [--depth D] [--from BYTE] [--size BYTES]\n"
		"                 [--max-kib K] [--log FILE] [--no-discard] [--rare PERCENT] [--rate PER-SECOND] [--gaps FILE]\n"
		"       stamp verify DEVICE --log FILE [--depth D] [--max-kib K]\n");
	return 2;
}

static bool number(const char *text, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	return !errno && *text >= '0' && *text <= '9' && !*end;
}

static bool parse(struct options *o, int argc, char **argv)
{
	static const struct option long_opts[] = {
		{ "seed", 1, NULL, 's' }, { "seconds", 1, NULL, 't' }, { "ops", 1, NULL, 'o' }, { "depth", 1, NULL, 'd' },
		{ "from", 1, NULL, 'f' }, { "size", 1, NULL, 'n' }, { "max-kib", 1, NULL, 'k' }, { "log", 1, NULL, 'l' },
		{ "no-discard", 0, NULL, 'D' }, { "rare", 1, NULL, 'r' },
		{ "rate", 1, NULL, 'R' }, { "gaps", 1, NULL, 'g' }, {}
	};
	uint64_t *const to[] = { ['s'] = &o->seed, ['t'] = &o->seconds, ['o'] = &o->ops, ['d'] = &o->depth, ['f'] = &o->from,
				 ['n'] = &o->size, ['k'] = &o->max_kib, ['r'] = &o->rare, ['R'] = &o->rate };
	bool seeded = false;
	int c;

	while ((c = getopt_long(argc, argv, "", long_opts, NULL)) != -1) {
		if (c == 'l')
			o->log = optarg;
		else if (c == 'g')
			o->gaps = optarg;
		else if (c == 'D')
			o->no_discard = true;
		else if (c == '?' || !number(optarg, to[c]))
			return false;
		seeded |= c == 's';
	}
	if (argc - optind != 2 || !o->depth || o->depth > 1024 || !o->max_kib || o->max_kib > 16384 || o->rare > 15)
		return false;
	o->device = argv[optind + 1];
	o->run = !strcmp(argv[optind], "run");
	if (!o->run)
		return !strcmp(argv[optind], "verify") && o->log;
	return seeded && (o->seconds || o->ops);
}

int main(int argc, char **argv)
{
	struct options o = { .depth = 32, .max_kib = 252, .rare = 2 };
	static struct load l = { .rnd = 0xd6e8feb86659fd93ull };
	int rc;

	if (!parse(&o, argc, argv))
		return usage();
	rc = disk_open(&l.e.disk, o.device, o.run);
	if (rc)
		return die(o.device, rc);
	l.max_sectors = round_to(o.max_kib * 2, l.e.disk.align);
	rc = l.max_sectors ? engine_start(&l.e, o.depth, l.max_sectors) : -EINVAL;
	if (rc)
		return die("requests cannot be made", rc);
	rc = o.run ? run(&l, &o) : verify(&l, &o);
	engine_stop(&l.e);
	free(l.m.s);
	return rc;
}
