// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "skeleton.h"
#include "util/file.h"

struct emitter {
	FILE *out;
	const struct device_desc *dev;
	struct hv_err *e;
};

static void upper(char *s)
{
	for (; *s; s++)
		*s = toupper((unsigned char)*s);
}

/* numbers.a.b = 5 -> #define A_B 5u */
static void emit_numbers(struct emitter *m, const config_setting_t *group, const char *prefix)
{
	char name[128];

	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "_" : "", config_setting_name(s));
		if (config_setting_is_group(s)) {
			emit_numbers(m, s, name);
			continue;
		}
		upper(name);
		fprintf(m->out, "#define %s %du\t/* %s:%u */\n", name, config_setting_get_int(s), m->dev->file,
			config_setting_source_line(s));
	}
}

static void emit_field(struct emitter *m, const char *layout, const config_setting_t *f)
{
	const char *name = config_setting_name(f);
	int at = 0, size = 0, is_signed = 0;

	config_setting_lookup_int(f, "at", &at);
	config_setting_lookup_int(f, "size", &size);
	config_setting_lookup_bool(f, "signed", &is_signed);
	fprintf(m->out, "/* %s:%u */\n", m->dev->file, config_setting_source_line(f));
	fprintf(m->out, "static inline void put_%s_%s(uint8_t *p, uint64_t v) { store%d(p + %d, v); }\n", layout, name,
		size * 8, at);
	fprintf(m->out, "static inline %sint64_t get_%s_%s(const uint8_t *p) { return (%sint%d_t)load%d(p + %d); }\n",
		is_signed ? "" : "u", layout, name, is_signed ? "" : "u", size * 8, size * 8, at);
}

static void emit_layouts(struct emitter *m, const config_setting_t *layouts)
{
	for (int i = 0; i < config_setting_length(layouts); i++) {
		const config_setting_t *l = config_setting_get_elem(layouts, i);

		fprintf(m->out, "\n/* layout %s */\n", config_setting_name(l));
		for (int k = 0; k < config_setting_length(l); k++)
			emit_field(m, config_setting_name(l), config_setting_get_elem(l, k));
	}
}

static void emit_opcodes(struct emitter *m, const config_setting_t *op)
{
	char name[64];

	for (int i = 0; i < config_setting_length(op); i++) {
		const config_setting_t *s = config_setting_get_elem(op, i);

		snprintf(name, sizeof(name), "%s", config_setting_name(s));
		upper(name);
		fprintf(m->out, "#define OPCODE_%s %du\t/* %s:%u */\n", name, config_setting_get_int(s), m->dev->file,
			config_setting_source_line(s));
	}
	fputs("\nstatic inline uint32_t opcode_of(const struct hvdrv_record *rec)\n{\n"
	      "\tif (rec->op == HVDRV_OP_READ)\n\t\treturn OPCODE_READ;\n"
	      "\tif (rec->op == HVDRV_OP_WRITE)\n"
	      "\t\treturn rec->flags & HVDRV_F_FUA ? OPCODE_WRITE_FUA : OPCODE_WRITE;\n"
	      "\tif (rec->op == HVDRV_OP_FLUSH)\n\t\treturn OPCODE_FLUSH;\n"
	      "\tif (rec->op == HVDRV_OP_DISCARD)\n\t\treturn OPCODE_DISCARD;\n"
	      "\treturn OPCODE_WRITE_ZEROES;\n}\n", m->out);
}

/* A status of the description is one of the contract: its name in capitals. */
static void emit_statuses(struct emitter *m, const config_setting_t *st)
{
	char name[16];

	fputs("\nstatic inline uint8_t status_of(int64_t v)\n{\n", m->out);
	for (int i = 0; i < config_setting_length(st); i++) {
		const config_setting_t *s = config_setting_get_elem(st, i);

		snprintf(name, sizeof(name), "%s", config_setting_name(s));
		upper(name);
		fprintf(m->out, "\tif (v == %d)\n\t\treturn HVDRV_ST_%s;\t/* %s:%u */\n", config_setting_get_int(s), name,
			m->dev->file, config_setting_source_line(s));
	}
	fputs("\treturn HVDRV_ST_IOERR;\n}\n\n", m->out);
}

static int emit_skeleton(struct emitter *m, const char *dir)
{
	char path[PATH_MAX];
	void *text;
	size_t len;
	int rc;

	snprintf(path, sizeof(path), "%s/%s.c", dir, m->dev->skeleton);
	rc = hv_file_read(path, 1 << 20, &text, &len);
	if (rc)
		return hv_err(m->e, -rc, "%s: skeleton %s: %s", m->dev->file, path, strerror(-rc));
	fprintf(m->out, "/* ---- skeleton %s ---- */\n\n", m->dev->skeleton);
	fwrite(text, 1, len, m->out);
	free(text);
	return 0;
}

/* Entry k at HVDRV_ENTRY_OFFSET(k): the OS's prologue, then a jump to the function. */
static void emit_entries(struct emitter *m, const struct os_desc *os)
{
	static const char *const names[] = HVDRV_ENTRY_NAMES;

	fprintf(m->out, "\n/* ---- entries, as %s asks ---- */\n\n__asm__(\".pushsection .entry, \\\"ax\\\"\\n\"\n", os->file);
	for (int k = 0; k < HVDRV_ENTRIES; k++) {
		fprintf(m->out, "\t\".balign %u, 0xcc\\n\\t", HVDRV_ENTRY_SPACING);
		for (int i = 0; i < os->prologue_len; i++)
			fprintf(m->out, "%s0x%02x", i ? ", " : ".byte ", os->prologue[i]);
		fprintf(m->out, "\\n\\tjmp drv_%s\\n\\tint3\\n\"\n", names[k]);
	}
	fputs("\t\".popsection\\n\");\n", m->out);
}

int emit_driver(FILE *out, const struct device_desc *dev, const struct os_desc *os, const char *skeletons,
		struct hv_err *e)
{
	struct emitter m = { out, dev, e };
	int rc = skeleton_check(dev, skeletons, e);

	if (rc)
		return rc;
	fprintf(out, "/* Generated by hvdrv-repo from %s (version %d) for %s. */\n\n#include \"prelude.h\"\n\n", dev->file,
		dev->version, os->file);
	emit_numbers(&m, config_lookup(&dev->cfg, "numbers"), "");
	emit_layouts(&m, config_lookup(&dev->cfg, "layout"));
	fputs("\n", out);
	emit_opcodes(&m, config_lookup(&dev->cfg, "opcode"));
	emit_statuses(&m, config_lookup(&dev->cfg, "status"));
	rc = emit_skeleton(&m, skeletons);
	if (!rc)
		emit_entries(&m, os);
	return rc;
}
