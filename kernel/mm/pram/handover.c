// SPDX-License-Identifier: GPL-2.0
/*
 * The directory of nodes, and how it is handed from kernel to kernel. See
 * <linux/kho/abi/pram.h> for the format.
 *
 * The directory is kept up to date at each commit and each free, because
 * nothing calls PRAM before a kexec: the next kernel gets the directory as it
 * is when the machine reboots.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/reboot.h>
#include <linux/slab.h>

#include "internal.h"

/**
 * struct pram_dir - a directory page, and which of its places are taken
 * @link: in pram_dirs, in the order of the super page.
 * @ser: the page.
 * @taken: a bit for each place that a node has, committed or not.
 */
struct pram_dir {
	struct list_head	link;
	struct pram_dir_ser	*ser;
	DECLARE_BITMAP(taken, PRAM_DIR_NODES);
};

static LIST_HEAD(pram_dirs);
static bool pram_enabled __ro_after_init;

struct pram_super_ser *pram_super;

/* Kexecs since the last cold boot that PRAM was handed over by. */
u64 pram_kexec_count;

/* Pages that came with this boot and cannot be freed before the next kexec. */
u64 pram_lost_pages;

/**
 * pram_is_enabled - can nodes be saved and loaded?
 *
 * Return: true if the kernel was booted with kho=on and PRAM has come up.
 */
bool pram_is_enabled(void)
{
	KUNIT_STATIC_STUB_REDIRECT(pram_is_enabled);
	return pram_enabled;
}
EXPORT_SYMBOL_GPL(pram_is_enabled);

static struct pram_dir *pram_dir_add(bool exempt)
{
	struct pram_dir *dir;
	int err;

	if (pram_super->nr_dirs == PRAM_SUPER_DIRS)
		return ERR_PTR(-ENOMEM);
	dir = kzalloc_obj(*dir);
	if (!dir)
		return ERR_PTR(-ENOMEM);
	dir->ser = pram_meta_alloc(exempt, GFP_KERNEL);
	if (IS_ERR(dir->ser)) {
		err = PTR_ERR(dir->ser);
		kfree(dir);
		return ERR_PTR(err);
	}
	pram_meta_stamp(dir->ser, PRAM_MAGIC_DIR);
	list_add_tail(&dir->link, &pram_dirs);
	pram_super->dirs[pram_super->nr_dirs++] = virt_to_phys(dir->ser);
	pram_meta_stamp(pram_super, PRAM_MAGIC_SUPER);
	return dir;
}

/**
 * pram_slot_get - reserve a place in the directory
 * @node: the node that gets it.
 *
 * Return: 0, -ENOMEM or -ENOSPC.
 */
int pram_slot_get(struct pram_node *node)
{
	struct pram_dir *dir;
	unsigned int slot;

	lockdep_assert_held(&pram_lock);
	list_for_each_entry(dir, &pram_dirs, link) {
		slot = find_first_zero_bit(dir->taken, PRAM_DIR_NODES);
		if (slot < PRAM_DIR_NODES)
			goto found;
	}
	dir = pram_dir_add(node->exempt);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	slot = 0;
found:
	__set_bit(slot, dir->taken);
	node->dir = dir;
	node->slot = slot;
	return 0;
}

static void pram_slot_set(struct pram_node *node, u64 phys)
{
	struct pram_dir *dir = node->dir;

	if (dir->ser->nodes[node->slot] == phys)
		return;
	dir->ser->nodes[node->slot] = phys;
	pram_meta_stamp(dir->ser, PRAM_MAGIC_DIR);
}

/**
 * pram_slot_publish - write a node into the directory
 * @node: the node, with a place and a stamped node page.
 *
 * From here on the next kernel finds it.
 */
void pram_slot_publish(struct pram_node *node)
{
	lockdep_assert_held(&pram_lock);
	pram_slot_set(node, virt_to_phys(node->ser));
}

