/*
 * An endpoint that speaks RSA-AES up to some point, and then says anything:
 * the handshake ends or waits, in one piece and in pieces alike, and the
 * password leaves only after the right hash.
 *
 * Input: a byte of choices (128 or 256 bits; login only; where the endpoint
 * goes astray), a byte for the size of the pieces; then the bytes it says,
 * sealed or not.
 */
#include "tests/unit/handshake_play.h"
#include "tests/unit/ra2_server.h"

#define HEAD 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum astray {
	ASTRAY_KEY,
	ASTRAY_RANDOM,
	ASTRAY_MESSAGE,    /* bytes instead of a message */
	ASTRAY_PLAIN,      /* a sealed message, instead of the hash */
	ASTRAY_AFTER_HASH, /* a sealed message behind the hash */
	ASTRAY_RESULT,     /* after the password */
	ASTRAY_N,
};

static struct rfb_ra2_key *relay_key, *endpoint_key;
static struct ra2_server server;
static struct flight flight;
static struct play whole, cut;

static void
say(struct play *p, const void *data, size_t n, size_t piece)
{
	flight.len = 0;
	fly(&flight, data, n);
	play_flight(p, &flight, piece);
}

static void
say_server(struct play *p, size_t piece)
{
	say(p, server.out, server.n_out, piece);
	server.n_out = 0;
}

static void
start(struct play *p, uint8_t choices, size_t piece)
{
	static const uint8_t kinds[] = { RFB_SEC_RA2, RFB_SEC_RA2_256,
		RFB_SEC_RA2NE, RFB_SEC_RA2NE_256 };
	const struct rfb_client_params params = { .user = "alice",
		.password = "geheim12",
		.allow_clear = true,
		.ra2_key = relay_key };
	uint8_t types[2] = { 1, kinds[choices & 3] };

	memset(&server, 0, sizeof(server));
	server.key = endpoint_key;
	server.is_256 = choices & 1;
	play_client_start(p, &params);
	say(p, "RFB 003.008\n", 12, piece);
	say(p, types, sizeof(types), piece);
}

static void
put_hash(void)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	size_t n = ra2_server_hash(&server, hash);

	ra2_put_sealed(&server, hash, n);
}

static void
dialogue(struct play *p, enum astray astray, const uint8_t *data, size_t len,
    size_t piece)
{
	size_t n_said = buf_len(&p->out);

	if (astray == ASTRAY_KEY) {
		say(p, data, len, piece);
		return;
	}
	say(p, endpoint_key->wire, endpoint_key->wire_len, piece);
	if (astray == ASTRAY_RANDOM) {
		say(p, data, len, piece);
		return;
	}
	ra2_server_open(
	    &server, buf_head(&p->out) + n_said, buf_len(&p->out) - n_said);
	if (astray == ASTRAY_MESSAGE)
		ra2_put(&server, data, len);
	else if (astray == ASTRAY_AFTER_HASH || astray == ASTRAY_RESULT)
		put_hash();
	if ((astray == ASTRAY_PLAIN || astray == ASTRAY_AFTER_HASH) && len > 0)
		ra2_put_sealed(&server, data, len);
	if (astray == ASTRAY_RESULT)
		ra2_put_sealed(&server, "\1", 1);
	say_server(p, piece);
	if (astray == ASTRAY_RESULT && p->rc >= 0)
		say(p, data, len, piece);
}

static void
run(struct play *p, const uint8_t *data, size_t len, size_t piece)
{
	enum astray astray = (data[0] >> 2) % ASTRAY_N;
	uint8_t choices = data[0];

	start(p, choices, piece);
	dialogue(p, astray, data + HEAD, len - HEAD, piece);
	snprintf(
	    p->why, sizeof(p->why), "%s", rfb_handshake_client_why(p->client));
	must(strchr(p->events, 'R') == NULL || p->rc >= 0);
	/* nobody who does not know the hash gets so far */
	if (astray < ASTRAY_AFTER_HASH)
		must(strpbrk(p->events, "SR") == NULL);
	ra2_server_release(&server);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < HEAD || len > HEAD + 2048)
		return 0;
	if (relay_key == NULL) {
		relay_key = rfb_ra2_key_new(1024);
		endpoint_key = rfb_ra2_key_new(1032);
		must(relay_key != NULL && endpoint_key != NULL);
	}
	run(&whole, data, len, 0);
	run(&cut, data, len, 1 + data[1] % 64);
	must(is_alike_play(&whole, &cut));
	play_end(&whole);
	play_end(&cut);
	return 0;
}
