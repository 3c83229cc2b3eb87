/* SPDX-License-Identifier: LGPL-2.1-only */
/* The xenstore keys of a device: where they are, who owns them, made and removed as one. hvdrv-xenstore(7). */
#ifndef HV_CORE_KEYS_H
#define HV_CORE_KEYS_H

#include "core/params.h"
#include "host/host.h"

#define HV_FRONT "/local/domain/%u/device/hvdrv"
#define HV_BACK "/local/domain/0/backend/hvdrv"
#define HV_ADMIN "/local/domain/0/hvdrv"
#define HV_UUID_LEN 36
#define HV_ID_MAX 999			/* xenbus refuses longer bus names */

enum hv_xenbus_state {			/* xen/io/xenbus.h */
	HV_XB_UNKNOWN, HV_XB_INITIALISING, HV_XB_INIT_WAIT, HV_XB_INITIALISED, HV_XB_CONNECTED, HV_XB_CLOSING,
	HV_XB_CLOSED,
};

struct hv_dev_id {
	uint32_t domid, id;
	char uuid[HV_UUID_LEN + 1];
};

/* The three folders of a device. */
struct hv_dev_paths {
	char front[64], back[64], admin[96];
};
void hv_dev_paths(const struct hv_dev_id *d, struct hv_dev_paths *p);

/* UUID of a running domain. 0, -ESRCH. */
int hv_domain_uuid(struct hv_host *h, uint32_t domid, char uuid[HV_UUID_LEN + 1]);

/* Name of a domain, malloc'ed; NULL when there is none. */
char *hv_domain_name(struct hv_host *h, uint32_t domid);

/* A name or a number to a running domain. 0; -ESRCH with "no domain ..."; -EINVAL for dom0. */
int hv_domain_find(struct hv_host *h, const char *what, uint32_t *domid, struct hv_err *e);

/* The device NAME of a domain. 0 with d filled; -ENOENT. */
int hv_device_find(struct hv_host *h, uint32_t domid, const char *name, struct hv_dev_id *d, struct hv_err *e);

/*
 * Makes both ends in one transaction: the lowest free id, states Initialising. 0 with d->id; -EEXIST the name is
 * taken; -ENOSPC the guest's 16 slots are in use; -EDQUOT xenstore's quota; -errno.
 */
int hv_device_create(struct hv_host *h, const struct hv_params *p, struct hv_dev_id *d, struct hv_err *e);

/* Removes all three folders, and empty parents. */
int hv_device_remove(struct hv_host *h, const struct hv_dev_id *d);

/* Devices of a domain: calls fn for each id in the backend folder. */
void hv_device_each(struct hv_host *h, uint32_t domid, void (*fn)(void *arg, uint32_t id), void *arg);

#endif
