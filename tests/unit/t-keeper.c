// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv-keeper on a controller of ours: no page is unmapped while a queue names it, whatever fails and whenever it dies. */
#include "keeper/keeper.h"
#include "unit.h"

#define GRANTED 6
#define USED 2			/* the kernel's: 1 and 2 */
#define NO_SUCH 0x4101		/* with Do Not Retry */
#define NO_SUCH_CQ 0x4100
#define IN_USE 0x410c

/* The controller, dom0's mappings, and how often something is still to go well. */
static struct machine {
	bool sq[16], cq[16];
	int mapped;
	uint32_t gone;		/* this guest's pages cannot be mapped */
	int fail_in;		/* the n-th command from now; 0: none */
	int fail_with;
	int kernel;
	unsigned int refused;	/* commands that delete a completion queue which is in use */
	bool says_cq;		/* of one that is not there */
} m;

static const struct keep_device one = { 5, 0 }, two = { 5, 1 };

static int admin(void *arg, uint8_t opcode, uint32_t nsid, void *data, uint32_t len, uint32_t cdw10, uint32_t cdw11, uint32_t *result)
{
	uint32_t qid = cdw10 & 0xffff;
	uint8_t *page = data;

	if (m.fail_in && !--m.fail_in)
		return m.fail_with;
	switch (opcode) {
	case 0x0a:
		*result = (GRANTED - 1) | (GRANTED + 3) << 16;
		return 0;
	case 0x06:
		memset(page, 0, len);
		page[77] = 7;
		page[256] = 0x2a;
		page[257] = 1;
		page[520] = 0x5c;
		return 0;
	case 0x05:
		ck_assert_uint_gt(qid, USED);
		ck_assert_uint_eq(cdw11, 1);		/* contiguous, no interrupts */
		ck_assert_uint_eq(cdw10 >> 16, KEEP_ENTRIES - 1);
		ck_assert(m.mapped && !m.cq[qid] && data);
		m.cq[qid] = true;
		return 0;
	case 0x01:
		ck_assert(m.cq[qid] && !m.sq[qid] && data);
		ck_assert_uint_eq(cdw11, 1 | qid << 16);
		m.sq[qid] = true;
		return 0;
	case 0x00:
		ck_assert_int_gt(qid, m.kernel);	/* never the kernel's */
		if (!m.sq[qid])
			return NO_SUCH;
		m.sq[qid] = false;
		return 0;
	case 0x04:
		ck_assert_int_gt(qid, m.kernel);
		m.refused += m.sq[qid];
		if (m.sq[qid])
			return IN_USE;
		if (!m.cq[qid])
			return m.says_cq ? NO_SUCH_CQ : NO_SUCH;
		m.cq[qid] = false;
		return 0;
	}
	ck_abort_msg("opcode %u", opcode);
	return -1;
}

static void *map(void *arg, uint32_t domid, const uint32_t *refs, unsigned int n)
{
	if (domid == m.gone) {
		errno = EINVAL;
		return NULL;
	}
	m.mapped++;
	return calloc(n, HVDRV_PAGE);
}

static bool any_queue(void)
{
	for (int i = m.kernel + 1; i < 16; i++)		/* that is not the kernel's */
		if (m.sq[i] || m.cq[i])
			return true;
	return false;
}

static int unmap(void *arg, void *va, unsigned int n)
{
	ck_assert_int_gt(m.mapped, 0);
	ck_assert(m.mapped > 1 || !any_queue());	/* of one device: nothing may be there any more */
	m.mapped--;
	free(va);
	return 0;
}

static int kernel_queues(void *arg)
{
	return m.kernel;
}

static const struct keeper_ops ops = { admin, map, unmap, kernel_queues };

static void start(struct keeper *k)
{
	struct hv_err e = { 0 };

	*k = (struct keeper){ .ops = &ops, .file = strdup(unit_path("list")) };
	ck_assert_msg(!keeper_recover(k, &e), "%s", e.text);
}

static void begin(struct keeper *k)
{
	memset(&m, 0, sizeof(m));
	m.kernel = USED;
	start(k);
}

/* Dies: its mappings go, the queues stay. */
static void die(struct keeper *k)
{
	struct kept *p;

	TAILQ_FOREACH(p, &k->all, link)
		free(p->map);
	m.mapped = 0;
	keeper_list_free(&k->all);
	free((char *)k->file);
}

