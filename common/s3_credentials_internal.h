/* What s3_credentials.c and s3_credentials_answer.c share. */
#ifndef COMMON_S3_CREDENTIALS_INTERNAL_H
#define COMMON_S3_CREDENTIALS_INTERNAL_H

#include "common/s3_credentials.h"

/* Values of the setting, by enum s3_credentials_source. */
extern const char *const s3_credentials_sources[4];

/* Writes a sentence into why; returns err. */
__attribute__((format(printf, 4, 5))) int s3_credentials_refuse(
    char *why, size_t why_len, int err, const char *fmt, ...);

#endif
