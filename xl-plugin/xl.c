// SPDX-License-Identifier: GPL-2.0-only
/*
 * xl-hvdrv: stands before xl in the PATH, as `xl`. It knows `hvdrv-*` (the hvdrv command), looks at `create`, `save`
 * and `migrate`, and passes everything else to the real xl as it is, by exec: arguments, status, terminal.
 *   create   records the devices of the configuration's hvdrv = [ ... ] list for the guest's UUID
 *   save, migrate   refused while the guest has a device
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guestcfg.h"
#include "util/exit.h"
#include <hvdrv/hvdrv.h>

static int say(const char *text)
{
	fprintf(stderr, "xl: hvdrv: %s\n", text);
	return HV_EXIT_FAILED;
}

/* Never returns but with an exit status: the real xl is not there. */
static int pass_on(char **argv)
{
	static const char real[] = HV_REAL_XL;
	char self[4096], target[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	if (realpath(real, target) && !strcmp(self, target))
		return say("the real xl is not at " HV_REAL_XL ": hvdrv's own is there; build with --with-real-xl=PATH");
	argv[0] = (char *)real;
	execv(real, argv);
	fprintf(stderr, "xl: hvdrv: %s: %s\n", real, strerror(errno));
	return 127;
}

static int run_hvdrv(char **argv, const char *verb)
{
	argv[0] = HV_BIN_DIR "/hvdrv";
	argv[1] = (char *)verb;
	execv(argv[0], argv);
	fprintf(stderr, "xl: %s: %s\n", argv[0], strerror(errno));
	return 127;
}

/* ---- create ---- */

struct create {
	const char *file;
	const char *extra[64];		/* KEY=VALUE arguments */
	int n;
	bool dry;
};

/* As xl reads its arguments (xl_vmcontrol.c, main_create): the first without = is the file. */
static bool parse_create(int argc, char **argv, struct create *c)
{
	static const struct option opts[] = {
		{ "defconfig", 1, NULL, 'f' }, { "dryrun", 0, NULL, 'n' }, { "quiet", 0, NULL, 'q' }, { "help", 0, NULL, 'h' },
		{ "vncviewer", 0, NULL, 'V' }, { "vncviewer-autopass", 0, NULL, 'A' },
		{ "ignore-global-affinity-masks", 0, NULL, 'i' }, { NULL, 0, NULL, 0 }
	};
	int o;

	opterr = 0;
	optind = 0;
	while ((o = getopt_long(argc, argv, "+qf:pcdeVAinFh", opts, NULL)) != -1) {
		if (o == 'f')
			c->file = optarg;
		else if (o == 'n')
			c->dry = true;
		else if (o == 'h' || o == '?')
			return false;		/* xl's own answer */
	}
	for (; optind < argc; optind++) {
		if (!strchr(argv[optind], '=') && !c->file)
			c->file = argv[optind];
		else if (strchr(argv[optind], '=') && c->n < 64)
			c->extra[c->n++] = argv[optind];
	}
	return c->file != NULL;
}

/* argv of the real xl, with uuid="..." behind it. */
static char **with_uuid(int argc, char **argv, const char *uuid)
{
	char **v = calloc(argc + 2, sizeof(*v)), *arg = NULL;

	if (!v || asprintf(&arg, "uuid=\"%s\"", uuid) < 0)
		exit(HV_EXIT_FAILED);
	memcpy(v, argv, argc * sizeof(*v));
	v[argc] = arg;
	return v;
}

static int create(int argc, char **argv, int sub)
{
	struct create c = { .n = 0 };
	struct guestcfg g;
	struct hv_err e = { 0 };
	int rc;

	if (!parse_create(argc - sub, argv + sub, &c))
		return pass_on(argv);
	rc = guestcfg_read(c.file, c.extra, c.n, &g, &e);
	if (rc == -ENOENT)
		return pass_on(argv);		/* xl says what is wrong with the file */
	if (!rc && !c.dry)
		rc = guestcfg_record(&g, HV_STATE_DIR, &e);
	if (rc) {
		guestcfg_free(&g);
		return say(e.text);
	}
	/* without a uuid of its own the guest gets the one that its name gives: the same each time */
	if (g.n && !g.own_uuid)
		argv = with_uuid(argc, argv, g.uuid);
	guestcfg_free(&g);
	return pass_on(argv);
}

/* ---- save, migrate ---- */

static bool has_devices(const char *domain)
{
	struct hvdrv *h;
	char *json = NULL;
	bool has = false;

	if (!hvdrv_open(&h) && !hvdrv_list(h, domain, &json))
		has = strcmp(json, "[]") != 0 && strcmp(json, "[ ]") != 0;
	free(json);
	hvdrv_close(h);
	return has;
}

static int leave(int argc, char **argv, int sub)
{
	bool migrate = !strcmp(argv[sub], "migrate");
	char text[260];

	opterr = 0;
	optind = 0;
	while (getopt_long(argc - sub, argv + sub, migrate ? "+FC:s:eDp" : "+cpD", (struct option[]){
			{ "debug", 0, NULL, 1 }, { "live", 0, NULL, 1 }, { "postcopy", 0, NULL, 1 }, { NULL, 0, NULL, 0 } },
			NULL) != -1)
		;
	if (optind >= argc - sub || !has_devices(argv[sub + optind]))
		return pass_on(argv);
	snprintf(text, sizeof(text), "%.60s has hvdrv devices, which %s would destroy: detach them first (`hvdrv list %.60s`)",
		 argv[sub + optind], migrate ? "migration" : "save", argv[sub + optind]);
	return say(text);
}

/* xl takes a subcommand by any beginning that is its alone; `shortest` is that. */
static bool is_sub(const char *word, const char *name, size_t shortest)
{
	size_t n = strlen(word);

	return n >= shortest && n <= strlen(name) && !strncmp(word, name, n);
}

int main(int argc, char **argv)
{
	int sub = 1;

	/* xl's own options stand before the subcommand */
	while (sub < argc && argv[sub][0] == '-')
		sub++;
	if (sub == argc)
		return pass_on(argv);
	if (!strncmp(argv[sub], "hvdrv-", 6))
		return run_hvdrv(argv + sub - 1, argv[sub] + 6);
	if (is_sub(argv[sub], "create", 2))
		return create(argc, argv, sub);
	if (is_sub(argv[sub], "save", 2) || !strcmp(argv[sub], "migrate"))
		return leave(argc, argv, sub);
	return pass_on(argv);
}
