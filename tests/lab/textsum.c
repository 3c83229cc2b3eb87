// SPDX-License-Identifier: GPL-2.0-only
/*
 * textsum [--octets] MODULE SECTION...: length and FNV-1a sum of sections of a loaded module, as they are in the kernel's memory now,
 * read through /proc/kcore; or their addresses and octets. What must not change when a driver is replaced: all of the module's code
 * but the slots.
 */
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST (64u << 10)

static const char *module;

static uint64_t address_of(const char *section)
{
	unsigned long long at = 0;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/sections/%s", module, section);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llx", &at) != 1) {
		fprintf(stderr, "textsum: %s: no address\n", path);
		exit(1);
	}
	fclose(f);
	return at;
}

/* To where the module's next section begins: what lies between, if anything, is padding. */
static uint64_t end_of(uint64_t at)
{
	uint64_t end = at + MOST, other;
	char path[128];
	struct dirent *de;
	DIR *dp;

	snprintf(path, sizeof(path), "/sys/module/%s/sections", module);
	dp = opendir(path);
	while (dp && (de = readdir(dp))) {
		other = de->d_name[0] == '.' && strlen(de->d_name) < 3 ? 0 : address_of(de->d_name);
		if (other > at && other < end)
			end = other;
	}
	if (dp)
		closedir(dp);
	return end;
}

static off_t offset_in(int core, uint64_t va, uint64_t len)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;

	if (pread(core, &h, sizeof(h), 0) != sizeof(h))
		return -1;
	for (int i = 0; i < h.e_phnum; i++) {
		if (pread(core, &p, sizeof(p), h.e_phoff + i * sizeof(p)) != sizeof(p))
			return -1;
		if (p.p_type == PT_LOAD && va >= p.p_vaddr && va + len <= p.p_vaddr + p.p_memsz)
			return p.p_offset + (va - p.p_vaddr);
	}
	return -1;
}

static void print_octets(const char *section, uint64_t at, const uint8_t *bytes, uint64_t len)
{
	printf("%s %llx ", section, (unsigned long long)at);
	for (uint64_t k = 0; k < len; k++)
		printf("%02x", bytes[k]);
	printf("\n");
}

static void print_sum(const char *section, const uint8_t *bytes, uint64_t len)
{
	uint64_t sum = 14695981039346656037ull;

	for (uint64_t k = 0; k < len; k++)
		sum = (sum ^ bytes[k]) * 1099511628211ull;
	printf("%s %llu %016llx\n", section, (unsigned long long)len, (unsigned long long)sum);
}

int main(int argc, char **argv)
{
	int core = open("/proc/kcore", O_RDONLY);
	bool octets = argc > 1 && !strcmp(argv[1], "--octets");

	argv += octets;
	argc -= octets;
	if (argc < 3 || core < 0) {
		fprintf(stderr, "usage: textsum [--octets] MODULE SECTION... (needs /proc/kcore)\n");
		return 2;
	}
	module = argv[1];
	for (int i = 2; i < argc; i++) {
		uint64_t at = address_of(argv[i]), len = end_of(at) - at;
		off_t off = offset_in(core, at, len);
		uint8_t *bytes = malloc(len);

		if (off < 0 || !bytes || pread(core, bytes, len, off) != (ssize_t)len) {
			fprintf(stderr, "textsum: %s: cannot be read\n", argv[i]);
			return 1;
		}
		if (octets)
			print_octets(argv[i], at, bytes, len);
		else
			print_sum(argv[i], bytes, len);
		free(bytes);
	}
	return 0;
}
