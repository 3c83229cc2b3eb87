/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A host in this process, for tests: a store, domains, their memory. It refuses what Xen refuses, and fails on demand.
 *   fake.c    domains, the tables of calls, failures on demand
 *   tree.c    the store's nodes and who may touch them
 *   store.c   transactions, quotas, watches
 *   memory.c  pages and grants
 */
#ifndef HV_HOST_FAKE_H
#define HV_HOST_FAKE_H

#include "host/host.h"

#define FAKE_PAGES 1024u	/* frames of a domain */
#define FAKE_GRANTS 1024u	/* references; those below FAKE_FIRST_REF are reserved, as in a real guest */
#define FAKE_FIRST_REF 8u

struct fake;

struct fake *fake_new(void);
void fake_free(struct fake *f);		/* all handles are closed before */

/* Handle of dom0; or, of a guest: the store only, with a guest's rights. */
struct hv_host *fake_open(struct fake *f);
struct hv_host *fake_open_guest(struct fake *f, uint32_t domid);

/* ---- domains ---- */

#define FAKE_UUID "5f9c4a1e-0000-4000-8000-00000000%04x"	/* of domain n */

void fake_domain_add(struct fake *f, uint32_t domid, const char *name);	/* with the nodes that xl makes */
void fake_domain_die(struct fake *f, uint32_t domid);	/* dying; its nodes stay. @releaseDomain */
void fake_domain_end(struct fake *f, uint32_t domid);	/* gone with its nodes. @releaseDomain */
int fake_pauses(struct fake *f, uint32_t domid);	/* how often it is paused now */

/* ---- guest memory ---- */

void *fake_page(struct fake *f, uint32_t domid, uint64_t gfn);	/* as the guest sees it; frames are contiguous */
uint32_t fake_grant(struct fake *f, uint32_t domid, uint64_t gfn, bool readonly);
int fake_revoke(struct fake *f, uint32_t domid, uint32_t ref);	/* 0; -EBUSY: the host has it mapped, it stays */
unsigned int fake_mapped(const struct fake *f);			/* pages that the host has mapped now, of all domains */

/* ---- trouble ---- */

/*
 * The n-th call from now (1: the next) of member `op` of hv_host_ops (NULL: of any that can fail) by dom0 fails with
 * err. n 0: none. Calls that only give back (unmap, unwatch, an abort) fail only by name.
 */
void fake_fail(struct fake *f, const char *op, unsigned int n, int err);
bool fake_failed(const struct fake *f);				/* has it? */

void fake_conflict(struct fake *f, unsigned int n);		/* the next n commits collide */
void fake_quota(struct fake *f, unsigned int nodes, unsigned int bytes);	/* of all nodes; of a value. 0: none */

/* ---- looking on ---- */

unsigned int fake_nodes(const struct fake *f);
const struct hv_perms *fake_perms(struct fake *f, const char *path);	/* NULL: no such node */
unsigned int fake_watches(const struct fake *f);

#endif
