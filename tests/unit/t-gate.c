// SPDX-License-Identifier: GPL-2.0-only
/*
 * What code may do, by what is known of its values: memory, stack, calls, loops, and how it returns. Each row is a body that
 * every entry jumps to, rdi being the context and esi the argument; `xor eax, eax; ret; int3` follow it
 * unless it ends with an int3 of its own.
 */
#include "core/check.h"
#include "img.h"
#include "unit.h"

struct row {
	const char *what;
	const char *bytes;		/* hexadecimal */
	const char *says;		/* NULL: accepted */
	const char *code;		/* the bytes, for who reads this */
};

static const struct row rows[] = {
	/* nothing is there that is not followed */
	{ "behind a jump", "eb0289f0", "no way leads to",
	  "jmp 1f; mov eax, esi; 1:" },
	{ "behind a jump, fillers", "eb02cc90", NULL,
	  "jmp 1f; int3; nop; 1:" },
	{ "behind what is always so", "31c085c0740289f0", "no way leads to",
	  "xor eax, eax; test eax, eax; je 1f; mov eax, esi; 1:" },
	{ "if the depth is 0", "8b470485c0740289f0", NULL,
	  "mov eax, [rdi+4]; test eax, eax; je 1f; mov eax, esi; 1:" },
	{ "a function that nobody calls", "31c0c3ccc3cc", "no way leads to",
	  "xor eax, eax; ret; int3; ret; int3" },
	/* the context, and what hangs on it */
	{ "depth", "8b4704c1e814", NULL,
	  "mov eax, [rdi+4]; shr eax, 20" },
	{ "number of completions", "c7470c03000000", NULL,
	  "mov dword ptr [rdi+12], 3" },
	{ "first completion", "66897730", NULL,
	  "mov word ptr [rdi+48], si" },
	{ "last completion", "c6872e02000001", NULL,
	  "mov byte ptr [rdi+558], 1" },
	{ "behind the last completion", "c6873002000001", "write outside",
	  "mov byte ptr [rdi+560], 1" },
	{ "before the context", "8b47fc", "read outside",
	  "mov eax, [rdi-4]" },
	{ "size is not the driver's", "c70700000000", "only read",
	  "mov dword ptr [rdi], 0" },
	{ "a pointer is not the driver's", "48c7471000000000", "only read",
	  "mov qword ptr [rdi+16], 0" },
	{ "half a pointer", "8b4710", "part of a pointer",
	  "mov eax, [rdi+16]" },
	{ "two halves of pointers", "488b4714", "part of a pointer",
	  "mov rax, [rdi+20]" },
	{ "pointer where only newer guests have one", "488b8730020000", "read outside",
	  "mov rax, [rdi+0x230]" },
	{ "the argument as an address", "8b06", "not known to be an address",
	  "mov eax, [rsi]" },
	{ "a number as an address", "48c7c0785634128b00", "not known to be an address",
	  "mov rax, 0x12345678; mov eax, [rax]" },
	{ "an address out of memory", "488b4710488b80000100008b00", "not known to be an address",
	  "mov rax, [rdi+16]; mov rax, [rax+0x100]; mov eax, [rax]" },
	{ "an address stored", "488b47104889b800010000", "not a number of its own",
	  "mov rax, [rdi+16]; mov [rax+0x100], rdi" },
	{ "a caller's register stored", "488b471048899800010000", "not a number of its own",
	  "mov rax, [rdi+16]; mov [rax+0x100], rbx" },
	{ "state, the host's words", "488b47108b0031c0", NULL,
	  "mov rax, [rdi+16]; mov eax, [rax]; xor eax, eax" },
	{ "state, the driver's", "488b471089b0fc010000", NULL,
	  "mov rax, [rdi+16]; mov [rax+0x1fc], esi" },
	{ "state, its end crossed", "488b471089b0fd010000", "write outside",
	  "mov rax, [rdi+16]; mov [rax+0x1fd], esi" },
	{ "state, hold is the host's", "488b4710c70001000000", "only read",
	  "mov rax, [rdi+16]; mov dword ptr [rax], 1" },
	{ "state, inside is the stub's", "488b4710c7404001000000", "only read",
	  "mov rax, [rdi+16]; mov dword ptr [rax+64], 1" },
	{ "state, tail", "488b4710897048", NULL,
	  "mov rax, [rdi+16]; mov [rax+72], esi" },
	{ "state, tail and more", "488b471048897048", "only read",
	  "mov rax, [rdi+16]; mov [rax+72], rsi" },
	/* records and queue pages, as many as the depth says */
	{ "first record", "488b47188b00", NULL,
	  "mov rax, [rdi+24]; mov eax, [rax]" },
	{ "second record, if there is one", "488b47188b8040040000", "read outside",
	  "mov rax, [rdi+24]; mov eax, [rax+1088]" },
	{ "record by the argument", "89f04869c040040000480347188b00", "read outside",
	  "mov eax, esi; imul rax, rax, 1088; add rax, [rdi+24]; mov eax, [rax]" },
	{ "record by a tag that was compared", "89f025ff0f00003b470473124869c04004000048034718488b8038040000", NULL,
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+4]; jae 1f; imul rax, rax, 1088; add rax, [rdi+24]; mov rax, [rax+1080]; 1:" },
	{ "the same, one byte more", "89f025ff0f00003b470473124869c04004000048034718488b8039040000", "read outside",
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+4]; jae 1f; imul rax, rax, 1088; add rax, [rdi+24]; mov rax, [rax+1081]; 1:" },
	{ "compared, then used the other way", "89f025ff0f00003b4704720e4869c04004000048034718488b00", "read outside",
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+4]; jb 1f; imul rax, rax, 1088; add rax, [rdi+24]; mov rax, [rax]; 1:" },
	{ "compared with what is not the depth", "89f025ff0f00003b4708730e4869c04004000048034718488b00", "read outside",
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+8]; jae 1f; imul rax, rax, 1088; add rax, [rdi+24]; mov rax, [rax]; 1:" },
	{ "compared by sign", "480fbfc63b47047d0e4869c04004000048034718488b00", "read outside",
	  "movsx rax, si; cmp eax, [rdi+4]; jge 1f; imul rax, rax, 1088; add rax, [rdi+24]; mov rax, [rax]; 1:" },
	{ "at most the depth is one too many", "89f025ff0f00003b4704770e4869c04004000048034718488b00", "read outside",
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+4]; ja 1f; imul rax, rax, 1088; add rax, [rdi+24]; mov rax, [rax]; 1:" },
	{ "below the largest depth is not below the depth", "89f083e07f4869c04004000048034718488b00", "read outside",
	  "mov eax, esi; and eax, 127; imul rax, rax, 1088; add rax, [rdi+24]; mov rax, [rax]; 1:" },
	{ "records are the stub's", "488b4718c70000000000", "only read",
	  "mov rax, [rdi+24]; mov dword ptr [rax], 0" },
	{ "queue pages, the fixed ones", "488b472089b0fc1f0000", NULL,
	  "mov rax, [rdi+32]; mov [rax+8188], esi" },
	{ "and the first tag's", "488b472089b0fc2f0000", NULL,
	  "mov rax, [rdi+32]; mov [rax+12284], esi" },
	{ "behind the first tag's", "488b472089b0fd2f0000", "write outside",
	  "mov rax, [rdi+32]; mov [rax+12285], esi" },
	{ "a tag's page", "89f025ff0f00003b4704731083c002c1e00c4803472089b0fc0f0000", NULL,
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+4]; jae 1f; add eax, 2; shl eax, 12; add rax, [rdi+32]; mov [rax+4092], esi; 1:" },
	{ "the page behind it", "89f025ff0f00003b4704730c83c003c1e00c480347208930", "write outside",
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+4]; jae 1f; add eax, 3; shl eax, 12; add rax, [rdi+32]; mov [rax], esi; 1:" },
	{ "reference of a tag's page", "89f025ff0f00003b47047308488b57288b448208", NULL,
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+4]; jae 1f; mov rdx, [rdi+40]; mov eax, [rdx+rax*4+8]; 1:" },
	{ "a reference behind it", "89f025ff0f00003b47047308488b57288b44820c", "read outside",
	  "mov eax, esi; and eax, 0xfff; cmp eax, [rdi+4]; jae 1f; mov rdx, [rdi+40]; mov eax, [rdx+rax*4+12]; 1:" },
	{ "references are the stub's", "488b4728c70000000000", "only read",
	  "mov rax, [rdi+40]; mov dword ptr [rax], 0" },
	{ "index by a mask", "488b471089f183e1014889b4c800010000", NULL,
	  "mov rax, [rdi+16]; mov ecx, esi; and ecx, 1; mov [rax+rcx*8+0x100], rsi" },
	{ "index that is negative", "488b471089f183e1014883e9404889b4c800010000", "outside",
	  "mov rax, [rdi+16]; mov ecx, esi; and ecx, 1; sub rcx, 64; mov [rax+rcx*8+0x100], rsi" },
	{ "index that wraps", "8d46ff488b571089b40200010000", "outside",
	  "lea eax, [rsi-1]; mov rdx, [rdi+16]; mov [rdx+rax+0x100], esi" },
	{ "copies of an index", "89f025ff0f000089c281faff000000770c488b4f10c684010001000000", NULL,
	  "mov eax, esi; and eax, 0xfff; mov edx, eax; cmp edx, 255; ja 1f; mov rcx, [rdi+16]; mov byte ptr [rcx+rax+0x100], 0; 1:" },
	{ "index changed behind the comparison", "89f025ff0f00003dff000000770f83c001488b4f10c684010001000000", "outside",
	  "mov eax, esi; and eax, 0xfff; cmp eax, 255; ja 1f; add eax, 1; mov rcx, [rdi+16]; mov byte ptr [rcx+rax+0x100], 0; 1:" },
	{ "smaller by cmov", "89f0baff00000039d00f47c2488b4f10c684010001000000", NULL,
	  "mov eax, esi; mov edx, 255; cmp eax, edx; cmova eax, edx; mov rcx, [rdi+16]; mov byte ptr [rcx+rax+0x100], 0" },
	{ "larger by cmov", "89f0baff00000039d00f42c2488b4f10c684010001000000", "outside",
	  "mov eax, esi; mov edx, 255; cmp eax, edx; cmovb eax, edx; mov rcx, [rdi+16]; mov byte ptr [rcx+rax+0x100], 0" },
	{ "bit by register, in memory", "488b47100fabb000010000", "operands",
	  "mov rax, [rdi+16]; bts dword ptr [rax+0x100], esi" },
	/* addresses */
	{ "addresses added", "4801ff", "with an address",
	  "add rdi, rdi" },
	{ "addresses subtracted", "488b47104829f8", "with an address",
	  "mov rax, [rdi+16]; sub rax, rdi" },
	{ "address masked", "4881e700f0ffff", "with an address",
	  "and rdi, -4096" },
	{ "half an address", "89f8", "with an address",
	  "mov eax, edi" },
	{ "address scaled", "488d047d00000000", "with an address",
	  "lea rax, [rdi*2]" },
	{ "address in 32 bits", "8d4704", "with an address",
	  "lea eax, [rdi+4]" },
	{ "one address or the other", "488b471085f67404488b47208b00", "has not set",
	  "mov rax, [rdi+16]; test esi, esi; je 1f; mov rax, [rdi+32]; 1: mov eax, [rax]" },
	{ "one place or the other", "488d470485f67404488d47088b00", NULL,
	  "lea rax, [rdi+4]; test esi, esi; je 1f; lea rax, [rdi+8]; 1: mov eax, [rax]" },
	{ "constants by an index", "488d050700000083e6010fb60430", NULL,
	  "lea rax, [rip+1f]; and esi, 1; movzx eax, byte ptr [rax+rsi]; 1:" },
	/* the stack */
	{ "local variable", "4883ec18897424088b4424084883c418", NULL,
	  "sub rsp, 24; mov [rsp+8], esi; mov eax, [rsp+8]; add rsp, 24" },
	{ "saved address", "57bf010000005f8b4704", NULL,
	  "push rdi; mov edi, 1; pop rdi; mov eax, [rdi+4]" },
	{ "another's stack", "488b442408", "outside of its own frames",
	  "mov rax, [rsp+8]" },
	{ "return address read", "488b0424", "outside of its own frames",
	  "mov rax, [rsp]" },
	{ "return address written", "48c7042400000000", "outside of its own frames",
	  "mov qword ptr [rsp], 0" },
	{ "below the stack pointer", "48897424f8", "outside of its own frames",
	  "mov [rsp-8], rsi" },
	{ "what was not written", "4883ec08488b04244883c408", "what it has not written",
	  "sub rsp, 8; mov rax, [rsp]; add rsp, 8" },
	{ "what is gone", "56584883ec08488b04244883c408", "what it has not written",
	  "push rsi; pop rax; sub rsp, 8; mov rax, [rsp]; add rsp, 8" },
	{ "half overwritten", "57c7442404000000005f", "what it has not written",
	  "push rdi; mov dword ptr [rsp+4], 0; pop rdi" },
	{ "all that it may use", "4881ec000200004881c400020000", NULL,
	  "sub rsp, 512; add rsp, 512" },
	{ "more than it may use", "4881ec080200004881c408020000", "more stack",
	  "sub rsp, 520; add rsp, 520" },
	{ "too much by push", "4881ec00020000564881c408020000", "more stack",
	  "sub rsp, 512; push rsi; add rsp, 520" },
	{ "stack of its caller", "4883c4084883ec08", "of its caller",
	  "add rsp, 8; sub rsp, 8" },
	{ "stack by a register", "4829f44801f4", "stack pointer",
	  "sub rsp, rsi; add rsp, rsi" },
	{ "stack pointer aligned", "4883e4f0", "with an address",
	  "and rsp, -16" },
	{ "stack at odd places", "4883ec034883c403", "stack pointer",
	  "sub rsp, 3; add rsp, 3" },
	{ "index on the stack", "4883ec1089f083e00148c704c4000000004883c410", "at a place that is not known",
	  "sub rsp, 16; mov eax, esi; and eax, 1; mov qword ptr [rsp+rax*8], 0; add rsp, 16" },
	/* the end of an entry */
	{ "frame left", "5631c0c3cc", "with its frame",
	  "push rsi; xor eax, eax; ret; int3" },
	{ "register of the caller changed", "31db", "a register changed",
	  "xor ebx, ebx" },
	{ "registers swapped", "53555b5d", "a register changed",
	  "push rbx; push rbp; pop rbx; pop rbp" },
	{ "saved and restored", "53415431db4989fc415c5b", NULL,
	  "push rbx; push r12; xor ebx, ebx; mov r12, rdi; pop r12; pop rbx" },
	{ "half restored", "53bb010000008b042458", "no number",
	  "push rbx; mov ebx, 1; mov eax, [rsp]; pop rax" },
	{ "answers", "89f083e00fc3cc", NULL,
	  "mov eax, esi; and eax, 15; ret; int3" },
	{ "no answer", "b810000000c3cc", "no answer",
	  "mov eax, 16; ret; int3" },
	{ "an address for an answer", "4889f8c3cc", "no answer",
	  "mov rax, rdi; ret; int3" },
	{ "no answer set", "c3cc", "no answer",
	  "ret; int3" },
	{ "into an int3", "cc", "int3",
	  "int3" },
	{ "unset register", "89c8", "not set",
	  "mov eax, ecx" },
	{ "unset register added", "4801f2", "not set",
	  "add rdx, rsi" },
	/* calls */
	{ "call", "e80400000031c0c3cc8b4704c3cc", NULL,
	  "call 1f; xor eax, eax; ret; int3; 1: mov eax, [rdi+4]; ret; int3" },
	{ "stack in a call", "e80400000031c0c3cc4881ecf40100004881c4f4010000c3cc", "stack pointer",
	  "call 1f; xor eax, eax; ret; int3; 1: sub rsp, 500; add rsp, 500; ret; int3" },
	{ "too much stack in a call", "e80400000031c0c3cc4881ec000200004881c400020000c3cc", "more stack",
	  "call 1f; xor eax, eax; ret; int3; 1: sub rsp, 512; add rsp, 512; ret; int3" },
	{ "call of itself", "e8fbffffff", "calls within calls",
	  "1: call 1b" },
	{ "return to elsewhere", "e80400000031c0c3cc48893424c3cc", "not the place",
	  "call 1f; xor eax, eax; ret; int3; 1: mov [rsp], rsi; ret; int3" },
	{ "return by push", "56c3cc", "with its frame",
	  "push rsi; ret; int3" },
	{ "return over a frame", "e80400000031c0c3cc4883c40831c0c3cc", "with its frame",
	  "call 1f; xor eax, eax; ret; int3; 1: add rsp, 8; xor eax, eax; ret; int3" },
	{ "returns swapped", "e80400000031c0c3cce802000000c3cc585a5052c3cc", "not the place",
	  "call 1f; xor eax, eax; ret; int3; 1: call 2f; ret; int3; 2: pop rax; pop rdx; push rax; push rdx; ret; int3" },
	{ "register that a call changes", "b901000000e806000000488b4710c3cc488b7f10c3cc", "no answer",
	  "mov ecx, 1; call 1f; mov rax, [rdi+16]; ret; int3; 1: mov rdi, [rdi+16]; ret; int3" },
	/* loops */
	{ "counts up", "31c9ffc183f96472f9", NULL,
	  "xor ecx, ecx; 1: inc ecx; cmp ecx, 100; jb 1b" },
	{ "counts to just that", "31c9ffc183f96475f9", NULL,
	  "xor ecx, ecx; 1: inc ecx; cmp ecx, 100; jne 1b" },
	{ "counts down", "b94000000083e90175fb", NULL,
	  "mov ecx, 64; 1: sub ecx, 1; jne 1b" },
	{ "counts down to 0 and beyond", "b94000000083e90183f96475f8", "counted bound",
	  "mov ecx, 64; 1: sub ecx, 1; cmp ecx, 100; jne 1b" },
	{ "never ends", "ebfe", "counted bound",
	  "1: jmp 1b" },
	{ "ends when memory says", "8b470885c075f9", "counted bound",
	  "1: mov eax, [rdi+8]; test eax, eax; jne 1b" },
	{ "ends when memory says, or after some", "b9400000008b470885c0740583e90175f4", NULL,
	  "mov ecx, 64; 1: mov eax, [rdi+8]; test eax, eax; je 2f; sub ecx, 1; jne 1b; 2:" },
	{ "steps over its end", "31c983c10383f96475f8", "counted bound",
	  "xor ecx, ecx; 1: add ecx, 3; cmp ecx, 100; jne 1b" },
	{ "steps onto its end", "31c983c10483f96475f8", NULL,
	  "xor ecx, ecx; 1: add ecx, 4; cmp ecx, 100; jne 1b" },
	{ "counter set again", "b9400000008b470885c07505b94000000083e90175ef", "counted bound",
	  "mov ecx, 64; 1: mov eax, [rdi+8]; test eax, eax; jne 2f; mov ecx, 64; 2: sub ecx, 1; jne 1b" },
	{ "counter is memory", "c7470c00000000ff470c837f0c0972f7", "counted bound",
	  "mov dword ptr [rdi+12], 0; 1: inc dword ptr [rdi+12]; cmp dword ptr [rdi+12], 9; jb 1b" },
	{ "counter is not always counted", "31c98b470885c07402ffc183f90972f2", "counted bound",
	  "xor ecx, ecx; 1: mov eax, [rdi+8]; test eax, eax; je 2f; inc ecx; 2: cmp ecx, 9; jb 1b" },
	{ "up to the depth", "31c9ffc13b4f0472f9", NULL,
	  "xor ecx, ecx; 1: inc ecx; cmp ecx, [rdi+4]; jb 1b" },
	{ "too many rounds", "31c9ffc181f9a086010072f6", "counted bound",
	  "xor ecx, ecx; 1: inc ecx; cmp ecx, 100000; jb 1b" },
	{ "each record", "488b571831c9488b02ffc14881c2400400003b4f0472ef", NULL,
	  "mov rdx, [rdi+24]; xor ecx, ecx; 1: mov rax, [rdx]; inc ecx; add rdx, 1088; cmp ecx, [rdi+4]; jb 1b" },
	{ "each record, and one more", "488b571831c9488b02ffc14881c2400400003b4f0476ef", "read outside",
	  "mov rdx, [rdi+24]; xor ecx, ecx; 1: mov rax, [rdx]; inc ecx; add rdx, 1088; cmp ecx, [rdi+4]; jbe 1b" },
	{ "each record, too large steps", "488b571831c9488b02ffc14881c2800800003b4f0472ef", "read outside",
	  "mov rdx, [rdi+24]; xor ecx, ecx; 1: mov rax, [rdx]; inc ecx; add rdx, 2176; cmp ecx, [rdi+4]; jb 1b" },
	{ "fills the driver's memory", "488b571031c9c6840a0001000000ffc181f90001000075ee", NULL,
	  "mov rdx, [rdi+16]; xor ecx, ecx; 1: mov byte ptr [rdx+rcx+0x100], 0; inc ecx; cmp ecx, 256; jne 1b" },
	{ "and one byte more", "488b571031c9c6840a0001000000ffc181f90101000075ee", "outside",
	  "mov rdx, [rdi+16]; xor ecx, ecx; 1: mov byte ptr [rdx+rcx+0x100], 0; inc ecx; cmp ecx, 257; jne 1b" },
	{ "loop in a loop", "b909000000ba0900000083ea0175fb83e90175f1", NULL,
	  "mov ecx, 9; 1: mov edx, 9; 2: sub edx, 1; jne 2b; sub ecx, 1; jne 1b" },
	{ "inner counter only", "ba0900000083ea0175fbba090000008b470885c075ef", "counted bound",
	  "mov edx, 9; 1: 2: sub edx, 1; jne 2b; mov edx, 9; mov eax, [rdi+8]; test eax, eax; jne 1b" },
	{ "too much work", "b9a00f0000baa00f000083ea0175fb83e90175f1", "more instructions",
	  "mov ecx, 4000; 1: mov edx, 4000; 2: sub edx, 1; jne 2b; sub ecx, 1; jne 1b" },
	{ "loop entered in its middle", "b94000000085f674019083e90175fa", "in its middle",
	  "mov ecx, 64; test esi, esi; je 2f; 1: nop; 2: sub ecx, 1; jne 1b" },
	{ "stack grows in a loop", "b9040000005683e90175fa4883c420", "not known",
	  "mov ecx, 4; 1: push rsi; sub ecx, 1; jne 1b; add rsp, 32" },
};

