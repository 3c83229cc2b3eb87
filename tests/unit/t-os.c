// SPDX-License-Identifier: GPL-2.0-only
/* What a guest runs: kernel images, xl's record, and a guest that says something else. */
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>
#include <xen/elfnote.h>
#include "control.h"
#include "guest-os/kernel.h"
#include "unit.h"

#define BANNER_OF "6.1.0-56-amd64 (somebody@somewhere) #1 SMP PREEMPT_DYNAMIC Debian 6.1.1-1 (2026-01-01)"
#define SETUP 8192u

/* ---- images ---- */

/* Boot protocol 2.15; the version at 0x200 + at; flags of the kernel in it. */
static size_t bzimage(uint8_t *b, uint16_t at, const char *version, uint16_t flags)
{
	memset(b, 0, SETUP);
	b[0x1f1] = SETUP / 512 - 1;
	memcpy(b + 0x202, "HdrS\x0f\x02", 6);
	memcpy(b + 0x20e, &at, 2);
	memcpy(b + 0x236, &flags, 2);
	if (0x200u + at + strlen(version) < SETUP)
		strcpy((char *)b + 0x200 + at, version);
	return SETUP;
}

struct elf {
	Elf64_Ehdr h;
	Elf64_Phdr p[2];
	Elf64_Shdr s[3];
	char names[32];
	Elf64_Nhdr note;
	char note_text[12];		/* "Xen", and what it says */
	char text[300], rodata[300];
};

static void elf(struct elf *f, const char *os, const char *banner)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->h.e_ident, ELFMAG "\2\1\1", 7);
	f->h.e_machine = EM_X86_64;
	f->h.e_phoff = offsetof(struct elf, p);
	f->h.e_phentsize = sizeof(Elf64_Phdr);
	f->h.e_phnum = 2;
	f->h.e_shoff = offsetof(struct elf, s);
	f->h.e_shnum = 3;
	f->h.e_shstrndx = 2;
	f->p[0].p_type = PT_LOAD;
	f->p[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = offsetof(struct elf, note), .p_filesz = sizeof(f->note) + 12 };
	f->s[1] = (Elf64_Shdr){ .sh_name = 1, .sh_offset = offsetof(struct elf, rodata), .sh_size = sizeof(f->rodata) };
	f->s[2] = (Elf64_Shdr){ .sh_name = 9, .sh_offset = offsetof(struct elf, names), .sh_size = sizeof(f->names) };
	memcpy(f->names, "\0.rodata\0.shstrtab", 19);
	f->note = (Elf64_Nhdr){ 4, 8, XEN_ELFNOTE_GUEST_OS };
	memcpy(f->note_text, "Xen", 4);
	memcpy(f->note_text + 4, os, strnlen(os, 8));
	strcpy(f->text, "Linux version 4.4.0-wrong (not the banner)");
	snprintf(f->rodata, sizeof(f->rodata), "Linux version %%s%cLinux version %s\n", 0, banner);
	memcpy(f->rodata + 17, "Linux version ", 14);
	snprintf(f->rodata + 31, 200, "%s\n", banner);
}

static int reads(const void *data, size_t len, struct kernel *k, struct hv_err *e)
{
	const char *path = unit_path("kernel");
	int fd, rc;

	unit_write(path, data, len);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	memset(e, 0, sizeof(*e));
	rc = kernel_read(fd, k, e);
	close(fd);
	return rc;
}

static void ck_kernel(const struct kernel *k, const char *os, const char *arch, const char *release)
{
	ck_assert_str_eq(k->os, os);
	ck_assert_str_eq(k->arch, arch);
	ck_assert_str_eq(k->release, release);
}

