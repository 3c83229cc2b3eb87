// SPDX-License-Identifier: GPL-2.0-only
/*
 * hvdrv-repo in a process of its own: the daemon runs no compiler and knows no secret key. One at a time; devices
 * that wait are looked at again when it has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon.h"

extern char **environ;

struct generator {
	struct daemon *d;
	struct hv_os os;		/* for whom, */
	char what[128];			/* and for what: class, mode, device */
	pid_t pid;			/* 0: none runs */
	int out;
	struct event *readable;
	size_t len;
	char text[400];			/* the end of what it printed */
	enum generate_state result;	/* of the last one; NONE once it was asked for */
};

static void wake_waiting(struct daemon *d)
{
	struct dom *dom, *ndom;
	struct dev *v, *next;

	TAILQ_FOREACH_SAFE(dom, &d->doms, link, ndom)
		TAILQ_FOREACH_SAFE(v, &dom->devs, link, next)
			if (v->phase == DEV_GENERATING)
				dev_reconcile(v);
}

static void ended(struct generator *g)
{
	int st;

	event_free(g->readable);
	close(g->out);
	waitpid(g->pid, &st, 0);
	g->pid = 0;
	g->text[g->len] = 0;
	g->text[strcspn(g->text, "\n")] = 0;
	g->result = WIFEXITED(st) && !WEXITSTATUS(st) ? GENERATE_DONE : GENERATE_FAILED;
	wake_waiting(g->d);
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
	struct generator *g = arg;
	char sink[512];
	ssize_t n;

	if (g->len < sizeof(g->text) - 1)
		n = read(fd, g->text + g->len, sizeof(g->text) - 1 - g->len);
	else
		n = read(fd, sink, sizeof(sink));
	if (n > 0 && g->len < sizeof(g->text) - 1)
		g->len += n;
	else if (n <= 0)
		ended(g);
}

static int spawn_repo(struct generator *g, const char *class, const char *mode, const char *device, struct hv_err *e)
{
	const struct options *o = &g->d->opt;
	char *argv[] = {
		(char *)o->generator, "--repo", (char *)o->repo, "--keys", (char *)o->keys, "generate", "--class",
		(char *)class, "--mode", (char *)mode, "--os-type", g->os.type, "--os-release", g->os.release, "--os-arch",
		g->os.arch, "--os-abi", g->os.abi, "--os-features", g->os.features, device ? "--device" : NULL, (char *)device, NULL,
	};
	posix_spawn_file_actions_t fa;
	int p[2], rc;

	if (pipe2(p, O_CLOEXEC))
		return hv_err(e, errno, "pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	posix_spawn_file_actions_adddup2(&fa, p[1], 2);
	rc = posix_spawn(&g->pid, o->generator, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	if (rc) {
		close(p[0]);
		g->pid = 0;
		return hv_err(e, rc, "%s cannot be started: %s", o->generator, strerror(rc));
	}
	g->out = p[0];
	return 0;
}

static void name_it(char *to, size_t size, const char *class, const char *mode, const char *device)
{
	snprintf(to, size, "%s %s %s", class, mode, device ? device : "");
}

int generate_start(struct daemon *d, const struct hv_os *os, const char *class, const char *mode, const char *device,
		   struct hv_err *e)
{
	struct generator *g = d->generator;
	int rc;

	if (!g) {
		g = d->generator = calloc(1, sizeof(*g));
		if (!g)
			return hv_err(e, ENOMEM, "no memory");
		g->d = d;
	}
	g->os = *os;
	name_it(g->what, sizeof(g->what), class, mode, device);
	g->len = 0;
	g->result = GENERATE_NONE;
	rc = spawn_repo(g, class, mode, device, e);
	if (rc)
		return rc;
	g->readable = event_new(d->base, g->out, EV_READ | EV_PERSIST, on_output, g);
	event_add(g->readable, NULL);
	return 0;
}

bool generate_busy(const struct daemon *d)
{
	return d->generator && d->generator->pid;
}

enum generate_state generate_state(struct daemon *d, const struct hv_os *os, const char *class, const char *mode, const char *device,
				   struct hv_err *e)
{
	struct generator *g = d->generator;
	enum generate_state st;
	char what[sizeof(g->what)];

	if (generate_busy(d))
		return GENERATE_RUNS;
	name_it(what, sizeof(what), class, mode, device);
	if (!g || memcmp(&g->os, os, sizeof(*os)) || strcmp(g->what, what))
		return GENERATE_NONE;
	st = g->result;
	g->result = GENERATE_NONE;
	if (st == GENERATE_FAILED)
		hv_err(e, ENOENT, "%s", g->text);
	return st;
}

int generate_check(struct daemon *d, struct hv_err *e)
{
	if (d->opt.no_generate)
		return hv_err(e, ENOENT, "hvdrvd does not generate");
	if (access(d->opt.generator, X_OK))
		return hv_err(e, errno, "%s: %s", d->opt.generator, strerror(errno));
	return 0;
}

void generate_stop(struct daemon *d)
{
	struct generator *g = d->generator;

	if (g && g->pid) {
		kill(g->pid, SIGTERM);
		event_free(g->readable);
		close(g->out);
		waitpid(g->pid, NULL, 0);
	}
	free(g);
	d->generator = NULL;
}
