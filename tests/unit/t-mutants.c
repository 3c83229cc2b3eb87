// SPDX-License-Identifier: GPL-2.0-only
/*
 * At least 10,000 images that differ from a generated one by an octet or by an instruction. Its signature refuses each. Without
 * signatures, what the gate accepts is run, and must keep the contract within the bounds that the gate has found. Of what it
 * refuses some are run as well: not to be right in each case (what is not followed is refused, too), but to see that the
 * emulator notices.
 */
#include <sys/wait.h>
#include <unistd.h>
#include <sodium.h>
#include "core/check.h"
#include "core/gate/insn.h"
#include "emu.h"
#include "gen.h"
#include "img.h"

#ifdef __SANITIZE_ADDRESS__
#define MUTANTS 1500u		/* a look at the check itself; the numbers are those of a build without */
#else
#define MUTANTS 10500u		/* of each image, unless HV_MUTANTS says otherwise; a quarter by instructions */
#endif
#define CALLS 3			/* of each entry, for each mutant that is accepted */
#define EVERY(n) ((n) >= 10000 ? 16 : 4)	/* of n, those refused: one in so many is run; of few more, so that chance plays no part */

static const char direct_conf[] = UNIT_SRCDIR "/repo/devices/nvme-direct.conf";
static const char *const confs[] = { gen_device, gen_nvme, direct_conf, gen_virtio };

struct corpus {
	struct hv_image img;		/* signed */
	struct gate_code code;
	struct img_key key;
	struct emu *emu;
	struct rng rng;
	uint32_t every;			/* of those refused, one in so many is run */
	uint32_t mutants, signature, gate, accepted, calls, sampled, broke, untold;
};

/* An octet becomes any other, or has one bit turned. */
static void change_octet(struct corpus *c, uint8_t *code)
{
	uint32_t at = rng_below(&c->rng, c->img.h.code_size);

	code[at] ^= rng_below(&c->rng, 2) ? 1u << rng_below(&c->rng, 8) : 1 + rng_below(&c->rng, 255);
}

/* An instruction is left out, or becomes a copy of another that is not longer, or trades places with the next. */
static void change_insn(struct corpus *c, uint8_t *code)
{
	const struct gate_insn *a = &c->code.insn[rng_below(&c->rng, c->code.n - 1)], *b = a + 1;
	uint8_t two[32];

	if (rng_below(&c->rng, 4) == 0) {
		memset(code + a->off, 0x90, a->len);
	} else if (rng_below(&c->rng, 4) == 0) {
		memcpy(two, code + b->off, b->len);
		memcpy(two + b->len, code + a->off, a->len);
		memcpy(code + a->off, two, a->len + b->len);
	} else {
		do
			b = &c->code.insn[rng_below(&c->rng, c->code.n)];
		while (b->len > a->len);
		memmove(code + a->off, c->img.payload + b->off, b->len);
		memset(code + a->off + b->len, 0x90, a->len - b->len);
	}
}

/* NULL, or how one of these calls broke the contract. */
static const char *run(struct corpus *c, const struct hv_image *img, const struct hv_bounds *b, enum hvdrv_entry *at)
{
	const char *why = NULL;

	emu_place(c->emu, img);
	for (int k = 0; !why && k < CALLS * HVDRV_ENTRIES; k++, c->calls++) {
		*at = k % HVDRV_ENTRIES;
		why = emu_call(c->emu, *at, b->insns[*at] + 1, &c->rng);
	}
	return why;
}

/*
 * Of one that is refused, in a process of its own: what the gate does not let pass may be anything, and Unicorn ends its process on some
 * code that it cannot translate ("tcg fatal error"). Such a mutant says nothing.
 */
