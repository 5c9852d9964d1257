/*
 * Error numbers shared by every part of Relaycam.
 *
 * Functions return 0 or one of these negative values; parsers return bytes
 * consumed, 0 for "send more", or one of these. No I/O, thread-safe.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

enum err {
	ERR_OK = 0,
	ERR_NOMEM = -1,        /* an allocation failed */
	ERR_IO = -2,           /* a system call failed, see errno */
	ERR_PROTOCOL = -3,     /* the peer broke the protocol */
	ERR_LIMIT = -4,        /* legal, but over a limit of ours */
	ERR_AGAIN = -5,        /* nothing to do now, try when ready */
	ERR_EOF = -6,          /* the peer closed in an orderly way */
	ERR_DENIED = -7,       /* wrong credentials or no right */
	ERR_NOTFOUND = -8,     /* the named thing does not exist */
	ERR_EXISTS = -9,       /* the named thing exists already */
	ERR_CONFIG = -10,      /* a setting is missing or wrong */
	ERR_CORRUPT = -11,     /* size or checksum differs */
	ERR_TIMEOUT = -12,     /* it took too long */
	ERR_UNSUPPORTED = -13, /* the peer asks for what we do not do */
	ERR_UNAVAILABLE = -14, /* a part we depend on is away */
	ERR_NOSPACE = -15,     /* too little free disk space */
	ERR_CANCELLED = -16,   /* stopped by request */
};

/* The sentence for an error number, static, never NULL. */
const char *err_text(int err);

#endif
