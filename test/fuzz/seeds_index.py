# SPDX-License-Identifier: GPL-2.0-only
"""Metadata nodes: inputs of index.c. proto/pram_image.proto describes them."""
import struct

NAME = b'/var/lib/criu/redis'


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def number(field, value):
    return varint(field << 3) + varint(value)


def image(name, offset, size):
    return text(13, text(1, name) + number(2, offset) + number(3, size))


def pages(name, size, node=None):
    return text(14, text(1, name) + text(2, node or b'criu:' + NAME + b':' + name) + number(3, size))


BEGIN = text(1, NAME) + number(2, 1) + number(3, 4096)
TWO = BEGIN + image(b'core-1.img', 0, 4) + image(b'inventory.img', 4, 5)


def node(message, data=b'coreinven', version=1, magic=b'PRAMCKPT', **lengths):
    offset = (48 + len(message) + 7) & ~7
    header = magic + struct.pack('<IIQQQI', version, 48, lengths.get('index', len(message)),
                                 lengths.get('offset', offset), lengths.get('size', len(data)),
                                 crc32c(message))
    return (header + struct.pack('<I', crc32c(header)) + message).ljust(offset, b'\0') + data


def seeds():
    good = {
        'smallest': node(BEGIN, b''),
        'two-images': node(TWO),
        'all-fields': node(TWO + b''.join(text(n, b'text') for n in (4, 5, 6, 7, 8, 9, 11)) +
                           number(10, 77) + text(12, number(1, 1) + number(2, 0) + number(3, 1)) +
                           pages(b'pages-1.img', 8192) + pages(b'pages-2.img', 0)),
        'unknown-fields': node(TWO + number(1000, 5) + text(1001, b'later')),
        'page-size-twice': node(TWO + number(3, 8192)),
    }
    bad = {
        'empty': b'',
        'header-only': node(BEGIN, b'')[:48],
        'cut': node(TWO)[:-1],
        'longer': node(TWO) + b'x',
        'other-magic': node(TWO, magic=b'PRAMCKPX'),
        'version-2': node(TWO, version=2),
        'index-crc': node(TWO)[:50] + b'\xff' + node(TWO)[51:],
        'header-crc': node(TWO)[:44] + b'\0\0\0\0' + node(TWO)[48:],
        'padding': node(BEGIN + image(b'a', 0, 9)).replace(b'\0coreinven', b'\1coreinven'),
        'index-most': node(TWO, index=(1 << 64) - 1),
        'data-most': node(TWO, size=(1 << 64) - 1),
        'offset-0': node(TWO, offset=0),
        'no-fields': node(b''),
        'other-name': node(text(1, b'/other') + number(2, 1) + number(3, 4096), b''),
        'page-size-0': node(text(1, NAME) + number(2, 1) + number(3, 0), b''),
        'name-not-utf8-and-cut': node(BEGIN + varint(13 << 3 | 2) + varint(200) + b'\xff'),
        'nested-length': node(BEGIN + text(13, varint(1 << 3 | 2) + varint(1 << 40))),
        'wire-type': node(BEGIN + varint(13 << 3 | 0) + varint(1)),
        'tag-0': node(BEGIN + b'\0\0'),
        'varint-without-end': node(BEGIN + b'\xff' * 12),
    }
    for name in (b'', b'.', b'..', b'a/b', b'../b', b'/b', b'n' * 256, b'inventory.img', b'a\0b/c'):
        key = name.decode().replace('/', '|').replace('\0', '0')[:20] or 'empty'
        (good if name == b'a\0b/c' else bad)[f'image-name-{key}'] = node(
            BEGIN + image(name, 0, 4) + image(b'inventory.img', 4, 5))
    for key, values in {'overlap': (0, 5, 4, 5), 'backwards': (5, 4, 0, 5), 'behind-end': (0, 4, 4, 6),
                        'around': (0, 4, 4, (1 << 64) - 4), 'far': (0, 0, 1 << 63, 1)}.items():
        bad[f'image-{key}'] = node(BEGIN + image(b'a', *values[:2]) + image(b'b', *values[2:]))
    bad['pages-odd'] = node(BEGIN + pages(b'pages-1.img', 4095), b'')
    bad['pages-other-node'] = node(BEGIN + pages(b'pages-1.img', 4096, b'criu:/x:pages-1.img'), b'')
    bad['pages-colon'] = node(BEGIN + pages(b'a:b', 4096), b'')
    bad['pages-twice'] = node(BEGIN + pages(b'pages-1.img', 0) + pages(b'pages-1.img', 0), b'')
    bad['pages-like-image'] = node(TWO + pages(b'core-1.img', 0))
    return good, bad
