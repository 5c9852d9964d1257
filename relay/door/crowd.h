/*
 * Who is connected, by kind, each with a bound of its own, so that agents or
 * silent strangers take no room from sessions; and how many connections of
 * one address are not known yet, so that one address takes no room from the
 * others. Thread-safe; no I/O.
 */
#ifndef RELAY_DOOR_CROWD_H
#define RELAY_DOOR_CROWD_H

#include <stdbool.h>
#include <stdint.h>

enum crowd_kind {
	CROWD_UNKNOWN, /* until the login, or what it is, is known */
	CROWD_SESSION,
	CROWD_AGENT,  /* control channels */
	CROWD_PARKED, /* servers that dialled in and wait */
	CROWD_KINDS,
};

struct crowd_limits {
	unsigned kinds[CROWD_KINDS];
	unsigned per_address; /* of CROWD_UNKNOWN; 0: no limit */
};

/* One connection's place; all zeros: none. */
struct crowd_place {
	bool is_taken;
	enum crowd_kind kind;
	uint64_t address;
};

struct crowd;

/* NULL only for memory. */
struct crowd *crowd_new(const struct crowd_limits *limits);
void crowd_free(struct crowd *c);

/*
 * Takes a place for a connection that is not known yet. client_addr: as text.
 * Returns NULL, or the setting whose number is reached (static); then
 * nothing was taken.
 */
const char *crowd_enter(
    struct crowd *c, struct crowd_place *p, const char *client_addr);

/* It is known: its place is of that kind now. Same returns; it keeps the
 * place it had when there is none. */
const char *crowd_become(
    struct crowd *c, struct crowd_place *p, enum crowd_kind kind);

/* Gives the place back, if there is one. */
void crowd_leave(struct crowd *c, struct crowd_place *p);

/* The place goes from one owner to the next; *from is empty then. */
struct crowd_place crowd_hand_over(struct crowd_place *from);

/* Places taken now. */
unsigned crowd_count(struct crowd *c, enum crowd_kind kind);

#endif
