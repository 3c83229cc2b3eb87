// SPDX-License-Identifier: GPL-2.0-only
/* A device's keys: where they are, whose they are, and that they come and go as one. */
#include "core/keys.h"
#include "guests.h"
#include "unit.h"

#define UUID "5f9c4a1e-0000-4000-8000-000000000005"
#define FRONT "/local/domain/5/device/hvdrv"
#define BACK "/local/domain/0/backend/hvdrv/5"
#define ADMIN "/local/domain/0/hvdrv/" UUID

static int create(struct world *w, const char *name, struct hv_dev_id *d, struct hv_err *e)
{
	struct hv_params p;

	ck_assert_int_eq(hv_params_parse("class=block,backend=/data.img,ro", &p, NULL), 0);
	snprintf(p.name, sizeof(p.name), "%s", name);
	*d = (struct hv_dev_id){ .domid = 5 };
	return hv_device_create(w->h, &p, d, e);
}

static void new_device(struct world *w, const char *name, struct hv_dev_id *d)
{
	struct hv_err e = { 0 };

	ck_assert_msg(!create(w, name, d, &e), "%s", e.text);
}

/* Every key that is there after create; `guest`: it may write it; `reads`: it may read it. */
static const struct {
	const char *path, *value;
	bool guest, reads;
} keys[] = {
	{ FRONT "/0/backend", BACK "/0", true, true }, { FRONT "/0/backend-id", "0", true, true }, { FRONT "/0/state", "1", true, true },
	{ BACK "/0/frontend", FRONT "/0", false, true }, { BACK "/0/frontend-id", "5", false, true }, { BACK "/0/online", "1", false, true },
	{ BACK "/0/name", "data", false, true }, { BACK "/0/class", "block", false, true }, { BACK "/0/state", "1", false, true },
	{ ADMIN "/0/params", "class=block,backend=/data.img,mode=virtual,place=grant,ro", false, false },
	{ ADMIN "/0/name", "data", false, false }, { ADMIN "/0/domid", "5", false, false }, { ADMIN "/0/want", "virtual", false, false },
	{ ADMIN "/0/status", "new", false, false },
	{ FRONT, "", false, true }, { BACK, "", false, true }, { ADMIN "/0", "", false, false }, { BACK "/0", "", false, true }, { FRONT "/0", "", true, true },
};

START_TEST(key)
{
	struct world w = world();
	struct hv_dev_id d;
	char *v;

	new_device(&w, "data", &d);
	ck_assert_uint_eq(d.id, 0);
	ck_assert_str_eq(d.uuid, UUID);
	v = w.h->ops->read(w.h, 0, keys[_i].path);
	ck_assert_msg(v && !strcmp(v, keys[_i].value), "%s is %s", keys[_i].path, v);
	v = w.g->ops->read(w.g, 0, keys[_i].path);
	ck_assert_msg((v != NULL) == keys[_i].reads, "%s: the guest reads %s", keys[_i].path, v);
	ck_assert_ptr_null(w.other->ops->read(w.other, 0, keys[_i].path));
	ck_assert_int_eq(w.g->ops->write(w.g, 0, keys[_i].path, "x"), keys[_i].guest ? 0 : -EACCES);
	ck_assert_int_eq(w.other->ops->write(w.other, 0, keys[_i].path, "x"), -EACCES);
	ck_assert_int_eq(w.other->ops->rm(w.other, 0, keys[_i].path), -EACCES);
	ck_assert_int_eq(w.g->ops->rm(w.g, 0, keys[_i].path), keys[_i].guest ? 0 : -EACCES);
}
END_TEST

/* What the guest makes itself stays in its folder; beside it and in dom0's it makes nothing. */
START_TEST(guest_makes)
{
	static const char *const no[] = { FRONT "/1/state", FRONT "/x", BACK "/0/driver/hash", BACK "/1/state", BACK "/0/limits/sectors", ADMIN "/0/want",
					  ADMIN "/0/request", "/local/domain/0/hvdrv/x", "/local/domain/0/backend/hvdrv/6/0/state" };
	struct world w = world();
	struct hv_dev_id d;

	new_device(&w, "data", &d);
	ck_assert_int_eq(w.g->ops->write(w.g, 0, FRONT "/0/os/release", "6.1"), 0);
	ck_assert_int_eq(w.g->ops->write(w.g, 0, FRONT "/0/slot-ref", "9"), 0);
	for (size_t i = 0; i < N(no); i++)
		ck_assert_msg(w.g->ops->write(w.g, 0, no[i], "1") == -EACCES, "%s", no[i]);
	/* later keys of hvdrvd in the backend folder are dom0's, too */
	ck_assert_int_eq(w.h->ops->write(w.h, 0, BACK "/0/limits/sectors", "8"), 0);
	ck_assert_int_eq(w.g->ops->write(w.g, 0, BACK "/0/limits/sectors", "9"), -EACCES);
	ck_assert_str_eq(w.g->ops->read(w.g, 0, BACK "/0/limits/sectors"), "8");
	/* and in the admin folder nobody's */
	ck_assert_int_eq(w.h->ops->write(w.h, 0, ADMIN "/0/retarget/state", "x"), 0);
	ck_assert_ptr_null(w.g->ops->read(w.g, 0, ADMIN "/0/retarget/state"));
}
END_TEST

