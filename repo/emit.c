// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "util/file.h"
#include "util/str.h"

struct emitter {
	FILE *out;
	const struct device_desc *dev;
	struct hv_err *e;
};

static int bad(struct emitter *m, const config_setting_t *s, const char *what)
{
	return hv_err(m->e, EINVAL, "%s:%u: %s %s", m->dev->file, config_setting_source_line(s),
		      config_setting_name(s) ? config_setting_name(s) : "", what);
}

static void upper(char *s)
{
	for (; *s; s++)
		*s = toupper((unsigned char)*s);
}

/* numbers.a.b = 5 -> #define A_B 5u */
static int emit_numbers(struct emitter *m, const config_setting_t *group, const char *prefix)
{
	char name[128];
	int rc = 0;

	for (int i = 0; !rc && i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "_" : "", config_setting_name(s));
		if (config_setting_is_group(s)) {
			rc = emit_numbers(m, s, name);
			continue;
		}
		if (config_setting_type(s) != CONFIG_TYPE_INT || config_setting_get_int(s) < 0)
			return bad(m, s, "must be a number, not negative");
		upper(name);
		fprintf(m->out, "#define %s %du\t/* %s:%u */\n", name, config_setting_get_int(s), m->dev->file,
			config_setting_source_line(s));
	}
	return rc;
}

static int field_number(struct emitter *m, const config_setting_t *f, const char *key, int max, int *v)
{
	if (!config_setting_is_group(f) || !config_setting_lookup_int(f, key, v) || *v < 0 || *v > max)
		return bad(m, f, "must be { at = OFFSET; size = 1, 2, 4 or 8; [signed = true;] }");
	return 0;
}

static int emit_field(struct emitter *m, const char *layout, const config_setting_t *f)
{
	const char *name = config_setting_name(f);
	int at, size, is_signed = 0, rc = field_number(m, f, "at", 65535, &at);

	if (!rc)
		rc = field_number(m, f, "size", 8, &size);
	if (!rc && size != 1 && size != 2 && size != 4 && size != 8)
		rc = bad(m, f, "has a size that is not 1, 2, 4 or 8");
	if (rc)
		return rc;
	config_setting_lookup_bool(f, "signed", &is_signed);
	fprintf(m->out, "/* %s:%u */\n", m->dev->file, config_setting_source_line(f));
	fprintf(m->out, "static inline void put_%s_%s(uint8_t *p, uint64_t v) { store%d(p + %d, v); }\n", layout, name,
		size * 8, at);
	fprintf(m->out, "static inline %sint64_t get_%s_%s(const uint8_t *p) { return (%sint%d_t)load%d(p + %d); }\n",
		is_signed ? "" : "u", layout, name, is_signed ? "" : "u", size * 8, size * 8, at);
	return 0;
}

static int emit_layouts(struct emitter *m, const config_setting_t *layouts)
{
	int rc = 0;

	for (int i = 0; !rc && i < config_setting_length(layouts); i++) {
		const config_setting_t *l = config_setting_get_elem(layouts, i);

		if (!config_setting_is_group(l))
			return bad(m, l, "must be a group of fields");
		fprintf(m->out, "\n/* layout %s */\n", config_setting_name(l));
		for (int k = 0; !rc && k < config_setting_length(l); k++)
			rc = emit_field(m, config_setting_name(l), config_setting_get_elem(l, k));
	}
	return rc;
}

static int emit_opcodes(struct emitter *m, const config_setting_t *op)
{
	static const char *const needed[] = { "read", "write", "write_fua", "flush", "discard", "write_zeroes" };
	char name[64];

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!config_setting_get_member(op, needed[i]))
			return hv_err(m->e, EINVAL, "%s:%u: opcode has no %s: every operation of the class needs one",
				      m->dev->file, config_setting_source_line(op), needed[i]);
	for (int i = 0; i < config_setting_length(op); i++) {
		const config_setting_t *s = config_setting_get_elem(op, i);

		if (config_setting_type(s) != CONFIG_TYPE_INT)
			return bad(m, s, "must be a number");
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
	return 0;
}

static int emit_statuses(struct emitter *m, const config_setting_t *st)
{
	static const char *const known[] = { "ok", "ioerr", "unsupported", "nospc" };
	static const char *const as[] = { "OK", "IOERR", "UNSUPPORTED", "NOSPC" };

	fputs("\nstatic inline uint8_t status_of(int64_t v)\n{\n", m->out);
	for (int i = 0; i < config_setting_length(st); i++) {
		const config_setting_t *s = config_setting_get_elem(st, i);
		size_t k = 0;

		while (k < 4 && strcmp(known[k], config_setting_name(s)))
			k++;
		if (k == 4 || config_setting_type(s) != CONFIG_TYPE_INT)
			return bad(m, s, "is not a status with a number (ok, ioerr, unsupported, nospc)");
		fprintf(m->out, "\tif (v == %d)\n\t\treturn HVDRV_ST_%s;\t/* %s:%u */\n", config_setting_get_int(s), as[k],
			m->dev->file, config_setting_source_line(s));
	}
	fputs("\treturn HVDRV_ST_IOERR;\n}\n\n", m->out);
	return 0;
}

static int emit_skeleton(struct emitter *m, const char *dir)
{
	char path[PATH_MAX];
	void *text;
	size_t len;
	int rc;

	if (!hv_str_is_name(m->dev->skeleton, 32))
		return hv_err(m->e, EINVAL, "%s: skeleton \"%s\" is not a name", m->dev->file, m->dev->skeleton);
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

static int group(struct emitter *m, const char *name, int (*fn)(struct emitter *, const config_setting_t *))
{
	const config_setting_t *s = config_lookup(&m->dev->cfg, name);

	if (!s || !config_setting_is_group(s))
		return hv_err(m->e, EINVAL, "%s: group %s is missing", m->dev->file, name);
	return fn(m, s);
}

static int numbers(struct emitter *m, const config_setting_t *s)
{
	return emit_numbers(m, s, "");
}

int emit_driver(FILE *out, const struct device_desc *dev, const struct os_desc *os, const char *skeletons,
		struct hv_err *e)
{
	struct emitter m = { out, dev, e };
	int rc;

	fprintf(out, "/* Generated by hvdrv-repo from %s (version %d) for %s. */\n\n#include \"prelude.h\"\n\n", dev->file,
		dev->version, os->file);
	rc = group(&m, "numbers", numbers);
	if (!rc)
		rc = group(&m, "layout", emit_layouts);
	fputs("\n", out);
	if (!rc)
		rc = group(&m, "opcode", emit_opcodes);
	if (!rc)
		rc = group(&m, "status", emit_statuses);
	if (!rc)
		rc = emit_skeleton(&m, skeletons);
	if (!rc)
		emit_entries(&m, os);
	return rc;
}
