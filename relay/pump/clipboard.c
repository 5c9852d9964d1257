#include "relay/pump/clipboard.h"

#include <stddef.h>
#include <string.h>

#define CAPS    0x01000000u
#define REQUEST 0x02000000u
#define PEEK    0x04000000u
#define NOTIFY  0x08000000u
#define PROVIDE 0x10000000u
/* flags, and a size for each of 16 formats */
#define CAPS_MAX (4 + 4 * 16)

static const char *const settings[] = { "off", "to_endpoint", "to_technician",
	"both" };

unsigned
clipboard_ways(const char *setting)
{
	for (unsigned i = 0; setting != NULL && i <= CLIPBOARD_BOTH; i++)
		if (strcmp(setting, settings[i]) == 0)
			return i;
	return 0;
}

const char *
clipboard_setting(unsigned ways)
{
	return settings[ways & CLIPBOARD_BOTH];
}

enum clipboard_kind
clipboard_kind(const struct clipboard_message *m)
{
	if (!m->is_extended)
		return CLIPBOARD_TEXT;
	/* in caps the other actions are abilities */
	if ((m->flags & CAPS) != 0)
		return m->len <= CAPS_MAX ? CLIPBOARD_ABILITIES
					  : CLIPBOARD_NOTHING;
	if ((m->flags & PROVIDE) != 0)
		return CLIPBOARD_TEXT;
	return (m->flags & (NOTIFY | REQUEST | PEEK)) != 0 ? CLIPBOARD_TALK
							   : CLIPBOARD_NOTHING;
}

/* The directions that a text would travel because of this. */
static unsigned
ways_needed(const struct clipboard_message *m)
{
	unsigned needed = 0;

	if (!m->is_extended || (m->flags & (NOTIFY | PROVIDE)) != 0)
		needed |= m->way;
	if (m->is_extended && (m->flags & (REQUEST | PEEK)) != 0)
		needed |= m->way ^ CLIPBOARD_BOTH;
	return needed;
}

bool
clipboard_passes(const struct clipboard_message *m, unsigned ways)
{
	switch (clipboard_kind(m)) {
	case CLIPBOARD_ABILITIES:
		return true;
	case CLIPBOARD_NOTHING:
		return false;
	case CLIPBOARD_TALK:
	case CLIPBOARD_TEXT:
		break;
	}
	return (ways_needed(m) & ~ways) == 0;
}
