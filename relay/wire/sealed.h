/*
 * A leg whose stream is sealed by security type RA2 (rfb/ra2_stream.h), as
 * RealVNC and TigerVNC servers offer it: the same calls as a leg, with one
 * copy more. One owner, one loop.
 */
#ifndef RELAY_WIRE_SEALED_H
#define RELAY_WIRE_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct leg;
struct rfb_ra2_stream;
struct sealed;

/*
 * stream: taken, also on failure. early: what was received already and is
 * sealed, borrowed, at most SEALED_EARLY_MAX bytes. NULL only for memory.
 */
#define SEALED_EARLY_MAX 65536
struct sealed *sealed_new(
    struct rfb_ra2_stream *stream, const uint8_t *early, size_t early_len);
void sealed_free(struct sealed *s);

/* As leg_read; ERR_IO too when a message was not sealed by the endpoint. */
ssize_t sealed_recv(
    struct sealed *s, struct leg *leg, uint8_t *data, size_t len);
/* As leg_write. */
ssize_t sealed_send(
    struct sealed *s, struct leg *leg, const uint8_t *data, size_t len);
/* As leg_flush. */
int sealed_flush(struct sealed *s, struct leg *leg);
bool sealed_wants_write(const struct sealed *s);
bool sealed_has_buffered(const struct sealed *s);

#endif
