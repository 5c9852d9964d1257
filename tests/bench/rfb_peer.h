/*
 * Both ends of a session for load programs: blocking sockets, TLS, handshakes.
 * Whatever goes wrong ends the program with a sentence.
 */
#ifndef TESTS_BENCH_RFB_PEER_H
#define TESTS_BENCH_RFB_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Set once, before the first call. */
extern struct rfb_peer_conf {
	bool rfb;                    /* else a bare TLS handshake */
	uint16_t width, height;      /* of the endpoint's screen */
	const char *user, *password; /* of the technician */
	const char *cert, *key;      /* of the endpoint, files */
	int listen_port, connect_port;
} rfb_peer_conf;

struct peer {
	int fd;
	SSL *ssl; /* NULL: not yet */
};

/* TLS 1.3 with AES-128 for both ends. */
void make_contexts(void);
/* On loopback. */
int listen_on(int port);
/* Detached, with a small stack. */
void start_thread(void *(*fn)(void *), intptr_t arg);

/* All of it. */
void put(struct peer *p, const void *data, size_t len);
void get(struct peer *p, void *data, size_t len);
void no_delay(int fd);

/* Connects as technician, logs in, and says that it takes Raw only. */
void open_peer(struct peer *p);
/* Asks for the whole screen once. */
void ask_for_screen(struct peer *p);
/* On an accepted socket: RFB 3.8, VeNCrypt X509None, up to SetEncodings. */
void endpoint_handshake(struct peer *p);
void close_peer(struct peer *p);

#endif
