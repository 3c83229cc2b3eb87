// SPDX-License-Identifier: GPL-2.0-only
/* hvprobe addr=0x... - lab: tries to write each page of a slot, as the guest's kernel; tells how they are mapped. */
#define pr_fmt(fmt) "hvprobe: " fmt
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <asm/pgtable.h>

static unsigned long addr;
module_param(addr, ulong, 0);

/* A write that may fault (copy_to_kernel_nofault is not exported). */
static int try_write(u64 *dst, u64 v)
{
	__put_kernel_nofault(dst, &v, u64, fault);
	return 0;
fault:
	return -EFAULT;
}

static int __init hvprobe_init(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		u64 *p = (u64 *)(addr + i * PAGE_SIZE);
		unsigned int level;
		pte_t *pte = lookup_address((unsigned long)p, &level);

		pr_info("page %d: write %s, %s %s\n", i, try_write(p, *p) ? "refused" : "WENT THROUGH",
			pte && pte_write(*pte) ? "WRITABLE" : "read-only", pte && pte_exec(*pte) ? "executable" : "NX");
	}
	pr_info("first bytes %16ph\n", (void *)addr);
	return 0;
}

static void __exit hvprobe_exit(void)
{
}

module_init(hvprobe_init);
module_exit(hvprobe_exit);
MODULE_LICENSE("GPL");
