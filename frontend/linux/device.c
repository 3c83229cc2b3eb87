// SPDX-License-Identifier: GPL-2.0-only
/*
 * One xenbus device: what the host's state makes us do.
 *
 *   host InitWait   offer: slot, queues, descriptor     -> we are Initialised
 *   host Connected  a driver is placed: link, disk      -> we are Connected
 *                   (again: the size or the path may have changed)
 *   host Closing    give the disk up, or say "in-use"   -> we are Closed
 *   host Closed     end the grants, free the memory
 *
 * The work runs in a workqueue of ours: taking a disk down may wait for I/O,
 * and the xenwatch thread serves every other device.
 */
#include "stub.h"
#include <linux/module.h>
#include <linux/security.h>
#include <linux/utsname.h>
#include <xen/xen.h>

static struct workqueue_struct *hv_wq;

/* For the admin: the host shows it as the guest's reason. The node is there, made by the host: no quota is in the way. */
static void say_error(struct hv_dev *hv, const char *why)
{
	hv->refused = true;
	pr_err("%s: %s\n", hv->name, why);
	xenbus_printf(XBT_NIL, hv->xb->nodename, "error", "%s", why);
}

static int read_limits(struct hv_dev *hv)
{
	struct hv_limits *l = &hv->lim;
	const struct { const char *key; u32 *to; } keys[] = {
		{ "block-size", &l->block_size }, { "max-segments", &l->max_segments }, { "max-bytes", &l->max_bytes },
		{ "depth", &l->depth }, { "queue-pages", &l->queue_pages }, { "max-queues", &l->max_queues },
		{ "flush", &l->flush }, { "fua", &l->fua }, { "discard-granularity", &l->discard_granularity },
		{ "write-zeroes", &l->write_zeroes }, { "read-only", &l->read_only },
	};
	char path[80];
	unsigned int i;

	snprintf(path, sizeof(path), "%s/limits", hv->xb->otherend);
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (xenbus_scanf(XBT_NIL, path, keys[i].key, "%u", keys[i].to) != 1)
			return -EINVAL;
	if (xenbus_scanf(XBT_NIL, path, "sectors", "%llu", &hv->sectors) != 1)
		return -EINVAL;
	l->pool_pages = min(xenbus_read_unsigned(path, "pool-pages", 0), HVDRV_MAX_POOL);	/* since version 2 */
	if ((l->block_size != 512 && l->block_size != 4096) || !l->depth || l->depth > HVDRV_MAX_DEPTH ||
	    !l->max_segments || l->max_segments > HVDRV_MAX_SEGS || l->max_bytes < PAGE_SIZE || !l->max_queues ||
	    !l->queue_pages || l->queue_pages > HVDRV_MAX_QUEUE_PAGES)
		return -ERANGE;
	return 0;
}

/* Both sides publish what they speak; the highest common version is used. */
static int check_abi(struct hv_dev *hv)
{
	u32 lo = xenbus_read_unsigned(hv->xb->otherend, "abi-min", 0);
	u32 hi = xenbus_read_unsigned(hv->xb->otherend, "abi-max", 0);

	hv->abi = 0;
	if (lo > HVDRV_ABI_MAX)
		say_error(hv, "the host speaks only newer versions of the contract: update hvdrv in the guest");
	else if (hi < HVDRV_ABI_MIN)
		say_error(hv, "the host speaks only older versions of the contract: update hvdrv on the host");
	else
		hv->abi = min(hi, HVDRV_ABI_MAX);
	return hv->abi ? 0 : -EPROTO;
}

/* Linux 6.9 has given these options other names. */
#define HV_MITIGATES(what) (IS_ENABLED(CONFIG_##what) || IS_ENABLED(CONFIG_MITIGATION_##what))

static int write_keys(struct hv_dev *hv, struct xenbus_transaction xbt)
{
	const char *dir = hv->xb->nodename;

	return xenbus_printf(xbt, dir, "os/type", "linux") ?:
	       xenbus_printf(xbt, dir, "os/release", "%s", init_utsname()->release) ?:
	       xenbus_printf(xbt, dir, "os/arch", "x86_64") ?:
	       xenbus_printf(xbt, dir, "os/abi", "linux-kernel") ?:
	       xenbus_printf(xbt, dir, "os/mmu", "%s", xen_pv_domain() ? "pv" : "hvm") ?:
	       xenbus_printf(xbt, dir, "os/features", "%s%s%s", IS_ENABLED(CONFIG_X86_KERNEL_IBT) ? "ibt " : "",
			     HV_MITIGATES(RETHUNK) ? "rethunk " : "", HV_MITIGATES(PAGE_TABLE_ISOLATION) ? "pti" : "") ?:
	       xenbus_printf(xbt, dir, "abi-min", "%u", HVDRV_ABI_MIN) ?:
	       xenbus_printf(xbt, dir, "abi-max", "%u", HVDRV_ABI_MAX) ?:
	       xenbus_printf(xbt, dir, "slot-va", "0x%lx", (unsigned long)hv_slot_va(hv->slot)) ?:
	       xenbus_printf(xbt, dir, "slot-ref", "%u", hv->desc.ref[0]) ?:
	       xenbus_printf(xbt, dir, "event-channel", "%u", hv->queue[0].port) ?:
	       xenbus_printf(xbt, dir, "num-queues", "%u", hv->nq);
}

