/*
 * What the parts of the receiver share: receiver.c its life, and the uploads
 * that are there; upload_sweep.c what lies in the folder; upload_conn.c a
 * connection, upload_tls.c which ones are agents'; upload_request.c what their
 * requests do, upload_answer.c what they are answered; upload_work.c what is
 * done with an upload; upload_rows.c its rows.
 */
#ifndef STORAGE_UPLOAD_RECEIVER_INTERNAL_H
#define STORAGE_UPLOAD_RECEIVER_INTERNAL_H

#include <event2/bufferevent.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/db.h"
#include "storage/daemon.h"
#include "storage/upload/receiver.h"
#include "storage/upload/tus.h"
#include "storage/upload/upload_file.h"

struct event;
struct workers;
struct upload_conn;
struct upload_facts;
struct upload_job;

/* One that is not finished, or a copy. */
struct upload {
	TAILQ_ENTRY(upload) link;
	struct receiver *r;
	struct upload_file f;
	struct upload_conn *conn; /* it is sending, or waits for the job */
	struct upload_job *job;   /* under way; then nobody else may have it */
	bool is_asking;           /* its row is asked for, or written */
	bool is_copy;             /* it is not to be encoded */
	bool is_known;            /* its row says `transfer` */
	int percent_sent;
	uint64_t retry_ns; /* of its check, clock_mono_ns */
};
TAILQ_HEAD(upload_list, upload);
TAILQ_HEAD(upload_conn_list, upload_conn);

struct receiver {
	struct daemon *d;
	struct site_key key;
	int dir; /* SPOOL/uploads */
	struct upload_list uploads;
	struct upload_conn_list conns;
	struct workers *workers;
	struct event *tick;
	unsigned n_jobs;
	uint64_t sweep_ns;   /* clock_mono_ns */
	uint64_t overdue_ns; /* when orders are looked through next */
	atomic_bool stopping;
};

/* ---- receiver.c ---- */

struct upload *receiver_find(struct receiver *r, const char *id);
/* Takes what f has. NULL for memory: then f was released. */
struct upload *receiver_add(struct receiver *r, struct upload_file *f);
/* Forgets it; its files stay. */
void receiver_drop(struct upload *u);
/* Unix time of its end. */
uint64_t receiver_expires_s(const struct upload *u);
/* Whether the disk and the limits have room for another one. */
enum upload_verdict receiver_may_begin(
    struct receiver *r, int64_t endpoint_id, uint64_t length, bool is_sealed);
/* Free bytes of the disk; 0: it does not say. */
uint64_t receiver_free_bytes(const struct receiver *r);
/* What has to stay free: recorders come first. */
uint64_t receiver_min_free(const struct receiver *r);
/* Writes its row, `transfer`; then upload_conn_created of u->conn. */
void receiver_register(struct upload *u);
/* Whether a capture of that name waits in the spool to be encoded. */
bool receiver_is_in_spool(
    const struct receiver *r, const char *session, const char *id);

/* ---- upload_sweep.c ---- */

/* Finds what is in the folder and not known. */
void upload_scan(struct receiver *r);
/* Ends what has had its time, and checks what is whole; and upload_scan. */
void upload_sweep(struct receiver *r);
/* facts: NULL: the database is away. */
void upload_adopted(struct upload *u, struct upload_facts *facts);

/* ---- upload_conn.c ---- */

enum upload_conn_state {
	UPLOAD_CONN_NEW,    /* nothing came yet: it may be a browser's */
	UPLOAD_CONN_OTHER,  /* the server of signed files has it */
	UPLOAD_CONN_HEAD,   /* a request is expected */
	UPLOAD_CONN_ASKING, /* the database is asked */
	UPLOAD_CONN_BODY,   /* bytes come */
	UPLOAD_CONN_WORK,   /* a thread works */
	UPLOAD_CONN_LINGER, /* it was answered, and is read to its end */
};