START_TEST(sixteen_slots)
{
	struct world w = world();
	struct hv_dev_id d;
	struct hv_err e;
	char name[16];

	for (uint32_t i = 0; i < HVDRV_SLOTS; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		new_device(&w, name, &d);
		ck_assert_uint_eq(d.id, i);
	}
	ck_assert_int_eq(create(&w, "one-more", &d, &e), -ENOSPC);
	ck_contains(e.text, "no free slot");
	/* the lowest that is free is taken again */
	d = (struct hv_dev_id){ .domid = 5, .id = 3 };
	strcpy(d.uuid, UUID);
	ck_assert_int_eq(hv_device_remove(w.h, &d), 0);
	new_device(&w, "again", &d);
	ck_assert_uint_eq(d.id, 3);
}
END_TEST

START_TEST(same_name)
{
	struct world w = world();
	struct hv_dev_id d;
	struct hv_err e;

	new_device(&w, "data", &d);
	ck_assert_int_eq(create(&w, "data", &d, &e), -EEXIST);
	ck_contains(e.text, "data");
	new_device(&w, "data2", &d);
}
END_TEST

START_TEST(removed_whole)
{
	struct world w = world();
	unsigned int before = fake_nodes(w.f);
	struct hv_dev_id a, b;

	new_device(&w, "a", &a);
	new_device(&w, "b", &b);
	ck_assert_int_eq(w.g->ops->write(w.g, 0, FRONT "/0/os/release", "6.1"), 0);
	ck_assert_int_eq(hv_device_remove(w.h, &a), 0);
	ck_assert_ptr_null(fake_perms(w.f, FRONT "/0"));
	ck_assert_ptr_nonnull(fake_perms(w.f, FRONT "/1/state"));
	ck_assert_ptr_nonnull(fake_perms(w.f, BACK "/1/state"));
	ck_assert_int_eq(hv_device_remove(w.h, &a), 0);		/* twice does no harm */
	ck_assert_int_eq(hv_device_remove(w.h, &b), 0);
	ck_assert_ptr_null(fake_perms(w.f, FRONT));
	ck_assert_ptr_null(fake_perms(w.f, BACK));
	ck_assert_ptr_null(fake_perms(w.f, ADMIN));
	/* the two folders above, which all guests share, stay */
	ck_assert_uint_le(fake_nodes(w.f), before + 3);
}
END_TEST

/* Whatever call fails, there is the whole device or nothing of it. */
START_TEST(fail_at_each_call)
{
	struct world w = world();
	struct hv_dev_id d;
	struct hv_err e;
	unsigned int n, before = fake_nodes(w.f);

	for (n = 1; n < 200; n++) {
		int rc;

		fake_fail(w.f, NULL, n, EIO);
		rc = create(&w, "data", &d, &e);
		if (!fake_failed(w.f)) {
			ck_assert_int_eq(rc, 0);
			break;
		}
		if (rc) {
			ck_assert_msg(fake_nodes(w.f) == before, "call %u failed and left keys", n);
		} else {			/* a key that cannot be read counts as absent */
			ck_assert_ptr_nonnull(fake_perms(w.f, FRONT "/0/state"));
			ck_assert_ptr_nonnull(fake_perms(w.f, ADMIN "/0/status"));
			fake_fail(w.f, NULL, 0, 0);
			hv_device_remove(w.h, &d);
			before = fake_nodes(w.f);
		}
	}
	ck_assert_uint_gt(n, 20);
	ck_assert_uint_lt(n, 200);
}
END_TEST

START_TEST(remove_fails)
{
	struct world w = world();
	struct hv_dev_id d;
	unsigned int n, whole;

	new_device(&w, "data", &d);
	whole = fake_nodes(w.f);
	for (n = 1; n < 50; n++) {
		fake_fail(w.f, NULL, n, EIO);
		if (!hv_device_remove(w.h, &d))
			break;
		ck_assert_msg(fake_nodes(w.f) == whole, "call %u failed and took keys", n);
	}
	ck_assert_uint_gt(n, 4);
	ck_assert_uint_lt(n, 50);
	ck_assert_ptr_null(fake_perms(w.f, FRONT "/0"));
}
END_TEST

