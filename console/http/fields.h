/*
 * The header fields of every answer, whatever it is: what a page may load and
 * who may show it, no sniffing, no referrer, no other window (the HTML
 * standard's COOP), TLS only from now on (RFC 6797).
 */
#ifndef CONSOLE_HTTP_FIELDS_H
#define CONSOLE_HTTP_FIELDS_H

struct http_field {
	const char *name, *value;
};

#define N_HTTP_FIELDS 7
extern const struct http_field http_fields[N_HTTP_FIELDS];

#endif
