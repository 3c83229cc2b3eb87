// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs at random, of instructions that the gate knows: what it accepts must keep the contract on an emulated processor,
 * within the bounds that it has found. Beside the mutants, which stay near what a compiler makes: here are the odd widths,
 * wrapped sums, registers that alias, comparisons of all kinds before an access, and loops.
 */
#include <Zydis/Zydis.h>
#include "core/check.h"
#include "emu.h"
#include "img.h"

#ifdef __SANITIZE_ADDRESS__
#define PROGRAMS 10000u
#else
#define PROGRAMS 60000u		/* unless HV_PROGRAMS says otherwise */
#endif
#define CALLS 12
#define LENGTH 14

struct maker {
	struct rng rng;
	uint8_t code[512];
	uint32_t len;
	uint32_t at[LENGTH + 8], n;	/* where instructions begin */
	uint32_t fix[LENGTH + 8], to[LENGTH + 8], nfix;
};

/* rax, rcx, rdx, rsi: numbers, mostly; r8 to r11: the state page, queue pages, records, references */
static const ZydisRegister wide[] = { ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_RCX, ZYDIS_REGISTER_RDX, ZYDIS_REGISTER_RSI };
static const ZydisRegister half[] = { ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_ECX, ZYDIS_REGISTER_EDX, ZYDIS_REGISTER_ESI };
static const ZydisRegister word[] = { ZYDIS_REGISTER_AX, ZYDIS_REGISTER_CX, ZYDIS_REGISTER_DX, ZYDIS_REGISTER_SI };
static const ZydisRegister byte[] = { ZYDIS_REGISTER_AL, ZYDIS_REGISTER_CL, ZYDIS_REGISTER_DL, ZYDIS_REGISTER_SIL };
static const ZydisRegister base[] = { ZYDIS_REGISTER_R8, ZYDIS_REGISTER_R9, ZYDIS_REGISTER_R10, ZYDIS_REGISTER_R11, ZYDIS_REGISTER_RDI };

#define M(x) ZYDIS_MNEMONIC_##x
static const ZydisMnemonic two[] = { M(ADD), M(ADD), M(SUB), M(SUB), M(AND), M(AND), M(AND), M(OR), M(XOR), M(CMP), M(CMP), M(CMP),
	M(TEST), M(MOV), M(MOV), M(IMUL), M(ADC), M(SBB), M(CMOVB), M(CMOVNBE), M(CMOVZ), M(CMOVNZ), M(CMOVL), M(CMOVNLE), M(BT), M(BTS), M(BTR) };
static const ZydisMnemonic shifts[] = { M(SHL), M(SHR), M(SAR), M(ROL), M(ROR) };
static const ZydisMnemonic ones[] = { M(INC), M(DEC), M(NEG), M(NOT), M(SETB), M(SETNZ) };
static const ZydisMnemonic jumps[] = { M(JB), M(JNB), M(JBE), M(JNBE), M(JZ), M(JNZ), M(JL), M(JNL), M(JLE), M(JNLE), M(JS), M(JNS) };

static bool emit(struct maker *m, ZydisEncoderRequest *q)
{
	ZyanUSize len = ZYDIS_MAX_INSTRUCTION_LENGTH;

	q->machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
	if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(q, m->code + m->len, &len)))
		return false;
	m->at[m->n++] = m->len;
	m->len += len;
	return true;
}

static ZydisEncoderOperand reg(ZydisRegister r)
{
	return (ZydisEncoderOperand){ .type = ZYDIS_OPERAND_TYPE_REGISTER, .reg.value = r };
}

static ZydisEncoderOperand imm(int64_t v)
{
	return (ZydisEncoderOperand){ .type = ZYDIS_OPERAND_TYPE_IMMEDIATE, .imm.s = v };
}

static const ZydisRegister *some_width(struct maker *m, uint32_t *bytes)
{
	switch (rng_below(&m->rng, 8)) {
	case 0: *bytes = 1; return byte;
	case 1: *bytes = 2; return word;
	case 2: case 3: case 4: *bytes = 8; return wide;
	default: *bytes = 4; return half;
	}
}

