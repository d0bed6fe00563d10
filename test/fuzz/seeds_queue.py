# SPDX-License-Identifier: GPL-2.0-only
"""Messages to the writer: inputs of queue.c."""

IMAGE, PAGES, UNLINK = range(3)


def message(kind, image, fds=1, end=b'\0'):
    payload = bytes([kind]) + image + end
    return bytes([fds, min(len(payload), 255)]) + payload


def seeds():
    good = {
        'image': message(IMAGE, b'core-1.img'),
        'several': message(IMAGE, b'a') + message(PAGES, b'pages-1.img') + message(UNLINK, b'a', 0),
        'longest': message(IMAGE, b'n' * 255),
    }
    bad = {
        'nothing': b'',
        'empty': bytes([0, 0]), 'empty-with-descriptor': bytes([1, 0]),
        'kind-only': bytes([1, 1, IMAGE]),
        'kind': message(3, b'a'), 'kind-most': message(255, b'a'),
        'no-nul': message(IMAGE, b'core-1.img', end=b''),
        'nul-within': message(IMAGE, b'a\0b'),
        'name-empty': message(IMAGE, b''), 'name-path': message(IMAGE, b'../a'),
        'too-long': message(IMAGE, b'n' * 256), 'much-too-long': message(IMAGE, b'n' * 5000),
        'longest-without-nul': message(IMAGE, b'n' * 256, end=b''),
        'no-descriptor': message(IMAGE, b'a', 0), 'two-descriptors': message(IMAGE, b'a', 2),
        'three-descriptors': message(IMAGE, b'a', 3), 'unlink-with-descriptor': message(UNLINK, b'a', 1),
    }
    return good, bad
