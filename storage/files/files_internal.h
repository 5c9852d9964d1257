/*
 * What the parts of the server of signed files share: files.c the server and
 * its links, files_grant.c who may continue, files_answer.c whole files,
 * files_download.c bytes to a client, files_growing.c what is still being
 * written, files_redirect.c what is not on this node, files_beside.c posters
 * and manifests in S3, files_clip.c clips, files_archive.c several recordings
 * as one ZIP, files_progress.c how far downloads are.
 */
#ifndef STORAGE_FILES_FILES_INTERNAL_H
#define STORAGE_FILES_FILES_INTERNAL_H

#include <event2/http.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/links.h"
#include "storage/files/files.h"
#include "storage/files/grant.h"
#include "storage/files/opened.h"
#include "manifest/object_key.h"
#include "webm/webm_scan.h"

#define FILES_IDLE_SECONDS 60
#define FILES_EXPIRED      "This link has expired; ask for a new one."

struct files_archive;
struct growing_set;
struct progress_set;

struct files {
	struct daemon *d;
	int root; /* of the folder store; -1: recordings are kept in S3 */
	uint8_t key[LINK_KEY_LEN];
	struct evhttp *http;
	struct evhttp_bound_socket *sock;
	struct growing_set *growing;
	struct tls_connections *connections;
	struct opened opened; /* for the audit log */
	struct progress_set *progress;
};

/* What a link is used for. */
enum files_what {
	FILES_MEDIA,  /* the file, or a range of it */
	FILES_FOLLOW, /* the file up to its end, while it is being written */
	FILES_INDEX,  /* what is there, and the cues, as JSON */
};

struct files_request {
	struct files *f;
	struct evhttp_request *req;
	enum files_what what;
	char key[OBJECT_KEY_MAX + 1];
	uint64_t expires_s; /* Unix time of the link's death */
	int64_t person;     /* whose link it is; 0: nobody's */
	bool wants_follow;  /* follow=1 */
	bool wants_frames;  /* frames=1: also of the cluster that is open */
	uint64_t from;      /* from=: where following begins */
	bool is_download;   /* download=1: browsers save it */
	bool gives_grant;   /* the answer carries it */
	struct grant grant;
};

/*
 * Opens what the key means on this node at this moment: the stored file, or
 * the one in the spool. Returns a descriptor, or -1. *is_growing: its
 * recorder has not closed it yet.
 */
int files_open(struct files *f, const char *key, bool *is_growing);

/* ---- files_grant.c ---- */

/* A living link was used: prepares the grant that the answer carries, and
 * writes the audit log. signature: of the link. */
void files_link_opened(struct files_request *r, const char *signature);
/* Set-Cookie, if there is a grant to give. */
void files_grant_header(const struct files_request *r);
/* The link is genuine and dead: does this client have a grant? */
bool files_has_grant(struct files_request *r);
typedef void files_serve_cb(const struct files_request *r);
/* Asks the database whether nothing was taken back, and then serves. */
void files_check_grant(const struct files_request *r, files_serve_cb *serve);
/* The same of a living link to what is kept here though its recording may have
 * been deleted: 404 then. */
void files_check_there(const struct files_request *r, files_serve_cb *serve);

/* ---- files_answer.c ---- */

void files_add_header(
    struct evhttp_request *req, const char *name, const char *value);
const char *files_get_header(struct evhttp_request *req, const char *name);
/* What every answer carries. */
void files_common_headers(struct files *f, struct evhttp_request *req);
/* What a growing or a whole file's answer carries. */
void files_media_headers(const struct files_request *r);
/* An answer in words; more headers may be there already. */
void files_refuse(struct files *f, struct evhttp_request *req, int code,
    const char *reason, const char *text);
void files_refuse_memory(struct files *f, struct evhttp_request *req);
/* Content-Range of a 416. */
void files_refuse_range(const struct files_request *r, uint64_t size);
/* A whole file, or a range of it. Takes fd. */
void files_serve(const struct files_request *r, int fd);

/* The same of a recording in the store, which reads it. sha256: of all of it,
 * in hex; that is its ETag. */
void files_serve_stored(
    const struct files_request *r, uint64_t size, const char *sha256);

/* ---- files_download.c ---- */

/* Sends the bytes from first up to end of a file of size bytes; the headers are
 * there. Takes fd; -1: the store has them under r->key. */
void files_download(const struct files_request *r, int fd, uint64_t first,
    uint64_t end, uint64_t size, int code);
/* Sends a ZIP; the headers are there. Takes a. */
void files_download_archive(
    const struct files_request *r, struct files_archive *a);
/*
 * The same from r->from on of a file whose first end bytes are there, and then
 * of what comes until the file is closed. Takes fd.
 */
void files_follow(const struct files_request *r, int fd, uint64_t end);

/* ---- files_growing.c ---- */

/* Answers from what a scan of fd finds. Takes fd. */
void files_look(const struct files_request *r, int fd, bool is_growing);

/* ---- files_redirect.c ---- */

/* The file is not on this node: says where it is, or leads there. */
void files_redirect(const struct files_request *r);

/* ---- files_beside.c ---- */

/* A poster or a signed manifest in the store, which reads it. */
void files_serve_beside(const struct files_request *r);


/* ---- files_clip.c ---- */

/* True when the key is that of a clip, or of its manifest; it is answered. */
bool files_serve_clip(const struct files_request *r);

#endif
