#include "recorder/frame/activity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

#define ROOM_MIN  64
#define ENTRY_MAX 19 /* "[1000,65535,65535]," */

void
activity_release(struct activity *a)
{
	free(a->seen);
	free(a->seconds);
	memset(a, 0, sizeof(*a));
}

void
activity_set_tiles(struct activity *a, size_t n_tiles)
{
	free(a->seen);
	a->seen = calloc(n_tiles, 1);
	a->n_tiles = a->seen != NULL ? n_tiles : 0;
	a->n_seen = 0;
}

void
activity_reset(struct activity *a)
{
	if (a->seen != NULL)
		memset(a->seen, 0, a->n_tiles);
	a->n_seen = 0;
	a->second = 0;
	a->n = 0;
}

/* Room for seconds up to n; returns whether there is. */
static int
grow(struct activity *a, size_t n)
{
	size_t room = a->room > 0 ? a->room : ROOM_MIN;
	struct activity_second *more;

	if (n <= a->room)
		return 1;
	while (room < n)
		room *= 2;
	more = realloc(a->seconds, room * sizeof(*more));
	if (more == NULL)
		return 0;
	a->seconds = more;
	a->room = room;
	return 1;
}

/* The entry of a second, which is the one collected from here on. */
static struct activity_second *
at(struct activity *a, uint64_t second)
{
	if (second >= ACTIVITY_SECONDS_MAX)
		second = ACTIVITY_SECONDS_MAX - 1;
	if (second > a->second) {
		if (a->n_seen > 0)
			memset(a->seen, 0, a->n_tiles);
		a->n_seen = 0;
		a->second = (uint32_t)second;
	}
	if (!grow(a, a->second + 1))
		return NULL;
	if (a->n <= a->second) {
		memset(a->seconds + a->n, 0,
		    (a->second + 1 - a->n) * sizeof(*a->seconds));
		a->n = a->second + 1;
	}
	return &a->seconds[a->second];
}

void
activity_changed(struct activity *a, uint64_t second, const uint8_t *dirty)
{
	struct activity_second *s = at(a, second);
	size_t n = 0;

	if (s == NULL || a->n_tiles == 0)
		return;
	for (size_t i = 0; i < a->n_tiles; i++) {
		a->seen[i] |= dirty[i] != 0;
		n += a->seen[i];
	}
	a->n_seen = n;
	n = (n * 1000 + a->n_tiles - 1) / a->n_tiles;
	if (n > s->permille) /* the frame's size may have changed in it */
		s->permille = (uint16_t)n;
}

static void
add(uint16_t *count, uint64_t n)
{
	*count = (uint16_t)min_u64(UINT16_MAX, *count + min_u64(n, UINT16_MAX));
}

void
activity_input(struct activity *a, uint64_t second, uint64_t events)
{
	struct activity_second *s = at(a, second);

	if (s != NULL)
		add(&s->events, events);
}

void
activity_merged(struct activity *a, uint64_t second, uint64_t n)
{
	struct activity_second *s = at(a, second);

	if (s != NULL)
		add(&s->merged, n);
}

/* Everything from second n on, as one. */
static struct activity_second
fold(const struct activity *a, size_t n)
{
	struct activity_second sum = { 0 };

	for (size_t i = n; i < a->n; i++) {
		if (a->seconds[i].permille > sum.permille)
			sum.permille = a->seconds[i].permille;
		add(&sum.events, a->seconds[i].events);
		add(&sum.merged, a->seconds[i].merged);
	}
	return sum;
}

char *
activity_text(const struct activity *a, uint64_t duration_ms)
{
	size_t n =
	    (size_t)min_u64((duration_ms + 999) / 1000, ACTIVITY_SECONDS_MAX);
	char *text = malloc(n * ENTRY_MAX + 3), *p = text;

	if (text == NULL)
		return NULL;
	*p++ = '[';
	for (size_t i = 0; i < n; i++) {
		struct activity_second s = { 0 };

		if (i + 1 == n)
			s = fold(a, i);
		else if (i < a->n)
			s = a->seconds[i];
		p += sprintf(p, "%s[%u,%u,%u]", i > 0 ? "," : "", s.permille,
		    s.events, s.merged);
	}
	strcpy(p, "]");
	return text;
}
