// SPDX-License-Identifier: GPL-2.0-only
/* The module: init and exit, the veto against suspend, counters in debugfs hvdrv/counters. */
#include "stub.h"
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <xen/xen.h>

struct hv_counters hv_count;

unsigned int hv_linger_us[HV_WINDOWS];
module_param_array_named(linger, hv_linger_us, uint, NULL, 0644);
MODULE_PARM_DESC(linger, "for tests: microseconds that the next CPU spends once READY, inside, before it adopts");

static int counters_show(struct seq_file *s, void *unused)
{
	const struct { const char *name; atomic_t *v; } held[] = {
		{ "devices", &hv_count.devices }, { "disks", &hv_count.disks }, { "slots", &hv_count.slots },
		{ "pages", &hv_count.pages }, { "grants", &hv_count.grants }, { "ports", &hv_count.ports },
		{ "requests", &hv_count.requests },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(held); i++)
		seq_printf(s, "%s %d\n", held[i].name, atomic_read(held[i].v));
	seq_printf(s, "completed %lld\nstale %lld\nbusy %lld\npool %d\npooled %lld\n", atomic64_read(&hv_count.completed),
		   atomic64_read(&hv_count.stale), atomic64_read(&hv_count.busy), atomic_read(&hv_count.pool),
		   atomic64_read(&hv_count.pooled));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

/*
 * Save and migration would lose the device: the nodes are not restored, and
 * xenbus ignores a driver that refuses. A platform device that refuses to
 * freeze makes Xen's suspend turn back (drivers/xen/manage.c, do_suspend).
 */
static int veto_freeze(struct device *dev)
{
	if (!atomic_read(&hv_count.devices))
		return 0;
	pr_err("detach the hvdrv devices before save or migrate\n");
	return -EBUSY;
}

static const struct dev_pm_ops veto_pm = { .freeze = veto_freeze };
static struct platform_driver veto_driver = { .driver = { .name = "hvdrv-suspend", .pm = &veto_pm } };
static struct platform_device *veto_device;
static struct dentry *debug_dir;

static int __init hvdrv_init(void)
{
	int rc;

	if (!xen_domain())
		return -ENODEV;
	rc = hv_slots_init();
	if (rc)
		return rc;
	rc = platform_driver_register(&veto_driver);
	if (rc)
		return rc;
	veto_device = platform_device_register_simple("hvdrv-suspend", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(veto_device)) {
		rc = PTR_ERR(veto_device);
		goto no_device;
	}
	debug_dir = debugfs_create_dir("hvdrv", NULL);
	debugfs_create_file("counters", 0444, debug_dir, NULL, &counters_fops);
	rc = hv_xenbus_init();
	if (!rc)
		return 0;
	debugfs_remove(debug_dir);
	platform_device_unregister(veto_device);
no_device:
	platform_driver_unregister(&veto_driver);
	return rc;
}

static void __exit hvdrv_exit(void)
{
	hv_xenbus_exit();
	debugfs_remove(debug_dir);
	platform_device_unregister(veto_device);
	platform_driver_unregister(&veto_driver);
}

module_init(hvdrv_init);
module_exit(hvdrv_exit);
MODULE_DESCRIPTION("hvdrv: devices whose drivers the host places");
MODULE_LICENSE("GPL");
