// SPDX-License-Identifier: GPL-2.0-only
/*
 * NAME.keys has the shape of the descriptions that it is for:
 *   numbers   where a description has a number: ( min, max ), or [ a, b, c ] when it must be one of these
 *   layout    for each structure the names of its fields
 *   opcode    names of opcodes that are no operation of the class
 *   optional  a group with the like, of what may be left out
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "schema.h"
#include "skeleton.h"
#include "util/str.h"

#define MAX_OFFSET ((int)HVDRV_PAGE - 1)	/* of a field: no structure is larger than a page */

/* What is known at one place: what must be there, and what may. Either may be NULL. */
struct known {
	const config_setting_t *must, *may;
};

static const config_setting_t *member(const config_setting_t *group, const char *name)
{
	return group && config_setting_is_group(group) ? config_setting_get_member(group, name) : NULL;
}

static struct known below(const struct known *k, const char *name)
{
	return (struct known){ member(k->must, name), member(k->may, name) };
}

/* Of a list of names; "" where something else stands. */
static const char *name_at(const config_setting_t *names, int i)
{
	const char *name = config_setting_get_string_elem(names, i);

	return name ? name : "";
}

static size_t append_names(const config_setting_t *of, char *list, size_t size, size_t len)
{
	for (int i = 0; of && i < config_setting_length(of) && len < size; i++) {
		const char *name = config_setting_is_group(of) ? config_setting_name(config_setting_get_elem(of, i)) : name_at(of, i);

		len += snprintf(list + len, size - len, "%s%s", len ? ", " : "", name);
	}
	return len;
}

static int unknown(const config_setting_t *s, const struct known *k, struct hv_err *e)
{
	char list[400] = "nothing";
	size_t len = append_names(k->must, list, sizeof(list), 0);

	append_names(k->may, list, sizeof(list), len);
	return schema_error(s, e, "is unknown to the skeleton; known here: %s", list);
}

static int missing(const config_setting_t *in, const char *name, const char *what, struct hv_err *e)
{
	return schema_error(in, e, "has no %s: the skeleton needs it, %s", name, what);
}

/* "a number from 1 to 160", "one of 2, 4, 8" */
static const char *allowed(const config_setting_t *k, char *buf, size_t size)
{
	size_t len;

	if (config_setting_is_list(k)) {
		snprintf(buf, size, "a number from %d to %d", config_setting_get_int_elem(k, 0), config_setting_get_int_elem(k, 1));
		return buf;
	}
	len = snprintf(buf, size, "one of");
	for (int i = 0; i < config_setting_length(k) && len < size; i++)
		len += snprintf(buf + len, size - len, "%s %d", i ? "," : "", config_setting_get_int_elem(k, i));
	return buf;
}

static int check_number(const config_setting_t *s, const config_setting_t *k, struct hv_err *e)
{
	char must[160];

	if (config_setting_is_list(k))
		return schema_number(s, config_setting_get_int_elem(k, 0), config_setting_get_int_elem(k, 1), e);
	for (int i = 0; config_setting_type(s) == CONFIG_TYPE_INT && i < config_setting_length(k); i++)
		if (config_setting_get_int(s) == config_setting_get_int_elem(k, i))
			return 0;
	allowed(k, must, sizeof(must));
	if (config_setting_type(s) == CONFIG_TYPE_INT)
		return schema_error(s, e, "must be %s, it is %d", must, config_setting_get_int(s));
	return schema_error(s, e, "must be %s, it is %s", must, schema_type(s));
}

static int check_numbers(const config_setting_t *group, struct known k, struct hv_err *e)
{
	char must[160];
	int rc = 0;

	for (int i = 0; !rc && i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);
		struct known m = below(&k, config_setting_name(s));
		const config_setting_t *one = m.must ? m.must : m.may;

		if (!one)
			return unknown(s, &k, e);
		if (!config_setting_is_group(one))
			rc = check_number(s, one, e);
		else if (config_setting_is_group(s))
			rc = check_numbers(s, m, e);
		else
			rc = schema_error(s, e, "must be a group { ... }, it is %s", schema_type(s));
	}
	for (int i = 0; !rc && k.must && i < config_setting_length(k.must); i++) {
		const config_setting_t *one = config_setting_get_elem(k.must, i);

		if (!config_setting_get_member(group, config_setting_name(one)))
			rc = missing(group, config_setting_name(one), config_setting_is_group(one) ? "a group { ... }" :
				     allowed(one, must, sizeof(must)), e);
	}
	return rc;
}

static bool has_name(const config_setting_t *names, const char *name)
{
	for (int i = 0; names && i < config_setting_length(names); i++)
		if (!strcmp(name_at(names, i), name))
			return true;
	return false;
}

static int check_field_key(const config_setting_t *s, struct hv_err *e)
{
	const char *name = config_setting_name(s);
	int size;

	if (!strcmp(name, "at"))
		return schema_number(s, 0, MAX_OFFSET, e);
	if (!strcmp(name, "signed"))
		return config_setting_type(s) == CONFIG_TYPE_BOOL ? 0 : schema_error(s, e, "must be true or false, it is %s", schema_type(s));
	if (strcmp(name, "size"))
		return schema_error(s, e, "is unknown; known here: at, size, signed");
	size = config_setting_get_int(s);
	if (config_setting_type(s) != CONFIG_TYPE_INT || (size != 1 && size != 2 && size != 4 && size != 8))
		return schema_error(s, e, "must be one of 1, 2, 4, 8");
	return 0;
}

