/* SPDX-License-Identifier: LGPL-2.1-only */
/* A list for a person (aligned columns; dashes under the header on a terminal) from a JSON array of objects. */
#ifndef HV_UTIL_TABLE_H
#define HV_UTIL_TABLE_H

#include <stdio.h>
#include <json-c/json.h>

struct hv_column {
	const char *title;
	const char *key;	/* member of each row; absent or null prints "-" */
	int right;		/* align to the right */
};

/* Strings are escaped, so that a guest cannot write control characters to the admin's terminal. */
void hv_table_print(FILE *out, const struct hv_column *cols, int ncols, struct json_object *rows);

/* The array as {"schema": 1, NAME: [...]}. Takes over rows. */
void hv_json_print(FILE *out, const char *name, struct json_object *rows);

#endif
