// SPDX-License-Identifier: LGPL-2.1-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/journal.h"

static void path_of(const char *dir, uint32_t domid, uint32_t id, char *path, size_t size)
{
	snprintf(path, size, "%s/%u.%u", dir, domid, id);
}

static struct hv_journal *map(int fd)
{
	void *p = mmap(NULL, sizeof(struct hv_journal), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct hv_journal *hv_journal_new(const char *dir, uint32_t domid, uint32_t id, struct hv_err *e)
{
	struct hv_journal *j = NULL;
	char path[256];
	int fd, rc;

	path_of(dir, domid, id, path, sizeof(path));
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	/* all its pages now: a full file system must not be met in the middle of a switch */
	rc = fd < 0 ? errno : posix_fallocate(fd, 0, sizeof(*j));
	if (!rc) {
		j = map(fd);
		rc = j ? 0 : errno;
	}
	if (fd >= 0)
		close(fd);
	if (rc) {
		hv_err(e, rc, "%s: %s", path, strerror(rc));
		if (fd >= 0)
			unlink(path);		/* or the next hvdrvd would tell of it as damaged */
		return NULL;
	}
	/* every page is touched now: a fault in the pause would be a part of it */
	memset(j, 0, sizeof(*j));
	j->size = sizeof(*j);
	j->domid = domid;
	j->id = id;
	j->version = HV_JOURNAL_VERSION;
	__atomic_store_n(&j->magic, HV_JOURNAL_MAGIC, __ATOMIC_RELEASE);
	return j;
}

void hv_journal_set(struct hv_journal *j, enum hv_journal_state s)
{
	__atomic_store_n(&j->state, s, __ATOMIC_SEQ_CST);
}

void hv_journal_end(const char *dir, struct hv_journal *j)
{
	char path[256];

	if (!j)
		return;
	path_of(dir, j->domid, j->id, path, sizeof(path));
	unlink(path);
	munmap(j, sizeof(*j));
}

/* NULL: *why says. */
static struct hv_journal *load(const char *path, const char **why)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct hv_journal *j = NULL;
	struct stat st;

	*why = NULL;
	if (fd < 0 || fstat(fd, &st))
		*why = strerror(errno);
	else if (st.st_size < (off_t)sizeof(*j) || !(j = map(fd)))
		*why = "it is shorter than a journal";
	else if (j->magic != HV_JOURNAL_MAGIC)
		*why = "it is no journal";
	else if (j->version != HV_JOURNAL_VERSION || j->size != sizeof(*j))
		*why = "it was written by another version of hvdrvd";
	else if (j->offer.num_queues > HVDRV_MAX_QUEUES || j->offer.depth > HVDRV_MAX_DEPTH)
		*why = "it is damaged";
	if (fd >= 0)
		close(fd);
	if (*why && j)
		munmap(j, sizeof(*j));
	return *why ? NULL : j;
}

void hv_journal_each(const char *dir, bool (*fn)(void *arg, struct hv_journal *j, const char *why), void *arg)
{
	DIR *dp = opendir(dir);
	struct dirent *de;
	char path[256];
	const char *why;
	unsigned int domid, id;

	while (dp && (de = readdir(dp))) {
		struct hv_journal *j;

		if (sscanf(de->d_name, "%u.%u", &domid, &id) != 2)
			continue;
		path_of(dir, domid, id, path, sizeof(path));
		j = load(path, &why);
		if (fn(arg, j, why))
			unlink(path);
		if (j)
			munmap(j, sizeof(*j));
	}
	if (dp)
		closedir(dp);
}

/* The guest is paused, and nobody else knows: what was overwritten comes back. */
static int put_back(struct hv_host *h, struct hv_journal *j, struct hv_err *e)
{
	struct hv_slot slot;
	struct hv_swap swap;
	int rc = hv_slot_map(h, j->domid, &j->offer, j->foreign, &slot, e);

	if (rc)
		return rc;
	rc = hv_swap_open(h, j->domid, &j->offer, &slot, &j->saved, &swap, e);
	if (!rc)
		hv_swap_restore(&swap);
	hv_swap_close(h, &swap);
	hv_slot_unmap(h, &slot);
	return rc;
}

static int let_run(struct hv_host *h, uint32_t domid, struct hv_err *e)
{
	int rc = h->ops->unpause(h, domid);

	return rc ? hv_err(e, -rc, "it cannot be unpaused: %s", strerror(-rc)) : 0;
}

int hv_journal_recover(struct hv_host *h, struct hv_journal *j, struct hv_err *e)
{
	uint32_t state = __atomic_load_n(&j->state, __ATOMIC_SEQ_CST);
	struct hv_domain d;
	int rc = 0;

	if (state != HV_JOURNAL_PAUSING && state != HV_JOURNAL_RESUMING)
		return 0;
	/* a switch does not begin with a guest that somebody has paused: a pause that is there is its own */
	if (h->ops->domain(h, j->domid, &d) || d.dying || !d.paused) {
		hv_journal_set(j, state == HV_JOURNAL_PAUSING ? HV_JOURNAL_NONE : HV_JOURNAL_RESUMED);
		return 0;
	}
	if (state == HV_JOURNAL_PAUSING && j->saved.valid)
		rc = put_back(h, j, e);
	if (rc)
		return rc;
	/* once: whoever dies behind this line leaves a guest that is paused, not one that is unpaused twice */
	hv_journal_set(j, state == HV_JOURNAL_PAUSING ? HV_JOURNAL_NONE : HV_JOURNAL_RESUMED);
	return let_run(h, j->domid, e);
}
