// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's: how often each instruction of a kernel's modules was executed, by any of the machine's kernels. When the file
 * insns-wanted appears in the folder `dir`, the table goes to insns-done there: address, octets, times. Kernels have their modules
 * at the same addresses; who reads the table knows its own by the octets.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FROM 0xffffffffc0000000ull		/* of Linux's modules on x86-64 */
#define TO 0xffffffffff000000ull
#define SLOTS (1u << 20)
#define EXPORT __attribute__((visibility("default")))

/* of QEMU's interface of plugins, version 1 */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, enum qemu_plugin_op op, void *ptr, uint64_t imm);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

struct counted {
	uint64_t at, times;
	uint8_t octets[15], len;
};

static struct counted *table;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char dir[256];

static struct counted *slot_of(uint64_t at, const void *octets, size_t len)
{
	uint32_t i = (at * 0x9e3779b97f4a7c15ull) >> 44;

	while (table[i].at && (table[i].at != at || table[i].len != len || memcmp(table[i].octets, octets, len)))
		i = (i + 1) % SLOTS;
	table[i].at = at;
	table[i].len = len;
	memcpy(table[i].octets, octets, len);
	return &table[i];
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);
		size_t len = qemu_plugin_insn_size(insn);

		if (at >= FROM && at < TO && len <= sizeof(table->octets))
			qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
								   &slot_of(at, qemu_plugin_insn_data(insn), len)->times, 1);
	}
	pthread_mutex_unlock(&lock);
}

static void dump(const char *path)
{
	char part[320];
	FILE *f;

	snprintf(part, sizeof(part), "%s.part", path);
	f = fopen(part, "w");
	if (!f)
		return;
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (!table[i].times)
			continue;
		fprintf(f, "%llx ", (unsigned long long)table[i].at);
		for (int k = 0; k < table[i].len; k++)
			fprintf(f, "%02x", table[i].octets[k]);
		fprintf(f, " %llu\n", (unsigned long long)table[i].times);
	}
	pthread_mutex_unlock(&lock);
	fclose(f);
	rename(part, path);
}

static void *answer(void *arg)
{
	char wanted[300], done[300];

	snprintf(wanted, sizeof(wanted), "%s/insns-wanted", dir);
	snprintf(done, sizeof(done), "%s/insns-done", dir);
	for (;; usleep(50000))
		if (!unlink(wanted))
			dump(done);
	return arg;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	pthread_t t;

	table = calloc(SLOTS, sizeof(*table));
	if (argc != 1 || strncmp(argv[0], "dir=", 4) || !table)
		return -1;
	snprintf(dir, sizeof(dir), "%s", argv[0] + 4);
	if (pthread_create(&t, NULL, answer, NULL))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
