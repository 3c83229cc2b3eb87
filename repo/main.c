// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv-repo(1): makes, stores and shows driver images. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "build.h"
#include "cmd.h"
#include "core/check.h"
#include "core/store.h"
#include "core/trust.h"
#include "emit.h"
#include "key.h"
#include "util/exit.h"
#include "util/file.h"
#include "util/json.h"
#include "util/str.h"
#include "util/table.h"

static const struct option long_opts[] = {
	{ "repo", 1, NULL, 'R' }, { "keys", 1, NULL, 'K' }, { "data", 1, NULL, 'D' }, { "include", 1, NULL, 'I' },
	{ "device", 1, NULL, 'd' }, { "os", 1, NULL, 'o' }, { "key", 1, NULL, 'k' }, { "out", 1, NULL, 'O' },
	{ "class", 1, NULL, 'c' }, { "mode", 1, NULL, 'm' }, { "os-type", 1, NULL, 't' }, { "os-arch", 1, NULL, 'a' },
	{ "os-abi", 1, NULL, 'b' }, { "os-release", 1, NULL, 'r' }, { "os-features", 1, NULL, 'f' }, { "name", 1, NULL, 'n' }, { "vendor", 1, NULL, 'v' }, { "expires", 1, NULL, 'x' }, { "reason", 1, NULL, 'w' },
	{ "run", 1, NULL, 'u' }, { "dry-run", 0, NULL, 'y' }, { "no-guests", 0, NULL, 'g' }, { "json", 0, NULL, 'j' }, { "emit-c", 0, NULL, 'e' },
	{ "help", 0, NULL, 'h' }, { "version", 0, NULL, 'V' }, { NULL, 0, NULL, 0 }
};

int fail(int rc, const struct hv_err *e)
{
	fprintf(stderr, "hvdrv-repo: %s\n", e->text);
	return hv_exit_status(rc);
}

int usage_error(const char *what)
{
	fprintf(stderr, "hvdrv-repo: %s; try `hvdrv-repo --help`\n", what);
	return HV_EXIT_USAGE;
}

/* ---- generate ---- */

/* A description by name (NAME in DATA/SUB, without .conf) or by path. */
static void desc_path(const struct opts *o, const char *sub, const char *name, char path[PATH_MAX])
{
	if (strchr(name, '/'))
		snprintf(path, PATH_MAX, "%s", name);
	else
		snprintf(path, PATH_MAX, "%s/%s/%s.conf", o->data, sub, name);
}

static int is_conf(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && d->d_name[0] != '.' && !strcmp(d->d_name + n - 5, ".conf");
}

/* The first description in DATA/SUB that try() takes. 0, -ENOENT, or what try() returned beside -EAGAIN. */
static int find_desc(struct opts *o, const char *sub, int (*try)(struct opts *, const char *path, void *to, struct hv_err *),
		     void *to, struct hv_err *e)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct dirent **files;
	int n, rc = -EAGAIN;

	snprintf(dir, sizeof(dir), "%s/%s", o->data, sub);
	n = scandir(dir, &files, is_conf, alphasort);
	if (n < 0)
		return hv_err(e, errno, "%s: %s", dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (rc == -EAGAIN && (size_t)snprintf(path, sizeof(path), "%s/%s", dir, files[i]->d_name) < sizeof(path))
			rc = try(o, path, to, e);
		free(files[i]);
	}
	free(files);
	return rc;
}

static int try_device(struct opts *o, const char *path, void *to, struct hv_err *e)
{
	struct device_desc *d = to;
	int rc = device_desc_read(path, d, e);

	if (rc || (!strcmp(d->class, o->class) && !strcmp(d->mode, o->mode)))
		return rc;
	device_desc_free(d);
	return -EAGAIN;
}

static int try_os(struct opts *o, const char *path, void *to, struct hv_err *e)
{
	struct os_desc *d = to;
	int rc = os_desc_read(path, d, e);

	if (rc || os_desc_serves(d, &o->guest))
		return rc;
	os_desc_free(d);
	return -EAGAIN;
}

