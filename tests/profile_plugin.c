// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's TCG: writes down what the guest executes between two marks,
 * so that the instructions of a system call can be told apart by what they
 * belong to. A mark is an instruction that does nothing, see profile_marks.h;
 * what lies between is a list of blocks of instructions, each with its address
 * and how many there are. For a guest with one processor.
 *
 * The calls to QEMU are declared here, for not every distribution has the header
 * for them; they are the same from QEMU 6 on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "profile_marks.h"

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif

#define VISIBLE __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
		void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_atexit_cb(plugin_id id,
		void (*cb)(plugin_id id, void *arg), void *arg);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
		void (*cb)(unsigned int cpu, void *arg), int flags, void *arg);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
		void (*cb)(unsigned int cpu, void *arg), int flags, void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t idx);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

VISIBLE int qemu_plugin_version = PLUGIN_VERSION;

/* What is seen until a table is full is enough; so many blocks have a number. */
#define MAX_BLOCKS (1 << 21)

static struct block {
	uint64_t address;
	uint32_t insns;
} blocks[MAX_BLOCKS];

static uint32_t used;
static int phase;
static FILE *out;

static void on_block(unsigned int cpu, void *arg)
{
	const struct block *block = arg;

	if (phase)
		fprintf(out, "%llx %u\n", (unsigned long long)block->address,
			block->insns);
}

static void on_mark(unsigned int cpu, void *arg)
{
	phase = (uintptr_t)arg;
	fprintf(out, "phase %d\n", phase);
	fflush(out);
}

/* The mark's number, or -1: see PROFILE_MARK(). */
static int mark_of(const struct qemu_plugin_insn *insn)
{
	static const unsigned char pattern[] = PROFILE_BYTES;
	const unsigned char *data;

	if (qemu_plugin_insn_size(insn) != sizeof(pattern) + 1)
		return -1;
	data = qemu_plugin_insn_data(insn);
	if (memcmp(data, pattern, sizeof(pattern)))
		return -1;
	return data[sizeof(pattern)];
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;
	struct block *block;
	int mark;

	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		mark = mark_of(insn);
		if (mark >= 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, 0,
					(void *)(uintptr_t)mark);
	}
	if (used == MAX_BLOCKS)
		return;
	block = &blocks[used++];
	block->address = qemu_plugin_tb_vaddr(tb);
	block->insns = n;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, 0, block);
}

static void at_exit(plugin_id id, void *arg)
{
	fclose(out);
}

/* The one argument is out=FILE. */
VISIBLE int qemu_plugin_install(plugin_id id, const struct qemu_info *info,
				int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
