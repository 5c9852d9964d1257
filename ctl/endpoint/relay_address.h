/*
 * Where technicians and endpoints reach the relay, by its settings: the
 * names and ports that go into links, viewers' arguments and instructions.
 */
#ifndef CTL_ENDPOINT_RELAY_ADDRESS_H
#define CTL_ENDPOINT_RELAY_ADDRESS_H

#include "ctl/ctl.h"
#include "ctl/ctl_hostport.h"

#define URL_MAX 1024

struct relay_address {
	char host[HOST_MAX]; /* [relay] public_host; unset: the address that
				it listens on, or this machine's name */
	char vnc_port[8];
	char web_port[8];     /* "": the relay has no such door */
	char reverse_port[8]; /* "": the relay has no such door */
	char ca_file[4096];   /* [relay] public_ca_file, or the relay's own
				 certificate when it is signed by itself and
				 can be read; "": the CAs of every system */
	char pin[65];         /* then, SHA-256 of its certificate, hex; "" */
};

/* Returns 0, or STATUS_CONFIG after a message. */
int relay_address_read(const struct ctl *c, struct relay_address *r);

/* "host:port", an IPv6 address in brackets. */
void relay_address_print(
    const char *host, const char *port, char *out, size_t len);

/* "https://host[:port]" of the web door; "" without one. */
void relay_address_url(const struct relay_address *r, char out[URL_MAX]);

#define SESSION_PORTS_MAX 256

struct session_ports {
	char host[HOST_MAX];
	int first, n;
};

/*
 * [relay] session_ports, "127.0.0.1:5910-5919"; n is 0 when there are none.
 * Returns 0 or ERR_CONFIG.
 */
int session_ports_read(const struct ctl *c, struct session_ports *p);

/* {5910,5911,...} as PostgreSQL reads an array; heap, NULL: no memory. */
char *session_ports_array(const struct session_ports *p);

#endif