static int64_t some_number(struct maker *m)
{
	static const int64_t v[] = { 0, 1, -1, 3, 7, 31, 63, 64, 127, 128, 255, 256, -8, -64, 1088, 4095, 0x7fffffff, INT32_MIN };

	return rng_below(&m->rng, 3) ? v[rng_below(&m->rng, N(v))] : rng_below(&m->rng, 300);
}

static ZydisEncoderOperand some_memory(struct maker *m, uint32_t bytes)
{
	static const int64_t near[] = { 0, 4, 0x48, 0x50, 0x100, 0x100, 0x100, 0x180, 0x1f8, 64, 1024 };
	ZydisEncoderOperand o = { .type = ZYDIS_OPERAND_TYPE_MEMORY };

	o.mem.base = base[rng_below(&m->rng, N(base))];
	o.mem.displacement = near[rng_below(&m->rng, N(near))];
	o.mem.size = bytes;
	if (rng_below(&m->rng, 2)) {
		o.mem.index = wide[rng_below(&m->rng, 4)];
		o.mem.scale = 1 << rng_below(&m->rng, 4);
	}
	return o;
}

static void some_insn(struct maker *m)
{
	ZydisEncoderRequest q = { 0 };
	uint32_t bytes, a = rng_below(&m->rng, 4), b = rng_below(&m->rng, 4);
	const ZydisRegister *r = some_width(m, &bytes);

	q.operand_count = 2;
	q.operands[0] = reg(r[a]);
	switch (rng_below(&m->rng, 12)) {
	case 0:
		q.mnemonic = shifts[rng_below(&m->rng, N(shifts))];
		q.operands[1] = rng_below(&m->rng, 4) ? imm(rng_below(&m->rng, 40)) : reg(ZYDIS_REGISTER_CL);
		break;
	case 1:
		q.mnemonic = ones[rng_below(&m->rng, N(ones))];
		q.operand_count = 1;
		break;
	case 2:
		q.mnemonic = rng_below(&m->rng, 2) ? M(MOVZX) : M(MOVSX);
		q.operands[0] = reg(rng_below(&m->rng, 2) ? wide[a] : half[a]);
		q.operands[1] = reg(rng_below(&m->rng, 2) ? byte[b] : word[b]);
		break;
	case 3:
		q.mnemonic = M(LEA);
		q.operands[0] = reg(rng_below(&m->rng, 2) ? wide[a] : half[a]);
		q.operands[1] = some_memory(m, 8);
		q.operands[1].mem.base = wide[b];
		break;
	case 4: case 5:
		q.mnemonic = M(MOV);
		q.operands[1] = q.operands[0];
		q.operands[0] = some_memory(m, bytes);
		break;
	case 6:
		q.mnemonic = M(MOV);
		q.operands[1] = some_memory(m, bytes);
		break;
	case 7:
		q.mnemonic = jumps[rng_below(&m->rng, N(jumps))];
		q.operand_count = 1;
		q.branch_width = ZYDIS_BRANCH_WIDTH_8;
		q.branch_type = ZYDIS_BRANCH_TYPE_SHORT;
		q.operands[0] = imm(0);
		m->fix[m->nfix] = m->n;		/* backwards now and then */
		m->to[m->nfix++] = rng_below(&m->rng, 6) ? m->n + 1 + rng_below(&m->rng, 5) : rng_below(&m->rng, m->n + 1);
		break;
	default:
		q.mnemonic = two[rng_below(&m->rng, N(two))];
		q.operands[1] = rng_below(&m->rng, 2) ? reg(r[b]) : imm(some_number(m));
		if (q.mnemonic == M(CMP) && rng_below(&m->rng, 3) == 0) {	/* with the depth */
			q.operands[0] = reg(half[a]);
			q.operands[1] = some_memory(m, 4);
			q.operands[1].mem.base = ZYDIS_REGISTER_RDI;
			q.operands[1].mem.index = ZYDIS_REGISTER_NONE;
			q.operands[1].mem.scale = 0;
			q.operands[1].mem.displacement = 4;
		}
	}
	if (!emit(m, &q) && q.operand_count == 1 && q.branch_width)
		m->nfix--;
}

