// SPDX-License-Identifier: GPL-2.0-only
/*
 * switches DOM DOMID NAME PAIRS PAUSE_MS [DEADLINE_NS]: replaces a device's driver by paravirtual and back by virtual, so many times, through libhvdrv,
 * as `hvdrv retarget` does, without a process for each; PAUSE_MS between two. A line for each switch: freeze and stall in ns, carried
 * in all, ready, begun, done, and of the kinds read, write, flush, discard, write-zeroes. A guest or worker that the bench kept from its CPU for
 * longer than the product waits is switched back, rightly: that is said, and tried again, four times. Status 1: a switch failed.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <hvdrv/hvdrv.h>
#include <xenstore.h>

#define TIMEOUT 90	/* s */
#define TRIES 4

struct ctx {
	struct hvdrv *h;
	struct xs_handle *xs;
	const char *dom, *name;
	char record[160];	/* .../retarget/carried- */
	uint64_t deadline;
	long pause_ms;
};

static void pause_for(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static bool late(const char *why)
{
	return strstr(why, "did not take over its requests") || strstr(why, "stayed in the driver for") || strstr(why, "did not hold it within");
}

static bool is(struct xs_handle *xs, const char *dir, const char *key, const char *value)
{
	char path[192], *s;
	bool same;

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	s = xs_read(xs, XBT_NULL, path, NULL);
	same = s && !strcmp(s, value);
	free(s);
	return same;
}

/* The device's folder is /local/domain/0/hvdrv/UUID/ID: hvdrv-xenstore(7). */
static int find_record(struct ctx *c, const char *domid)
{
	static const char top[] = "/local/domain/0/hvdrv";
	unsigned int n = 0, m = 0;
	char **uuids = xs_directory(c->xs, XBT_NULL, top, &n);

	for (unsigned int i = 0; i < n; i++) {
		char dir[128], **ids;

		snprintf(dir, sizeof(dir), "%s/%s", top, uuids[i]);
		ids = xs_directory(c->xs, XBT_NULL, dir, &m);
		for (unsigned int k = 0; ids && k < m; k++) {
			snprintf(dir, sizeof(dir), "%s/%s/%s", top, uuids[i], ids[k]);
			if (is(c->xs, dir, "domid", domid) && is(c->xs, dir, "name", c->name))
				snprintf(c->record, sizeof(c->record), "%s/retarget/carried-", dir);
		}
		free(ids);
	}
	free(uuids);
	return *c->record ? 0 : -1;
}

static void print_kinds(const struct ctx *c)
{
	static const char *const kinds[] = { "read", "write", "flush", "discard", "write-zeroes" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		char path[200], *s;

		snprintf(path, sizeof(path), "%s%s", c->record, kinds[i]);
		s = xs_read(c->xs, XBT_NULL, path, NULL);
		printf(" %s", s ? s : "0");
		free(s);
	}
	putchar('\n');
}

static int one(const struct ctx *c, const char *mode)
{
	struct hvdrv_switch sw;
	int rc;

	for (int i = 0; (rc = hvdrv_retarget(c->h, c->dom, c->name, mode, c->deadline, TIMEOUT, &sw)) && i < TRIES; i++) {
		if (!late(hvdrv_error(c->h)))
			break;
		fprintf(stderr, "     to %s, again: %s\n", mode, hvdrv_error(c->h));
		pause_for(2000);
	}
	if (rc || !sw.seq) {
		fprintf(stderr, "switch to %s: %s\n", mode, rc ? hvdrv_error(c->h) : "it is in that mode already");
		return -1;
	}
	printf("%llu %llu %llu %llu %llu %llu", (unsigned long long)sw.freeze_ns, (unsigned long long)sw.stall_ns,
	       (unsigned long long)(sw.ready + sw.begun + sw.done), (unsigned long long)sw.ready, (unsigned long long)sw.begun,
	       (unsigned long long)sw.done);
	print_kinds(c);
	pause_for(c->pause_ms);
	return 0;
}

int main(int argc, char **argv)
{
	struct ctx c = { 0 };
	int rc = 0;

	if (argc < 6) {
		fprintf(stderr, "usage: switches DOM DOMID NAME PAIRS PAUSE_MS [DEADLINE_NS]\n");
		return 2;
	}
	c.dom = argv[1];
	c.name = argv[3];
	c.pause_ms = atol(argv[5]);
	c.deadline = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
	c.xs = xs_open(0);
	if (!c.xs || hvdrv_open(&c.h) || find_record(&c, argv[2])) {
		fprintf(stderr, "switches: %s/%s cannot be found\n", c.dom, c.name);
		return 1;
	}
	for (long i = 0; i < atol(argv[4]) && !rc; i++)
		rc = one(&c, "paravirtual") || one(&c, "virtual");
	hvdrv_close(c.h);
	xs_close(c.xs);
	return rc ? 1 : 0;
}
