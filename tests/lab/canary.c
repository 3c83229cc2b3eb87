// SPDX-License-Identifier: GPL-2.0-only
/*
 * canary SECONDS [MIB [spoil]]: fills memory (all that is available but 16 MiB, if MIB is not given) with a pattern in which no two words
 * are the same, says so, and reads it again and again for so long, at least twice. Whoever writes to memory that was another guest's
 * is seen. The last line is "checked PASSES times, N words changed"; status 1 when any has. spoil: it changes a word itself.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define TOLD 8			/* changed words that are printed */

static uint64_t word(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static size_t available(void)
{
	size_t kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %zu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib << 10;
}

static size_t check(const uint64_t *mem, size_t words, size_t told)
{
	size_t changed = 0;

	for (size_t i = 0; i < words; i++) {
		uint64_t now = __atomic_load_n(&mem[i], __ATOMIC_RELAXED);

		if (now == word(i))
			continue;
		if (told + changed++ < TOLD)
			printf("changed at %zu: %016llx\n", i * sizeof(*mem), (unsigned long long)now);
	}
	return changed;
}

int main(int argc, char **argv)
{
	size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : available(), words, changed = 0;
	unsigned long passes = 0;
	uint64_t *mem;
	time_t end;

	if (argc < 2) {
		fprintf(stderr, "usage: canary SECONDS [MIB [spoil]]\n");
		return 2;
	}
	if (argc < 3)
		size = size > 24u << 20 ? size - (16u << 20) : 8u << 20;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED) {
		perror("canary: mmap");
		return 2;
	}
	words = size / sizeof(*mem);
	for (size_t i = 0; i < words; i++)
		mem[i] = word(i);
	if (argc > 3)
		mem[words / 2] ^= 1;
	printf("filled %zu MiB\n", size >> 20);
	fflush(stdout);
	end = time(NULL) + atoi(argv[1]);
	do {
		changed += check(mem, words, changed);
		passes++;
	} while (passes < 2 || time(NULL) < end);
	printf("checked %lu times, %zu words changed\n", passes, changed);
	return changed ? 1 : 0;
}
