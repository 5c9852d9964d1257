/*
 * Where recordings are kept (M8): one interface, two implementations.
 * Every operation is started on the loop and answered exactly once on the
 * loop, never before the call returned.
 */
#ifndef STORAGE_STORE_STORE_H
#define STORAGE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_store;
struct counters;
struct db;
struct event_base;
struct file_hash;
struct store;
struct trace_sessions;
struct workers;

#define STORE_DETAIL_MAX 240

struct store_result {
	int err; /* 0 or ERR_*: ERR_CORRUPT, ERR_NOTFOUND, ERR_CANCELLED.. */
	char detail[STORE_DETAIL_MAX]; /* a sentence for people; "" is ok */
	uint8_t sha256[32];            /* of the whole object (put) */
};
typedef void store_done_cb(void *arg, const struct store_result *r);
typedef void store_progress_cb(void *arg, uint64_t bytes_stored);

/* A file to store. Pointers and fd stay valid until on_done. */
struct store_put {
	const char *segment; /* its UUID */
	const char *key;     /* valid object key */
	int fd;              /* readable from 0 to bytes */
	uint64_t bytes;
	/* of these bytes, with parts as store_ops.part_bytes has them; NULL:
	 * the store hashes them itself */
	const struct file_hash *hash;
	bool was_tried; /* an earlier try, of this process or of an earlier one,
			 * may have left something there */
	bool is_beside; /* poster or manifest: the media is the recording */
	bool was_early; /* some of it may have been sent while it grew */
	store_progress_cb *on_progress;
	store_done_cb *on_done;
	void *arg;
};

/*
 * A file that still grows. Its bytes from 0 to `bytes` change no more, but for
 * its header, which is rewritten at the end. Pointers and fd stay valid until
 * on_done.
 */
struct store_early {
	const char *segment;  /* its UUID */
	const char *key;      /* valid object key */
	const char *manifest; /* the opening one, as text: kept beside it */
	int fd;
	uint64_t bytes;
	store_done_cb *on_done;
	void *arg;
};

/* A stored object to compare with its row. Valid until the answer. */
struct store_object {
	const char *key;
	bool is_known; /* bytes and sha256; else: whether it is there */
	uint64_t bytes;
	uint8_t sha256[32];
};

#define STORE_READ_MAX (512 * 1024)

/* Bytes of a stored object; borrowed for the call. */
struct store_data {
	int err;            /* 0 or ERR_* */
	const char *detail; /* a sentence for people, or "" */
	const char *bytes;
	size_t len;     /* as many as were asked for, fewer at the end */
	uint64_t size;  /* of the object */
	char etag[100]; /* without quotes, "" when there is none */
};
typedef void store_data_cb(void *arg, const struct store_data *data);

/* What to read; valid for the call. */
struct store_read {
	const char *key;
	const char *etag; /* of an earlier answer: no other object's bytes */
	uint64_t offset, len; /* len: 1..STORE_READ_MAX */
	store_data_cb *on_data;
	void *arg;
};

#define STORE_LIST_MAX     250
#define STORE_LIST_KEY_MAX 1024 /* what S3 allows, not only we */

struct store_entry {
	char key[STORE_LIST_KEY_MAX + 1];
	uint64_t bytes;
};

/* A page of what is in the store, in the order of the keys' bytes. */
struct store_listing {
	int err;                           /* 0 or ERR_* */
	const char *detail;                /* a sentence for people, or "" */
	const struct store_entry *entries; /* borrowed for the call */
	size_t n;                          /* 0..STORE_LIST_MAX */
	bool is_end;                       /* nothing is behind these */
};
typedef void store_list_cb(void *arg, const struct store_listing *l);

struct store_ops {
	const char *name; /* as in segments.store */
	/*
	 * Copies, verifies, answers. Idempotent: an object that is there and
	 * right is not written again; what an earlier try left is used.
	 */
	int (*put)(struct store *s, const struct store_put *put);
	/* Bytes of a part of such a file, for store_put.hash; NULL: the store
	 * has no use for it. */
	uint64_t (*part_bytes)(const struct store *s, uint64_t bytes);
	/* Answers 0 too when there was none. */
	int (*remove)(
	    struct store *s, const char *key, store_done_cb *cb, void *arg);
	/* 0, ERR_NOTFOUND, ERR_CORRUPT; others say nothing about it. */
	int (*check)(struct store *s, const struct store_object *o,
	    store_done_cb *cb, void *arg);
	/* NULL: its files can be opened. Returns 0, ERR_NOMEM, ERR_LIMIT or
	 * ERR_PROTOCOL. */
	int (*read)(struct store *s, const struct store_read *read);
	/*
	 * All files behind the key `after` ("": from the first), whoever put
	 * them there. Returns 0, ERR_NOMEM, ERR_LIMIT or ERR_PROTOCOL.
	 */
	int (*list)(
	    struct store *s, const char *after, store_list_cb *cb, void *arg);
	/* Puts under way end with ERR_CANCELLED at their next boundary. */
	void (*stop)(struct store *s);
	void (*free)(struct store *s); /* nothing may be under way */
	/*
	 * Has the store refuse, or no more refuse, to delete the object for
	 * good. NULL: it has no such thing. ERR_NOTFOUND: no object.
	 */
	int (*hold)(struct store *s, const char *key, bool is_on,
	    store_done_cb *cb, void *arg);
	/*
	 * Sends what is new of a growing file, in parts of early_part_bytes
	 * and a shorter one at the end. What it sends is no object yet: `put`
	 * goes on with it when the file is closed. One at a time of a segment,
	 * and none beside its put. NULL: it has no such thing. 0 or ERR_NOMEM;
	 * the answer ERR_UNSUPPORTED: do not ask again.
	 */
	int (*early)(struct store *s, const struct store_early *early);
	uint64_t early_part_bytes;
	/*
	 * Makes an object of what was sent early of a segment that nobody will
	 * close, or of a part of it. segment and key stay valid until the
	 * answer; ERR_NOTFOUND: nothing is there. 0 or ERR_NOMEM.
	 */
	int (*early_end)(struct store *s, const char *segment, const char *key,
	    store_done_cb *cb, void *arg);
	/* PostgreSQL is connected; NULL: nothing is asked of it. */
	void (*announce)(struct store *s);
	/* store_trouble; NULL: it tells by failed operations only. */
	const char *(*trouble)(const struct store *s);
};

struct store {
	const struct store_ops *ops;
};

/* Why nothing can be stored now, for people; NULL: it can, as far as is known.
 */
static inline const char *
store_trouble(const struct store *s)
{
	return s->ops->trouble != NULL ? s->ops->trouble(s) : NULL;
}

/* What both implementations are made from; all borrowed. */
struct store_env {
	struct event_base *base;
	struct db *db;
	struct workers *workers;
	const struct conf_store *conf;
	struct counters *counters;
	const struct trace_sessions *traces; /* NULL: none are known */
};

/* ERR_CONFIG with a sentence in err, ERR_NOMEM. */
int store_folder_new(
    struct store **out, const struct store_env *env, char *err, size_t err_len);
int store_s3_new(
    struct store **out, const struct store_env *env, char *err, size_t err_len);

/* printf into r->detail and r->err = err; returns err. */
__attribute__((format(printf, 3, 4))) int store_fail(
    struct store_result *r, int err, const char *fmt, ...);

#endif
