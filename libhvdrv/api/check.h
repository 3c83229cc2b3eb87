/* SPDX-License-Identifier: LGPL-2.1-only */
/* What hvdrv_check() looks for: findings. */
#ifndef HV_API_CHECK_H
#define HV_API_CHECK_H

#include "api/ask.h"

struct hv_check {
	struct hvdrv *h;
	struct json_object *findings;
	bool daemon;			/* hvdrvd answers */
};

/* One finding: about the device of row (NULL: the host); code for programs, why it matters, what to do; fmt says what it is. */
void hv_check_found(struct hv_check *c, struct json_object *row, const char *code, const char *why, const char *todo,
		    const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* State of a process as in proc(5), or 0: it is not there. */
char hv_check_process(uint64_t pid);
bool hv_check_replaced(uint64_t pid);		/* its program has been replaced since it was started */

uint64_t hv_check_number(struct json_object *row, const char *key);	/* 0: absent */
const char *hv_check_text(struct json_object *row, const char *key);	/* "": absent */

/* check-device.c: keys, states, driver. */
void hv_check_device(struct hv_check *c, struct json_object *row);

#endif
