/* SPDX-License-Identifier: GPL-2.0-only */
/* How programs that are to be checkpointed say that they are ready, and what they have found. */
#ifndef TELL_H
#define TELL_H

/* Writes a line to a file, in one step: whoever waits for the file finds all of it. */
void tell(const char *path, const char *line);

/* The same, of this process's pid. */
void tell_pid(const char *path);

#endif /* TELL_H */
