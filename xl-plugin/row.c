// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include "cli.h"

uint64_t row_number(struct json_object *row, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(row, key, &v) ? json_object_get_uint64(v) : 0;
}

const char *row_text(struct json_object *row, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(row, key, &v) && v ? json_object_get_string(v) : NULL;
}

struct json_object *row_object(struct json_object *row, const char *key)
{
	struct json_object *v;

	return row && json_object_object_get_ex(row, key, &v) ? v : NULL;
}

uint64_t row_requests(struct json_object *counts)
{
	return row_number(counts, "read_requests") + row_number(counts, "write_requests") + row_number(counts, "flush_requests") +
	       row_number(counts, "discard_requests") + row_number(counts, "write_zeroes_requests");
}

double row_calls_per_request(struct json_object *counts)
{
	double calls = row_number(counts, "copy_hypercalls") + row_number(counts, "events_sent");
	uint64_t n = row_requests(counts);

	return n ? calls / n : 0;
}

void human_size(uint64_t v, char *out, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double d = v;
	int u = 0;

	while (d >= 1024 && u < 4) {
		d /= 1024;
		u++;
	}
	snprintf(out, size, d >= 100 || d == (uint64_t)d ? "%.0f %s" : "%.1f %s", d, units[u]);
}

int row_devices(struct opts *o, const char *dom, const char *name, struct json_object **rows)
{
	char *json;
	int rc = hvdrv_show(o->h, dom, name, &json);

	if (rc)
		return cli_fail(o, rc, NULL, NULL);
	*rows = json_tokener_parse(json);
	free(json);
	return 0;
}
