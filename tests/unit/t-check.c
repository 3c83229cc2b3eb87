// SPDX-License-Identifier: GPL-2.0-only
/* What code may not contain, one instruction at a time. */
#include "core/check.h"
#include "img.h"
#include "unit.h"

struct row {
	const char *what;
	const char *bytes;		/* hexadecimal */
	const char *says;		/* NULL: accepted */
	bool bare;			/* no ret and int3 behind it */
};

static const struct row good[] = {
	{ "nop", "90" }, { "long nop", "0f1f440000" }, { "mov", "b801000000" }, { "load", "8b4708" }, { "store", "89770c" },
	{ "branch forward", "740190" }, { "address in the image", "488d0500000000" }, { "constant in the image", "8b05faffffff" },
	{ "push, pop", "535b" }, { "fences", "0faef00faee80faef8" }, { "multiply", "0faff6" }, { "cmov", "0f44f6" }, { "setcc", "0f94c0" },
	{ "shift", "c1e604" }, { "rotate", "c1c604" }, { "bit test", "480fa3f6" }, { "movzx", "400fb6c6" }, { "movsxd", "4863c6" },
	{ "direct call", "e80400000031c0c3ccc3cc", NULL, true }, { "endbr64", "f30f1efa" }, { "int3 ends it", "31c0c3cc", NULL, true },
	{ "64-bit immediate", "48b8efbeaddeefbeadde" }, { "sbb", "19c0" }
};

