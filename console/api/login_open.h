/* The end of every way to log in: the cookie. */
#ifndef CONSOLE_API_LOGIN_OPEN_H
#define CONSOLE_API_LOGIN_OPEN_H

struct request;

/*
 * Makes a login for r->person (all fields but is_token, scopes and credential
 * are set), sends its cookie and answers as GET me does. how: what the person
 * proved, for the audit log ("password"); a literal. Whoever was disabled
 * meanwhile gets 401.
 */
void login_open(struct request *r, const char *how);

#endif
