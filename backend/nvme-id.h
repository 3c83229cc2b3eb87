/* SPDX-License-Identifier: GPL-2.0-only */
/* What is read of Identify Namespace in more than one place (NVM Express NVM Command Set Specification 1.0, figure 97). */
#ifndef BACKEND_NVME_ID_H
#define BACKEND_NVME_ID_H

#include <stdint.h>

/* The LBA format in use: 16 bits of metadata size, then the shift of the block size. Its number has its upper bits apart (FLBAS). */
static inline const uint8_t *nvme_lba_format(const uint8_t id[4096])
{
	unsigned int n = (id[26] & 15) | (id[26] >> 5 & 3) << 4;

	return id + 128 + 4 * n;
}

#endif
