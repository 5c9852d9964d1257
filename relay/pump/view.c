#include "relay/pump/view.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/protocol.h"

#define SCREEN_LEN 16

static void
list_release(struct view_list *l)
{
	free(l->monitors);
	*l = (struct view_list){ 0 };
}

/* The part of a that lies in w x h; no pixels: none does. */
static struct view_area
clip(struct view_area a, uint16_t w, uint16_t h)
{
	if (a.x >= w || a.y >= h)
		return (struct view_area){ 0 };
	a.w = (uint16_t)min_size(a.w, (size_t)(w - a.x));
	a.h = (uint16_t)min_size(a.h, (size_t)(h - a.y));
	return a;
}

static bool
is_empty(struct view_area a)
{
	return a.w == 0 || a.h == 0;
}

static bool
overlap(struct view_area a, struct view_area b, struct view_area *out)
{
	unsigned x = a.x > b.x ? a.x : b.x, y = a.y > b.y ? a.y : b.y;
	unsigned right = (unsigned)min_size(a.x + a.w, b.x + b.w);
	unsigned bottom = (unsigned)min_size(a.y + a.h, b.y + b.h);

	if (x >= right || y >= bottom)
		return false;
	*out = (struct view_area){ (uint16_t)x, (uint16_t)y,
		(uint16_t)(right - x), (uint16_t)(bottom - y) };
	return true;
}

static void
add_monitor(struct view_list *l, uint32_t id, struct view_area a)
{
	l->monitors[l->n] = (struct view_monitor){
		.index = l->n + 1,
		.id = id,
		.x = a.x,
		.y = a.y,
		.w = a.w,
		.h = a.h,
	};
	l->n++;
}

/* n screens of 16 bytes at p: id, x, y, w, h, flags. */
static int
list_make(struct view_list *l, uint16_t width, uint16_t height,
    const uint8_t *p, unsigned n)
{
	struct view_area a;

	*l = (struct view_list){ .width = width, .height = height };
	l->monitors = calloc(n > 0 ? n : 1, sizeof(*l->monitors));
	if (l->monitors == NULL)
		return ERR_NOMEM;
	for (; n > 0; n--, p += SCREEN_LEN) {
		a = (struct view_area){ load_be16(p + 4), load_be16(p + 6),
			load_be16(p + 8), load_be16(p + 10) };
		a = clip(a, width, height);
		if (!is_empty(a))
			add_monitor(l, load_be32(p), a);
	}
	if (l->n == 0)
		add_monitor(l, 0, (struct view_area){ 0, 0, width, height });
	return 0;
}

int
view_init(struct view *v, uint16_t width, uint16_t height)
{
	memset(v, 0, sizeof(*v));
	return list_make(&v->now, width, height, NULL, 0);
}

void
view_release(struct view *v)
{
	list_release(&v->now);
	list_release(&v->next);
	memset(v, 0, sizeof(*v));
}

static bool
is_same(const struct view_list *a, const struct view_list *b)
{
	return a->width == b->width && a->height == b->height && a->n == b->n &&
	    memcmp(a->monitors, b->monitors, a->n * sizeof(*a->monitors)) == 0;
}

/* The framebuffer as it is, settled or not. */
static const struct view_list *
newest(const struct view *v)
{
	return v->is_unsettled ? &v->next : &v->now;
}

static int
note(struct view *v, uint16_t width, uint16_t height, const uint8_t *p,
    unsigned n)
{
	struct view_list l;
	int rc = list_make(&l, width, height, p, n);

	if (rc != 0)
		return rc;
	if (is_same(&l, newest(v))) {
		list_release(&l);
		return 0;
	}
	list_release(&v->next);
	v->next = l;
	v->is_unsettled = true;
	return 1;
}

int
view_note_screens(struct view *v, uint16_t width, uint16_t height,
    const uint8_t *payload, size_t len)
{
	if (len < 4 || len != 4 + (size_t)payload[0] * SCREEN_LEN)
		return ERR_PROTOCOL;
	return note(v, width, height, payload + 4, payload[0]);
}