START_TEST(bzimages)
{
	uint8_t b[SETUP];
	struct kernel k;
	struct hv_err e;

	ck_assert_int_eq(reads(b, bzimage(b, 0x1000, BANNER_OF, 1), &k, &e), 0);
	ck_kernel(&k, "linux", "x86_64", "6.1.0-56-amd64");
	ck_assert_int_eq(reads(b, bzimage(b, 0x1000, BANNER_OF, 2), &k, &e), 0);
	ck_kernel(&k, "linux", "i686", "6.1.0-56-amd64");
	ck_assert_int_eq(reads(b, bzimage(b, 0, "", 1), &k, &e), 0);
	ck_kernel(&k, "linux", "x86_64", "");
	/* beyond the sectors that it says it has; in no word; no number; cut short */
	ck_assert_int_eq(reads(b, bzimage(b, SETUP - 0x200 - 64, BANNER_OF, 1), &k, &e), -EPROTO);
	ck_assert_int_eq(reads(b, bzimage(b, 0x1000, "", 1), &k, &e), -EPROTO);
	ck_assert_int_eq(reads(b, bzimage(b, 0x1000, "x.1.0 x", 1), &k, &e), -EPROTO);
	ck_assert_int_eq(reads(b, bzimage(b, 0x1000, BANNER_OF, 1) - SETUP + 0x1100, &k, &e), -EPROTO);
	ck_contains(e.text, "version is not where");
	bzimage(b, 0x1000, "", 1);
	memset(b + 0x1200, '7', 200);
	ck_assert_int_eq(reads(b, SETUP, &k, &e), -EPROTO);
}
END_TEST

START_TEST(elves)
{
	struct kernel k;
	struct hv_err e;
	struct elf f;

	elf(&f, "linux", BANNER_OF);
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), 0);
	ck_kernel(&k, "linux", "x86_64", "6.1.0-56-amd64");
	elf(&f, "FreeBSD", "");
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), 0);
	ck_kernel(&k, "freebsd", "x86_64", "");
	/* no note: the banner says it. No sections: all of it is searched. No banner: no release */
	elf(&f, "linux", BANNER_OF);
	f.note.n_type = XEN_ELFNOTE_ENTRY;
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), 0);
	ck_kernel(&k, "linux", "x86_64", "6.1.0-56-amd64");
	f.h.e_shnum = 0;
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), 0);
	ck_kernel(&k, "linux", "x86_64", "4.4.0-wrong");
	elf(&f, "linux", "");
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), 0);
	ck_kernel(&k, "linux", "x86_64", "");
	elf(&f, "", "");
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), -ENOTSUP);
	ck_contains(e.text, "does not say of which system");
	/* another machine, damaged */
	elf(&f, "linux", BANNER_OF);
	f.h.e_machine = EM_ARM;
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), -ENOTSUP);
	elf(&f, "linux", BANNER_OF);
	f.p[1].p_offset = 1 << 20;
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), -EPROTO);
	elf(&f, "linux", BANNER_OF);
	f.note.n_descsz = 0xfffffff0;
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), 0);
	ck_kernel(&k, "linux", "x86_64", "6.1.0-56-amd64");
	f.h.e_phoff = UINT64_MAX - 8;
	ck_assert_int_eq(reads(&f, sizeof(f), &k, &e), -EPROTO);
	ck_assert_int_eq(reads("\177ELF", 4, &k, &e), -ENOTSUP);
	ck_assert_int_eq(reads(memset(&f, 'x', sizeof(f)), sizeof(f), &k, &e), -ENOTSUP);
	ck_contains(e.text, "neither");
}
END_TEST

/* ---- a guest ---- */

static void put_record(struct world *w, const char *record, int64_t started)
{
	char path[600], text[64];

	snprintf(path, sizeof(path), "%s/userdata-d.%u.%s.libxl-json", w->state, DOMID, UUID);
	unit_write(path, record, strlen(record));
	snprintf(text, sizeof(text), "%lld.25", (long long)started);
	ck_assert_int_eq(w->d.host->ops->write(w->d.host, 0, "/vm/" UUID "/start_time", text), 0);
}

