/* SPDX-License-Identifier: GPL-2.0-only */
/* A file in libconfig's syntax, with what it includes. */
#ifndef REPO_CONF_H
#define REPO_CONF_H

#include <libconfig.h>
#include "util/err.h"

/*
 * Reads PATH. `@include "NAME.inc"` takes a file beside it, a name and no path, which includes nothing in turn: so what a
 * description is made of lies in one folder. 0; -ENOENT: cannot be read; -EINVAL with file and line. cfg is to be destroyed on
 * success only.
 */
int conf_read(config_t *cfg, const char *path, struct hv_err *e);

#endif
