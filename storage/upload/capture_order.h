/*
 * What a capture of a device is checked against: the order that the relay gave
 * for it (table device_captures), whose values the device may not change. It
 * also makes the opening manifest (docs/spool.md) of the first segment, from
 * the order alone. capture_order_matches reads a file; any thread.
 */
#ifndef STORAGE_UPLOAD_CAPTURE_ORDER_H
#define STORAGE_UPLOAD_CAPTURE_ORDER_H

#include <jansson.h>
#include <stddef.h>

/*
 * The manifest of capture id for an order: a new reference, or NULL and a
 * sentence in err, when the order lacks something or names another session.
 */
json_t *capture_order_manifest(const json_t *order, const char *id,
    const char *session, char *err, size_t err_len);

/*
 * Whether the first block of the capture in fd (borrowed) is whole and its
 * JSON has every value of the order. Returns 0; ERR_CORRUPT: it is no capture,
 * or a value differs, and err says which; ERR_IO; ERR_NOMEM.
 */
int capture_order_matches(
    const json_t *order, int fd, char *err, size_t err_len);

#endif
