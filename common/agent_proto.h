/*
 * The messages between relay and endpoint agent, docs/agent-protocol.md:
 * one struct for all of them, an encoder and a strict push parser. Text is
 * printable UTF-8 within limits on both ways, so what arrives may be logged
 * and shown as it is. Pure functions, no I/O, thread-safe.
 *
 *	u16 body length | u8 type | fields
 *	                '----- body -----'
 */
#ifndef COMMON_AGENT_PROTO_H
#define COMMON_AGENT_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"

#define AGENT_ALPN_CONTROL "relaycam-agent/1"
#define AGENT_ALPN_DATA    "relaycam-data/1"

#define AGENT_PROTOCOL  2
#define AGENT_BODY_MAX  8192
#define AGENT_FRAME_MAX (2 + AGENT_BODY_MAX)

/* Sizes of texts in bytes, with the NUL. */
#define AGENT_NAME_MAX     256 /* endpoint, technician, team, host */
#define AGENT_VERSION_MAX  32
#define AGENT_TEXT_MAX     512 /* a sentence */
#define AGENT_TOKEN_MAX    256
#define AGENT_SECRET_MAX   256
#define AGENT_ADDRESS_MAX  288 /* host:port or [host]:port */
#define AGENT_SESSION_MAX  37  /* uuid as text */
#define AGENT_TICKET_MAX   65  /* 64 hexadecimal digits */
#define AGENT_CODE_MAX     10  /* 9 digits */
#define AGENT_DISPLAY_MAX  64
#define AGENT_MAX_DISPLAYS 16
#define AGENT_KEY_MAX      65   /* 64 hexadecimal digits */
#define AGENT_META_MAX     6144 /* JSON of docs/tee.md, ASCII */
#define AGENT_MARK_LEN     44   /* u64 offset, u64 ns, u32 kind, its value */
#define AGENT_MARKS        32   /* in one message, two digits a byte */
#define AGENT_MARKS_MAX    (2 * AGENT_MARK_LEN * AGENT_MARKS + 1)

enum agent_type {
	/* control channel, agent to relay */
	AGENT_HELLO = 1,
	AGENT_ENROL = 2,
	AGENT_PONG = 3,
	AGENT_OPEN_FAILED = 4, /* on the data channel too */
	AGENT_CLOSE = 5,
	AGENT_CAPTURE_STATE = 6,
	/* control channel, relay to agent */
	AGENT_WELCOME = 16,
	AGENT_REFUSED = 17, /* on the data channel too */
	AGENT_PING = 18,
	AGENT_CODE = 19,
	AGENT_OPEN = 20,
	AGENT_INDICATOR = 21,
	AGENT_END = 22,
	AGENT_CAPTURE = 23,
	AGENT_CAPTURE_MARKS = 24,
	/* data channel */
	AGENT_TICKET = 32,   /* agent to relay */
	AGENT_ACCEPTED = 33, /* relay to agent */
	AGENT_CONSENT = 34,  /* agent to relay */
	AGENT_JOINED = 35,   /* agent to relay; raw bytes follow */
};

enum agent_mode {
	AGENT_MODE_ENROLLED = 0,
	AGENT_MODE_ATTENDED = 1,
	AGENT_MODE_ENROL = 2,
};

enum agent_recorded {
	AGENT_RECORDED_NO = 0,
	AGENT_RECORDED_YES = 1,
	AGENT_RECORDED_MAYBE = 2, /* by hand, during the session */
};

/* Whether the agent captures a session that is opened (C7). */
enum agent_capture_wish {
	AGENT_CAPTURE_NONE = 0,
	AGENT_CAPTURE_MAY = 1,  /* the session goes on without it */
	AGENT_CAPTURE_MUST = 2, /* the session ends with it */
};

enum agent_capture_state {
	AGENT_CAPTURE_WRITING = 0,
	AGENT_CAPTURE_FAILED = 1,
};

enum agent_answer {
	AGENT_ANSWER_WAITING = 0, /* the dialog is on the screen */
	AGENT_ANSWER_FULL = 1,
	AGENT_ANSWER_VIEW = 2,
	AGENT_ANSWER_DECLINED = 3,
	AGENT_ANSWER_TIMEOUT = 4,
	AGENT_ANSWER_NO_DIALOG = 5, /* nobody could be asked */
};

