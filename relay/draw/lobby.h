/*
 * The lobby: a small RFB server that a viewer talks to after its ClientInit,
 * while the end user is asked for consent (C2), and that shows why there is
 * no session if it comes to that. It answers update requests with a picture
 * of a few words, notes what the viewer asks for, and hands the viewer over
 * between two of its messages. It never uses fences, continuous updates or
 * streams with state, so the endpoint's bytes can follow its own.
 *
 *   lobby_new -> lobby_feed, lobby_set_text, lobby_resume (any number)
 *             -> lobby_leave -> lobby_resize -> lobby_free
 *
 * Pure: bytes in, bytes out into a struct buf; one owner, not thread-safe.
 * Source: RFC 6143 section 7, the community specification (-308).
 */
#ifndef RELAY_DRAW_LOBBY_H
#define RELAY_DRAW_LOBBY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/pixel_format.h"
#include "rfb/protocol.h"

struct buf;
struct text_font;

#define LOBBY_W 960
#define LOBBY_H 540
/* Sides beyond these are clamped. */
#define LOBBY_MIN_SIDE 64
#define LOBBY_MAX_SIDE 4096

/*
 * An answer is held back while more than LOBBY_OUT_HIGH waits in out
 * (lobby_resume goes on), so out never holds more than that and one answer,
 * whatever the viewer does: some 30 KiB, or 2 MiB for a viewer without
 * Hextile. lobby_new raises out's limit to LOBBY_OUT_LIMIT for it (more if
 * w x h is larger than usual). Once out is empty after the lobby,
 * buf_release gives its memory back.
 */
#define LOBBY_OUT_HIGH  (64 * 1024)
#define LOBBY_OUT_LIMIT (3 * 1024 * 1024)

struct lobby;

/* What the viewer has said, for the session that follows. */
struct lobby_viewer {
	/* In force for the viewer. Tell the endpoint even when the viewer
	 * never sent one: it is then the lobby's own. */
	struct rfb_pixel_format format;
	/* The last SetEncodings message, raw and whole, not narrowed; borrowed
	 * until lobby_free. NULL: none has come (Raw alone is allowed). */
	const uint8_t *encodings;
	size_t encodings_len;
	/* A request is outstanding: the viewer waits for an update and may
	 * never ask again before one. */
	bool has_request;
	bool has_desktop_size;     /* -223 in the last SetEncodings */
	bool has_ext_desktop_size; /* -308 */
	bool has_hextile;          /* 5 */
	uint16_t w, h;             /* its desktop now */
};

/*
 * Appends ServerInit to out: w x h pixels (normally LOBBY_W, LOBBY_H),
 * 32 bits a pixel, little-endian 0x00RRGGBB, named "Relaycam: <endpoint>".
 * out: borrowed for the lifetime. font: borrowed, NULL draws no words.
 * endpoint: UTF-8, NUL-terminated, borrowed for the call. NULL for memory,
 * or if out has no room.
 */
struct lobby *lobby_new(struct buf *out, struct text_font *font,
    const char *endpoint, uint16_t w, uint16_t h);
void lobby_free(struct lobby *l);

/*
 * Changes the words: a title, a text of some lines, and a small line below,
 * for a countdown. UTF-8, NUL-terminated, borrowed for the call; NULL or ""
 * for nothing. A viewer that waits is answered at once with what changed; it
 * costs little to call this every second. After lobby_leave, whatever that
 * said, the viewer stays in the lobby after all, so that a refusal can be
 * shown. Returns 0, or ERR_NOMEM or ERR_LIMIT (of out); after an error only
 * why and free are allowed.
 */
int lobby_set_text(
    struct lobby *l, const char *title, const char *text, const char *small);

/*
 * Feed len bytes of the viewer that follow ClientInit, borrowed. *used: how
 * many were taken, which is all of them, but for one case: once lobby_leave
 * has said ERR_AGAIN, feed stops behind the message under way, so that
 * lobby_leave then succeeds and the rest is the session's to read.
 * Returns 0; ERR_PROTOCOL, ERR_LIMIT or ERR_UNSUPPORTED for what
 * rfb/client_messages.h refuses; ERR_LIMIT or ERR_NOMEM of out. After an
 * error only why and free are allowed.
 */
int lobby_feed(struct lobby *l, const uint8_t *data, size_t len, size_t *used);

/* To be called when out has been sent: goes on with an answer that was held
 * back. Returns as lobby_set_text. */
int lobby_resume(struct lobby *l);

/*
 * Ends the lobby between two messages of the viewer, when it has sent its
 * encodings or a request: consent may come sooner than these. Returns 0 and
 * fills *viewer, or ERR_AGAIN: part of a message, or none of these has come;
 * feed the rest and call again. Afterwards lobby_resize, or lobby_set_text to
 * stay, why and free are allowed.
 */
int lobby_leave(struct lobby *l, struct lobby_viewer *viewer);

/*
 * After lobby_leave: appends the update that gives the viewer's desktop the
 * endpoint's size, w x h of 1 to RFB_MAX_SIDE: DesktopSize if offered, else
 * ExtendedDesktopSize (one screen, id 1, reason 0), which would tell the
 * viewer that the endpoint takes SetDesktopSize. No size if it has
 * that already. A colour map that is still due goes in front. It answers the
 * outstanding request (has_request is of no use afterwards): the viewer will
 * ask again, some only for changes, so the caller asks the endpoint for
 * everything, non-incremental, itself; a request that was on its way may still
 * speak of the old size. Returns 0, ERR_UNSUPPORTED (the viewer cannot resize),
 * ERR_LIMIT or ERR_NOMEM.
 */
int lobby_resize(struct lobby *l, uint16_t w, uint16_t h);

/* A static sentence for the last error of lobby_feed. Never NULL. */
const char *lobby_why(const struct lobby *l);

#endif
