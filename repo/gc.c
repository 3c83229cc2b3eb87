// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removes images that no guest will get any more: their key was revoked or has expired, or a newer one that is good serves
 * every guest that they do. What guests run is asked of hvdrvd, and kept.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <json-c/json.h>
#include "cmd.h"
#include "core/check.h"
#include "core/index.h"
#include "core/store.h"
#include "core/trust.h"
#include "util/sock.h"
#include "util/str.h"

#define LIMIT_S 30
#define MAX_ANSWER (256 * 1024)

enum worth { UNKNOWN, GOOD, BAD };

struct gc {
	const struct opts *o;
	struct hv_keyring ring;
	struct hv_index x;
	uint8_t *worth;			/* enum worth, of each record: looked at when it is wanted */
	struct json_object *used;	/* ids; NULL: no guests here */
};

/* ---- what guests run ---- */

static struct json_object *ask(int fd)
{
	static const char question[] = "{\"cmd\": \"images\"}";
	const struct timeval limit = { .tv_sec = LIMIT_S };
	char *buf = malloc(MAX_ANSWER);
	struct json_object *a = NULL;
	int fds[HV_SOCK_FDS];
	ssize_t n = -ENOMEM;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (buf && !hv_sock_send(fd, question, sizeof(question) - 1, NULL, 0))
		n = hv_sock_recv(fd, buf, MAX_ANSWER - 1, fds);
	if (n > 0) {
		buf[n] = 0;
		a = json_tokener_parse(buf);
	}
	free(buf);
	return a;
}

/* Not known is not none: nothing is removed then. */
static int read_used(struct gc *g, struct hv_err *e)
{
	struct json_object *a, *ids = NULL;
	char path[108];
	int fd;

	if (g->o->no_guests)
		return 0;
	snprintf(path, sizeof(path), "%s/hvdrvd.sock", g->o->run);
	fd = hv_sock_connect(path, SOCK_SEQPACKET);
	if (fd < 0)
		return hv_err(e, -fd == ENOENT ? ECONNREFUSED : -fd, "which images guests use is not known, hvdrvd cannot be asked (%s: %s): "
			      "start it, or say --no-guests where no guest runs", path, strerror(-fd));
	a = ask(fd);
	close(fd);
	if (!a || !json_object_object_get_ex(a, "images", &ids) || !json_object_is_type(ids, json_type_array)) {
		json_object_put(a);
		return hv_err(e, EIO, "which images guests use is not known, hvdrvd does not tell: restart it, it may be of a former version");
	}
	g->used = json_object_get(ids);
	json_object_put(a);
	return 0;
}

static bool is_used(const struct gc *g, const char *id)
{
	for (size_t i = 0; g->used && i < json_object_array_length(g->used); i++) {
		const char *used = json_object_get_string(json_object_array_get_idx(g->used, i));

		if (used && !strcmp(used, id))
			return true;
	}
	return false;
}

/* ---- what is not wanted ---- */

/* Would hvdrvd place it, for a guest that it fits? */
static bool is_good(struct gc *g, size_t i)
{
	char id[65], real[65], path[PATH_MAX];
	struct hv_image img;

	if (g->worth[i])
		return g->worth[i] == GOOD;
	g->worth[i] = BAD;
	hv_str_hex(g->x.r[i].id, 32, id);
	hv_store_path(g->o->repo, id, path, sizeof(path));
	if (hv_image_load(path, &img, NULL))
		return false;
	hv_image_id(&img, real);
	if (!strcmp(real, id) && img.h.abi >= HVDRV_ABI_MIN && img.h.abi <= HVDRV_ABI_MAX &&
	    hv_image_verify(&img, &g->ring, NULL) >= 0 && !hv_check_code(&img, NULL))
		g->worth[i] = GOOD;
	hv_image_free(&img);
	return g->worth[i] == GOOD;
}

/* Better ones stand before it, the best first: that one is not superseded itself, or what does it would have been found. */
static bool superseded(struct gc *g, size_t i, char *why, size_t size)
{
	const struct hv_index_record *a = &g->x.r[i];
	char id[65];

	for (size_t k = hv_index_first(&g->x, &a->k); k < i; k++) {
		const struct hv_index_record *b = &g->x.r[k];

		if (strcmp(a->device, b->device) || b->version == a->version || !hv_releases_cover(b->releases, a->releases) ||
		    !hv_features_in(a->features, b->features) || !is_good(g, k))
			continue;
		hv_str_hex(b->id, 32, id);
		snprintf(why, size, "superseded by %.12s, version %u", id, b->version);
		return true;
	}
	return false;
}

/* A key that is not known here may be trusted tomorrow; one that is not good any more is not. */
static bool key_ended(const struct gc *g, const struct hv_index_record *r, char *why, size_t size)
{
	struct hv_err e;

	for (size_t i = 0; i < g->ring.n; i++) {
		struct hv_key k = g->ring.key[i];

		*k.vendor = 0;
		if (memcmp(k.pub, r->key, sizeof(k.pub)) || !hv_key_good(&k, g->ring.now, "", &e))
			continue;
		snprintf(why, size, "%s", e.text);
		return true;
	}
	return false;
}

static int remove_one(struct gc *g, size_t i, const char *why, struct hv_err *e)
{
	char id[65];
	int rc;

	hv_str_hex(g->x.r[i].id, 32, id);
	if (is_used(g, id)) {
		printf("%.12s  kept, a guest uses it: %s\n", id, why);
		return 0;
	}
	rc = g->o->dry_run ? 0 : hv_store_remove(g->o->repo, id, e);
	if (!rc)
		printf("%.12s  %sremoved: %s\n", id, g->o->dry_run ? "would be " : "", why);
	return rc;
}

/* From the worst to the best: what supersedes another is there as long as that is. */
static int remove_all(struct gc *g, struct hv_err *e)
{
	char why[1100];
	int rc = 0;

	for (size_t i = g->x.h.count; !rc && i-- > 0;)
		if (key_ended(g, &g->x.r[i], why, sizeof(why)) || superseded(g, i, why, sizeof(why)))
			rc = remove_one(g, i, why, e);
	return rc;
}

int cmd_gc(struct opts *o)
{
	struct gc g = { .o = o };
	struct hv_err e;
	int rc = hv_keyring_load(o->keys, &g.ring, &e);

	if (!rc)
		rc = read_used(&g, &e);
	if (!rc)
		rc = hv_store_index(o->repo, &g.x, &e);
	if (!rc) {
		g.worth = calloc(g.x.h.count + 1, 1);
		rc = g.worth ? remove_all(&g, &e) : hv_err(&e, ENOMEM, "no memory");
	}
	free(g.worth);
	hv_index_free(&g.x);
	hv_keyring_free(&g.ring);
	json_object_put(g.used);
	return rc ? fail(rc, &e) : 0;
}
