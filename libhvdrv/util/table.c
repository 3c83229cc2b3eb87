// SPDX-License-Identifier: LGPL-2.1-only
#include <string.h>
#include <unistd.h>
#include "util/str.h"
#include "util/table.h"

#define CELL 160

static void cell(struct json_object *row, const char *key, char out[CELL])
{
	struct json_object *v = NULL;
	const char *s = "-";

	if (json_object_object_get_ex(row, key, &v) && v)
		s = json_object_get_string(v);
	if (!*s)
		s = "-";
	hv_str_escape(s, out, CELL);
}

static void put(FILE *out, const struct hv_column *c, int width, int last, const char *text)
{
	if (c->right)
		fprintf(out, "%*s", width, text);
	else
		fprintf(out, "%-*s", last ? 0 : width, text);
	fputs(last ? "\n" : "  ", out);
}

static void dashes(FILE *out, int width, int last)
{
	while (width--)
		fputc('-', out);
	fputs(last ? "\n" : "  ", out);
}

void hv_table_print(FILE *out, const struct hv_column *cols, int ncols, struct json_object *rows)
{
	size_t n = json_object_array_length(rows);
	int width[16];
	char text[CELL];

	for (int c = 0; c < ncols; c++) {
		width[c] = strlen(cols[c].title);
		for (size_t r = 0; r < n; r++) {
			cell(json_object_array_get_idx(rows, r), cols[c].key, text);
			if ((int)strlen(text) > width[c])
				width[c] = strlen(text);
		}
	}
	for (int c = 0; c < ncols; c++)
		put(out, &cols[c], width[c], c == ncols - 1, cols[c].title);
	for (int c = 0; c < ncols && isatty(fileno(out)); c++)
		dashes(out, width[c], c == ncols - 1);
	for (size_t r = 0; r < n; r++) {
		for (int c = 0; c < ncols; c++) {
			cell(json_object_array_get_idx(rows, r), cols[c].key, text);
			put(out, &cols[c], width[c], c == ncols - 1, text);
		}
	}
}

void hv_json_print(FILE *out, const char *name, struct json_object *rows)
{
	struct json_object *top = json_object_new_object();

	json_object_object_add(top, "schema", json_object_new_int(1));
	json_object_object_add(top, name, rows);
	fputs(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE), out);
	fputc('\n', out);
	json_object_put(top);
}
