# SPDX-License-Identifier: GPL-2.0-only
"""What pramctl has to show: inputs of pramctl.c."""
from seeds_index import BEGIN, TWO, image, node, number, pages, text

SHOW, EXPORT, LIST, NODES, RM = range(5)
MISSING, SHORT, JSON = 0x08, 0x10, 0x20


def seeds():
    whole = node(TWO + text(7, b'guest') + text(11, b'redis-server') + number(10, 77) +
                 pages(b'pages-1.img', 8192) + pages(b'pages-2.img', 0))
    escapes = node(BEGIN + text(7, b'\x1b]0;title\x07') + text(11, b'\x1b[2J\n\x7f') +
                   text(4, b'\xff\xfe') + image(b'\x1b[31m', 0, 9))
    good, bad = {}, {}
    for name, verb in {'show': SHOW, 'export': EXPORT, 'list': LIST, 'nodes': NODES, 'rm': RM}.items():
        for suffix, flags in {'': 0, '-json': JSON}.items():
            good[name + suffix] = bytes([verb | flags]) + whole
            good[name + suffix + '-escapes'] = bytes([verb | flags]) + escapes
    good['show-pages-missing'] = bytes([SHOW | MISSING]) + whole
    bad['empty'] = b''
    bad['show-empty'] = bytes([SHOW])
    bad['show-damaged'] = bytes([SHOW]) + whole[:-1]
    bad['show-version'] = bytes([SHOW]) + node(TWO, version=2)
    bad['export-damaged'] = bytes([EXPORT]) + whole + b'x'
    bad['export-pages-missing'] = bytes([EXPORT | MISSING]) + whole
    bad['export-pages-short'] = bytes([EXPORT | SHORT]) + whole
    bad['export-its-own-name'] = bytes([EXPORT]) + node(BEGIN + image(b'.pramctl-export', 0, 9))
    bad['export-path'] = bytes([EXPORT]) + node(BEGIN + image(b'../passwd', 0, 9))
    return good, bad
