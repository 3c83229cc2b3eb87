/* SPDX-License-Identifier: GPL-2.0-only */
/* From C to an image: a compiler in its own process, then the ELF file's bytes. */
#ifndef REPO_BUILD_H
#define REPO_BUILD_H

#include "desc.h"

struct build_paths {
	const char *skeletons;	/* folder of the skeletons and prelude.h */
	const char *include;	/* folder of hvdrv/abi.h */
};

/* 0; -ENOENT: no compiler. So that nobody is asked for a key first, on a machine where it would not help. */
int build_can(struct hv_err *e);

/*
 * Generates, compiles, links and reads the result into an image, unsigned and unchecked.
 * -ENOENT: no compiler (HVDRV_CC, else cc, gcc, clang in PATH). -ENOEXEC: what came out is not a flat driver.
 */
int build_image(const struct device_desc *dev, const struct os_desc *os, const struct build_paths *p,
		struct hv_image *img, struct hv_err *e);

/* ELF file PATH, linked at 0, to code and constants. 0, -ENOEXEC with what may not be there. */
int elf_to_payload(const char *path, struct hv_image *img, struct hv_err *e);

#endif