/* The guest was started with an image of this version, then says `says` of its release; NULL: nothing. */
static void started(struct world *w, const char *version, const char *says, int64_t since)
{
	char record[700], kernel[300];
	uint8_t b[SETUP];

	start(w);
	snprintf(kernel, sizeof(kernel), "%s", unit_path("vmlinuz"));
	unit_write(kernel, b, bzimage(b, 0x1000, version, 1));
	snprintf(record, sizeof(record), "{ \"c_info\": { \"name\": \"web1\" }, \"b_info\": { \"kernel\": \"%s\" } }", kernel);
	mkdir(w->state, 0700);
	put_record(w, record, time(NULL) + since);
	attach(w, "");
	offer_keys(w);
	put(w, "os/release", says ? says : "");
	guest_state(w, "3");
}

/* What goes into a command that an admin is told to run is a name; what its kernel has chooses the driver. */
START_TEST(names)
{
	static const char *const keys[] = { "type", "arch", "abi", "release", "features" };
	struct world w;
	struct hv_err e;
	struct hv_os os;
	char key[32], *why;

	started(&w, BANNER_OF, "6.1.0-56-amd64", -60);
	why = w.d.host->ops->read(w.d.host, 0, ADMIN "error");
	ck_assert_ptr_null(why);
	for (size_t i = 0; i < N(keys); i++) {
		snprintf(key, sizeof(key), "os/%s", keys[i]);
		put(&w, key, i == 4 ? "ibt pti" : "a-b_c.d+e~1");
		ck_assert_int_eq(dev_read_os(TAILQ_FIRST(&TAILQ_FIRST(&w.d.doms)->devs), &os, &e), 0);
		put(&w, key, "6.1'; reboot '");
		ck_assert_int_eq(dev_read_os(TAILQ_FIRST(&TAILQ_FIRST(&w.d.doms)->devs), &os, &e), -EPROTO);
		ck_contains(e.text, "other characters than letters");
		put(&w, key, "x");
	}
}
END_TEST

START_TEST(features)
{
	struct world w;
	char *why;

	start(&w);
	attach(&w, "");
	offer_keys(&w);
	put(&w, "os/features", "ibt shadowstack");
	guest_state(&w, "3");
	why = w.d.host->ops->read(w.d.host, 0, ADMIN "error");
	ck_assert_ptr_nonnull(why);
	ck_contains(why, "is for kernels built with no more than");
	ck_contains(why, "the guest's has \"ibt shadowstack\"");
	ck_contains(why, "--os-features 'ibt shadowstack'");
	free(why);
}
END_TEST

static const struct {
	const char *version, *says;
	int64_t since;			/* from now */
	bool placed;
} guests[] = {
	{ BANNER_OF, "6.1.0-56-amd64", 60, true },
	{ BANNER_OF, NULL, 60, true },				/* it says nothing: as the image */
	{ BANNER_OF, "6.1.0-57-amd64", 60, false },
	{ "6.12.9-amd64 (x)", "6.1.0-56-amd64", 60, false },
	{ "6.12.9-amd64 (x)", "6.1.0-56-amd64", -60, true },	/* another file by now: what was started is not known */
	{ BANNER_OF, NULL, -60, false },
};

START_TEST(compared)
{
	struct json_object *row = json_object_new_object(), *os;
	struct world w;
	struct dev *v;
	char *why;

	started(&w, guests[_i].version, guests[_i].says, guests[_i].since);
	ck_assert_int_eq(*(uint8_t *)fake_page(w.f, DOMID, CODE) == 0xf3, guests[_i].placed);
	why = w.d.host->ops->read(w.d.host, 0, ADMIN "error");
	if (guests[_i].placed)
		ck_assert_ptr_null(why);
	else if (guests[_i].since < 0)
		ck_contains(why, "os/release is empty");
	else {
		ck_contains(why, "the guest says that it runs linux 6.1.0-5");
		ck_contains(why, "/vmlinuz, which xl has started it with, is linux 6.");
	}
	free(why);
	v = TAILQ_FIRST(&TAILQ_FIRST(&w.d.doms)->devs);
	dev_show_os(v, row);
	os = json_object_object_get(row, "os");
	if (guests[_i].since < 0)
		ck_contains(json_object_get_string(json_object_object_get(os, "kernel_unknown")), "has changed since it was started");
	else
		ck_contains(guests[_i].version, json_object_get_string(json_object_object_get(os, "kernel_release")));
	json_object_put(row);
}
END_TEST

