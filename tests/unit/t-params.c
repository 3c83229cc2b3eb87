// SPDX-License-Identifier: GPL-2.0-only
#include "core/params.h"
#include "unit.h"

#define MIN "class=block,backend=/a"

static const char *const good[] = {
	MIN, "backend=/a,class=block", MIN ",mode=virtual", MIN ",mode=paravirtual", MIN ",mode=auto", MIN ",driver=blkif", MIN ",driver=virtio-blk,mode=auto", MIN ",trusted=1", MIN ",trusted=0", MIN ",allow-older=1", MIN ",allow-older=0", MIN ",place=grant",
	MIN ",place=foreign", MIN ",path=auto", MIN ",path=pool", MIN ",ro,path=copy", MIN ",ro", MIN ",shared", MIN ",ro,shared",
	MIN ",size=512M", MIN ",size=4096", MIN ",size=0x2000", MIN ",range=0+1", MIN ",range=2048+131072", MIN ",range=0x10+0x8",
	MIN ",range=18014398509481982+1,ro", MIN ",depth=1", MIN ",shared,depth=32,weight=1000", MIN ",weight=1,depth=8", MIN ",format=raw", MIN ",name=data", "class=block, backend=/a, ro", MIN ",",
	"class=block,backend=/with space/and=sign",
	("name=0123456789012345678901234567890," MIN),
};

/* Parsed, printed and parsed again it is the same. */
START_TEST(accepted)
{
	struct hv_params a, b;
	struct hv_err e = { 0 };
	char text[1400];

	ck_assert_msg(!hv_params_parse(good[_i], &a, &e), "%s: %s", good[_i], e.text);
	ck_assert_str_eq(a.class, "block");
	ck_assert_str_eq(a.mode, strstr(good[_i], "paravirtual") ? "paravirtual" : strstr(good[_i], "mode=auto") ? "auto" : "virtual");
	ck_assert_str_eq(hv_params_first_mode(&a), strstr(good[_i], "paravirtual") ? "paravirtual" : "virtual");
	ck_assert_int_eq(a.backend[0], '/');
	hv_params_print(&a, text, sizeof(text));
	ck_assert_int_eq(hv_params_parse(text, &b, &e), 0);
	memset(a.name, 0, sizeof(a.name));		/* print leaves it out */
	ck_assert_mem_eq(&a, &b, sizeof(a));
}
END_TEST

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", "class= is missing" }, { "backend=/a", "class= is missing" }, { "class=block", "backend= is missing" },
	{ "class=net,backend=/a", "class=net: must be block" }, { "class=,backend=/a", "must be block" },
	{ MIN ",mode=direct", "must be virtual, paravirtual, auto" }, { MIN ",mode=", "must be virtual" }, { MIN ",place=copy", "must be grant, foreign" },
	{ MIN ",driver=", "must be blkif, virtio-blk" }, { MIN ",driver=nvme", "must be blkif, virtio-blk" }, { MIN ",driver", "no such word" },
	{ MIN ",path=", "there is no path \"\": auto, pool, copy" }, { MIN ",path=fast", "no path \"fast\"" },
	{ MIN ",path=map", "path map is not offered: " }, { MIN ",path=window", "not offered" }, { MIN ",path=direct", "attached with trusted=1" },
	{ MIN ",trusted=yes", "must be 0 or 1" }, { MIN ",allow-older=2", "allow-older=2: must be 0 or 1" }, { MIN ",allow-older", "no such word" }, { MIN ",trusted", "no such word" },
	{ MIN ",format=qcow2", "must be raw" }, { "class=block,backend=a", "absolute path" }, { "class=block,backend=", "absolute path" },
	{ "class=block,backend=aio:/a", "absolute path" }, { MIN ",size=0", "multiple of 4096" }, { MIN ",size=4097", "multiple of 4096" },
	{ MIN ",size=512", "multiple of 4096" }, { MIN ",size=big", "multiple of 4096" }, { MIN ",size=-4096", "multiple of 4096" },
	{ MIN ",size=", "multiple of 4096" }, { MIN ",size=99999999T", "multiple of 4096" }, { MIN ",ro,size=1M", "cannot be ro" },
	{ MIN ",size=1M,ro", "cannot be ro" }, { MIN ",name=", "letters" }, { MIN ",name=a/b", "letters" },
	{ MIN ",name=01234567890123456789012345678901", "letters" }, { MIN ",rw", "no such word" }, { MIN ",RO", "no such word" },
	{ MIN ",ro=1", "no such key" }, { MIN ",colour=red", "no such key" }, { MIN ",=x", "no such key" },
	{ MIN ", ", "no such word" }, { MIN ",range=", "FIRST+SECTORS" }, { MIN ",range=8", "FIRST+SECTORS" }, { MIN ",range=+8", "FIRST+SECTORS" },
	{ MIN ",range=8+", "FIRST+SECTORS" }, { MIN ",range=8+0", "FIRST+SECTORS" }, { MIN ",range=-8+8", "FIRST+SECTORS" },
	{ MIN ",range=8+-1", "FIRST+SECTORS" }, { MIN ",range=8+8+8", "FIRST+SECTORS" }, { MIN ",range=8-16", "FIRST+SECTORS" },
	{ MIN ",range=18014398509481983+1", "FIRST+SECTORS" }, { MIN ",range=1+18014398509481983", "FIRST+SECTORS" },
	{ MIN ",range=18446744073709551615+1", "FIRST+SECTORS" }, { MIN ",range=99999999999999999999999999+1", "FIRST+SECTORS" },
	{ MIN ",range=1 + 8", "FIRST+SECTORS" }, { MIN ",range=0+8,size=1M", "give one of them" }, { MIN ",size=1M,range=0+8", "give one of them" },
	{ MIN ",depth=0", "from 1 to 32" }, { MIN ",depth=33", "from 1 to 32" }, { MIN ",depth=", "from 1 to 32" },
	{ MIN ",depth=1,weight=0", "from 1 to 1000" }, { MIN ",depth=1,weight=1001", "from 1 to 1000" },
	{ MIN ",depth=1,weight=-1", "from 1 to 1000" }, { MIN ",weight=5", "needs depth=" }, { MIN ",shared,weight=5", "needs depth=" },
};