static int publish(struct hv_dev *hv)
{
	struct xenbus_transaction xbt;
	int rc;

	do {
		rc = xenbus_transaction_start(&xbt);
		if (rc)
			return rc;
		rc = write_keys(hv, xbt);
		if (rc) {
			xenbus_transaction_end(xbt, 1);
			return rc;
		}
		rc = xenbus_transaction_end(xbt, 0);
	} while (rc == -EAGAIN);
	return rc ?: xenbus_switch_state(hv->xb, XenbusStateInitialised);
}

/* All that was offered, back. The host has let go, or the memory follows when it does. */
static void withdraw(struct hv_dev *hv)
{
	if (hv->slot >= 0)
		hv_desc_end_slot(hv);
	hv_share_free(&hv->desc);
	if (hv->queue)
		hv_window_close(hv);
	hv_queues_free(hv);
	if (hv->phase != HV_IDLE)
		module_put(THIS_MODULE);
	hv->phase = HV_IDLE;
	hv->use_pool = false;
	WRITE_ONCE(hv->closing, false);
}

static void offer(struct hv_dev *hv)
{
	int rc;

	if (check_abi(hv))
		return;
	if (security_locked_down(LOCKDOWN_KPROBES)) {
		say_error(hv, "this kernel is locked down: it runs no code that the host places");
		return;
	}
	if (read_limits(hv)) {
		say_error(hv, "the host's limits are missing or out of range");
		return;
	}
	hv->slot = hv_slot_get();
	if (hv->slot < 0) {
		say_error(hv, "the guest has no free slot (16)");
		return;
	}
	hv->nq = min3(hv->lim.max_queues, num_online_cpus(), HVDRV_MAX_QUEUES);
	rc = hv_queues_alloc(hv);
	if (!rc)
		rc = hv_desc_write(hv);
	/* while the host can map our text the module must stay */
	if (!rc && !try_module_get(THIS_MODULE))
		rc = -ENODEV;
	if (rc) {
		say_error(hv, rc == -ENOMEM ? "the guest has no memory for the queues" :
			      rc == -ENOSPC ? "the guest has no free grant references" : "the guest could not offer a slot");
		withdraw(hv);
		return;
	}
	hv->phase = HV_OFFERED;
	if (publish(hv)) {
		say_error(hv, "xenstore refuses the guest's keys: its quota of nodes is used up");
		withdraw(hv);
	}
}

/* The entry points must be where the contract says, in our slot: nothing else is ever called. */
static int link_entries(struct hv_dev *hv)
{
	static const char *const name[] = HVDRV_ENTRY_NAMES;
	unsigned long base = (unsigned long)hv_slot_va(hv->slot), va;
	char path[80];
	int i;

	snprintf(path, sizeof(path), "%s/entry", hv->xb->otherend);
	for (i = 0; i < HVDRV_ENTRIES; i++) {
		if (xenbus_scanf(XBT_NIL, path, name[i], "0x%lx", &va) != 1 || va != base + HVDRV_ENTRY_OFFSET(i))
			return -EINVAL;
		if (*(u8 *)va == HVDRV_SLOT_FILL)
			return -ENOEXEC;
		hv->entry[i] = (hvdrv_entry_fn)va;
	}
	return 0;
}

static void read_path(struct hv_dev *hv)
{
	char *path = xenbus_read(XBT_NIL, hv->xb->otherend, "path", NULL);

	if (IS_ERR(path))
		return;
	WRITE_ONCE(hv->use_pool, !strcmp(path, "pool") || !strcmp(path, "direct"));
	kfree(path);
}

static void go_live(struct hv_dev *hv)
{
	int rc = link_entries(hv);

	if (rc) {
		say_error(hv, "the entry points are not those of the slot that was offered");
		return;
	}
	read_path(hv);
	hv_queues_start(hv);
	hv->phase = HV_LIVE;
	xenbus_switch_state(hv->xb, XenbusStateConnected);
	rc = hv_disk_add(hv);
	if (rc)
		say_error(hv, "the disk could not be registered");
	else
		pr_info("%s: %s, %llu sectors, %u queues\n", hv->name, hv->disk->disk_name, hv->sectors, hv->nq);
}

static void refresh(struct hv_dev *hv)
{
	char path[80];
	u64 sectors;

	read_path(hv);
	hv_window_follow(hv);
	snprintf(path, sizeof(path), "%s/limits", hv->xb->otherend);
	if (!hv->disk || xenbus_scanf(XBT_NIL, path, "sectors", "%llu", &sectors) != 1 || sectors == hv->sectors)
		return;
	hv->sectors = sectors;
	hv_disk_resize(hv);
}

