/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames between labx (dom0) and labd (guest) over one vchan.
 * A session is one command: ARGS, then STDIN frames and STDIN_END one way,
 * OUT and ERR frames and one STATUS the other way, then BYE from labx.
 */
#ifndef LAB_FRAME_H
#define LAB_FRAME_H

#include <stdint.h>
#include <libxenvchan.h>

enum frame_type {
	FRAME_ARGS = 'A',	/* the command's arguments, each ended by NUL */
	FRAME_STDIN = 'I',
	FRAME_STDIN_END = 'E',
	FRAME_OUT = 'O',
	FRAME_ERR = 'R',
	FRAME_STATUS = 'X',	/* uint32_t: exit status, 128+N for a signal */
	FRAME_BYE = 'B',
};

struct frame {
	uint32_t type;
	uint32_t len;
};

#define FRAME_MAX 16384
#define LAB_SESSIONS 4		/* vchans that a guest offers at data/lab/0.. */

/* Write a whole frame, waiting for room. 0, or -1 when the peer is gone. */
int frame_put(struct libxenvchan *v, uint32_t type, const void *data, uint32_t len);

/* One frame if it has arrived whole: 1; not yet: 0; peer gone or malformed: -1. */
int frame_get(struct libxenvchan *v, struct frame *f, char data[FRAME_MAX]);

#endif
