/* Random ids of sessions, agents' channels and captures. Thread-safe. */
#ifndef RELAY_BASE_RELAY_UUID_H
#define RELAY_BASE_RELAY_UUID_H

#include "common/uuid.h"

/* Writes a random UUID (version 4, RFC 9562 section 5.4) into out. */
void relay_uuid(char out[UUID_TEXT_MAX]);

#endif
