/*
 * The ports people, agents and endpoints come in by. Each loop has a
 * listening socket of its own at every address (SO_REUSEPORT). What begins with
 * TLS or must be looked at first is a `conn` until it is known what it is:
 *
 *   vnc      -> session
 *   web      -> TLS -> ALPN: HTTP (file, WebSocket -> session),
 *               agent's control channel, agent's data channel
 *   reverse  -> [TLS] -> repeater hello -> parked session
 *   vnc_auth -> [TLS] -> session
 */
#ifndef RELAY_LISTENER_LISTEN_ADDR_H
#define RELAY_LISTENER_LISTEN_ADDR_H

#include <stddef.h>
#include <stdint.h>

#define LISTEN_ADDRS_MAX 128

enum listen_kind { LISTEN_VNC, LISTEN_WEB, LISTEN_REVERSE, LISTEN_VNC_AUTH };

struct listen_addr {
	enum listen_kind kind;
	const char *setting; /* that asked for it, for messages */
	char where[160];     /* host:port */
	uint16_t port;
};

struct relay_conf;

/*
 * The addresses that the settings ask for, at most LISTEN_ADDRS_MAX. Returns
 * their number, or ERR_CONFIG; err then says what is wrong.
 */
int listen_addrs_read(const struct relay_conf *conf,
    struct listen_addr addrs[LISTEN_ADDRS_MAX], char *err, size_t err_len);

/*
 * A listening, non-blocking socket at an address. Returns it, or ERR_CONFIG
 * (no such address) or ERR_IO (errno says why).
 */
int listen_addr_open(const struct listen_addr *d);

/* SO_REUSEPORT lets two relays share a port by mistake: look first.
 * Returns 0, ERR_CONFIG or ERR_IO. */
int listen_addr_check(const struct listen_addr *d);

#endif
