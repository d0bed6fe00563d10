// SPDX-License-Identifier: GPL-2.0-only
/* The file system of vfs.h. */
#include "vfs.h"

#define DIR_OFFSET_MIN	3

struct user_namespace {
	int	unused;
};
struct mnt_idmap {
	int	unused;
};
struct mempolicy {
	int	unused;
};

struct user_namespace init_user_ns;
struct mnt_idmap nop_mnt_idmap;
unsigned int shim_max_folio_order;

static struct mempolicy shim_mpol;
/* Where a folio is in a page cache. */
static pgoff_t folio_index[SHIM_NR_PAGES];
static bool folio_locked[SHIM_NR_PAGES];
static const struct inode_operations shim_inode_operations;

static struct shmem_sb_info *shim_sb(const struct super_block *sb)
{
	return sb->s_fs_info;
}

/* ---- names ------------------------------------------------------------------- */

u32 full_name_hash(const struct dentry *dir, const char *name, size_t len)
{
	(void)dir;
	return crc32c(0, name, len);
}

bool name_is_dot_dotdot(const char *name, size_t len)
{
	return (len == 1 || len == 2) && !memcmp(name, "..", len);
}

struct dentry *d_alloc(struct dentry *parent, const struct qstr *name)
{
	struct dentry *dentry = shim_alloc(sizeof(*dentry), GFP_KERNEL);

	SHIM_BUG_ON(!name->len || name->len > NAME_MAX || memchr(name->name, '/', name->len) ||
		    memchr(name->name, 0, name->len));
	if (!dentry)
		return NULL;
	dentry->d_parent = parent;
	dentry->refs = 1;
	memcpy(dentry->name, name->name, name->len);
	INIT_LIST_HEAD(&dentry->children);
	INIT_LIST_HEAD(&dentry->sibling);
	return dentry;
}

struct dentry *d_lookup(struct dentry *parent, const struct qstr *name)
{
	struct dentry *dentry;

	SHIM_BUG_ON(!S_ISDIR(d_inode(parent)->i_mode));
	list_for_each_entry(dentry, &parent->children, sibling)
		if (strlen(dentry->name) == name->len &&
		    !memcmp(dentry->name, name->name, name->len)) {
			dentry->refs++;
			return dentry;
		}
	return NULL;
}

void dput(struct dentry *dentry)
{
	SHIM_BUG_ON(!dentry->refs);
	if (--dentry->refs)
		return;
	SHIM_BUG_ON(!list_empty(&dentry->sibling));
	kfree(dentry);
}

/* ---- inodes ------------------------------------------------------------------- */

static int reserve_inode(struct super_block *sb)
{
	struct shmem_sb_info *sbinfo = shim_sb(sb);

	if (!sbinfo->max_inodes)
		return 0;
	if (sbinfo->free_ispace < BOGO_INODE_SIZE)
		return -ENOSPC;
	sbinfo->free_ispace -= BOGO_INODE_SIZE;
	return 0;
}

static struct inode *new_inode(struct super_block *sb, umode_t mode)
{
	struct shmem_inode_info *info;
	int err = reserve_inode(sb);

	if (err)
		return ERR_PTR(err);
	info = shim_alloc(sizeof(*info), GFP_KERNEL);
	if (!info)
		return ERR_PTR(-ENOSPC);
	INIT_LIST_HEAD(&info->shrinklist);
	INIT_LIST_HEAD(&info->swaplist);
	info->dir_offsets.next_offset = DIR_OFFSET_MIN;
	info->vfs_inode = (struct inode){
		.i_ino = shim_sb(sb)->next_ino++,
		.i_mode = mode,
		.i_op = &shim_inode_operations,
		.i_mapping = &info->mapping,
		.i_sb = sb,
		.nlink = 1,
	};
	return &info->vfs_inode;
}

static bool offset_is_taken(const struct dentry *dir, unsigned long offset)
{
	struct dentry *dentry;

	list_for_each_entry(dentry, &dir->children, sibling)
		if ((unsigned long)dentry->d_fsdata == offset)
			return true;
	return false;
}

