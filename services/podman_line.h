/* SPDX-License-Identifier: GPL-2.0-only */
/* A command line of podman's: where its options end, and what they say. */
#ifndef PRAM_SERVICES_PODMAN_LINE_H
#define PRAM_SERVICES_PODMAN_LINE_H

#include <stdbool.h>

/**
 * struct podman_line - a command line of podman's, taken apart
 * @words: what follows the program's name, ended by %NULL
 * @verb: where in it the verb is, "run" or "start"; or %NULL. What options others than these two
 *	have is not known.
 * @operands: where in it the options of that end: at the image of "run", which the container's own
 *	command follows. At the %NULL if there is none.
 * @unknown: the first word of which nobody can say whether options go on behind it, so that @operands
 *	may be wrong: an option that podman's manual does not have, which no "=" ends, or a variable of
 *	systemd's. Or %NULL.
 */
struct podman_line {
	char		**words;
	char		**verb;
	char		**operands;
	const char	*unknown;
};

/* Takes a command line apart, which begins with the program's name; nothing is to be freed. */
void podman_line_take(char **argv, struct podman_line *line);

/* How many words belong together at this one of its @words: 2 if the next one is its value, or 1. */
unsigned int podman_line_step(const struct podman_line *line, char *const *word);

/* The value, of those that have one, that this word and the next give to a long option; or NULL. */
const char *podman_line_value(char *const *word, const char *option);

/* The same of all options, of which the last one counts. */
const char *podman_line_option(const struct podman_line *line, const char *option);

/* Is this one switched on, of those that have no value? @letter: its short name, or 0. */
bool podman_line_is(const struct podman_line *line, const char *option, char letter);

#endif /* PRAM_SERVICES_PODMAN_LINE_H */
