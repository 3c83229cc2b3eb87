// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "build.h"
#include "emit.h"
#include "util/file.h"

extern char **environ;

static const char linker_script[] =
	"SECTIONS {\n"
	"  . = 0;\n"
	"  .text : { KEEP(*(.entry)) *(.text .text.*) BYTE(0xcc) }\n"
	"  .rodata : { *(.rodata .rodata.*) }\n"
	"  /DISCARD/ : { *(.comment) *(.note .note.*) *(.eh_frame .eh_frame_hdr) *(.llvm_addrsig) }\n"
	"}\n";

struct work {
	char dir[64];
	char src[80], elf[80], script[80], log[80];
};

static bool in_path(const char *prog)
{
	const char *path = getenv("PATH");
	char copy[4096], file[PATH_MAX];
	char *save = NULL;

	if (strchr(prog, '/'))
		return !access(prog, X_OK);
	snprintf(copy, sizeof(copy), "%s", path ? path : "/usr/bin:/bin");
	for (char *d = strtok_r(copy, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
		snprintf(file, sizeof(file), "%s/%s", d, prog);
		if (!access(file, X_OK))
			return true;
	}
	return false;
}

static const char *find_compiler(void)
{
	static const char *const known[] = { "cc", "gcc", "clang" };
	const char *cc = getenv("HVDRV_CC");

	if (cc && *cc)
		return in_path(cc) ? cc : NULL;
	for (size_t i = 0; i < 3; i++)
		if (in_path(known[i]))
			return known[i];
	return NULL;
}

/* Runs argv with its output in w->log. 0, or -ENOEXEC with the log's first line. */
static int run_compiler(const struct work *w, char **argv, struct hv_err *e)
{
	posix_spawn_file_actions_t fa;
	void *log = NULL;
	size_t len;
	pid_t pid;
	int rc, st;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 1, w->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&fa, 1, 2);
	rc = posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (rc)
		return hv_err(e, rc, "%s: %s", argv[0], strerror(rc));
	while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(st) && !WEXITSTATUS(st))
		return 0;
	if (!hv_file_read(w->log, 1 << 20, &log, &len))
		((char *)log)[strcspn(log, "\n")] = 0;
	rc = hv_err(e, ENOEXEC, "%s could not build the driver: %s", argv[0], log ? (char *)log : "?");
	free(log);
	return rc;
}

static bool is_clang(const char *cc)
{
	char cmd[PATH_MAX + 64];

	snprintf(cmd, sizeof(cmd), "%s --version 2>/dev/null | grep -q clang", cc);
	return system(cmd) == 0;	/* cc is ours or the admin's own setting */
}

static int compile(const struct work *w, const struct os_desc *os, const struct build_paths *p, const char *cc,
		   struct hv_err *e)
{
	char inc1[PATH_MAX + 2], inc2[PATH_MAX + 2], frame[64], script[128];
	char *argv[48];
	int n = 0;

	snprintf(inc1, sizeof(inc1), "-I%s", p->skeletons);
	snprintf(inc2, sizeof(inc2), "-I%s", p->include);
	snprintf(frame, sizeof(frame), "-Wframe-larger-than=%d", os->max_stack / 2);
	snprintf(script, sizeof(script), "-Wl,-T,%s", w->script);
	const char *fixed[] = {
		cc, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-builtin", "-fPIE",
		"-fvisibility=hidden", "-fno-jump-tables", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
		"-fno-unwind-tables", "-fomit-frame-pointer", "-fno-ident", "-nostdlib", "-static", "-Wl,--build-id=none",
		"-Wl,-z,noexecstack", "-Wl,-z,norelro", frame, inc1, inc2, script, "-o", w->elf, w->src,
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		argv[n++] = (char *)fixed[i];
	if (!is_clang(cc)) {
		argv[n++] = "-fno-tree-loop-distribute-patterns";	/* or loops become calls of memset */
		argv[n++] = "-fno-ivopts";	/* or a loop's counter is merged with an index: the gate could not follow it */
	}
	if (!os->red_zone)
		argv[n++] = "-mno-red-zone";
	if (!os->fpu)
		argv[n++] = "-mgeneral-regs-only";
	argv[n++] = os->ibt ? "-fcf-protection=branch" : "-fcf-protection=none";
	if (os->sls)
		argv[n++] = "-mharden-sls=all";
	argv[n] = NULL;
	return run_compiler(w, argv, e);
}

static int write_source(const struct work *w, const struct device_desc *dev, const struct os_desc *os,
			const struct build_paths *p, struct hv_err *e)
{
	FILE *f = fopen(w->src, "we");
	int rc;

	if (!f)
		return hv_err(e, errno, "%s: %s", w->src, strerror(errno));
	rc = emit_driver(f, dev, os, p->skeletons, e);
	if (fclose(f) && !rc)
		rc = hv_err(e, errno, "%s: %s", w->src, strerror(errno));
	if (!rc) {
		rc = hv_file_write(w->script, linker_script, sizeof(linker_script) - 1, 0600);
		if (rc)
			hv_err(e, -rc, "%s: %s", w->script, strerror(-rc));
	}
	return rc;
}

static int copy_text(char *to, size_t size, const char *from, const char *what, struct hv_err *e)
{
	if (!*from || strlen(from) >= size)
		return hv_err(e, EINVAL, "%s \"%s\": must have 1 to %zu characters", what, from, size - 1);
	strcpy(to, from);
	return 0;
}

static int fill_header(struct hv_image_header *h, const struct device_desc *dev, const struct os_desc *os,
		       struct hv_err *e)
{
	int rc = copy_text(h->device, sizeof(h->device), dev->device, "device", e);

