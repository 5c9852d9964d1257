/* Is the endpoint who it should be? Its certificate, by CA or pin, and the
 * key of RA2; checked before anything secret is sent. */
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/http.h"
#include "common/tls.h"
#include "relay/base/ca_stores.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"

/*
 * A chain to the CA of its settings, and more: the name in its certificate,
 * or the pin, which is compared after the handshake. A chain alone is what
 * every certificate of that CA has. ERR_CONFIG: refused.
 */
static int
demand_chain(struct relay_session *s)
{
	const struct authorization *a = &s->authorization;
	const char *name = a->tls_name != NULL ? a->tls_name : a->host;
	SSL *ssl = s->pump.endpoint.transport.ssl;
	int rc = ca_store_get(&s->ca_store, a->ca_pem);

	if (rc == ERR_CONFIG)
		session_endpoint_refuse(
		    s, "has a CA in its settings that is no certificate", "");
	if (rc != 0)
		return rc;
	SSL_set1_verify_cert_store(ssl, s->ca_store);
	rc = tls_client_verify(ssl, name);
	if (rc == ERR_CONFIG && a->has_pin)
		return 0;
	if (rc == ERR_CONFIG)
		session_endpoint_refuse(s,
		    "has a CA in its settings, but neither a name for its "
		    "certificate nor a pin; set one with relaycam endpoint "
		    "set --tls-name or --pin",
		    "");
	return rc;
}

void
session_endpoint_start_tls(struct relay_session *s)
{
	int rc = transport_start_tls(
	    &s->pump.endpoint.transport, s->loop->relay->client_ctx, false);

	if (rc == 0 && s->authorization.ca_pem != NULL)
		rc = demand_chain(s);
	else if (rc == 0)
		/* the pin is compared below; without one, first use pins */
		SSL_set_verify(
		    s->pump.endpoint.transport.ssl, SSL_VERIFY_NONE, NULL);
	if (rc == ERR_CONFIG)
		return;
	if (rc != 0) {
		session_refuse(s, "the relay is out of memory");
		return;
	}
	session_set_state(s, SESSION_ENDPOINT_TLS, SESSION_SAME_DEADLINE);
}

static void
remember_pin(struct relay_session *s)
{
	char pin[65], id[24];
	const char *params[] = { id, pin, s->name.person, s->name.endpoint };

	http_hex(s->seen_pin, 32, pin);
	snprintf(
	    id, sizeof(id), "%lld", (long long)s->authorization.endpoint_id);
	db_retry_write(s->loop, "endpoint pin",
	    "WITH u AS (UPDATE endpoints SET tls_pin_sha256 = decode($2, "
	    "'hex') WHERE id = $1 AND tls_pin_sha256 IS NULL AND NOT "
	    "allow_clear RETURNING team_id) INSERT INTO audit (team_id, "
	    "actor, action, object, detail) SELECT team_id, $3, "
	    "'endpoint_pinned', $4, "
	    "jsonb_build_object('sha256', $2::text) FROM u",
	    4, params);
}

/* seen_pin is the endpoint's; else it is refused. */
static bool
pin_is_right(struct relay_session *s)
{
	if (s->authorization.has_pin &&
	    memcmp(s->seen_pin, s->authorization.pin, sizeof(s->seen_pin)) !=
		0) {
		session_endpoint_refuse(s,
		    "showed another certificate or key than the one it is "
		    "pinned to; if it was replaced on purpose, set the "
		    "new one with relaycam endpoint set --pin",
		    "");
		return false;
	}
	/* where clear is allowed, a pin would protect nothing */
	if (!s->authorization.has_pin && s->authorization.ca_pem == NULL &&
	    !s->authorization.allow_clear)
		remember_pin(s);
	return true;
}

/* The certificate is checked before anything secret is sent. */
bool
session_endpoint_check_certificate(struct relay_session *s)
{
	if (tls_peer_sha256(s->pump.endpoint.transport.ssl, s->seen_pin) == 0)
		return pin_is_right(s);
	session_endpoint_refuse(s, "showed no certificate", "");
	return false;
}

/* RA2: so is its RSA key, which no CA vouches for. */
bool
session_endpoint_check_key(struct relay_session *s)
{
	memcpy(s->seen_pin,
	    rfb_handshake_client_key_sha256(s->endpoint_handshake),
	    sizeof(s->seen_pin));
	if (s->authorization.ca_pem != NULL && !s->authorization.has_pin) {
		session_endpoint_refuse(s,
		    "offers RA2, whose keys no CA vouches for; pin its key "
		    "with relaycam endpoint set --pin",
		    rfb_handshake_client_key_text(s->endpoint_handshake));
		return false;
	}
	if (!pin_is_right(s))
		return false;
	if (rfb_handshake_client_key_checked(s->endpoint_handshake) == 0 &&
	    channel_flush(&s->pump.endpoint) == 0)
		return true;
	session_endpoint_refuse(s, "closed the connection", "");
	return false;
}

void
session_endpoint_tls_failed(struct relay_session *s)
{
	char why[128];
	long verify = SSL_get_verify_result(s->pump.endpoint.transport.ssl);

	if (verify != X509_V_OK)
		session_endpoint_refuse(s,
		    "showed a certificate that is not trusted",
		    X509_verify_cert_error_string(verify));
	else
		session_endpoint_refuse(
		    s, "could not start TLS", tls_error(why, sizeof(why)));
}

/* What only the check needed: about 10 KB that would live as long as the
 * session. Nothing is verified twice, renegotiation is off. */
void
session_endpoint_forget_chain(struct relay_session *s)
{
	SSL *ssl = s->pump.endpoint.transport.ssl;
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

	/* the stack is the connection's, so are the references in it */
	while (sk_X509_num(chain) > 0)
		X509_free(sk_X509_pop(chain));
	SSL_set1_verify_cert_store(ssl, NULL);
	X509_STORE_free(s->ca_store);
	s->ca_store = NULL;
}
