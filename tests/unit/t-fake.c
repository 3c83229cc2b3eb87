// SPDX-License-Identifier: GPL-2.0-only
/* The fake refuses what Xen refuses: other tests lean on it. */
#include <poll.h>
#include <unistd.h>
#include "guests.h"
#include "unit.h"

#define HOME "/local/domain/5"

static void done(struct world *w)
{
	hv_host_close(w->h);
	hv_host_close(w->g);
	hv_host_close(w->other);
	fake_free(w->f);
}

static bool reads_as(struct hv_host *h, const char *path, const char *want)
{
	char *v = h->ops->read(h, 0, path);
	bool same = v ? want && !strcmp(v, want) : !want;

	free(v);
	return same;
}

START_TEST(nodes)
{
	struct world w = world();
	unsigned int n, before = fake_nodes(w.f);
	char **l;

	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/a/b/c", "1"), 0);
	ck_assert(reads_as(w.h, "/a/b/c", "1"));
	ck_assert(reads_as(w.h, "/a/b", ""));
	ck_assert(reads_as(w.h, "/a/x", NULL));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(w.h->ops->mkdir(w.h, 0, "/a/b/c"), 0);	/* is there: stays as it is */
	ck_assert(reads_as(w.h, "/a/b/c", "1"));
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/a/bb", "2"), 0);
	l = w.h->ops->list(w.h, 0, "/a", &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(l[0], "b");
	ck_assert_str_eq(l[1], "bb");
	free(l);
	ck_assert_int_eq(w.h->ops->rm(w.h, 0, "/a/b"), 0);
	ck_assert(reads_as(w.h, "/a/bb", "2"));
	ck_assert_int_eq(w.h->ops->rm(w.h, 0, "/a/b"), 0);
	ck_assert_int_eq(w.h->ops->rm(w.h, 0, "/a"), 0);
	ck_assert_uint_eq(fake_nodes(w.f), before);
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "relative", "1"), -EINVAL);
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/a//b", "1"), -EINVAL);
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/a b", "1"), -EINVAL);
	done(&w);
}
END_TEST

START_TEST(rights)
{
	const struct hv_perms to_guest = { 5, 0 }, readable = { 0, 5 };
	struct world w = world();

	/* its home is dom0's: it can read and make nothing there */
	ck_assert(reads_as(w.g, HOME "/name", "web1"));
	ck_assert_int_eq(w.g->ops->write(w.g, 0, HOME "/name", "x"), -EACCES);
	ck_assert_int_eq(w.g->ops->write(w.g, 0, HOME "/new", "x"), -EACCES);
	ck_assert_int_eq(w.g->ops->mkdir(w.g, 0, "/tool"), -EACCES);
	ck_assert_int_eq(w.g->ops->rm(w.g, 0, HOME), -EACCES);
	ck_assert_int_eq(w.g->ops->rm(w.g, 0, HOME "/none"), -EACCES);
	ck_assert(reads_as(w.other, HOME "/name", NULL));
	ck_assert_int_eq(errno, EACCES);
	/* what is its own it can fill and give to nobody else */
	ck_assert_int_eq(w.g->ops->write(w.g, 0, HOME "/data/x/y", "1"), 0);
	ck_assert_uint_eq(fake_perms(w.f, HOME "/data/x/y")->owner, 5);
	ck_assert_int_eq(w.g->ops->set_perms(w.g, 0, HOME "/data/x", &readable), -EPERM);
	ck_assert_int_eq(w.g->ops->set_perms(w.g, 0, HOME "/name", &to_guest), -EACCES);
	/* dom0's keys in a guest's folder are the guest's */
	ck_assert_int_eq(w.h->ops->write(w.h, 0, HOME "/data/key", "1"), 0);
	ck_assert_uint_eq(fake_perms(w.f, HOME "/data/key")->owner, 5);
	ck_assert_int_eq(w.h->ops->set_perms(w.h, 0, HOME "/data/key", &readable), 0);
	ck_assert_int_eq(w.g->ops->write(w.g, 0, HOME "/data/key", "2"), -EACCES);
	ck_assert(reads_as(w.g, HOME "/data/key", "1"));
	done(&w);
}
END_TEST

