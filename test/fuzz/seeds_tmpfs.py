# SPDX-License-Identifier: GPL-2.0-only
"""A saved tmpfs: inputs of tmpfs.c. <linux/kho/abi/pram_tmpfs.h> describes the records."""
import struct

SUPER, ROOT, NEW, LINK, XATTR, EXTENTS, UP, END = range(1, 9)
REG, DIR, LNK, CHR, FIFO = 0o100644, 0o40755, 0o120777, 0o20600, 0o10600
LOST, UNWRITTEN = 1 << 63, 1 << 62
MOST = (1 << 64) - 1


def record(kind, payload, length=None):
    padded = payload.ljust((len(payload) + 7) & ~7, b'\0')
    return struct.pack('<II', kind, len(payload) if length is None else length) + padded


def super_block(magic=b'PRAMTMFS', version=1, flags=0, blocks=0, inodes=0, next_ino=100, huge=0,
                mode=0o1777, uid=0, gid=0, mpol=b'', cut=None):
    payload = magic + struct.pack('<IIQQQIIII', version, flags, blocks, inodes, next_ino, huge, mode,
                                  uid, gid) + bytes(16) + mpol.ljust(64, b'\0')
    return record(SUPER, payload[:cut])


def inode(mode, ino=5, size=0, uid=0, gid=0, fsflags=0, seals=0, reserved=0, nsec=5, rdev=0):
    return struct.pack('<QQQQIIIIIIII', ino, size, 0, 7, rdev, mode, uid, gid, 1, fsflags, seals,
                       reserved) + struct.pack('<qII', 1795294800, nsec, 0) * 4


def root(mode=DIR, **fields):
    return record(ROOT, inode(mode, ino=fields.pop('ino', 1), **fields))


def new(name, mode, cookie, ident=0, target=b'', name_len=None, target_len=None, **fields):
    return record(NEW, struct.pack('<QQII', cookie, ident,
                                   len(name) if name_len is None else name_len,
                                   len(target) if target_len is None else target_len) +
                  inode(mode, **fields) + name + target)


def link(name, cookie, ident):
    return record(LINK, struct.pack('<QQ', cookie, ident) + name)


def xattr(name, value, name_len=None, value_len=None):
    return record(XATTR, struct.pack('<II', len(name) if name_len is None else name_len,
                                     len(value) if value_len is None else value_len) + name + value)


def extents(*pairs):
    return record(EXTENTS, b''.join(struct.pack('<QQ', *pair) for pair in pairs))


def up(cookie=3):
    return record(UP, struct.pack('<Q', cookie))


def end(inodes, links=0, pages=0, cookie=100):
    return record(END, struct.pack('<QQQQ', inodes, links, pages, cookie))


def acl(*entries):
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


ACL = acl((1, 6, MOST >> 32), (4, 4, MOST >> 32), (0x20, 0, MOST >> 32))


