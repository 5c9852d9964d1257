/*
 * The captures of this endpoint until storage has them: a folder, looked
 * through again and again, so that what a program that died left behind, or
 * somebody took out or put back, is noticed. Several are handed over at a
 * time; what fails is tried again until it succeeds (M2).
 *
 *	ID.order         where it goes; the first to come and the last to go
 *	ID.sealed.part   being written, locked as long as its writer lives
 *	ID.sealed        closed, or cut off: to be handed over
 *	ID.done          storage has it
 *
 * An order without a file is a capture that has vanished: storage is told
 * (M4), and the order stays for the file to be put back. One loop owns it.
 */
#ifndef AGENT_CAPTURE_OUTBOX_H
#define AGENT_CAPTURE_OUTBOX_H

#include <event2/event.h>
#include <stddef.h>

#include "agent/settings.h"
#include "agent/trust.h"

#define OUTBOX_MAX      4096 /* captures that are looked after at a time */
#define OUTBOX_NAME_MAX 64   /* of a file in the folder */
#define OUTBOX_ORDER    ".order"
#define OUTBOX_PART     ".sealed.part"
#define OUTBOX_SEALED   ".sealed"
#define OUTBOX_DONE     ".done"

struct outbox;

/* Makes the folder where it is missing. settings and trust are borrowed for
 * as long as it lives. Returns NULL with a sentence in why. */
struct outbox *outbox_new(struct event_base *base,
    const struct settings *settings, const struct trust *trust, char *why,
    size_t why_len);

/* Nothing more is sent. NULL is fine. */
void outbox_free(struct outbox *o);

/* The folder, borrowed. */
int outbox_dir(const struct outbox *o);

/*
 * Notes, synced, where the capture id (a UUID) will go: storage, host:port.
 * The caller then makes ID.sealed.part. Returns 0, ERR_NOSPACE, ERR_IO or
 * ERR_LIMIT (too many wait).
 */
int outbox_order(struct outbox *o, const char *id, const char *storage);

/* Something was closed in the folder, or the network is back: looks through
 * it, and tries what waits, at once. */
void outbox_kick(struct outbox *o);

#endif