START_TEST(transactions)
{
	struct world w = world();
	hv_txn t, u;

	ck_assert_int_eq(w.h->ops->begin(w.h, &t), 0);
	ck_assert_int_eq(w.h->ops->write(w.h, t, "/a", "1"), 0);
	ck_assert(reads_as(w.h, "/a", NULL));			/* not yet */
	ck_assert_int_eq(w.h->ops->end(w.h, t, true), 0);
	ck_assert(reads_as(w.h, "/a", NULL));			/* never */
	ck_assert_int_eq(w.h->ops->begin(w.h, &t), 0);
	ck_assert_int_eq(w.h->ops->begin(w.h, &u), 0);
	ck_assert_int_eq(w.h->ops->write(w.h, t, "/a", "1"), 0);
	ck_assert_int_eq(w.h->ops->write(w.h, u, "/a", "2"), 0);
	ck_assert_int_eq(w.h->ops->end(w.h, t, false), 0);
	ck_assert_int_eq(w.h->ops->end(w.h, u, false), -EAGAIN);
	ck_assert(reads_as(w.h, "/a", "1"));
	ck_assert_int_eq(w.h->ops->write(w.h, u, "/a", "3"), -ENOENT);	/* it is over */
	fake_conflict(w.f, 1);
	ck_assert_int_eq(w.h->ops->begin(w.h, &t), 0);
	ck_assert_int_eq(w.h->ops->end(w.h, t, false), -EAGAIN);
	ck_assert_int_eq(w.h->ops->begin(w.h, &t), 0);
	ck_assert_int_eq(w.g->ops->write(w.g, t, HOME "/data/x", "1"), -ENOENT);	/* another's */
	ck_assert_int_eq(w.h->ops->end(w.h, t, false), 0);
	done(&w);
}
END_TEST

