/* SPDX-License-Identifier: GPL-2.0-only */
/* hvdrv-repo's commands: what they are given, and how they fail. Each returns the exit status. */
#ifndef REPO_CMD_H
#define REPO_CMD_H

#include <stdbool.h>
#include "core/image.h"

struct opts {
	const char *repo, *keys, *data, *include;
	const char *device, *os, *key, *out;
	const char *class, *mode;
	const char *name, *vendor, *expires, *reason;
	struct hv_os guest;
	const char *run;
	bool json, emit_c, dry_run, no_guests;
	int argc;
	char **argv;
};

int fail(int rc, const struct hv_err *e);
int usage_error(const char *what);

/* keys.c */
int cmd_keygen(struct opts *o);
int cmd_keys(struct opts *o);
int cmd_trust(struct opts *o);
int cmd_revoke(struct opts *o);

/* find.c */
int cmd_find(struct opts *o);
int cmd_reindex(struct opts *o);

/* gc.c */
int cmd_gc(struct opts *o);

#endif