static struct keep_add *pages(uint32_t queues)
{
	static struct keep_add a;

	memset(&a, 0, sizeof(a));
	a.num_queues = queues;
	a.queue_pages = 66;
	a.num_pages = queues * 66 + 256;
	for (uint32_t i = 0; i < a.num_pages; i++)
		a.ref[i] = 1000 + i * 7;
	return &a;
}

/* Two pairs of one's: 3 and 4. */
static void begin_with_one(struct keeper *k)
{
	struct hv_err e = { 0 };
	uint32_t qid[HVDRV_MAX_QUEUES];

	begin(k);
	ck_assert_int_eq(keeper_add(k, &one, pages(2), qid, &e), 0);
}

static unsigned int lines(void)
{
	size_t len = 0;
	char *text = unit_read(unit_path("list"), &len);
	unsigned int n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	free(text);
	return n ? n - 2 : 0;		/* no file yet: none */
}

START_TEST(life)
{
	struct keep_controller c;
	struct hv_err e = { 0 };
	uint32_t qid[HVDRV_MAX_QUEUES];
	struct keeper k;

	begin(&k);
	ck_assert_int_eq(keeper_ask(&k, 1, &c, &e), 0);
	ck_assert_uint_eq(c.granted, GRANTED);
	ck_assert_uint_eq(c.used, USED);
	ck_assert_uint_eq(c.spare, GRANTED - USED);
	ck_assert(c.oacs & 1 << 8);
	ck_assert_uint_eq(c.mdts, 7);
	ck_assert_int_eq(keeper_add(&k, &one, pages(3), qid, &e), 0);
	ck_assert(qid[0] == 3 && qid[1] == 4 && qid[2] == 5);
	ck_assert_uint_eq(lines(), 1);
	ck_assert_int_eq(keeper_add(&k, &one, pages(3), qid, &e), 0);		/* once more: made anew */
	ck_assert(qid[0] == 3 && qid[2] == 5 && m.mapped == 1);
	ck_assert_uint_eq(lines(), 1);
	ck_assert_int_eq(keeper_add(&k, &two, pages(2), qid, &e), -ENOSPC);
	ck_assert_int_eq(m.mapped, 1);
	ck_assert_int_eq(keeper_add(&k, &two, pages(1), qid, &e), 0);
	ck_assert_uint_eq(qid[0], 6);
	ck_assert_int_eq(keeper_ask(&k, 1, &c, &e), 0);
	ck_assert_uint_eq(c.spare, 0);
	ck_assert_int_eq(keeper_del(&k, &one, &e), 0);
	ck_assert_int_eq(keeper_del(&k, &one, &e), 0);				/* once more: nothing to do */
	ck_assert_int_eq(m.mapped, 1);
	ck_assert_int_eq(keeper_del(&k, &two, &e), 0);
	ck_assert(!any_queue() && !m.mapped);
	ck_assert_uint_eq(lines(), 0);
	ck_assert_uint_eq(m.refused, 0);		/* the submission queue first */
	die(&k);
}
END_TEST

/* The controller forgets all queues; the kernel makes its own again, maybe more of them. */
static void reset(int kernels)
{
	memset(m.sq, 0, sizeof(m.sq));
	memset(m.cq, 0, sizeof(m.cq));
	m.kernel = kernels;
	for (int q = 1; q <= kernels; q++)
		m.sq[q] = m.cq[q] = true;
}

static bool lost(const struct keeper *k, const struct keep_device *dev)
{
	const struct kept *p;

	TAILQ_FOREACH(p, &k->all, link)
		if (p->dev.domid == dev->domid && p->dev.id == dev->id)
			return p->lost;
	ck_abort_msg("device %u is not kept", dev->id);
	return false;
}

