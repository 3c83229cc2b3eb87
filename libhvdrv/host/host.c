// SPDX-License-Identifier: LGPL-2.1-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "host/host.h"
#include "util/str.h"

#define PATH 512
#define FORMAT(path, fmt) \
	do { \
		va_list ap_; \
		va_start(ap_, fmt); \
		vsnprintf(path, sizeof(path), fmt, ap_); \
		va_end(ap_); \
	} while (0)

char *hv_readf(struct hv_host *h, hv_txn t, const char *fmt, ...)
{
	char path[PATH];

	FORMAT(path, fmt);
	return h->ops->read(h, t, path);
}

int hv_writef(struct hv_host *h, hv_txn t, const char *value, const char *fmt, ...)
{
	char path[PATH];

	FORMAT(path, fmt);
	return h->ops->write(h, t, path, value);
}

int hv_rmf(struct hv_host *h, hv_txn t, const char *fmt, ...)
{
	char path[PATH];

	FORMAT(path, fmt);
	return h->ops->rm(h, t, path);
}

char **hv_listf(struct hv_host *h, unsigned int *n, const char *fmt, ...)
{
	char path[PATH];

	FORMAT(path, fmt);
	*n = 0;
	return h->ops->list(h, 0, path, n);
}

uint64_t hv_read_u64(struct hv_host *h, uint64_t def, uint64_t max, const char *fmt, ...)
{
	char path[PATH], *text;
	uint64_t v;

	FORMAT(path, fmt);
	text = h->ops->read(h, 0, path);
	if (!text || hv_str_u64(text, max, &v))
		v = def;
	free(text);
	return v;
}

int hv_transact(struct hv_host *h, int (*fn)(struct hv_host *h, hv_txn t, void *arg), void *arg)
{
	hv_txn t;
	int rc;

	do {
		rc = h->ops->begin(h, &t);
		if (rc)
			return rc;
		rc = fn(h, t, arg);
		if (rc) {
			h->ops->end(h, t, true);
			return rc;
		}
		rc = h->ops->end(h, t, false);
	} while (rc == -EAGAIN);
	return rc;
}