/* As simple_offset_add(): the first free one from where the search starts. */
static int add_entry(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	struct dentry *parent = dentry->d_parent;
	unsigned long offset = SHMEM_I(dir)->dir_offsets.next_offset;

	SHIM_BUG_ON(d_inode(parent) != dir || d_inode(dentry) || !S_ISDIR(dir->i_mode));
	if (offset < DIR_OFFSET_MIN || offset >= S32_MAX)
		offset = DIR_OFFSET_MIN;
	while (offset < S32_MAX && offset_is_taken(parent, offset))
		offset++;
	if (offset >= S32_MAX)
		return -ENOSPC;
	SHMEM_I(dir)->dir_offsets.next_offset = offset + 1;
	dentry->d_fsdata = (void *)offset;
	dentry->d_inode = inode;
	dentry->refs++;
	list_add_tail(&dentry->sibling, &parent->children);
	dir->iversion++;
	dir->mtime = dir->ctime = (struct timespec64){ 1, 1 };
	return 0;
}

static void free_inode(struct inode *inode)
{
	struct shmem_inode_info *info = SHMEM_I(inode);
	struct address_space *mapping = &info->mapping;
	struct folio *last = NULL;

	for (size_t i = 0; i < mapping->i_pages.nr; i++) {
		struct folio *folio = mapping->i_pages.entries[i].value;

		if ((unsigned long)folio & 1) {
			info->swapped--;
		} else if (folio != last) {
			mapping->nrpages -= folio_nr_pages(folio);
			last = folio;
			folio_put(folio);
		}
	}
	SHIM_BUG_ON(mapping->nrpages || info->swapped);
	shmem_recalc_inode(inode, 0, 0);
	SHIM_BUG_ON(info->alloced);
	xa_destroy(&mapping->i_pages);
	for (int type = 0; type < 2; type++)
		set_cached_acl(inode, type, NULL);
	if (!list_empty(&info->shrinklist))
		list_del(&info->shrinklist);
	kfree(inode->target);
	kfree(info);
}

static int make(struct inode *dir, struct dentry *dentry, umode_t mode, const char *target)
{
	struct inode *inode = new_inode(dir->i_sb, mode);
	int err;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	if (target) {
		SHIM_BUG_ON(!*target || strlen(target) >= PAGE_SIZE);
		inode->target = strdup(target);
	}
	err = add_entry(dir, dentry, inode);
	if (err)
		free_inode(inode);
	return err;
}

static struct dentry *shim_mkdir(struct mnt_idmap *idmap, struct inode *dir,
				 struct dentry *dentry, umode_t mode)
{
	(void)idmap;
	return ERR_PTR(make(dir, dentry, S_IFDIR | mode, NULL));
}

static int shim_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			const char *target)
{
	(void)idmap;
	return make(dir, dentry, S_IFLNK | 0777, target);
}

static int shim_mknod(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		      umode_t mode, u32 dev)
{
	(void)idmap;
	(void)dev;
	return make(dir, dentry, mode, NULL);
}

static int shim_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	int err;

	SHIM_BUG_ON(S_ISDIR(inode->i_mode));
	err = reserve_inode(dir->i_sb);
	if (!err)
		err = add_entry(dir, dentry, inode);
	if (!err)
		inode->nlink++;
	return err;
}

static const struct inode_operations shim_inode_operations = {
	.mkdir = shim_mkdir,
	.symlink = shim_symlink,
	.mknod = shim_mknod,
	.link = shim_link,
};

/* ---- attributes ----------------------------------------------------------------- */