static void make(struct hv_image *img, const char *hex)
{
	size_t len = strlen(hex) / 2;
	uint8_t body[256];

	ck_assert_uint_le(len, sizeof(body));
	for (size_t i = 0; i < len; i++) {
		unsigned int b;

		ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &b), 1);
		body[i] = b;
	}
	img_make(img, body, len, body[len - 1] == HVDRV_SLOT_FILL);
}

START_TEST(decided)
{
	const struct row *r = &rows[_i];
	struct hv_err e = { 0 };
	struct hv_image img;
	int rc;

	make(&img, r->bytes);
	rc = hv_check_code(&img, &e);
	hv_image_free(&img);
	if (r->says) {
		ck_assert_msg(rc == -ENOEXEC, "%s is accepted: %s", r->what, r->code);
		ck_assert_msg(strstr(e.text, r->says), "%s: \"%s\" does not contain \"%s\"", r->what, e.text, r->says);
	} else {
		ck_assert_msg(!rc, "%s: %s: %s", r->what, r->code, e.text);
	}
}
END_TEST

/* mov rax, [rdi+0x238]; test rax, rax; je 1f; mov ecx, esi; and ecx, 0xffc; mov [rax+rcx], esi; 1: */
#define DOORBELL "488b87380200004885c0740b89f181e1fc0f0000893408"