START_TEST(collisions)
{
	struct world w = world();
	struct hv_dev_id d;

	fake_conflict(w.f, 5);
	new_device(&w, "data", &d);
	ck_assert_uint_eq(d.id, 0);
	fake_conflict(w.f, 5);
	ck_assert_int_eq(hv_device_remove(w.h, &d), 0);
	ck_assert_ptr_null(fake_perms(w.f, FRONT "/0"));
}
END_TEST

START_TEST(quota)
{
	struct world w = world();
	unsigned int before = fake_nodes(w.f);
	struct hv_dev_id d;
	struct hv_err e;

	for (unsigned int room = 0; room < 15; room++) {
		fake_quota(w.f, before + room, 0);
		ck_assert_int_eq(create(&w, "data", &d, &e), -EDQUOT);
		ck_contains(e.text, "quota");
		ck_assert_uint_eq(fake_nodes(w.f), before);
	}
	fake_quota(w.f, 0, 20);		/* a value that is too long */
	ck_assert_int_eq(create(&w, "data", &d, &e), -EDQUOT);
	ck_assert_uint_eq(fake_nodes(w.f), before);
	fake_quota(w.f, 0, 0);
	new_device(&w, "data", &d);
}
END_TEST

START_TEST(domains)
{
	struct world w = world();
	char uuid[HV_UUID_LEN + 1];
	struct hv_err e;
	uint32_t id;

	ck_assert_int_eq(hv_domain_find(w.h, "web1", &id, &e), 0);
	ck_assert_uint_eq(id, 5);
	ck_assert_int_eq(hv_domain_find(w.h, "6", &id, &e), 0);
	ck_assert_uint_eq(id, 6);
	ck_assert_int_eq(hv_domain_find(w.h, "7", &id, &e), -ESRCH);
	ck_contains(e.text, "xl list");
	ck_assert_int_eq(hv_domain_find(w.h, "nobody", &id, &e), -ESRCH);
	ck_assert_int_eq(hv_domain_find(w.h, "0", &id, &e), -EINVAL);
	ck_assert_int_eq(hv_domain_find(w.h, "Domain-0", &id, &e), -EINVAL);
	ck_assert_int_eq(hv_domain_find(w.h, "99999", &id, &e), -ESRCH);
	ck_assert_int_eq(hv_domain_uuid(w.h, 5, uuid), 0);
	ck_assert_str_eq(uuid, UUID);
	ck_assert_int_eq(hv_domain_uuid(w.h, 9, uuid), -ESRCH);
	w.h->ops->write(w.h, 0, "/local/domain/5/vm", "/vm/" UUID "-1");
	ck_assert_int_eq(hv_domain_uuid(w.h, 5, uuid), 0);
	ck_assert_str_eq(uuid, UUID);
	w.h->ops->write(w.h, 0, "/local/domain/5/vm", "/vm/../../etc/passwd/../../../../../../x");
	ck_assert_int_eq(hv_domain_uuid(w.h, 5, uuid), -ESRCH);
	w.h->ops->write(w.h, 0, "/local/domain/5/vm", "/vm/short");
	ck_assert_int_eq(hv_domain_uuid(w.h, 5, uuid), -ESRCH);
	fake_domain_end(w.f, 6);
	ck_assert_int_eq(hv_domain_find(w.h, "web2", &id, &e), -ESRCH);
}
END_TEST

static void collect(void *arg, uint32_t id)
{
	*(uint32_t *)arg |= 1u << id;
}

START_TEST(finding)
{
	struct world w = world();
	struct hv_dev_id d, found;
	struct hv_err e;
	uint32_t ids = 0;

	ck_assert_int_eq(hv_device_find(w.h, 5, "a", &found, &e), -ENOENT);
	new_device(&w, "a", &d);
	new_device(&w, "b", &d);
	w.h->ops->write(w.h, 0, BACK "/junk/name", "b");	/* not a number: no device */
	ck_assert_int_eq(hv_device_find(w.h, 5, "b", &found, &e), 0);
	ck_assert_uint_eq(found.id, 1);
	ck_assert_str_eq(found.uuid, UUID);
	ck_assert_int_eq(hv_device_find(w.h, 6, "b", &found, &e), -ENOENT);
	ck_assert_int_eq(hv_device_find(w.h, 5, "c", &found, &e), -ENOENT);
	hv_device_each(w.h, 5, collect, &ids);
	ck_assert_uint_eq(ids, 3);
}
END_TEST

START_TEST(no_domain)
{
	struct world w = world();
	struct hv_dev_id d;
	struct hv_err e;

	fake_domain_end(w.f, 5);
	ck_assert_int_eq(create(&w, "data", &d, &e), -ESRCH);
	ck_contains(e.text, "not running");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("keys", (const TTest *[]){ guest_makes, sixteen_slots, same_name, removed_whole, fail_at_each_call, remove_fails, collisions,
						      quota, domains, finding, no_domain, NULL });

	unit_loop(s, "key", key, N(keys));
	return s;
}
