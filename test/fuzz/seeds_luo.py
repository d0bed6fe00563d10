# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints in LUO: inputs of luo.c."""
from seeds_index import BEGIN, NAME, TWO, image, node, number, pages, text


def seeds():
    whole = TWO + pages(b'pages-1.img', 8192) + pages(b'pages-2.img', 0)
    good = {
        'whole': b'\x02' + node(whole),
        'no-pages': b'\0' + node(TWO),
        'both-have-pages': b'\x31' + node(TWO + pages(b'pages-1.img', 4096) + pages(b'pages-2.img', 12288)),
        'image-like-pages': b'\0' + node(BEGIN + image(b'pages-9.img', 0, 9)),
    }
    bad = {
        'empty': b'', 'no-metadata': b'\0', 'damaged': b'\x02' + node(whole)[:-1],
        'pages-short': b'\x01' + node(whole), 'pages-long': b'\x03' + node(whole),
        'pages-missing': b'\x02' + node(whole + pages(b'pages-3.img', 0)),
        'page-size': b'\0' + node(text(1, NAME) + number(2, 1) + number(3, 16384), b''),
    }
    return good, bad
