/*
 * Inflates a zlib stream that lasts as long as a connection and comes in
 * pieces of any size. Its output stays in a buffer behind the window of the
 * stream, so a caller reads it where it lies, and what a caller leaves is
 * followed by what comes next. Source: RFC 1950, RFC 1951.
 *
 * Accepts what zlib's inflate() accepts, but for the checksum at the stream's
 * end, which is skipped: the streams of RFB never end.
 * tests/fuzz/fuzz_inflate.c compares the two. Input from the network: nothing
 * is read outside of the piece, nothing written outside of the buffer, no
 * distance leads before the stream's first byte. Work is bounded by input and
 * output. No I/O, not thread-safe.
 */
#ifndef RFB_ENC_INFLATE_STREAM_H
#define RFB_ENC_INFLATE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far back a distance leads. */
#define INFLATE_WINDOW_MAX ((size_t)32 * 1024)
/* Output that a caller may leave for the next run. */
#define INFLATE_REST_MAX INFLATE_WINDOW_MAX

struct inflate_stream;

enum inflate_status {
	INFLATE_MORE, /* all input was used */
	INFLATE_FULL, /* the output has to be taken before it continues */
	INFLATE_END,  /* the stream ended with the input, or in it */
	INFLATE_BAD,  /* the input is no zlib stream; only free or reset */
};

/* About 110 KiB. NULL: out of memory. */
struct inflate_stream *inflate_stream_new(void);
void inflate_stream_free(struct inflate_stream *s);

/* What follows begins with the header of a zlib stream. */
void inflate_stream_reset(struct inflate_stream *s);

/*
 * What follows is a block behind these n bytes of output, in a stream whose
 * header was read. n: INFLATE_WINDOW_MAX at most.
 */
void inflate_stream_restore(
    struct inflate_stream *s, const uint8_t *window, size_t n);

/* Whether it stands between two blocks, at a byte, the last not begun. */
bool inflate_stream_is_between_blocks(const struct inflate_stream *s);

/* The output so far that distances can reach; borrowed until the next run. */
const uint8_t *inflate_stream_window(const struct inflate_stream *s, size_t *n);

/*
 * Inflates from *in up to end, and moves *in on. *rest: how many of the last
 * bytes of output the caller has not taken yet, INFLATE_REST_MAX at most; the
 * new ones are added to it, at most the buffer's 97 KiB at a time. Output
 * before a fault is given too. To be called again while it returns
 * INFLATE_FULL.
 */
enum inflate_status inflate_stream_run(struct inflate_stream *s,
    const uint8_t **in, const uint8_t *end, size_t *rest);

/* Behind the last byte of output. Valid until the next run. */
const uint8_t *inflate_stream_out(const struct inflate_stream *s);

#endif
