// SPDX-License-Identifier: GPL-2.0-only
/* Two formats: bzImage, which has its version where the boot protocol says, and the unpacked ELF image. */
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xen/elfnote.h>
#include "guest-os/kernel.h"

/* Linux, Documentation/arch/x86/boot.rst: offsets in the first sectors. */
enum { SETUP_SECTS = 0x1f1, HEADER_MAGIC = 0x202, PROTOCOL = 0x206, KERNEL_VERSION = 0x20e, XLOADFLAGS = 0x236, HEADER_END = 0x238 };
#define XLF_KERNEL_64 1u
#define VERSION_MAX 128

#define BANNER "Linux version "
#define MAX_HEADERS 256
#define MAX_NOTES 65536
#define MAX_SEARCHED (256u << 20)
#define CHUNK 65536

/* All of it, or false: it ends before. */
static bool read_at(int fd, uint64_t at, void *buf, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = pread(fd, (char *)buf + got, len - got, at + got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got += n;
	}
	return true;
}

/* A release: one word of what a uname() may say. */
static bool take_release(const char *text, size_t len, struct kernel *k)
{
	size_t n = 0;

	while (n < len && isgraph((unsigned char)text[n]))
		n++;
	if (!n || n == len || n >= sizeof(k->release) || !isdigit((unsigned char)text[0]))
		return false;
	memcpy(k->release, text, n);
	k->release[n] = 0;
	return true;
}

/* ---- bzImage ---- */

static uint16_t u16_at(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

static int read_bzimage(int fd, const uint8_t *head, struct kernel *k, struct hv_err *e)
{
	uint32_t at = 0x200u + u16_at(head + KERNEL_VERSION), sectors = head[SETUP_SECTS] ? head[SETUP_SECTS] : 4;
	char text[VERSION_MAX];

	strcpy(k->os, "linux");
	strcpy(k->arch, u16_at(head + PROTOCOL) >= 0x20c && u16_at(head + XLOADFLAGS) & XLF_KERNEL_64 ? "x86_64" : "i686");
	if (at == 0x200)
		return 0;		/* it has none */
	if (at + VERSION_MAX > (sectors + 1) * 512 || !read_at(fd, at, text, sizeof(text)) || !take_release(text, sizeof(text), k))
		return hv_err(e, EPROTO, "its version is not where its header says");
	return 0;
}

/* ---- ELF ---- */

static void take_os(const char *text, size_t len, struct kernel *k)
{
	size_t n = 0;

	while (n < len && n < sizeof(k->os) - 1 && isalnum((unsigned char)text[n])) {
		k->os[n] = tolower((unsigned char)text[n]);
		n++;
	}
	k->os[n] = 0;
}

static size_t padded(uint32_t n)
{
	return ((size_t)n + 3) & ~(size_t)3;
}

static void look_at_notes(const uint8_t *p, size_t len, struct kernel *k)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t name, desc;

		memcpy(&n, p, sizeof(n));
		name = padded(n.n_namesz), desc = padded(n.n_descsz);
		if (name > len - sizeof(n) || desc > len - sizeof(n) - name)
			return;
		p += sizeof(n);
		if (n.n_namesz == 4 && !memcmp(p, "Xen", 4) && n.n_type == XEN_ELFNOTE_GUEST_OS)
			take_os((const char *)p + name, n.n_descsz, k);
		p += name + desc;
		len -= sizeof(n) + name + desc;
	}
}

static bool read_notes(int fd, const Elf64_Ehdr *h, struct kernel *k)
{
	Elf64_Phdr p;

	for (int i = 0; i < h->e_phnum; i++) {
		uint8_t *notes;
		bool all;

		if (!read_at(fd, h->e_phoff + i * sizeof(p), &p, sizeof(p)))
			return false;
		if (p.p_type != PT_NOTE || p.p_filesz > MAX_NOTES)
			continue;
		notes = malloc(p.p_filesz + 1);
		all = notes && read_at(fd, p.p_offset, notes, p.p_filesz);
		if (all)
			look_at_notes(notes, p.p_filesz, k);
		free(notes);
		if (!all)
			return false;
	}
	return true;
}

/* The banner begins in the first bytes of .rodata: init/version.c is linked first. A stripped image is searched whole. */
static bool find_rodata(int fd, const Elf64_Ehdr *h, uint64_t *at, uint64_t *len)
{
	Elf64_Shdr names, s;
	char name[8];

	if (!h->e_shnum || h->e_shstrndx >= h->e_shnum || !read_at(fd, h->e_shoff + h->e_shstrndx * sizeof(s), &names, sizeof(names)))
		return false;
	for (int i = 0; i < h->e_shnum; i++) {
		if (!read_at(fd, h->e_shoff + i * sizeof(s), &s, sizeof(s)) || !read_at(fd, names.sh_offset + s.sh_name, name, sizeof(name)))
			return false;
		if (!memcmp(name, ".rodata", 8)) {
			*at = s.sh_offset;
			*len = s.sh_size;
			return true;
		}
	}
	return false;
}

static bool search_banner(int fd, uint64_t at, uint64_t len, struct kernel *k)
{
	char buf[CHUNK + VERSION_MAX];	/* pieces overlap by what a banner has of interest */
	uint64_t end = len > MAX_SEARCHED ? at + MAX_SEARCHED : at + len;

	for (; at < end; at += CHUNK) {
		ssize_t n = pread(fd, buf, end - at < sizeof(buf) ? end - at : sizeof(buf), at);
		const char *p = buf;

		if (n <= 0)
			return false;
		while ((p = memmem(p, buf + n - p, BANNER, sizeof(BANNER) - 1))) {
			p += sizeof(BANNER) - 1;
			if (take_release(p, buf + n - p, k))
				return true;
		}
	}
	return false;
}

static int read_elf(int fd, struct kernel *k, struct hv_err *e)
{
	uint64_t at = 0, len = MAX_SEARCHED;
	Elf64_Ehdr h;

	if (!read_at(fd, 0, &h, sizeof(h)) || h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_machine != EM_X86_64)
		return hv_err(e, ENOTSUP, "it is an ELF file, but not for x86_64");
	if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum > MAX_HEADERS || h.e_shnum > MAX_HEADERS || !read_notes(fd, &h, k))
		return hv_err(e, EPROTO, "its ELF headers are damaged");
	strcpy(k->arch, "x86_64");
	find_rodata(fd, &h, &at, &len);
	if ((!*k->os || !strcmp(k->os, "linux")) && search_banner(fd, at, len, k))
		strcpy(k->os, "linux");
	return *k->os ? 0 : hv_err(e, ENOTSUP, "it is an ELF file that does not say of which system");
}

int kernel_read(int fd, struct kernel *k, struct hv_err *e)
{
	uint8_t head[HEADER_END];

	memset(k, 0, sizeof(*k));
	if (!read_at(fd, 0, head, sizeof(head)))
		return hv_err(e, ENOTSUP, "it is too small for a kernel");
	if (!memcmp(head, ELFMAG, SELFMAG))
		return read_elf(fd, k, e);
	if (!memcmp(head + HEADER_MAGIC, "HdrS", 4) && u16_at(head + PROTOCOL) >= 0x200)
		return read_bzimage(fd, head, k, e);
	return hv_err(e, ENOTSUP, "it is neither a bzImage nor an ELF file");
}
