/*
 * Which links were opened from where lately, so that the audit log has one
 * line for each and not one for each range that a player asks for. A link
 * that is opened from more than OPENED_ADDRESSES_MAX addresses gets no more
 * lines. Bounded memory: the oldest entry goes first, which at worst costs a
 * line twice. No I/O, one owner.
 */
#ifndef STORAGE_FILES_OPENED_H
#define STORAGE_FILES_OPENED_H

#include <stdbool.h>
#include <stddef.h>

#define OPENED_MAX           1024
#define OPENED_ADDRESSES_MAX 16
#define OPENED_LINK_LEN      16 /* of a link's name, that counts */

struct opened_entry {
	char link[OPENED_LINK_LEN + 1];
	char address[48];
};

/* All zeros is an empty one. */
struct opened {
	struct opened_entry entry[OPENED_MAX];
	size_t next; /* to be replaced */
};

/* True when this is worth a line. link: a signature or a grant's id. */
bool opened_note(struct opened *o, const char *link, const char *address);

#endif
