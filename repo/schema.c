// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "schema.h"
#include "util/str.h"

#define PATH_SIZE 256

/* "queue.fixed_pages"; what is too long is cut at its begin. */
static const char *path_of(const config_setting_t *s, char *buf)
{
	char *at = buf + PATH_SIZE - 1;

	*at = 0;
	for (; s && config_setting_name(s); s = config_setting_parent(s)) {
		const char *name = config_setting_name(s);
		size_t len = strlen(name), dot = *at != 0;

		if (len + dot > (size_t)(at - buf))
			break;
		if (dot)
			*--at = '.';
		at -= len;
		memcpy(at, name, len);
	}
	return at;
}

int schema_error(const config_setting_t *s, struct hv_err *e, const char *fmt, ...)
{
	char path[PATH_SIZE], what[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return hv_err(e, EINVAL, "%s:%u: %s %s", config_setting_source_file(s), config_setting_source_line(s), path_of(s, path),
		      what);
}

const char *schema_type(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP: return "a group";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64: return "a number";
	case CONFIG_TYPE_FLOAT: return "a number with a fraction";
	case CONFIG_TYPE_STRING: return "a text";
	case CONFIG_TYPE_BOOL: return "true or false";
	case CONFIG_TYPE_ARRAY: return "an array";
	default: return "a list";
	}
}

static bool is_number(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_INT || config_setting_type(s) == CONFIG_TYPE_INT64;
}

static bool in_range(const config_setting_t *s, int min, int max)
{
	return is_number(s) && config_setting_get_int64(s) >= min && config_setting_get_int64(s) <= max;
}

/* What the key may be, for a person. */
static const char *allowed(const struct schema_key *k, char *buf, size_t size)
{
	switch (k->kind) {
	case SCHEMA_GROUP:
	case SCHEMA_OPEN: return "a group { ... }";
	case SCHEMA_BOOL: return "true or false";
	case SCHEMA_NUMBER: snprintf(buf, size, "a number from %d to %d", k->min, k->max); break;
	case SCHEMA_NAME: snprintf(buf, size, "a text of %d to %d characters without blanks", k->min, k->max); break;
	case SCHEMA_LINE: snprintf(buf, size, "a text of %d to %d characters", k->min, k->max); break;
	case SCHEMA_WORD: snprintf(buf, size, "one of the texts: %s", k->words); break;
	case SCHEMA_OCTETS: snprintf(buf, size, "an array of %d to %d numbers from 0 to 255", k->min, k->max); break;
	case SCHEMA_NAMES: snprintf(buf, size, "an array of %d to %d texts without blanks", k->min, k->max); break;
	case SCHEMA_WORDS:
		if (!k->max)
			return "an empty list ( )";
		snprintf(buf, size, "a list of %d to %d of the texts: %s", k->min, k->max, k->words);
		break;
	}
	return buf;
}

/* "it is 5", "it is a list": what stands there instead. */
static int wrong(const config_setting_t *s, const char *must, struct hv_err *e)
{
	char text[60];

	if (is_number(s))
		return schema_error(s, e, "must be %s, it is %lld", must, config_setting_get_int64(s));
	if (config_setting_type(s) == CONFIG_TYPE_STRING)
		return schema_error(s, e, "must be %s, it is \"%s\"", must,
				    hv_str_escape(config_setting_get_string(s), text, sizeof(text)));
	return schema_error(s, e, "must be %s, it is %s", must, schema_type(s));
}

int schema_number(const config_setting_t *s, int min, int max, struct hv_err *e)
{
	char must[64];

	if (in_range(s, min, max))
		return 0;
	snprintf(must, sizeof(must), "a number from %d to %d", min, max);
	return wrong(s, must, e);
}

static bool among(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *w = words; *w; w += strspn(w, " ")) {
		size_t n = strcspn(w, " ");

		if (n == len && !memcmp(w, word, len))
			return true;
		w += n;
	}
	return false;
}

static bool no_blanks(const char *text)
{
	while (isgraph((unsigned char)*text))
		text++;
	return !*text;
}

static bool text_ok(const struct schema_key *k, const char *text)
{
	int len = strlen(text);

	if (k->kind == SCHEMA_WORD)
		return among(k->words, text);
	return len >= k->min && len <= k->max && (k->kind == SCHEMA_LINE || no_blanks(text));
}

