/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KEEPER_MACHINE_H
#define KEEPER_MACHINE_H

#include "keeper/keeper.h"

struct machine {
	char name[16];			/* nvme0 */
	int controller;			/* /dev/nvme0 */
	int gntdev;
};

extern const struct keeper_ops machine_ops;

/* Does the kernel's driver use it, and is not about to reset it? */
bool machine_is_live(const struct machine *m);

#endif
