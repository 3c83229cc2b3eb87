// SPDX-License-Identifier: GPL-2.0-only
/* Descriptions of devices and of operating systems; what is taken is turned into C. */
#include "desc.h"
#include "emit.h"
#include "fuzz.h"

/* libconfig loses a text when it meets a syntax error; the process ends soon after */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

static void emit(const struct device_desc *dev, const struct os_desc *os)
{
	struct hv_err e = { 0 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int rc;

	MUST(out);
	rc = emit_driver(out, dev, os, FUZZ_SKELETONS, &e);
	MUST(!rc || (rc == -e.code && *e.text));
	fclose(out);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct os_desc linux_os;
	struct device_desc dev;
	struct os_desc os;
	struct hv_err e = { 0 };
	char path[32];
	int fd;

	as_file(data, size, path, &fd);
	if (!device_desc_read(path, &dev, &e)) {
		MUST(dev.device && dev.skeleton && dev.fixed_pages >= 0 && dev.pages_per_tag >= 0);
		MUST(linux_os.os || !os_desc_read(FUZZ_OS, &linux_os, &e));
		emit(&dev, &linux_os);
		device_desc_free(&dev);
	}
	if (!os_desc_read(path, &os, &e)) {
		MUST(os.os && hv_releases_ok(os.releases) && os.prologue_len <= (int)sizeof(os.prologue));
		os_desc_serves(&os, &(struct hv_os){ .type = "linux", .release = "6.1" });
		os_desc_free(&os);
	}
	close(fd);
	return 0;
}