static int read_device(struct opts *o, struct device_desc *d, struct hv_err *e)
{
	char path[PATH_MAX];
	int rc;

	if (o->device) {
		desc_path(o, "devices", o->device, path);
		return device_desc_read(path, d, e);
	}
	rc = find_desc(o, "devices", try_device, d, e);
	return rc == -EAGAIN ? hv_err(e, ENOENT, "no description of a %s device of class %s in %s/devices", o->mode,
				      o->class, o->data) : rc;
}

static int read_os(struct opts *o, struct os_desc *d, struct hv_err *e)
{
	char path[PATH_MAX];
	int rc;

	if (o->os) {
		desc_path(o, "oses", o->os, path);
		return os_desc_read(path, d, e);
	}
	rc = find_desc(o, "oses", try_os, d, e);
	return rc == -EAGAIN ? hv_err(e, ENOENT, "no description of %s %s (%s, %s) in %s/oses", o->guest.type,
				      o->guest.release, o->guest.arch, o->guest.abi, o->data) : rc;
}

static int save_image(struct opts *o, const struct hv_image *img, struct hv_err *e)
{
	struct hv_keyring ring;
	char id[65];
	void *buf;
	int rc;

	if (!o->out) {
		rc = hv_keyring_load(o->keys, &ring, e);
		if (rc)
			return rc;
		rc = hv_store_add(o->repo, img, &ring, id, e);
		hv_keyring_free(&ring);
		if (!rc)
			printf("%s\n", id);
		return rc;
	}
	rc = hv_check_code(img, e);
	if (rc)
		return rc;
	buf = malloc(hv_image_size(img));
	if (!buf)
		return hv_err(e, ENOMEM, "no memory");
	hv_image_write(img, buf);
	rc = hv_file_write(o->out, buf, hv_image_size(img), 0644);
	free(buf);
	return rc ? hv_err(e, -rc, "%s: %s", o->out, strerror(-rc)) : 0;
}

static int generate(struct opts *o, const struct device_desc *dev, const struct os_desc *os, struct hv_err *e)
{
	char skeletons[PATH_MAX], include[PATH_MAX];
	struct build_paths paths = { 0 };
	uint8_t secret[64];
	struct hv_image img;
	int rc;

	snprintf(skeletons, sizeof(skeletons), "%s/driver", o->data);
	snprintf(include, sizeof(include), "%s/include", o->data);
	paths.skeletons = skeletons;
	paths.include = o->include ? o->include : include;
	if (o->emit_c)
		return emit_driver(stdout, dev, os, skeletons, e);
	rc = build_can(e);
	if (!rc)
		rc = key_load_secret(o->keys, o->key, secret, e);
	if (rc)
		return rc;
	rc = build_image(dev, os, &paths, &img, e);
	if (!rc) {
		hv_image_sign(&img, secret);
		rc = save_image(o, &img, e);
		hv_image_free(&img);
	}
	sodium_memzero(secret, sizeof(secret));
	return rc;
}

static int cmd_generate(struct opts *o)
{
	struct device_desc dev;
	struct os_desc os;
	struct hv_err e;
	int rc;

	if (!o->device && (!o->class || !o->mode))
		return usage_error("generate needs --device NAME, or --class and --mode");
	if (!o->os && !*o->guest.release)
		return usage_error("generate needs --os NAME, or the guest's --os-type, --os-release, --os-arch, --os-abi");
	rc = read_device(o, &dev, &e);
	if (rc)
		return fail(rc, &e);
	rc = read_os(o, &os, &e);
	if (!rc) {
		rc = generate(o, &dev, &os, &e);
		os_desc_free(&os);
	}
	device_desc_free(&dev);
	return rc ? fail(rc, &e) : 0;
}

/* ---- import, list, show, verify, remove ---- */