/* A controller's registers, and the frames of the queue pages: of mode direct only. */
START_TEST(direct)
{
	static const struct { const char *bytes, *says; } row[] = {
		{ DOORBELL, NULL },
		{ "488b87380200008930", "may be NULL" },		/* mov rax, [rdi+0x238]; mov [rax], esi */
		{ "488b87380200004885c074028b00", "only write" },	/* the same with test, je; mov eax, [rax] */
		{ "488b87380200004885c0740689b0fd0f0000", "outside" },	/* mov [rax+0xffd], esi */
		{ "488b8730020000488b00", NULL },			/* mov rax, [rdi+0x230]; mov rax, [rax] */
		{ "488b8730020000488b4018", "read outside" },		/* mov rax, [rax+24] */
		{ "488b8730020000c60000", "only read" },		/* mov byte ptr [rax], 0 */
	};
	struct hv_err e = { 0 };
	struct hv_image img;

	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		make(&img, row[k].bytes);
		ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);	/* of mode virtual */
		strcpy(img.h.mode, "direct");
		if (!row[k].says)
			ck_assert_msg(!hv_check_code(&img, &e), "row %zu: %s", k, e.text);
		else
			ck_assert_msg(hv_check_code(&img, &e) == -ENOEXEC && strstr(e.text, row[k].says), "row %zu: %s", k, e.text);
		hv_image_free(&img);
	}
}
END_TEST

