/* A VNC server that dialled out: which endpoint is it? By a secret in its
 * repeater ID, or by the certificate of the TLS tunnel it came through. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "relay/login/authorization.h"
#include "common/login/login_attempt.h"
#include "relay/login/address_failures.h"
#include "relay/listener/conn.h"
#include "relay/relay.h"
#include "rfb/repeater.h"

/* A lookup that outlives its connection if need be. */
struct lookup {
	struct conn *conn; /* NULL: it is gone */
	struct loop *loop;
	struct login_attempt attempt;
	bool is_asking; /* the database */
	char name[RFB_REPEATER_TEXT_MAX + 1];
	char secret[65], pin[65]; /* SHA-256, hex; "": none */
	char client_addr[CLIENT_ADDR_LEN];
};

static void
lookup_free(struct lookup *k)
{
	login_attempt_release(&k->attempt);
	free(k);
}

static void
count_failure(struct lookup *k)
{
	struct relay *r = k->loop->relay;

	atomic_fetch_add(&r->stats.login_failures, 1);
	reject_log_add(&r->rejects, REJECT_REVERSE, k->client_addr, k->name);
	address_failures_add(k->loop->db, k->client_addr);
	login_attempt_end(&k->attempt, LOGIN_WRONG);
}

static void
on_endpoint(void *arg, PGresult *res)
{
	struct lookup *k = arg;
	struct conn *c = k->conn;
	struct authorization authorization;

	if (c == NULL)
		goto out;
	c->lookup = NULL;
	if (!db_ok(res, "endpoint that dialled in") ||
	    authorization_read(&authorization, res, k->loop->relay->seal_key) !=
		0) {
		conn_close(c, "the relay's database cannot be reached");
	} else if (authorization.endpoint_id == 0) {
		authorization_release(&authorization);
		count_failure(k);
		conn_close(c,
		    "no endpoint has this ID and secret, or this certificate");
	} else if (authorization.is_secret_bad) {
		authorization_release(&authorization);
		conn_close(c,
		    "the endpoint's stored password cannot be opened with "
		    "this relay's seal key");
	} else {
		login_attempt_end(&k->attempt, LOGIN_RIGHT);
		k->loop->conn_ops->on_reverse(
		    k->loop, &c->peer, &authorization, &c->channel, &c->slot);
		conn_handed_over(c);
	}
out:
	lookup_free(k);
}

/* "" where there is nothing to look for. */
static void
hash_secret(const char *secret, char hex[65])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	hex[0] = '\0';
	if (secret[0] == '\0')
		return;
	crypto_hash_sha256(hash, (const uint8_t *)secret, strlen(secret));
	http_hex(hash, sizeof(hash), hex);
}

static void
ask(void *arg)
{
	struct lookup *k = arg;
	const char *params[] = { k->pin, k->name, k->secret };

	if (db_query_now(k->loop->db, authorization_reverse_query, 3, params,
		on_endpoint, k) == 0)
		k->is_asking = true;
	else
		conn_close(k->conn, "the relay's database is away");
}

static void
on_failures(void *arg, PGresult *res)
{
	struct lookup *k = arg;

	k->is_asking = false;
	if (k->conn == NULL)
		lookup_free(k);
	else if (!address_failures_learn(&k->attempt, res))
		conn_close(k->conn, "the relay's database cannot be reached");
	else if (login_attempt_wait(&k->attempt, ask, k) != 0)
		conn_close(k->conn, "out of memory");
}

static void
look_up(struct conn *c, const struct rfb_repeater_hello *hello)
{
	struct timeval tv = { c->loop->relay->conf.login_seconds, 0 };
	struct lookup *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		conn_close(c, "out of memory");
		return;
	}
	k->conn = c;
	k->loop = c->loop;
	strcpy(k->name, hello->endpoint);
	memcpy(k->client_addr, c->peer.client_addr, sizeof(k->client_addr));
	if (c->peer.has_pin)
		http_hex(c->peer.pin, sizeof(c->peer.pin), k->pin);
	hash_secret(hello->secret, k->secret);
	c->lookup = k;
	channel_read(&c->channel, false);
	event_add(c->deadline, &tv); /* wrong ones before it make it wait */
	login_attempt_set(&k->attempt, c->loop->relay->throttle, c->loop->base,
	    c->peer.client_addr, "reverse",
	    k->name[0] != '\0' ? k->name : k->pin, false);
	if (address_failures_ask(k->loop->db, k->client_addr, on_failures, k) ==
	    0)
		k->is_asking = true;
	else
		conn_close(c, "the relay's database is away");
}

/* The answer that is on its way frees it. */
void
conn_lookup_cancel(struct conn *c)
{
	struct lookup *k = c->lookup;

	c->lookup = NULL;
	if (k == NULL)
		return;
	k->conn = NULL;
	if (!k->is_asking)
		lookup_free(k);
}

void
conn_feed_reverse(struct conn *c)
{
	struct rfb_repeater_hello hello = { "", "", "" };
	size_t used;
	int rc;

	if (c->lookup != NULL)
		return;
	rc = rfb_repeater_parse(
	    &hello, buf_head(&c->channel.in), buf_len(&c->channel.in), &used);
	if (rc == RFB_REPEATER_MORE)
		return;
	if (rc < 0) {
		conn_close(c,
		    "that is no VNC server: neither a repeater's ID nor RFB");
		return;
	}
	if (rc == RFB_REPEATER_PLAIN && !c->peer.has_pin) {
		conn_close(c,
		    "a server without an ID needs TLS with a client "
		    "certificate (stunnel)");
		return;
	}
	buf_consume(&c->channel.in, used);
	look_up(c, &hello);
	wipe(&hello, sizeof(hello));
}
