/*
 * Which clipboard messages pass, by direction. The clipboard is shared by
 * ClientCutText and ServerCutText, clear or extended (docs/rfb.md): a clear
 * one is the text; an extended one says what its sender can do (caps), that it
 * has something (notify), asks for it (request, peek), or is it (provide).
 * What is not allowed is left out as a whole, and neither side waits for an
 * answer: a request without one is what a clipboard without text looks like.
 * Caps pass always, in both directions, so both sides agree on their
 * abilities whenever a direction opens again.
 * Pure functions.
 */
#ifndef RELAY_PUMP_CLIPBOARD_H
#define RELAY_PUMP_CLIPBOARD_H

#include <stdbool.h>
#include <stdint.h>

/* Directions, and sets of them. */
#define CLIPBOARD_TO_ENDPOINT   1u
#define CLIPBOARD_TO_TECHNICIAN 2u
#define CLIPBOARD_BOTH          3u

/* "both", "to_endpoint", "to_technician", "off" or NULL, which is off, as is
 * any other word. */
unsigned clipboard_ways(const char *setting);
/* The word for a set. Static. */
const char *clipboard_setting(unsigned ways);

struct clipboard_message {
	unsigned way; /* that it travels */
	bool is_extended;
	uint32_t flags; /* extended */
	uint32_t len;   /* bytes: of the text; extended: flags and all after */
};

enum clipboard_kind {
	CLIPBOARD_ABILITIES, /* caps */
	CLIPBOARD_TALK,      /* about a text: notify, request, peek */
	CLIPBOARD_TEXT,      /* with it */
	CLIPBOARD_NOTHING,   /* no known action; caps too long to be caps */
};

enum clipboard_kind clipboard_kind(const struct clipboard_message *m);
/* ways: what is allowed. */
bool clipboard_passes(const struct clipboard_message *m, unsigned ways);

#endif
