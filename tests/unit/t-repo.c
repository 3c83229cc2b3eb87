// SPDX-License-Identifier: GPL-2.0-only
/* From descriptions to images: what is wrong is named with its place, and the same input gives the same driver. */
#include <ctype.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/check.h"
#include "emit.h"
#include "gen.h"
#include "key.h"
#include "skeleton.h"
#include "unit.h"

static char *emitted(const char *conf, int *rc, struct hv_err *e)
{
	struct device_desc dev;
	struct os_desc os;
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	ck_assert_msg(!device_desc_read(conf, &dev, e), "%s", e->text);
	ck_assert_msg(!os_desc_read(gen_os, &os, e), "%s", e->text);
	*rc = emit_driver(f, &dev, &os, gen_paths.skeletons, e);
	fclose(f);
	device_desc_free(&dev);
	os_desc_free(&os);
	return text;
}

START_TEST(deterministic)
{
	struct hv_err e = { 0 };
	int rc;
	char *a = emitted(gen_device, &rc, &e), *b;

	ck_assert_msg(!rc, "%s", e.text);
	b = emitted(gen_device, &rc, &e);
	ck_assert_str_eq(a, b);
	ck_contains(a, "#define RING_ENTRIES 64u");
	ck_contains(a, "#define OPCODE_WRITE_ZEROES 64u");
	ck_contains(a, "static inline void put_segment_gref(uint8_t *p, uint64_t v) { store32(p + 0, v); }");
	ck_contains(a, "(int16_t)load16(p + 10)");			/* a status is signed */
	ck_contains(a, "jmp drv_adopt");
	ck_contains(a, "0xf3, 0x0f, 0x1e, 0xfa");
	ck_assert_ptr_null(strstr(a, "/work"));				/* nothing of this machine */
}
END_TEST

/* The text of line `no` of what is in a file. */
static const char *line_of(const char *text, unsigned int no)
{
	while (--no)
		text = strchr(text, '\n') + 1;
	return text;
}

/* Does a place, "blkif.conf:17", name the line that has this key? */
static void check_place(const char *place, const char *conf, const char *key)
{
	unsigned int no = 0;
	char want[80];
	const char *line, *at;

	ck_assert_msg(sscanf(place, "blkif.conf:%u", &no) == 1 && no, "%s: %.30s", key, place);
	line = line_of(conf, no);
	snprintf(want, sizeof(want), " %s ", key);
	at = strstr(line, want);
	ck_assert_msg(at && at < strchr(line, '\n'), "%s is not in line %u", key, no);
}

/* Each leaf below a group: a constant with its place behind it, or a field's functions with their place before them. */
static int check_leaves(const config_setting_t *group, const char *prefix, const char *text, const char *conf)
{
	int n = 0;

	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);
		bool field = config_setting_is_group(s) && config_setting_get_member(s, "at");
		char name[100], start[140];
		const char *at;

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "_" : "", config_setting_name(s));
		if (config_setting_is_group(s) && !field) {
			n += check_leaves(s, name, text, conf);
			continue;
		}
		for (char *c = name; !field && *c; c++)
			*c = toupper((unsigned char)*c);
		snprintf(start, sizeof(start), field ? "*/\nstatic inline void put_%s(uint8_t" : "\n#define %s ", name);
		at = strstr(text, start);
		ck_assert_msg(at && !strstr(at + 1, start), "\"%s\" is not there once", start);
		while (field && strncmp(at, "/* ", 3))
			at--;
		at = strstr(at, "/* ");
		check_place(at + 3, conf, config_setting_name(s));
		n++;
	}
	return n;
}

