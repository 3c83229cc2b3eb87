// SPDX-License-Identifier: LGPL-2.1-only
/* What can be wrong around the devices: hvdrvd, hvdrv-watch, workers, journals. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "api/check.h"
#include "util/file.h"

#define ANSWER_LIMIT 5		/* s: hvdrvd answers a ping */
#define JOURNAL_LIMIT 5		/* s: a switch takes less, but for the time in which its image is made: no journal yet */

uint64_t hv_check_number(struct json_object *row, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(row, key, &v) ? json_object_get_uint64(v) : 0;
}

const char *hv_check_text(struct json_object *row, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(row, key, &v) && v ? json_object_get_string(v) : "";
}

static void copy(struct json_object *to, const char *key, struct json_object *row, const char *from)
{
	struct json_object *v = NULL;

	if (row)
		json_object_object_get_ex(row, from, &v);
	json_object_object_add(to, key, json_object_get(v));
}

void hv_check_found(struct hv_check *c, struct json_object *row, const char *code, const char *why, const char *todo,
		    const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_object_add(o, "code", json_object_new_string(code));
	copy(o, "domain", row, "domain");
	copy(o, "domid", row, "domid");
	copy(o, "device", row, "name");
	json_object_object_add(o, "what", json_object_new_string(text));
	json_object_object_add(o, "why", json_object_new_string(why));
	json_object_object_add(o, "do", json_object_new_string(todo));
	json_object_array_add(c->findings, o);
}

/* ---- processes ---- */

char hv_check_process(uint64_t pid)
{
	char path[64], line[512], *end;

	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	if (hv_file_line(path, line, sizeof(line)))
		return 0;
	end = strrchr(line, ')');		/* behind the name, which may hold anything */
	return end && end[1] == ' ' ? end[2] : 0;
}

bool hv_check_replaced(uint64_t pid)
{
	static const char mark[] = " (deleted)";
	char path[64], target[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%llu/exe", (unsigned long long)pid);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = 0;
	return n > (ssize_t)strlen(mark) && !strcmp(target + n - strlen(mark), mark);
}

static void check_watch(struct hv_check *c, uint64_t pid)
{
	static const char why[] = "if hvdrvd died in a switch now, the guest would stay paused until it is started again";
	char state = pid ? hv_check_process(pid) : 0;
	char todo[80];

	if (!state || state == 'Z') {
		hv_check_found(c, NULL, "watch-not-running", why, "restart hvdrvd: `systemctl restart hvdrvd`", "hvdrv-watch is not running");
	} else if (state == 'T' || state == 't') {
		snprintf(todo, sizeof(todo), "let it go on: `kill -CONT %llu`", (unsigned long long)pid);
		hv_check_found(c, NULL, "watch-stopped", why, todo, "hvdrv-watch (process %llu) is stopped", (unsigned long long)pid);
	}
}

static void check_version(struct hv_check *c, struct json_object *pong)
{
	const char *version = hv_check_text(pong, "version");

	if (strcmp(version, PACKAGE_VERSION))
		hv_check_found(c, NULL, "hvdrvd-version", "one of them may not know what the other says",
			       "restart hvdrvd, or install one version of both", "hvdrvd has version %.20s, this command %s", version,
			       PACKAGE_VERSION);
	else if (hv_check_replaced(hv_check_number(pong, "pid")))
		hv_check_found(c, NULL, "hvdrvd-replaced", "the new one is not used yet",
			       "restart it: `systemctl restart hvdrvd`; guests go on", "the program of hvdrvd was replaced since it was started");
}

/* 0: hvdrvd was asked; -EPERM: whoever asks may not know. */
static int check_daemon(struct hv_check *c)
{
	static const char why[] = "nothing can be attached, detached or switched";
	struct json_object *pong = NULL;
	int rc = hv_api_ask(c->h, hv_api_question("ping"), ANSWER_LIMIT, &pong);

	if (rc == -EPERM)
		return rc;
	c->daemon = !rc;
	if (rc == -ECONNREFUSED) {
		hv_check_found(c, NULL, "hvdrvd-not-running", why, "start it: `systemctl start hvdrvd`", "hvdrvd is not running");
	} else if (rc) {
		hv_check_found(c, NULL, "hvdrvd-silent", why, "see its log and its state in `ps`; then `systemctl restart hvdrvd`",
			       "hvdrvd does not answer within %d s", ANSWER_LIMIT);
	} else {
		check_version(c, pong);
		check_watch(c, hv_check_number(pong, "watch_pid"));
	}
	json_object_put(pong);
	return 0;
}

static void check_worker(struct hv_check *c, struct json_object *row)
{
	static const char why[] = "requests of the guest wait";
	uint64_t pid = hv_check_number(row, "worker_pid");
	char state = pid ? hv_check_process(pid) : 0;
	bool served = hv_is(hv_check_text(row, "phase"), "connected");
	char todo[120];

	if (state == 'T' || state == 't') {
		snprintf(todo, sizeof(todo), "let it go on: `kill -CONT %llu`", (unsigned long long)pid);
		hv_check_found(c, row, "worker-stopped", why, todo, "its worker (process %llu) is stopped", (unsigned long long)pid);
	} else if (served && (!state || state == 'Z')) {
		hv_check_found(c, row, "worker-missing", why, "see hvdrvd's log: another one should have taken over; detach it and attach it again",
			       "it has no worker");
	} else if (json_object_object_get_ex(row, "worker_silent", NULL)) {
		hv_check_found(c, row, "worker-silent", "its counters are not known, and requests of the guest may wait",
			       "see what its backend waits for", "its worker (process %llu) does not answer", (unsigned long long)pid);
	} else if (state && hv_check_replaced(pid)) {
		hv_check_found(c, row, "worker-replaced", "the new one is not used yet",
			       "restart hvdrvd: `systemctl restart hvdrvd`; guests go on",
			       "the program of its worker was replaced since it was started");
	}
}

/* ---- folders of a device whose other folders are gone ---- */

static void check_admin_folder(struct hv_check *c, const char *uuid, const char *id, const uint32_t *only)
{
	struct hv_host *h = c->h->host;
	uint64_t domid = hv_read_u64(h, 0, UINT32_MAX, HV_ADMIN "/%s/%s/domid", uuid, id);
	char *name;

	if (!domid || (only && domid != *only))
		return;			/* without domid it is no device: one that is being made or removed */
	name = hv_readf(h, 0, HV_BACK "/%llu/%s/name", (unsigned long long)domid, id);
	if (!name)
		hv_check_found(c, NULL, "key-missing", "nobody serves the device that this folder is about",
			       "remove it with xenstore-rm; restart hvdrvd, and attach the device again",
			       "the folder " HV_BACK "/%llu/%s is missing beside " HV_ADMIN "/%.40s/%s", (unsigned long long)domid, id, uuid, id);
	free(name);
}

static void check_admin_folders(struct hv_check *c, const uint32_t *only)
{
	unsigned int n, m;
	char **uuids = hv_listf(c->h->host, &n, HV_ADMIN);

	for (unsigned int i = 0; i < n; i++) {
		char **ids = hv_listf(c->h->host, &m, HV_ADMIN "/%s", uuids[i]);

		for (unsigned int k = 0; k < m; k++)
			check_admin_folder(c, uuids[i], ids[k], only);
		free(ids);
	}
	free(uuids);
}

/* ---- journals of switches ---- */

static bool switching(struct json_object *rows, unsigned int domid, unsigned int id)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (hv_check_number(row, "domid") == domid && hv_check_number(row, "id") == id)
			return json_object_object_get_ex(row, "switch_ns", NULL);
	}
	return false;
}