#define PRIV "may not contain"
static const struct row bad[] = {
	{ "syscall", "0f05", PRIV }, { "sysenter", "0f34", PRIV }, { "sysret", "480f07", PRIV }, { "sysexit", "0f35", PRIV },
	{ "int 0x80", "cd80", PRIV }, { "int1", "f1", PRIV }, { "hlt", "f4", PRIV }, { "cli", "fa", PRIV }, { "sti", "fb", PRIV },
	{ "cld", "fc", PRIV }, { "std", "fd", PRIV }, { "cmc", "f5", PRIV }, { "sahf", "9e", PRIV }, { "lahf", "9f", PRIV },
	{ "in al,dx", "ec", PRIV }, { "in al,imm", "e460", PRIV }, { "out dx,al", "ee", PRIV }, { "insb", "6c", PRIV }, { "outsb", "6e", PRIV },
	{ "rep movsb", "f3a4", PRIV }, { "stosq", "48ab", PRIV }, { "lodsb", "ac", PRIV }, { "scasb", "ae", PRIV }, { "cmpsb", "a6", PRIV },
	{ "rdtsc", "0f31", PRIV }, { "rdtscp", "0f01f9", PRIV }, { "rdpmc", "0f33", PRIV }, { "rdmsr", "0f32", PRIV }, { "wrmsr", "0f30", PRIV },
	{ "cpuid", "0fa2", PRIV }, { "rdrand", "0fc7f0", PRIV }, { "rdpid", "f30fc7f8", PRIV },
	{ "lgdt", "0f0110", PRIV }, { "lidt", "0f0118", PRIV }, { "sgdt", "0f0100", PRIV }, { "sidt", "0f0108", PRIV }, { "lldt", "0f00d0", PRIV },
	{ "ltr", "0f00d8", PRIV }, { "str", "0f00c8", PRIV }, { "sldt", "0f00c0", PRIV }, { "smsw", "0f01e0", PRIV }, { "lmsw", "0f01f0", PRIV },
	{ "verr", "0f00e0", PRIV }, { "lar", "0f02c0", PRIV }, { "lsl", "0f03c0", PRIV },
	{ "invlpg", "0f0138", PRIV }, { "invd", "0f08", PRIV }, { "wbinvd", "0f09", PRIV }, { "clflush", "0fae38", PRIV }, { "clts", "0f06", PRIV },
	{ "mov to cr0", "0f22c0", "" }, { "mov from cr3", "0f20d8", "" }, { "mov to dr7", "0f23f8", "" },
	{ "mov to ds", "8ed8", "" }, { "mov from ds", "8cd8", "" }, { "push fs", "0fa0", "" }, { "pop gs", "0fa9", "" },
	{ "swapgs", "0f01f8", PRIV }, { "wrgsbase", "f3480faed8", PRIV }, { "rdfsbase", "f3480faec0", PRIV }, { "clac", "0f01ca", PRIV },
	{ "stac", "0f01cb", PRIV }, { "vmcall", "0f01c1", PRIV }, { "vmmcall", "0f01d9", PRIV }, { "vmlaunch", "0f01c2", PRIV },
	{ "xgetbv", "0f01d0", PRIV }, { "xsetbv", "0f01d1", PRIV }, { "monitor", "0f01c8", PRIV }, { "mwait", "0f01c9", PRIV }, { "ud2", "0f0b", PRIV },
	{ "pause", "f390", PRIV }, { "prefetch", "0f1808", PRIV }, { "fld1", "d9e8", PRIV }, { "fwait", "9b", PRIV }, { "emms", "0f77", PRIV },
	{ "movaps", "0f28c1", PRIV }, { "movd mm", "0f6ec0", PRIV }, { "movd xmm", "660f6ec0", PRIV }, { "avx", "c5f458c2", PRIV },
	{ "popcnt", "f30fb8c1", PRIV }, { "tzcnt", "f30fbcc1", PRIV }, { "andn", "c4e278f2c1", PRIV }, { "movbe", "0f38f000", PRIV },
	{ "bswap", "0fc8", PRIV }, { "xchg", "4887c8", PRIV }, { "div", "f7f1", PRIV }, { "mul", "f7e1", PRIV }, { "bsf", "0fbcc1", PRIV },
	{ "cdqe", "4898", PRIV }, { "loop", "e2fe", PRIV }, { "jrcxz", "e3fe", PRIV }, { "locked add", "f0830701", PRIV }, { "behind a jump", "eb01f4", PRIV },
	{ "second byte", "0fb6c4", "second byte" }, { "bts memory, register", "0fab37", "operands" }, { "push memory", "ff37", "operands" },
	{ "push immediate", "6a00", "operands" }, { "shift memory", "c12702", "operands" }, { "32-bit address", "678b07", "32 bits" },
	{ "REX.R of no register", "44c7470c00000000", PRIV }, { "REX.X of no index", "4289770c", PRIV },
	{ "second code of nop", "0f0dfa", PRIV }, { "second code of test", "f6c801", PRIV }, { "second code of shl", "c1f604", PRIV }, { "prefix behind REX", "4826897708", PRIV },
	{ "repeat without meaning", "f389f0", PRIV },
	{ "crc32", "f20f38f0c1", PRIV }, { "cmpxchg", "0fb10f", PRIV }, { "cmpxchg16b", "480fc70f", PRIV }, { "xadd", "0fc107", PRIV },
	{ "xbegin", "c7f800000000", PRIV }, { "xlat", "d7", PRIV }, { "enter", "c8000000", PRIV },
	{ "pushf", "9c", PRIV }, { "popf", "9d", PRIV },
	{ "iretq", "48cfcc", PRIV }, { "iretd", "cfcc", PRIV }, { "iret", "66cfcc", PRIV }, { "far ret", "cbcc", PRIV },
	{ "far ret 64", "48cbcc", PRIV }, { "far ret that pops", "ca0800cc", PRIV }, { "leave", "c9", PRIV },
	{ "mov rsp", "4889fc", "stack pointer" }, { "add rsp, reg", "4801f4", "stack pointer" },
	{ "ret that pops", "c20800cc", "ret that pops" },
	{ "far jump", "ff28", "indirect or far" }, { "far call", "ff18", "indirect or far" }, { "jump by memory", "ff20", "indirect or far" },
	{ "call by memory", "ff10", "indirect or far" }, { "jump by register", "ffe0", "indirect or far" }, { "call by register", "ffd0", "indirect or far" },
	{ "jump by the image", "ff2500000000", "" }, { "jump of 16 bits (AMD) or 32 (Intel)", "66e900000000", "16 bits" },
	{ "branch of 16 bits (AMD) or 32 (Intel)", "660f8400000000", "16 bits" }, { "call of 16 bits (AMD) or 32 (Intel)", "66e800000000", "16 bits" },
	{ "ret of 16 bits", "66c3cc", "16 bits" },
	{ "fs", "64488b00", "segment" }, { "gs", "65488b00", "segment" }, { "gs absolute", "65488b042500000000", "segment" },
	{ "absolute", "8b042500100000", "absolute" }, { "absolute, 64 bits", "48a1efbeaddeefbeadde", "absolute" },
	{ "absolute with index", "8b04c500100000", "absolute" },
	{ "relocation left: far constant", "8b0500100000", "outside its own image" }, { "before the image", "8b0500f0ffff", "outside its own image" },
	{ "half outside", "488b0500000000", "outside its own image" }, { "address outside", "488d05ffff0000", "outside its own image" },
	{ "writes its image", "c7050000000001000000", "writes into" }, { "adds to its image", "8305f9ffffff01", "writes into" },
	{ "xchg with image", "8705faffffff", PRIV },
	{ "jump beyond", "e900100000", "out of the image" }, { "jump before", "e900ffffff", "out of the image" }, { "call beyond", "e800100000", "out of the image" },
	{ "branch beyond", "0f8400100000", "out of the image" }, { "jump to its end", "eb04", "out of the image" },
	{ "into an instruction", "eb01b890909090", "middle of an instruction" },
	{ "not an opcode", "06", "not an instruction" }, { "not an opcode in 64 bits", "ea0000000000", "not an instruction" },
	{ "cut off", "e900", "not an instruction", true }, { "too many prefixes", "66666666666666666666666666666690", "not an instruction" },
	{ "ret at the end", "c3", "int3 after it", true }, { "ret, then more", "c390", "int3 after it" },
	{ "runs off the end", "90", "does not end", true }, { "call at the end", "e8fbffffff", "does not end", true },
	{ "branch at the end", "74fe", "does not end", true },
};

