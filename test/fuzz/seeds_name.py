# SPDX-License-Identifier: GPL-2.0-only
"""Names of nodes: inputs of name.c."""


def seeds():
    good = {
        'metadata': b'\2criu:/var/lib/criu/redis',
        'pages': b'\1criu:/var/lib/criu/redis:pages-1.img',
        'metadata-with-colon': b'\2criu:a:pages-1.img',
        'type-lost': b'\0criu:a:pages-shmem-1.img',
        'type-lost-metadata': b'\0criu:a:b',
        'longest': b'\2criu:' + b'n' * 250,
    }
    bad = {
        'nothing': b'',
        'other': b'\2shmem-1-home',
        'no-name': b'\2criu:',
        'no-name-pages': b'\1criu::pages-1.img',
        'pages-without-image': b'\1criu:a',
        'pages-without-image-name': b'\1criu:a:',
        'pages-with-path': b'\1criu:a:../b',
        'without-end': b'\2criu:' + b'n' * 251,
    }
    return good, bad
