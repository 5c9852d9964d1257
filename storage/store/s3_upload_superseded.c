/* What follows when the condition of an upload was refused (412). */
#include <string.h>

#include "common/log.h"
#include "manifest/object_key.h"
#include "storage/store/s3_upload.h"

/*
 * What is there is still what the first stat saw, so the condition was true:
 * the server compares in another way. Ceph 16 takes the quotes of If-Match for
 * a part of the ETag.
 */
static bool
is_misread(const struct upload *u, const struct s3_response *r)
{
	size_t len = strlen(r->etag);

	return u->is_conditional && r->err == 0 && len > 0 &&
	    strlen(u->replaces) == len + 2 &&
	    memcmp(u->replaces + 1, r->etag, len) == 0;
}

/* The whole file, without a condition. */
static void
send_again(struct upload *u)
{
	log_warn("condition_misread", LOG_S("key", u->put.key),
	    LOG_SESSION_OF(u->put.key), LOG_S("if_match", u->replaces));
	u->is_conditional = false;
	memset(u->parts, 0, u->n_parts * sizeof(*u->parts));
	u->bytes_done = 0;
	if (u->n_parts == 1)
		s3_upload_part(u);
	else
		s3_upload_clean(u);
}

static void
on_other_seen(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	if (is_misread(u, r)) {
		send_again(u);
		return;
	}
	if (r->err == 0)
		log_warn("stored_by_another", LOG_S("key", u->put.key),
		    LOG_SESSION_OF(u->put.key));
	s3_upload_on_stored(u, r);
}

static void
on_own_aborted(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	if (r->err != 0 && !s3_upload_is_lost(r))
		log_warn("upload_not_aborted", LOG_S("key", u->put.key),
		    LOG_SESSION_OF(u->put.key), LOG_S("why", r->detail));
	s3_upload_stat(u, on_other_seen);
}

void
s3_upload_superseded(struct upload *u)
{
	memset(&u->r, 0, sizeof(u->r));
	if (u->upload_id[0] == '\0') {
		s3_upload_stat(u, on_other_seen);
		return;
	}
	strcpy(u->stale_id, u->upload_id);
	s3_upload_forget(u);
	s3_upload_abort(u, on_own_aborted);
}
