// SPDX-License-Identifier: GPL-2.0-only
#include "core/check.h"
#include "gen.h"
#include "unit.h"

const char gen_device[] = UNIT_SRCDIR "/repo/devices/blkif.conf";
const char gen_nvme[] = UNIT_SRCDIR "/repo/devices/nvme.conf";
const char gen_virtio[] = UNIT_SRCDIR "/repo/devices/virtio-blk.conf";
const char gen_os[] = UNIT_SRCDIR "/repo/oses/linux-6.1-x86_64.conf";
const char gen_rules[] = UNIT_SRCDIR "/repo/oses/linux-x86_64.inc";
const struct build_paths gen_paths = { UNIT_SRCDIR "/frontend/driver", UNIT_SRCDIR "/include" };

void gen_conf(const char *path, const char *of, const struct gen_change *c)
{
	char *text = unit_read(of, NULL), *at, *out;
	size_t len;

	ck_assert_ptr_nonnull(text);
	for (; c->from; c++) {
		at = strstr(text, c->from);
		ck_assert_msg(at && !strstr(at + 1, c->from), "\"%s\" is not there once", c->from);
		len = at - text;
		out = malloc(strlen(text) + strlen(c->to) + 1);
		sprintf(out, "%.*s%s%s", (int)len, text, c->to, at + strlen(c->from));
		free(text);
		text = out;
	}
	unit_write(path, text, strlen(text));
	free(text);
}

bool gen_image(const char *conf, struct hv_image *img)
{
	struct device_desc dev;
	struct os_desc os;
	struct hv_err e = { 0 };
	int rc;

	ck_assert_msg(!device_desc_read(conf, &dev, &e), "%s", e.text);
	ck_assert_msg(!os_desc_read(gen_os, &os, &e), "%s", e.text);
	rc = build_image(&dev, &os, &gen_paths, img, &e);
	device_desc_free(&dev);
	os_desc_free(&os);
	if (rc == -ENOENT) {
		unit_skip(e.text);
		return false;
	}
	ck_assert_msg(!rc, "%s", e.text);
	ck_assert_msg(!hv_check_code(img, &e), "%s", e.text);
	return true;
}

static int number(const struct device_desc *d, const char *path)
{
	int v = 0;

	ck_assert_msg(config_lookup_int(&d->cfg, path, &v), "%s", path);
	return v;
}

#define AT(group, field) number(&d, "layout." group "." field ".at")

void gen_layout(const char *conf, struct hv_blkif_layout *l)
{
	struct device_desc d;
	struct hv_err e = { 0 };

	ck_assert_msg(!device_desc_read(conf, &d, &e), "%s", e.text);
	*l = (struct hv_blkif_layout){
		.stride = number(&d, "numbers.ring.stride"), .first = number(&d, "numbers.ring.first"),
		.req_prod = number(&d, "numbers.ring.req_prod"), .req_event = number(&d, "numbers.ring.req_event"),
		.rsp_prod = number(&d, "numbers.ring.rsp_prod"), .rsp_event = number(&d, "numbers.ring.rsp_event"),
		.operation = AT("request", "operation"), .nseg = AT("request", "nseg"), .id = AT("request", "id"),
		.sector = AT("request", "sector"), .segs = number(&d, "numbers.request.segs_at"),
		.seg_stride = number(&d, "numbers.request.segs_stride"), .seg_direct = number(&d, "numbers.request.segs_count"),
		.seg_gref = AT("segment", "gref"), .seg_first = AT("segment", "first"), .seg_last = AT("segment", "last"),
		.range_sectors = AT("range", "sectors"), .ind_op = AT("indirect", "op"), .ind_nseg = AT("indirect", "nseg"),
		.ind_id = AT("indirect", "id"), .ind_sector = AT("indirect", "sector"), .ind_page = AT("indirect", "page"),
		.rsp_id = AT("response", "id"), .rsp_op = hv_blkif_xen.rsp_op, .rsp_status = AT("response", "status"),
		.op_read = number(&d, "opcode.read"), .op_write = number(&d, "opcode.write"),
		.op_write_fua = number(&d, "opcode.write_fua"), .op_flush = number(&d, "opcode.flush"),
		.op_discard = number(&d, "opcode.discard"), .op_write_zeroes = number(&d, "opcode.write_zeroes"),
		.op_indirect = number(&d, "opcode.indirect"), .st_ok = number(&d, "status.ok"), .st_ioerr = number(&d, "status.ioerr"),
		.st_unsupported = number(&d, "status.unsupported"), .st_nospc = number(&d, "status.nospc"),
	};
	device_desc_free(&d);
}

