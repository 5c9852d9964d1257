#include "tests/bench/rfb_peer.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"

struct rfb_peer_conf rfb_peer_conf = {
	.rfb = true,
	.width = 1024,
	.height = 768,
};
static SSL_CTX *server_ctx, *client_ctx;

void
put(struct peer *p, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = p->ssl ? SSL_write(p->ssl, at, (int)len)
				   : write(p->fd, at, len);
		if (n <= 0)
			errx(1, "write to the relay failed");
		at += n;
		len -= (size_t)n;
	}
}

void
get(struct peer *p, void *data, size_t len)
{
	char *at = data;

	while (len > 0) {
		ssize_t n = p->ssl ? SSL_read(p->ssl, at, (int)len)
				   : read(p->fd, at, len);
		if (n <= 0)
			errx(1, "the relay closed while %zu bytes were missing",
			    len);
		at += n;
		len -= (size_t)n;
	}
}

static void
expect(struct peer *p, const void *want, size_t len, const char *what)
{
	char got[64];

	get(p, got, len);
	if (memcmp(got, want, len) != 0)
		errx(1, "unexpected %s", what);
}

static void
start_tls(struct peer *p, bool server)
{
	p->ssl = SSL_new(server ? server_ctx : client_ctx);
	SSL_set_fd(p->ssl, p->fd);
	if ((server ? SSL_accept(p->ssl) : SSL_connect(p->ssl)) != 1)
		errx(1, "TLS handshake failed as %s",
		    server ? "endpoint" : "technician");
}

/* ---- handshakes ---- */

void
endpoint_handshake(struct peer *p)
{
	uint8_t init[24] = { 0 };
	uint8_t set_encodings[4];

	if (rfb_peer_conf.rfb) {
		put(p, "RFB 003.008\n", 12);
		expect(p, "RFB 003.008\n", 12, "version");
		put(p, "\1\23", 2);
		expect(p, "\23", 1, "security type");
		put(p, "\0\2", 2);
		expect(p, "\0\2", 2, "VeNCrypt version");
		put(p, "\0\1\0\0\1\4", 6);
		expect(p, "\0\0\1\4", 4, "VeNCrypt type");
		put(p, "\1", 1);
	}
	start_tls(p, true);
	if (!rfb_peer_conf.rfb)
		return;
	put(p, "\0\0\0\0", 4);
	get(p, init, 1);
	store_be16(init, rfb_peer_conf.width);
	store_be16(init + 2, rfb_peer_conf.height);
	memcpy(init + 4, "\40\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0", 16);
	put(p, init, 24);
	get(p, set_encodings, 4);
	for (int i = load_be16(set_encodings + 2); i > 0; i--)
		get(p, init, 4);
}

static void
put_string(struct peer *p, const char *user, const char *password)
{
	uint8_t len[8];

	store_be32(len, (uint32_t)strlen(user));
	store_be32(len + 4, (uint32_t)strlen(password));
	put(p, len, 8);
	put(p, user, strlen(user));
	put(p, password, strlen(password));
}

static void
technician_handshake(struct peer *p)
{
	char text[1024] = "";
	uint8_t init[24];

	if (rfb_peer_conf.rfb) {
		expect(p, "RFB 003.008\n", 12, "version");
		put(p, "RFB 003.008\n", 12);
		expect(p, "\1\23", 2, "security types");
		put(p, "\23", 1);
		expect(p, "\0\2", 2, "VeNCrypt version");
		put(p, "\0\2", 2);
		expect(p, "\0\1\0\0\1\6", 6, "VeNCrypt types");
		put(p, "\0\0\1\6", 4);
		expect(p, "\1", 1, "VeNCrypt answer");
	}
	start_tls(p, false);
	if (!rfb_peer_conf.rfb)
		return;
	put_string(p, rfb_peer_conf.user, rfb_peer_conf.password);
	get(p, init, 4);
	if (load_be32(init) != 0) {
		get(p, init, 4);
		get(p, text, min_size(load_be32(init), sizeof(text) - 1));
		errx(1, "login refused: %s", text);
	}
	put(p, "\1", 1);
	get(p, init, 24);
	get(p, text, min_size(load_be32(init + 20), sizeof(text)));
	/* SetEncodings: Raw */
	put(p, "\2\0\0\1\0\0\0\0", 8);
}

void
ask_for_screen(struct peer *p)
{
	uint8_t ask[10] = { 3 }; /* FramebufferUpdateRequest */

	store_be16(ask + 6, rfb_peer_conf.width);
	store_be16(ask + 8, rfb_peer_conf.height);
	put(p, ask, sizeof(ask));
}

/* ---- sockets and threads ---- */

void
no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void
close_peer(struct peer *p)
{
	SSL_free(p->ssl);
	close(p->fd);
}

void
open_peer(struct peer *p)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)rfb_peer_conf.connect_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	*p = (struct peer){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	if (connect(p->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		err(1, "connect to port %d", rfb_peer_conf.connect_port);
	no_delay(p->fd);
	technician_handshake(p);
}

void
start_thread(void *(*fn)(void *), intptr_t arg)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	if (pthread_create(&t, &attr, fn, (void *)arg) != 0)
		errx(1, "cannot start a thread");
	pthread_detach(t);
}

int
listen_on(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(fd, 512) != 0)
		err(1, "listen on port %d", port);
	return fd;
}

void
make_contexts(void)
{
	server_ctx = SSL_CTX_new(TLS_server_method());
	client_ctx = SSL_CTX_new(TLS_client_method());
	if (SSL_CTX_use_certificate_chain_file(
		server_ctx, rfb_peer_conf.cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(
		server_ctx, rfb_peer_conf.key, SSL_FILETYPE_PEM) != 1)
		errx(1, "cannot use %s and %s", rfb_peer_conf.cert,
		    rfb_peer_conf.key);
	SSL_CTX_set_num_tickets(server_ctx, 0);
	SSL_CTX_set_ciphersuites(server_ctx, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set_ciphersuites(client_ctx, "TLS_AES_128_GCM_SHA256");
}