def tree(*records, orders=(), given=0, fail=0, start=None):
    packed = bytearray((len(orders) + 3) // 4)
    for i, order in enumerate(orders):
        packed[i // 4] |= order << i % 4 * 2
    return (bytes([fail, given, len(orders)]) + bytes(packed) +
            (super_block() + root() if start is None else start) + b''.join(records))


def everything():
    return [
        new(b'file', REG, 3, size=20000, ident=1), xattr(b'user.colour', b'red'),
        extents((0, 1), (2, 2), (8, 4 | UNWRITTEN), (20, 3 | LOST)),
        new(b'dir', DIR, 4), xattr(b'system.posix_acl_access', ACL),
        xattr(b'system.posix_acl_default', ACL),
        new(b'link', LNK, 3, target=b'/somewhere'), link(b'other', 4, 1),
        new(b'deep', DIR, 5), up(), up(9),
        new(b'null', CHR, 5, rdev=0x103), new(b'fifo', FIFO, 6), end(7, 1, 7)]


def seeds():
    good, bad = {}, {}
    orders = [0, 1, 2]

    good['empty'] = tree(end(1))
    good['everything'] = tree(*everything(), orders=orders)
    good['everything-copied'] = tree(*everything(), orders=orders, given=0x20)
    good['everything-small-folios'] = tree(*everything(), orders=orders, given=0x40)
    good['options-given'] = tree(*everything(), orders=orders, given=0x0f)
    good['limits'] = tree(new(b'a', REG, 3, size=4096), extents((0, 1)), end(2, 0, 1), orders=[0],
                          start=super_block(flags=15, blocks=4, inodes=80, huge=2, mpol=b'prefer:0')
                          + root())
    good['mpol-impossible'] = tree(end(1), start=super_block(mpol=b'bind:99') + root())
    good['very-most-inodes'] = tree(end(1), start=super_block(inodes=MOST >> 10) + root())
    good['most-inodes'] = tree(end(1), start=super_block(inodes=(MOST >> 10) - 1000) + root())
    good['largest-file'] = tree(new(b'a', REG, 3, size=MOST >> 1), end(2))
    good['longest-name'] = tree(new(b'n' * 255, REG, 3), end(2))
    good['longest-target'] = tree(new(b'a', LNK, 3, target=b't' * 4095), end(2))
    good['largest-cookie'] = tree(new(b'a', REG, (1 << 31) - 2), end(2, cookie=(1 << 31) - 1))
    good['large-attribute'] = tree(xattr(b'user.' + b'n' * 250, b'v' * 1000), end(1))

    good['folio-behind-the-end'] = tree(new(b'a', REG, 3, size=4097), extents((0, 4)), end(2, 0, 4),
                                        orders=[2])

    bad['nothing'] = b''
    bad['no-stream'] = tree(start=b'')
    for n in range(1, 15):
        bad[f'allocation-{n}-fails'] = tree(*everything(), orders=orders, fail=n)
    bad['limits-given'] = tree(*everything(), orders=orders, given=0x1f)
    bad['limits-blocks'] = tree(new(b'a', REG, 3), extents((0, 3 | LOST)), end(2),
                                start=super_block(blocks=2, inodes=100) + root())
    good['limits-inodes'] = tree(end(1), start=super_block(inodes=1) + root())
    for key, fields in {
            'magic': {'magic': b'PRAMTMFX'}, 'version': {'version': 2}, 'flags': {'flags': 16},
            'blocks': {'blocks': 1 << 63}, 'inodes': {'inodes': MOST >> 9}, 'huge': {'huge': 4},
            'mode': {'mode': 0o10000}, 'uid': {'uid': MOST >> 32}, 'gid': {'gid': MOST >> 32},
            'mpol-without-end': {'mpol': b'm' * 64}, 'cut': {'cut': 100}, 'short': {'cut': 8}}.items():
        bad[f'super-{key}'] = tree(end(1), start=super_block(**fields) + root())
    bad['no-super'] = tree(end(1), start=root())
    bad['no-root'] = tree(end(1), start=super_block())
    bad['root-is-a-file'] = tree(end(1), start=super_block() + root(REG))
    bad['no-end'] = tree(new(b'a', REG, 3))
    bad['behind-end'] = tree(end(1), b'x')
    bad['unknown-record'] = tree(record(9, b''), end(1))
    bad['record-length'] = tree(record(XATTR, b'', length=1 << 31))
    bad['record-cut'] = tree(record(XATTR, b'', length=100))
    bad['padding'] = tree(record(XATTR, b'\0' * 9)[:-1] + b'\1', end(1))
    for key, fields in {
            'no-number': {'ino': 0}, 'size': {'size': MOST}, 'uid': {'uid': MOST >> 32},
            'gid': {'gid': MOST >> 32}, 'fsflags': {'fsflags': 1 << 31}, 'seals': {'seals': 64},
            'reserved': {'reserved': 1}, 'nsec': {'nsec': 1000000000}}.items():
        bad[f'inode-{key}'] = tree(new(b'a', REG, 3, **fields), end(2))
    bad['inode-mode'] = tree(new(b'a', 0o200000 | REG, 3), end(2))
    bad['inode-type-0'] = tree(new(b'a', 0o644, 3), end(2))
    bad['directory-with-size'] = tree(new(b'a', DIR, 3, size=1), up(), end(2))
    bad['directory-with-id'] = tree(new(b'a', DIR, 3, ident=1), up(), end(2))
    bad['id-skipped'] = tree(new(b'a', REG, 3, ident=2), end(2))
    for key, name in {'empty': b'', 'dot': b'.', 'dot-dot': b'..', 'slash': b'a/b', 'nul': b'a\0b'}.items():
        bad[f'name-{key}'] = tree(new(name, REG, 3), end(2))
        bad[f'link-name-{key}'] = tree(new(b'a', REG, 3, ident=1), link(name, 4, 1), end(2, 1))
    bad['name-too-long'] = tree(new(b'n' * 256, REG, 3), end(2))
    bad['name-length'] = tree(new(b'a', REG, 3, name_len=MOST >> 32, target_len=2), end(2))
    bad['name-twice'] = tree(new(b'a', REG, 3), new(b'a', REG, 4), end(3))
    bad['target-empty'] = tree(new(b'a', LNK, 3), end(2))
    bad['target-nul'] = tree(new(b'a', LNK, 3, target=b'a\0b'), end(2))
    bad['target-of-a-file'] = tree(new(b'a', REG, 3, target=b'b'), end(2))
    bad['target-too-long'] = tree(new(b'a', LNK, 3, target=b't' * 4096), end(2))
    for cookie in (0, 2, 1 << 31, (1 << 31) - 1, MOST):
        bad[f'cookie-{cookie:x}'] = tree(new(b'a', REG, cookie), end(2))
    bad['cookie-twice'] = tree(new(b'a', REG, 3), new(b'b', REG, 3), end(3))
    bad['link-to-nothing'] = tree(link(b'a', 3, 1), end(1, 1))
    bad['link-short'] = tree(record(LINK, b'\0' * 8), end(1, 1))
    bad['up-from-root'] = tree(up(), end(1))
    bad['up-too-often'] = tree(new(b'a', DIR, 3), up(), up(), end(2))
    bad['end-in-directory'] = tree(new(b'a', DIR, 3), end(2))
    for key, counts in {'inodes': (2,), 'links': (1, 1), 'pages': (1, 0, 1), 'cookie': (1, 0, 0, MOST)}.items():
        bad[f'end-{key}'] = tree(end(*counts))
    bad['xattr-after-up'] = tree(new(b'a', DIR, 3), up(), xattr(b'user.a', b''), end(2))
    bad['xattr-name-empty'] = tree(xattr(b'', b'v'), end(1))
    bad['xattr-name-nul'] = tree(xattr(b'user.\0', b'v'), end(1))
    bad['xattr-name-too-long'] = tree(xattr(b'user.' + b'n' * 251, b''), end(1))
    bad['xattr-lengths'] = tree(xattr(b'user.a', b'', name_len=7, value_len=MOST >> 32), end(1))
    bad['xattr-unknown'] = tree(xattr(b'other.a', b'v'), end(1))
    bad['acl-of-a-link'] = tree(new(b'a', LNK, 3, target=b't'), xattr(b'system.posix_acl_access', ACL), end(2))
    bad['acl-default-of-a-file'] = tree(new(b'a', REG, 3), xattr(b'system.posix_acl_default', ACL), end(2))
    for key, value in {'empty': b'', 'no-entries': acl(), 'cut': ACL[:-1], 'version': b'\1' + ACL[1:],
                       'order': acl((4, 4, 0), (1, 6, 0), (0x20, 0, 0)), 'perm': acl((1, 8, 0))}.items():
        bad[f'acl-{key}'] = tree(xattr(b'system.posix_acl_access', value), end(1))
    for key, pair in {'none': (0, 0), 'flag': (0, 1 | 1 << 57), 'far': (1 << 52, 1), 'most': (0, (1 << 56) - 1),
                      'around': (MOST, 2), 'lost-most': (0, LOST | 1 << 50), 'too-many': (0, 2),
                      'unaligned': (1, 2)}.items():
        bad[f'extent-{key}'] = tree(new(b'a', REG, 3), extents(pair),
                                    end(2, 0, pair[1] & 0xffff if not pair[1] & LOST else 0),
                                    orders=[1] if key == 'unaligned' else [0])
    bad['extent-too-few'] = tree(new(b'a', REG, 3), extents((0, 1)), end(2, 0, 1), orders=[0, 0])
    bad['extent-inside-a-folio'] = tree(new(b'a', REG, 3), extents((0, 1)), end(2, 0, 1), orders=[1])
    bad['extents-backwards'] = tree(new(b'a', REG, 3), extents((1, 1), (0, 1)), end(2, 0, 2), orders=[0, 0])
    bad['extents-overlap'] = tree(new(b'a', REG, 3), extents((0, 1), (0, 1 | LOST)), end(2, 0, 1), orders=[0])
    bad['extents-of-a-directory'] = tree(extents((0, 1)), end(1, 0, 1), orders=[0])
    bad['extents-cut'] = tree(new(b'a', REG, 3), record(EXTENTS, b'\0' * 8), end(2))
    return good, bad