static int import_one(struct opts *o, const char *file, const struct hv_keyring *ring, struct hv_err *e)
{
	struct hv_image img;
	char id[65];
	int rc = hv_image_load(file, &img, e);

	if (rc)
		return rc;
	rc = hv_store_add(o->repo, &img, ring, id, e);
	hv_image_free(&img);
	if (rc)
		return hv_err_in(e, rc == -EPERM || rc == -ENOEXEC ? "%s is refused" : "%s is not stored", file);
	printf("%s\n", id);
	return 0;
}

static int cmd_import(struct opts *o)
{
	struct hv_keyring ring;
	struct hv_err e;
	int rc;

	if (!o->argc)
		return usage_error("import needs the image's file");
	rc = hv_keyring_load(o->keys, &ring, &e);
	for (int i = 0; !rc && i < o->argc; i++)
		rc = import_one(o, o->argv[i], &ring, &e);
	hv_keyring_free(&ring);
	return rc ? fail(rc, &e) : 0;
}

struct lister {
	struct json_object *rows;
	struct hv_keyring ring;
};

static const char *signer(const struct hv_image *img, const struct hv_keyring *ring, struct hv_err *e)
{
	int k = hv_image_verify(img, ring, e);

	return k >= 0 ? ring->key[k].name : NULL;
}

static struct json_object *row_of(const char *id, const struct hv_image *img, const char *why, const struct hv_keyring *ring)
{
	struct json_object *row = json_object_new_object();
	const struct hv_image_header *h = img ? &img->h : NULL;
	char shown[13], os[160];
	struct hv_err e;
	const char *by;

	snprintf(shown, sizeof(shown), "%.12s", id);
	hv_json_add(row, "id", id);
	hv_json_add(row, "short_id", shown);
	if (!img) {
		hv_json_add(row, "state", "damaged");
		hv_json_add(row, "reason", why);
		return row;
	}
	by = signer(img, ring, &e);
	hv_json_add(row, "device", h->device);
	hv_json_add(row, "class", h->class);
	hv_json_add(row, "mode", h->mode);
	snprintf(os, sizeof(os), "%s %s", h->os, h->releases);
	hv_json_add(row, "os", os);
	hv_json_add(row, "arch", h->os_arch);
	hv_json_add(row, "features", h->features);
	json_object_object_add(row, "version", json_object_new_int(h->version));
	json_object_object_add(row, "size_bytes", json_object_new_int(h->payload_size));
	json_object_object_add(row, "created", json_object_new_int64(h->created));
	hv_json_add(row, "state", by ? "ok" : "refused");
	if (by)
		hv_json_add(row, "signed_by", by);
	else
		hv_json_add(row, "reason", e.text);
	return row;
}

static int list_one(void *arg, const char *id, const struct hv_image *img, const char *why)
{
	struct lister *l = arg;

	json_object_array_add(l->rows, row_of(id, img, why, &l->ring));
	return 0;
}

static int cmd_list(struct opts *o)
{
	static const struct hv_column cols[] = {
		{ "ID", "short_id", 0 }, { "DEVICE", "device", 0 }, { "CLASS", "class", 0 }, { "MODE", "mode", 0 },
		{ "OS", "os", 0 }, { "VERSION", "version", 1 }, { "BYTES", "size_bytes", 1 }, { "SIGNED BY", "signed_by", 0 },
		{ "STATE", "state", 0 },
	};
	struct lister l = { .rows = json_object_new_array() };
	struct hv_err e;
	int rc = hv_keyring_load(o->keys, &l.ring, &e);

	if (!rc)
		rc = hv_store_each(o->repo, list_one, &l, &e);
	hv_keyring_free(&l.ring);
	if (rc) {
		json_object_put(l.rows);
		return fail(rc, &e);
	}
	if (o->json) {
		hv_json_print(stdout, "images", l.rows);
		return 0;
	}
	hv_table_print(stdout, cols, 9, l.rows);
	json_object_put(l.rows);
	return 0;
}