/* Texts end with NUL. Fields of a type that has none are not looked at. */
struct agent_msg {
	enum agent_type type;
	union {
		struct {
			uint16_t protocol; /* AGENT_PROTOCOL */
			uint8_t mode;      /* enum agent_mode */
			char version[AGENT_VERSION_MAX];
			char host[AGENT_NAME_MAX];
			char os[AGENT_NAME_MAX];
			uint8_t n_displays;
			char displays[AGENT_MAX_DISPLAYS][AGENT_DISPLAY_MAX];
			/* attended: password of the VNC server, or "" */
			char secret[AGENT_SECRET_MAX];
		} hello;
		struct {
			char token[AGENT_TOKEN_MAX];
		} enrol;
		uint32_t ping; /* PING, and PONG, which carries it back */
		struct {
			char session[AGENT_SESSION_MAX];
			char reason[AGENT_TEXT_MAX];
		} end; /* OPEN_FAILED and END */
		struct {
			char endpoint[AGENT_NAME_MAX];
			char team[AGENT_NAME_MAX];
			uint16_t keepalive_s; /* a PING at least so often */
			char version[AGENT_VERSION_MAX];
		} welcome;
		struct {
			char reason[AGENT_TEXT_MAX];
			uint8_t is_final; /* do not come back */
		} refused;
		struct {
			char code[AGENT_CODE_MAX];
			uint32_t valid_s;
		} code;
		struct {
			char session[AGENT_SESSION_MAX];
			char ticket[AGENT_TICKET_MAX];
			/* "": the relay the control channel is with */
			char address[AGENT_ADDRESS_MAX];
			char display[AGENT_DISPLAY_MAX]; /* "": the first */
			char technician[AGENT_NAME_MAX];
			char team[AGENT_NAME_MAX];
			char access[16];    /* attended, unattended */
			uint8_t recorded;   /* enum agent_recorded */
			uint8_t consent;    /* 0 none, 1 ask */
			uint16_t consent_s; /* time for the answer */
			uint8_t capture;    /* enum agent_capture_wish */
		} open;
		struct {
			char session[AGENT_SESSION_MAX];
			uint8_t on;
			char text[AGENT_TEXT_MAX];
		} indicator;
		struct {
			char session[AGENT_SESSION_MAX];
			char id[AGENT_SESSION_MAX]; /* of the capture */
			/* of the server's bytes since JOINED, where the
			 * stream begins */
			uint64_t offset;
			uint64_t now_ns; /* of the relay's clock */
			char storage[AGENT_ADDRESS_MAX];
			char key[AGENT_KEY_MAX];
			char meta[AGENT_META_MAX];
		} capture;
		struct {
			char session[AGENT_SESSION_MAX];
			uint32_t number; /* 0, 1, 2 ... of the session's */
			uint64_t until;  /* bytes of the stream that it has */
			char marks[AGENT_MARKS_MAX];
		} marks;
		struct {
			char session[AGENT_SESSION_MAX];
			uint8_t state; /* enum agent_capture_state */
			char reason[AGENT_TEXT_MAX];
		} capture_state;
		struct {
			char ticket[AGENT_TICKET_MAX];
		} ticket;
		struct {
			uint8_t answer; /* enum agent_answer */
			char text[AGENT_TEXT_MAX];
		} consent;
	};
};

/*
 * Appends m as one frame. Returns 0, ERR_PROTOCOL when a field could not be
 * read by the other side (agent_proto_clean makes texts fit), ERR_LIMIT or
 * ERR_NOMEM of the queue; the queue is unchanged after an error.
 */
int agent_proto_encode(struct buf *b, const struct agent_msg *m);

/*
 * Reads the first message of len bytes. Returns 1 with the message and the
 * bytes it took in *used, 0 when more are needed (*used is 0; a frame is at
 * most AGENT_FRAME_MAX), or ERR_PROTOCOL, ERR_LIMIT, or ERR_UNSUPPORTED (a
 * HELLO of another protocol). m may hold secrets: wipe it.
 */
int agent_proto_parse(
    const uint8_t *data, size_t len, size_t *used, struct agent_msg *m);

/* True for valid UTF-8 without control characters, line ends and marks that
 * turn the direction of writing. */
bool agent_proto_is_printable(const char *s, size_t len);

/*
 * Copies text into out (size bytes with the NUL): what is not printable
 * becomes '?', what does not fit is cut at a character. NULL is "".
 * Returns out.
 */
char *agent_proto_clean(char *out, size_t size, const char *text);

/* "HELLO" and so on, for logs; "?" for an unknown type. */
const char *agent_proto_name(enum agent_type type);

#endif
