// SPDX-License-Identifier: GPL-2.0-only
/* From descriptions to images: what is wrong is named with its place, and the same input gives the same driver. */
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/check.h"
#include "emit.h"
#include "gen.h"
#include "key.h"
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
	ck_contains(a, "/* blkif.conf:");				/* each with its place */
	ck_contains(a, "jmp drv_adopt");
	ck_contains(a, "0xf3, 0x0f, 0x1e, 0xfa");
	ck_assert_ptr_null(strstr(a, "/work"));				/* nothing of this machine */
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
	ck_assert_str_eq(a.h.release_min, "6.1");
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
	char *text = unit_read(UNIT_SRCDIR "/frontend/driver/ring.c", NULL), *prelude = unit_read(UNIT_SRCDIR "/frontend/driver/prelude.h", NULL), *out;
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

static const struct {
	const char *from, *to, *says;
	bool emit;			/* found when it is emitted, else when it is read */
} bad[] = {
	{ "device   = \"blkif\";", "", "device is missing" }, { "version  = 1;", "version = \"one\";", "version must be a number" },
	{ "class    = \"block\";", "class = 5;", "class must be a text" }, { "mode     = \"virtual\";", "", "mode is missing" },
	{ "pages_per_tag = 1;", "", "pages_per_tag is missing" }, { "pages_per_tag = 1;", "pages_per_tag = 3;", "at most 2 per tag" },
	{ "fixed_pages = 2;", "fixed_pages = -1;", "queue needs" }, { "fixed_pages = 2;", "fixed_pages = 161;", "queue needs" },
	{ "device   = \"blkif\";", "device = ", "syntax error" }, { "device   = \"blkif\";", "\xff\xfe", "syntax error" },
	{ "skeleton = \"ring\";", "skeleton = \"../ring\";", "not a name", true }, { "skeleton = \"ring\";", "skeleton = \"none\";", "none.c", true },
	{ "gref      = { at = 0; size = 4; };", "gref = { at = 0; size = 3; };", "1, 2, 4 or 8", true },
	{ "gref      = { at = 0; size = 4; };", "gref = { size = 4; };", "at = OFFSET", true },
	{ "gref      = { at = 0; size = 4; };", "gref = { at = -1; size = 4; };", "at = OFFSET", true },
	{ "gref      = { at = 0; size = 4; };", "gref = { at = 70000; size = 4; };", "at = OFFSET", true },
	{ "gref      = { at = 0; size = 4; };", "gref = 5;", "at = OFFSET", true }, { "entries   = 64;", "entries = \"64\";", "must be a number", true },
	{ "entries   = 64;", "entries = -64;", "not negative", true }, { "flush        = 3;", "", "opcode has no flush", true },
	{ "read         = 0;", "read = \"x\";", "must be a number", true }, { "nospc       = -28;", "full = -28;", "is not a status", true },
	{ "nospc       = -28;", "nospc = \"x\";", "is not a status", true },
	{ "status = {\n  ok ", "state = {\n  ok ", "group status is missing", true }, { "numbers = {", "numbrs = {", "group numbers is missing", true },
};

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
	ck_assert_int_lt(rc, 0);
	ck_contains(e.text, bad[_i].says);
	ck_contains(e.text, "wrong.conf");
}
END_TEST

static const struct {
	const char *text, *says;
} bad_os[] = {
	{ "", "os is missing" }, { "os = 5;", "os must be a text" }, { "os = \"linux\"", "arch is missing" }, { "{", "syntax error" },
};

START_TEST(wrong_os)
{
	const char *conf = unit_path("os.conf");
	struct os_desc os;
	struct hv_err e;

	unit_write(conf, bad_os[_i].text, strlen(bad_os[_i].text));
	ck_assert_int_eq(os_desc_read(conf, &os, &e), -EINVAL);
	ck_contains(e.text, bad_os[_i].says);
	ck_assert_int_eq(os_desc_read(unit_path("none"), &os, &e), -ENOENT);
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
	ck_assert_int_eq(key_generate(dir, "../x", &e), -EINVAL);
	ck_assert_int_eq(key_generate(dir, "", &e), -EINVAL);
	ck_assert_msg(!key_generate(dir, "local", &e), "%s", e.text);
	ck_assert_int_eq(key_generate(dir, "local", &e), -EEXIST);
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
	Suite *s = unit_new("repo", (const TTest *[]){ deterministic, same_id, no_compiler, nothing_left, serves, keys, not_elf, NULL });

	unit_loop(s, "skeleton-knows-nothing", skeleton_knows_nothing, N(changed));
	unit_loop(s, "compiler", compiler, N(compilers));
	unit_loop(s, "skeleton", skeleton, N(skeletons));
	unit_loop(s, "wrong", wrong, N(bad));
	unit_loop(s, "wrong-os", wrong_os, N(bad_os));
	return s;
}
