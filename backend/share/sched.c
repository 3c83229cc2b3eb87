// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include "share/sched.h"

void sched_init(struct sched *s, uint32_t depth)
{
	memset(s, 0, sizeof(*s));
	s->depth = depth;
	s->after = TURNS_DEVICES - 1;
}

int sched_add(struct sched *s, uint32_t weight)
{
	for (uint32_t f = 0; f < TURNS_DEVICES; f++) {
		if (s->flow[f].used)
			continue;
		s->flow[f] = (struct sched_flow){ .used = true, .weight = weight, .start = s->now, .next = s->now };
		return f;
	}
	return -1;
}

void sched_held(struct sched *s, uint32_t f, uint32_t n)
{
	s->flow[f].turns += n;
	s->busy += n;
}

/* Nobody is served and nobody waits: what is owed is forgotten, as is the order in which it came. */
static void rest(struct sched *s)
{
	for (uint32_t f = 0; f < TURNS_DEVICES; f++)
		if (s->flow[f].used && s->flow[f].waiting)
			return;
	for (uint32_t f = 0; f < TURNS_DEVICES; f++)
		s->flow[f].next = s->now;
}

void sched_remove(struct sched *s, uint32_t f)
{
	if (!s->flow[f].late)
		s->busy -= s->flow[f].turns;
	s->flow[f] = (struct sched_flow){ 0 };
	if (!s->busy)
		rest(s);
}

/* Tags wrap with the virtual time; none is further ahead of it than one cost, so what is further is behind. */
static uint64_t later(uint64_t now, uint64_t tag)
{
	return tag - now <= SCHED_COST ? tag : now;
}

/* What is ahead of the virtual time is scaled: a flow that is raised need not wait as long as before. */
static uint64_t scaled(uint64_t now, uint64_t tag, uint32_t from, uint32_t to)
{
	return now + (later(now, tag) - now) * from / to;
}

void sched_weight(struct sched *s, uint32_t f, uint32_t weight)
{
	struct sched_flow *w = &s->flow[f];

	w->next = scaled(s->now, w->next, w->weight, weight);
	if (w->waiting)
		w->start = scaled(s->now, w->start, w->weight, weight);
	w->weight = weight;
}

void sched_wait(struct sched *s, uint32_t f, uint32_t n)
{
	struct sched_flow *w = &s->flow[f];

	if (n && !w->waiting)
		w->start = later(s->now, w->next);
	w->waiting += n;
}

void sched_back(struct sched *s, uint32_t f, uint32_t n)
{
	struct sched_flow *w = &s->flow[f];

	w->turns -= n;
	if (!w->late) {
		s->busy -= n;
	} else if (n) {
		s->busy += w->turns;	/* it moves: what it still has counts again, and the time that it missed is gone */
		w->start = later(s->now, w->start);
		w->late = false;
	}
	if (!s->busy)
		rest(s);
}

void sched_late(struct sched *s, uint32_t f)
{
	struct sched_flow *w = &s->flow[f];

	if (!w->late)
		s->busy -= w->turns;
	w->late = true;
}

static bool waits(const struct sched_flow *w)
{
	return w->used && w->waiting && !w->late;
}

/* The one with the lowest tag; of equals the first behind the one that was served last. */
static int lowest(const struct sched *s)
{
	int best = -1;

	for (uint32_t i = 1; i <= TURNS_DEVICES; i++) {
		uint32_t f = (s->after + i) % TURNS_DEVICES;

		if (waits(&s->flow[f]) && (best < 0 || (int64_t)(s->flow[f].start - s->flow[best].start) < 0))
			best = f;
	}
	return best;
}

int sched_next(struct sched *s)
{
	int f = s->busy < s->depth ? lowest(s) : -1;
	struct sched_flow *w = &s->flow[f < 0 ? 0 : f];

	if (f < 0)
		return -1;
	if ((int64_t)(w->start - s->now) > 0)
		s->now = w->start;
	w->next = w->start + SCHED_COST / w->weight;
	w->start = w->next;
	w->waiting--;
	w->turns++;
	s->busy++;
	s->after = f;
	return f;
}
