// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv events: each as it comes, a line for people or a line of JSON. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "util/exit.h"
#include "util/str.h"

static const char *safe(struct json_object *e, const char *key, char *buf, size_t size)
{
	const char *v = row_text(e, key);

	return hv_str_escape(v ? v : "?", buf, size);
}

static void print_reason(struct json_object *e)
{
	const char *why = row_text(e, "reason");
	char text[1300];

	if (why && *why)
		printf(": %s", hv_str_escape(why, text, sizeof(text)));
}

static void print_switch(struct json_object *e)
{
	char from[40], to[40], who[80];

	printf("switch %llu from %s to %s for %s", (unsigned long long)row_number(e, "switch"), safe(e, "from", from, sizeof(from)),
	       safe(e, "to", to, sizeof(to)), safe(e, "who", who, sizeof(who)));
	if (!row_text(e, "result")) {
		printf(" begins");
		return;
	}
	printf(" %s", row_text(e, "result"));
	print_reason(e);
	printf("; freeze %.3f ms, stall %.3f ms, carried %llu ready, %llu begun, %llu done", row_number(e, "freeze_ns") / 1e6,
	       row_number(e, "stall_ns") / 1e6, (unsigned long long)row_number(e, "carried_ready"),
	       (unsigned long long)row_number(e, "carried_begun"), (unsigned long long)row_number(e, "carried_done"));
}

static void print_one(struct json_object *e, const char *what)
{
	char time[40], dom[200], dev[80], state[40];

	printf("%s %s(%llu)", safe(e, "time", time, sizeof(time)), safe(e, "domain", dom, sizeof(dom)),
	       (unsigned long long)row_number(e, "domid"));
	if (row_text(e, "device"))
		printf("/%s", safe(e, "device", dev, sizeof(dev)));
	printf(": ");
	if (row_text(e, "state")) {
		printf("%s", safe(e, "state", state, sizeof(state)));
		print_reason(e);
	} else if (!strncmp(what, "switch-", 7)) {
		print_switch(e);
	} else {
		/* worker-started, worker-ended, and what a later hvdrvd may tell */
		printf("%s", hv_str_escape(what, state, sizeof(state)));
		if (row_number(e, "pid"))
			printf(", process %llu", (unsigned long long)row_number(e, "pid"));
		print_reason(e);
	}
	putchar('\n');
}

static int on_event(void *arg, const char *json)
{
	struct opts *o = arg;
	struct json_object *e = o->json ? NULL : json_tokener_parse(json);
	const char *what = e ? row_text(e, "event") : NULL;

	if (o->json)
		puts(json);
	else if (what && !strcmp(what, "lost"))
		printf("%llu events were lost: they were read too slowly\n", (unsigned long long)row_number(e, "count"));
	else if (what && strcmp(what, "listening"))
		print_one(e, what);
	json_object_put(e);
	return fflush(stdout) ? -EIO : 0;
}

int cmd_events(struct opts *o)
{
	int rc = hvdrv_events(o->h, o->argc ? o->argv[0] : NULL, on_event, o);

	if (rc == -EINTR)
		return HV_EXIT_OK;
	if (rc == -EIO && ferror(stdout)) {
		fprintf(stderr, "hvdrv: events cannot be written to standard output\n");
		return HV_EXIT_FAILED;
	}
	return cli_fail(o, rc, NULL, NULL);
}