	if (!rc)
		rc = copy_text(h->class, sizeof(h->class), dev->class, "class", e);
	if (!rc)
		rc = copy_text(h->mode, sizeof(h->mode), dev->mode, "mode", e);
	if (!rc)
		rc = copy_text(h->os, sizeof(h->os), os->os, "os", e);
	if (!rc)
		rc = copy_text(h->os_arch, sizeof(h->os_arch), os->arch, "arch", e);
	if (!rc)
		rc = copy_text(h->os_abi, sizeof(h->os_abi), os->abi, "abi", e);
	if (!rc)
		rc = copy_text(h->releases, sizeof(h->releases), os->releases, "releases", e);
	if (rc)
		return rc;
	memcpy(h->magic, HV_IMAGE_MAGIC, 8);
	snprintf(h->generator, sizeof(h->generator), "hvdrv-repo-%s", PACKAGE_VERSION);
	h->format = HV_IMAGE_FORMAT;
	h->header_size = sizeof(*h);
	h->abi = HVDRV_ABI_DRIVER;
	h->version = dev->version;
	h->queue_fixed_pages = dev->fixed_pages;
	h->queue_pages_per_tag = dev->pages_per_tag;
	for (int k = 0; k < HVDRV_ENTRIES; k++)
		h->entry[k] = HVDRV_ENTRY_OFFSET(k);
	snprintf(h->vendor, sizeof(h->vendor), "%s", dev->vendor);
	snprintf(h->features, sizeof(h->features), "%s", os->features);
	h->created = time(NULL);
	return 0;
}

static void remove_work(const struct work *w)
{
	unlink(w->src);
	unlink(w->elf);
	unlink(w->script);
	unlink(w->log);
	rmdir(w->dir);
}

int build_can(struct hv_err *e)
{
	return find_compiler() ? 0 : hv_err(e, ENOENT, "no C compiler here (looked for cc, gcc, clang)");
}

int build_image(const struct device_desc *dev, const struct os_desc *os, const struct build_paths *p,
		struct hv_image *img, struct hv_err *e)
{
	const char *cc = find_compiler(), *tmp = getenv("TMPDIR");
	struct work w;
	int rc;

	memset(img, 0, sizeof(*img));
	if (!cc)
		return build_can(e);
	snprintf(w.dir, sizeof(w.dir), "%s/hvdrv-repo-XXXXXX", tmp && strlen(tmp) < 32 ? tmp : "/tmp");
	if (!mkdtemp(w.dir))
		return hv_err(e, errno, "%s: %s", w.dir, strerror(errno));
	snprintf(w.src, sizeof(w.src), "%s/driver.c", w.dir);
	snprintf(w.elf, sizeof(w.elf), "%s/driver.elf", w.dir);
	snprintf(w.script, sizeof(w.script), "%s/driver.lds", w.dir);
	snprintf(w.log, sizeof(w.log), "%s/log", w.dir);
	rc = write_source(&w, dev, os, p, e);
	if (!rc)
		rc = compile(&w, os, p, cc, e);
	if (!rc)
		rc = elf_to_payload(w.elf, img, e);
	if (!rc)
		rc = fill_header(&img->h, dev, os, e);
	if (!rc)
		hv_image_seal(img);
	else
		hv_image_free(img);
	remove_work(&w);
	return rc;
}
