/*
 * Brings credentials that are not in a file (common/s3_credentials.h) over
 * libcurl on the loop, before the old ones end. One loop; nothing blocks but
 * reading a token file.
 */
#ifndef STORAGE_STORE_S3_REFRESH_H
#define STORAGE_STORE_S3_REFRESH_H

#include <stdbool.h>

struct event_base;
struct s3_credentials;
struct s3_refresh;

/* err: 0, or ERR_* and a sentence. */
typedef void s3_refresh_cb(void *arg, int err, const char *why);

/* c is borrowed. NULL only for memory. */
struct s3_refresh *s3_refresh_new(struct event_base *base,
    struct s3_credentials *c, s3_refresh_cb *cb, void *arg);
/* What is under way is dropped unanswered. */
void s3_refresh_free(struct s3_refresh *f);

/*
 * Asks for new ones, unless that is under way, or failed within 30 s while
 * the old ones are valid; answered once, later.
 */
void s3_refresh_start(struct s3_refresh *f);

#endif
