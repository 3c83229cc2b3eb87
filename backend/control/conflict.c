// SPDX-License-Identifier: GPL-2.0-only
/* Two writers on one target destroy its data: who else serves it? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "daemon.h"

static bool may_share(const struct dev *a, const struct dev *b)
{
	return (a->params.ro && b->params.ro) || (a->params.shared && b->params.shared);
}

static int own_devices(struct dev *v, struct hv_err *e)
{
	struct dom *dom;
	struct dev *o;

	TAILQ_FOREACH(dom, &v->dom->d->doms, link) {
		TAILQ_FOREACH(o, &dom->devs, link) {
			if (o == v || o->target.fd < 0 || !target_overlap(&o->target, &v->target) || may_share(o, v))
				continue;
			return hv_err(e, EBUSY, "%s is attached to %s as %s: detach it there, attach both with ro or shared, or each with a range of its own",
				      v->params.backend, dom->name, o->params.name);
		}
	}
	return 0;
}

int own_claim(struct dev *v)
{
	struct dom *dom;
	struct dev *o;
	struct stat st;

	if (!v->params.sectors || v->params.ro || v->params.shared || stat(v->params.backend, &st) || !S_ISBLK(st.st_mode))
		return -1;
	TAILQ_FOREACH(dom, &v->dom->d->doms, link)
		TAILQ_FOREACH(o, &dom->devs, link)
			if (o->target.block && o->target.dev == st.st_rdev && target_claim(&o->params, &o->target) >= 0)
				return target_claim(&o->params, &o->target);
	return -1;
}

/* How much the target takes at once is one number, whoever uses which part of it. */
static int same_depth(struct dev *v, struct hv_err *e)
{
	struct dom *dom;
	struct dev *o;

	TAILQ_FOREACH(dom, &v->dom->d->doms, link) {
		TAILQ_FOREACH(o, &dom->devs, link) {
			if (o == v || o->target.fd < 0 || !target_same(&o->target, &v->target) || o->params.depth == v->params.depth)
				continue;
			if (!o->params.depth)
				return hv_err(e, EINVAL, "%s is attached to %s as %s without depth=: leave it off here, too",
					      v->params.backend, dom->name, o->params.name);
			return hv_err(e, EINVAL, "%s is attached to %s as %s with depth=%u: say the same", v->params.backend, dom->name,
				      o->params.name, o->params.depth);
		}
	}
	return 0;
}

/* "aio:/path", "raw:/dev/x": a prefix before the path. */
static bool names_target(const struct target *t, const char *params)
{
	const char *path = strchr(params, '/');
	struct stat st;

	if (!path || stat(path, &st))
		return false;
	return t->block ? S_ISBLK(st.st_mode) && st.st_rdev == t->dev : st.st_dev == t->dev && st.st_ino == t->ino;
}

/* One disk of xl's (xen-blkback or QEMU): both must be read-only. */
static bool xl_disk_conflicts(struct dev *v, const char *dir, const char *dom, const char *id)
{
	struct hv_host *h = v->dom->d->host;
	char *params = hv_readf(h, 0, "%s/%s/%s/params", dir, dom, id);
	char *mode = hv_readf(h, 0, "%s/%s/%s/mode", dir, dom, id);
	bool conflict = params && names_target(&v->target, params) && !(v->params.ro && mode && mode[0] == 'r');

	free(params);
	free(mode);
	return conflict;
}

static int xl_disks(struct dev *v, const char *dir, struct hv_err *e)
{
	struct hv_host *h = v->dom->d->host;
	unsigned int nd, ni;
	char **doms = hv_listf(h, &nd, "%s", dir);
	int rc = 0;

	for (unsigned int i = 0; !rc && i < nd; i++) {
		char **ids = hv_listf(h, &ni, "%s/%s", dir, doms[i]);

		for (unsigned int k = 0; !rc && k < ni; k++)
			if (xl_disk_conflicts(v, dir, doms[i], ids[k]))
				rc = hv_err(e, EBUSY, "%s is a disk of domain %s by xl (%s): detach it there, or say shared",
					    v->params.backend, doms[i], strrchr(dir, '/') + 1);
		free(ids);
	}
	free(doms);
	return rc;
}

/* Who has hardware queues by an admin's word keeps them; policy takes a guest out of them before another is let in. */
static int hardware_queues(struct dev *v, struct hv_err *e)
{
	const struct dev *o = direct_neighbour(v);

	if (!o || !o->direct.kept || o->policy.automatic)
		return 0;
	return hv_err(e, EBUSY, "%s has hardware queues of %s as %s: `hvdrv retarget %s %s paravirtual` first",
		      o->dom->name, o->direct.controller, o->params.name, o->dom->name, o->params.name);
}

int check_conflicts(struct dev *v, struct hv_err *e)
{
	int rc = own_devices(v, e);

	if (!rc)
		rc = hardware_queues(v, e);
	if (!rc)
		rc = same_depth(v, e);
	if (!rc && !v->params.shared)
		rc = xl_disks(v, "/local/domain/0/backend/vbd", e);
	if (!rc && !v->params.shared)
		rc = xl_disks(v, "/local/domain/0/backend/qdisk", e);
	return rc;
}
