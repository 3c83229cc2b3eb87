// SPDX-License-Identifier: GPL-2.0-only
/* xenstore as a guest, or who may write there, can leave it: every value and every folder comes from the input. */
#include <errno.h>
#include "core/image.h"
#include "core/keys.h"
#include "fuzz.h"
#include "util/str.h"

struct store {
	struct hv_host host;
	struct input in;
	unsigned int calls;
};

/* A value ends at a NUL; one that begins with byte 1 is an error. */
static char *next_value(struct store *s)
{
	char *text = in_text(&s->in);

	s->calls++;
	if (*text != 1 && s->in.left)
		return text;
	free(text);
	errno = ENOENT;
	return NULL;
}

static char *st_read(struct hv_host *h, hv_txn t, const char *path)
{
	MUST(path[0] == '/' && strlen(path) < 511);
	return next_value((struct store *)h);
}

/* Names are separated by newlines; one block, as libxenstore's. */
static char **st_list(struct hv_host *h, hv_txn t, const char *path, unsigned int *n)
{
	char *text = next_value((struct store *)h), *names, **all;

	*n = 0;
	if (!text)
		return NULL;
	all = malloc((strlen(text) + 2) * sizeof(*all) + strlen(text) + 1);
	MUST(all);
	names = strcpy((char *)(all + strlen(text) + 2), text);
	for (char *w = strtok(names, "\n"); w; w = strtok(NULL, "\n"))
		all[(*n)++] = w;
	free(text);
	return all;
}

static int st_begin(struct hv_host *h, hv_txn *t)
{
	*t = 1;
	return 0;
}

static int st_end(struct hv_host *h, hv_txn t, bool abort)
{
	return abort || in_u8(&((struct store *)h)->in) != 2 ? 0 : -EAGAIN;
}

static int st_write(struct hv_host *h, hv_txn t, const char *path, const char *value)
{
	MUST(path[0] == '/' && strlen(path) < 511 && strlen(value) < 4096);
	return 0;
}

static int st_path(struct hv_host *h, hv_txn t, const char *path)
{
	MUST(path[0] == '/' && strlen(path) < 511);
	return 0;
}

static int st_perms(struct hv_host *h, hv_txn t, const char *path, const struct hv_perms *p)
{
	MUST(p->owner < 32768 && p->reader < 32768);
	return 0;
}

static const struct hv_host_ops ops = {
	.size = sizeof(ops), .name = "fuzz", .begin = st_begin, .end = st_end, .read = st_read, .write = st_write,
	.mkdir = st_path, .rm = st_path, .list = st_list, .set_perms = st_perms,
};

static void numbers(struct store *s)
{
	uint64_t max = in_u32(&s->in), v = hv_read_u64(&s->host, 7, max, "/a/%u", 5u);

	MUST(v <= max || v == 7);
}

static void strings(struct store *s)
{
	char *a = in_text(&s->in), *b = in_text(&s->in), *c = in_text(&s->in), out[64];
	uint8_t raw[16];
	uint64_t v;

	hv_str_size(a, &v);
	hv_str_unhex(b, raw, sizeof(raw));
	hv_str_escape(c, out, sizeof(out));
	for (char *p = out; *p; p++)
		MUST(*p >= ' ' && *p <= '~');
	if (hv_str_is_name(a, HVDRV_NAME_MAX))
		MUST(strlen(a) <= HVDRV_NAME_MAX && !strpbrk(a, "/\\ \n,="));
	MUST(!hv_release_in(a, b) || hv_releases_ok(b));
	free(a);
	free(b);
	free(c);
}

static void each(void *arg, uint32_t id)
{
	MUST(id <= HV_ID_MAX);
}

static void create(struct store *s)
{
	struct hv_dev_id d = { .domid = in_u16(&s->in) & 0x7fff };
	struct hv_params p;
	struct hv_err e;

	MUST(!hv_params_parse("name=data,class=block,backend=/x,size=4096", &p, &e));
	if (!hv_device_create(&s->host, &p, &d, &e)) {
		MUST(d.id < HVDRV_SLOTS);
		hv_device_remove(&s->host, &d);
	}
}

static void find(struct store *s)
{
	struct hv_dev_id d = { .domid = 0 };
	char *what = in_text(&s->in), *name = in_text(&s->in);
	struct hv_err e = { 0 };

	if (!hv_domain_find(&s->host, what, &d.domid, &e)) {
		MUST(d.domid && d.domid < 32768);
		if (!hv_device_find(&s->host, d.domid, name, &d, &e))
			MUST(d.id <= HV_ID_MAX && strlen(d.uuid) == HV_UUID_LEN && !strchr(d.uuid, '/'));
	} else {
		MUST(*e.text);
	}
	free(what);
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store s = { .host = { &ops }, .in = { data, size } };

	while (s.in.left && s.calls < 1000) {
		switch (in_u8(&s.in) % 5) {
		case 0: numbers(&s); break;
		case 1: strings(&s); break;
		case 2: create(&s); break;
		case 3: find(&s); break;
		default: hv_device_each(&s.host, 3, each, NULL); break;
		}
	}
	return 0;
}
