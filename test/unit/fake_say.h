/* SPDX-License-Identifier: GPL-2.0-only */
/* say() of services/ (--wrap=say): what was said, one after the other, until a test empties it. */
#ifndef PRAM_FAKE_SAY_H
#define PRAM_FAKE_SAY_H

extern char said[4096];

#endif /* PRAM_FAKE_SAY_H */
