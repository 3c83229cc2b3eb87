// SPDX-License-Identifier: GPL-2.0-only
/* main() of a fuzzer without libFuzzer: runs each file, and each file of each folder, of its arguments. */
#include <dirent.h>
#include <limits.h>
#include "fuzz.h"
#include "util/file.h"

static unsigned int inputs;

static void run_file(const char *path)
{
	void *text, *exact;
	size_t len;

	if (hv_file_read(path, 1 << 20, &text, &len))
		return;
	/* in memory of just this size: a read behind it is seen by the sanitizer */
	exact = malloc(len ? len : 1);
	MUST(exact);
	memcpy(exact, text, len);
	free(text);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	inputs++;
}

static void run(const char *path)
{
	char file[PATH_MAX];
	struct dirent *d;
	DIR *dir = opendir(path);

	if (!dir) {
		run_file(path);
		return;
	}
	while ((d = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, d->d_name);
		if (d->d_name[0] != '.')
			run_file(file);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	printf("%u inputs\n", inputs);
	return inputs ? 0 : 1;
}