static void sample(struct corpus *c, const struct hv_image *img, const struct hv_bounds *b)
{
	enum hvdrv_entry at;
	pid_t pid = fork();
	int st;

	ck_assert_int_ge(pid, 0);
	if (!pid)
		_exit(run(c, img, b, &at) != NULL);
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	c->sampled++;
	c->broke += WIFEXITED(st) && WEXITSTATUS(st) == 1;
	c->untold += WIFSIGNALED(st) != 0;
}

static void judge(struct corpus *c, struct hv_image *m)
{
	struct hv_bounds b = { .insns = { 100000, 100000, 100000, 100000, 100000 } };
	enum hvdrv_entry at = 0;
	struct hv_err e;
	const char *why;

	c->mutants++;
	c->signature += hv_image_verify(m, &c->key.ring, &e) < 0;
	hv_image_seal(m);		/* somebody who sets the hash right still has no key */
	ck_assert_int_lt(hv_image_verify(m, &c->key.ring, &e), 0);
	if (hv_check_bounds(m, &b, &e)) {
		c->gate++;
		if (c->emu && c->gate % c->every == 0)
			sample(c, m, &b);
		return;
	}
	c->accepted++;
	why = c->emu ? run(c, m, &b, &at) : NULL;
	if (why) {
		for (uint32_t k = 0; k < m->h.code_size; k++)
			if (m->payload[k] != c->img.payload[k])
				fprintf(stderr, "octet 0x%x: 0x%02x for 0x%02x\n", k, m->payload[k], c->img.payload[k]);
		ck_abort_msg("%s: mutant %u, accepted: entry %d %s", m->h.device, c->mutants, at, why);
	}
}

START_TEST(mutants)
{
	const char *want = getenv("HV_MUTANTS");
	uint32_t n = want ? strtoul(want, NULL, 10) : MUTANTS;
	struct corpus c = { .emu = emu_new(), .every = EVERY(n) };
	struct hv_bounds b;
	struct hv_image m;
	uint8_t payload[HVDRV_SLOT_SIZE];
	enum hvdrv_entry at;
	struct hv_err e;
	const char *why;
	size_t len;

	if (!gen_image(confs[_i], &c.img))
		return;
	rng_init(&c.rng, c.img.h.device);
	img_key(&c.key, "vendor");
	free(img_file(&c.img, &c.key, &len));		/* signs it */
	ck_assert_int_eq(hv_image_verify(&c.img, &c.key.ring, &e), 0);
	ck_assert_int_eq(gate_decode(&c.img, &c.code, &e), 0);
	ck_assert_int_eq(hv_check_bounds(&c.img, &b, &e), 0);
	for (int k = 0; c.emu && k < 40; k++) {
		why = run(&c, &c.img, &b, &at);
		ck_assert_msg(!why, "%s itself: entry %d %s", c.img.h.device, at, why);
	}
	c.calls = 0;
	while (c.mutants < n) {
		m = c.img;
		m.payload = memcpy(payload, c.img.payload, c.img.h.payload_size);
		if (c.mutants < n / 4 * 3)
			change_octet(&c, payload);
		else
			change_insn(&c, payload);
		if (memcmp(payload, c.img.payload, c.img.h.payload_size))
			judge(&c, &m);
	}
	printf("%s: %u mutants; the signature refuses %u; the gate refuses %u, accepts %u, whose %u calls keep the contract; of %u that "
	       "it refuses %u are seen to break it, %u the emulator cannot run\n", c.img.h.device, c.mutants, c.signature, c.gate, c.accepted, c.calls,
	       c.sampled, c.broke, c.untold);
	ck_assert_uint_eq(c.signature, c.mutants);
	if (!c.emu)
		unit_skip("running them: no emulator (libunicorn-dev) in this build");
	else
		ck_assert(c.broke > c.sampled / 4 && c.untold < c.sampled / 20);
	emu_free(c.emu);
	gate_code_free(&c.code);
	hv_image_free(&c.img);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = unit_new("mutants", (const TTest *[]){ NULL });

	unit_loop(s, "mutants", mutants, N(confs));
	return s;
}