int
view_note_size(struct view *v, uint16_t width, uint16_t height)
{
	return note(v, width, height, NULL, 0);
}

static const struct view_monitor *
find_id(const struct view_list *l, uint32_t id)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (l->monitors[i].id == id)
			return &l->monitors[i];
	}
	return NULL;
}

static const struct view_monitor *
find_index(const struct view_list *l, unsigned index)
{
	return index != 0 && index <= l->n ? &l->monitors[index - 1] : NULL;
}

/* Where the monitor that was `index` of `from` is in `to`; 0: nowhere. */
static unsigned
follow(const struct view_list *from, const struct view_list *to, unsigned index)
{
	const struct view_monitor *was = find_index(from, index), *is;

	if (was == NULL)
		return 0;
	is = was->id != 0 ? find_id(to, was->id) : NULL;
	if (is != NULL)
		return is->index;
	is = find_index(to, index);
	/* a monitor known under this id moved up into the gap */
	if (is != NULL && is->id != 0 && find_id(from, is->id) != NULL)
		return 0;
	return is != NULL ? index : 0;
}

unsigned
view_settle(struct view *v)
{
	unsigned index = v->index;

	if (!v->is_unsettled)
		return index;
	index = follow(&v->now, &v->next, index);
	list_release(&v->now);
	v->now = v->next;
	v->next = (struct view_list){ 0 };
	v->is_unsettled = false;
	return index;
}

const struct view_monitor *
view_find(const struct view *v, unsigned index)
{
	return find_index(&v->now, index);
}

int
view_choose(struct view *v, unsigned index)
{
	const struct view_monitor *m = view_find(v, index);

	if (index != 0 && m == NULL)
		return ERR_NOTFOUND;
	v->index = index;
	v->area = (struct view_area){ 0 };
	if (m != NULL)
		v->area = (struct view_area){ m->x, m->y, m->w, m->h };
	return 0;
}

struct view_area
view_seen(const struct view *v)
{
	if (view_is_one(v))
		return (struct view_area){ 0, 0, v->area.w, v->area.h };
	return (struct view_area){ 0, 0, newest(v)->width, newest(v)->height };
}

struct view_area
view_join(struct view_area a, struct view_area b)
{
	unsigned right, bottom;

	if (is_empty(a))
		return b;
	if (is_empty(b))
		return a;
	right = a.x + a.w > b.x + b.w ? a.x + a.w : b.x + b.w;
	bottom = a.y + a.h > b.y + b.h ? a.y + a.h : b.y + b.h;
	a.x = a.x < b.x ? a.x : b.x;
	a.y = a.y < b.y ? a.y : b.y;
	a.w = (uint16_t)(right - a.x);
	a.h = (uint16_t)(bottom - a.y);
	return a;
}

/* v within first..first + n - 1, from first. n: at least 1. */
static uint16_t
place(uint16_t v, uint16_t first, unsigned n)
{
	if (v < first)
		return 0;
	return (uint16_t)min_size((size_t)(v - first), n - 1);
}

void
view_drop(const struct view *v, struct rfb_rect *r, struct view_area *redraw)
{
	const struct view_list *l = newest(v);
	struct view_area was = { r->x, r->y, r->w, r->h }, a = v->area;

	if (!view_is_one(v))
		a = (struct view_area){ 0, 0, l->width, l->height };
	if (!overlap(was, a, redraw))
		*redraw = (struct view_area){ a.x, a.y, 1, 1 };
	*r = (struct rfb_rect){ (uint16_t)(redraw->x - a.x),
		(uint16_t)(redraw->y - a.y), 1, 1, RFB_ENC_RAW };
}

