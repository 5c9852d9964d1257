/*
 * Recordings: the files (segments) of sessions, as rows; and the commands on
 * one of them.
 */
#ifndef CTL_RECORDINGS_CTL_RECORDINGS_H
#define CTL_RECORDINGS_CTL_RECORDINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/names.h"

/* SQL: a segment's (g) status for people, with its percentage (M1). */
#define RECORDING_STATUS                                                       \
	"CASE WHEN g.status = 'recording' AND g.is_capture "                   \
	"THEN 'captured now' "                                                 \
	"WHEN shown_status(g) IN ('transfer', 'encoding', 'downloading') "     \
	"THEN shown_status(g) || ' ' || shown_progress(g) || ' %' "            \
	"ELSE g.status END"

/* The files of a session, by monitor and time (T11). NULL after a message. */
json_t *recordings_json(struct ctl *c, const char *session);
/* The same as a table. Returns the exit status. */
int recordings_print(struct ctl *c, const char *session, bool utc);

/* What commands on one stored file need of its row. */
struct recording {
	char id[UUID_TEXT_MAX];
	char team_id[ID_TEXT_MAX];
	char status[24], status_detail[256];
	int progress; /* percent */
	bool is_capture;
	char store[8]; /* folder, s3; "" when not stored */
	char object_key[1024];
	char file_name[1024]; /* as browsers save it */
	char node_url[512];   /* where it is served before it is stored */
	int64_t bytes;        /* -1: not known */
	uint8_t sha256[32];
	bool has_sha256;
};

/* id: or the beginning of one. 0 or a status after a message. */
int recording_find(struct ctl *c, const char *id, struct recording *r);

/*
 * Fetches r's signed manifest (X3) to the file beside media: NAME.json for
 * NAME.webm. ca: as link_ca_file. 0, also when it has none, or a status after
 * a message.
 */
int recording_fetch_manifest(struct ctl *c, const struct recording *r,
    const char *ca, const char *media);

/* Whether it is served by the node that still has it in its spool (X1). */
bool recording_is_on_node(const struct recording *r);

/* Refuses what has no stored file, saying why. 0 or STATUS_FAILED. */
int recording_must_be_stored(const struct recording *r);

/* encode.c, review.c, timeline.c, link.c, fetch.c, verify.c */
int recordings_run_review(struct ctl *c, const struct args *a);
int recordings_run_unreview(struct ctl *c, const struct args *a);
int recordings_run_timeline(struct ctl *c, const struct args *a);
int recordings_run_link(struct ctl *c, const struct args *a);
int recordings_run_fetch(struct ctl *c, const struct args *a);
int recordings_run_verify(struct ctl *c, const struct args *a);
int recordings_run_zip(struct ctl *c, const struct args *a);
int recordings_run_clip(struct ctl *c, const struct args *a);
int recordings_run_encode(struct ctl *c, const struct args *a);
int recordings_run_import(struct ctl *c, const struct args *a);

#endif
