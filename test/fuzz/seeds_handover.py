# SPDX-License-Identifier: GPL-2.0-only
"""What a last kernel may leave in memory: inputs of handover.c, see there."""
import struct

from seeds_index import crc32c

PRESERVED, STAMP, CRCS, SUPER, WRONG_SIZE = 0x08, 0x10, 0x20, 0x40, 0x80
META = PRESERVED | STAMP
PAGES, BYTES, CHECKSUM = 1, 2, 1
LRU, ADOPTED, SHARED, PART = 1 << 56, 1 << 57, 1 << 58, 1 << 59
CAPACITY, CAPACITY_CRC = 506, 337


def phys(pfn):
    return pfn << 12


def piece(pfn, flags, data=b'', offset=0, order=0):
    return struct.pack('<BBHH', pfn, flags | order, offset, len(data)) + data



def meta(magic, body, version=1):
    return struct.pack('<8sIIQ', magic, version, 0, 0) + body


def super_page(pfn, dirs, page_shift=12, nr_dirs=None, kexecs=3, flags=META | SUPER, version=1):
    body = struct.pack('<QQQQ', page_shift, len(dirs) if nr_dirs is None else nr_dirs, kexecs, 0)
    return piece(pfn, flags, meta(b'PRASUPER', body + struct.pack(f'<{len(dirs)}Q', *map(phys, dirs)),
                                  version))


def dir_page(pfn, nodes, flags=META, magic=b'\0PRAMDIR', version=1):
    return piece(pfn, flags, meta(magic, struct.pack(f'<{len(nodes)}Q', *map(phys, nodes)), version))


def node_page(pfn, name, kind, size, pages, folios, maps, first_map, flags=0, adopted=0,
              piece_flags=META, version=1, magic=b'PRAMNODE'):
    body = struct.pack('<IIQQQQQQQQ', kind, flags, size, pages, folios, maps, phys(first_map),
                       adopted, 1795294800123456789, 1)
    return piece(pfn, piece_flags, meta(magic, body + name.encode() + b'\0', version))


def entry(pfn, order=0, flags=0):
    return pfn | order << 40 | flags


def part_of(pfn, order, nr, flags=0):
    return entry(pfn, order, (nr - 1) << 46 | PART | flags)


def map_page(pfn, entries, next_map=0, first_page=0, nr=None, flags=META, version=1):
    body = struct.pack('<QQQ', phys(next_map), first_page, len(entries) if nr is None else nr)
    return piece(pfn, flags, meta(b'\0PRAMMAP', body + struct.pack(f'<{len(entries)}Q', *entries),
                                  version))


def stamped(pfn, page, phys_of):
    """A page as given, with the address of some page and the right checksum."""
    page = (page[:12] + bytes(4) + struct.pack('<Q', phys(phys_of)) + page[24:]).ljust(4096, b'\0')
    crc = crc32c(page) ^ 0xffffffff
    return piece(pfn, PRESERVED, (page[:12] + struct.pack('<I', crc) + page[16:]).rstrip(b'\0'))


def data(pfn, text, order=0, flags=PRESERVED):
    return piece(pfn, flags, text, order=order)


def machine(*pieces, fail=0):
    return bytes([fail]) + b''.join(pieces)


def one_node(pages=1, **changes):
    """A byte stream "a" of two folios, with @changes made to one of its pages."""
    parts = {
        'super': lambda **c: super_page(1, c.pop('dirs', [2]), **c),
        'dir': lambda **c: dir_page(2, c.pop('nodes', [3]), **c),
        'node': lambda **c: node_page(3, c.pop('name', 'a'), c.pop('kind', BYTES),
                                      c.pop('size', 4100), c.pop('pages', 3), c.pop('folios', 2),
                                      c.pop('maps', 1), c.pop('first_map', 4), **c),
        'map': lambda **c: map_page(4, c.pop('entries', [entry(5), entry(6, 1, LRU | ADOPTED)]), **c),
        'five': lambda **c: data(5, b'first', **c),
        'six': lambda **c: data(6, b'second', **{'order': 1, **c}),
    }
    return [make(**changes.get(key, {})) for key, make in parts.items() if changes.get(key) != 'none']


