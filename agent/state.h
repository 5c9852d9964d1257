/*
 * What enrolment leaves on the endpoint, in one folder (mode 0700):
 * identity.pem (agent/identity.h), enrolment.conf, and ca.pem when a CA was
 * named. New files are written beside the old ones and renamed when the
 * relay has said yes, so a failed enrolment changes nothing.
 */
#ifndef AGENT_STATE_H
#define AGENT_STATE_H

#include <stddef.h>

#include "agent/identity.h"
#include "agent/settings.h"

struct enrolment {
	char *relay, *endpoint, *team, *pin, *ca_file; /* heap or NULL */
};

/* Makes the folder and writes the new identity and CA file into it. Returns
 * 0 or ERR_IO with a sentence in why. */
int state_prepare(const struct settings *s, const struct identity *id,
    char *why, size_t why_len);

/* Puts them in force together with e. Same. */
int state_commit(const struct settings *s, const struct enrolment *e, char *why,
    size_t why_len);

/* Removes what state_prepare made. */
void state_abandon(const struct settings *s);

/*
 * Reads identity and enrolment; fills relay, CA and pin of the settings
 * where those are unset. Returns 0, or ERR_NOTFOUND, ERR_IO, ERR_CORRUPT
 * with a sentence in why.
 */
int state_load(
    struct settings *s, struct identity *id, char *why, size_t why_len);

#endif
