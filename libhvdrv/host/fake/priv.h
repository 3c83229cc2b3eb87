/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of the fake share. */
#ifndef HV_HOST_FAKE_PRIV_H
#define HV_HOST_FAKE_PRIV_H

#include "host/fake/fake.h"

#define FK_DOMS 8
#define FK_TXNS 8
#define FK_WATCHES 128
#define FK_HANDLES 8
#define FK_CHANGES 128

struct fk_node {
	char *path, *value;
	struct hv_perms perms;
};

struct fk_tree {
	struct fk_node *node;
	unsigned int n, room;
	const struct fake *quota;	/* whose limits apply */
};

struct fk_grant {
	uint64_t gfn;
	bool valid, readonly;
	unsigned int mapped;
};

struct fk_dom {
	uint32_t domid;
	bool used, dying, gone;
	int pauses;			/* who has paused it: as Xen's controller_pause_count */
	int mem;			/* memfd: the frames */
	uint8_t *va;
	struct fk_grant grant[FAKE_GRANTS];
};

struct fk_txn {
	bool used;
	uint32_t who;
	uint64_t began;			/* generation of the store then */
	struct fk_tree tree;
	char *changed[FK_CHANGES];
	unsigned int nchanged;
};

/* A mapping, so that it can be told how many pages are mapped, and of which grants. */
struct fk_map {
	void *va;
	struct fk_dom *dom;
	unsigned int n;
	uint32_t ref[64];		/* 0: by frame */
	struct fk_map *next;
};

struct fk_handle {
	struct hv_host h;		/* first */
	struct fake *f;
	uint32_t who;
	int event_fd;
	char *watch[FK_WATCHES];
	char **event;			/* pending, oldest first */
	unsigned int nevents;
};

struct fake {
	struct fk_tree tree;
	uint64_t generation;
	struct fk_txn txn[FK_TXNS];
	struct fk_dom dom[FK_DOMS];
	struct fk_handle *handle[FK_HANDLES];
	struct fk_map *maps;
	unsigned int quota_nodes, quota_bytes, conflicts;
	char fail_op[16];
	unsigned int fail_at;
	int fail_err;
	bool failed;
};

/* fake.c */
int fk_fail(struct fk_handle *k, const char *op, bool gives_back);	/* 0, or the error on demand, negative */
struct fk_dom *fk_dom(struct fake *f, uint32_t domid);

/* tree.c */
void fk_tree_init(struct fk_tree *t, const struct fake *quota);
void fk_tree_copy(struct fk_tree *to, const struct fk_tree *from);
void fk_tree_free(struct fk_tree *t);
struct fk_node *fk_find(const struct fk_tree *t, const char *path);
bool fk_below(const char *path, const char *top);	/* or the same */
bool fk_may_read(const struct fk_tree *t, uint32_t who, const char *path);
int fk_tree_read(const struct fk_tree *t, uint32_t who, const char *path, char **value);
int fk_tree_write(struct fk_tree *t, uint32_t who, const char *path, const char *value);
int fk_tree_mkdir(struct fk_tree *t, uint32_t who, const char *path);
int fk_tree_rm(struct fk_tree *t, uint32_t who, const char *path);
int fk_tree_list(const struct fk_tree *t, uint32_t who, const char *path, char ***names, unsigned int *n);
int fk_tree_perms(struct fk_tree *t, uint32_t who, const char *path, const struct hv_perms *p);

/* store.c */
extern const struct hv_host_ops fk_store_ops;
void fk_fire(struct fake *f, const char *path);

/* memory.c */
int fk_copy(struct hv_host *h, uint32_t domid, struct hv_copy *c, unsigned int n);
void *fk_map_grants(struct hv_host *h, uint32_t domid, const uint32_t *refs, unsigned int n);
int fk_unmap_grants(struct hv_host *h, void *va, unsigned int n);
void *fk_map_frames(struct hv_host *h, uint32_t domid, const uint64_t *gfns, unsigned int n);
int fk_unmap_frames(struct hv_host *h, void *va, unsigned int n);
int fk_iomem(struct hv_host *h, uint32_t domid, uint64_t frame, bool may);
void fk_dom_free(struct fk_dom *d);

static inline struct fk_handle *fk_handle(struct hv_host *h)
{
	return (struct fk_handle *)h;
}

#endif
