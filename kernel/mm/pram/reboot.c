// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes survive only one way for the machine to go down, and PRAM cannot choose
 * it. So it answers programs that ask in time, and logs when it is too late.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <linux/init.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/reboot.h>

#include "../../kernel/kexec_internal.h"
#include "internal.h"

/* KHO hands over to an image that kexec_file_load(2) has loaded, and no other. */
static bool pram_image_gets_nodes(void)
{
	return kexec_image && kexec_image->kho.fdt;
}

/**
 * pram_kexec_ready - would a kexec now hand over the nodes?
 *
 * Return: 1 or 0; -EBUSY if a kernel is being loaded at the moment.
 */
int pram_kexec_ready(void)
{
	int ready;

	if (!kexec_trylock())
		return -EBUSY;
	ready = pram_image_gets_nodes();
	kexec_unlock();
	return ready;
}

static int pram_tell_lost(struct notifier_block *nb, unsigned long action,
			  void *data)
{
	struct pram_node *node;
	u64 nr = 0, bytes = 0;

	/* Nobody changes the image of a kexec that is under way. */
	if (kexec_in_progress && pram_image_gets_nodes())
		return NOTIFY_DONE;

	guard(mutex)(&pram_lock);
	list_for_each_entry(node, &pram_nodes, link) {
		if (node->state == PRAM_NODE_READY ||
		    node->state == PRAM_NODE_LOADING) {
			nr++;
			bytes += node->bytes;
		}
	}
	if (nr && kexec_in_progress)
		pr_err("%llu nodes with %llu bytes are lost: the next kernel was not loaded by kexec_file_load(2) (kexec -s)\n",
		       nr, bytes);
	else if (nr)
		pr_err("%llu nodes with %llu bytes are lost: this is no kexec\n",
		       nr, bytes);
	return NOTIFY_DONE;
}

static struct notifier_block pram_tell_lost_nb = {
	.notifier_call = pram_tell_lost,
};

/**
 * pram_reboot_init - make reboots log the nodes that they lose
 *
 * Return: 0 or a negative errno.
 */
int __init pram_reboot_init(void)
{
	return register_reboot_notifier(&pram_tell_lost_nb);
}

/**
 * pram_tell_unclaimed - log that the last kernel's nodes are lost, if it had any
 *
 * For a kernel in which PRAM is off: KHO has kept their memory nevertheless.
 */
void __init pram_tell_unclaimed(void)
{
	phys_addr_t phys;

	if (!kho_retrieve_subtree(PRAM_KHO_SUBTREE, &phys, NULL))
		pr_err("the last kernel's nodes are lost; their memory stays reserved until the next kexec\n");
}
