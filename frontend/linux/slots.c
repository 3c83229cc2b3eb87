// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code slots: whole pages of int3 in this module's own text. The kernel maps
 * them read-only and executable like the rest of the text, so nothing in the
 * guest can write them; the host writes them through grants.
 */
#include "stub.h"
#include <linux/bitmap.h>
#include <linux/module.h>
#include <linux/objtool.h>

asm(".pushsection .text.hvdrv_slot, \"ax\", @progbits\n"
    ".balign 4096\n"
    ".globl hvdrv_slots\n"
    "hvdrv_slots:\n"
    ANNOTATE_NOENDBR "\n"	/* there is no endbr64 yet: nothing is called before a driver is there, which begins with one */
    ".fill " __stringify(16 * 4 * 4096) ", 1, 0xcc\n"
    ".popsection\n");
extern u8 hvdrv_slots[];

static DEFINE_SPINLOCK(slot_lock);
static DECLARE_BITMAP(slot_used, HVDRV_SLOTS);

int hv_slots_init(void)
{
	BUILD_BUG_ON(HVDRV_SLOTS != 16 || HVDRV_SLOT_PAGES != 4);
	/* a slot that shared a page with other text would expose that text to the grant */
	if (!PAGE_ALIGNED(hvdrv_slots)) {
		pr_err("the slots are not page aligned: this module was linked wrongly\n");
		return -ENOEXEC;
	}
	return 0;
}

int hv_slot_get(void)
{
	unsigned long i;

	spin_lock(&slot_lock);
	i = find_first_zero_bit(slot_used, HVDRV_SLOTS);
	if (i < HVDRV_SLOTS)
		__set_bit(i, slot_used);
	spin_unlock(&slot_lock);
	if (i == HVDRV_SLOTS)
		return -ENOSPC;
	atomic_inc(&hv_count.slots);
	return i;
}

void hv_slot_put(int index)
{
	spin_lock(&slot_lock);
	__clear_bit(index, slot_used);
	spin_unlock(&slot_lock);
	atomic_dec(&hv_count.slots);
}

void hv_slot_lose(int index)
{
	pr_warn("slot %d is still mapped by the host: not used again, the module stays loaded\n", index);
	__module_get(THIS_MODULE);
}

void *hv_slot_va(int index)
{
	return hvdrv_slots + index * HVDRV_SLOT_SIZE;
}
