# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the plugin: inputs of settings.c."""


def seeds():
    good = {
        'empty': b'',
        'file': b'# all\nname = redis\nreplace=yes\n\tchecksums = no\nadopt = range\nmap=yes\n'
                b'keep = no\nbackend = luo\n',
        'environment': b'\0CRIU_PRAM_NAME=a b\0CRIU_PRAM_ADOPT=no\0CRIU_PRAM_BACKEND=pram\0PATH=/bin',
        'both': b'name = a\nname = b\n\0CRIU_PRAM_NAME=c\0CRIU_PRAM_NAME=d',
        'no-newline': b'map = no',
        'not-utf8': b'name = \xff\xfe\x1b',
    }
    bad = {
        'no-value': b'name\n', 'empty-value': b'name =\n', 'no-key': b'= yes\n',
        'unknown': b'nam = a\n', 'not-yes': b'keep = maybe\n', 'adopt': b'adopt = all\n', 'adopt-pipe': b'adopt = pipe\n',
        'backend': b'backend = disk\n', 'long': b'x' * 5000 + b'=' + b'y' * 5000,
        'variable': b'\0CRIU_PRAM_NAMES=a', 'variable-empty': b'\0CRIU_PRAM_NAME=',
        'variable-without-value': b'\0CRIU_PRAM_' + b'X' * 300,
        'second-line': b'map = yes\nmap = y\n',
    }
    return good, bad
