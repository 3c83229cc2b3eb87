// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a worker's death would do on each path. The victim is like a worker: io_uring, O_DIRECT, SIGKILL while requests are in flight. In
 * its own memory nothing may come of it; in mapped pages of the guest the kernel takes the pages out of the process before the I/O has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gntdev.h"
#include "hvdrv/abi.h"
#include "mapcost.h"

#define REQUESTS 8u
#define APART 65536u		/* so that the block layer makes no fewer of them */
#define READS_AFTER 20

/* ---- dom0's kernel log ---- */

static const char *const faults[] = {
	"BUG: Bad page map", "BUG: Bad page state", "BUG: Bad rss-counter", "BUG:", "WARNING:", "Oops", "general protection",
};
#define FAULTS (sizeof(faults) / sizeof(faults[0]))

/* Its end. A read gives a record. */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* What came since; closes it. The number of lines that should not be there. */
static unsigned int log_tell(int fd)
{
	unsigned int count[FAULTS] = { 0 }, all = 0;
	char line[2048];

	for (;;) {
		ssize_t n = read(fd, line, sizeof(line) - 1);
		const char *text;
		size_t k = 0;

		if (n < 0 && errno == EPIPE)	/* some were lost: go on with the oldest */
			continue;
		if (n <= 0)
			break;
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		text = strchr(line, ';');
		while (text && k < FAULTS && !strstr(text, faults[k]))
			k++;
		if (!text || k == FAULTS)
			continue;
		if (!count[k]++)
			printf("    first: %s\n", text + 1);
		all++;
	}
	close(fd);
	for (size_t k = 0; k < FAULTS; k++)
		if (count[k])
			printf("    %u times %s\n", count[k], faults[k]);
	return all;
}

/* ---- the victim ---- */

/* 0 written to `ready`: all of its reads are in flight, and it waits for its end. Else what the first brought, much too early. */
static void victim(const struct mapcost *parent, const char *slow, bool mapped, int ready)
{
	struct __kernel_timespec moment = { .tv_nsec = 100000000 };
	int fd = open(slow, O_RDONLY | O_DIRECT | O_CLOEXEC), early;
	struct mapcost m = *parent;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint8_t *va;

	if (fd < 0 || mapcost_open_guest(&m) || io_uring_queue_init(REQUESTS, &ring, 0))
		_exit(1);
	va = mapped ? gntdev_map(m.gntdev, m.domid, m.ref[PART_MAP], REQUESTS) :
		mmap(NULL, REQUESTS * HVDRV_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!va || va == MAP_FAILED)
		_exit(1);
	for (unsigned int i = 0; i < REQUESTS; i++)
		io_uring_prep_read(io_uring_get_sqe(&ring), fd, va + (size_t)i * HVDRV_PAGE, HVDRV_PAGE, (uint64_t)i * APART);
	if (io_uring_submit(&ring) != (int)REQUESTS)
		_exit(1);
	early = io_uring_wait_cqe_timeout(&ring, &cqe, &moment) ? 0 : cqe->res;
	if (write(ready, &early, sizeof(early)) != sizeof(early))
		_exit(1);
	for (;;)
		pause();
}

/* Requests that the block device has. */
static unsigned int in_flight(const char *dev)
{
	unsigned int reads = 0, writes = 0;
	char path[64];
	struct stat st;
	FILE *f;

	if (stat(dev, &st))
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/inflight", major(st.st_rdev), minor(st.st_rdev));
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%u %u", &reads, &writes) != 2)
		reads = writes = 0;
	fclose(f);
	return reads + writes;
}

static int kill_one(const struct mapcost *m, const char *slow, bool mapped, unsigned int *lines, struct hv_err *e)
{
	unsigned int before, after;
	int ready[2], log, early = 0, rc = 0;
	pid_t pid;

	log = log_open();
	if (log < 0 || pipe(ready))
		return hv_err(e, errno, "/dev/kmsg or a pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(ready[0]);
		victim(m, slow, mapped, ready[1]);
	}
	close(ready[1]);
	if (pid < 0 || read(ready[0], &early, sizeof(early)) != sizeof(early) || early < 0)
		rc = hv_err(e, EIO, "the process that is to be killed cannot read %s: %s", slow, strerror(-early));
	close(ready[0]);
	before = in_flight(slow);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	after = in_flight(slow);
	while (in_flight(slow))
		usleep(100000);
	usleep(500000);		/* for what the end of the I/O sets off */
	if (!rc && (!before || !after))
		rc = hv_err(e, EIO, "%s is too fast: %u requests in flight before the kill, %u after, the first brought %d", slow,
			    before, after, early);
	if (!rc)
		printf("killed with %u reads in flight into %s, gone with %u in flight; kernel log:\n", before,
		       mapped ? "mapped pages of the guest" : "memory of its own", after);
	*lines = log_tell(log);
	if (!rc && !*lines)
		printf("    silent\n");
	return rc;
}

/* Is dom0 as it was? Reads into pages mapped anew, by a living process. */
static void reads_after(const struct mapcost *m)
{
	unsigned int fail = 0, wrong = 0, n;
	const struct mapcost_way *w = mapcost_ways(&n);

	while (strcmp(w->name, "map, read into it, unmap"))
		w++;
	for (unsigned int i = 0; i < READS_AFTER; i++) {
		int rc = mapcost_verify(m, w, MAPCOST_PAGES, 0);

		wrong += rc == -EBADMSG;
		fail += rc && rc != -EBADMSG;
	}
	printf("afterwards, of %d reads into pages mapped anew: %u fail, %u bring something else\n", READS_AFTER, fail, wrong);
}

int mapcost_kill(const struct mapcost *m, const char *slow, struct hv_err *e)
{
	unsigned int own = 0, mapped = 0;
	int rc = kill_one(m, slow, false, &own, e);

	if (rc)
		return rc;
	reads_after(m);
	rc = kill_one(m, slow, true, &mapped, e);
	if (rc)
		return rc;
	reads_after(m);
	printf("path copy or pool %s such a kill, path map or window %s it\n", own ? "does not survive" : "survives",
	       mapped ? "does not survive" : "survives");
	return 0;
}