void gen_nvme_layout(const char *conf, struct hv_nvme_layout *l)
{
	struct device_desc d;
	struct hv_err e = { 0 };

	ck_assert_msg(!device_desc_read(conf, &d, &e), "%s", e.text);
	*l = (struct hv_nvme_layout){
		.opcode = AT("command", "opcode"), .flags = AT("command", "flags"), .cid = AT("command", "cid"),
		.nsid = AT("command", "nsid"), .prp1 = AT("command", "prp1"), .prp2 = AT("command", "prp2"),
		.slba = AT("command", "slba"), .nlb = AT("command", "nlb"), .control = AT("command", "control"),
		.nr = AT("command", "nr"), .attributes = AT("command", "attributes"),
		.range_length = AT("range", "length"), .range_slba = AT("range", "slba"),
		.cpl_sq_head = AT("completion", "sq_head"), .cpl_cid = AT("completion", "cid"), .cpl_status = AT("completion", "status"),
		.op_flush = number(&d, "opcode.flush"), .op_write = number(&d, "opcode.write"), .op_read = number(&d, "opcode.read"),
		.op_write_zeroes = number(&d, "opcode.write_zeroes"), .op_discard = number(&d, "opcode.discard"),
		.fua = number(&d, "numbers.command.fua"), .ad = number(&d, "numbers.command.ad"),
		.st_ok = number(&d, "status.ok"), .st_ioerr = number(&d, "status.ioerr"),
		.st_unsupported = number(&d, "status.unsupported"), .st_nospc = number(&d, "status.nospc"),
	};
	device_desc_free(&d);
}

void gen_virtq_layout(const char *conf, struct hv_virtq_layout *l)
{
	struct device_desc d;
	struct hv_err e = { 0 };

	ck_assert_msg(!device_desc_read(conf, &d, &e), "%s", e.text);
	*l = (struct hv_virtq_layout){
		.avail = number(&d, "numbers.virtq.avail"), .used = number(&d, "numbers.virtq.used"),
		.desc_addr = AT("desc", "addr"), .desc_len = AT("desc", "len"), .desc_flags = AT("desc", "flags"), .desc_next = AT("desc", "next"),
		.next = number(&d, "numbers.desc.next"), .write = number(&d, "numbers.desc.write"), .indirect = number(&d, "numbers.desc.indirect"),
		.avail_idx = AT("avail", "idx"), .avail_ring = number(&d, "numbers.avail.ring"), .used_event = number(&d, "numbers.avail.event"),
		.used_idx = AT("used", "idx"), .used_ring = number(&d, "numbers.used.ring"), .avail_event = number(&d, "numbers.used.event"),
		.elem_id = AT("elem", "id"), .elem_len = AT("elem", "len"),
		.header = number(&d, "numbers.tag.header"), .range = number(&d, "numbers.tag.range"),
		.status = number(&d, "numbers.tag.status") + AT("status", "code"), .table = number(&d, "numbers.tag.table"),
		.type = AT("header", "type"), .handle = AT("header", "handle"), .sector = AT("header", "sector"),
		.range_sector = AT("range", "sector"), .range_sectors = AT("range", "sectors"), .range_flags = AT("range", "flags"),
		.op_read = number(&d, "opcode.read"), .op_write = number(&d, "opcode.write"), .op_write_fua = number(&d, "opcode.write_fua"),
		.op_flush = number(&d, "opcode.flush"), .op_discard = number(&d, "opcode.discard"), .op_write_zeroes = number(&d, "opcode.write_zeroes"),
		.st_ok = number(&d, "status.ok"), .st_ioerr = number(&d, "status.ioerr"),
		.st_unsupported = number(&d, "status.unsupported"), .st_nospc = number(&d, "status.nospc"),
	};
	device_desc_free(&d);
}
