/* One-time logins for technicians: made here, shown once. */
#ifndef CTL_CONNECT_TICKET_H
#define CTL_CONNECT_TICKET_H

#include "ctl/target.h"
#include "common/token.h"

#define TICKET_SECONDS     60
#define TICKET_SECONDS_MAX 3600

struct ticket {
	char
	    text[TOKEN_TEXT_MAX]; /* the password: "rct_...", or 8 characters */
	int port;                 /* of a vnc_auth ticket; 0 */
	int64_t expires_ms;       /* Unix time */
};

/*
 * Makes a ticket of kind "ticket" and its audit row in a transaction of its
 * own. Returns 0 or a status after a message, such as why the person may not.
 * Wipe with ticket_wipe.
 */
int ticket_new(
    struct ctl *c, const struct target *t, int64_t seconds, struct ticket *k);

/* The same of kind "vnc_auth", on a free one of [relay] session_ports. */
int ticket_new_vnc(
    struct ctl *c, const struct target *t, int64_t seconds, struct ticket *k);

void ticket_wipe(struct ticket *k);

#endif