/* Free a directory page in which no place is taken. */
static void pram_dir_drop(struct pram_dir *dir)
{
	u64 phys = virt_to_phys(dir->ser);
	unsigned int i = 0;

	while (pram_super->dirs[i] != phys)
		i++;
	pram_super->nr_dirs--;
	for (; i < pram_super->nr_dirs; i++)
		pram_super->dirs[i] = pram_super->dirs[i + 1];
	pram_super->dirs[i] = 0;
	pram_meta_stamp(pram_super, PRAM_MAGIC_SUPER);
	list_del(&dir->link);
	pram_meta_forget(dir->ser);
	pram_meta_free(dir->ser);
	kfree(dir);
}

/**
 * pram_slot_put - take a node out of the directory
 * @node: the node; nothing is done if it has no place there.
 */
void pram_slot_put(struct pram_node *node)
{
	struct pram_dir *dir = node->dir;

	lockdep_assert_held(&pram_lock);
	if (!dir)
		return;
	pram_slot_set(node, 0);
	__clear_bit(node->slot, dir->taken);
	node->dir = NULL;
	/* The next kernel gets what there was when the machine went down. */
	if (!pram_closed && bitmap_empty(dir->taken, PRAM_DIR_NODES))
		pram_dir_drop(dir);
}

/* Are the pages of an entry within its folio, and all of it if it is no part? */
static bool __init pram_entry_sane(u64 entry)
{
	unsigned int order = FIELD_GET(PRAM_ENTRY_ORDER, entry);
	u64 offset = FIELD_GET(PRAM_ENTRY_PFN, entry) - pram_entry_pfn(entry);

	if (order > MAX_PAGE_ORDER)
		return false;
	if (entry & PRAM_ENTRY_PART)
		return pram_entry_pages(entry) < 1ULL << order &&
		       offset + pram_entry_pages(entry) <= 1ULL << order;
	return !offset;
}

/* As pram_entry_check(), for what is not a single page. */
static int __init pram_entry_check_unusual(u64 entry)
{
	u64 known = entry & PRAM_ENTRY_PART ? PRAM_ENTRY_KNOWN_PART : PRAM_ENTRY_KNOWN;

	if (entry & ~known)
		return -EPROTO;
	return pram_entry_sane(entry) ? 0 : -EBADMSG;
}

/* Why an entry cannot be used, or 0. Most are for single pages. */
static inline int __init pram_entry_check(u64 entry)
{
	return entry & ~(PRAM_ENTRY_KNOWN & ~PRAM_ENTRY_ORDER) ?
	       pram_entry_check_unusual(entry) : 0;
}

/*
 * Take folios that have come with another node. Return: of how many entries, the first
 * ones; -EBADMSG if one is of another order.
 */
static int __init pram_restore_known(const u64 *entries, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr && !pram_entry_check(entries[i]); i++) {
		struct folio *folio;

		if (!pram_frame_known(pram_entry_pfn(entries[i])))
			break;
		folio = pram_entry_folio(entries[i]);
		if (folio_order(folio) != FIELD_GET(PRAM_ENTRY_ORDER, entries[i]))
			return i ?: -EBADMSG;
		folio_get(folio);
	}
	return i;
}

/* Take folios over from KHO, one by one. Return: how many, the first ones. */
static unsigned int __init pram_restore_singly(const u64 *entries, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct pram_near near;
		struct kho_range range;

		pram_near_begin(&near, entries[i], &range);
		range.mask = pram_near_bit(&near, entries[i]);
		if (!kho_restore_ranges(&range, 1))
			break;
	}
	return i;
}

/* How many ranges of memory KHO is asked for at once. */
#define PRAM_RESTORE_RANGES	16

/*
 * Take folios over from KHO, or such as have come with another node.
 *
 * Return: of how many entries, the first ones; 0 if nobody has the first one; -EPROTO or
 * -EBADMSG if it cannot be used.
 */