static bool readable(struct hv_host *h)
{
	struct pollfd p = { .fd = h->ops->watch_fd(h), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static bool event_is(struct hv_host *h, const char *want)
{
	char *got = h->ops->next_event(h);
	bool same = got ? want && !strcmp(got, want) : !want;

	free(got);
	return same;
}

START_TEST(watches)
{
	struct world w = world();
	hv_txn t;

	ck_assert(!readable(w.h));
	ck_assert_int_eq(w.h->ops->watch(w.h, "/a"), 0);
	ck_assert_int_eq(w.h->ops->watch(w.h, "/a"), -EEXIST);
	ck_assert(readable(w.h) && event_is(w.h, "/a") && event_is(w.h, NULL) && !readable(w.h));
	w.h->ops->write(w.h, 0, "/a/b", "1");
	w.h->ops->write(w.h, 0, "/ab", "1");
	ck_assert(event_is(w.h, "/a/b") && event_is(w.h, NULL));
	w.h->ops->begin(w.h, &t);
	w.h->ops->write(w.h, t, "/a/c", "1");
	ck_assert(event_is(w.h, NULL));
	w.h->ops->end(w.h, t, false);
	ck_assert(event_is(w.h, "/a/c"));
	ck_assert_int_eq(w.h->ops->watch(w.h, "@releaseDomain"), 0);
	ck_assert(event_is(w.h, "@releaseDomain"));
	fake_domain_die(w.f, 6);
	ck_assert(event_is(w.h, "@releaseDomain"));
	w.h->ops->rm(w.h, 0, "/a");
	ck_assert(event_is(w.h, "/a"));
	ck_assert_int_eq(w.h->ops->unwatch(w.h, "/a"), 0);
	ck_assert_int_eq(w.h->ops->unwatch(w.h, "/a"), -ENOENT);
	w.h->ops->write(w.h, 0, "/a/b", "1");
	ck_assert(event_is(w.h, NULL));
	/* a guest hears nothing of what it cannot read */
	w.g->ops->watch(w.g, "/");
	ck_assert(event_is(w.g, "/"));
	w.h->ops->write(w.h, 0, "/a/secret", "1");
	ck_assert(event_is(w.g, NULL));
	w.h->ops->write(w.h, 0, HOME "/note", "1");
	ck_assert(event_is(w.g, HOME "/note"));
	ck_assert_uint_eq(fake_watches(w.f), 2);
	done(&w);
}
END_TEST

START_TEST(memory)
{
	struct world w = world();
	uint32_t rw = fake_grant(w.f, 5, 10, false), ro = fake_grant(w.f, 5, 11, true), refs[2];
	uint64_t gfns[2] = { 30, 20 }, beyond = FAKE_PAGES;
	struct hv_copy c[3];
	char buf[16] = "to the guest";
	uint8_t *m;

	strcpy(fake_page(w.f, 5, 10), "hello");
	strcpy(fake_page(w.f, 5, 11), "read me");
	memset(c, 0, sizeof(c));
	c[0] = (struct hv_copy){ .local = buf, .ref = ro, .off = 5, .len = 3 };
	c[1] = (struct hv_copy){ .local = buf, .ref = ro, .len = 3, .to_guest = true };
	c[2] = (struct hv_copy){ .local = buf, .ref = 500, .len = 3 };
	ck_assert_int_eq(w.h->ops->copy(w.h, 5, c, 3), 0);
	ck_assert_int_eq(c[0].status, 0);
	ck_assert_mem_eq(buf, "me", 3);
	ck_assert_int_eq(c[1].status, -1);
	ck_assert_int_eq(c[2].status, -1);
	c[0] = (struct hv_copy){ .local = buf, .ref = rw, .off = 4094, .len = 3 };
	w.h->ops->copy(w.h, 5, c, 1);
	ck_assert_int_eq(c[0].status, -1);
	c[0] = (struct hv_copy){ .local = buf, .ref = rw, .len = 3 };
	w.h->ops->copy(w.h, 6, c, 1);				/* not that guest's */
	ck_assert_int_eq(c[0].status, -1);

	ck_assert_ptr_null(w.h->ops->map_grants(w.h, 5, &ro, 1));
	m = w.h->ops->map_grants(w.h, 5, &rw, 1);
	ck_assert_str_eq((char *)m, "hello");
	strcpy((char *)m, "shared");
	ck_assert_str_eq(fake_page(w.f, 5, 10), "shared");
	ck_assert_uint_eq(fake_mapped(w.f), 1);
	ck_assert_int_eq(fake_revoke(w.f, 5, rw), -EBUSY);
	ck_assert_int_eq(w.h->ops->unmap_grants(w.h, m, 1), 0);
	ck_assert_int_eq(fake_revoke(w.f, 5, rw), 0);
	ck_assert_ptr_null(w.h->ops->map_grants(w.h, 5, &rw, 1));
	/* scattered frames, side by side */
	strcpy(fake_page(w.f, 5, 30), "thirty");
	strcpy(fake_page(w.f, 5, 20), "twenty");
	m = w.h->ops->map_frames(w.h, 5, gfns, 2);
	ck_assert_str_eq((char *)m, "thirty");
	ck_assert_str_eq((char *)m + 4096, "twenty");
	w.h->ops->unmap_frames(w.h, m, 2);
	ck_assert_ptr_null(w.h->ops->map_frames(w.h, 5, &beyond, 1));
	refs[0] = fake_grant(w.f, 5, 1, false);
	refs[1] = 999;
	ck_assert_ptr_null(w.h->ops->map_grants(w.h, 5, refs, 2));	/* all or none */
	ck_assert_uint_eq(fake_mapped(w.f), 0);
	done(&w);
}
END_TEST

START_TEST(death)
{
	struct world w = world();
	uint32_t ref = fake_grant(w.f, 5, 10, false);
	struct hv_domain d;
	uint8_t *m = w.h->ops->map_grants(w.h, 5, &ref, 1);

	ck_assert_int_eq(w.h->ops->domain(w.h, 5, &d), 0);
	ck_assert(!d.dying);
	fake_domain_die(w.f, 5);
	ck_assert_int_eq(w.h->ops->domain(w.h, 5, &d), 0);
	ck_assert(d.dying);
	m[0] = 1;						/* what is mapped stays until it is unmapped */
	ck_assert_ptr_null(w.h->ops->map_grants(w.h, 5, &ref, 1));
	ck_assert_int_eq(w.h->ops->unmap_grants(w.h, m, 1), 0);
	fake_domain_end(w.f, 5);
	ck_assert_int_eq(w.h->ops->domain(w.h, 5, &d), -ESRCH);
	ck_assert(reads_as(w.h, HOME "/name", NULL));
	ck_assert_int_eq(w.h->ops->domain(w.h, 77, &d), -ESRCH);
	done(&w);
}
END_TEST

START_TEST(trouble)
{
	struct world w = world();
	hv_txn t;

	fake_fail(w.f, "write", 2, EIO);
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/a", "1"), 0);
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/a", "2"), -EIO);
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/a", "3"), 0);
	ck_assert(fake_failed(w.f));
	fake_fail(w.f, NULL, 3, ENOMEM);
	ck_assert_int_eq(w.h->ops->begin(w.h, &t), 0);
	ck_assert_int_eq(w.h->ops->write(w.h, t, "/a", "4"), 0);
	ck_assert_int_eq(w.h->ops->end(w.h, t, false), -ENOMEM);
	ck_assert(reads_as(w.h, "/a", "3"));
	fake_quota(w.f, fake_nodes(w.f) + 1, 10);
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/b/c", "1"), -ENOSPC);	/* two nodes */
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/b", "1"), 0);
	ck_assert_int_eq(w.h->ops->write(w.h, 0, "/b", "0123456789A"), -E2BIG);
	done(&w);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("fake", (const TTest *[]){ nodes, rights, transactions, watches, memory, death, trouble, NULL });
}
