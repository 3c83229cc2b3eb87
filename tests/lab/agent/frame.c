// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include "frame.h"

static int put_all(struct libxenvchan *v, const char *p, size_t n)
{
	while (n) {
		int r = libxenvchan_write(v, p, n);

		if (r < 0 || libxenvchan_is_open(v) == 0)
			return -1;
		if (r == 0)
			libxenvchan_wait(v);
		p += r;
		n -= r;
	}
	return 0;
}

int frame_put(struct libxenvchan *v, uint32_t type, const void *data, uint32_t len)
{
	char buf[sizeof(struct frame) + FRAME_MAX];
	struct frame f = { type, len };

	memcpy(buf, &f, sizeof(f));
	if (len)
		memcpy(buf + sizeof(f), data, len);
	return put_all(v, buf, sizeof(f) + len);
}

/* Header and body are written by one put: wait for the body once the header is here. */
static int get_all(struct libxenvchan *v, char *p, size_t n)
{
	while (n) {
		int r = libxenvchan_read(v, p, n);

		if (r < 0 || (r == 0 && libxenvchan_is_open(v) == 0))
			return -1;
		if (r == 0)
			libxenvchan_wait(v);
		p += r;
		n -= r;
	}
	return 0;
}

int frame_get(struct libxenvchan *v, struct frame *f, char data[FRAME_MAX])
{
	if (libxenvchan_data_ready(v) < (int)sizeof(*f))
		return libxenvchan_is_open(v) == 0 ? -1 : 0;
	if (get_all(v, (char *)f, sizeof(*f)) || f->len > FRAME_MAX)
		return -1;
	return get_all(v, data, f->len) ? -1 : 1;
}
