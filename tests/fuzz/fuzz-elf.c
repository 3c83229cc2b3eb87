// SPDX-License-Identifier: GPL-2.0-only
/* The compiler's output. It is ours, but what is read of it is checked like everything else. */
#include <errno.h>
#include "build.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hv_image img = { .payload = NULL };
	struct hv_err e = { 0 };
	char path[32];
	int fd, rc;

	as_file(data, size, path, &fd);
	rc = elf_to_payload(path, &img, &e);
	if (!rc)
		MUST(img.h.code_size <= img.h.payload_size && img.h.payload_size <= HVDRV_SLOT_SIZE);
	else
		MUST(rc == -e.code && !img.payload);
	hv_image_free(&img);
	close(fd);
	return 0;
}
