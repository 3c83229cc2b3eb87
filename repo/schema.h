/* SPDX-License-Identifier: GPL-2.0-only */
/* What may stand in a description, as tables: each mistake is told with its place and with what is allowed. */
#ifndef REPO_SCHEMA_H
#define REPO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <libconfig.h>
#include "util/err.h"

enum schema_kind {
	SCHEMA_GROUP,		/* its members stand in the table, too */
	SCHEMA_OPEN,		/* a group: members that are not in the table are looked at elsewhere */
	SCHEMA_NUMBER,		/* min to max */
	SCHEMA_NAME,		/* a text of min to max characters that can be seen, no blanks */
	SCHEMA_LINE,		/* any text of min to max characters */
	SCHEMA_WORD,		/* a text that is one of the words */
	SCHEMA_BOOL,
	SCHEMA_OCTETS,		/* an array of min to max numbers, 0 to 255 */
	SCHEMA_NAMES,		/* an array of min to max texts without blanks */
	SCHEMA_WORDS,		/* a list of min to max texts that are among the words */
};

struct schema_key {
	const char *path;	/* from the top: "queue.fixed_pages" */
	enum schema_kind kind;
	int min, max;
	const char *words;	/* with blanks between them */
	bool optional;
	void *to;		/* gets the value: int, const char * (the configuration's own) or bool. NULL: it is only checked */
};

/*
 * Every setting of cfg, read from FILE, against the n keys; and that all of them are there. 0, or -EINVAL: the first that is
 * unknown, of another type, out of its range, or missing.
 */
int schema_check(const config_t *cfg, const char *file, const struct schema_key *keys, size_t n, struct hv_err *e);

/* -EINVAL with "FILE:LINE: PATH what"; of what a setting of a file is. */
int schema_error(const config_setting_t *s, struct hv_err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Is it a number of min to max? 0 or -EINVAL. */
int schema_number(const config_setting_t *s, int min, int max, struct hv_err *e);

/* A text, number, group...: what type a setting has, for messages. */
const char *schema_type(const config_setting_t *s);

#endif
