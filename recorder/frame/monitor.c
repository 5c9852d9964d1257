#include "recorder/frame/monitor.h"

#include <string.h>

#include "common/bytes.h"
#include "common/tee.h"

#define GEOMETRY_LEN 12 /* index and four sides */

/*
 * Length of the UTF-8 sequence at p, of n bytes; 0 when it is none. Cut
 * sequences, overlong ones and surrogates are none. Source: RFC 3629.
 */
static size_t
utf8_len(const uint8_t *p, size_t n)
{
	size_t len = p[0] < 0x80 ? 1
	    : p[0] < 0xc2        ? 0
	    : p[0] < 0xe0        ? 2
	    : p[0] < 0xf0        ? 3
	    : p[0] < 0xf5        ? 4
				 : 0;

	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

void
monitor_set_name(struct monitor *m, const char *name, size_t len)
{
	size_t n = 0, step;

	len = min_size(len, MONITOR_NAME_MAX - 1);
	while (n < len && name[n] != '\0' &&
	    (step = utf8_len((const uint8_t *)name + n, len - n)) != 0) {
		memcpy(m->name + n, name + n, step);
		if ((uint8_t)name[n] < 0x20 || name[n] == 0x7f)
			m->name[n] = '?';
		n += step;
	}
	memset(m->name + n, 0, MONITOR_NAME_MAX - n);
}

void
monitor_parse(struct monitor *m, const uint8_t *value)
{
	m->index = load_be32(value);
	m->area.x = load_be16(value + 4);
	m->area.y = load_be16(value + 6);
	m->area.w = load_be16(value + 8);
	m->area.h = load_be16(value + 10);
	monitor_set_name(m, (const char *)value + GEOMETRY_LEN,
	    TEE_MARK_VALUE - GEOMETRY_LEN);
}

unsigned
monitor_number(const struct monitor *m)
{
	if (m->index > MONITOR_INDEX_MAX)
		return MONITOR_INDEX_MAX;
	return m->index == 0 ? 1 : m->index;
}

static unsigned
min_unsigned(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

struct area
monitor_area(const struct monitor *m, unsigned width, unsigned height)
{
	struct area all = { 0, 0, width, height }, a = m->area;

	if (m->index == 0 || a.w == 0 || a.h == 0 || a.x >= width ||
	    a.y >= height)
		return all;
	a.w = min_unsigned(a.w, width - a.x);
	a.h = min_unsigned(a.h, height - a.y);
	return a;
}

bool
area_equal(const struct area *a, const struct area *b)
{
	return a->x == b->x && a->y == b->y && a->w == b->w && a->h == b->h;
}

bool
area_clip(struct area *r, const struct area *in)
{
	unsigned x = r->x > in->x ? r->x : in->x;
	unsigned y = r->y > in->y ? r->y : in->y;
	unsigned x_end = min_unsigned(r->x + r->w, in->x + in->w);
	unsigned y_end = min_unsigned(r->y + r->h, in->y + in->h);

	if (x >= x_end || y >= y_end)
		return false;
	*r = (struct area){ x - in->x, y - in->y, x_end - x, y_end - y };
	return true;
}
