/* SPDX-License-Identifier: LGPL-2.1-only */
/* Members of JSON objects. */
#ifndef HV_UTIL_JSON_H
#define HV_UTIL_JSON_H

#include <json-c/json.h>

/* text may be NULL: null. */
static inline void hv_json_add(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

static inline void hv_json_add_u64(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

/* "" if it has none that is a string. Of o, as long as that lives. */
static inline const char *hv_json_text(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* -1 if it has none that is a number. */
static inline int64_t hv_json_int(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
}

#endif
