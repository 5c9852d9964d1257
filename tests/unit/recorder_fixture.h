/*
 * What the recorder's tests share: a spool folder that goes away, a session's
 * meta, screens with something on them, and server messages that draw them.
 * Header only, as each test program uses another part.
 */
#ifndef TESTS_UNIT_RECORDER_FIXTURE_H
#define TESTS_UNIT_RECORDER_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"

#define FIXTURE_SESSION "6d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f"
#define FIXTURE_FORMAT  "2018000100ff00ff00ff100800000000"

struct fixture_spool {
	char path[64];
	int fd;
};

static inline void
fixture_spool_make_in(struct fixture_spool *sp, const char *parent)
{
	snprintf(sp->path, sizeof(sp->path), "%s/rc-spool-XXXXXX", parent);
	if (mkdtemp(sp->path) == NULL)
		abort();
	sp->fd = open(sp->path, O_RDONLY | O_DIRECTORY);
	if (sp->fd < 0)
		abort();
}

static inline void
fixture_spool_make(struct fixture_spool *sp)
{
	fixture_spool_make_in(sp, "/tmp");
}

static inline void
fixture_spool_remove(struct fixture_spool *sp)
{
	DIR *d = opendir(sp->path);
	const struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(sp->fd, e->d_name, 0);
	if (d != NULL)
		closedir(d);
	close(sp->fd);
	rmdir(sp->path);
}

/* Files whose names end so; the last one's name into name (may be NULL). */
static inline int
fixture_spool_count(
    const struct fixture_spool *sp, const char *ending, char name[64])
{
	DIR *d = opendir(sp->path);
	const struct dirent *e;
	size_t len = strlen(ending);
	int n = 0;

	while (d != NULL && (e = readdir(d)) != NULL) {
		size_t l = strlen(e->d_name);

		if (e->d_name[0] == '.' || l < len ||
		    strcmp(e->d_name + l - len, ending) != 0)
			continue;
		n++;
		if (name != NULL)
			snprintf(name, 64, "%.63s", e->d_name);
	}
	if (d != NULL)
		closedir(d);
	return n;
}

struct fixture_meta {
	unsigned width, height, frame_rate;
	uint64_t start_mono_ns, segment_bytes, min_free_bytes;
	const char *codec;
	const char *more;  /* fields, each after a comma; may be NULL */
	const char *begin; /* split_reason; NULL: start */
};

/* The JSON of descriptor 9, docs/tee.md; returns its length. */
static inline size_t
fixture_meta_json(const struct fixture_meta *m, char *out, size_t len)
{
	return (size_t)snprintf(out, len,
	    "{\"session\":\"" FIXTURE_SESSION "\",\"team\":\"acme\","
	    "\"endpoint\":\"pc-7\",\"technician\":\"alice\",\"team_id\":1,"
	    "\"endpoint_id\":2,\"person_id\":3,\"access\":\"unattended\","
	    "\"time_zone\":\"Europe/Berlin\",\"retention_days\":90,"
	    "\"width\":%u,\"height\":%u,\"pixel_format\":\"" FIXTURE_FORMAT
	    "\",\"desktop_name\":\"d\",\"start_mono_ns\":%llu,"
	    "\"start_wall_ns\":1795248219233666988,\"first_seq\":1,"
	    "\"first_frame\":1,\"split_reason\":\"%s\","
	    "\"frame_rate\":%u,\"segment_bytes\":%llu,"
	    "\"min_free_bytes\":%llu,\"codec\":\"%s\",\"quality\":\"text\"%s}",
	    m->width, m->height, (unsigned long long)m->start_mono_ns,
	    m->begin != NULL ? m->begin : "start", m->frame_rate,
	    (unsigned long long)m->segment_bytes,
	    (unsigned long long)m->min_free_bytes, m->codec,
	    m->more != NULL ? m->more : "");
}

/* A small generator of one's own: the same bytes on every machine. */
static inline uint32_t
fixture_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Grey noise, which hardly compresses. BGRX, w x h. */
static inline void
fixture_noise(uint8_t *px, unsigned w, unsigned h, uint32_t seed)
{
	for (size_t i = 0; i < (size_t)w * h; i++) {
		memset(px + 4 * i, (int)(fixture_random(&seed) & 0xff), 3);
		px[4 * i + 3] = 255;
	}
}

/* Something like a desktop: coloured areas and rows of small glyphs. */
static inline void
fixture_desktop(uint8_t *px, unsigned w, unsigned h, uint32_t seed)
{
	for (unsigned y = 0; y < h; y++)
		for (unsigned x = 0; x < w; x++) {
			uint8_t *p = px + ((size_t)y * w + x) * 4;
			uint32_t glyph =
			    (x / 8 * 31 + y / 14 * 17 + seed) * 2654435761u;
			bool ink = x % 8 < 6 && y % 14 < 10 &&
			    (glyph >> (x % 8 / 2 + y % 14 / 3 * 4) & 1) != 0;
			bool text = x > w / 4 && y > h / 6;

			p[0] = text ? (ink ? 20 : 250) : 0x88;
			p[1] = text ? (ink ? 20 : 250) : 0x66;
			p[2] = text ? (ink ? 20 : 250) : 0x44;
			p[3] = 255;
		}
}

/* Appends the header of an update of n rectangles. */
static inline size_t
fixture_update(uint8_t *out, unsigned n)
{
	out[0] = out[1] = 0;
	store_be16(out + 2, (uint16_t)n);
	return 4;
}

static inline size_t
fixture_rect(uint8_t *out, unsigned x, unsigned y, unsigned w, unsigned h,
    int32_t encoding)
{
	store_be16(out, (uint16_t)x);
	store_be16(out + 2, (uint16_t)y);
	store_be16(out + 4, (uint16_t)w);
	store_be16(out + 6, (uint16_t)h);
	store_be32(out + 8, (uint32_t)encoding);
	return 12;
}

/* A whole update of one Raw rectangle out of px (stride pixels a row). */
static inline size_t
fixture_raw(uint8_t *out, const uint8_t *px, unsigned stride, unsigned x,
    unsigned y, unsigned w, unsigned h)
{
	size_t n = fixture_update(out, 1);

	n += fixture_rect(out + n, x, y, w, h, 0);
	for (unsigned row = 0; row < h; row++) {
		memcpy(out + n, px + ((size_t)(y + row) * stride + x) * 4,
		    (size_t)w * 4);
		n += (size_t)w * 4;
	}
	return n;
}

#endif