static int check(const struct row *r, struct hv_err *e)
{
	uint8_t body[64];
	struct hv_image img;
	size_t len = strlen(r->bytes) / 2;
	int rc;

	for (size_t i = 0; i < len; i++) {
		unsigned int b;

		ck_assert_int_eq(sscanf(r->bytes + 2 * i, "%2x", &b), 1);
		body[i] = b;
	}
	img_make(&img, body, len, r->bare);
	rc = hv_check_code(&img, e);
	hv_image_free(&img);
	return rc;
}

START_TEST(accepted)
{
	struct hv_err e = { 0 };

	ck_assert_msg(!check(&good[_i], &e), "%s: %s", good[_i].what, e.text);
}
END_TEST

START_TEST(refused)
{
	const struct row *r = &bad[_i];
	struct hv_err e = { 0 };
	int rc = check(r, &e);

	ck_assert_msg(rc == -ENOEXEC, "%s is accepted", r->what);
	ck_assert_msg(strstr(e.text, r->says), "%s: \"%s\" does not contain \"%s\"", r->what, e.text, r->says);
	ck_contains(e.text, "offset 0x");
}
END_TEST

START_TEST(prologue)
{
	struct hv_image img;
	struct hv_err e;

	img_make(&img, "\x90", 1, false);
	memset(img.payload + HVDRV_ENTRY_OFFSET(_i), 0x90, 4);	/* as good for who executes it, but no endbr64 */
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);
	ck_contains(e.text, "endbr64");
	img_make(&img, "\x90", 1, false);
	/* an instruction that swallows the entry's first bytes */
	memcpy(img.payload + HVDRV_ENTRY_OFFSET(_i) - 1, "\xb8", _i ? 1 : 0);
	ck_assert_int_eq(hv_check_code(&img, &e), _i ? -ENOEXEC : 0);
}
END_TEST

START_TEST(no_code)
{
	struct hv_image img;
	struct hv_err e;

	img_make(&img, "", 0, false);
	img.h.code_size = 0;
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);
	img.h.code_size = HVDRV_ENTRY_OFFSET(4) + 2;		/* an entry that is cut off */
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);
}
END_TEST

/* Constants behind the code are not decoded. */
START_TEST(constants)
{
	struct hv_image img;
	struct hv_err e;

	img_make(&img, "\x8b\x05\x02\x00\x00\x00", 6, false);
	memcpy(img.payload + img.h.code_size, "\x0f\x05\xf4\xfa", 4);
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);	/* there is nothing behind it */
	img.h.payload_size += 4;
	ck_assert_int_eq(hv_check_code(&img, &e), 0);
}
END_TEST

/* Random code never gets through with a branch that leaves it; and nothing crashes. */
START_TEST(random_code)
{
	struct rng r;

	rng_init(&r, "check");
	for (int i = 0; i < 20000; i++) {
		uint8_t body[32];
		struct hv_image img;
		struct hv_err e;

		rng_fill(&r, body, sizeof(body));
		img_make(&img, body, 1 + rng_below(&r, sizeof(body)), rng_below(&r, 2));
		if (hv_check_code(&img, &e))
			ck_assert_int_eq(e.code, ENOEXEC);
		hv_image_free(&img);
	}
}
END_TEST

static void count(void *arg, uint32_t off, const char *text)
{
	int *n = arg;

	ck_assert_uint_gt(strlen(text), 0);
	++*n;
}

START_TEST(disassembly)
{
	struct hv_image img;
	int n = 0;

	img_make(&img, "\x90\x90", 2, false);
	hv_disassemble(&img, count, &n);
	ck_assert_int_ge(n, 5 * 2 + 4);
	n = 0;
	img.payload[IMG_BODY] = 0x06;
	hv_disassemble(&img, count, &n);
	ck_assert_int_gt(n, 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("check", (const TTest *[]){ no_code, constants, random_code, disassembly, NULL });

	unit_loop(s, "accepted", accepted, N(good));
	unit_loop(s, "refused", refused, N(bad));
	unit_loop(s, "prologue", prologue, HVDRV_ENTRIES);
	return s;
}