/* Back to some instruction, as long as ecx has not been counted down, or edx not up to a number or the depth. */
static void close_loop(struct maker *m)
{
	static const struct { uint8_t code[8], len; } end[] = {
		{ { 0x83, 0xe9, 1, 0x75 }, 4 },			/* sub ecx, 1; jnz */
		{ { 0x83, 0xe9, 3, 0x75 }, 4 },
		{ { 0xff, 0xc2, 0x83, 0xfa, 31, 0x72 }, 6 },	/* inc edx; cmp edx, 31; jb */
		{ { 0xff, 0xc2, 0x83, 0xfa, 31, 0x75 }, 6 },	/* ...; jne */
		{ { 0xff, 0xc2, 0x83, 0xfa, 31, 0x76 }, 6 },	/* ...; jbe */
		{ { 0xff, 0xc2, 0x3b, 0x57, 4, 0x72 }, 6 },	/* inc edx; cmp edx, [rdi+4]; jb */
		{ { 0x83, 0xc2, 2, 0x39, 0xca, 0x72 }, 6 },	/* add edx, 2; cmp edx, ecx; jb */
	};
	uint32_t k = rng_below(&m->rng, N(end)), to = m->at[rng_below(&m->rng, m->n)];

	memcpy(m->code + m->len, end[k].code, end[k].len);
	m->len += end[k].len + 1;
	m->code[m->len - 1] = to - m->len;
}

/* rdi+16 in r8, +32 in r9, +24 in r10, +40 in r11; eax a small number, ecx 9, edx 0; then anything, half of it a loop. */
static void make(struct maker *m, struct hv_image *img)
{
	static const uint8_t begin[] = { 0x4c, 0x8b, 0x47, 16, 0x4c, 0x8b, 0x4f, 32, 0x4c, 0x8b, 0x57, 24, 0x4c, 0x8b, 0x5f, 40,
					 0x89, 0xf0, 0x83, 0xe0, 0x7f, 0xb9, 9, 0, 0, 0, 0x31, 0xd2 };
	uint32_t n = 1 + rng_below(&m->rng, LENGTH);

	m->n = m->nfix = 0;
	m->len = sizeof(begin);
	memcpy(m->code, begin, sizeof(begin));
	while (m->n < n)
		some_insn(m);
	m->at[m->n] = m->len;
	if (rng_below(&m->rng, 2))
		close_loop(m);
	for (uint32_t k = 0; k < m->nfix; k++) {
		uint32_t to = m->to[k] < m->n ? m->to[k] : m->n;

		m->code[m->at[m->fix[k]] + 1] = m->at[to] - m->at[m->fix[k]] - 2;
	}
	img_make(img, m->code, m->len, false);
}

static void tell(void *arg, uint32_t off, const char *text)
{
	if (off >= IMG_BODY)
		fprintf(stderr, "  %04x  %s\n", off, text);
}

START_TEST(programs)
{
	const char *want = getenv("HV_PROGRAMS");
	uint32_t n = want ? strtoul(want, NULL, 10) : PROGRAMS, accepted = 0, loops = 0;
	struct emu *emu = emu_new();
	struct maker m;
	struct hv_bounds b;
	struct hv_image img;
	struct hv_err e;

	if (!emu) {
		unit_skip("no emulator (libunicorn-dev) in this build");
		return;
	}
	rng_init(&m.rng, "programs");
	for (uint32_t k = 0; k < n; k++) {
		make(&m, &img);
		if (!hv_check_bounds(&img, &b, &e)) {
			accepted++;
			loops += b.insns[0] > img.h.code_size;
			emu_place(emu, &img);
			for (int c = 0; c < CALLS; c++) {
				const char *why = emu_call(emu, c % HVDRV_ENTRIES, b.insns[c % HVDRV_ENTRIES] + 1, &m.rng);

				if (why)
					hv_disassemble(&img, tell, NULL);
				ck_assert_msg(!why, "program %u, accepted: %s", k, why);
			}
		}
		hv_image_free(&img);
	}
	printf("%u programs: %u accepted, %u of them with loops, each called %d times\n", n, accepted, loops, CALLS);
	ck_assert_uint_gt(accepted, n / 100);
	emu_free(emu);
}
END_TEST

Suite *unit_suite(void)
{
	return unit_new("programs", (const TTest *[]){ programs, NULL });
}
