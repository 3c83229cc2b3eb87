// SPDX-License-Identifier: GPL-2.0-only
/* The linked driver: .text at 0, then .rodata; anything else that would be loaded or relocated is refused. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "build.h"

static int take_section(struct hv_image *img, const char *name, const GElf_Shdr *h, Elf_Scn *scn, struct hv_err *e)
{
	bool text = !strcmp(name, ".text"), rodata = !strcmp(name, ".rodata");
	Elf_Data *d;

	if (h->sh_type == SHT_REL || h->sh_type == SHT_RELA)
		return hv_err(e, ENOEXEC, "a relocation is left in the code (%s): a driver must not need one", name);
	if (!(h->sh_flags & SHF_ALLOC) || !h->sh_size)
		return 0;
	if (!text && !rodata)
		return hv_err(e, ENOEXEC, "section %s: a driver has code and constants only, no variables", name);
	if (h->sh_addr > HVDRV_SLOT_SIZE || h->sh_size > HVDRV_SLOT_SIZE - h->sh_addr)
		return hv_err(e, ENOEXEC, "the driver has %zu bytes at %zu, a slot %u", (size_t)h->sh_size, (size_t)h->sh_addr,
			      HVDRV_SLOT_SIZE);
	d = elf_getdata(scn, NULL);
	if (!d || !d->d_buf || d->d_size != h->sh_size)
		return hv_err(e, ENOEXEC, "section %s cannot be read", name);
	memcpy(img->payload + h->sh_addr, d->d_buf, d->d_size);
	if (text)
		img->h.code_size = h->sh_addr + h->sh_size;
	if (h->sh_addr + h->sh_size > img->h.payload_size)
		img->h.payload_size = h->sh_addr + h->sh_size;
	return 0;
}

static int take_sections(Elf *elf, struct hv_image *img, struct hv_err *e)
{
	Elf_Scn *scn = NULL;
	size_t names;
	int rc = 0;

	if (elf_getshdrstrndx(elf, &names))
		return hv_err(e, ENOEXEC, "the linker's output is not ELF");
	while (!rc && (scn = elf_nextscn(elf, scn))) {
		GElf_Shdr h;
		const char *name;

		if (!gelf_getshdr(scn, &h) || !(name = elf_strptr(elf, names, h.sh_name)))
			return hv_err(e, ENOEXEC, "the linker's output is damaged");
		rc = take_section(img, name, &h, scn, e);
	}
	return rc;
}

int elf_to_payload(const char *path, struct hv_image *img, struct hv_err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	Elf *elf;

	if (fd < 0)
		return hv_err(e, errno, "%s: %s", path, strerror(errno));
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	img->payload = calloc(1, HVDRV_SLOT_SIZE);
	if (!elf || !img->payload)
		rc = hv_err(e, ENOEXEC, "%s: cannot be read as ELF", path);
	else
		rc = take_sections(elf, img, e);
	elf_end(elf);
	close(fd);
	if (rc)
		hv_image_free(img);
	return rc;
}
