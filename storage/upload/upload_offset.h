/*
 * What an upload that can be resumed has, whatever protocol carries it: which
 * bytes count, where the next ones belong, when it is whole, how large and how
 * many there may be, and when one was abandoned. tus (tus.h) is one parser in
 * front of it; the one of draft-ietf-httpbis-resumable-upload could be
 * another. No I/O, no clock.
 *
 *	0 ......... floor ......... have ......... length
 *	  counted       of a request    not here yet
 *	                whose checksum
 *	                is not known
 */
#ifndef STORAGE_UPLOAD_UPLOAD_OFFSET_H
#define STORAGE_UPLOAD_UPLOAD_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

#define UPLOAD_LENGTH_MAX (INT64_C(1) << 42) /* as the manifest's `bytes` */

struct upload_offset {
	uint64_t length; /* of the whole */
	uint64_t have;   /* bytes that have been written */
	uint64_t floor;  /* have falls back to it when the request fails */
	uint64_t end;    /* of the request under way; 0: there is none */
};

/*
 * An upload of length bytes of which `have` are there. 0, or ERR_LIMIT: it has
 * no bytes at all, more than UPLOAD_LENGTH_MAX, or more than its length.
 */
int upload_offset_init(struct upload_offset *u, uint64_t length, uint64_t have);

/*
 * A request brings n bytes that belong at `at`. is_checked: they count when
 * all of them are there and their checksum is right, and not before. 0;
 * ERR_EXISTS: a request is under way; ERR_PROTOCOL: at is not u->have;
 * ERR_LIMIT: more than the rest.
 */
int upload_offset_begin(
    struct upload_offset *u, uint64_t at, uint64_t n, bool is_checked);

/* n bytes more were written, at most those of the request. */
void upload_offset_add(struct upload_offset *u, uint64_t n);

/* Bytes that the request still has to bring. */
uint64_t upload_offset_rest(const struct upload_offset *u);

/*
 * The request has ended. is_right: nothing is known against its bytes; a
 * checked one must be whole too. Returns how many bytes count now: what is
 * behind them in the file has to be cut off.
 */
uint64_t upload_offset_end(struct upload_offset *u, bool is_right);

bool upload_offset_is_whole(const struct upload_offset *u);
/* 0 to 99; 100 only when it is whole. */
int upload_offset_percent(const struct upload_offset *u);

/* ---- limits ---- */

struct upload_limits {
	uint64_t length;             /* of one */
	unsigned per_peer, in_total; /* unfinished ones */
	uint64_t min_free;           /* bytes that stay free on the disk */
};

struct upload_use {
	unsigned of_peer, in_total; /* unfinished ones, without this one */
	uint64_t outstanding;       /* bytes that those may bring yet */
	uint64_t free;              /* bytes, on the disk */
};

enum upload_verdict {
	UPLOAD_MAY,
	UPLOAD_TOO_LARGE,    /* more than limits.length */
	UPLOAD_TOO_MANY,     /* of this peer */
	UPLOAD_TOO_MANY_ALL, /* of all */
	UPLOAD_NO_ROOM,      /* on the disk */
};

/* Whether one of length bytes that needs `room` bytes on the disk, its own and
 * what is made of it, may begin. */
enum upload_verdict upload_may_begin(const struct upload_limits *limits,
    const struct upload_use *use, uint64_t length, uint64_t room);

/* Unix time at which one whose last byte came at last_s is abandoned. */
uint64_t upload_expires_s(uint64_t last_s, uint64_t expiry_s);

#endif
