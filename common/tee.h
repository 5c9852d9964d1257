/*
 * The tee ring between a relay and one recorder: the endpoint's bytes as one
 * stream in a memfd mapped twice in a row, so that every span is contiguous,
 * and beside it a ring of marks that say what the bytes cannot.
 *
 *   stream   0 ....... recorded ... forwarded <= framed <= received
 *                      (recorder)    (relay)     (relay)   (relay)
 *
 * The relay owns data and marks; the recorder gets descriptors it can only
 * map for reading (F_SEAL_FUTURE_WRITE) and owns just the reader page with
 * its cursor. Bytes up to `published` may be read; `published` is what the
 * framer has accepted. Marks for an offset are visible before `published`
 * passes it. A slot is free once recorded has passed it: a full ring stops
 * the relay from reading (back-pressure), so nothing is lost in silence.
 *
 * Wake-ups without a system call per chunk: each side names the offset at
 * which it wants an eventfd write (UINT64_MAX: never).
 *
 * One writer and one reader process; each side single-threaded. Lock-free.
 */
#ifndef COMMON_TEE_H
#define COMMON_TEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEE_DATA_MIN   (64 * 1024)
#define TEE_DATA_MAX   (256 * 1024 * 1024)
#define TEE_MARKS      4096 /* slots in the ring of marks */
#define TEE_MARK_VALUE 24   /* bytes of a mark's value */

/*
 * Values are big-endian where they are numbers. Kinds are facts about the
 * stream from `offset` on.
 */
enum tee_mark_kind {
	TEE_MARK_TIME = 1,         /* no value: bytes from here arrived at ns */
	TEE_MARK_PIXEL_FORMAT = 2, /* 16 bytes: in force from the update that
				    * begins exactly at this offset */
	TEE_MARK_MONITOR = 3,      /* u32 index, 0: all monitors; u16 x, y, w, h
				    * of it in the framebuffer; its name, 12
				    * bytes of UTF-8 filled up with 0. In force
				    * from the update that begins here */
	TEE_MARK_FRAME_RATE = 4,   /* u32 frames a second */
	TEE_MARK_START = 5,        /* recording is on from here */
	TEE_MARK_STOP = 6,         /* recording is off from here */
	TEE_MARK_INPUT = 7,        /* u32 keys, u32 pointer events since the
				    * last such mark; never content (X5) */
	TEE_MARK_END = 8,          /* u32 enum tee_end: nothing follows */
	TEE_MARK_CAPTURE = 9,      /* go on as a capture from the next end of
				    * a message on; not in captures */
};

enum tee_end {
	TEE_END_NORMAL = 0,       /* the technician closed the session */
	TEE_END_ENDPOINT = 1,     /* the endpoint closed it */
	TEE_END_MAX_DURATION = 2, /* T9 */
	TEE_END_COMMAND = 3,      /* ended from console, ctl or a drain */
	TEE_END_ERROR = 4,        /* protocol error or lost connection */
};

struct tee_mark {
	uint64_t offset;  /* stream offset it applies from */
	uint64_t mono_ns; /* clock_mono_ns() when it happened */
	uint32_t kind;
	uint32_t reserved;
	uint8_t value[TEE_MARK_VALUE];
};

/* A TIME mark may be so much older than the bytes behind it. */
#define TEE_TIME_NS UINT64_C(5000000)

/* What a recorder inherits, always under these numbers. */
enum tee_fd {
	TEE_FD_DATA = 3,        /* memfd, readable only */
	TEE_FD_CTL = 4,         /* memfd, readable only: cursors and marks */
	TEE_FD_READER = 5,      /* memfd, its own page */
	TEE_FD_DATA_EVENT = 6,  /* eventfd: relay -> recorder */
	TEE_FD_SPACE_EVENT = 7, /* eventfd: recorder -> relay */
	TEE_FD_STATUS = 8, /* seqpacket socket: struct tee_status to relay */
	TEE_FD_META = 9,   /* memfd with the session's JSON, docs/tee.md */
	TEE_FD_SPOOL = 10, /* the session's folder in the spool */
	TEE_FD_FLUSH = 11, /* memfd, readable only: common/spool_flush.h; an
			    * older relay hands over none */
};

/* Recorder -> relay, fixed size; the relay trusts nothing in it. */
enum tee_status_kind {
	TEE_STATUS_READY = 1,   /* sandboxed, attached; the first segment is
				 * open unless START will open it */
	TEE_STATUS_FAILED = 2,  /* cannot go on; text says why */
	TEE_STATUS_NOSPACE = 3, /* under the free-space floor (C6); the
				 * recorder ends, but lives on and may be
				 * told START again if its meta said
				 * "recording": "off" */
	TEE_STATUS_SEGMENT = 4, /* a segment was closed; frames, bytes */
	TEE_STATUS_DONE = 5,    /* END was handled, everything is on disk */
	TEE_STATUS_CAPTURE = 6, /* fell behind and goes on as a capture, with
				 * nothing lost; frames: its first one */
	TEE_STATUS_LOAD = 7,    /* frames: thousandths of a core used since
				 * it said so last, some seconds ago; bytes:
				 * resident memory, 0: not known; code:
				 * milliseconds that it is behind */
};

struct tee_status {
	uint32_t kind;
	uint32_t code; /* negated enum err, or 0 */
	uint64_t frames;
	uint64_t bytes;
	char text[104]; /* NUL-terminated, printable ASCII */
};

/* ---- relay side ---- */

