/* People's links to who they are at single sign-on: verbs of relaycam user. */
#ifndef CTL_TEAM_SINGLE_SIGN_ON_H
#define CTL_TEAM_SINGLE_SIGN_ON_H

#include "ctl/args.h"
#include "ctl/ctl.h"

/* user link NAME --subject TEXT, user unlink NAME */
int user_run_link(struct ctl *c, const struct args *a);
int user_run_unlink(struct ctl *c, const struct args *a);

#endif
