/* The options that describe an endpoint, checked and ready for the row. */
#ifndef CTL_ENDPOINT_ENDPOINT_ARGS_H
#define CTL_ENDPOINT_ENDPOINT_ARGS_H

#include <jansson.h>

#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/team/secret.h"

struct endpoint_args {
	const char *title, *access, *username; /* borrowed; NULL: not given */
	const char *tls_name;
	const char *allow_clear; /* "t", "f" or NULL */
	char *host, *port;       /* heap from here on */
	char *sealed;            /* password, bytea text */
	char *ca_pem;
	char *pin;         /* bytea text */
	char *client_cert; /* SHA-256 of it, bytea text; kind reverse */
	bool no_username, no_password, no_ca, no_pin, no_tls_name;
	const char *kind;    /* direct, agent, reverse; NULL: not given */
	const char *consent; /* off, ask; NULL: not given */
	const char *capture; /* relay, device, both; NULL: not given */
	bool team_consent;   /* back to the team's setting */
};

/* Returns 0 or a status after a message; release in either case. */
int endpoint_args_read(
    struct ctl *c, const struct args *a, struct endpoint_args *e);
/* What the row has before the change; all false for a new one. */
struct endpoint_had {
	bool host, ca, pin, allow_clear;
};

/*
 * Do these options go with this kind, and with what the row has? Returns 0,
 * or STATUS_USAGE after a message.
 */
int endpoint_args_check(const struct endpoint_args *e, const char *kind,
    const struct endpoint_had *had);

/* What of them is in the audit log: never the password. */
json_t *endpoint_args_detail(const struct endpoint_args *e);

void endpoint_args_release(struct endpoint_args *e);

#endif