static void check_journal(struct hv_check *c, const char *dir, const char *name, struct json_object *rows, const uint32_t *only)
{
	unsigned int domid, id;
	char path[300], end;
	struct stat st;

	if (sscanf(name, "%u.%u%c", &domid, &id, &end) != 2 || (only && domid != *only))
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (stat(path, &st) || time(NULL) - st.st_mtime <= JOURNAL_LIMIT || (c->daemon && switching(rows, domid, id)))
		return;
	hv_check_found(c, NULL, "journal-left", "a switch did not end: the guest may be paused, or its device held",
		       c->daemon ? "restart hvdrvd: `systemctl restart hvdrvd`; it finishes or undoes it" :
		       "start hvdrvd: it finishes or undoes it", "%s: a switch of device %u of domain %u", path, id, domid);
}

static void check_journals(struct hv_check *c, struct json_object *rows, const uint32_t *only)
{
	static const char dir[] = HV_RUN_DIR "/switch";
	struct dirent *de;
	DIR *d = opendir(dir);

	while (d && (de = readdir(d)))
		check_journal(c, dir, de->d_name, rows, only);
	if (d)
		closedir(d);
}

/* ---- all ---- */

static int check_all(struct hv_check *c, struct json_object *rows, const uint32_t *only)
{
	int rc = check_daemon(c);

	if (rc)
		return rc;
	if (c->daemon)
		c->daemon = !hv_api_details(c->h, rows, true);
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (c->daemon)
			check_worker(c, row);
		hv_check_device(c, row);
	}
	check_admin_folders(c, only);
	check_journals(c, rows, only);
	return 0;
}

int hvdrv_check(struct hvdrv *h, const char *domain, char **json)
{
	struct hv_check c = { .h = h };
	struct json_object *rows;
	uint32_t domid;
	int rc = domain ? hv_domain_find(h->host, domain, &domid, &h->e) : 0;

	if (!rc)
		rc = hv_api_rows(h, domain, &rows);
	if (rc)
		return rc;
	c.findings = json_object_new_array();
	rc = check_all(&c, rows, domain ? &domid : NULL);
	json_object_put(rows);
	if (!rc)
		return hv_api_text(h, c.findings, json);
	json_object_put(c.findings);
	return rc;
}