static const struct {
	const char *record, *why;
} records[] = {
	{ "{ \"b_info\": { \"bootloader\": \"pygrub\" } }", "xl was given no kernel for it" },
	{ "{ \"b_info\": 7 }", "xl was given no kernel for it" },
	{ "{ \"b_info\": { \"kernel\": \"/nowhere/vmlinuz\" } }", "/nowhere/vmlinuz: No such file" },
	{ "{ \"b_info\": { \"kernel\": \"vmlinuz\" } }", "no whole name" },
	{ "{ \"b_info\": { \"kernel\": \"/\" } }", "/ is no file" },
	{ "{ \"b_info\": ", "damaged" },
	{ "", "damaged" },
};

/* Whatever the record is, the guest's word does then. */
START_TEST(unknown)
{
	struct json_object *row = json_object_new_object();
	struct world w;

	start(&w);
	mkdir(w.state, 0700);
	put_record(&w, records[_i].record, time(NULL) + 60);
	attach(&w, "");
	offer_keys(&w);
	guest_state(&w, "3");
	ck_assert_int_eq(*(uint8_t *)fake_page(w.f, DOMID, CODE), 0xf3);
	dev_show_os(TAILQ_FIRST(&TAILQ_FIRST(&w.d.doms)->devs), row);
	ck_contains(json_object_to_json_string_ext(row, JSON_C_TO_STRING_NOSLASHESCAPE), records[_i].why);
	json_object_put(row);
}
END_TEST

static char *shown(struct dev *v)
{
	struct json_object *row = json_object_new_object();
	char *text;

	dev_show_os(v, row);
	text = strdup(json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(row);
	return text;
}

static void ck_shown(struct dev *v, const char *what)
{
	char *text = shown(v);

	ck_contains(text, what);
	free(text);
}

/* A device that was chosen a driver for without xl's record, which is not there yet. */
static struct dev *without_record(struct world *w)
{
	struct dev *v;

	start(w);
	mkdir(w->state, 0700);
	attach(w, "");
	offer_keys(w);
	guest_state(w, "3");
	v = TAILQ_FIRST(&TAILQ_FIRST(&w->d.doms)->devs);
	ck_shown(v, "xl does not say when it was started");
	return v;
}

/* Now it is, with a kernel that is there. */
static void put_good_record(struct world *w)
{
	char record[700], kernel[300];
	uint8_t b[SETUP];

	snprintf(kernel, sizeof(kernel), "%s", unit_path("vmlinuz"));
	unit_write(kernel, b, bzimage(b, 0x1000, BANNER_OF, 1));
	snprintf(record, sizeof(record), "{ \"b_info\": { \"kernel\": \"%s\" } }", kernel);
	put_record(w, record, time(NULL) + 60);
}

/* A device may be there before xl's record is; what the guest says later, when nothing is chosen by it, is not asked for. */
START_TEST(record_comes_late)
{
	struct world w;
	struct dev *v = without_record(&w);

	put_good_record(&w);
	ck_shown(v, "\"kernel_release\":\"6.1.0-56-amd64\"");
	put(&w, "os/release", "6.6.6");
	ck_shown(v, "\"release\":\"6.1.0-56-amd64\"");
}
END_TEST

/* A kernel that is gone, as a boot loader's copy always is, is looked for once. */
START_TEST(kernel_gone)
{
	struct world w;
	struct dev *v = without_record(&w);

	put_record(&w, "{ \"b_info\": { \"kernel\": \"/none/vmlinuz\" } }", time(NULL) + 60);
	ck_shown(v, "/none/vmlinuz: No such file");
	put_good_record(&w);
	ck_shown(v, "/none/vmlinuz: No such file");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("os", (const TTest *[]){ bzimages, elves, record_comes_late, kernel_gone, names, features, NULL });

	unit_loop(s, "compared", compared, N(guests));
	unit_loop(s, "unknown", unknown, N(records));
	return s;
}
