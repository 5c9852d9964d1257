/*
 * ZRLE: deflated tiles of 64x64 in one stream for the whole connection.
 * Source: RFC 6143 section 7.7.6.
 */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

#define TILE 64

/* The longest legal tile: a run for each pixel, 4 bytes and a length. */
#define TILE_MAX (1 + TILE * TILE * 5)

_Static_assert(TILE_MAX <= INFLATE_REST_MAX, "a tile waits until it is whole");

enum zrle_kind {
	ZRLE_RAW = 0,
	ZRLE_SOLID = 1,
	ZRLE_PACKED_MAX = 16,
	ZRLE_RUNS = 128,
	ZRLE_INDEXED_RUNS = 130, /* 128 + palette size */
};

/* A tile being drawn and the bytes that are left for it. */
struct tile {
	uint32_t *at; /* its row under way */
	size_t w, h;
	size_t x, y;
	const uint8_t *p, *end;
};

static int
cut_short(struct enc *e)
{
	return enc_fail(e, ERR_PROTOCOL, "ZRLE data ends inside a tile");
}

static size_t
left(const struct tile *t)
{
	return (size_t)(t->end - t->p);
}

static int
raw_tile(struct enc *e, struct tile *t)
{
	const struct enc_pixels *px = &e->format->cpixel;
	size_t row = t->w * px->len;

	if (left(t) < row * t->h)
		return cut_short(e);
	for (; t->y < t->h; t->y++, t->at += e->stride, t->p += row)
		px->row(px, t->at, t->p, t->w);
	return 0;
}

static int
read_palette(struct enc *e, struct tile *t, size_t n)
{
	const struct enc_pixels *px = &e->format->cpixel;

	if (left(t) < n * px->len)
		return cut_short(e);
	px->row(px, e->palette, t->p, n);
	t->p += n * px->len;
	return 0;
}

static int
solid_tile(struct enc *e, struct tile *t)
{
	int rc = read_palette(e, t, 1);

	if (rc == 0)
		enc_fill(e, e->x, e->y, t->w, t->h, e->palette[0]);
	return rc;
}

static unsigned
index_bits(size_t n_colours)
{
	return n_colours <= 2 ? 1 : n_colours <= 4 ? 2 : 4;
}

/* Indices of 1, 2 or 4 bits from the high end on; the palette is filled up
 * so that each index has a colour, the highest index tells if all exist. */
static unsigned
packed_row(const uint32_t *palette, uint32_t *dst, const uint8_t *p, size_t w,
    unsigned bits)
{
	unsigned mask = (1u << bits) - 1, shift = 8, at, highest = 0;

	for (size_t i = 0; i < w; i++) {
		shift -= bits;
		at = *p >> shift & mask;
		dst[i] = palette[at];
		highest = at > highest ? at : highest;
		if (shift == 0) {
			shift = 8;
			p++;
		}
	}
	return highest;
}

static int
packed_tile(struct enc *e, struct tile *t, size_t n)
{
	unsigned bits = index_bits(n), highest = 0, h;
	size_t row = (t->w * bits + 7) / 8;
	int rc = read_palette(e, t, n);

	if (rc != 0)
		return rc;
	if (left(t) < row * t->h)
		return cut_short(e);
	for (size_t i = n; i < 1u << bits; i++)
		e->palette[i] = ENC_BLACK;
	for (; t->y < t->h; t->y++, t->at += e->stride, t->p += row) {
		h = packed_row(e->palette, t->at, t->p, t->w, bits);
		highest = h > highest ? h : highest;
	}
	if (highest >= n)
		return enc_fail(
		    e, ERR_PROTOCOL, "ZRLE palette index out of range");
	return 0;
}

/* A run goes on in the next row. */
static int
draw_run(struct enc *e, struct tile *t, size_t n, uint32_t pixel)
{
	size_t k;

	if (n > (t->h - t->y) * t->w - t->x)
		return enc_fail(e, ERR_PROTOCOL, "ZRLE run leaves its tile");
	while (n > 0) {
		k = min_size(n, t->w - t->x);
		enc_run(t->at + t->x, k, pixel);
		n -= k;
		t->x += k;
		if (t->x == t->w) {
			t->x = 0;
			t->y++;
			t->at += e->stride;
		}
	}
	return 0;
}

/* One, and each byte up to the first that is not 255. 0: cut short. A
 * length beyond any tile is as good as the true one. */
