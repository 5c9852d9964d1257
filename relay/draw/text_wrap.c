#include "relay/draw/text_wrap.h"

static unsigned
width_of(const struct text_wrap *t, size_t from, size_t to)
{
	unsigned w = 0;

	for (size_t i = from; i < to; i++)
		w += t->glyphs[i].advance;
	return w;
}

/* Where the line that begins at from ends, and where the next begins: at a
 * line feed, behind the last space that fits, or inside a long word. */
static size_t
break_line(const struct text_wrap *t, size_t from, size_t *next)
{
	size_t space = from, i;
	unsigned w = 0;

	for (i = from; i < t->n && t->glyphs[i].code != '\n'; i++) {
		if (t->glyphs[i].code == ' ')
			space = i;
		else if (w + t->glyphs[i].advance > t->max_w)
			break;
		w += t->glyphs[i].advance;
	}
	if (i == t->n || t->glyphs[i].code == '\n') {
		*next = i == t->n ? i : i + 1;
		return i;
	}
	if (space > from) {
		*next = space + 1;
		return space;
	}
	i = i > from ? i : from + 1; /* one glyph wider than the line */
	*next = i;
	return i;
}

/* Spaces at the end of a line count for nothing. */
static size_t
trim(const struct text_wrap *t, size_t from, size_t to)
{
	while (to > from && t->glyphs[to - 1].code == ' ')
		to--;
	return to;
}

static void
end_with_ellipsis(const struct text_wrap *t, struct text_line *line)
{
	while (line->to > line->from &&
	    width_of(t, line->from, line->to) + t->ellipsis_w > t->max_w)
		line->to--;
	line->to = trim(t, line->from, line->to);
	line->w = width_of(t, line->from, line->to) + t->ellipsis_w;
	line->has_ellipsis = true;
}

size_t
text_wrap(struct text_wrap *t, struct text_line *lines)
{
	size_t at = 0, next, n = 0;

	while (at < t->n && n < t->max_lines) {
		struct text_line *line = &lines[n++];

		line->from = at;
		line->to = trim(t, at, break_line(t, at, &next));
		line->w = width_of(t, line->from, line->to);
		line->has_ellipsis = false;
		at = next;
	}
	if (at < t->n)
		t->is_cut = true;
	if (t->is_cut && n > 0)
		end_with_ellipsis(t, &lines[n - 1]);
	return n;
}
