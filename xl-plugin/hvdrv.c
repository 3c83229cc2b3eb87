// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv(1): options, commands, and those that change something. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "util/exit.h"
#include "util/str.h"

static const struct option long_opts[] = {
	{ "json", 0, NULL, 'J' }, { "bytes", 0, NULL, 'b' }, { "force", 0, NULL, 'f' }, { "persist", 0, NULL, 'p' }, { "revoked", 0, NULL, 'r' },
	{ "timeout", 1, NULL, 't' }, { "deadline", 1, NULL, 'd' }, { "dry-run", 0, NULL, 'n' }, { "refresh", 0, NULL, 'R' }, { "path", 1, NULL, 'P' },
	{ "batch", 0, NULL, 'B' }, { "iterations", 1, NULL, 'i' }, { "delay", 1, NULL, 'D' },
	{ "help", 0, NULL, 'h' }, { "version", 0, NULL, 'V' }, { NULL, 0, NULL, 0 }
};

static int usage_error(const char *what)
{
	fprintf(stderr, "hvdrv: %s; try `hvdrv --help`\n", what);
	return HV_EXIT_USAGE;
}

int cli_fail(struct opts *o, int rc, const char *dom, const char *name)
{
	char safe[2048];
	/* a guest's own words may be in it */
	const char *why = hv_str_escape(hvdrv_error(o->h), safe, sizeof(safe));

	if (dom && name)
		fprintf(stderr, "hvdrv: %s/%s: %s\n", dom, name, why);
	else
		fprintf(stderr, "hvdrv: %s\n", why);
	return hv_exit_status(rc);
}

/* ---- attach, detach, resize ---- */

static int cmd_attach(struct opts *o)
{
	char disk[32], safe[40];
	int rc;

	rc = hvdrv_attach(o->h, o->argv[0], o->argv[1], o->argv[2], o->timeout, o->persist ? HVDRV_PERSIST : 0, disk);
	if (rc)
		return cli_fail(o, rc, o->argv[0], o->argv[1]);
	printf("/dev/%s\n", hv_str_escape(disk, safe, sizeof(safe)));
	return 0;
}

static int cmd_detach(struct opts *o)
{
	int rc;

	if (o->force)
		fprintf(stderr, "hvdrv: %s/%s: by force: requests in flight end with an error, what the guest has not flushed is lost\n",
			o->argv[0], o->argv[1]);
	rc = hvdrv_detach(o->h, o->argv[0], o->argv[1], o->timeout,
			  (o->force ? HVDRV_FORCE : 0) | (o->persist ? HVDRV_PERSIST : 0));
	return rc ? cli_fail(o, rc, o->argv[0], o->argv[1]) : 0;
}

static int cmd_resize(struct opts *o)
{
	uint64_t bytes;
	char size[32];
	int rc;

	rc = hvdrv_resize(o->h, o->argv[0], o->argv[1], o->timeout, &bytes);
	if (rc)
		return cli_fail(o, rc, o->argv[0], o->argv[1]);
	human_size(bytes, size, sizeof(size));
	printf("%s\n", size);
	return 0;
}

static bool is_direct(const struct opts *o)
{
	return o->path && !strcmp(o->path, "direct");
}

static int dry_run(struct opts *o)
{
	char *says;
	int rc = hvdrv_retarget_dry_run(o->h, o->argv[0], o->argv[1], is_direct(o) ? "direct" : o->argv[2], &says);

	if (rc)
		return cli_fail(o, rc, o->argv[0], o->argv[1]);
	printf("%s\n", says);
	free(says);
	return 0;
}

static void print_switch(const char *to, const struct hvdrv_switch *sw)
{
	printf("%s, switch %llu: freeze %.3f ms, stall %.3f ms, carried %llu ready, %llu begun, %llu done\n", to,
	       (unsigned long long)sw->seq, sw->freeze_ns / 1e6, sw->stall_ns / 1e6, (unsigned long long)sw->ready,
	       (unsigned long long)sw->begun, (unsigned long long)sw->done);
}

static int refresh(struct opts *o)
{
	struct hvdrv_switch sw;
	int rc;

	if (o->argc != 2 || o->dry || o->path)
		return usage_error("retarget --refresh needs a guest and a device's name, and nothing else");
	rc = hvdrv_refresh(o->h, o->argv[0], o->argv[1], o->deadline_ns, o->timeout, &sw);
	if (rc)
		return cli_fail(o, rc, o->argv[0], o->argv[1]);
	if (sw.seq)
		print_switch("refreshed", &sw);
	else
		printf("it has the driver that fits best already\n");
	return 0;
}

