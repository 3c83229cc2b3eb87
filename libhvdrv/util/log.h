/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One line per event, to stderr: "web1(5)/data: text". When stderr is the journal, the priority goes before it
 * (sd-daemon(3)). Everything that a guest wrote is escaped; what a guest can cause at will is rate-limited.
 */
#ifndef HV_UTIL_LOG_H
#define HV_UTIL_LOG_H

#include <stdint.h>

enum hv_level { HV_ERROR = 3, HV_WARN = 4, HV_INFO = 6, HV_DEBUG = 7 };	/* as syslog's */

/* Whom a line is about; any part may be absent (domid -1, NULL). */
struct hv_about {
	int domid;
	const char *guest;
	const char *device;
};

void hv_log(enum hv_level level, const struct hv_about *about, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void hv_log_verbose(int on);		/* also HV_DEBUG */

/* At most `burst` lines at once, one more per second. Zeroed memory is a full bucket. */
struct hv_rate {
	int64_t used_ns, last_ns;
	uint64_t dropped;
};
#define HV_RATE_BURST 10

/* May a line be logged now? *dropped: how many were not since the last one. */
int hv_rate_ok(struct hv_rate *r, uint64_t *dropped);

/* As hv_log, for what a guest causes. */
void hv_log_guest(struct hv_rate *r, enum hv_level level, const struct hv_about *about, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

int64_t hv_now_ns(void);		/* CLOCK_MONOTONIC */

#endif
