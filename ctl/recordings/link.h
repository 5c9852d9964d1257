/*
 * Links to stored files that die after a while (T6), and the audit row that
 * each of them leaves (X7).
 */
#ifndef CTL_RECORDINGS_LINK_H
#define CTL_RECORDINGS_LINK_H

#include "common/clock.h"
#include "ctl/ctl_http.h"
#include "ctl/recordings/ctl_recordings.h"

struct signed_link {
	char url[4096];
	char expires_at[CLOCK_TEXT_MAX];
	uint64_t expires_ns; /* Unix time */
};

/*
 * Makes a link to r's file and writes the audit row `action`. person: whose
 * link it is, NULL for nobody's; a link of a person who may not watch is
 * refused. action: "link", or what this program does with it; then it leads to
 * the S3 server itself. Returns 0 or a status after a message.
 */
int link_new(struct ctl *c, const struct recording *r,
    const struct person_ref *person, const char *action,
    struct signed_link *out);

/*
 * A link to what a storage daemon makes when it is asked for, a clip or a ZIP,
 * whose key is in r; nobody's, without an audit row: it has one. files_url: of
 * a storage daemon, "" for none. Returns as link_new.
 */
int link_to_daemon(struct ctl *c, const struct recording *r,
    const char *files_url, struct signed_link *out);

/* Writes what the link leads to into a new file; what: its name in messages.
 * Nothing is left of one that is not complete. Returns 0 or STATUS_FAILED after
 * a message. */
int link_save(const struct signed_link *link, const char *ca_file,
    const char *path, const char *what);

/* CA file to check the link's server with: given, or by the settings. */
const char *link_ca_file(
    const struct ctl *c, const struct recording *r, const char *given);

#endif