static int __init pram_restore_some(const u64 *entries, unsigned int nr)
{
	int err = pram_entry_check(entries[0]), known;
	struct kho_range ranges[PRAM_RESTORE_RANGES];
	struct pram_near near = PRAM_NEAR_NONE;
	unsigned int n = 0, done, i;

	known = err ?: pram_restore_known(entries, nr);
	if (known)
		return known;
	/* What cannot be used is reported when it comes first. */
	for (i = 0; i < nr && !pram_entry_check(entries[i]); i++) {
		unsigned long bit;

		if (!pram_is_near(&near, entries[i])) {
			if (n == PRAM_RESTORE_RANGES)
				break;
			pram_near_begin(&near, entries[i], &ranges[n++]);
		}
		bit = pram_near_bit(&near, entries[i]);
		/* Of what comes twice the second one comes with another. */
		if (ranges[n - 1].mask & bit)
			break;
		ranges[n - 1].mask |= bit;
	}
	done = kho_restore_ranges(ranges, n);
	if (done == n)
		return i;
	for (i = 0, n = 0; n < done; n++)
		i += hweight_long(ranges[n].mask);
	/* Others of this range may have come with another node. */
	return i ?: pram_restore_singly(entries, hweight_long(ranges[0].mask));
}

/* Note that a node has folios that were taken over; they are put on an error. */
static int __init pram_restore_note(struct pram_node *node, const u64 *entries,
				    u64 nr)
{
	int err = pram_frames_get_again(entries, nr, &node->preserved);

	for (u64 i = 0; i < nr && err; i++)
		folio_put(pram_entry_folio(entries[i]));
	return err;
}

/*
 * Take the data of a map page over from KHO. Stops at the first folio that KHO
 * does not have as the entry says; the entry count then covers what was taken.
 */
static int __init pram_restore_folios(struct pram_node *node,
				      struct pram_map_ser *map)
{
	const u64 *entries = map->entries;
	u64 nr = map->nr_entries, i = 0, noted = 0, pages;
	int err = 0;

	while (i < nr && !err) {
		int ret, now = pram_restore_some(entries + i, nr - i);

		if (now > 0)
			i += now;
		else if (now < 0 || noted == i)
			err = now ?: -EBADMSG;
		/* What comes next may have come with one of those that are not noted yet. */
		if (noted < i && (now <= 0 || i == nr)) {
			ret = pram_restore_note(node, entries + noted, i - noted);
			if (!ret)
				noted = i;
			err = err ?: ret;
		}
	}
	pages = pram_entries_pages(entries, noted);
	map->nr_entries = noted;
	node->nr_folios += noted;
	node->nr_pages += pages;
	pram_count(PRAM_DATA_PAGES, pages);
	return err;
}

/* Take a map page over, the next one of the node, and its data; @last: there is none. */
static int __init pram_restore_map(struct pram_node *node, u64 phys, bool last)
{
	struct pram_map_ser *map;
	void *page;
	int err;

	err = pram_meta_find(phys, PRAM_MAGIC_MAP, "map page", &page);
	if (err)
		return err;
	map = page;
	if (map->first_page != node->nr_pages || !map->nr_entries ||
	    map->nr_entries > pram_map_capacity(node->flags) ||
	    !map->next != last)
		return -EBADMSG;
	/* Indices of folios are counted in full map pages. */
	if (map->next && map->nr_entries != pram_map_capacity(node->flags))
		return -EBADMSG;
	err = pram_meta_restore(map);
	if (err)
		return err;
	err = pram_data_add_map(node, map, GFP_KERNEL);
	if (err) {
		pram_meta_forget(map);
		pram_meta_free(map);
		return err;
	}
	return pram_restore_folios(node, map);
}

static int __init pram_restore_maps(struct pram_node *node)
{
	const struct pram_node_ser *ser = node->ser;
	u64 phys = ser->first_map;

	for (u64 m = 0; m < ser->nr_maps; m++) {
		int err = pram_restore_map(node, phys, m + 1 == ser->nr_maps);

		if (err) {
			pr_err("node %s: map page %llu of %llu cannot be used, nor the data from offset %llu on\n",
			       node->name, m, ser->nr_maps,
			       node->nr_pages << PAGE_SHIFT);
			return err;
		}
		phys = node->maps[m]->next;
	}
	if (node->nr_pages != ser->nr_pages || node->nr_folios != ser->nr_folios ||
	    ser->bytes > ser->nr_pages << PAGE_SHIFT ||
	    (ser->type == PRAM_PAGE_STREAM && !PAGE_ALIGNED(ser->bytes)))
		return -EBADMSG;
	return 0;
}

