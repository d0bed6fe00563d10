/* SPDX-License-Identifier: GPL-2.0-only */
/* Streams that one process has opened and another is to finish. */
#ifndef PRAM_LIB_STREAMS_H
#define PRAM_LIB_STREAMS_H

#include <stddef.h>

/**
 * pram_streams_send() - send descriptors to another process
 * @socket: of type SOCK_SEQPACKET, of the unix domain
 * @fds: the descriptors
 * @nr: their number
 *
 * Return: 0 or -errno; -ENOBUFS if nobody receives them and there are more than
 * the socket has room for. Some may have been sent then.
 */
int pram_streams_send(int socket, const int *fds, size_t nr);

/**
 * pram_streams_receive() - take all that was sent
 * @socket: the other end; senders have to have closed theirs
 * @fds: where to store the descriptors, to be freed by pram_streams_close()
 * @nr: their number
 *
 * Return: 0, also if there are none; or -errno, and none is left open: -EMFILE, -ENOMEM, ….
 */
int pram_streams_receive(int socket, int **fds, size_t *nr);

/* Closes them, frees the array, and empties it. */
void pram_streams_close(int **fds, size_t *nr);

#endif /* PRAM_LIB_STREAMS_H */
