// SPDX-License-Identifier: GPL-2.0-only
/* Which image a guest would get; and the index that it is found by. */
#include <stdio.h>
#include "cmd.h"
#include "core/store.h"

int cmd_find(struct opts *o)
{
	const struct hv_want want = { .os = &o->guest, .class = o->class, .mode = o->mode, .device = o->device,
				      .vendor = o->vendor ? o->vendor : "" };
	struct hv_keyring ring;
	struct hv_image img;
	struct hv_err e;
	char id[65];
	int rc;

	if (!o->class || !o->mode || !*o->guest.type || !*o->guest.release || !*o->guest.arch || !*o->guest.abi)
		return usage_error("find needs --class, --mode, --os-type, --os-release, --os-arch and --os-abi");
	rc = hv_keyring_load(o->keys, &ring, &e);
	if (rc)
		return fail(rc, &e);
	rc = hv_store_find(o->repo, &ring, &want, &img, id, &e);
	hv_keyring_free(&ring);
	if (rc)
		return fail(rc, &e);
	hv_image_free(&img);
	printf("%s\n", id);
	return 0;
}

int cmd_reindex(struct opts *o)
{
	uint64_t images, unreadable;
	struct hv_err e;
	int rc = hv_store_reindex(o->repo, &images, &unreadable, &e);

	if (rc)
		return fail(rc, &e);
	printf("%llu images", (unsigned long long)images);
	if (unreadable)
		printf("; %llu more are damaged, see `hvdrv-repo verify`", (unsigned long long)unreadable);
	printf("\n");
	return 0;
}
