/*
 * Legal holds of locked recordings (M6), where the bucket has object lock as
 * "relaycam storage init" found it: object, poster and signed manifest. Rows
 * whose `locked` and `legal_hold` differ are worked off, one at a time, at
 * each change of a row and every expiry_seconds; what fails is tried again
 * then. Any number of daemons may do it: a hold that is there already is set
 * again without harm. On the loop.
 */
#ifndef STORAGE_HOLD_H
#define STORAGE_HOLD_H

struct daemon;
struct hold;

/* Sets d->hold. 0 or ERR_NOMEM. */
int hold_new(struct daemon *d);
void hold_free(struct hold *h);
/* Looks within a second, or again after it has looked; cheap, once a second
 * however often it is called. */
void hold_kick(struct hold *h);

#endif