int __vfs_setxattr_noperm(struct mnt_idmap *idmap, struct dentry *dentry, const char *name,
			  const void *value, size_t size, int flags)
{
	struct shmem_sb_info *sbinfo = shim_sb(d_inode(dentry)->i_sb);

	(void)idmap;
	(void)flags;
	SHIM_BUG_ON(size > XATTR_SIZE_MAX || !*name || strlen(name) > XATTR_NAME_MAX);
	/* All of it is read. */
	d_inode(dentry)->ctime.tv_nsec = crc32c(0, value, size) % 1000;
	if (strncmp(name, "user.", 5) && strncmp(name, "trusted.", 8) &&
	    strncmp(name, "security.", 9))
		return -EOPNOTSUPP;
	if (shim_fails(GFP_KERNEL))
		return -ENOMEM;
	if (sbinfo->max_inodes) {
		if (sbinfo->free_ispace < size)
			return -ENOSPC;
		sbinfo->free_ispace -= size;
	}
	return 0;
}

struct posix_acl *posix_acl_from_xattr(struct user_namespace *ns, const void *value, size_t size)
{
	struct posix_acl *acl;
	u32 version;
	size_t nr;

	(void)ns;
	if (size < sizeof(version))
		return ERR_PTR(-EINVAL);
	memcpy(&version, value, sizeof(version));
	if (version != 2)
		return ERR_PTR(-EOPNOTSUPP);
	nr = (size - sizeof(version)) / 8;
	if (size != sizeof(version) + nr * 8)
		return ERR_PTR(-EINVAL);
	if (!nr)
		return NULL;
	acl = shim_alloc(sizeof(*acl) + nr * sizeof(acl->entries[0]), GFP_KERNEL);
	if (!acl)
		return ERR_PTR(-ENOMEM);
	acl->refs = 1;
	acl->nr = nr;
	memcpy(acl->entries, (const u8 *)value + sizeof(version), nr * 8);
	return acl;
}

/* Owner, group and others, in this order, are what there has to be. */
int posix_acl_valid(struct user_namespace *ns, const struct posix_acl *acl)
{
	u16 wanted = 1;

	(void)ns;
	for (unsigned int i = 0; i < acl->nr; i++) {
		if (acl->entries[i].perm & ~7U)
			return -EINVAL;
		if (acl->entries[i].tag == wanted)
			wanted = wanted == 1 ? 4 : wanted == 4 ? 0x20 : 0;
		else if (acl->entries[i].tag != 2 && acl->entries[i].tag != 8 &&
			 acl->entries[i].tag != 0x10)
			return -EINVAL;
	}
	return wanted ? -EINVAL : 0;
}

void posix_acl_release(struct posix_acl *acl)
{
	SHIM_BUG_ON(!acl->refs);
	if (!--acl->refs)
		kfree(acl);
}

void set_cached_acl(struct inode *inode, int type, struct posix_acl *acl)
{
	if (inode->acl[type])
		posix_acl_release(inode->acl[type]);
	inode->acl[type] = acl;
	if (acl)
		acl->refs++;
}

int mpol_parse_str(char *text, struct mempolicy **mpol)
{
	SHIM_BUG_ON(strlen(text) > 63);
	if (strncmp(text, "prefer", 6))
		return 1;
	*mpol = &shim_mpol;
	return 0;
}

/* ---- pages ------------------------------------------------------------------------ */

int shmem_inode_acct_blocks(struct inode *inode, long pages)
{
	struct shmem_sb_info *sbinfo = shim_sb(inode->i_sb);

	SHIM_BUG_ON(pages <= 0);
	if (sbinfo->max_blocks) {
		if (sbinfo->used_blocks.count + pages > (s64)sbinfo->max_blocks)
			return -ENOSPC;
		sbinfo->used_blocks.count += pages;
	}
	return 0;
}

bool shmem_recalc_inode(struct inode *inode, long alloced, long swapped)
{
	struct shmem_inode_info *info = SHMEM_I(inode);
	long freed;

	info->alloced += alloced;
	info->swapped += swapped;
	freed = info->alloced - info->swapped - inode->i_mapping->nrpages;
	if (freed > 0) {
		info->alloced -= freed;
		if (shim_sb(inode->i_sb)->max_blocks)
			shim_sb(inode->i_sb)->used_blocks.count -= freed;
	}
	return false;
}

void shmem_add_swapped(struct inode *inode)
{
	SHIM_BUG_ON(!S_ISREG(inode->i_mode));
}

