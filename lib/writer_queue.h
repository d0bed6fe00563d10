/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a writer hears of images; the library's own.
 *
 * CRIU creates some images in processes that it forks, whose memory and
 * descriptors nobody sees any more when they have ended. So each image is sent,
 * with its descriptor, through a socket that all of them have inherited, and is
 * received when all is written. Uniformly, also from the process that receives.
 */
#ifndef PRAM_LIB_WRITER_QUEUE_H
#define PRAM_LIB_WRITER_QUEUE_H

#include "checkpoint_name.h"

/* What has happened to an image. */
enum pram_queue_kind {
	PRAM_QUEUE_IMAGE,	/* created, with a memfd */
	PRAM_QUEUE_PAGES,	/* created, with a page stream */
	PRAM_QUEUE_UNLINK,	/* dropped, without a descriptor */
};

/**
 * struct pram_queue - the socket
 * @send: any process may send here
 * @receive: and the writer's owner receives here, in the order of sending
 */
struct pram_queue {
	int	send;
	int	receive;
};

/**
 * struct pram_queue_message - one message
 * @kind: what happened
 * @fd: the receiver's own descriptor, -1 for %PRAM_QUEUE_UNLINK
 * @image: to which image
 */
struct pram_queue_message {
	enum pram_queue_kind	kind;
	int			fd;
	char			image[PRAM_IMAGE_NAME_MAX + 1];
};

/* 0 or -errno. */
int pram_queue_open(struct pram_queue *queue);
/* Drops what was not received, too. */
void pram_queue_close(struct pram_queue *queue);

/*
 * Never blocks. @fd (-1 for none) stays the caller's; @image must be a valid file
 * name. 0, -ENOBUFS if the socket is full, -errno.
 */
int pram_queue_send(const struct pram_queue *queue, enum pram_queue_kind kind, const char *image,
		    int fd);

/*
 * Never blocks. 1 with a message, 0 if there is none, -EMFILE if there was no room
 * for its descriptor (the message is lost), -EBADMSG for what pram_queue_send() does
 * not send, -errno.
 */
int pram_queue_receive(const struct pram_queue *queue, struct pram_queue_message *message);

#endif /* PRAM_LIB_WRITER_QUEUE_H */