START_TEST(places)
{
	char *conf = unit_read(gen_device, NULL), *text, *at;
	struct device_desc dev;
	struct hv_err e = { 0 };
	int rc;

	text = emitted(gen_device, &rc, &e);
	ck_assert_int_eq(device_desc_read(gen_device, &dev, &e), 0);
	ck_assert_int_eq(check_leaves(config_lookup(&dev.cfg, "numbers"), "", text, conf), 12);
	ck_assert_int_eq(check_leaves(config_lookup(&dev.cfg, "layout"), "", text, conf), 20);
	ck_assert_int_eq(check_leaves(config_lookup(&dev.cfg, "opcode"), "opcode", text, conf), 7);
	at = strstr(text, "if (v == -28)");
	ck_assert_ptr_nonnull(at);
	check_place(strstr(at, "/* ") + 3, conf, "nospc");
	ck_contains(text, "/* ---- entries: each begins as linux-x86_64.inc:");	/* what is included has its own file */
	device_desc_free(&dev);
}
END_TEST

/* The skeleton holds no offset, opcode or status: a change of the description changes what is emitted before it only. */
static const struct {
	const char *of, *skeleton;
	struct gen_change change[3];
	const char *field;
} changed[] = {
	{ gen_device, "---- skeleton ring", { { "gref      = { at = 0;", "gref      = { at = 4;" }, { "read         = 0;", "read         = 7;" } },
	  "put_segment_gref(uint8_t *p, uint64_t v) { store32(p + 4, v)" },
	{ gen_nvme, "---- skeleton nvme", { { "nsid       = { at =  4;", "nsid       = { at = 60;" }, { "read         = 2;", "read         = 7;" } },
	  "put_command_nsid(uint8_t *p, uint64_t v) { store32(p + 60, v)" },
};

START_TEST(skeleton_knows_nothing)
{
	const char *conf = unit_path(_i ? "nvme.conf" : "blkif.conf");
	struct hv_err e = { 0 };
	char *a, *b, *sa, *sb;
	int rc;

	gen_conf(conf, changed[_i].of, changed[_i].change);
	a = emitted(changed[_i].of, &rc, &e);
	b = emitted(conf, &rc, &e);
	ck_assert_str_ne(a, b);
	sa = strstr(a, changed[_i].skeleton);
	sb = strstr(b, changed[_i].skeleton);
	ck_assert(sa && sb);
	ck_assert_str_eq(sa, sb);
	ck_contains(b, changed[_i].field);
	ck_contains(b, "#define OPCODE_READ 7u");
}
END_TEST

/* Built twice: the same id. The payload is a flat driver that the checker takes. */
START_TEST(same_id)
{
	struct hv_image a, b;
	char ia[65], ib[65];

	if (!gen_image(gen_device, &a))
		return;
	ck_assert(gen_image(gen_device, &b));
	b.h.created += 100;
	hv_image_id(&a, ia);
	hv_image_id(&b, ib);
	ck_assert_str_eq(ia, ib);
	ck_assert_uint_eq(a.h.payload_size, b.h.payload_size);
	ck_assert_mem_eq(a.payload, b.payload, a.h.payload_size);
	ck_assert_str_eq(a.h.device, "blkif");
	ck_assert_str_eq(a.h.releases, "6.1,6.12");
	ck_assert_str_eq(a.h.features, "ibt,rethunk,pti");
	ck_assert_uint_eq(a.h.queue_fixed_pages, 2);
	ck_assert_uint_eq(a.h.queue_pages_per_tag, 1);
	ck_assert_uint_le(a.h.payload_size, HVDRV_SLOT_SIZE);
	for (int k = 0; k < HVDRV_ENTRIES; k++)
		ck_assert_mem_eq(a.payload + HVDRV_ENTRY_OFFSET(k), "\xf3\x0f\x1e\xfa", 4);
}
END_TEST

static int build(const char *conf, const char *skeletons, struct hv_err *e)
{
	struct build_paths p = { skeletons, gen_paths.include };
	struct device_desc dev;
	struct os_desc os;
	struct hv_image img;
	int rc;

	ck_assert_int_eq(device_desc_read(conf, &dev, e), 0);
	ck_assert_int_eq(os_desc_read(gen_os, &os, e), 0);
	rc = build_image(&dev, &os, &p, &img, e);
	ck_assert(!rc || !img.payload);
	return rc;
}

static const char *const compilers[] = { "gcc", "clang" };