def seeds():
    good, bad = {}, {}
    two_maps = [entry(20)] + [entry(20, 0, SHARED)] * (CAPACITY - 1)

    good['byte-stream'] = machine(*one_node())
    good['checksums'] = machine(*one_node(node={'flags': CHECKSUM}, map={'flags': META | CRCS}))
    good['empty-node'] = machine(super_page(1, [2]), dir_page(2, [3]),
                                 node_page(3, 'empty', PAGES, 0, 0, 0, 0, 0))
    good['holes-in-directory'] = machine(*one_node(dir={'nodes': [0, 0, 3, 0]}))
    good['longest-name'] = machine(*one_node(node={'name': 'n' * 255}))
    good['shared-folio'] = machine(
        super_page(1, [2]), dir_page(2, [3, 4]),
        node_page(3, 'a', PAGES, 4096, 1, 1, 1, 5), node_page(4, 'b', PAGES, 4096, 1, 1, 1, 6),
        map_page(5, [entry(7, 0, SHARED)]), map_page(6, [entry(7, 0, SHARED | LRU)]), data(7, b'x'))
    good['two-directories'] = machine(
        super_page(1, [2, 3]), dir_page(2, [4]), dir_page(3, [5]),
        node_page(4, 'a', BYTES, 0, 0, 0, 0, 0), node_page(5, 'b', BYTES, 1, 1, 1, 1, 6),
        map_page(6, [entry(8)]), data(8, b'y'))
    good['two-maps'] = machine(
        super_page(1, [2]), dir_page(2, [3]),
        node_page(3, 'a', PAGES, 507 * 4096, 507, 507, 2, 4), map_page(4, two_maps, next_map=5),
        map_page(5, [entry(21)], first_page=506), data(20, b'z'), data(21, b'end'))
    good['two-maps-checksums'] = machine(
        super_page(1, [2]), dir_page(2, [3]),
        node_page(3, 'a', PAGES, 338 * 4096, 338, 338, 2, 4, flags=CHECKSUM),
        map_page(4, two_maps[:CAPACITY_CRC], next_map=5, flags=META | CRCS),
        map_page(5, [entry(21)], first_page=337, flags=META | CRCS), data(20, b'z'), data(21, b'e'))

    for name, flags in ('', 0), ('-checksums', CHECKSUM):
        good[f'parts{name}'] = machine(
            super_page(1, [2]), dir_page(2, [3, 4]),
            node_page(3, 'a', PAGES, 5 * 4096, 5, 3, 1, 5, flags=flags),
            node_page(4, 'b', PAGES, 9 * 4096, 9, 2, 1, 6, flags=flags),
            map_page(5, [part_of(41, 3, 2, LRU), entry(9), part_of(46, 3, 2, SHARED)], flags=META | CRCS),
            map_page(6, [entry(40, 3, SHARED), part_of(47, 3, 1, SHARED)], flags=META | CRCS),
            data(9, b'nine'), data(40, b'forty', order=3))

    bad['nothing'] = machine()
    for name, wrong in {'of-nothing': part_of(40, 0, 1), 'that-is-whole': part_of(40, 3, 8),
                        'too-long': part_of(41, 3, 8), 'without-mark': entry(40, 3, 1 << 46),
                        'of-other-order': part_of(41, 2, 2), 'of-all-memory': part_of(41, 63, 2),
                        'whole-from-the-middle': entry(41, 3)}.items():
        nr = 2 if name not in ('that-is-whole', 'too-long', 'whole-from-the-middle') else 8
        bad[f'part-{name}'] = machine(
            super_page(1, [2]), dir_page(2, [3]),
            node_page(3, 'a', PAGES, nr * 4096, nr, 1, 1, 4), map_page(4, [wrong]),
            data(40, b'forty', order=3))
    bad['no-memory-for-super'] = machine(*one_node(), fail=1)
    # What cannot be preserved at once is tried again when the node is known.
    good['preserved-later'] = machine(*one_node(), fail=8)
    for n in (*range(2, 8), *range(9, 12)):
        bad[f'allocation-{n}-fails'] = machine(*one_node(), fail=n)
    bad['size-of-sub-tree'] = machine(*one_node(super={'flags': META | SUPER | WRONG_SIZE}))
    for part in ('super', 'dir', 'node', 'map'):
        flags = META | (SUPER if part == 'super' else 0)
        key = 'piece_flags' if part == 'node' else 'flags'
        bad[f'{part}-other-version'] = machine(*one_node(**{part: {'version': 2}}))
        bad[f'{part}-without-checksum'] = machine(*one_node(**{part: {key: flags & ~STAMP}}))
        bad[f'{part}-unpreserved'] = machine(*one_node(**{part: {key: flags & ~PRESERVED}}))
        if part != 'super':
            bad[f'{part}-missing'] = machine(*one_node(**{part: 'none'}))
    empty = node_page(3, 'empty', PAGES, 0, 0, 0, 0, 0)[6:]
    good['stamped-here'] = machine(super_page(1, [2]), dir_page(2, [3]), stamped(3, empty, 3))
    bad['stamped-elsewhere'] = machine(super_page(1, [2]), dir_page(2, [3]), stamped(3, empty, 4))
    bad['stamped-and-changed'] = machine(super_page(1, [2]), dir_page(2, [3]),
                                         stamped(3, empty, 3), piece(3, 0, b'x', 300))
    bad['page-shift'] = machine(*one_node(super={'page_shift': 14}))
    bad['too-many-directories'] = machine(*one_node(super={'nr_dirs': 1 << 40}))
    bad['directory-behind-memory'] = machine(*one_node(super={'dirs': [1 << 30]}))
    bad['directory-twice'] = machine(*one_node(super={'dirs': [2, 2]}))
    for name, wrong in {'whole-one': 5, 'itself-twice': 4, 'map': 6, 'free-page': 9}.items():
        bad[f'damaged-directory-{name}'] = machine(
            super_page(1, [2, 3]), dir_page(2, [4, wrong], flags=META & ~STAMP), dir_page(3, [5]),
            node_page(4, 'a', BYTES, 0, 0, 0, 0, 0), node_page(5, 'b', BYTES, 1, 1, 1, 1, 6),
            map_page(6, [entry(8)]), data(8, b'y'), node_page(9, 'gone', BYTES, 0, 0, 0, 0, 0,
                                                             piece_flags=STAMP))
    bad['damaged-super-directory-twice'] = machine(*one_node(
        super={'dirs': [2, 2], 'flags': (META | SUPER) & ~STAMP}))
    bad['directory-is-a-node'] = machine(*one_node(super={'dirs': [3]}))
    bad['node-twice'] = machine(*one_node(dir={'nodes': [3, 3]}))
    bad['node-is-a-map'] = machine(*one_node(dir={'nodes': [4]}))
    bad['node-is-the-directory'] = machine(*one_node(dir={'nodes': [2]}))
    for key, value in {'kind': 3, 'flags': 2, 'name': '', 'size': 1 << 20, 'pages': 2, 'folios': 3,
                       'maps': 2, 'first_map': 5}.items():
        bad[f'node-{key}'] = machine(*one_node(node={key: value}))
    bad['node-maps-0'] = machine(*one_node(node={'maps': 0}))
    bad['node-name-without-end'] = machine(*one_node(node={'name': 'n' * 256}))
    bad['node-pages-most'] = machine(*one_node(node={'pages': (1 << 64) - 1, 'size': (1 << 64) - 1}))
    bad['page-stream-odd-size'] = machine(*one_node(node={'kind': PAGES}))
    bad['map-loops'] = machine(*one_node(node={'maps': 2}, map={'next_map': 4}))
    bad['map-first-page'] = machine(*one_node(map={'first_page': 1}))
    bad['map-empty'] = machine(*one_node(map={'nr': 0}))
    bad['map-overfull'] = machine(*one_node(map={'nr': CAPACITY + 1}))
    for name, second in {
            'behind-memory': entry(1 << 30), 'wrong-order': entry(6), 'unknown-flag': entry(6, 1, 1 << 60),
            'same-twice': entry(5), 'not-preserved': entry(9), 'inside-a-folio': entry(7),
            'itself': entry(4), 'its-node': entry(3), 'largest-order': entry(6, 63)}.items():
        bad[f'entry-{name}'] = machine(*one_node(map={'entries': [entry(5), second]}))
    bad['claimed-twice'] = machine(
        super_page(1, [2]), dir_page(2, [3, 4]),
        node_page(3, 'a', PAGES, 4096, 1, 1, 1, 5), node_page(4, 'b', PAGES, 4096, 1, 1, 1, 6),
        map_page(5, [entry(7)]), map_page(6, [entry(7)]), data(7, b'x'))
    bad['data-checksum'] = machine(*one_node(node={'flags': CHECKSUM}))
    bad['directory-claimed-as-data'] = machine(*one_node(
        map={'entries': [entry(5), entry(2, 1)]}, dir={'nodes': [3, 3]}))
    bad['map-not-full'] = machine(
        super_page(1, [2]), dir_page(2, [3]),
        node_page(3, 'a', PAGES, 8192, 2, 2, 2, 4, flags=CHECKSUM),
        map_page(4, [entry(20), entry(127)], nr=1, next_map=5, flags=META | CRCS),
        map_page(5, [entry(21)], first_page=1, flags=META | CRCS), data(20, b'z'), data(21, b'e'))
    return good, bad
