/*
 * The ports people, agents and endpoints come in by. Each loop has a
 * listening socket of its own at every door (SO_REUSEPORT). What begins with
 * TLS or must be looked at first is a `conn` until it is known what it is:
 *
 *   vnc      -> session
 *   web      -> TLS -> ALPN: HTTP (file, WebSocket -> session),
 *               agent's control channel, agent's data channel
 *   reverse  -> [TLS] -> repeater hello -> parked session
 *   vnc_auth -> [TLS] -> session
 */
#ifndef RELAY_DOOR_DOOR_H
#define RELAY_DOOR_DOOR_H

#include <stddef.h>
#include <stdint.h>

#define DOORS_MAX 128

enum door_kind { DOOR_VNC, DOOR_WEB, DOOR_REVERSE, DOOR_VNC_AUTH };

struct door {
	enum door_kind kind;
	const char *setting; /* that asked for it, for messages */
	char where[160];     /* host:port */
	uint16_t port;
};

struct relay_conf;

/*
 * The doors that the settings ask for, at most DOORS_MAX. Returns their
 * number, or ERR_CONFIG; err then says what is wrong.
 */
int doors_read(const struct relay_conf *conf, struct door doors[DOORS_MAX],
    char *err, size_t err_len);

/*
 * A listening, non-blocking socket at a door. Returns it, or ERR_CONFIG
 * (no such address) or ERR_IO (errno says why).
 */
int door_listen(const struct door *d);

/* SO_REUSEPORT lets two relays share a port by mistake: look first.
 * Returns 0, ERR_CONFIG or ERR_IO. */
int door_check(const struct door *d);

#endif