static int __init pram_restore_node_page(struct pram_node *node, u64 phys)
{
	struct pram_node_ser *ser;
	void *page;
	int err;

	err = pram_meta_find(phys, PRAM_MAGIC_NODE, "node page", &page);
	if (err)
		return err;
	ser = page;
	if ((ser->type != PRAM_PAGE_STREAM && ser->type != PRAM_BYTE_STREAM) ||
	    ser->flags & ~PRAM_NODE_CHECKSUM)
		return -EPROTO;
	if (!ser->name[0] ||
	    strnlen(ser->name, PRAM_NAME_MAX) == PRAM_NAME_MAX)
		return -EBADMSG;
	err = pram_meta_restore(ser);
	if (err)
		return err;
	node->ser = ser;
	node->type = ser->type;
	node->flags = ser->flags;
	memcpy(node->name, ser->name, sizeof(node->name));
	return 0;
}

/*
 * List a node that cannot be read, so that what is there of it can be freed. If its
 * node page is damaged, the name is only what this page says, and may be another's:
 * good enough for the log, and for nothing else.
 */
static void __init pram_restore_broken(struct pram_node *node, u64 phys, int err)
{
	u64 lost = 1;

	if (node->ser)
		lost = node->ser->nr_pages - node->nr_pages +
		       node->ser->nr_maps - node->nr_maps;
	pram_lost_pages += lost;
	node->state = PRAM_NODE_BROKEN;
	scoped_guard(mutex, &pram_lock)
		pram_node_link(node);
	if (node->ser) {
		pr_err("node %s: cannot be loaded (%pe), %llu pages of it are lost; free it with: pramctl rm\n",
		       node->name, ERR_PTR(err), lost);
	} else {
		char name[PRAM_NAME_MAX] = "";
		struct pram_node_ser *ser;
		void *page = NULL;

		/* Else it has been freed again. */
		if (err != -ENOMEM)
			pram_meta_look(phys, PRAM_MAGIC_NODE, &page);
		ser = page;
		if (ser && (ser->hdr.magic == PRAM_MAGIC_NODE || ser->hdr.self == phys))
			memcpy(name, ser->name, sizeof(name) - 1);
		/* It is not known to be text. */
		pr_err("node %s%*pE%s: cannot be loaded (%pe), all its pages are lost; take it off the list with: pramctl rm --id %llu\n",
		       name[0] ? "" : "without a name", (int)strlen(name), name,
		       name[0] ? " (by its damaged page)" : "", ERR_PTR(err),
		       node->id);
	}
}

/* Take a node over. A node that cannot be read is listed as broken. */
static void __init pram_restore_node(u64 phys)
{
	struct pram_node *node = pram_node_alloc(GFP_KERNEL | __GFP_NOFAIL);
	int err;

	/* Each folio that is noted is preserved again, as long as there is memory. */
	node->preserved = true;
	err = pram_restore_node_page(node, phys);
	if (!err)
		err = pram_restore_maps(node);
	if (err) {
		pram_restore_broken(node, phys, err);
		return;
	}

	node->bytes = node->ser->bytes;
	node->adopted_pages = node->ser->adopted_pages;
	node->state = PRAM_NODE_READY;
	node->ser->kexec_count++;
	pram_meta_stamp(node->ser, PRAM_MAGIC_NODE);
	err = pram_data_preserve(node);
	if (err)
		pr_err("node %s: loadable, but would not survive another kexec (%pe); free memory: this is tried again then\n",
		       node->name, ERR_PTR(err));

	guard(mutex)(&pram_lock);
	err = pram_slot_get(node);
	if (!err)
		pram_slot_publish(node);
	else
		pr_err("node %s: loadable, but will not survive another kexec (%pe)\n",
		       node->name, ERR_PTR(err));
	pram_node_link(node);
}

