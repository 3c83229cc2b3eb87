/* SPDX-License-Identifier: LGPL-2.1-only */
/* hvdrvd's control socket, and rows of devices, for the public functions. */
#ifndef HV_API_ASK_H
#define HV_API_ASK_H

#include <stdbool.h>
#include <json-c/json.h>
#include "api/priv.h"

#define HV_API_LIMIT 30			/* seconds that hvdrvd is waited for */

/* Connects. A descriptor; -ECONNREFUSED, -EPERM with the text. */
int hv_api_connect(struct hvdrv *h);

/* Takes over question. *answer is to be put. 0 or -errno with the text; -ETIMEDOUT: no answer within limit seconds. */
int hv_api_ask(struct hvdrv *h, struct json_object *question, unsigned int limit, struct json_object **answer);

/* {"cmd": CMD} */
struct json_object *hv_api_question(const char *cmd);

int hv_api_rows(struct hvdrv *h, const char *domain, struct json_object **rows);	/* as hvdrv_list() */

/* What hvdrvd says of these devices is added to them. inspect: also what `check` looks at. */
int hv_api_details(struct hvdrv *h, struct json_object *rows, bool inspect);

/* Takes over rows. */
int hv_api_text(struct hvdrv *h, struct json_object *rows, char **json);

#endif