START_TEST(compiler)
{
	struct hv_err e = { 0 };
	struct hv_image img;
	char cmd[64];
	int rc;

	snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null", compilers[_i]);
	if (system(cmd)) {
		unit_skip("no such compiler here");
		return;
	}
	setenv("HVDRV_CC", compilers[_i], 1);
	rc = build(gen_device, gen_paths.skeletons, &e);
	if (rc && strstr(e.text, "harden-sls")) {
		unit_skip("this compiler cannot put int3 behind ret");
		return;
	}
	ck_assert_msg(!rc, "%s", e.text);
	ck_assert(gen_image(gen_device, &img));		/* checked in there */
}
END_TEST

START_TEST(no_compiler)
{
	struct hv_err e = { 0 };

	setenv("HVDRV_CC", "/no/such/cc", 1);
	ck_assert_int_eq(build(gen_device, gen_paths.skeletons, &e), -ENOENT);
	ck_contains(e.text, "no C compiler");
	unsetenv("HVDRV_CC");
	setenv("PATH", "/nowhere", 1);
	ck_assert_int_eq(build(gen_device, gen_paths.skeletons, &e), -ENOENT);
}
END_TEST

/* Skeletons with what a driver may not have, in place of drv_detach()'s body. */
static const struct {
	const char *what, *before, *body, *says;
} skeletons[] = {
	{ "a variable", "static uint32_t count;", "return ++count;", "code and constants only" },
	{ "an initialised variable", "static volatile uint32_t count = 5;", "return ++count;", "code and constants only" },
	{ "a function of the guest's", "extern uint32_t printk(const char *);", "return printk(\"x\");", "could not build" },
	{ "an error", "", "return nothing;", "could not build" },
	{ "a warning", "", "int unused; return 0;", "could not build" },
	{ "a large frame", "", "volatile char big[4096]; big[arg] = 1; return big[0];", "could not build" },
	{ "too much of it", "static const uint8_t table[20000] = { 1, 2, 3 };", "return table[arg];", "a slot" },
};

START_TEST(skeleton)
{
	char *text = unit_read(UNIT_SRCDIR "/frontend/driver/ring.c", NULL), *prelude = unit_read(UNIT_SRCDIR "/frontend/driver/prelude.h", NULL);
	char *keys = unit_read(UNIT_SRCDIR "/frontend/driver/ring.keys", NULL), *out;
	char *at = strstr(text, "uint32_t drv_detach("), dir[256];
	struct hv_err e = { 0 };
	struct hv_image img;

	if (!gen_image(gen_device, &img))
		return;
	ck_assert_ptr_nonnull(at);
	*at = 0;
	out = malloc(strlen(text) + 1000);
	sprintf(out, "%s\n%s\nuint32_t drv_detach(struct hvdrv_ctx *ctx, uint32_t arg)\n{\n(void)ctx; (void)arg;\n%s\n}\n", text, skeletons[_i].before,
		skeletons[_i].body);
	snprintf(dir, sizeof(dir), "%s", unit_path("skel"));
	mkdir(dir, 0700);
	unit_write(unit_path("skel/ring.c"), out, strlen(out));
	unit_write(unit_path("skel/ring.keys"), keys, strlen(keys));
	unit_write(unit_path("skel/prelude.h"), prelude, strlen(prelude));
	ck_assert_msg(build(gen_device, dir, &e) == -ENOEXEC, "%s was built", skeletons[_i].what);
	ck_assert_msg(strstr(e.text, skeletons[_i].says), "%s: %s", skeletons[_i].what, e.text);
}
END_TEST

