// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storm: what must be refused, random stores, and a second thread that changes lists of pages and the state page while the host reads
 * them, in turn, for a while. Whatever a command says, no word that lies outside of the guest's window may come to its pages.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "hostile.h"

#define BURST 500u		/* stores between two looks at the clock */
#define BURSTS 10
#define LIES 64			/* of the second thread, one after the other */

struct liar {
	struct guest *g;
	pthread_t thread;
	pthread_mutex_t speaks;	/* held by who wants the truth for a moment: the crafted requests mean what they say */
	unsigned int seed;
	bool stop;
	unsigned long lies;
};

static uint64_t some_page(struct liar *l)
{
	const struct guest *g = l->g;

	switch (rand_r(&l->seed) % 6) {
	case 0: return 0;
	case 1: return (uint64_t)(500000 + rand_r(&l->seed) % 1000) << 12;		/* nobody's */
	case 2: return (uint64_t)g->data_ref[rand_r(&l->seed) % 8] << 12 | (rand_r(&l->seed) % 4096);
	case 3: return (uint64_t)rand_r(&l->seed) << 33 | rand_r(&l->seed);
	default: return (uint64_t)g->data_ref[rand_r(&l->seed) % 8] << 12;
	}
}

static void tell_lies(struct liar *l)
{
	uint8_t *list = l->g->ring + 2 * HVDRV_PAGE;
	size_t tail = offsetof(struct hvdrv_state, tail);

	for (int i = 0; i < LIES; i++) {
		size_t at = rand_r(&l->seed) % (HVDRV_PAGE / 4) * 4;

		*(volatile uint64_t *)(list + 8 * (rand_r(&l->seed) % 64)) = some_page(l);
		if (at != tail)
			*(volatile uint32_t *)(l->g->mem + at) = rand_r(&l->seed);
	}
	l->lies += 2 * LIES;
}

static void *lie(void *arg)
{
	struct liar *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		pthread_mutex_lock(&l->speaks);
		tell_lies(l);
		pthread_mutex_unlock(&l->speaks);
		usleep(50);
	}
	return NULL;
}

static size_t count_outside(const uint8_t *pages, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i + 8 <= n * HVDRV_PAGE; i += 8)
		found += !memcmp(pages + i, OUTSIDE, 8);
	return found;
}

void storm(struct guest *g, const struct speech *sp, unsigned int seconds)
{
	struct liar l = { .g = g, .seed = g->seed + 1 };
	unsigned long stores = 0, rounds = 0;
	time_t end = time(NULL) + seconds;
	size_t outside = 0;
	int good = 0;

	pthread_mutex_init(&l.speaks, NULL);
	if (pthread_create(&l.thread, NULL, lie, &l)) {
		fprintf(stderr, "hostile: no second thread\n");
		exit(1);
	}
	do {
		pthread_mutex_lock(&l.speaks);
		good += sp->crafted(g);
		pthread_mutex_unlock(&l.speaks);
		for (int i = 0; i < BURSTS; i++, stores += BURST)
			sp->scribble(g, stores, stores + BURST);
		if (!sp->settle(g)) {
			printf("storm: a command has no answer\n");
			break;
		}
		outside += count_outside(g->data, 8) + count_outside(g->pool, POOL_PAGES);
		rounds++;
	} while (time(NULL) < end && back_state(g) == 4);
	__atomic_store_n(&l.stop, true, __ATOMIC_RELAXED);
	pthread_join(l.thread, NULL);
	printf("storm: %lu rounds, %lu stores, %lu lies, %u answered, %d of those that must fail did not, %zu words from outside, "
	       "state %d\n", rounds, stores, l.lies, g->answered, good, outside, back_state(g));
	fflush(stdout);
}