static int cmd_retarget(struct opts *o)
{
	struct hvdrv_switch sw;
	int rc;

	if (o->refresh)
		return refresh(o);
	if (o->argc != 3)
		return usage_error("retarget needs a guest, a device's name, and virtual, paravirtual or auto");
	if (strcmp(o->argv[2], "virtual") && strcmp(o->argv[2], "paravirtual") && strcmp(o->argv[2], "auto"))
		return usage_error("retarget: the mode is virtual, paravirtual or auto");
	if (is_direct(o) && strcmp(o->argv[2], "paravirtual"))
		return usage_error("retarget: --path direct is of mode paravirtual");
	if (o->dry)
		return dry_run(o);
	/* first: what is refused here has changed nothing */
	rc = o->path && !is_direct(o) ? hvdrv_set_path(o->h, o->argv[0], o->argv[1], o->path, o->timeout) : 0;
	if (rc)
		return cli_fail(o, rc, o->argv[0], o->argv[1]);
	rc = hvdrv_retarget(o->h, o->argv[0], o->argv[1], is_direct(o) ? "direct" : o->argv[2], o->deadline_ns, o->timeout, &sw);
	if (rc)
		return cli_fail(o, rc, o->argv[0], o->argv[1]);
	if (!strcmp(o->argv[2], "auto"))
		printf("left to policy\n");
	else if (!sw.seq)
		printf("%s already\n", o->argv[2]);
	else
		print_switch(o->argv[2], &sw);
	return 0;
}

static int cmd_weight(struct opts *o)
{
	uint64_t weight;
	int rc;

	if (hv_str_u64(o->argv[2], 1000, &weight) || !weight)
		return usage_error("weight: a number from 1 to 1000");
	rc = hvdrv_weight(o->h, o->argv[0], o->argv[1], weight, o->timeout);
	return rc ? cli_fail(o, rc, o->argv[0], o->argv[1]) : 0;
}

static const struct {
	const char *name;
	int (*fn)(struct opts *);
	const char *help;
	int min, max;			/* arguments */
	const char *usage;
} cmds[] = {
	{ "list", cmd_list, "[DOM]                              devices of a guest, or of all", 0, 1,
	  "list takes one guest, or none for all" },
	{ "attach", cmd_attach, "DOM NAME class=block,backend=PATH[,ro][,shared][,size=N]", 3, 3,
	  "attach needs a guest, a device's name, and class=block,backend=PATH[,...]" },
	{ "detach", cmd_detach, "DOM NAME [--force]                 flush and take away", 2, 2,
	  "detach needs a guest and a device's name" },
	{ "resize", cmd_resize, "DOM NAME                           the backend has grown", 2, 2,
	  "resize needs a guest and a device's name" },
	{ "retarget", cmd_retarget, "DOM NAME virtual|paravirtual|auto  replace the driver in place", 2, 3,
	  "retarget needs a guest, a device's name, and virtual, paravirtual or auto" },
	{ "weight", cmd_weight, "DOM NAME N                         its part of a backend with depth=, 1 to 1000", 3, 3,
	  "weight needs a guest, a device's name, and a number" },
	{ "show", cmd_show, "DOM [NAME]                         everything, with counters", 1, 2,
	  "show needs a guest, and takes a device" },
	{ "events", cmd_events, "[DOM]                              switches and states as they come", 0, 1,
	  "events takes one guest, or none for all" },
	{ "top", cmd_top, "[DOM]                              what the devices do, every few seconds", 0, 1,
	  "top takes one guest, or none for all" },
	{ "metrics", cmd_metrics, "                                   all counters, as text for Prometheus", 0, 0,
	  "metrics takes no argument" },
	{ "check", cmd_check, "[DOM]                              what is wrong, and what to do", 0, 1,
	  "check takes one guest, or none for all" },
};
#define NCMDS (sizeof(cmds) / sizeof(cmds[0]))

