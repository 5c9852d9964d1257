/*
 * How an endpoint that dials in proves who it is: an agent by a certificate
 * that it gets for a token, a VNC server by a secret in its ID or by the
 * client certificate of its stunnel. Made here, shown once.
 */
#ifndef CTL_ENDPOINT_ENDPOINT_ACCESS_H
#define CTL_ENDPOINT_ENDPOINT_ACCESS_H

#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/endpoint/relay_address.h"
#include "common/token.h"

#define ENROL_SECONDS     86400
#define ENROL_SECONDS_MAX (30 * 86400)

struct endpoint_access {
	const char *kind; /* direct, agent, reverse */
	const char *name; /* of the endpoint */
	struct token token;
	bool by_certificate; /* reverse: no ID */
	int64_t seconds;     /* agent: how long the token is good */
	struct relay_address relay;
};

/*
 * Takes name and --valid from the arguments, and the relay's address for
 * kinds that need it; w->kind is set before. Returns 0 or a status after a
 * message.
 */
int endpoint_access_prepare(
    struct ctl *c, const struct args *a, struct endpoint_access *w);

/*
 * Makes and stores the token or secret of endpoint id, in the caller's
 * transaction; what was made before and not used is worth nothing then.
 * client_cert: bytea text, NULL: a secret in the ID. Nothing for kind direct.
 * Returns 0 or STATUS_FAILED.
 */
int endpoint_access_new(struct ctl *c, const char *id, const char *client_cert,
    struct endpoint_access *w);

/* What to do on the endpoint, with the exact lines. To be called once all
 * is stored; the secret is shown nowhere else. */
int endpoint_access_print(
    const struct ctl *c, const struct args *a, const struct endpoint_access *w);

void endpoint_access_wipe(struct endpoint_access *w);

int endpoint_run_token(struct ctl *c, const struct args *a);
int endpoint_run_revoke(struct ctl *c, const struct args *a);

#endif
