/*
 * Logs in to a VNC server the way the relay does, and says what came of it:
 * for tests against peers of other make.
 *
 * usage: rfb_login PORT [--clear] [--no-ra2] [--user NAME]
 *        the password is read from the environment: VNC_PASSWORD
 *
 * Prints "chosen NAME", "key SHA256 TEXT" where there is an RSA key,
 * "desktop WxH NAME", then "message BYTES" with the first bytes of the
 * session, in hex, if the server sends any before it closes. Exit status 1
 * and a sentence on standard error when it does not come to that.
 */
#include <arpa/inet.h>
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "rfb/handshake_client.h"
#include "rfb/ra2.h"
#include "rfb/ra2_stream.h"

#define WAIT_MS 20000

static int fd = -1;
static struct buf in, out; /* of the handshake */
static struct buf wire;    /* still sealed */
static struct rfb_ra2_stream *cipher;
static struct rfb_handshake_client *h;

static void
write_all(const uint8_t *data, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, data, n);

		if (done <= 0)
			err(1, "write");
		data += done;
		n -= (size_t)done;
	}
}

static void
flush(void)
{
	static uint8_t sealed[RFB_RA2_SEAL_MAX + RFB_RA2_OVERHEAD];
	ssize_t n;

	if (buf_len(&out) != 0 && cipher != NULL) {
		n = rfb_ra2_seal(cipher, buf_head(&out), buf_len(&out), sealed);
		if (n < 0)
			errx(1, "seal: %zd", n);
		write_all(sealed, (size_t)n);
	} else if (buf_len(&out) != 0) {
		write_all(buf_head(&out), buf_len(&out));
	}
	buf_consume(&out, buf_len(&out));
}

/* Moves what can be opened from wire to in. */
static void
open_wire(void)
{
	static uint8_t plain[RFB_RA2_PLAIN_MAX];
	ssize_t used;
	size_t n;

	while ((used = rfb_ra2_open(cipher, buf_head(&wire), buf_len(&wire),
		    plain, sizeof(plain), &n)) > 0) {
		buf_consume(&wire, (size_t)used);
		if (buf_append(&in, plain, n) != 0)
			errx(1, "too much input");
	}
	if (used < 0)
		errx(1, "open: %zd", used);
}

/* Waits for bytes; false when the server has closed. */
static int
fill(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t data[4096];
	ssize_t n;

	if (poll(&p, 1, WAIT_MS) != 1)
		errx(1, "the server is silent; awaited: %s",
		    rfb_handshake_client_phase(h));
	n = read(fd, data, sizeof(data));
	if (n <= 0)
		return 0;
	if (buf_append(cipher != NULL ? &wire : &in, data, (size_t)n) != 0)
		errx(1, "too much input");
	if (cipher != NULL)
		open_wire();
	return 1;
}

static void
start_cipher(void)
{
	flush();
	cipher = rfb_handshake_client_take_cipher(h);
	if (cipher == NULL)
		errx(1, "no cipher");
	if (buf_len(&in) != 0 &&
	    buf_append(&wire, buf_head(&in), buf_len(&in)) != 0)
		errx(1, "too much input");
	buf_consume(&in, buf_len(&in));
	open_wire();
}

static void
print_key(void)
{
	const uint8_t *hash = rfb_handshake_client_key_sha256(h);

	printf("key ");
	for (int i = 0; i < 32; i++)
		printf("%02x", hash[i]);
	printf(" %s\n", rfb_handshake_client_key_text(h));
}

/* One event; returns 0 once the session can begin. */
static int
on_event(int event)
{
	switch (event) {
	case RFB_HANDSHAKE_MORE:
		flush();
		if (!fill())
			errx(1, "the server closed; awaited: %s",
			    rfb_handshake_client_phase(h));
		return 1;
	case RFB_HANDSHAKE_CHECK_KEY:
		print_key();
		return rfb_handshake_client_key_checked(h) == 0;
	case RFB_HANDSHAKE_START_CIPHER:
		start_cipher();
		return 1;
	case RFB_HANDSHAKE_START_TLS:
		errx(1, "no TLS here");
	default:
		return event != RFB_HANDSHAKE_READY;
	}
}

static void
talk(void)
{
	size_t used;
	int rc;

	do {
		rc = rfb_handshake_client_feed(
		    h, buf_head(&in), buf_len(&in), &used);
		if (rc < 0)
			errx(1, "%s", rfb_handshake_client_why(h));
		buf_consume(&in, used);
	} while (on_event(rc));
	flush();
}

static void
print_session(void)
{
	const struct rfb_server_init *init = rfb_handshake_client_init(h);

	printf("chosen %s\ndesktop %ux%u %s\n", rfb_handshake_client_chosen(h),
	    init->width, init->height, init->name);
	/* a request for everything, so that real servers say something */
	if (buf_append(&out, "\3\0\0\0\0\0\0\1\0\1", 10) != 0)
		errx(1, "no memory");
	flush();
	if (buf_len(&in) == 0 && !fill())
		return;
	printf("message ");
	for (size_t i = 0; i < min_size(buf_len(&in), 16); i++)
		printf("%02x", buf_head(&in)[i]);
	printf("\n");
}

static void
dial(const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		err(1, "connect");
}

int
main(int argc, char **argv)
{
	struct rfb_client_params params = { .password =
						getenv("VNC_PASSWORD") };
	struct rfb_ra2_key *key = NULL;
	bool has_ra2 = true;

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--clear") == 0)
			params.allow_clear = true;
		else if (strcmp(argv[i], "--no-ra2") == 0)
			has_ra2 = false;
		else if (strcmp(argv[i], "--user") == 0 && i + 1 < argc)
			params.user = argv[++i];
		else
			errx(2, "what is %s?", argv[i]);
	}
	if (argc < 2)
		errx(2, "usage: rfb_login PORT [options]");
	if (has_ra2)
		params.ra2_key = key = rfb_ra2_key_new(RFB_RA2_OWN_BITS);
	buf_init(&in, 1 << 20);
	buf_init(&out, RFB_RA2_SEAL_MAX);
	buf_init(&wire, 1 << 20);
	dial(argv[1]);
	h = rfb_handshake_client_new(&out, &params);
	if (h == NULL)
		errx(1, "no memory");
	talk();
	print_session();
	rfb_handshake_client_free(h);
	rfb_ra2_stream_free(cipher);
	rfb_ra2_key_free(key);
	buf_release(&in);
	buf_release(&out);
	buf_release(&wire);
	close(fd);
	return 0;
}
