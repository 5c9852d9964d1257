/* The end of every way to log in: the cookie. */
#ifndef CONSOLE_API_LOGIN_OPEN_H
#define CONSOLE_API_LOGIN_OPEN_H

struct request;

#define LOGIN_PASSWORD       "password"
#define LOGIN_SINGLE_SIGN_ON "single sign-on"
#define LOGIN_FIRST_RUN      "first-run link"

#define LOGIN_FACTOR_ASKED                                                     \
	"Log in with a code of the authenticator, or a passkey, too."

/* Fills r->person from the object that a statement answers with: id, user,
 * role, team_id, team, time_zone. */
void login_take_person(struct request *r, const char *answer);

/*
 * Makes a login for r->person (all fields but is_token, scopes and credential
 * are set), sends its cookie and answers: by r->login_done when it is set, else
 * as GET me does. how: what the person proved, for the audit log
 * ("password"); a literal. Somebody who was disabled meanwhile, or whose team
 * logs in by single sign-on alone, gets 403. A single factor of somebody who
 * has no second one, where the team requires it, makes a limited login; of
 * somebody who set one up meanwhile, it gets 401 second-factor.
 */
void login_open(struct request *r, const char *how);

#endif