/* An image by file (it has a / or the suffix) or by id. */
static int load_any(struct opts *o, const char *what, struct hv_image *img, char id[65], struct hv_err *e)
{
	char path[PATH_MAX];
	int rc;

	if (strchr(what, '/') || strstr(what, HV_IMAGE_SUFFIX)) {
		rc = hv_image_load(what, img, e);
	} else {
		rc = hv_store_resolve(o->repo, what, id, e);
		if (rc)
			return rc;
		hv_store_path(o->repo, id, path, sizeof(path));
		rc = hv_image_load(path, img, e);
	}
	if (!rc)
		hv_image_id(img, id);
	return rc;
}

struct listing {
	const struct hv_image *img;
	uint32_t pad_at, pad;		/* a run of int3 that is not printed yet */
};

static void show_padding(struct listing *l)
{
	if (l->pad)
		printf(l->pad > 1 ? "  %04x  int3 (%u times)\n" : "  %04x  int3\n", l->pad_at, l->pad);
	l->pad = 0;
}

static void show_insn(void *arg, uint32_t off, const char *text)
{
	static const char *const names[] = HVDRV_ENTRY_NAMES;
	struct listing *l = arg;

	if (!strcmp(text, "int3")) {
		if (!l->pad++)
			l->pad_at = off;
		return;
	}
	show_padding(l);
	for (int k = 0; k < HVDRV_ENTRIES; k++)
		if (l->img->h.entry[k] == off)
			printf("%s:\n", names[k]);
	printf("  %04x  %s\n", off, text);
}

/* When the image was made, as its header says: any number. */
static void show_time(const struct hv_image *img)
{
	time_t t = img->h.created;
	struct tm *tm = gmtime(&t);
	char when[32] = "?";

	if (tm)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", tm);
	printf("made       %s UTC by %s\n", when, img->h.generator);
}

/* What the gate says, and what it has shown of a call. */
static void show_check(const struct hv_image *img)
{
	static const char *const names[] = HVDRV_ENTRY_NAMES;
	struct hv_bounds b;
	struct hv_err e;

	if (hv_check_bounds(img, &b, &e)) {
		printf("code check %s\n", e.text);
		return;
	}
	printf("code check passed\nbounds     %u bytes of stack; instructions:", b.stack);
	for (int k = 0; k < HVDRV_ENTRIES; k++)
		printf("%s %s %llu", k ? "," : "", names[k], (unsigned long long)b.insns[k]);
	printf("\n");
}

static int cmd_show(struct opts *o)
{
	static const char *const names[] = HVDRV_ENTRY_NAMES;
	struct hv_keyring ring;
	struct hv_image img;
	struct hv_err e, ve;
	struct listing l = { .img = &img };
	char id[65], print[33];
	const char *by;
	int rc;

	if (o->argc != 1)
		return usage_error("show needs one image (id or file)");
	rc = hv_keyring_load(o->keys, &ring, &e);
	if (!rc)
		rc = load_any(o, o->argv[0], &img, id, &e);
	if (rc) {
		hv_keyring_free(&ring);
		return fail(rc, &e);
	}
	by = signer(&img, &ring, &ve);
	printf("id         %s\ndevice     %s, version %u%s%s%s\nclass      %s, %s\nos         %s %s, %s, %s%s%s\n", id, img.h.device,
	       img.h.version, *img.h.vendor ? ", of vendor " : "", img.h.vendor, *img.h.vendor ? " only" : "", img.h.class, img.h.mode,
	       img.h.os, img.h.releases, img.h.os_arch, img.h.os_abi, *img.h.features ? ", with " : "", img.h.features);
	printf("contract   %u\ncode       %u bytes, constants %u bytes\nqueue      %u pages and %u per tag\n", img.h.abi,
	       img.h.code_size, img.h.payload_size - img.h.code_size, img.h.queue_fixed_pages, img.h.queue_pages_per_tag);
	show_time(&img);
	hv_key_fingerprint(img.h.key, print);
	printf("signed by  %s (key %s)\n", by ? by : ve.text, print);
	show_check(&img);
	printf("entries   ");
	for (int k = 0; k < HVDRV_ENTRIES; k++)
		printf(" %s 0x%x", names[k], img.h.entry[k]);
	printf("\n\n");
	hv_disassemble(&img, show_insn, &l);
	show_padding(&l);
	hv_keyring_free(&ring);
	hv_image_free(&img);
	return 0;
}