struct tee_writer;

/*
 * Makes the memfds and eventfds. data_len: bytes, a power of two within
 * TEE_DATA_MIN..TEE_DATA_MAX. Returns 0, ERR_NOMEM, ERR_LIMIT or ERR_IO.
 */
int tee_writer_new(struct tee_writer **out, size_t data_len);
void tee_writer_free(struct tee_writer *t);

/*
 * Descriptors to hand over (borrowed), by tee_fd number: DATA, CTL, READER,
 * DATA_EVENT and SPACE_EVENT. Others give -1.
 */
int tee_writer_fd(const struct tee_writer *t, enum tee_fd which);

/*
 * Contiguous free room after `received`: returns its start, *len bytes. None
 * while fewer than TEE_MARKS_RESERVED slots for marks are free: bytes without
 * TIME marks would be taken for shown at another time.
 */
uint8_t *tee_writer_room(struct tee_writer *t, size_t *len);

/* n bytes were written at tee_writer_room; received moves on. */
void tee_writer_received(struct tee_writer *t, size_t n);

/* A pointer to stream bytes at offset (received at most, not yet freed). */
const uint8_t *tee_writer_at(const struct tee_writer *t, uint64_t offset);

/*
 * Adds a mark; offset and mono_ns never go back. Returns 0, or ERR_AGAIN
 * when the ring of marks is full. TIME marks must leave TEE_MARKS_RESERVED
 * slots for the other kinds.
 */
#define TEE_MARKS_RESERVED 256
int tee_writer_mark(struct tee_writer *t, const struct tee_mark *m);
unsigned tee_writer_marks_free(const struct tee_writer *t);
/* The recorder left fewer than TEE_MARKS_RESERVED slots. */
bool tee_writer_is_short_of_marks(const struct tee_writer *t);

/* Lets the recorder read up to offset and wakes it where it asked. */
void tee_writer_publish(struct tee_writer *t, uint64_t offset);

/* Wakes the recorder whatever it asked for (after END). */
void tee_writer_wake(struct tee_writer *t);

/*
 * The relay's own reading cursor, forwarded; space is freed up to the lower
 * of it and recorded.
 */
void tee_writer_forwarded(struct tee_writer *t, uint64_t offset);

/* With no recorder attached, only forwarded frees space. */
void tee_writer_set_attached(struct tee_writer *t, bool attached);

/*
 * Hands the ring to another recorder, which reads from `published` on; marks
 * written before are taken as read, a TIME mark with mono_ns is put there.
 * The one before must be gone for good: its end of the status socket is
 * closed. `published` must stand between two messages. Returns 0, or
 * ERR_AGAIN as tee_writer_mark.
 */
int tee_writer_reattach(struct tee_writer *t, uint64_t mono_ns);

/*
 * Ask for the SPACE event once at least n bytes of room are free, or, when
 * marks are short, a quarter of the marks has been read. Check the
 * room again after the call (it may have been freed just before).
 */
void tee_writer_want_room(struct tee_writer *t, size_t n);

uint64_t tee_writer_get_received(const struct tee_writer *t);
uint64_t tee_writer_get_published(const struct tee_writer *t);
/* The recorder's cursor, clamped: never back, never above published. */
uint64_t tee_writer_get_recorded(struct tee_writer *t);

/* ---- recorder side ---- */

struct tee_reader;

/*
 * Maps the inherited descriptors (all five borrowed); reads on where the
 * relay said. 0 or ERR_*.
 */
int tee_reader_new(struct tee_reader **out, int data_fd, int ctl_fd,
    int reader_fd, int data_event_fd, int space_event_fd);
void tee_reader_free(struct tee_reader *t);

/*
 * The next thing: up to one mark whose offset is at the cursor, or bytes up
 * to the next mark or `published`. Returns 1 with *mark filled (and
 * consumed), 2 with a span data/len (not consumed: call
 * tee_reader_consume), 0 when there is nothing now, ERR_CORRUPT when the
 * shared pages make no sense.
 */
int tee_reader_next(struct tee_reader *t, struct tee_mark *mark,
    const uint8_t **data, size_t *len);
void tee_reader_consume(struct tee_reader *t, size_t n);

/*
 * Ask to be woken through DATA_EVENT once `published` reaches the cursor
 * plus n bytes (1: at once), then look again before sleeping. A new
 * non-time mark wakes as well. tee_reader_sleepless takes the wish back.
 */
void tee_reader_want_data(struct tee_reader *t, size_t n);
void tee_reader_sleepless(struct tee_reader *t);

uint64_t tee_reader_offset(const struct tee_reader *t);
/* Bytes published and not yet consumed, of data_len. */
size_t tee_reader_backlog(const struct tee_reader *t);
size_t tee_reader_data_len(const struct tee_reader *t);

/*
 * What a recorder leaves in its page for one that may have to take its
 * place. A process may die while it writes one; nothing in it is certain.
 */
struct tee_checkpoint {
	uint64_t seq;        /* of its last segment, 0: none yet */
	uint64_t next_frame; /* its number, 0: none was written */
	uint64_t last_ns;    /* of the last picture; 0: not recording */
	char segment[40];    /* id of the open one, or "" */
};

void tee_reader_write_checkpoint(
    struct tee_reader *t, const struct tee_checkpoint *checkpoint);
/* What the one before left; all zeros when there was none. */
void tee_reader_read_checkpoint(
    const struct tee_reader *t, struct tee_checkpoint *checkpoint);

#endif
