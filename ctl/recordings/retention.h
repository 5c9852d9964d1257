/* What a changed retention would delete (T12), said before it does. */
#ifndef CTL_RECORDINGS_RETENTION_H
#define CTL_RECORDINGS_RETENTION_H

#include <stdbool.h>

struct ctl;
struct team_ref;

/*
 * Prints what `retention_days` = days would do to recordings that are stored,
 * in the team's zone (T7). is_deleting: whether any would be deleted earlier
 * than now. Returns 0 or STATUS_FAILED after a message.
 */
int retention_say(struct ctl *c, const struct team_ref *team,
    const char *access, const char *days, bool *is_deleting);

#endif