/* 0 when the disk is ours to take down: nobody has it open, and nobody can open it any more. */
static int claim_disk(struct hv_dev *hv)
{
	unsigned int openers;

	if (!hv->disk)
		return 0;
	mutex_lock(&hv->disk->open_mutex);
	openers = disk_openers(hv->disk);
	if (!openers)
		WRITE_ONCE(hv->closing, true);
	mutex_unlock(&hv->disk->open_mutex);
	if (!openers)
		return 0;
	xenbus_printf(XBT_NIL, hv->xb->nodename, "in-use", "%u", openers);
	return -EBUSY;
}

static void take_down(struct hv_dev *hv)
{
	if (hv->phase == HV_LIVE) {
		hv_disk_del(hv);
		hv_queues_stop(hv);
	}
	hv->phase = HV_CLOSED;
	xenbus_switch_state(hv->xb, XenbusStateClosed);
}

static void on_closing(struct hv_dev *hv)
{
	bool force = xenbus_read_unsigned(hv->xb->otherend, "force", 0);

	if (hv->phase == HV_IDLE) {
		xenbus_switch_state(hv->xb, XenbusStateClosed);
	} else if (hv->phase != HV_CLOSED) {
		if (force)
			hv_disk_kill(hv);
		else if (hv->phase == HV_LIVE && claim_disk(hv))
			return;
		take_down(hv);
	}
}

/* The host has let go of everything: by our Closed, or because it ended the device. */
static void on_closed(struct hv_dev *hv)
{
	if (hv->phase == HV_LIVE || hv->phase == HV_OFFERED) {
		pr_err("%s: the host ended the device\n", hv->name);
		hv_disk_kill(hv);
		take_down(hv);
	}
	if (hv->phase == HV_CLOSED)
		withdraw(hv);
	xenbus_switch_state(hv->xb, XenbusStateInitialising);	/* all is freed: the host may remove the nodes */
}

static void work(struct work_struct *w)
{
	struct hv_dev *hv = container_of(w, struct hv_dev, work);

	mutex_lock(&hv->lock);
	switch (xenbus_read_driver_state(hv->xb->otherend)) {
	case XenbusStateInitWait:
		if (hv->phase == HV_IDLE && !hv->refused)
			offer(hv);
		break;
	case XenbusStateConnected:
		if (hv->phase == HV_OFFERED)
			go_live(hv);
		else if (hv->phase == HV_LIVE)
			refresh(hv);
		break;
	case XenbusStateClosing:
		on_closing(hv);
		break;
	case XenbusStateClosed:
		on_closed(hv);
		break;
	default:
		break;
	}
	mutex_unlock(&hv->lock);
}

static void otherend_changed(struct xenbus_device *xb, enum xenbus_state state)
{
	struct hv_dev *hv = dev_get_drvdata(&xb->dev);

	queue_work(hv_wq, &hv->work);
}

static int probe(struct xenbus_device *xb, const struct xenbus_device_id *id)
{
	struct hv_dev *hv = kzalloc(sizeof(*hv), GFP_KERNEL);
	char *name;

	if (!hv)
		return -ENOMEM;
	hv->xb = xb;
	hv->slot = -1;
	mutex_init(&hv->lock);
	INIT_WORK(&hv->work, work);
	name = xenbus_read(XBT_NIL, xb->otherend, "name", NULL);
	if (kstrtouint(strrchr(xb->nodename, '/') + 1, 10, &hv->id) || IS_ERR(name)) {
		kfree(hv);
		return -EINVAL;
	}
	strscpy(hv->name, name, sizeof(hv->name));
	kfree(name);
	dev_set_drvdata(&xb->dev, hv);
	atomic_inc(&hv_count.devices);
	queue_work(hv_wq, &hv->work);	/* the host may be waiting already */
	return 0;
}

/* The nodes are gone: the host has detached us, cleanly or by force. */
static void remove(struct xenbus_device *xb)
{
	struct hv_dev *hv = dev_get_drvdata(&xb->dev);

	cancel_work_sync(&hv->work);
	mutex_lock(&hv->lock);
	if (hv->phase == HV_LIVE) {
		hv_disk_kill(hv);
		hv_disk_del(hv);
	}
	withdraw(hv);
	mutex_unlock(&hv->lock);
	dev_set_drvdata(&xb->dev, NULL);
	kfree(hv);
	atomic_dec(&hv_count.devices);
}

static const struct xenbus_device_id ids[] = { { "hvdrv" }, { "" } };

static struct xenbus_driver driver = {
	.ids = ids,
	.probe = probe,
	.remove = remove,
	.otherend_changed = otherend_changed,
	.not_essential = true,		/* the boot does not wait for us */
};

int hv_xenbus_init(void)
{
	int rc;

	hv_wq = alloc_workqueue("hvdrv", WQ_UNBOUND, 0);
	if (!hv_wq)
		return -ENOMEM;
	rc = xenbus_register_frontend(&driver);
	if (rc)
		destroy_workqueue(hv_wq);
	return rc;
}

void hv_xenbus_exit(void)
{
	xenbus_unregister_driver(&driver);
	destroy_workqueue(hv_wq);
}

MODULE_ALIAS("xen:hvdrv");