static int check_field(const config_setting_t *f, struct hv_err *e)
{
	static const char shape[] = "{ at = OFFSET; size = 1, 2, 4 or 8; [signed = true;] }";
	int rc = 0, at, size;

	if (!config_setting_is_group(f))
		return schema_error(f, e, "must be %s, it is %s", shape, schema_type(f));
	for (int i = 0; !rc && i < config_setting_length(f); i++)
		rc = check_field_key(config_setting_get_elem(f, i), e);
	if (rc)
		return rc;
	if (!config_setting_lookup_int(f, "at", &at) || !config_setting_lookup_int(f, "size", &size))
		return schema_error(f, e, "must be %s: %s is missing", shape, config_setting_get_member(f, "at") ? "size" : "at");
	if (at + size > (int)HVDRV_PAGE)
		return schema_error(f, e, "ends at %d: no structure is larger than %u", at + size, HVDRV_PAGE);
	return 0;
}

static int check_structure(const config_setting_t *l, const struct known *names, struct hv_err *e)
{
	int rc = 0;

	for (int i = 0; !rc && i < config_setting_length(l); i++) {
		const config_setting_t *f = config_setting_get_elem(l, i);
		const char *name = config_setting_name(f);

		rc = has_name(names->must, name) || has_name(names->may, name) ? check_field(f, e) : unknown(f, names, e);
	}
	for (int i = 0; !rc && names->must && i < config_setting_length(names->must); i++) {
		const char *name = name_at(names->must, i);

		if (!config_setting_get_member(l, name))
			rc = missing(l, name, "a field { at = OFFSET; size = 1, 2, 4 or 8; }", e);
	}
	return rc;
}

static int check_layouts(const config_setting_t *layouts, struct known k, struct hv_err *e)
{
	int rc = 0;

	for (int i = 0; !rc && i < config_setting_length(layouts); i++) {
		const config_setting_t *l = config_setting_get_elem(layouts, i);
		struct known names = below(&k, config_setting_name(l));

		if (!names.must && !names.may)
			return unknown(l, &k, e);
		if (!config_setting_is_group(l))
			return schema_error(l, e, "must be a group of fields, it is %s", schema_type(l));
		rc = check_structure(l, &names, e);
	}
	for (int i = 0; !rc && k.must && i < config_setting_length(k.must); i++) {
		const char *name = config_setting_name(config_setting_get_elem(k.must, i));

		if (!config_setting_get_member(layouts, name))
			rc = missing(layouts, name, "a group of fields", e);
	}
	return rc;
}

static int check_opcodes(const config_setting_t *op, const config_setting_t *more, struct hv_err *e)
{
	const struct known k = { more, NULL };
	int rc = 0;

	for (int i = 0; !rc && i < config_setting_length(op); i++) {
		const config_setting_t *s = config_setting_get_elem(op, i);

		if (device_desc_operation(config_setting_name(s)))
			continue;
		rc = has_name(more, config_setting_name(s)) ? schema_number(s, 0, INT_MAX, e) : unknown(s, &k, e);
	}
	for (int i = 0; !rc && more && i < config_setting_length(more); i++) {
		const char *name = name_at(more, i);

		if (!config_setting_get_member(op, name))
			rc = missing(op, name, "a number", e);
	}
	return rc;
}

static int check_all(const struct device_desc *dev, const config_t *keys, struct hv_err *e)
{
	int rc = check_numbers(config_lookup(&dev->cfg, "numbers"),
			       (struct known){ config_lookup(keys, "numbers"), config_lookup(keys, "optional.numbers") }, e);

	if (!rc)
		rc = check_layouts(config_lookup(&dev->cfg, "layout"),
				   (struct known){ config_lookup(keys, "layout"), config_lookup(keys, "optional.layout") }, e);
	if (!rc)
		rc = check_opcodes(config_lookup(&dev->cfg, "opcode"), config_lookup(keys, "opcode"), e);
	return rc;
}

int skeleton_check(const struct device_desc *dev, const char *skeletons, struct hv_err *e)
{
	const config_setting_t *name = config_lookup(&dev->cfg, "skeleton");
	char path[PATH_MAX];
	config_t keys;
	int rc;

	if (!hv_str_is_name(dev->skeleton, 32))
		return schema_error(name, e, "\"%s\" is not a name: letters, digits, and . _ - after the first", dev->skeleton);
	snprintf(path, sizeof(path), "%s/%s.keys", skeletons, dev->skeleton);
	config_init(&keys);
	if (config_read_file(&keys, path))
		rc = check_all(dev, &keys, e);
	else if (config_error_type(&keys) == CONFIG_ERR_FILE_IO)
		rc = schema_error(name, e, "\"%s\" is not there: %s cannot be read", dev->skeleton, path);
	else
		rc = hv_err(e, EINVAL, "%s:%d: %s", path, config_error_line(&keys), config_error_text(&keys));
	config_destroy(&keys);
	return rc;
}
