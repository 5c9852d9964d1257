/* A password of somebody who is logged in. */
#ifndef CONSOLE_API_LOGIN_AGAIN_H
#define CONSOLE_API_LOGIN_AGAIN_H

struct request;

/*
 * Goes on with then when the body's member "password" is the person's; a wrong
 * one counts as a wrong login does, behind the same throttle, and is answered
 * with 403. Uses r->state.
 */
void login_again(struct request *r, void (*then)(struct request *r));

#endif