int shmem_add_to_page_cache(struct folio *folio, struct address_space *mapping, pgoff_t index,
			    void *expected, gfp_t gfp)
{
	const long nr = folio_nr_pages(folio);

	SHIM_BUG_ON(expected || !folio_locked[folio_pfn(folio)] || index % nr);
	for (long i = 0; i < nr; i++)
		if (xa_load(&mapping->i_pages, index + i))
			return -EEXIST;
	if (shim_fails(gfp))
		return -ENOMEM;
	for (long i = 0; i < nr; i++)
		SHIM_BUG_ON(IS_ERR(xa_store(&mapping->i_pages, index + i, folio, __GFP_NOFAIL)));
	folio_index[folio_pfn(folio)] = index;
	mapping->nrpages += nr;
	folio_get(folio);
	return 0;
}

void folio_lock(struct folio *folio)
{
	SHIM_BUG_ON(folio_locked[folio_pfn(folio)]);
	folio_locked[folio_pfn(folio)] = true;
}

void folio_unlock(struct folio *folio)
{
	SHIM_BUG_ON(!folio_locked[folio_pfn(folio)]);
	folio_locked[folio_pfn(folio)] = false;
}

void copy_highpage(struct page *to, struct page *from)
{
	memcpy(folio_address((struct folio *)to), folio_address((struct folio *)from), PAGE_SIZE);
}

struct folio *filemap_get_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = xa_load(&mapping->i_pages, index);

	if (!folio || (unsigned long)folio & 1)
		return ERR_PTR(-ENOENT);
	folio_get(folio);
	return folio;
}

pgoff_t folio_next_index(struct folio *folio)
{
	return folio_index[folio_pfn(folio)] + folio_nr_pages(folio);
}

/* ---- the file system ----------------------------------------------------------------- */

void shim_mount(struct super_block *sb, unsigned long inodes, unsigned long blocks)
{
	struct shmem_sb_info *sbinfo = calloc(1, sizeof(*sbinfo));
	struct dentry *root = calloc(1, sizeof(*root));

	SHIM_BUG_ON(!sbinfo || !root);
	*sb = (struct super_block){
		.s_fs_info = sbinfo,
		.s_root = root,
		.s_maxbytes = MAX_LFS_FILESIZE,
	};
	sbinfo->max_inodes = inodes;
	sbinfo->free_ispace = inodes * BOGO_INODE_SIZE;
	sbinfo->max_blocks = blocks;
	INIT_LIST_HEAD(&sbinfo->shrinklist);
	*root = (struct dentry){ .d_parent = root, .refs = 1 };
	INIT_LIST_HEAD(&root->children);
	INIT_LIST_HEAD(&root->sibling);
	root->d_inode = new_inode(sb, S_IFDIR | 0755);
	SHIM_BUG_ON(IS_ERR(root->d_inode));
	memset(folio_locked, 0, sizeof(folio_locked));
}

static struct dentry *parent_after_last(struct dentry *dentry)
{
	struct dentry *parent = dentry->d_parent;
	struct inode *inode = d_inode(dentry);

	SHIM_BUG_ON(dentry->refs != 1);
	if (!--inode->nlink)
		free_inode(inode);
	if (parent != dentry)
		list_del_init(&dentry->sibling);
	kfree(dentry);
	return parent == dentry ? NULL : parent;
}

void shim_unmount(struct super_block *sb)
{
	struct shmem_sb_info *sbinfo = shim_sb(sb);
	struct dentry *dentry = sb->s_root;

	/* Not by recursion: a tree can be as deep as it is large. */
	while (dentry) {
		if (!list_empty(&dentry->children))
			dentry = list_entry(dentry->children.next, struct dentry, sibling);
		else
			dentry = parent_after_last(dentry);
	}
	SHIM_BUG_ON(sbinfo->used_blocks.count || !list_empty(&sbinfo->shrinklist));
	for (unsigned int pfn = 0; pfn < SHIM_NR_PAGES; pfn++)
		SHIM_BUG_ON(folio_locked[pfn]);
	kfree(sbinfo);
}
