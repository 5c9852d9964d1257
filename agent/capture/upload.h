/*
 * Hands one capture over to storage: tus 1.0 (https://tus.io/protocols/
 * resumable-upload) over TLS with the endpoint's certificate, as
 * docs/agent-protocol.md says under "Captures". Goes on at the byte that
 * storage has. Ends in one answer. One loop owns it.
 */
#ifndef AGENT_CAPTURE_UPLOAD_H
#define AGENT_CAPTURE_UPLOAD_H

#include <event2/event.h>
#include <stdint.h>

#include "agent/hostport.h"
#include "agent/settings.h"
#include "agent/trust.h"

#define UPLOAD_ALPN    "relaycam-capture/1"
#define UPLOAD_WHY_MAX 640

struct upload;

enum upload_end {
	UPLOAD_DONE,  /* storage has it, verified */
	UPLOAD_GONE,  /* storage knows that there is none */
	UPLOAD_AGAIN, /* why; wait_s says when, 0: as settings say */
};

struct upload_result {
	enum upload_end end;
	uint64_t offset; /* what storage said that it has */
	uint64_t sent;   /* bytes of the file since the start */
	unsigned wait_s;
	const char *why; /* a sentence; borrowed */
};

/* Called once, never from within upload_start; the upload is freed when it
 * returns. */
typedef void upload_cb(void *arg, const struct upload_result *res);

/* settings and trust are borrowed for as long as it runs. */
struct upload_to {
	const struct settings *settings;
	const struct trust *trust;
	struct hostport storage;
	const char *id; /* of the capture, copied */
	int fd;         /* the whole file, taken; -1: it has vanished, storage
			 * is told so */
	uint64_t rate;  /* bytes per second, 0: no limit */
};

/* Returns NULL for memory; fd is closed then too. */
struct upload *upload_start(struct event_base *base, const struct upload_to *to,
    upload_cb *cb, void *arg);

/* Gives up for now; cb is not called. NULL is fine. */
void upload_cancel(struct upload *u);

#endif