struct verifier {
	struct hv_keyring ring;
	int bad, n;
};

static void verdict(struct verifier *v, const char *id, const struct hv_image *img, const char *why)
{
	struct hv_err e;

	v->n++;
	if (img && hv_image_verify(img, &v->ring, &e) >= 0 && !hv_check_code(img, &e)) {
		printf("%.12s  ok\n", id);
		return;
	}
	v->bad++;
	printf("%.12s  refused: %s\n", id, img ? e.text : why);
}

static int verify_one(void *arg, const char *id, const struct hv_image *img, const char *why)
{
	verdict(arg, id, img, why);
	return 0;
}

static int cmd_verify(struct opts *o)
{
	struct verifier v = { .bad = 0 };
	struct hv_err e;
	int rc = hv_keyring_load(o->keys, &v.ring, &e);

	if (!rc && !o->argc)
		rc = hv_store_each(o->repo, verify_one, &v, &e);
	for (int i = 0; !rc && i < o->argc; i++) {
		struct hv_image img;
		char id[65];

		rc = load_any(o, o->argv[i], &img, id, &e);
		if (rc)
			break;
		verdict(&v, id, &img, NULL);
		hv_image_free(&img);
	}
	hv_keyring_free(&v.ring);
	if (rc)
		return fail(rc, &e);
	return v.bad ? HV_EXIT_DENIED : 0;
}

static int cmd_remove(struct opts *o)
{
	struct hv_err e;
	char id[65];
	int rc = 0;

	if (!o->argc)
		return usage_error("remove needs the image's id");
	for (int i = 0; !rc && i < o->argc; i++) {
		rc = hv_store_resolve(o->repo, o->argv[i], id, &e);
		if (!rc)
			rc = hv_store_remove(o->repo, id, &e);
	}
	return rc ? fail(rc, &e) : 0;
}

static const struct {
	const char *name;
	int (*fn)(struct opts *);
	const char *help;
} cmds[] = {
	{ "keygen", cmd_keygen, "[NAME]                          make a signing key [local]" },
	{ "keys", cmd_keys, "[--json]                        trusted keys, and how far" },
	{ "trust", cmd_trust, "FILE                            trust a public key" },
	{ "revoke", cmd_revoke, "NAME                            never trust a key again" },
	{ "generate", cmd_generate, "--device NAME --os NAME         make a driver" },
	{ "import", cmd_import, "FILE...                         store images made elsewhere" },
	{ "list", cmd_list, "[--json]                        what is stored" },
	{ "show", cmd_show, "ID|FILE                         metadata, entry points, disassembly" },
	{ "verify", cmd_verify, "[ID|FILE...]                    signature and code, of all by default" },
	{ "find", cmd_find, "--class C --mode M OS...         the image that such a guest gets" },
	{ "gc", cmd_gc, "[--dry-run]                     delete images that no guest will get any more" },
	{ "reindex", cmd_reindex, "                                make the index of images anew" },
	{ "remove", cmd_remove, "ID...                           delete images" },
};
#define NCMDS (sizeof(cmds) / sizeof(cmds[0]))

