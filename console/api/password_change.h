/* New passwords: hashed where logins are checked, never on the loop. */
#ifndef CONSOLE_API_PASSWORD_CHANGE_H
#define CONSOLE_API_PASSWORD_CHANGE_H

struct request;

#define PASSWORD_MIN 8 /* as `relaycam user` has it */
#define PASSWORD_MAX 1024

/* A row of a const table for body_check(). */
#define PASSWORD_MEMBER(needed)                                                \
	{                                                                      \
		"password", .kind = MEMBER_TEXT, .lo = PASSWORD_MIN,           \
			    .hi = PASSWORD_MAX, .is_needed = (needed)          \
	}

/*
 * Puts the body's member "password_hash" in place of "password", which has to
 * be there, and calls then. When that cannot be, the request is answered.
 */
void password_change(struct request *r, void (*then)(struct request *r));

/* 429: the queue of password checks is full. */
void password_too_busy(struct request *r);

#endif
