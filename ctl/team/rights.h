/* Commands that give and take members' rights on endpoints (M7, C1). */
#ifndef CTL_TEAM_RIGHTS_H
#define CTL_TEAM_RIGHTS_H

#include "ctl/args.h"
#include "ctl/ctl.h"

/* words: user, endpoint, rights... */
int user_run_grant(struct ctl *c, const struct args *a);
int user_run_revoke(struct ctl *c, const struct args *a);

#endif
