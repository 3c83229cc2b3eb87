/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hvdrv(1)'s own parts. Everything it does is in libhvdrv; these read arguments and print.
 *   hvdrv.c     options, the table of commands, those that change something
 *   show.c      list, show
 *   events.c    events
 *   top.c       top
 *   metrics.c   metrics, for Prometheus
 *   check.c     check
 *   row.c       members of a device's JSON
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <hvdrv/hvdrv.h>
#include <json-c/json.h>

struct opts {
	struct hvdrv *h;
	bool json, force, persist, bytes, batch, dry, revoked, refresh;
	unsigned int timeout;
	uint64_t deadline_ns;		/* 0: the library's */
	const char *path;		/* NULL: as it is */
	unsigned int iterations;	/* of top; 0: no end */
	unsigned int delay_ms;
	int argc;
	char **argv;
};

/* Prints why the last call of the library failed (dom, name: of what, or NULL). The exit status. */
int cli_fail(struct opts *o, int rc, const char *dom, const char *name);

int cmd_list(struct opts *o);
int cmd_show(struct opts *o);
int cmd_events(struct opts *o);
int cmd_top(struct opts *o);
int cmd_metrics(struct opts *o);
int cmd_check(struct opts *o);

/* row.c: members of an object; absent: 0, NULL, NULL. */
uint64_t row_number(struct json_object *row, const char *key);
const char *row_text(struct json_object *row, const char *key);
struct json_object *row_object(struct json_object *row, const char *key);
uint64_t row_requests(struct json_object *counts);		/* of all operations */
double row_calls_per_request(struct json_object *counts);
void human_size(uint64_t v, char *out, size_t size);

/* Devices of a guest (NULL: all) and one device's name (NULL: all), as hvdrv_show(). 0 or the exit status, having told why. */
int row_devices(struct opts *o, const char *dom, const char *name, struct json_object **rows);

#endif
