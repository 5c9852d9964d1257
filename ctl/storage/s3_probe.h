/*
 * What the S3 key may do: a small object and an upload in parts are made,
 * read, listed and removed again under a name of their own. Blocking.
 */
#ifndef CTL_STORAGE_S3_PROBE_H
#define CTL_STORAGE_S3_PROBE_H

#include <stdbool.h>

#include "common/conf.h"
#include "ctl/ctl_http.h"

/* One step's outcome; everything is valid for the call. */
struct s3_probe_result {
	const char *key;     /* of the probe object */
	const char *right;   /* as policies name it: "s3:PutObject" */
	const char *without; /* what does not work without it */
	bool is_needed;      /* storage cannot do without it */
	bool works;
	long status;   /* HTTP; -1: no answer, why says more */
	char code[64]; /* <Code> of an error, or "" */
	char why[CTL_HTTP_WHY_MAX];
};
typedef void s3_probe_cb(void *arg, const struct s3_probe_result *r);

/*
 * Tries each right; on_result is called for each step in turn. When nothing
 * can be stored, that is the only one. Returns 0, or -1 with a sentence in
 * why: the settings or the key file are wrong, nothing was sent.
 */
int s3_probe(const struct conf_store *conf, s3_probe_cb *on_result, void *arg,
    char why[CTL_HTTP_WHY_MAX]);

#endif
