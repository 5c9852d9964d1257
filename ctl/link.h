/*
 * Links to stored files that die after a while (T6), and the audit row that
 * each of them leaves (X7).
 */
#ifndef CTL_LINK_H
#define CTL_LINK_H

#include "common/clock.h"
#include "ctl/http.h"
#include "ctl/recordings.h"

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
 * A link to the clip, or its manifest, whose key is in r; nobody's, without an
 * audit row: the clip has one. files_url: of a storage daemon, "" for none.
 * Returns as link_new.
 */
int link_to_clip(struct ctl *c, const struct recording *r,
    const char *files_url, struct signed_link *out);

/* CA file to check the link's server with: given, or by the settings. */
const char *link_ca_file(
    const struct ctl *c, const struct recording *r, const char *given);

#endif
