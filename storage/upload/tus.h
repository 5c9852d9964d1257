/*
 * tus 1.0.0 (https://tus.io/protocols/resumable-upload) with its extensions
 * creation, creation-with-upload, checksum, expiration and termination, and
 * Repr-Digest (RFC 9530): from the head of a request to what it wants.
 * Resources are /captures and /captures/<uuid>; docs/device-captures.md. No
 * I/O, no allocation; all input is hostile.
 */
#ifndef STORAGE_UPLOAD_TUS_H
#define STORAGE_UPLOAD_TUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/uuid.h"
#include "storage/upload/http_head.h"

#define TUS_ALPN    "relaycam-capture/1"
#define TUS_PATH    "/captures"
#define TUS_VERSION "1.0.0"
#define TUS_EXTENSIONS                                                         \
	"creation,creation-with-upload,checksum,expiration,termination"
#define TUS_CHECKSUMS "sha1,sha256"

enum tus_method { TUS_OPTIONS, TUS_HEAD, TUS_CREATE, TUS_APPEND, TUS_DELETE };

enum tus_checksum { TUS_CHECKSUM_NONE, TUS_CHECKSUM_SHA1, TUS_CHECKSUM_SHA256 };

struct tus_request {
	enum tus_method method;
	char id[UUID_TEXT_MAX]; /* of the capture; "": OPTIONS of all */
	bool wants_close;       /* the connection ends after the answer */
	bool wants_continue;    /* it waits for 100 before the body */
	uint64_t body_len;
	uint64_t length; /* CREATE: of the upload */
	uint64_t offset; /* APPEND */
	bool is_sealed;  /* CREATE: it is encrypted to the site's key */
	enum tus_checksum checksum;
	uint8_t sum[32]; /* of the body */
	bool has_digest;
	uint8_t digest[32]; /* SHA-256 of the whole */
};

/* How a request is refused; text is static. */
struct tus_refusal {
	int status;
	const char *text;
};

/*
 * Reads the next request from the len bytes at data. Returns the length of its
 * head, 0 when more bytes are needed, or -1 and *why: then the connection is
 * to be closed after the answer, because where the next request begins is not
 * known.
 */
long tus_parse(struct tus_request *r, const char *data, size_t len,
    struct tus_refusal *why);

/* "Bad Request", and so on, of all statuses that uploads are answered with. */
const char *tus_reason(int status);

#endif
