/*
 * One capture in one sealed file of the outbox (docs/capture.md): the
 * recorder's writer into an encrypted file, the free space looked at (C6).
 * Syncs in a thread of its own. One loop owns it.
 */
#ifndef AGENT_CAPTURE_SEALED_CAPTURE_H
#define AGENT_CAPTURE_SEALED_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/capture/outbox.h"
#include "common/agent_proto.h"
#include "capture/capture.h"

struct sealed_capture;

/* Whether at least min_free bytes are free where dir is. */
bool sealed_capture_has_space(int dir, int64_t min_free);

/*
 * Notes the order in the outbox and begins the file. m: CAPTURE. Returns 0,
 * ERR_NOSPACE, ERR_IO, ERR_NOMEM, ERR_LIMIT or ERR_PROTOCOL (m's key).
 */
int sealed_capture_new(
    struct sealed_capture **out, struct outbox *o, const struct agent_msg *m);

/* Its writer, borrowed. */
struct capture_writer *sealed_capture_writer(struct sealed_capture *c);

/*
 * Ends the file with the word of docs/spool.md and the time, where it can
 * still be written, else as it is; the outbox has it from then on. Frees c;
 * NULL is fine. word "": an END mark said it.
 */
void sealed_capture_close(
    struct sealed_capture *c, const char *word, uint64_t end_ns);

#endif