START_TEST(refused)
{
	struct hv_params p;
	struct hv_err e = { 0 };

	ck_assert_int_eq(hv_params_parse(bad[_i].text, &p, &e), -EINVAL);
	ck_assert_int_eq(e.code, EINVAL);
	ck_contains(e.text, bad[_i].says);
}
END_TEST

START_TEST(values)
{
	struct hv_params p;

	ck_assert_int_eq(hv_params_parse("class=block,backend=/d/x.img,ro,shared,format=raw,name=n1", &p, NULL), 0);
	ck_assert(p.ro && p.shared && p.raw && !p.size);
	ck_assert_str_eq(p.backend, "/d/x.img");
	ck_assert_str_eq(p.name, "n1");
	ck_assert_str_eq(p.place, "grant");
	ck_assert_str_eq(p.path, "auto");
	ck_assert_int_eq(hv_params_parse(MIN ",size=20G", &p, NULL), 0);
	ck_assert_uint_eq(p.size, 20ull << 30);
	ck_assert_uint_eq(p.sectors, 0);
	ck_assert_int_eq(hv_params_parse(MIN ",range=2048+131072", &p, NULL), 0);
	ck_assert_uint_eq(p.first, 2048);
	ck_assert_uint_eq(p.sectors, 131072);
	ck_assert(!p.ro && !p.shared && !p.raw && !p.depth && !p.weight);
	ck_assert_int_eq(hv_params_parse(MIN ",depth=2", &p, NULL), 0);
	ck_assert(p.depth == 2 && p.weight == HV_WEIGHT);
}
END_TEST

START_TEST(lengths)
{
	struct hv_params p;
	struct hv_err e;
	char text[4096], printed[1400], *path = text + strlen("class=block,ro,shared,format=raw,place=foreign,backend=");

	strcpy(text, "class=block,ro,shared,format=raw,place=foreign,backend=/");
	memset(path + 1, 'x', 1022);
	path[1023] = 0;
	ck_assert_int_eq(hv_params_parse(text, &p, &e), 0);	/* 1023: the longest */
	ck_assert_uint_eq(strlen(p.backend), 1023);
	hv_params_print(&p, printed, sizeof(printed));
	ck_assert_int_eq(hv_params_parse(printed, &p, &e), 0);
	ck_assert_uint_eq(strlen(p.backend), 1023);
	strcpy(path + 1023, "y");
	ck_assert_int_eq(hv_params_parse(text, &p, &e), -EINVAL);
	ck_contains(e.text, "longer than 1023");
	memset(text + 50, 'z', 4000);
	text[4050] = 0;
	ck_assert_int_eq(hv_params_parse(text, &p, &e), -EINVAL);
	ck_contains(e.text, "longer than");
}
END_TEST

/* Any bytes: an answer, and what is accepted is within its bounds. */
START_TEST(random_text)
{
	static const char *const words[] = { "class=", "block", "backend=", "/", ",", "ro", "size=", "4k", "name=", "=", "mode=virtual", " ", "\xff" };
	struct hv_params p;
	struct rng r;
	int accepted_n = 0;

	rng_init(&r, "params");
	for (int round = 0; round < 20000; round++) {
		char text[512] = "";

		if (rng_below(&r, 2))
			strcpy(text, MIN ",");
		for (uint32_t k = rng_below(&r, 6); k; k--)
			strcat(text, words[rng_below(&r, N(words))]);
		if (hv_params_parse(text, &p, NULL))
			continue;
		accepted_n++;
		ck_assert_msg(p.backend[0] == '/' && !strcmp(p.class, "block") && !(p.ro && p.size), "%s", text);
	}
	ck_assert_int_gt(accepted_n, 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("params", (const TTest *[]){ values, lengths, random_text, NULL });

	unit_loop(s, "accepted", accepted, N(good));
	unit_loop(s, "refused", refused, N(bad));
	return s;
}
