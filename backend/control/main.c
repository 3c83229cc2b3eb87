// SPDX-License-Identifier: GPL-2.0-only
/* hvdrvd(8): options, start, stop. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "core/floor.h"
#include "core/store.h"
#include "daemon.h"
#include "util/exit.h"
#include "util/file.h"
#include "util/notify.h"
#include "util/str.h"

#define WORKER_UID 2000000000u		/* a range that neither adduser nor systemd hands out */

#define HOLD_DOWN 10u			/* s */

static const struct option long_opts[] = {
	{ "repo", 1, NULL, 'r' }, { "keys", 1, NULL, 'k' }, { "state", 1, NULL, 's' }, { "run", 1, NULL, 'R' },
	{ "libexec", 1, NULL, 'x' }, { "generator", 1, NULL, 'g' }, { "worker-uid", 1, NULL, 'u' },
	{ "hold-down", 1, NULL, 'H' }, { "no-generate", 0, NULL, 'n' }, { "verbose", 0, NULL, 'v' }, { "help", 0, NULL, 'h' }, { "version", 0, NULL, 'V' },
	{ NULL, 0, NULL, 0 }
};

static int help(void)
{
	printf("usage: hvdrvd [OPTION...]   serves the hvdrv devices of this host's guests, see hvdrvd(8)\n\n"
	       "  --repo DIR         driver images [" HV_REPO_DIR "]\n"
	       "  --keys DIR         keys whose signatures are trusted [" HV_KEYS_DIR "]\n"
	       "  --state DIR        recorded devices [" HV_STATE_DIR "]\n"
	       "  --run DIR          sockets [" HV_RUN_DIR "]\n"
	       "  --hold-down S      seconds between automatic switches of one device [%u]\n"
	       "  --no-generate      place only what the repository has\n"
	       "  --worker-uid N     uid of domain d's worker is N + d [%u]\n"
	       "  --verbose          log more\n", HOLD_DOWN, WORKER_UID);
	return 0;
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
	uint64_t uid, seconds;
	int c;

	while ((c = getopt_long(argc, argv, "", long_opts, NULL)) != -1) {
		switch (c) {
		case 'r': o->repo = optarg; break;
		case 'k': o->keys = optarg; break;
		case 's': o->state = optarg; break;
		case 'R': o->run = optarg; break;
		case 'x': o->libexec = optarg; break;
		case 'g': o->generator = optarg; break;
		case 'n': o->no_generate = true; break;
		case 'v': hv_log_verbose(1); break;
		case 'u':
			if (hv_str_u64(optarg, UINT32_MAX - 65536, &uid) || uid < 1000) {
				fprintf(stderr, "hvdrvd: --worker-uid %s: must be a number from 1000 on\n", optarg);
				return HV_EXIT_USAGE;
			}
			o->worker_uid = uid;
			break;
		case 'H':
			if (hv_str_u64(optarg, 86400, &seconds) || !seconds) {
				fprintf(stderr, "hvdrvd: --hold-down %s: must be 1 to 86400 seconds\n", optarg);
				return HV_EXIT_USAGE;
			}
			o->hold_down_ns = seconds * 1000000000ll;
			break;
		case 'h': return help();
		case 'V': printf("hvdrvd %s\n", PACKAGE_VERSION); return 0;
		default: return HV_EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "hvdrvd: %s: no arguments are taken, see --help\n", argv[optind]);
	return HV_EXIT_USAGE;
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	if (d->stopping)
		return;
	hv_notify("STOPPING=1");
	hv_log(HV_INFO, NULL, "stopping: the workers finish what they have begun");
	requests_stop(d);
	scan_stop(d);
}

/* One hvdrvd per host: a lock that falls with the process. */
static int lock_run_dir(struct daemon *d, struct hv_err *e)
{
	char path[256];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/worker", d->opt.run);
	rc = hv_mkdirs(path, 0755);
	if (rc)
		return hv_err(e, -rc, "%s: %s", path, strerror(-rc));
	snprintf(path, sizeof(path), "%s/lock", d->opt.run);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return hv_err(e, errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return hv_err(e, EBUSY, "another hvdrvd runs already (%s is locked)", path);
	return 0;			/* kept open for good */
}

/* What an attach needs and is opened only then: whoever is told that hvdrvd serves must not find that it cannot. */
static int can_serve(struct daemon *d, struct hv_err *e)
{
	struct hv_keyring ring;
	struct hv_floor floor;
	char path[512];
	int fd, rc = hv_store_check(d->opt.repo, e);

	if (!rc)
		rc = hv_keyring_load(d->opt.keys, &ring, e);
	if (rc)
		return rc;
	hv_keyring_free(&ring);
	rc = hv_floor_load(d->opt.state, &floor, e);
	if (rc)
		return rc;
	hv_floor_free(&floor);
	snprintf(path, sizeof(path), "%s/hvdrv-worker", d->opt.libexec);
	if (access(path, X_OK))
		return hv_err(e, errno, "%s: %s", path, strerror(errno));
	fd = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return hv_err(e, errno, "/dev/xen/evtchn: %s: is xen-evtchn loaded, and may this service use it?", strerror(errno));
	close(fd);
	return 0;
}

/* systemd tries again at once and for ever: not ten lines a second for what only an admin can mend. */
static void say_cannot_serve(const struct hv_err *e)
{
	char status[sizeof(e->text) + 32];

	hv_log(HV_ERROR, NULL, "hvdrvd cannot serve: %s", e->text);
	if (!getenv("NOTIFY_SOCKET"))
		return;
	snprintf(status, sizeof(status), "STATUS=cannot serve: %s", e->text);
	hv_notify(status);
	sleep(1);
}

static int run(struct daemon *d, struct hv_err *e)
{
	struct event *term, *intr;
	int rc = lock_run_dir(d, e);

	if (rc)
		return rc;
	d->host = hv_host_xen_open(e);
	if (!d->host)
		return -e->code;
	rc = can_serve(d, e);
	if (rc) {
		hv_host_close(d->host);
		return rc;
	}
	d->base = event_base_new();
	rc = watch_start(d, e);
	if (!rc)
		rc = requests_start(d, e);
	if (!rc)
		rc = scan_start(d, e);
	if (!rc) {
		term = evsignal_new(d->base, SIGTERM, on_stop, d);
		intr = evsignal_new(d->base, SIGINT, on_stop, d);
		event_add(term, NULL);
		event_add(intr, NULL);
		hv_log(HV_INFO, NULL, "hvdrvd %s serves", PACKAGE_VERSION);
		hv_notify("READY=1\nSTATUS=serving");
		event_base_dispatch(d->base);
		event_free(term);
		event_free(intr);
	}
	requests_stop(d);
	events_stop(d);
	generate_stop(d);
	keepers_stop(d);
	share_stop(d);
	watch_stop(d);
	if (d->store_event)
		event_free(d->store_event);
	event_base_free(d->base);
	hv_host_close(d->host);
	return rc;
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.opt = { .repo = HV_REPO_DIR, .keys = HV_KEYS_DIR, .state = HV_STATE_DIR, .run = HV_RUN_DIR,
			 .libexec = HV_LIBEXEC_DIR, .generator = HV_BIN_DIR "/hvdrv-repo", .xen_state = "/var/lib/xen", .worker_uid = WORKER_UID,
			 .hold_down_ns = HOLD_DOWN * 1000000000ll },
	};
	struct hv_err e = { 0 };
	int st = parse(argc, argv, &d.opt);

	if (st >= 0)
		return st;
	TAILQ_INIT(&d.doms);
	TAILQ_INIT(&d.shares);
	signal(SIGPIPE, SIG_IGN);
	if (sodium_init() < 0)
		return HV_EXIT_FAILED;
	st = run(&d, &e);
	if (st)
		say_cannot_serve(&e);
	return hv_exit_status(st);
}
