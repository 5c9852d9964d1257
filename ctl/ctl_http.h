/*
 * HTTP(S) for the command line, by libcurl: stored files piece by piece, and
 * short answers of probes. Blocking.
 */
#ifndef CTL_CTL_HTTP_H
#define CTL_CTL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_HTTP_WHY_MAX 512

struct ctl_http_get {
	const char *url;
	const char *ca_file; /* PEM; NULL: the system's */
	int64_t offset;      /* first byte wanted */
	int64_t total;       /* size of the whole, for progress; -1: unknown */
	bool progress;       /* on standard error, when it is a terminal */
	/*
	 * Takes bytes of the body; at: their offset in the file, which is 0
	 * again when the server does not know ranges. Returns 0, or an error
	 * that ends the transfer.
	 */
	int (*on_data)(void *arg, int64_t at, const void *data, size_t len);
	void *arg;
	char why[CTL_HTTP_WHY_MAX]; /* out: what went wrong */
};

/*
 * Returns 0 when the answer was read to its end; ERR_DENIED (401, 403: the
 * link died or is not ours), ERR_NOTFOUND (404), ERR_PROTOCOL (another
 * status), ERR_UNAVAILABLE (no connection, or cut off: worth another try),
 * ERR_CONFIG (the server's certificate), or what on_data returned.
 */
int ctl_http_get(struct ctl_http_get *g);

/* An on_data that writes into a file; arg: its descriptor. Returns 0 or
 * ERR_IO. */
int ctl_http_to_file(void *arg, int64_t at, const void *data, size_t len);

/* In place of a CA file: for questions to this machine whose answer matters,
 * not who gives it. */
extern const char ctl_http_any_certificate[];

/* One short request; everything is borrowed for the call. */
struct ctl_http_request {
	const char *method;
	const char *url;
	const char
	    *ca_file; /* as ctl_http_get's, or ctl_http_any_certificate */
	const char *const *headers; /* "Name: value" lines, n_headers of them */
	size_t n_headers;
	const char *body; /* of PUT and POST, NUL-terminated; NULL: empty */
	int timeout_s;
	bool is_direct;  /* not through a proxy */
	uint64_t date_s; /* out: the server's clock, Unix time; 0: not told */
	char *answer; /* out: the body's beginning, NUL-terminated; or NULL */
	size_t answer_len;
	char why[CTL_HTTP_WHY_MAX]; /* out: what went wrong */
};

/* Returns the HTTP status, or -1 with why filled. */
long ctl_http_request(struct ctl_http_request *rq);

/*
 * The same for a body that does not matter; method GET or HEAD. headers: "Name:
 * value" lines, n of them. Returns the HTTP status, or -1 with why filled.
 */
long ctl_http_probe(const char *method, const char *url, const char *ca_file,
    const char *const *headers, size_t n_headers, int timeout_s,
    char why[CTL_HTTP_WHY_MAX]);

#endif
