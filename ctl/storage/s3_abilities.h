/*
 * What an S3 server can do beyond what storage needs, found out by trying
 * with an object of its own, "relaycam-init/<random>". Blocking.
 */
#ifndef CTL_STORAGE_S3_ABILITIES_H
#define CTL_STORAGE_S3_ABILITIES_H

#include <stdbool.h>

#include "ctl/storage/s3_request.h"

#define S3_ABORT_DAYS   7 /* of the lifecycle rules */
#define S3_VERSION_DAYS 7

struct s3_abilities {
	bool checks_bodies; /* refuses a body that is not what was signed */
	bool conditional_writes; /* If-None-Match: * and If-Match on PUT */
	bool lifecycle;          /* has rules for buckets */
	bool object_lock;        /* the bucket has it */
};

/*
 * Is the bucket there? 1, 0 (there is none), or -1 with a sentence in why.
 */
int s3_bucket_exists(const struct s3_server *s, char why[CTL_HTTP_WHY_MAX]);

/* Makes it, with object lock where with_lock. 0, or -1 with a sentence in why.
 */
int s3_bucket_create(
    const struct s3_server *s, bool with_lock, char why[CTL_HTTP_WHY_MAX]);

/* Fills out. 0, or -1 with a sentence in why: nothing can be stored. */
int s3_abilities_probe(const struct s3_server *s, struct s3_abilities *out,
    char why[CTL_HTTP_WHY_MAX]);

/*
 * Are the rules there, the one that ends uploads which were given up and,
 * where the bucket has object lock and so keeps versions, the one that removes
 * those that were deleted? 1, 0 (not all), -1: the server gives no answer that
 * says so.
 */
int s3_lifecycle_is_there(const struct s3_server *s, bool with_versions);

/*
 * Adds them to those of the bucket. 0, or -1 with a sentence in why.
 */
int s3_lifecycle_add(
    const struct s3_server *s, bool with_versions, char why[CTL_HTTP_WHY_MAX]);

#endif
