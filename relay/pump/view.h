/*
 * One monitor of a desktop as if it were all of it: which monitors there
 * are, which one the technician sees, and positions translated both ways.
 *
 *      endpoint's framebuffer            what the viewer has
 *      +--------+------------+
 *      |   1    |  2 (area)  |    ->     0,0 +------------+
 *      |        |            |               |            |
 *      +--------+------------+               +------------+
 *
 * Monitors are the screens of ExtendedDesktopSize (-308) in the server's
 * order, counted from 1; a server that never sent one has one monitor. A
 * change of mode comes as two or three -308 (Xvnc), of which the first ones
 * lie: a list is noted at once and counts when view_settle is called.
 * Source: docs/rfb.md ("One monitor"). Pure, one owner.
 */
#ifndef RELAY_PUMP_VIEW_H
#define RELAY_PUMP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/framer.h"
#include "rfb/protocol.h"

#define VIEW_NAME_LEN 13

/* Pixels of the endpoint's framebuffer, or of the viewer's. */
struct view_area {
	uint16_t x, y, w, h;
};

struct view_monitor {
	unsigned index; /* from 1 */
	uint32_t id;    /* the server's number of the screen; may change */
	uint16_t x, y, w, h;
	char name[VIEW_NAME_LEN]; /* empty: RFB has none */
};

struct view_list {
	struct view_monitor *monitors;
	unsigned n;
	uint16_t width, height; /* of the whole framebuffer */
};

struct view {
	struct view_list now, next; /* next: noted, not settled */
	bool is_unsettled;
	unsigned index;        /* viewed; 0: all */
	struct view_area area; /* of the one viewed */
};

/* One monitor of width x height. Returns 0 or ERR_NOMEM. */
int view_init(struct view *v, uint16_t width, uint16_t height);
void view_release(struct view *v);

/*
 * Notes a -308 rectangle: the framebuffer's new size and its payload (count,
 * padding, 16 bytes a screen). Screens without an area inside the framebuffer
 * do not count. Returns 1 when it says anything new, else 0, ERR_PROTOCOL
 * (length) or ERR_NOMEM.
 */
int view_note_screens(struct view *v, uint16_t width, uint16_t height,
    const uint8_t *payload, size_t len);

/* Notes a -223 rectangle: one monitor. Returns as above. */
int view_note_size(struct view *v, uint16_t width, uint16_t height);

/*
 * Makes the noted list the one that counts. Returns the index under which
 * the monitor viewed so far is found in it: by its id, else at its place
 * unless another one moved there; 0 when it vanished, or all are viewed.
 * What is viewed stays as it is until view_choose.
 */
unsigned view_settle(struct view *v);

/* NULL: there is none. */
const struct view_monitor *view_find(const struct view *v, unsigned index);

/* From here on this monitor is viewed; 0: all. Returns 0, ERR_NOTFOUND. */
int view_choose(struct view *v, unsigned index);

static inline bool
view_is_one(const struct view *v)
{
	return v->index != 0;
}

/* The size of what the viewer has. All: as last noted. */
struct view_area view_seen(const struct view *v);

/* What becomes of a rectangle on its way to the viewer. */
enum view_fate {
	VIEW_PASS,   /* as it is */
	VIEW_MOVE,   /* x and y are written anew */
	VIEW_DROP,   /* outside, at least in part: replaced; *redraw must be
		      * asked for again */
	VIEW_RESIZE, /* replaced by view_write_size */
};

/*
 * For a rectangle of the endpoint's while one monitor is viewed. r: written
 * anew in place (MOVE, DROP); redraw: of the framebuffer, for DROP.
 */
enum view_fate view_translate(
    const struct view *v, struct rfb_rect *r, struct view_area *redraw);

/*
 * The rectangle r must not reach the viewer: it becomes one Raw pixel, at the
 * place nearest to it that the viewer has, as the count of an update cannot
 * be changed any more. redraw: what is spoilt or missing, of the framebuffer.
 */
void view_drop(
    const struct view *v, struct rfb_rect *r, struct view_area *redraw);

/*
 * A region of the viewer's in the endpoint's framebuffer; never empty, and
 * never outside: a viewer may not have heard of a smaller size, and TightVNC's
 * Xvnc 1.3.10 answers with a rectangle as large as it was asked for.
 */
struct view_area view_region(const struct view *v, struct view_area a);

/* A pointer of the viewer's, kept on the monitor. */
void view_pointer(const struct view *v, uint16_t *x, uint16_t *y);

/* An area of the endpoint's in the viewer's; false: none of it is seen. */
bool view_visible(const struct view *v, struct view_area *a);

/*
 * Writes a rectangle that makes the viewer's framebuffer as large as what it
 * sees: -308 (is_extended) with the one screen, or all of them when all are
 * viewed, or -223. Returns its bytes, at most VIEW_SIZE_LEN.
 */
#define VIEW_SIZE_LEN (16 + 16 * RFB_MAX_SCREENS)
size_t view_write_size(
    const struct view *v, bool is_extended, uint8_t out[VIEW_SIZE_LEN]);

/* The smallest area that holds both; one without pixels counts as none. */
struct view_area view_join(struct view_area a, struct view_area b);

#endif
