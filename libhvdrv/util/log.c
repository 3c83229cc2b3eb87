// SPDX-License-Identifier: LGPL-2.1-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "util/log.h"
#include "util/str.h"

static int verbose;		/* set once at start, before any thread */

void hv_log_verbose(int on)
{
	verbose = on;
}

int64_t hv_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Whom the line is about; names are text from outside: escaped, and cut so that the text has its room. */
static int put_about(char *line, size_t size, const struct hv_about *a)
{
	char guest[80], device[80];
	int n = 0;

	if (a->guest)
		n = snprintf(line, size, "%s(%d)", hv_str_escape(a->guest, guest, sizeof(guest)), a->domid);
	else if (a->domid >= 0)
		n = snprintf(line, size, "domain %d", a->domid);
	if (a->device)
		n += snprintf(line + n, size - n, "/%s", hv_str_escape(a->device, device, sizeof(device)));
	if (a->guest || a->domid >= 0)
		n += snprintf(line + n, size - n, ": ");
	return n;
}

static void put(enum hv_level level, const struct hv_about *a, const char *text)
{
	char safe[1024], line[1280];
	int n = 0;

	if (getenv("JOURNAL_STREAM"))
		n = snprintf(line, sizeof(line), "<%d>", level);
	if (a)
		n += put_about(line + n, sizeof(line) - n, a);
	n += snprintf(line + n, sizeof(line) - n, "%s\n", hv_str_escape(text, safe, sizeof(safe)));
	if (write(2, line, n) < 0)
		return;		/* nowhere left to say it */
}

void hv_log(enum hv_level level, const struct hv_about *about, const char *fmt, ...)
{
	char text[960];
	va_list ap;

	if (level == HV_DEBUG && !verbose)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(level, about, text);
}

int hv_rate_ok(struct hv_rate *r, uint64_t *dropped)
{
	const int64_t second = 1000000000ll;
	int64_t now = hv_now_ns();

	r->used_ns -= now - r->last_ns;
	if (r->used_ns < 0)
		r->used_ns = 0;
	r->last_ns = now;
	if (r->used_ns + second > HV_RATE_BURST * second) {
		r->dropped++;
		return 0;
	}
	r->used_ns += second;
	*dropped = r->dropped;
	r->dropped = 0;
	return 1;
}

void hv_log_guest(struct hv_rate *r, enum hv_level level, const struct hv_about *about, const char *fmt, ...)
{
	uint64_t dropped;
	char text[960];
	va_list ap;

	if (!hv_rate_ok(r, &dropped))
		return;
	if (dropped)
		hv_log(level, about, "%llu lines like the next ones were left out", (unsigned long long)dropped);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(level, about, text);
}