START_TEST(nothing_left)
{
	struct hv_err e = { 0 };
	char dir[256];

	snprintf(dir, sizeof(dir), "%s", unit_path("t"));
	if (strlen(dir) >= 32)
		snprintf(dir, sizeof(dir), "/tmp/hvu-%d", getpid());
	mkdir(dir, 0700);
	setenv("TMPDIR", dir, 1);
	build(gen_device, gen_paths.skeletons, &e);
	build(gen_device, "/none", &e);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

#define GREF "gref      = { at = 0; size = 4; };"
static const struct {
	const char *from, *to, *says;
	bool emit;			/* the skeleton's affair: found when it is emitted, else when it is read */
} bad[] = {
	{ "device   = \"blkif\";", "", "wrong.conf:1: device is missing: it must be a text of 1 to 31 characters" },
	{ "device   = \"blkif\";", "device = \"b c\";", "without blanks, it is \"b c\"" },
	{ "device   = \"blkif\";", "device = \"a23456789012345678901234567890123\";", "wrong.conf:5: device must be a text of 1 to 31" },
	{ "version  = 1;", "version = \"one\";", "wrong.conf:6: version must be a number from 1 to 2147483647, it is \"one\"" },
	{ "version  = 1;", "version = 1.5;", "it is a number with a fraction" }, { "version  = 1;", "version = 0;", "from 1 to 2147483647, it is 0" },
	{ "version  = 1;", "version = 4294967297L;", "it is 4294967297" }, { "version  = 1;", "version = 1; Version = 2;", "Version is unknown; known here: device, version, class" },
	{ "version  = 1;", "version = 1; version = 2;", "duplicate" },
	{ "class    = \"block\";", "class = 5;", "class must be one of the texts: block, it is 5" },
	{ "mode     = \"virtual\";", "", "mode is missing: it must be one of the texts: virtual paravirtual direct" },
	{ "mode     = \"virtual\";", "mode = \"virtua\";", "it is \"virtua\"" },
	{ "version  = 1;", "version = 1; vendor = \"a_b\";", "wrong.conf:6: vendor must be letters and digits, such as the PCI vendor id 144d" },
	{ "version  = 1;", "version = 1; vendor = \"\";", "vendor must be a text of 1 to 15" },
	{ "pages_per_tag = 1;", "", "wrong.conf:13: queue.pages_per_tag is missing" }, { "pages_per_tag = 1;", "pages_per_tag = 3;", "a number from 0 to 2, it is 3" },
	{ "pages_per_tag = 1;", "pages_per_tag = 1; pages = 2;", "queue.pages is unknown; known here: fixed_pages, pages_per_tag" },
	{ "fixed_pages = 2;", "fixed_pages = -1;", "from 0 to 160, it is -1" }, { "fixed_pages = 2;", "fixed_pages = 161;", "from 0 to 160, it is 161" },
	{ "queue = { fixed_pages = 2; pages_per_tag = 1; };", "queue = { fixed_pages = 0; pages_per_tag = 0; };", "queue has no page at all" },
	{ "queue = { fixed_pages = 2; pages_per_tag = 1; };", "queue = 2;", "queue must be a group { ... }, it is 2" },
	{ "device   = \"blkif\";", "device = ", "syntax error" }, { "device   = \"blkif\";", "\xff\xfe", "syntax error" },
	{ "flush        = 3;", "", "opcode.flush is missing" }, { "read         = 0;", "read = \"x\";", "opcode.read must be a number" },
	{ "read         = 0;", "read = -1;", "from 0 to 2147483647, it is -1" },
	{ "nospc       = -28;", "full = -28;", "status.full is unknown; known here: ok, ioerr, unsupported, nospc" },
	{ "nospc       = -28;", "nospc = \"x\";", "status.nospc must be a number" }, { "ok          = 0;", "", "status.ok is missing" },
	{ "status = {\n  ok ", "state = {\n  ok ", "state is unknown" }, { "numbers = {", "numbrs = {", "numbrs is unknown" },
	{ "skeleton = \"ring\";", "skeleton = \"../ring\";", "wrong.conf:9: skeleton \"../ring\" is not a name", true },
	{ "skeleton = \"ring\";", "skeleton = \"none\";", "none.keys cannot be read", true },
	{ GREF, "gref = { at = 0; size = 3; };", "layout.segment.gref.size must be one of 1, 2, 4, 8", true },
	{ GREF, "gref = { size = 4; };", "{ at = OFFSET; size = 1, 2, 4 or 8; [signed = true;] }: at is missing", true },
	{ GREF, "gref = { at = 0; };", "size is missing", true }, { GREF, "gref = { at = -1; size = 4; };", "at must be a number from 0 to 4095, it is -1", true },
	{ GREF, "gref = { at = 70000; size = 4; };", "from 0 to 4095, it is 70000", true }, { GREF, "gref = { at = 4094; size = 4; };", "gref ends at 4098", true },
	{ GREF, "gref = 5;", "gref must be { at = OFFSET", true }, { GREF, "gref = { at = 0; size = 4; sined = true; };", "sined is unknown; known here: at, size, signed", true },
	{ GREF, "gref = { at = 0; size = 4; signed = 1; };", "signed must be true or false", true },
	{ GREF, "", "wrong.conf:37: layout.segment has no gref: the skeleton needs it, a field", true },
	{ GREF, "reff = { at = 0; size = 4; };", "layout.segment.reff is unknown to the skeleton; known here: gref, first, last", true },
	{ "segment = {  ", "segmnt = {  ", "layout.segmnt is unknown to the skeleton; known here: request, segment, range", true },
	{ "entries   = 64;", "entries = \"64\";", "entries must be one of 2, 4, 8, 16, 32, 64, 128, it is a text", true },
	{ "entries   = 64;", "entries = 63;", "numbers.ring.entries must be one of 2, 4, 8, 16, 32, 64, 128, it is 63", true },
	{ "entries   = 64;", "entrys = 64;", "entrys is unknown to the skeleton; known here: pages, entries, first", true },
	{ "entries   = 64;", "", "wrong.conf:16: numbers.ring has no entries: the skeleton needs it, one of 2, 4", true },
	{ "stride    = 112;", "stride = -112;", "stride must be a number from 1 to 4096, it is -112", true },
	{ "stride    = 112;", "stride = { x = 1; };", "stride must be a number from 1 to 4096, it is a group", true },
	{ "indirect = { segs_stride = 8; };", "indirect = 8;", "numbers.indirect must be a group { ... }, it is a number", true },
	{ "indirect = { segs_stride = 8; };", "", "numbers has no indirect: the skeleton needs it, a group", true },
	{ "indirect     = 6;", "", "opcode has no indirect: the skeleton needs it, a number", true },
	{ "indirect     = 6;", "indirect = 6; trim = 7;", "opcode.trim is unknown to the skeleton; known here: indirect", true },
};

/* "wrong.conf:12: " */
static bool has_place(const char *text)
{
	const char *at = strstr(text, "wrong.conf:");

	return at && at[11] >= '1' && at[11] <= '9' && strchr(at + 11, ':');
}

START_TEST(wrong)
{
	const struct gen_change c[] = { { bad[_i].from, bad[_i].to }, { NULL, NULL } };
	const char *conf = unit_path("wrong.conf");
	struct device_desc dev;
	struct hv_err e = { 0 };
	int rc;

	gen_conf(conf, gen_device, c);
	if (bad[_i].emit) {
		free(emitted(conf, &rc, &e));
	} else {
		rc = device_desc_read(conf, &dev, &e);
	}
	ck_assert_int_eq(rc, -EINVAL);
	ck_contains(e.text, bad[_i].says);
	ck_assert_msg(has_place(e.text), "%s", e.text);
}
END_TEST

/* A skeleton's keys are somebody's file, too. */
static const struct {
	const char *keys, *says;
} bad_keys[] = {
	{ "", "numbers.ring is unknown to the skeleton; known here: nothing" }, { "numbers = ", "ring.keys:1: syntax error" },
	{ "numbers = { ring = 5; };", "must be one of" }, { "numbers = { ring = [ \"x\" ]; };", "must be one of" }, { "numbers = { ring = ( ); };", "from 0 to 0" },
	{ "numbers = 5;", "is unknown" }, { "numbers = { ring = { x = \"y\"; }; };", "is unknown" },
};

START_TEST(wrong_keys)
{
	struct hv_err e = { 0 };
	struct device_desc dev;
	char dir[256];

	snprintf(dir, sizeof(dir), "%s", unit_path("skel"));
	mkdir(dir, 0700);
	unit_write(unit_path("skel/ring.keys"), bad_keys[_i].keys, strlen(bad_keys[_i].keys));
	ck_assert_int_eq(device_desc_read(gen_device, &dev, &e), 0);
	ck_assert_int_eq(skeleton_check(&dev, dir, &e), -EINVAL);
	ck_contains(e.text, bad_keys[_i].says);
	device_desc_free(&dev);
}
END_TEST

#define FEATURES "features = [ \"ibt\", \"rethunk\", \"pti\" ];"
#define RELEASES "releases = [ \"6.1\", \"6.12\" ];"
static const struct {
	const char *from, *to, *says;
} bad_os[] = {
	{ "os      = \"linux\";", "", "wrong.conf:1: os is missing: it must be a text of 1 to 15 characters" }, { "os      = \"linux\";", "os = 5;", "os must be a text" },
	{ "arch    = \"x86_64\";", "arch = \"arm64\";", "arch must be one of the texts: x86_64, it is \"arm64\"" },
	{ RELEASES, "", "releases is missing: it must be an array of 1 to 12 texts" }, { RELEASES, "releases = \"6.1\";", "releases must be an array" },
	{ RELEASES, "releases = [ ];", "releases must be an array of 1 to 12" }, { RELEASES, "releases = [ 6 ];", "releases must be an array" },
	{ RELEASES, "releases = [ \"6.1\", \"6.x\" ];", "like \"6.1\" or \"6.1..6.6\", \"6.x\" is none" }, { RELEASES, "releases = [ \"6.1,6.2\" ];", "\"6.1,6.2\" is none" },
	{ RELEASES, "releases = [ \"6.6..6.1\" ];", "\"6.6..6.1\" is none" }, { RELEASES, "releases = [ \"6.1 \" ];", "releases must be an array" },
	{ RELEASES, "releases = [ \"6.1000000000000000000000000\", \"6.2000000000000000000000000000000000000\" ];", "at most 63 characters in all" },
	{ FEATURES, "features = \"ibt\";", "features must be an array" }, { FEATURES, "features = [ \"IBT\" ];", "like \"ibt\" or \"rethunk\", \"IBT\" is none" },
	{ FEATURES, "features = [ \"a,b\" ];", "\"a,b\" is none" }, { FEATURES, "features = [ \"\" ];", "features must be an array" },
	{ FEATURES, "features = [ \"aaaaaaaaaaaaaaaaaaaaaaaaa\", \"bbbbbbb\" ];", "at most 31 characters in all" },
	{ "ibt       = true;", "ibt = false;", "features must not have \"ibt\" while code.ibt is false" },
	{ RELEASES, "release = { min = \"6.1\"; max = \"6.1\"; };", "release is unknown" },
	{ "[ 0xf3, 0x0f, 0x1e, 0xfa ]", "0xf3", "prologue must be an array of 0 to 16 numbers from 0 to 255, it is 243" },
	{ "[ 0xf3, 0x0f, 0x1e, 0xfa ]", "[ 0xf3, 256 ]", "prologue must be an array" }, { "[ 0xf3, 0x0f, 0x1e, 0xfa ]", "[ \"x\" ]", "prologue must be an array" },
	{ "[ 0xf3, 0x0f, 0x1e, 0xfa ]", "[ 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1 ]", "prologue must be an array" },
	{ "fpu       = false;", "fpu = 0;", "code.fpu must be true or false, it is 0" }, { "max_stack = 512;", "max_stack = 63;", "from 64 to 65536, it is 63" },
	{ "max_stack = 512;", "stack = 512;", "code.stack is unknown; known here: red_zone, fpu, ibt, sls, max_stack" },
	{ "services = ( );", "services = ( \"printk\" );", "services must be an empty list ( )" },
	{ "( \"gref\", \"gfn\" )", "( \"mfn\" )", "addresses must be a list of 0 to 2 of the texts: gref gfn" },
	{ "( \"gref\", \"gfn\" )", "( 5 )", "addresses must be a list" }, { "os      = \"linux\";", "{", "syntax error" },
};

START_TEST(wrong_os)
{
	const struct gen_change c[] = { { bad_os[_i].from, bad_os[_i].to }, { NULL, NULL } };
	const char *conf = unit_path("wrong.conf");
	struct hv_err e = { 0 };
	struct os_desc os;

	gen_conf(conf, gen_rules, c);
	ck_assert_int_eq(os_desc_read(conf, &os, &e), -EINVAL);
	ck_contains(e.text, bad_os[_i].says);
	ck_assert_msg(has_place(e.text), "%s", e.text);
	ck_assert_int_eq(os_desc_read(unit_path("none"), &os, &e), -ENOENT);
}
END_TEST

/* ---- what a description includes ---- */

static const struct {
	const char *main, *inc, *says;		/* says NULL: it is taken */
} includes[] = {
	{ "@include \"a.inc\"\n", NULL, NULL }, { "# x\n \t@include \t\"a.inc\" \r\n", NULL, NULL }, { "@include \"a.inc\"", NULL, NULL },
	{ "@include \"a.inc\"\nmode = 5;\n", NULL, "os.conf:2: mode is unknown" },
	{ "\n@include \"../a.inc\"\n", NULL, "os.conf:2: must be @include \"NAME.inc\" and nothing else" }, { "@include \"/etc/passwd\"\n", NULL, "must be @include" },
	{ "@include \"a.conf\"\n", NULL, "must be @include" }, { "@include \".inc\"\n", NULL, "must be @include" }, { "@include \"\"\n", NULL, "must be @include" },
	{ "@include a.inc\n", NULL, "must be @include" }, { "@include \"a.inc\n", NULL, "must be @include" }, { "@include \"a.inc\" os = \"x\";\n", NULL, "must be @include" },
	{ "@include \"a\\.inc\"\n", NULL, "must be @include" }, { "@includes \"a.inc\"\n", NULL, "must be @include" },
	{ "os = \"linux\"; # @include \"../x\"\n@include \"a.inc\"\n", NULL, "duplicate" },
	{ "@include \"b.inc\"\n", NULL, "os.conf:1: @include \"b.inc\": there is no such file beside this one" },
	{ "@include \"a.inc\"\n", "@include \"a.inc\"\n", "a.inc:1: a file that is included may not include another" },
	{ "@include \"a.inc\"\n", "\nos = ;\n", "a.inc:2: syntax error" }, { "@include \"a.inc\"\n", "\n\nos = 5;\n", "a.inc:3: os must be a text" },
	{ "@include \"a.inc\"\n", "code = {\n  fpu = 5;\n};\n", "a.inc:2: code.fpu must be true or false" },
	{ "@include \"a.inc\"\n", "\n\ncode = { };\n", "is missing" },
};

START_TEST(include)
{
	char *rules = unit_read(gen_rules, NULL);
	const char *inc = includes[_i].inc ? includes[_i].inc : rules;
	struct hv_err e = { 0 };
	struct os_desc os;
	int rc;

	unit_write(unit_path("a.inc"), inc, strlen(inc));
	unit_write(unit_path("a.conf"), inc, strlen(inc));
	unit_write(unit_path("os.conf"), includes[_i].main, strlen(includes[_i].main));
	rc = os_desc_read(unit_path("os.conf"), &os, &e);
	if (!includes[_i].says) {
		ck_assert_msg(!rc, "%s", e.text);
		ck_assert_str_eq(os.abi, "linux-kernel");
		os_desc_free(&os);
		return;
	}
	ck_assert_int_eq(rc, -EINVAL);
	ck_contains(e.text, includes[_i].says);
}
END_TEST

/* From either description the very same image, which serves the guests of both. */
START_TEST(one_for_both)
{
	static const char *const oses[] = { UNIT_SRCDIR "/repo/oses/linux-6.1-x86_64.conf", UNIT_SRCDIR "/repo/oses/linux-6.12-x86_64.conf" };
	const struct hv_os guest = { "linux", "x86_64", "linux-kernel", "6.12.9+deb12-amd64" };
	const struct hv_want want = { .os = &guest, .class = "block", .mode = "virtual", .device = "blkif", .vendor = "" };
	struct device_desc dev;
	struct hv_err e = { 0 };
	struct os_desc os;
	struct hv_image img;
	char id[2][65];
	int rc;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(device_desc_read(gen_device, &dev, &e), 0);
		ck_assert_msg(!os_desc_read(oses[i], &os, &e), "%s", e.text);
		ck_assert_str_eq(os.releases, "6.1,6.12");
		rc = build_image(&dev, &os, &gen_paths, &img, &e);
		if (rc == -ENOENT) {
			unit_skip(e.text);
			return;
		}
		ck_assert_msg(!rc, "%s", e.text);
		ck_assert_int_eq(hv_image_fits(&img, &want, &e), 0);
		hv_image_id(&img, id[i]);
		hv_image_free(&img);
		os_desc_free(&os);
		device_desc_free(&dev);
	}
	ck_assert_str_eq(id[0], id[1]);
}
END_TEST