static enum view_fate
translate_picture(
    const struct view *v, struct rfb_rect *r, struct view_area *redraw)
{
	const struct view_area *a = &v->area;

	/* the source of a CopyRect may lie anywhere; it is not offered, some
	 * are on the way */
	if (r->encoding != RFB_ENC_COPYRECT && r->x >= a->x && r->y >= a->y &&
	    r->x + r->w <= a->x + a->w && r->y + r->h <= a->y + a->h) {
		r->x -= a->x;
		r->y -= a->y;
		return a->x != 0 || a->y != 0 ? VIEW_MOVE : VIEW_PASS;
	}
	view_drop(v, r, redraw);
	return VIEW_DROP;
}

enum view_fate
view_translate(
    const struct view *v, struct rfb_rect *r, struct view_area *redraw)
{
	switch (r->encoding) {
	case RFB_ENC_RAW:
	case RFB_ENC_COPYRECT:
	case RFB_ENC_RRE:
	case RFB_ENC_CORRE:
	case RFB_ENC_HEXTILE:
	case RFB_ENC_ZLIB:
	case RFB_ENC_TIGHT:
	case RFB_ENC_ZRLE:
		return translate_picture(v, r, redraw);
	case RFB_ENC_POINTER_POS:
	case RFB_ENC_VMWARE_CURSOR_POS:
		r->x = place(r->x, v->area.x, v->area.w);
		r->y = place(r->y, v->area.y, v->area.h);
		return VIEW_MOVE;
	case RFB_ENC_DESKTOP_SIZE:
	case RFB_ENC_EXT_DESKTOP_SIZE:
		return VIEW_RESIZE;
	default:
		return VIEW_PASS; /* no place on the screen, or a hot spot */
	}
}

struct view_area
view_region(const struct view *v, struct view_area a)
{
	const struct view_list *l = newest(v);
	struct view_area at = view_is_one(v) ? v->area : a;

	if (view_is_one(v)) {
		a = clip(a, v->area.w, v->area.h);
		a.x += v->area.x;
		a.y += v->area.y;
	}
	/* it may have shrunk under the monitor, or under an older request */
	a = clip(a, l->width, l->height);
	if (!is_empty(a))
		return a;
	return (struct view_area){ place(at.x, 0, l->width),
		place(at.y, 0, l->height), 1, 1 };
}

void
view_pointer(const struct view *v, uint16_t *x, uint16_t *y)
{
	if (!view_is_one(v))
		return;
	*x = (uint16_t)(v->area.x + place(*x, 0, v->area.w));
	*y = (uint16_t)(v->area.y + place(*y, 0, v->area.h));
}

bool
view_visible(const struct view *v, struct view_area *a)
{
	if (!view_is_one(v))
		return true;
	if (!overlap(*a, v->area, a))
		return false;
	a->x -= v->area.x;
	a->y -= v->area.y;
	return true;
}

static void
write_screen(uint8_t *p, uint32_t id, struct view_area a)
{
	store_be32(p, id);
	store_be16(p + 4, a.x);
	store_be16(p + 6, a.y);
	store_be16(p + 8, a.w);
	store_be16(p + 10, a.h);
	store_be32(p + 12, 0);
}

size_t
view_write_size(
    const struct view *v, bool is_extended, uint8_t out[VIEW_SIZE_LEN])
{
	const struct view_list *l = newest(v);
	const struct view_monitor *m = view_find(v, v->index);
	struct view_area a = view_seen(v);
	bool is_single = view_is_one(v) || l->n == 0;
	unsigned n = is_single ? 1 : l->n;

	memset(out, 0, 16);
	store_be16(out + 4, a.w);
	store_be16(out + 6, a.h);
	store_be32(out + 8,
	    (uint32_t)(is_extended ? RFB_ENC_EXT_DESKTOP_SIZE
				   : RFB_ENC_DESKTOP_SIZE));
	if (!is_extended)
		return 12;
	out[12] = (uint8_t)n;
	if (is_single)
		write_screen(out + 16, m != NULL ? m->id : 0, a);
	for (unsigned i = 0; i < n && !is_single; i++) {
		m = &l->monitors[i];
		write_screen(out + 16 + SCREEN_LEN * i, m->id,
		    (struct view_area){ m->x, m->y, m->w, m->h });
	}
	return 16 + SCREEN_LEN * (size_t)n;
}
