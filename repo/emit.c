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

#define PLACE_SIZE 160

/* "blkif.conf:17": where a setting stands, without the folder, so that the same description gives the same C anywhere. */
static const char *place(const config_setting_t *s, char buf[PLACE_SIZE])
{
	const char *file = config_setting_source_file(s), *slash = strrchr(file, '/');

	snprintf(buf, PLACE_SIZE, "%s:%u", slash ? slash + 1 : file, config_setting_source_line(s));
	return buf;
}

/* A constant, with its place at the right. */
static void emit_constant(struct emitter *m, const char *prefix, const config_setting_t *s, const char *name)
{
	char text[200], at[PLACE_SIZE];

	snprintf(text, sizeof(text), "#define %s%s %du", prefix, name, config_setting_get_int(s));
	fprintf(m->out, "%-40s/* %s */\n", text, place(s, at));
}

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
		emit_constant(m, "", s, name);
	}
}

static void emit_field(struct emitter *m, const char *layout, const config_setting_t *f)
{
	const char *name = config_setting_name(f);
	int at = 0, size = 0, is_signed = 0;
	char where[PLACE_SIZE];

	config_setting_lookup_int(f, "at", &at);
	config_setting_lookup_int(f, "size", &size);
	config_setting_lookup_bool(f, "signed", &is_signed);
	fprintf(m->out, "/* %s: %s at %d, %d octet%s%s */\n", place(f, where), name, at, size, size > 1 ? "s" : "",
		is_signed ? ", signed" : "");
	fprintf(m->out, "static inline void put_%s_%s(uint8_t *p, uint64_t v) { store%d(p + %d, v); }\n", layout, name,
		size * 8, at);
	fprintf(m->out, "static inline %sint64_t get_%s_%s(const uint8_t *p) { return (%sint%d_t)load%d(p + %d); }\n",
		is_signed ? "" : "u", layout, name, is_signed ? "" : "u", size * 8, size * 8, at);
}

static void emit_layouts(struct emitter *m, const config_setting_t *layouts)
{
	char where[PLACE_SIZE];

	for (int i = 0; i < config_setting_length(layouts); i++) {
		const config_setting_t *l = config_setting_get_elem(layouts, i);

		fprintf(m->out, "\n/* ---- layout %s, %s ---- */\n\n", config_setting_name(l), place(l, where));
		for (int k = 0; k < config_setting_length(l); k++)
			emit_field(m, config_setting_name(l), config_setting_get_elem(l, k));
	}
}

static void emit_opcodes(struct emitter *m, const config_setting_t *op)
{
	char name[64], where[PLACE_SIZE];

	fprintf(m->out, "\n/* ---- opcodes, %s ---- */\n\n", place(op, where));
	for (int i = 0; i < config_setting_length(op); i++) {
		const config_setting_t *s = config_setting_get_elem(op, i);

		snprintf(name, sizeof(name), "%s", config_setting_name(s));
		upper(name);
		emit_constant(m, "OPCODE_", s, name);
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
	char name[16], line[64], where[PLACE_SIZE];

	fprintf(m->out, "\n/* ---- how a request ended, %s ---- */\n\nstatic inline uint8_t status_of(int64_t v)\n{\n", place(st, where));
	for (int i = 0; i < config_setting_length(st); i++) {
		const config_setting_t *s = config_setting_get_elem(st, i);

		snprintf(name, sizeof(name), "%s", config_setting_name(s));
		upper(name);
		snprintf(line, sizeof(line), "return HVDRV_ST_%s;", name);
		fprintf(m->out, "\tif (v == %d)\n\t\t%-24s/* %s */\n", config_setting_get_int(s), line, place(s, where));
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
	char where[PLACE_SIZE];

	fprintf(m->out, "\n/* ---- entries: each begins as %s says ---- */\n\n__asm__(\".pushsection .entry, \\\"ax\\\"\\n\"\n",
		place(config_lookup(&os->cfg, "prologue"), where));
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
	char where[PLACE_SIZE];
	int rc = skeleton_check(dev, skeletons, e);

	if (rc)
		return rc;
	fprintf(out, "/*\n * Generated by hvdrv-repo from %s (version %d) for %s, which serves %s %s.\n"
		" * What comes from a description has its file and line beside it.\n */\n\n#include \"prelude.h\"\n\n", dev->file,
		dev->version, os->file, os->os, os->releases);
	fprintf(out, "/* ---- numbers, %s ---- */\n\n", place(config_lookup(&dev->cfg, "numbers"), where));
	emit_numbers(&m, config_lookup(&dev->cfg, "numbers"), "");
	emit_layouts(&m, config_lookup(&dev->cfg, "layout"));
	emit_opcodes(&m, config_lookup(&dev->cfg, "opcode"));
	emit_statuses(&m, config_lookup(&dev->cfg, "status"));
	rc = emit_skeleton(&m, skeletons);
	if (!rc)
		emit_entries(&m, os);
	return rc;
}