START_TEST(serves)
{
	struct hv_os guest = { "linux", "x86_64", "linux-kernel", "6.1.0-56-amd64" };
	struct os_desc os;
	struct hv_err e;

	ck_assert_int_eq(os_desc_read(gen_os, &os, &e), 0);
	ck_assert(os_desc_serves(&os, &guest));
	strcpy(guest.release, "6.2.0");
	ck_assert(!os_desc_serves(&os, &guest));
	strcpy(guest.release, "6.1.0");
	strcpy(guest.arch, "arm64");
	ck_assert(!os_desc_serves(&os, &guest));
	os_desc_free(&os);
}
END_TEST

START_TEST(keys)
{
	char dir[256];
	uint8_t secret[64];
	struct hv_keyring ring;
	struct hv_image img;
	struct hv_err e = { 0 };
	struct stat st;

	snprintf(dir, sizeof(dir), "%s", unit_path("keys"));
	ck_assert_int_eq(key_load_secret(dir, "local", secret, &e), -ENOENT);
	ck_contains(e.text, "keygen");
	ck_assert_msg(!key_generate(dir, "local", NULL, &e), "%s", e.text);
	ck_assert_int_eq(key_generate(dir, "local", NULL, &e), -EEXIST);
	ck_assert_int_eq(stat(unit_path("keys/private/local.key"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(unit_path("keys/private"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	ck_assert_int_eq(key_load_secret(dir, "local", secret, &e), 0);
	ck_assert_int_eq(hv_keyring_load(dir, &ring, &e), 0);
	ck_assert_uint_eq(ring.n, 1);
	if (!gen_image(gen_device, &img))
		return;
	hv_image_sign(&img, secret);
	ck_assert_int_eq(hv_image_verify(&img, &ring, &e), 0);
	unit_write(unit_path("keys/private/local.key"), "hvdrv-secret-key 1 00", 21);
	ck_assert_int_eq(key_load_secret(dir, "local", secret, &e), -EINVAL);
}
END_TEST

START_TEST(not_elf)
{
	struct hv_image img = { 0 };
	struct hv_err e;

	unit_write(unit_path("x"), "not ELF at all", 14);
	ck_assert_int_eq(elf_to_payload(unit_path("x"), &img, &e), -ENOEXEC);
	ck_assert_ptr_null(img.payload);
	ck_assert_int_eq(elf_to_payload(unit_path("none"), &img, &e), -ENOENT);
	unit_write(unit_path("x"), "", 0);
	ck_assert_int_eq(elf_to_payload(unit_path("x"), &img, &e), -ENOEXEC);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("repo", (const TTest *[]){ deterministic, places, same_id, one_for_both, no_compiler, nothing_left, serves, keys, not_elf, NULL });

	unit_loop(s, "skeleton-knows-nothing", skeleton_knows_nothing, N(changed));
	unit_loop(s, "compiler", compiler, N(compilers));
	unit_loop(s, "skeleton", skeleton, N(skeletons));
	unit_loop(s, "wrong", wrong, N(bad));
	unit_loop(s, "wrong-keys", wrong_keys, N(bad_keys));
	unit_loop(s, "include", include, N(includes));
	unit_loop(s, "wrong-os", wrong_os, N(bad_os));
	return s;
}
