/* SPDX-License-Identifier: GPL-2.0-only */
/* Drivers really generated, from the project's descriptions or from copies with changes. */
#ifndef GEN_H
#define GEN_H

#include "build.h"
#include "ring/blkif.h"
#include "ring/nvme.h"
#include "ring/virtq.h"

struct gen_change {
	const char *from, *to;		/* in the description's text; `from` is there once */
};

/* Writes a copy of a description with these changes (from NULL ends them). */
void gen_conf(const char *path, const char *of, const struct gen_change *c);

/* The image for Linux 6.1 from a device description, checked. False: no compiler here, marked as skipped. */
bool gen_image(const char *conf, struct hv_image *img);

/* What a host that follows this description goes by. */
void gen_layout(const char *conf, struct hv_blkif_layout *l);
void gen_nvme_layout(const char *conf, struct hv_nvme_layout *l);
void gen_virtq_layout(const char *conf, struct hv_virtq_layout *l);

extern const struct build_paths gen_paths;
extern const char gen_device[], gen_nvme[], gen_virtio[], gen_os[];	/* the project's own descriptions */
extern const char gen_rules[];	/* what that of the OS includes: all but the summary */

#endif
