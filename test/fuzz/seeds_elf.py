# SPDX-License-Identifier: GPL-2.0-only
"""ELF files with a note or a symbol: inputs of elf.c."""
import struct

NOTE, DYNSYM, STRTAB, NOBITS = 7, 11, 3, 8


def note(kind=1, name=b'PRAM\0', desc=struct.pack('<II', 1, 1), name_size=None, desc_size=None):
    pad = lambda b: b.ljust((len(b) + 3) & ~3, b'\0')
    return struct.pack('<III', len(name) if name_size is None else name_size,
                       len(desc) if desc_size is None else desc_size, kind) + pad(name) + pad(desc)


def symbols(name=1, section=1):
    return bytes(24) + struct.pack('<IBBHQQ', name, 0x12, 0, section, 0x1000, 8)


def elf(*sections, bits=2, **changes):
    """Sections are (type, contents, link, entry size) and changes to them."""
    offset, headers, body = 64, bytes(64), b''
    for kind, contents, link, entsize, *rest in sections:
        size = rest[0] if rest else len(contents)
        headers += struct.pack('<IIQQQQIIQQ', 0, kind, 0, 0, offset + len(body), size, link, 0, 4, entsize)
        body += contents.ljust((len(contents) + 7) & ~7, b'\0')
    header = b'\x7fELF' + bytes([bits, 1, 1]) + bytes(9) + struct.pack(
        '<HHIQQQIHHHHHH', 3, 62, 1, 0, 0, changes.get('shoff', 64 + len(body)), 0, 64, 56, 0,
        changes.get('shentsize', 64), changes.get('shnum', len(sections) + 1), 0)
    return header + body + headers


def seeds():
    strings = b'\0criu_point_of_no_return\0'
    good = {
        'note': elf((NOTE, note(), 0, 0)),
        'second-note': elf((NOTE, note(3, b'GNU\0', b'id') + note(), 0, 0)),
        'later-note': elf((NOTE, note(desc=struct.pack('<III', 1, 1, 1)), 0, 0)),
        'symbol': elf((DYNSYM, symbols(), 2, 24), (STRTAB, strings, 0, 0)),
        'both': elf((NOTE, note(), 0, 0), (DYNSYM, symbols(), 3, 24), (STRTAB, strings, 0, 0)),
    }
    bad = {
        'empty': b'', 'script': b'#!/bin/sh\n', 'magic': b'\x7fELF', 'archive': b'!<arch>\n',
        'no-sections': elf(), 'other-note': elf((NOTE, note(2), 0, 0)),
        'note-short': elf((NOTE, note(desc=b'\1\0\0\0'), 0, 0)),
        'note-name-size': elf((NOTE, note(name_size=(1 << 32) - 1), 0, 0)),
        'note-desc-size': elf((NOTE, note(desc_size=(1 << 32) - 4), 0, 0)),
        'note-cut': elf((NOTE, note()[:14], 0, 0)), 'note-empty': elf((NOTE, b'', 0, 0)),
        'note-behind-end': elf((NOTE, note(), 0, 0, 1 << 40)),
        'symbol-undefined': elf((DYNSYM, symbols(section=0), 2, 24), (STRTAB, strings, 0, 0)),
        'symbol-name': elf((DYNSYM, symbols(1 << 31), 2, 24), (STRTAB, strings, 0, 0)),
        'symbol-no-strings': elf((DYNSYM, symbols(), 9, 24)),
        'symbol-strings-nul': elf((DYNSYM, symbols(), 2, 24), (STRTAB, strings[:-1], 0, 0, len(strings) - 1)),
        'symbol-entsize-0': elf((DYNSYM, symbols(), 2, 0), (STRTAB, strings, 0, 0)),
        'symbol-entsize-1': elf((DYNSYM, bytes(48), 2, 1), (STRTAB, strings, 0, 0)),
        'symbols-nobits': elf((NOBITS, b'', 2, 24, 1 << 40), (STRTAB, strings, 0, 0)),
        'sections-behind-end': elf((NOTE, note(), 0, 0), shoff=1 << 40),
        'sections-most': elf((NOTE, note(2), 0, 0), shnum=65535),
    }
    return good, bad