/*
 * Follow the entries of a page that is damaged and lists others. It is known to be
 * this page, since what points to it is whole; and each page that it points to says
 * itself what it is, and is believed only then, and if it has not been taken over: a
 * wrong entry may lead to the page of another, or to what was one once.
 *
 * What leads nowhere is lost, unless it is a single bit, which may be just the one
 * that is wrong, in an empty place.
 */
static void __init pram_salvage(const u64 *entries, size_t nr, u64 magic,
				const char *what, void (*restore)(u64 phys))
{
	unsigned int found = 0, astray = 0;
	void *page;

	for (size_t i = 0; i < nr; i++) {
		u64 phys = entries[i];

		if (phys && !pram_meta_look(phys, magic, &page) &&
		    kho_can_restore(phys)) {
			restore(phys);
			found++;
		} else if (phys & (phys - 1)) {
			astray++;
		}
	}
	pr_err("%u %ss were found by it nevertheless, %u are lost; their memory stays reserved until the next kexec\n",
	       found, what, astray);
	pram_lost_pages += astray;
}

/*
 * Find a page that lists others and take it over.
 *
 * Return: its folio, and *@damaged says whether it is; NULL if it is lost.
 */
static struct folio * __init pram_take_list(u64 phys, u64 magic,
					    const char *what, void **page,
					    bool *damaged)
{
	int err = pram_meta_find(phys, magic, what, page);
	struct folio *folio = NULL;

	*damaged = err == -EBADMSG;
	if (*page && (!err || *damaged)) {
		folio = pram_meta_take(*page);
		if (!folio)
			pr_err("%s at %#llx: not a page that KHO has preserved\n",
			       what, phys);
	}
	return folio;
}

static void __init pram_restore_dir(u64 phys)
{
	struct pram_dir_ser *dir;
	struct folio *folio;
	bool damaged;
	void *page;

	folio = pram_take_list(phys, PRAM_MAGIC_DIR, "directory page", &page,
			       &damaged);
	if (!folio) {
		pr_err("up to %zu nodes are lost; their memory stays reserved until the next kexec\n",
		       PRAM_DIR_NODES);
		pram_lost_pages++;
		return;
	}
	dir = page;
	if (damaged)
		pram_salvage(dir->nodes, PRAM_DIR_NODES, PRAM_MAGIC_NODE, "node",
			     pram_restore_node);
	for (unsigned int i = 0; !damaged && i < PRAM_DIR_NODES; i++)
		if (dir->nodes[i])
			pram_restore_node(dir->nodes[i]);
	/* The new directory takes its place. */
	folio_put(folio);
}

static void __init pram_restore_super(const struct pram_super_ser *super)
{
	DECLARE_BITMAP(whole, PRAM_SUPER_DIRS) = {};
	void *page;

	if (super->page_shift != PAGE_SHIFT || super->nr_dirs > PRAM_SUPER_DIRS) {
		pr_err("super page is from a kernel with pages of %llu bits, this one has %u; all nodes are lost\n",
		       super->page_shift, PAGE_SHIFT);
		pram_lost_pages++;
		return;
	}
	pram_kexec_count = super->kexec_count + 1;
	for (u64 i = 0; i < super->nr_dirs; i++)
		if (!pram_meta_look(super->dirs[i], PRAM_MAGIC_DIR, &page))
			__set_bit(i, whole);
	/* A damaged one may lead to nodes of others. */
	for (u64 i = 0; i < super->nr_dirs; i++)
		if (test_bit(i, whole))
			pram_restore_dir(super->dirs[i]);
	for (u64 i = 0; i < super->nr_dirs; i++)
		if (!test_bit(i, whole))
			pram_restore_dir(super->dirs[i]);
}

