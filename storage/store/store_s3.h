/* What store_s3.c (the store) and s3_upload.c (one put) share. */
#ifndef STORAGE_STORE_STORE_S3_H
#define STORAGE_STORE_STORE_S3_H

#include <stdatomic.h>

#include "storage/store/s3_client.h"
#include "storage/store/store.h"

/* Least of a part but the last, by S3: no smaller file has several. */
#define S3_PART_LEAST (5 << 20)

struct s3_store {
	struct store store;
	struct store_env env;
	struct s3_client *client;
	atomic_bool stopping;
	uint64_t part_bytes_per_second; /* of one part; 0: none was sent yet */
	bool is_early_off; /* its ETags prove nothing: see s3_early.c */
	/* store_abilities, as of the last upload that read them */
	bool is_conditional;
	uint64_t abilities_ns; /* clock_mono_ns; 0: never */
};

/*
 * Stores one file; see s3_upload.c for the order of steps. 0 or ERR_NOMEM.
 */
int s3_upload_start(struct s3_store *s, const struct store_put *put);

/* store_ops.early; s3_early.c. 0 or ERR_NOMEM. */
int s3_early_start(struct s3_store *s, const struct store_early *early);

/* store_ops.early_end; s3_early_end.c. 0 or ERR_NOMEM. */
int s3_early_end_start(struct s3_store *s, const char *segment,
    const char *key, store_done_cb *on_done, void *arg);

/* store_ops.read. */
int s3_read_start(struct s3_store *s, const struct store_read *read);

/* store_ops.list. */
int s3_list_start(
    struct s3_store *s, const char *after, store_list_cb *cb, void *arg);

/* store_ops.hold. */
int s3_hold_start(struct s3_store *s, const char *key, bool is_on,
    store_done_cb *cb, void *arg);

/*
 * A ranged GET of the first byte: unlike HEAD it names errors in a body, and
 * it proves that the object can be read. Fills rq.
 */
void s3_stat_request(struct s3_request *rq, const char *key);

#endif
