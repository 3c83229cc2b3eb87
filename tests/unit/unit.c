// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <sys/random.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit.h"
#include "util/file.h"

static char folder[64];		/* set once by main, before any test */

Suite *unit_new(const char *name, const TTest *const *tests)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);

	suite_add_tcase(s, tc);
	for (; tests && *tests; tests++)
		tcase_add_test(tc, *tests);
	return s;
}

void unit_loop(Suite *s, const char *name, const TTest *test, int n)
{
	TCase *tc = tcase_create(name);

	tcase_add_loop_test(tc, test, 0, n);
	suite_add_tcase(s, tc);
}

void ck_octets(const void *at, size_t len, uint8_t what)
{
	const uint8_t *b = at;
	size_t k = 0;

	while (k < len && b[k] == what)
		k++;
	ck_assert_msg(k == len, "octet %zu of %zu is %#x, not %#x", k, len, k < len ? b[k] : 0u, what);
}

int unit_open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

void unit_skip(const char *why)
{
	printf("SKIP: %s\n", why);
	fflush(stdout);
}

const char *unit_path(const char *name)
{
	static char own[80], buf[8][256];
	static unsigned int next;
	char *p = buf[next++ % 8];

	if (!*own) {			/* a folder per test: each runs in its own process */
		snprintf(own, sizeof(own), "%s/%d", folder, getpid());
		mkdir(own, 0700);
	}
	snprintf(p, sizeof(buf[0]), "%s/%s", own, name);
	return p;
}

void unit_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

char *unit_read(const char *path, size_t *len)
{
	void *text;
	size_t n;

	if (hv_file_read(path, 64 << 20, &text, &n))
		return NULL;
	if (len)
		*len = n;
	return text;
}

const char *unit_small_fs(void)
{
	const char *dir = unit_path("tiny");

	mkdir(dir, 0700);
	if (!mount("tiny", dir, "tmpfs", 0, "size=64k"))
		return dir;
	unit_skip("a filesystem cannot be mounted here");
	return NULL;
}

bool unit_exists(const char *path)
{
	return !access(path, F_OK);
}

char *unit_capture(int fd, void (*fn)(void *arg), void *arg)
{
	const char *path = unit_path("capture");
	int old = dup(fd), to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *text;

	ck_assert(old >= 0 && to >= 0);
	dup2(to, fd);
	fn(arg);
	dup2(old, fd);
	close(old);
	close(to);
	text = unit_read(path, NULL);
	ck_assert_ptr_nonnull(text);
	return text;
}

void rng_init(struct rng *r, const char *property)
{
	const char *env = getenv("HV_SEED");

	if (env)
		r->s = strtoull(env, NULL, 0);
	else if (getrandom(&r->s, sizeof(r->s), 0) != sizeof(r->s))
		r->s = getpid();
	printf("%s: HV_SEED=0x%llx\n", property, (unsigned long long)r->s);
	fflush(stdout);
}

/* splitmix64 */
uint64_t rng_u64(struct rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return rng_u64(r) % n;
}

void rng_fill(struct rng *r, void *to, size_t len)
{
	uint8_t *p = to;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v = rng_u64(r);

		memcpy(p, &v, 8);
	}
	while (len--)
		*p++ = rng_u64(r);
}

/* With --enable-asan: a test is a process that ends at once, and frees nothing for the sake of it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int main(void)
{
	SRunner *r;
	int failed;

	snprintf(folder, sizeof(folder), "/tmp/hvdrv-unit-XXXXXX");
	if (!mkdtemp(folder) || sodium_init() < 0)
		return 99;
	setenv("CK_DEFAULT_TIMEOUT", "120", 0);		/* ends what hangs; nothing is measured by it */
	r = srunner_create(unit_suite());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed != 0;
}
