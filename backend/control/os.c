// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest runs. Its extension says so; and what xl has started it with is looked at once, when the first device of a domain
 * asks. The guest is not asked for that, and it is nothing that it could write: where the two differ nothing is placed.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>
#include "daemon.h"
#include "guest-os/kernel.h"
#include "guest-os/toolstack.h"
#include "util/str.h"

struct dom_os {
	struct kernel k;
	char path[300];
	char unknown[400];		/* why; "": k is known */
	bool early;			/* xl has not written its record yet: to be looked at again */
};

static struct dom_os *look(struct dom *dom)
{
	struct daemon *d = dom->d;
	char *since = hv_readf(d->host, 0, "/vm/%s/start_time", dom->uuid);
	time_t created = since ? strtoll(since, NULL, 10) : 0;
	struct dom_os *o = calloc(1, sizeof(*o));
	struct hv_err e = { 0 };
	int fd, rc;

	free(since);
	if (!o)
		return NULL;
	rc = created ? 0 : hv_err(&e, ENODATA, "xl does not say when it was started");
	if (!rc)
		rc = toolstack_kernel(d->opt.xen_state, dom->domid, dom->uuid, created, o->path, sizeof(o->path), &fd, &e);
	if (!rc) {
		rc = kernel_read(fd, &o->k, &e);
		close(fd);
		if (rc)
			hv_err_in(&e, "%s", o->path);
	}
	if (rc)
		snprintf(o->unknown, sizeof(o->unknown), "%.390s", e.text);
	o->early = !created || (rc == -ENOENT && !*o->path);	/* with a path it is the kernel that is gone: it stays so */
	return o;
}

static const struct dom_os *started_with(struct dom *dom)
{
	if (dom->os && dom->os->early)
		dom_os_free(dom);
	if (!dom->os)
		dom->os = look(dom);
	return dom->os;
}

void dom_os_free(struct dom *dom)
{
	free(dom->os);
	dom->os = NULL;
}

static void guest_says(const struct dev *v, const char *key, char *to, size_t size)
{
	char *s = hv_readf(v->dom->d->host, 0, "%s/os/%s", v->at.front, key);

	snprintf(to, size, "%s", s ? s : "");
	free(s);
}

static void ask_guest(struct dev *v)
{
	struct hv_os *os = &v->said;

	guest_says(v, "type", os->type, sizeof(os->type));
	guest_says(v, "arch", os->arch, sizeof(os->arch));
	guest_says(v, "abi", os->abi, sizeof(os->abi));
	guest_says(v, "release", os->release, sizeof(os->release));
	guest_says(v, "features", os->features, sizeof(os->features));
}

static bool is_name(const char *s, const char *more)
{
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._+~-", *s) && !strchr(more, *s))
			return false;
	return true;
}

/* These texts go into commands that an admin is told to run. */
static bool are_names(const struct hv_os *os)
{
	return is_name(os->type, "") && is_name(os->arch, "") && is_name(os->abi, "") && is_name(os->release, "") &&
	       is_name(os->features, " ");
}

/* Both are known, and not the same. */
static bool differ(const char *guest, const char *image)
{
	return *guest && *image && strcmp(guest, image);
}

/* What the guest does not say is taken from the image. */
static void take_if_empty(char *to, size_t size, const char *from)
{
	if (!*to)
		snprintf(to, size, "%s", from);
}

int dev_read_os(struct dev *v, struct hv_os *os, struct hv_err *e)
{
	const struct dom_os *o = started_with(v->dom);

	ask_guest(v);
	*os = v->said;
	if (!o)
		return hv_err(e, ENOMEM, "out of memory");
	if (!are_names(os))
		return hv_err(e, EPROTO, "what the guest says that it runs (os/...) has other characters than letters, digits and ._+~-");
	if (*o->unknown)
		return 0;
	if (differ(os->type, o->k.os) || differ(os->arch, o->k.arch) || differ(os->release, o->k.release))
		return hv_err(e, EPROTO, "the guest says that it runs %s %s (%s), but %s, which xl has started it with, is %s %s (%s): no driver is "
			      "chosen by what is in doubt; if it has changed its kernel itself (kexec), restart it", os->type, os->release, os->arch,
			      o->path, o->k.os, o->k.release, o->k.arch);
	take_if_empty(os->type, sizeof(os->type), o->k.os);
	take_if_empty(os->arch, sizeof(os->arch), o->k.arch);
	take_if_empty(os->release, sizeof(os->release), o->k.release);
	return 0;
}

static void add(struct json_object *o, const char *key, const char *text)
{
	char safe[400];

	json_object_object_add(o, key, json_object_new_string(hv_str_escape(text, safe, sizeof(safe))));
}

void dev_show_os(struct dev *v, struct json_object *row)
{
	const struct dom_os *o = started_with(v->dom);
	struct json_object *all = json_object_new_object();

	if (!*v->said.type)		/* taken up after a restart: not asked yet */
		ask_guest(v);
	add(all, "type", v->said.type);
	add(all, "release", v->said.release);
	add(all, "arch", v->said.arch);
	if (o && !*o->unknown) {
		add(all, "kernel", o->path);
		add(all, "kernel_release", o->k.release);
	} else if (o) {
		add(all, "kernel_unknown", o->unknown);
	}
	json_object_object_add(row, "os", all);
}