static size_t
run_len(struct tile *t)
{
	size_t n = 1;
	uint8_t b;

	do {
		if (t->p == t->end)
			return 0;
		b = *t->p++;
		n += b;
	} while (b == 255 && n <= TILE * TILE);
	return n;
}

static int
run_tile(struct enc *e, struct tile *t)
{
	const struct enc_pixels *px = &e->format->cpixel;
	uint32_t pixel;
	size_t n;
	int rc = 0;

	while (rc == 0 && t->y < t->h) {
		if (left(t) <= px->len)
			return cut_short(e);
		pixel = enc_pixel(px, t->p);
		t->p += px->len;
		n = run_len(t);
		rc = n == 0 ? cut_short(e) : draw_run(e, t, n, pixel);
	}
	return rc;
}

static int
indexed_run(struct enc *e, struct tile *t, size_t n_colours)
{
	size_t n = 1;
	uint8_t b;

	if (t->p == t->end)
		return cut_short(e);
	b = *t->p++;
	if ((b & 127) >= n_colours)
		return enc_fail(
		    e, ERR_PROTOCOL, "ZRLE palette index out of range");
	if ((b & 128) != 0)
		n = run_len(t);
	return n == 0 ? cut_short(e) : draw_run(e, t, n, e->palette[b & 127]);
}

static int
indexed_run_tile(struct enc *e, struct tile *t, size_t n_colours)
{
	int rc = read_palette(e, t, n_colours);

	while (rc == 0 && t->y < t->h)
		rc = indexed_run(e, t, n_colours);
	return rc;
}

static int
draw_tile(struct enc *e, struct tile *t)
{
	uint8_t kind = *t->p++;

	if (kind == ZRLE_RAW)
		return raw_tile(e, t);
	if (kind == ZRLE_SOLID)
		return solid_tile(e, t);
	if (kind <= ZRLE_PACKED_MAX)
		return packed_tile(e, t, kind);
	if (kind == ZRLE_RUNS)
		return run_tile(e, t);
	if (kind >= ZRLE_INDEXED_RUNS)
		return indexed_run_tile(e, t, kind - 128u);
	return enc_fail(e, ERR_PROTOCOL, "unknown ZRLE subencoding");
}

static void
next_tile(struct enc *e, const struct tile *t)
{
	e->x += t->w;
	if (e->x < e->w)
		return;
	e->x = 0;
	e->y += t->h;
}

/* Draws tiles while at least `enough` bytes lie there. */
static ssize_t
draw_tiles(struct enc *e, const uint8_t *p, size_t n, size_t enough)
{
	struct tile t = { .p = p, .end = p + n };
	int rc = 0;

	while (rc == 0 && !enc_is_drawn(e) && left(&t) >= enough) {
		t.w = min_size(TILE, (size_t)(e->w - e->x));
		t.h = min_size(TILE, (size_t)(e->h - e->y));
		t.at = e->at + e->y * e->stride + e->x;
		t.x = t.y = 0;
		rc = draw_tile(e, &t);
		next_tile(e, &t);
	}
	return rc != 0 ? rc : t.p - p;
}

static ssize_t
zrle_sink(struct enc *e, const uint8_t *p, size_t n)
{
	return draw_tiles(e, p, n, TILE_MAX);
}

static int
zrle_begin(struct enc *e)
{
	return 0;
}

static int
zrle_payload(struct enc *e, struct enc_span *s)
{
	const uint8_t *p;

	if (!e->has_header) {
		/* The length, which the framer obeys. */
		if (enc_want(e, s, 4) == NULL)
			return 0;
		enc_done(e, s, 4);
		e->has_header = true;
	}
	p = s->p;
	s->p = s->end;
	return enc_inflate(e, &e->zrle, p, (size_t)(s->end - p), zrle_sink);
}

/* Here alone a tile may be shorter than what is left of the output. */
static int
zrle_end(struct enc *e)
{
	ssize_t used;

	if (e->n_rest > 0 && !enc_is_drawn(e)) {
		used = draw_tiles(e, e->rest, e->n_rest, 1);
		if (used < 0)
			return (int)used;
		e->n_rest -= (size_t)used;
	}
	if (!enc_is_drawn(e))
		return enc_fail(e, ERR_PROTOCOL, "ZRLE data too short");
	if (e->n_rest > 0)
		return enc_fail(
		    e, ERR_PROTOCOL, "ZRLE data after its last tile");
	return 0;
}

const struct enc_codec enc_zrle = {
	.encoding = RFB_ENC_ZRLE,
	.begin = zrle_begin,
	.payload = zrle_payload,
	.end = zrle_end,
};
