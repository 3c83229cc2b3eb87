/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A host around a disk in memory, which speaks any queue format with the ring servers' own code. It keeps the
 * requests that it has taken and ends them in any order; and it replaces the driver while they are in flight.
 */
#ifndef RAMDISK_H
#define RAMDISK_H

#include "core/image.h"
#include "load.h"
#include "ring/blkif.h"
#include "ring/nvme.h"
#include "ring/virtq.h"

#define RAMDISK_PAGES 12288u	/* of the guest; page n is granted as n, page 0 never */
#define RAMDISK_QUEUE 1u	/* first page of the queue's memory */
#define RAMDISK_DATA 400u	/* and of the data */

/* How a queue is spoken to: one of them is not NULL. */
struct ramdisk_format {
	const struct hv_blkif_layout *blkif;
	const struct hv_nvme_layout *nvme;
	const struct hv_virtq_layout *virtq;
};

struct ramdisk {
	uint8_t *mem;
	struct load load;				/* the guest */
	uint32_t refs[STUB_PAGES(HVDRV_MAX_DEPTH)];
	struct ramdisk_format f;
	struct hv_blkring ring;
	struct hv_nvmeq nvmeq;
	struct hv_virtq virtq;
	struct hv_blk_req held[HVDRV_MAX_DEPTH];	/* taken and not answered: the host's own truth */
	unsigned int nheld;
	struct { uint16_t id; enum hvdrv_status st; } unseen[HVDRV_MAX_DEPTH];	/* answered since the guest last looked */
	unsigned int nunseen;
	uint8_t disk[LOAD_SECTORS * HVDRV_SECTOR];
	unsigned int begun, twice, refused, carried;
	bool broken;					/* the guest's index was beyond the queue */
};

/* A guest with this driver, attached; its requests are such as any format can say. */
struct ramdisk *ramdisk_new(const struct hv_image *img, struct ramdisk_format f, uint32_t depth, const char *property);
void ramdisk_free(struct ramdisk *d);

bool ramdisk_arm(struct ramdisk *d);			/* sleep; true: there is something to take */
void ramdisk_take(struct ramdisk *d, uint32_t n);	/* up to n requests out of the queue */
bool ramdisk_end(struct ramdisk *d, uint32_t n);	/* up to n of those taken, in any order; true: an event to the guest */
void ramdisk_event(struct ramdisk *d);			/* the guest looks */

/*
 * What a switch does under pause: states from the host's own table, driver's memory and both queue pages new. The
 * requests that are begun stay begun.
 */
void ramdisk_replace(struct ramdisk *d, const struct hv_image *img, struct ramdisk_format f);

#endif