/* Take over what the last kernel left. Nothing here can stop the boot. */
static void __init pram_restore_all(void)
{
	struct pram_super_ser *super;
	u64 nr_nodes, nr_broken;
	struct folio *folio;
	phys_addr_t phys;
	bool damaged;
	size_t size;
	void *page;
	int err;

	err = kho_retrieve_subtree(PRAM_KHO_SUBTREE, &phys, &size);
	if (err == -ENOENT)
		return;
	if (err || size != PAGE_SIZE) {
		pr_err("KHO's sub tree \"%s\" is unusable (%pe, %zu bytes); nodes are lost\n",
		       PRAM_KHO_SUBTREE, ERR_PTR(err), size);
		return;
	}
	folio = pram_take_list(phys, PRAM_MAGIC_SUPER, "super page", &page,
			       &damaged);
	if (!folio) {
		pr_err("all nodes are lost; their memory stays reserved until the next kexec\n");
		pram_lost_pages++;
		return;
	}
	super = page;
	if (damaged) {
		/* How many there have been is not known any more. */
		pram_kexec_count = 1;
		pram_salvage(super->dirs, PRAM_SUPER_DIRS, PRAM_MAGIC_DIR,
			     "directory page", pram_restore_dir);
	} else {
		pram_restore_super(super);
	}
	folio_put(folio);

	pram_count_nodes(&nr_nodes, &nr_broken);
	pr_info("%llu nodes (%llu broken) with %llu pages of data came through kexec %llu\n",
		nr_nodes, nr_broken, pram_counter_read(PRAM_DATA_PAGES),
		pram_kexec_count);
}

/*
 * The machine goes down, perhaps by kexec. From here on nothing changes what
 * the next kernel gets. The next kernel has no use for a half-saved node: its
 * folios are given back, or they would stay reserved there without an owner.
 */
static int pram_reboot(struct notifier_block *nb, unsigned long action,
		       void *data)
{
	struct pram_node *node;
	int tries = 100;

	guard(mutex)(&pram_lock);
	WRITE_ONCE(pram_closed, true);
	list_for_each_entry(node, &pram_nodes, link) {
		/* The next kernel would reserve what no directory leads to. */
		if (node->state == PRAM_NODE_BROKEN) {
			pram_node_forget(node);
			continue;
		}
		if (node->state != PRAM_NODE_SAVING) {
			if (!node->dir && !pram_slot_get(node))
				pram_slot_publish(node);
			if (!node->dir || pram_data_preserve(node))
				pr_err("node %s: out of memory, does not survive this reboot\n",
				       node->name);
			if (!node->dir)
				pram_node_forget(node);
			continue;
		}
		/*
		 * A writer holds the lock while it copies from user space, for
		 * as long as a page fault there takes: a reboot cannot wait.
		 */
		while (!mutex_trylock(&node->lock)) {
			if (tries-- <= 0)
				break;
			msleep(20);
		}
		if (tries < 0) {
			pr_warn("node %s: still written; its pages stay reserved in the next kernel\n",
				node->name);
			tries = 0;
			continue;
		}
		pram_node_forget(node);
		mutex_unlock(&node->lock);
	}
	pram_corrupt_handover();
	return NOTIFY_DONE;
}

static struct notifier_block pram_reboot_nb = {
	.notifier_call = pram_reboot,
};

/**
 * pram_handover_init - take over from the last kernel, get ready for the next
 *
 * Return: 0; -ENODEV if KHO is off; -ENOMEM, or an error of KHO.
 */
int __init pram_handover_init(void)
{
	int err;

	if (!kho_is_enabled())
		return -ENODEV;

	pram_super = pram_meta_alloc(true, GFP_KERNEL);
	if (IS_ERR(pram_super))
		return PTR_ERR(pram_super);
	pram_super->page_shift = PAGE_SHIFT;
	err = pram_frames_init();
	if (err)
		return err;
	pram_restore_all();

	scoped_guard(mutex, &pram_lock) {
		pram_super->kexec_count = pram_kexec_count;
		pram_meta_stamp(pram_super, PRAM_MAGIC_SUPER);
	}
	err = register_reboot_notifier(&pram_reboot_nb);
	if (err)
		return err;
	err = kho_add_subtree(PRAM_KHO_SUBTREE, pram_super, PAGE_SIZE);
	if (err) {
		pr_err("KHO refuses the sub tree (%pe); nothing will survive a kexec\n",
		       ERR_PTR(err));
		unregister_reboot_notifier(&pram_reboot_nb);
		return err;
	}
	pram_limit_init();
	pram_enabled = true;
	return 0;
}