/* Asking changes nothing; after a reset all that there was is known to be lost, what was made since is not, and all can be deleted. */
START_TEST(controller_is_reset)
{
	struct hv_err e = { 0 };
	uint32_t qid[HVDRV_MAX_QUEUES];
	struct keeper k;

	begin(&k);
	m.says_cq = _i & 1;
	ck_assert_int_eq(keeper_add(&k, &one, pages(2), qid, &e), 0);
	ck_assert(!keeper_check(&k) && m.refused == 2 && !lost(&k, &one));
	ck_assert(m.sq[3] && m.cq[3] && m.sq[4] && m.cq[4]);
	reset(USED + (_i >> 1));		/* from 1 on: the kernel has taken numbers of ours */
	m.fail_in = 1;
	m.fail_with = _i % 2 ? 0x06 : -EINTR;
	ck_assert(keeper_check(&k) == (m.kernel == USED) && lost(&k, &one) == (m.kernel != USED));
	m.fail_in = 0;
	ck_assert(!keeper_check(&k) && lost(&k, &one));
	if (m.kernel < GRANTED - 1) {
		ck_assert_int_eq(keeper_add(&k, &two, pages(1), qid, &e), 0);
		ck_assert(!keeper_check(&k) && !lost(&k, &two));
		ck_assert_int_eq(keeper_del(&k, &two, &e), 0);
	}
	ck_assert_int_eq(m.mapped, 1);
	ck_assert_msg(!keeper_del(&k, &one, &e), "%s", e.text);
	ck_assert(!m.mapped && m.sq[m.kernel] && m.cq[m.kernel] && !m.sq[m.kernel + 1]);
	reset(0);
	die(&k);
}
END_TEST

/* A queue that is there without its submission queue, and a keeper that was away when the controller was reset. */
START_TEST(reset_unseen)
{
	struct hv_err e = { 0 };
	struct keeper k;

	begin_with_one(&k);
	die(&k);
	if (_i)
		reset(USED);
	else
		m.sq[4] = false;
	start(&k);
	ck_assert(!keeper_check(&k) && lost(&k, &one));
	ck_assert_int_eq(keeper_del(&k, &one, &e), 0);
	ck_assert_int_eq(m.mapped, 0);
	reset(0);
	die(&k);
}
END_TEST

#define U(text) text, sizeof(text)		/* with its NUL */
#define DEVICE "change@/devices/pci0000:00/0000:00:04.0/nvme/"

static const struct {
	const char *text;
	size_t len;
	bool is;
} uevents[] = {
	{ U(DEVICE "nvme0\0ACTION=change"), true }, { U(DEVICE "nvme0"), true }, { DEVICE "nvme0", sizeof(DEVICE "nvme0") - 1, false },
	{ U(DEVICE "nvme10"), false }, { U("add@/devices/xnvme0"), false }, { U(DEVICE "nvme0/nvme0n1"), false }, { U("nvme0"), false },
	{ U("/nvme0"), true }, { U(""), false }, { "", 0, false },
};

START_TEST(uevent)
{
	ck_assert_int_eq(keeper_witness_is_of(uevents[_i].text, uevents[_i].len, "nvme0"), uevents[_i].is);
}
END_TEST

/* The _i-th command fails, of making and of deleting: what is there is mapped and in the list, and goes when it can. */
START_TEST(any_failure)
{
	struct hv_err e = { 0 };
	uint32_t qid[HVDRV_MAX_QUEUES];
	struct keeper k;
	int rc;

	begin(&k);
	m.fail_in = _i + 1;
	m.fail_with = _i % 2 ? 0x06 : -EINTR;
	rc = keeper_add(&k, &one, pages(2), qid, &e);
	if (!rc)
		rc = keeper_del(&k, &one, &e);
	ck_assert_int_eq(!rc, m.fail_in > 0);
	if (any_queue()) {
		ck_assert_int_eq(m.mapped, 1);
		ck_assert_uint_eq(lines(), 1);
	}
	keeper_retry(&k);
	if (!TAILQ_EMPTY(&k.all))
		ck_assert_int_eq(keeper_del(&k, &one, &e), 0);
	ck_assert(!any_queue() && !m.mapped);
	ck_assert_uint_eq(lines(), 0);
	die(&k);
}
END_TEST

START_TEST(killed)
{
	struct hv_err e = { 0 };
	struct keeper k;

	begin_with_one(&k);
	die(&k);
	ck_assert(m.sq[3] && m.cq[4]);
	m.gone = _i ? one.domid : 0;
	start(&k);
	if (_i) {			/* its guest has gone meanwhile: first of all the queues go */
		ck_assert(!any_queue() && !m.mapped);
		ck_assert_uint_eq(lines(), 0);
	} else {			/* kept on, the same */
		ck_assert(m.sq[3] && m.sq[4] && m.mapped == 1);
		ck_assert_uint_eq(TAILQ_FIRST(&k.all)->pages.ref[1], 1007);
		ck_assert_int_eq(keeper_del(&k, &one, &e), 0);
		ck_assert(!any_queue() && !m.mapped);
	}
	die(&k);
}
END_TEST

