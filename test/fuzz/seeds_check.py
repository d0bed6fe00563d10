# SPDX-License-Identifier: GPL-2.0-only
"""Files of a system: inputs of check.c. A check is never accepted: criu, which it would run,
is never there."""
import gzip
import struct

from seeds_elf import NOTE, elf, note

CMDLINE, CONFIG, RELEASE, SCRATCH, ABI, ADOPTED, OTHER, PLUGIN, DEVICE, KEXEC = range(10)
STATS, JSON = 1, 2


def system(how, **files):
    return bytes([how]) + b''.join(
        struct.pack('<BH', globals()[name], len(data)) + data for name, data in files.items())


def seeds():
    config = b''.join(b'CONFIG_%s=y\n' % name for name in (
        b'KEXEC_HANDOVER', b'PRAM', b'KEXEC_FILE', b'RELOCATABLE', b'CHECKPOINT_RESTORE'))
    whole = {'CMDLINE': b'root=/dev/vda kho=on quiet\n', 'CONFIG': config, 'RELEASE': b'7.3.4-pram\n',
             'SCRATCH': b'0x1000000\n67108864\n', 'ABI': b'1\n', 'ADOPTED': b'90968\n',
             'OTHER': b'text\n', 'PLUGIN': elf((NOTE, note(), 0, 0)), 'DEVICE': b'', 'KEXEC': b''}
    good = {'stats': system(STATS, **whole), 'stats-json': system(STATS | JSON, **whole),
            'stats-numbers': system(STATS, ABI=b'99999999999999999999', ADOPTED=b'-1', OTHER=b'1\0002')}
    bad = {
        'nothing': b'', 'empty': system(0), 'whole': system(0, **whole), 'json': system(JSON, **whole),
        'gzip': system(0, **{**whole, 'CONFIG': gzip.compress(config, mtime=0)}),
        'gzip-cut': system(0, CONFIG=gzip.compress(config, mtime=0)[:-9]),
        'gzip-header': system(0, CONFIG=b'\x1f\x8b\x08'),
        'command-line': system(0, CMDLINE=b'kho=off kho=1 kho= kho=o -- kho=n'),
        'escapes': system(0, RELEASE=b'\x1b[2J\xff\n\x7f', ABI=b'\x1b]0;x\x07', SCRATCH=b'\n\n'),
        'release-path': system(0, RELEASE=b'../../../etc/passwd'),
        'numbers': system(0, ABI=b'99999999999999999999', SCRATCH=b'0xffffffffffffffffff\n-1\n'),
        'nuls': system(0, RELEASE=b'\0\0', CMDLINE=b'\0kho=on', CONFIG=b'\0'),
        'stats-empty': system(STATS),
    }
    return good, bad