struct upload_conn {
	TAILQ_ENTRY(upload_conn) link;
	struct daemon *d;
	struct bufferevent *bev;
	enum upload_conn_state state;
	/* the HTTP server's, until it gets the connection back */
	bufferevent_data_cb read_cb, write_cb;
	bufferevent_event_cb event_cb;
	void *cb_arg;
	char cert[65]; /* SHA-256 of the peer's certificate, in hex */
	struct tus_request req;
	uint64_t body_left;
	EVP_MD_CTX *sum;  /* of the body; NULL: it has no checksum */
	struct upload *u; /* of the request under way */
	struct upload_question *question;
	uint64_t since_look; /* bytes since the disk was looked at */
	uint64_t linger_ns;  /* until then */
	bool must_close;
};

/* What the database says of a capture and who asks for it. */
struct upload_facts {
	bool is_peer;    /* the certificate is an endpoint's */
	bool is_ordered; /* of that endpoint */
	bool is_copy;
	bool is_whole; /* it was received before */
	int64_t endpoint_id, bytes;
	char session[UUID_TEXT_MAX];
	json_t *order; /* a new reference, or NULL */
};

/* Ends its connection now; c may be gone. Bytes that came stay. */
void upload_conn_end(struct upload_conn *c);
/* The body of its request belongs to u, at that offset, and is wanted from now
 * on; or it is refused. */
void upload_conn_begin_body(
    struct upload_conn *c, struct upload *u, uint64_t at);
/* A thread does what c->u needs: upload_conn_done. */
void upload_conn_work(struct upload_conn *c);
/* The request was answered: the next one. */
void upload_conn_next(struct upload_conn *c);
/* Each second. */
void upload_conn_tick(struct upload_conn *c);

/* ---- upload_request.c ---- */

/*
 * The thread is done with what this connection waits for. status 0: it is
 * synced; 204: received whole, `bytes` of it; else what to answer, and why.
 */
void upload_conn_done(
    struct upload_conn *c, int status, uint64_t bytes, const char *why);
/* The database has answered. facts: NULL: it is away. */
void upload_conn_answered(struct upload_conn *c, struct upload_facts *facts);
/* The row of an upload that was created is there, or not. */
void upload_conn_created(struct upload_conn *c, bool is_written);

/* ---- upload_answer.c ---- */

/* Answers in words, or without any (text NULL); u: whose offset is told unless
 * it is whole, or NULL. The connection goes on, or ends if it has to. */
void upload_answer(struct upload_conn *c, int status, const struct upload *u,
    const char *text);
/* Of one that was received before: bytes of it. */
void upload_answer_whole(
    struct upload_conn *c, int status, int64_t bytes, const char *text);

/* ---- upload_work.c ---- */

/* Syncs it, or when it is whole, checks it and does what follows; then
 * upload_conn_done of u->conn. False: no memory. */
bool upload_work_start(struct upload *u);

/* ---- upload_rows.c ---- */

/* Asks who shows that certificate, and what is known of that capture; answers
 * by upload_conn_answered. 0, or ERR_*: it is not answered. */
int upload_rows_ask(struct upload_conn *c);
/* The connection is gone. */
void upload_rows_forget(struct upload_conn *c);
/* The same for what was found in the folder: then upload_adopted. */
int upload_rows_adopt(struct upload *u);

/* Writes the row of a capture by its order: `transfer`, or `missing` when its
 * device gave it up before any byte came. done(arg, false): it could not be
 * written. 0 or ERR_*. */
int upload_rows_write(struct receiver *r, const json_t *order, const char *id,
    const char *session, const char *status, const char *detail,
    void (*done)(void *arg, bool is_written), void *arg);
/* The same, `transfer`, for one that begins: what was noted of an earlier one
 * that is lost is forgotten. done(u, is_written). */
int upload_rows_begin(
    struct upload *u, void (*done)(void *arg, bool is_written));
/* Orders of which nothing came for 30 days become `missing`; looks every ten
 * minutes. */
void upload_rows_overdue(struct receiver *r);
/* A row that says `transfer` gets another status; `missing` also one that says
 * `recording`. */
void upload_rows_end(
    struct receiver *r, const char *id, const char *status, const char *detail);
/* It is there whole. */
void upload_rows_received(
    struct receiver *r, const struct upload *u, const uint8_t digest[32]);
void upload_rows_announce(struct receiver *r);

#endif
