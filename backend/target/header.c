// SPDX-License-Identifier: GPL-2.0-only
/* Headers of image formats: served raw, the guest would see the container instead of the disk. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "target/target.h"

static const struct {
	const char *name;
	uint32_t at, len;
	const char *magic;
} formats[] = {
	{ "qcow2", 0, 4, "QFI\xfb" },
	{ "VMDK", 0, 4, "KDMV" },
	{ "VMDK", 0, 21, "# Disk DescriptorFile" },
	{ "VDI", 64, 4, "\x7f\x10\xda\xbe" },
	{ "VHDX", 0, 8, "vhdxfile" },
	{ "VHD", 0, 8, "conectix" },
};

/* Aligned, for descriptors with O_DIRECT. */
static bool read_block(int fd, uint64_t off, uint8_t *buf)
{
	return pread(fd, buf, 4096, off) >= 512;
}

const char *target_image_format(int fd, uint64_t first, uint64_t bytes)
{
	const char *found = NULL;
	uint8_t *buf;

	if (posix_memalign((void **)&buf, 4096, 4096))
		return NULL;
	if (read_block(fd, first, buf))
		for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]) && !found; i++)
			if (!memcmp(buf + formats[i].at, formats[i].magic, formats[i].len))
				found = formats[i].name;
	/* a VHD of fixed size has its header at its end */
	if (!found && bytes >= 4096 && read_block(fd, first + (bytes - 512) / 4096 * 4096, buf) &&
	    !memcmp(buf + (bytes - 512) % 4096, "conectix", 8))
		found = "VHD";
	free(buf);
	return found;
}
