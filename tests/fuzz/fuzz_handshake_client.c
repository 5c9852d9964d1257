/*
 * An endpoint that sends any bytes: in one piece and in pieces the handshake
 * must end alike, keep its promises, and read nothing outside its piece.
 *
 * Input: a byte of choices, a byte for the size of the pieces, 16 bits for
 * the length of what comes before TLS; then what the endpoint sends.
 */
#include "rfb/ra2.h"
#include "tests/unit/handshake_play.h"

#define HEAD 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct flight clear, tls;
static struct play whole, cut;

/* Without leave nothing is authenticated or shown outside TLS. */
static void
check_ready(const struct play *p, const struct rfb_client_params *params)
{
	const struct rfb_server_init *init =
	    rfb_handshake_client_init(p->client);

	must(params->allow_clear || strcmp(p->events, "TR") == 0 ||
	    strcmp(p->events, "KSR") == 0);
	must(init->width >= 1 && init->width <= RFB_MAX_SIDE);
	must(init->height >= 1 && init->height <= RFB_MAX_SIDE);
	must(init->name_len <= RFB_MAX_NAME);
	must(init->name[init->name_len] == '\0');
	must(rfb_handshake_client_chosen(p->client)[0] != '\0');
}

static void
check_text(const char *text)
{
	for (; *text != '\0'; text++)
		must((uint8_t)*text >= 0x20 && *text != 0x7f);
}

/* One for all runs. */
static const struct rfb_ra2_key *
own_key(void)
{
	static struct rfb_ra2_key *key;

	if (key == NULL)
		key = rfb_ra2_key_new(RFB_RA2_BITS_MIN);
	must(key != NULL);
	return key;
}

static void
run(struct play *p, uint8_t choices, size_t piece)
{
	const struct rfb_client_params params = {
		.user = choices & 1 ? "alice" : NULL,
		.password = choices & 2 ? "geheim12" : NULL,
		.allow_clear = (choices & 4) != 0,
		.ra2_key = choices & 8 ? own_key() : NULL,
	};

	play_client_start(p, &params);
	play_both(p, &clear, &tls, piece);
	check_text(p->why);
	check_text(rfb_handshake_client_offered(p->client));
	if (strchr(p->events, 'R') != NULL)
		check_ready(p, &params);
	else
		must(p->rc >= 0 || strcmp(p->why, "no error") != 0);
	/* a password never leaves as it is but for X509Plain */
	if (buf_len(&p->out) != 0 && !p->wants_tls)
		must(memmem(buf_head(&p->out), buf_len(&p->out), "geheim12",
			 8) == NULL);
}

/* These logins draw numbers of their own. */
static bool
has_random(const struct play *p)
{
	const char *chosen = rfb_handshake_client_chosen(p->client);

	return strcmp(chosen, "Apple Diffie-Hellman") == 0 ||
	    strcmp(chosen, "MS-Logon II") == 0 ||
	    strncmp(chosen, "RA2", 3) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char early[] =
	    "the endpoint sent bytes before TLS was started";
	size_t n;

	if (len < HEAD || len > HEAD + sizeof(clear.data))
		return 0;
	n = min_size(load_be16(data + 2), len - HEAD);
	clear.len = tls.len = 0;
	fly(&clear, data + HEAD, n);
	fly(&tls, data + HEAD + n, len - HEAD - n);
	run(&whole, data[0], 0);
	run(&cut, data[0], 1 + data[1] % 16);
	/* bytes before TLS end both, but at one byte's distance */
	if (strcmp(whole.why, early) == 0)
		must(strcmp(whole.why, cut.why) == 0);
	else if (has_random(&whole))
		must(is_alike_play(&whole, &cut));
	else
		must(is_same_play(&whole, &cut));
	play_end(&whole);
	play_end(&cut);
	return 0;
}