/* Nobody knows whose queues there are: none stays, and none of the kernel's goes. */
START_TEST(damaged)
{
	static const char *const what[] = {
		"", "x", "hvdrv-keeper", "hvdrv-keeper 1", "hvdrv-keeper 1\n", "hvdrv-keeper 1\nend", "hvdrv-keeper 1\n5 0 1 2 2 3 1\nend\n",
		"hvdrv-keeper 1\n5 0 1 2 2 3 1 2 3\nend\n", "hvdrv-keeper 1\n5 0 1 2 1 3 1\nend\n", "hvdrv-keeper 1\n5 0 9 2 18 3 1 2\nend\n",
		"hvdrv-keeper 1\n5 0 0 2 2 1 2\nend\n", "hvdrv-keeper 1\n5 0 1 2 2 0 1 2\nend\n", "hvdrv-keeper 1\n5 0 1 2 2 3 1 -2\nend\n",
		"hvdrv-keeper 1\n5 0 1 2 2 3 1 4294967296\nend\n", "hvdrv-keeper 1\n99999 0 1 2 2 3 1 2\nend\n",
		"hvdrv-keeper 1\n5 0 1 2 2 3 1 2\nend\nend\n",
	};
	struct hv_err e = { 0 };
	struct keeper k;

	memset(&m, 0, sizeof(m));
	m.kernel = USED;
	m.sq[1] = m.cq[1] = m.sq[4] = m.cq[4] = m.cq[6] = true;
	for (size_t i = 0; i < N(what); i++) {
		struct kept_list all;

		ck_assert_msg(keeper_list_parse(what[i], &all, &e) == -EINVAL, "%s", what[i]);
	}
	unit_write(unit_path("list"), what[6], strlen(what[6]));
	start(&k);
	ck_assert(m.sq[1] && m.cq[1] && !m.sq[4] && !m.cq[4] && !m.cq[6]);
	ck_assert_uint_eq(lines(), 0);
	die(&k);
}
END_TEST

START_TEST(newer)
{
	static const char text[] = "hvdrv-keeper 2\nend\n";
	struct keeper k = { .ops = &ops, .file = unit_path("list") };
	struct hv_err e = { 0 };

	memset(&m, 0, sizeof(m));
	m.sq[4] = m.cq[4] = true;
	unit_write(k.file, text, strlen(text));
	ck_assert_int_eq(keeper_recover(&k, &e), -ENOTSUP);
	ck_contains(e.text, "version 2");
	ck_assert(m.sq[4]);
}
END_TEST

START_TEST(insane)
{
	struct keep_add *a = pages(1);
	uint32_t qid[HVDRV_MAX_QUEUES];
	struct hv_err e = { 0 };
	struct keeper k;

	begin(&k);
	a->num_queues = _i == 0 ? 0 : _i == 1 ? HVDRV_MAX_QUEUES + 1 : 1;
	a->queue_pages = _i == 2 ? 1 : _i == 3 ? HVDRV_MAX_QUEUE_PAGES + 1 : 66;
	a->num_pages = _i == 4 ? 65 : _i == 5 ? KEEP_PAGES + 1 : 66;
	ck_assert_int_eq(keeper_add(&k, &one, a, qid, &e), -EINVAL);
	ck_assert(!any_queue() && !m.mapped);
	die(&k);
}
END_TEST

Suite *unit_suite(void)
{
	const TTest *const plain[] = { life, damaged, newer, NULL };
	Suite *s = unit_new("keeper", plain);

	unit_loop(s, "any failure", any_failure, 12);
	unit_loop(s, "killed", killed, 2);
	unit_loop(s, "controller is reset", controller_is_reset, 6);
	unit_loop(s, "reset unseen", reset_unseen, 2);
	unit_loop(s, "uevent", uevent, N(uevents));
	unit_loop(s, "insane", insane, 6);
	return s;
}
