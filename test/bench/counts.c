// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU: how many instructions the guest has executed, in all and by the address
 * where a block of the kernel's begins. They are in the file that is its argument
 * "out=FILE", which has to be there and to have COUNTS_BYTES: pairs of numbers, an address and
 * its instructions, most of them zeros. Who reads the file, as the guest does that has
 * it as a disk, sees the present state. The first pairs are other things, see below.
 *
 * What it needs of QEMU's interface, whose header Debian does not have, is declared here:
 * version 1, which QEMU has had from 4.2 until 8.2.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "counts.h"

#define SLOTS		(COUNTS_BYTES / sizeof(struct slot))
#define ADD_U64		0

struct qemu_plugin_tb;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr, uint64_t imm);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

struct slot {
	uint64_t address;
	uint64_t instructions;
};

static struct slot *slots;

/*
 * With instructions counted there is one thread that translates. A kernel begins a block at
 * some 80 000 addresses; should there be many kernels at addresses of their own, those for which
 * there is no room count in all only.
 */
static struct slot *find(uint64_t address)
{
	uint64_t i = address * UINT64_C(0x9e3779b97f4a7c15) >> 44;
	static uint64_t used;

	while (i <= COUNTS_LOOKS || (slots[i].address && slots[i].address != address))
		i = (i + 1) % SLOTS;
	if (!slots[i].address && ++used > SLOTS / 4 * 3)
		return &slots[COUNTS_LOOKS];
	slots[i].address = address;
	return &slots[i];
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	const uint64_t address = qemu_plugin_tb_vaddr(tb);
	const size_t nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &slots[COUNTS_ALL].instructions, nr);
	/* What is not the kernel's is of many programs. */
	if (address >> 63)
		qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &find(address)->instructions, nr);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	int fd = -1;

	(void)info;
	if (argc == 1 && !strncmp(argv[0], "out=", 4))
		fd = open(argv[0] + 4, O_RDWR | O_CLOEXEC);
	slots = mmap(NULL, COUNTS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (slots == MAP_FAILED) {
		fprintf(stderr, "counts: cannot use the file that out= should name\n");
		return -1;
	}
	close(fd);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
