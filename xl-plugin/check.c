// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv check: a line per finding. */
#include <stdio.h>
#include <stdlib.h>
#include "cli.h"
#include "util/exit.h"
#include "util/str.h"
#include "util/table.h"

static void print_one(struct json_object *f)
{
	char guest[200], device[80], what[1300], why[1300];
	const char *dom = row_text(f, "domain"), *dev = row_text(f, "device");

	if (dom)
		printf("%s(%llu)%s%s: ", hv_str_escape(dom, guest, sizeof(guest)), (unsigned long long)row_number(f, "domid"), dev ? "/" : "",
		       dev ? hv_str_escape(dev, device, sizeof(device)) : "");
	/* what and why may hold what a guest has written */
	printf("%s: %s; %s\n", hv_str_escape(row_text(f, "what"), what, sizeof(what)), hv_str_escape(row_text(f, "why"), why, sizeof(why)),
	       row_text(f, "do"));
}

int cmd_check(struct opts *o)
{
	struct json_object *found;
	char *json;
	size_t n;
	int rc = hvdrv_check(o->h, o->argc ? o->argv[0] : NULL, &json);

	if (rc)
		return cli_fail(o, rc, NULL, NULL);
	found = json_tokener_parse(json);
	free(json);
	n = json_object_array_length(found);
	if (o->json) {
		hv_json_print(stdout, "findings", found);
	} else {
		for (size_t i = 0; i < n; i++)
			print_one(json_object_array_get_idx(found, i));
		json_object_put(found);
	}
	return n ? HV_EXIT_FAILED : HV_EXIT_OK;
}
