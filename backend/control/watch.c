// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv-watch beside hvdrvd: started, and started again when it ends; the one of a former hvdrvd is waited for. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon.h"
#include "util/file.h"

#define FORMER_LIMIT 10		/* s: the watcher of a former hvdrvd lets its guests run and ends */

extern char **environ;

struct watcher {
	struct daemon *d;
	pid_t pid;
	int lock;			/* the open file that it holds, too */
	int pidfd;			/* of the watcher */
	struct event *ended;
};

void switch_dir(const struct daemon *d, char *path, size_t size)
{
	snprintf(path, size, "%s/switch", d->opt.run);
}

static int take_lock(const char *dir, struct hv_err *e)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return hv_err(e, errno, "%s: %s", path, strerror(errno));
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (i >= FORMER_LIMIT * 20) {
			close(fd);
			return hv_err(e, EBUSY, "the hvdrv-watch of a former hvdrvd does not end: see what it waits for");
		}
		usleep(50000);
	}
	return fd;
}

static int above_10(int fd)
{
	int up = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);

	if (fd >= 0)
		close(fd);
	return up;
}

static int spawn(struct watcher *w, struct hv_err *e)
{
	int self = above_10(syscall(SYS_pidfd_open, getpid(), 0)), rc;
	char prog[512], dir[256];
	char *argv[] = { "hvdrv-watch", dir, NULL };
	posix_spawn_file_actions_t fa;

	snprintf(prog, sizeof(prog), "%s/hvdrv-watch", w->d->opt.libexec);
	switch_dir(w->d, dir, sizeof(dir));
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, self, 3);
	posix_spawn_file_actions_adddup2(&fa, w->lock, 4);
	rc = self < 0 ? errno : posix_spawn(&w->pid, prog, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (self >= 0)
		close(self);
	if (rc)
		return hv_err(e, rc, "%s cannot be started: %s", prog, strerror(rc));
	w->pidfd = syscall(SYS_pidfd_open, w->pid, 0);
	return 0;
}

static void on_ended(evutil_socket_t fd, short what, void *arg);

static int start(struct watcher *w, struct hv_err *e)
{
	int rc = spawn(w, e);

	if (rc)
		return rc;
	w->ended = event_new(w->d->base, w->pidfd, EV_READ, on_ended, w);
	event_add(w->ended, NULL);
	return 0;
}

static void forget(struct watcher *w)
{
	event_free(w->ended);
	close(w->pidfd);
	w->ended = NULL;
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct watcher *w = arg;
	struct hv_err e = { 0 };

	waitpid(w->pid, NULL, 0);
	forget(w);
	hv_log(HV_WARN, NULL, "hvdrv-watch has ended: started again");
	usleep(50000);			/* one that cannot start must not take all the time */
	if (start(w, &e))
		hv_log(HV_ERROR, NULL, "%s: a guest would stay paused if hvdrvd died in a switch", e.text);
}

int watch_start(struct daemon *d, struct hv_err *e)
{
	struct watcher *w = calloc(1, sizeof(*w));
	char dir[256];
	int rc;

	if (!w)
		return hv_err(e, ENOMEM, "no memory");
	w->d = d;
	switch_dir(d, dir, sizeof(dir));
	rc = hv_mkdirs(dir, 0700);
	if (rc) {
		free(w);
		return hv_err(e, -rc, "%s: %s", dir, strerror(-rc));
	}
	w->lock = above_10(take_lock(dir, e));
	rc = w->lock < 0 ? -e->code : start(w, e);
	if (rc) {
		free(w);
		return rc;
	}
	d->watcher = w;
	return 0;
}

/* It ends by itself when hvdrvd has. */
void watch_stop(struct daemon *d)
{
	if (!d->watcher)
		return;
	if (d->watcher->ended)
		forget(d->watcher);
	close(d->watcher->lock);
	free(d->watcher);
	d->watcher = NULL;
}

pid_t watch_pid(const struct daemon *d)
{
	return d->watcher && d->watcher->ended ? d->watcher->pid : 0;
}