static bool element_ok(const config_setting_t *v, const struct schema_key *k)
{
	const char *text = config_setting_get_string(v);	/* NULL when it is none */

	if (k->kind == SCHEMA_OCTETS)
		return in_range(v, 0, 255);
	return text && (k->kind == SCHEMA_WORDS ? among(k->words, text) : *text && no_blanks(text));
}

static bool elements_ok(const config_setting_t *s, const struct schema_key *k)
{
	int n = config_setting_length(s);

	if (n < k->min || n > k->max)
		return false;
	for (int i = 0; i < n; i++)
		if (!element_ok(config_setting_get_elem(s, i), k))
			return false;
	return true;
}

static bool value_ok(const config_setting_t *s, const struct schema_key *k)
{
	int type = config_setting_type(s);

	switch (k->kind) {
	case SCHEMA_GROUP:
	case SCHEMA_OPEN: return type == CONFIG_TYPE_GROUP;
	case SCHEMA_BOOL: return type == CONFIG_TYPE_BOOL;
	case SCHEMA_NUMBER: return in_range(s, k->min, k->max);
	case SCHEMA_OCTETS:
	case SCHEMA_NAMES: return type == CONFIG_TYPE_ARRAY && elements_ok(s, k);
	case SCHEMA_WORDS: return (type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST) && elements_ok(s, k);
	default: return type == CONFIG_TYPE_STRING && text_ok(k, config_setting_get_string(s));
	}
}

static void take(const config_setting_t *s, const struct schema_key *k)
{
	if (!k->to)
		return;
	if (k->kind == SCHEMA_BOOL)
		*(bool *)k->to = config_setting_get_bool(s);
	else if (k->kind == SCHEMA_NUMBER)
		*(int *)k->to = config_setting_get_int(s);
	else
		*(const char **)k->to = config_setting_get_string(s);
}

struct checker {
	const struct schema_key *keys;
	size_t n;
	struct hv_err *e;
};

/* Is `path` a member of the group `in` ("": the top)? Its own name then. */
static const char *member_of(const char *path, const char *in)
{
	size_t len = strlen(in);
	const char *name = path;

	if (len && (strncmp(path, in, len) || path[len] != '.'))
		return NULL;
	if (len)
		name += len + 1;
	return strchr(name, '.') ? NULL : name;
}

static int unknown(const struct checker *c, const config_setting_t *s, const char *in)
{
	char list[400] = "";
	size_t len = 0;

	for (size_t i = 0; i < c->n; i++) {
		const char *name = member_of(c->keys[i].path, in);

		if (name && len < sizeof(list))
			len += snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", name);
	}
	return schema_error(s, c->e, "is unknown; known here: %s", list);
}

static const struct schema_key *find(const struct checker *c, const char *path)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->keys[i].path, path))
			return &c->keys[i];
	return NULL;
}

static int check_group(const struct checker *c, const config_setting_t *group, bool open)
{
	char in[PATH_SIZE], buf[PATH_SIZE], must[200];
	const char *at = path_of(group, in);
	int rc = 0;

	for (int i = 0; !rc && i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);
		const struct schema_key *k = find(c, path_of(s, buf));

		if (!k && open)
			continue;
		if (!k)
			return unknown(c, s, at);
		if (!value_ok(s, k))
			return wrong(s, allowed(k, must, sizeof(must)), c->e);
		take(s, k);
		if (config_setting_is_group(s))
			rc = check_group(c, s, k->kind == SCHEMA_OPEN);
	}
	return rc;
}

/* The place of what is not there: the group that it should be in, else the file's first line. */
static int missing(const config_t *cfg, const char *file, const struct schema_key *k, struct hv_err *e)
{
	const char *dot = strrchr(k->path, '.');
	char must[200], in[PATH_SIZE];
	const config_setting_t *s;

	snprintf(in, sizeof(in), "%.*s", dot ? (int)(dot - k->path) : 0, k->path);
	s = dot ? config_lookup(cfg, in) : NULL;
	return hv_err(e, EINVAL, "%s:%u: %s is missing: it must be %s", s ? config_setting_source_file(s) : file,
		      s ? config_setting_source_line(s) : 1, k->path, allowed(k, must, sizeof(must)));
}

int schema_check(const config_t *cfg, const char *file, const struct schema_key *keys, size_t n, struct hv_err *e)
{
	const struct checker c = { keys, n, e };
	int rc = check_group(&c, config_root_setting(cfg), false);

	for (size_t i = 0; !rc && i < n; i++)
		if (!keys[i].optional && !config_lookup(cfg, keys[i].path))
			rc = missing(cfg, file, &keys[i], e);
	return rc;
}
