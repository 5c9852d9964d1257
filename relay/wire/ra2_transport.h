/*
 * A transport whose stream is sealed by security type RA2 (rfb/ra2_stream.h),
 * as RealVNC and TigerVNC servers offer it: the same calls as a transport, with
 * one copy more. One owner, one loop.
 */
#ifndef RELAY_WIRE_RA2_TRANSPORT_H
#define RELAY_WIRE_RA2_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct transport;
struct rfb_ra2_stream;
struct ra2_transport;

/*
 * stream: taken, also on failure. early: what was received already and is
 * sealed, borrowed, at most RA2_TRANSPORT_EARLY_MAX bytes. NULL only for
 * memory.
 */
#define RA2_TRANSPORT_EARLY_MAX 65536
struct ra2_transport *ra2_transport_new(
    struct rfb_ra2_stream *stream, const uint8_t *early, size_t early_len);
void ra2_transport_free(struct ra2_transport *s);

/* As transport_read; ERR_IO too when a message was not sealed by the endpoint.
 */
ssize_t ra2_transport_recv(struct ra2_transport *s, struct transport *transport,
    uint8_t *data, size_t len);
/* As transport_write. */
ssize_t ra2_transport_send(struct ra2_transport *s, struct transport *transport,
    const uint8_t *data, size_t len);
/* As transport_flush. */
int ra2_transport_flush(struct ra2_transport *s, struct transport *transport);
bool ra2_transport_has_buffered(const struct ra2_transport *s);

#endif