static int help(void)
{
	printf("usage: hvdrv [COMMAND] ...   devices of guests whose drivers this host places, see hvdrv(1)\n\n");
	for (size_t i = 0; i < NCMDS; i++)
		printf("  %-8s %s\n", cmds[i].name, cmds[i].help);
	printf("\n  --json          list, show, events, check: JSON\n  --bytes         list: sizes in bytes\n"
	       "  --revoked       list: only where the key that has signed the driver is not good any more\n"
	       "  --timeout S     attach, detach, resize, retarget, weight: limit [30]\n"
	       "  --deadline NS   retarget: limit of the pause [30000000]\n"
	       "  --dry-run       retarget: could it? change nothing\n"
	       "  --refresh       retarget: in the mode that it has, by the driver that fits best now\n"
	       "  --path PATH     retarget: how data moves from now on: auto, pool, copy, direct\n"
	       "  --persist       attach: comes with the guest from now on; detach: no more\n"
	       "  --force         detach: also when it is in use\n"
	       "  --batch         top: tables one after the other\n"
	       "  --iterations N  top: so many [no end]\n"
	       "  --delay S       top: seconds between two [3]\n");
	return 0;
}

/* For the shell's completion: the words that may come next, one per line. */
static int complete(int argc, char **argv)
{
	if (argc <= 1) {
		for (size_t i = 0; i < NCMDS; i++)
			puts(cmds[i].name);
		return 0;
	}
	for (const struct option *l = long_opts; l->name; l++)
		printf("--%s\n", l->name);
	(void)argv;
	return 0;
}

/* Seconds, with a fraction or without. */
static int parse_delay(const char *text, unsigned int *ms)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s >= 0.1 && s <= 3600))
		return -EINVAL;
	*ms = s * 1000;
	return 0;
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct opts *o)
{
	uint64_t v;
	int c;

	while ((c = getopt_long(argc, argv, "JbfpnBt:d:P:i:D:hV", long_opts, NULL)) != -1) {
		switch (c) {
		case 'J': o->json = true; break;
		case 'b': o->bytes = true; break;
		case 'f': o->force = true; break;
		case 'p': o->persist = true; break;
		case 'n': o->dry = true; break;
		case 'r': o->revoked = true; break;
		case 'R': o->refresh = true; break;
		case 't':
			if (hv_str_u64(optarg, 3600, &v) || !v)
				return usage_error("--timeout: 1 to 3600 seconds");
			o->timeout = v;
			break;
		case 'd':
			if (hv_str_u64(optarg, 60000000000ull, &v) || !v)
				return usage_error("--deadline: 1 to 60000000000 nanoseconds");
			o->deadline_ns = v;
			break;
		case 'P': o->path = optarg; break;
		case 'B': o->batch = true; break;
		case 'i':
			if (hv_str_u64(optarg, 1000000000, &v) || !v)
				return usage_error("--iterations: 1 to 1000000000");
			o->iterations = v;
			break;
		case 'D':
			if (parse_delay(optarg, &o->delay_ms))
				return usage_error("--delay: 0.1 to 3600 seconds");
			break;
		case 'h': return help();
		case 'V': printf("hvdrv %s\n", PACKAGE_VERSION); return 0;
		default: return HV_EXIT_USAGE;
		}
	}
	o->argc = argc - optind;
	o->argv = argv + optind;
	return -1;
}

static void on_signal(int sig)
{
}

static int run(struct opts *o, int (*fn)(struct opts *))
{
	struct sigaction sa = { .sa_handler = on_signal };	/* no SA_RESTART: a waiting call returns and undoes */
	int rc = hvdrv_open(&o->h);

	if (rc) {
		int st = o->h ? cli_fail(o, rc, NULL, NULL) : HV_EXIT_FAILED;

		hvdrv_close(o->h);
		return st;
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	rc = fn(o);
	hvdrv_close(o->h);
	return rc;
}

int main(int argc, char **argv)
{
	struct opts o = { .timeout = 30, .delay_ms = 3000 };
	const char *name = "list";
	int st;

	if (argc > 1 && !strcmp(argv[1], "complete"))
		return complete(argc - 2, argv + 2);
	st = parse(argc, argv, &o);
	if (st >= 0)
		return st;
	if (o.argc) {
		name = *o.argv++;
		o.argc--;
	}
	for (size_t i = 0; i < NCMDS; i++) {
		if (strcmp(cmds[i].name, name))
			continue;
		if (o.argc < cmds[i].min || o.argc > cmds[i].max)
			return usage_error(cmds[i].usage);
		if (o.dry && cmds[i].fn != cmd_retarget)
			return usage_error("--dry-run is for retarget only");
		if (o.refresh && cmds[i].fn != cmd_retarget)
			return usage_error("--refresh is for retarget only");
		if (o.revoked && cmds[i].fn != cmd_list)
			return usage_error("--revoked is for list only");
		return run(&o, cmds[i].fn);
	}
	fprintf(stderr, "hvdrv: no command \"%s\"; try `hvdrv --help`\n", name);
	return HV_EXIT_USAGE;
}