static int help(void)
{
	printf("usage: hvdrv-repo [OPTION...] COMMAND ...   driver images, see hvdrv-repo(1)\n\n");
	for (size_t i = 0; i < NCMDS; i++)
		printf("  %-9s %s\n", cmds[i].name, cmds[i].help);
	printf("\n  --repo DIR      images [" HV_REPO_DIR "]\n"
	       "  --keys DIR      keys [" HV_KEYS_DIR "]\n"
	       "  --data DIR      descriptions and skeletons [" HV_DATA_DIR "]\n"
	       "  --json          list, keys: JSON\n\n"
	       "keygen, trust, revoke\n"
	       "  --vendor ID     good for drivers of this vendor's devices only; find: the device's vendor\n"
	       "  --expires DAY   good until the end of that day, such as 2027-06-30\n"
	       "  --name NAME     trust: as this key [the file's name]\n"
	       "  --reason TEXT   revoke: why\n\n"
	       "gc\n"
	       "  --dry-run       say what would be deleted\n"
	       "  --no-guests     no guest runs here, hvdrvd is not asked\n"
	       "  --run DIR       hvdrvd's socket [" HV_RUN_DIR "]\n\n"
	       "generate, find: the device and the guest, by name or by what is wanted\n"
	       "  --device NAME   or --class CLASS --mode MODE\n"
	       "  --os NAME       or --os-type, --os-arch, --os-abi, --os-release and --os-features, as the guest says\n"
	       "  --key NAME      signs it [local]\n"
	       "  --out FILE      write it there, do not store it\n"
	       "  --emit-c        print the driver's C, and no more\n"
	       "  --include DIR   folder of hvdrv/abi.h [DATA/include]\n");
	return 0;
}

static void set_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct opts *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_opts, NULL)) != -1) {
		switch (c) {
		case 'R': o->repo = optarg; break;
		case 'K': o->keys = optarg; break;
		case 'D': o->data = optarg; break;
		case 'I': o->include = optarg; break;
		case 'd': o->device = optarg; break;
		case 'o': o->os = optarg; break;
		case 'k': o->key = optarg; break;
		case 'O': o->out = optarg; break;
		case 'c': o->class = optarg; break;
		case 'm': o->mode = optarg; break;
		case 't': set_text(o->guest.type, sizeof(o->guest.type), optarg); break;
		case 'a': set_text(o->guest.arch, sizeof(o->guest.arch), optarg); break;
		case 'b': set_text(o->guest.abi, sizeof(o->guest.abi), optarg); break;
		case 'r': set_text(o->guest.release, sizeof(o->guest.release), optarg); break;
		case 'f': set_text(o->guest.features, sizeof(o->guest.features), optarg); break;
		case 'n': o->name = optarg; break;
		case 'v': o->vendor = optarg; break;
		case 'x': o->expires = optarg; break;
		case 'w': o->reason = optarg; break;
		case 'u': o->run = optarg; break;
		case 'y': o->dry_run = true; break;
		case 'g': o->no_guests = true; break;
		case 'j': o->json = true; break;
		case 'e': o->emit_c = true; break;
		case 'h': return help();
		case 'V': printf("hvdrv-repo %s\n", PACKAGE_VERSION); return 0;
		default: return HV_EXIT_USAGE;
		}
	}
	o->argc = argc - optind;
	o->argv = argv + optind;
	return -1;
}

int main(int argc, char **argv)
{
	struct opts o = {
		.repo = HV_REPO_DIR, .keys = HV_KEYS_DIR, .data = HV_DATA_DIR, .include = NULL,
		.key = "local", .run = HV_RUN_DIR,
	};
	const char *name;
	int st;

	if (sodium_init() < 0)
		return HV_EXIT_FAILED;
	st = parse(argc, argv, &o);
	if (st >= 0)
		return st;
	if (!o.argc)
		return usage_error("no command");
	name = *o.argv++;
	o.argc--;
	for (size_t i = 0; i < NCMDS; i++)
		if (!strcmp(cmds[i].name, name))
			return cmds[i].fn(&o);
	fprintf(stderr, "hvdrv-repo: no command \"%s\"; try `hvdrv-repo --help`\n", name);
	return HV_EXIT_USAGE;
}
