/*
 * A viewer that sends any bytes: in one piece and in pieces the handshake
 * must end alike, keep its promises, and read nothing outside its piece.
 *
 * Input: a byte of choices (way in, refused or not), a byte for the size of the
 * pieces, 16 bits for the length of what comes before TLS; then what the viewer
 * sends.
 */
#include "tests/unit/handshake_play.h"

#define HEAD 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct flight clear, tls;
static struct play whole, cut;

static void
check(const struct play *p)
{
	enum rfb_server_phase phase = rfb_handshake_server_phase(p->server);

	must((p->rc < 0) == (phase == RFB_SERVER_FAILED));
	must((strchr(p->events, 'R') != NULL) == (phase == RFB_SERVER_READY));
	/* ready only by way of an answer that accepted */
	must(phase != RFB_SERVER_READY || p->reject == NULL);
	must(phase != RFB_SERVER_READY ||
	    strstr(p->events, p->mode == PLAY_AUTHENTICATED ? "AR" : "CR") !=
		NULL);
	must(strchr(p->events, 'T') == NULL || p->mode == PLAY_X509_PLAIN);
	/* TLS is never left out where it belongs to the handshake */
	must(p->mode != PLAY_X509_PLAIN || strchr(p->events, 'C') == NULL ||
	    p->events[0] == 'T');
	must(phase == RFB_SERVER_FAILED || strcmp(p->why, "no error") == 0);
}

static void
run(struct play *p, uint8_t choices, size_t piece)
{
	enum play_mode mode = (choices & 1) | (choices & 4) >> 1;

	play_server_start_as(p, mode, choices & 2 ? "no" : NULL);
	play_both(p, &clear, &tls, piece);
	check(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t n;

	if (len < HEAD || len > HEAD + RFB_HANDSHAKE_INPUT_MAX)
		return 0;
	n = min_size(load_be16(data + 2), len - HEAD);
	clear.len = tls.len = 0;
	fly(&clear, data + HEAD, n);
	fly(&tls, data + HEAD + n, len - HEAD - n);
	run(&whole, data[0], 0);
	run(&cut, data[0], 1 + data[1] % 16);
	/* bytes before TLS end both, but at one byte's distance */
	if (strcmp(whole.why, "bytes came before TLS") == 0)
		must(strcmp(whole.why, cut.why) == 0);
	else
		must(is_same_play(&whole, &cut));
	play_end(&whole);
	play_end(&cut);
	return 0;
}