/* The pages that the header asks for are those that the code may use. */
START_TEST(pages)
{
	struct hv_err e = { 0 };
	struct hv_image img;

	make(&img, "488b472089b0fcff0100");	/* mov rax, [rdi+32]; mov [rax+0x1fffc], esi */
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);
	img.h.queue_fixed_pages = 32;
	ck_assert_msg(!hv_check_code(&img, &e), "%s", e.text);
	img.h.queue_fixed_pages = 31;
	ck_assert_msg(!hv_check_code(&img, &e), "%s", e.text);
	img.h.queue_pages_per_tag = 0;
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);
	img.h.queue_fixed_pages = HVDRV_MAX_QUEUE_PAGES;
	ck_assert_msg(!hv_check_code(&img, &e), "%s", e.text);
	img.h.queue_fixed_pages++;
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);
	img.h.queue_fixed_pages = 2;
	img.h.queue_pages_per_tag = 0x4000001;		/* 64 times that is 64, in 32 bits */
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);
	ck_contains(e.text, "queue pages");
	hv_image_free(&img);
}
END_TEST

/* mov ecx, 64; 1: sub ecx, 1; jne 1b; push rsi; pop rax */
START_TEST(bounds)
{
	struct hv_err e = { 0 };
	struct hv_bounds b;
	struct hv_image img;

	make(&img, "b94000000083e90175fb5658");
	ck_assert_msg(!hv_check_bounds(&img, &b, &e), "%s", e.text);
	/* endbr64, jmp, mov; 64 times two; push, pop, xor, ret */
	for (int k = 0; k < HVDRV_ENTRIES; k++)
		ck_assert_uint_eq(b.insns[k], 3 + 128 + 4);
	ck_assert_uint_eq(b.stack, 8);
	hv_image_free(&img);
}
END_TEST

/* Loops in loops in loops: the check ends, whatever it is given. */
START_TEST(ends)
{
	char hex[2 * 13 * 12 + 1] = "";
	struct hv_err e = { 0 };
	struct hv_image img;

	for (int k = 0; k < 12; k++)	/* 1: mov eax, [rdi+8]; test eax, eax: 12 heads, and as many tails */
		strcat(hex, "8b470885c0");
	for (int k = 0; k < 12; k++)	/* 85 c0 75 xx: each to another head */
		sprintf(hex + strlen(hex), "85c075%02x", (uint8_t)-(5 * (k + 1) + 4 * (k + 1)));
	make(&img, hex);
	ck_assert_int_eq(hv_check_code(&img, &e), -ENOEXEC);
	hv_image_free(&img);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("gate", (const TTest *[]){ direct, pages, bounds, ends, NULL });

	unit_loop(s, "decided", decided, N(rows));
	return s;
}
