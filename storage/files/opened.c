#include "storage/files/opened.h"

#include <stdio.h>
#include <string.h>

bool
opened_note(struct opened *o, const char *link, const char *address)
{
	struct opened_entry *e;
	unsigned n = 0;

	for (size_t i = 0; i < OPENED_MAX; i++) {
		e = &o->entry[i];
		if (strncmp(e->link, link, OPENED_LINK_LEN) != 0)
			continue;
		if (strcmp(e->address, address) == 0 ||
		    ++n == OPENED_ADDRESSES_MAX)
			return false;
	}
	e = &o->entry[o->next];
	o->next = (o->next + 1) % OPENED_MAX;
	snprintf(e->link, sizeof(e->link), "%.*s", OPENED_LINK_LEN, link);
	snprintf(e->address, sizeof(e->address), "%.47s", address);
	return true;
}
