// SPDX-License-Identifier: GPL-2.0-only
/* What each sector must hold, and what it means when it holds something else. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stamp.h"

#define MAGIC 0x31706d6174537668ull	/* "hvStamp1" */
#define WORDS (SECTOR / 8)
#define TELL 10				/* as many errors are described */

/* A sector as written; the last word is the checksum of all others. */
struct stamp {
	uint64_t magic, seed, run, sector, seq, pattern[WORDS - 6], check;
};
_Static_assert(sizeof(struct stamp) == SECTOR, "a stamp fills its sector");

static const char *const name_of[VERDICTS] = { "good", "lost", "stale", "orphan", "misdirected", "corrupt" };

int model_init(struct model *m, uint64_t first, uint64_t n)
{
	m->first = first;
	m->n = n;
	m->s = calloc(n, sizeof(*m->s));
	return m->s ? 0 : -ENOMEM;
}

/* Each step can be undone, so one changed word always changes the sum. */
static uint64_t checksum(const struct stamp *st)
{
	const uint64_t *w = (const uint64_t *)st;
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (unsigned int i = 0; i < WORDS - 1; i++) {
		h = (h ^ w[i]) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return h;
}

static void fill_one(const struct model *m, struct stamp *st, uint64_t at, uint64_t seq)
{
	uint64_t x = (m->seed ^ m->run) * 0xd6e8feb86659fd93ull + at * 0x9e3779b97f4a7c15ull + seq;

	*st = (struct stamp){ .magic = MAGIC, .seed = m->seed, .run = m->run, .sector = at, .seq = seq };
	for (unsigned int i = 0; i < WORDS - 6; i++)
		st->pattern[i] = x += 0xbf58476d1ce4e5b9ull;
	st->check = checksum(st);
}

void model_fill(const struct model *m, void *buf, uint64_t at, uint32_t n, uint64_t seq)
{
	struct stamp *st = buf;

	for (uint32_t i = 0; i < n; i++)
		fill_one(m, &st[i], at + i, seq);
}

static bool all_zero(const struct stamp *st)
{
	const uint64_t *w = (const uint64_t *)st;

	return !w[0] && !memcmp(w, w + 1, SECTOR - 8);
}

static struct sector *sector_of(const struct model *m, uint64_t at)
{
	return &m->s[at - m->first];
}

enum verdict model_judge(const struct model *m, uint64_t at, const void *buf)
{
	const struct sector *want = sector_of(m, at);
	const struct stamp *st = buf;
	bool zero = all_zero(st);

	if (want->kind == UNKNOWN || (want->kind == ZEROED && zero))
		return GOOD;
	if (zero)
		return want->seen ? STALE : LOST;
	if (st->magic != MAGIC || st->check != checksum(st))
		return CORRUPT;
	if (st->seed != m->seed || st->sector != at)
		return MISDIRECTED;
	if (st->run != m->run || st->seq < want->seq)
		return want->seen ? STALE : LOST;
	return want->kind == STAMPED && st->seq == want->seq ? GOOD : ORPHAN;
}

bool model_tell(struct model *m)
{
	return m->told++ < TELL;
}

static void describe(const struct model *m, uint64_t at, const struct stamp *st, enum verdict v)
{
	const struct sector *want = sector_of(m, at);

	fprintf(stderr, "stamp: sector %" PRIu64 ": %s: expected %s of sequence %" PRIu64 "%s, found ", at, name_of[v],
		want->kind == ZEROED ? "zeroes" : "the stamp", (uint64_t)want->seq, want->seen ? " (it was read back)" : "");
	if (all_zero(st))
		fprintf(stderr, "zeroes\n");
	else if (st->magic != MAGIC)
		fprintf(stderr, "no stamp: %016" PRIx64 " %016" PRIx64 "\n", st->magic, st->seed);
	else
		fprintf(stderr, "sector %" PRIu64 " sequence %" PRIu64 " seed %" PRIu64 " of %s run%s\n",
			st->sector, st->seq, st->seed, st->run == m->run ? "this" : "another",
			st->check == checksum(st) ? "" : ", checksum wrong");
}

/* A wrong sector is counted once: what it holds is unknown until it is written again. */
static void check_one(struct model *m, uint64_t at, const struct stamp *st)
{
	struct sector *s = sector_of(m, at);
	enum verdict v;

	if (s->kind == UNKNOWN)
		return;
	v = model_judge(m, at, st);
	m->count[v]++;
	s->seen = v == GOOD;
	if (v == GOOD) {
		m->good_bytes += SECTOR;
		return;
	}
	if (model_tell(m))
		describe(m, at, st, v);
	s->kind = UNKNOWN;
}

void model_check(struct model *m, uint64_t at, uint32_t n, const uint8_t *buf)
{
	const struct stamp *st = (const void *)buf;

	for (uint32_t i = 0; i < n; i++)
		check_one(m, at + i, &st[i]);
}

void model_set(struct model *m, uint64_t at, uint32_t n, enum kind kind, uint64_t seq)
{
	struct sector *s = sector_of(m, at);

	for (uint32_t i = 0; i < n; i++) {
		s[i].kind = kind;
		s[i].seq = seq;
		s[i].seen = 0;
	}
}

/* Reserves a range for a request; false when another request is in it. */
bool model_take(struct model *m, uint64_t at, uint32_t n)
{
	struct sector *s = sector_of(m, at);

	for (uint32_t i = 0; i < n; i++)
		if (s[i].busy)
			return false;
	for (uint32_t i = 0; i < n; i++)
		s[i].busy = 1;
	return true;
}

void model_release(struct model *m, uint64_t at, uint32_t n)
{
	struct sector *s = sector_of(m, at);

	for (uint32_t i = 0; i < n; i++)
		s[i].busy = 0;
}

/* Lines "SECTOR COUNT KIND SEQUENCE", and "end": a log that was cut is not taken for a short one. */
int model_save(const struct model *m, const char *path)
{
	FILE *f = fopen(path, "w");
	uint64_t i, j;

	if (!f)
		return -errno;
	fprintf(f, "stamp 1 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", m->seed, m->run, m->first, m->n);
	for (i = 0; i < m->n; i = j) {
		const struct sector *s = &m->s[i];

		for (j = i + 1; j < m->n && m->s[j].kind == s->kind && m->s[j].seq == s->seq; j++)
			;
		if (s->kind != UNKNOWN)
			fprintf(f, "%" PRIu64 " %" PRIu64 " %c %" PRIu64 "\n", m->first + i, j - i,
				s->kind == ZEROED ? 'z' : 's', (uint64_t)s->seq);
	}
	fprintf(f, "end\n");
	if (ferror(f)) {
		fclose(f);
		return -EIO;
	}
	return fclose(f) ? -errno : 0;
}

static int load_lines(struct model *m, FILE *f)
{
	uint64_t at, n, seq;
	char line[128], kind;

	while (fgets(line, sizeof(line), f)) {
		if (!strcmp(line, "end\n"))
			return 0;
		if (sscanf(line, "%" SCNu64 " %" SCNu64 " %c %" SCNu64, &at, &n, &kind, &seq) != 4 || at < m->first ||
		    at - m->first > m->n || n > m->n - (at - m->first))
			break;
		model_set(m, at, n, kind == 'z' ? ZEROED : STAMPED, seq);
	}
	return -EINVAL;
}

int model_load(struct model *m, const char *path)
{
	FILE *f = fopen(path, "r");
	uint64_t first, n;
	int rc = -EINVAL;

	if (!f)
		return -errno;
	if (fscanf(f, "stamp 1 %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 "\n", &m->seed, &m->run, &first, &n) == 4 &&
	    n && n <= UINT64_MAX / sizeof(*m->s))
		rc = model_init(m, first, n);
	if (!rc)
		rc = load_lines(m, f);
	fclose(f);
	return rc;
}
