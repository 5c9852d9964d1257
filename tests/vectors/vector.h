/*
 * For tests and benchmarks: reads a vector file (README.md beside this) and
 * feeds it to a decoder, switching the pixel format where it says.
 */
#ifndef TESTS_VECTORS_VECTOR_H
#define TESTS_VECTORS_VECTOR_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "rfb/decoder.h"

#define VECTOR_MAX_FORMATS 4

struct vector_switch {
	size_t offset;
	struct rfb_pixel_format pf;
};

struct vector {
	uint16_t width, height;
	struct rfb_pixel_format pf; /* in force at offset 0 */
	struct vector_switch formats[VECTOR_MAX_FORMATS];
	size_t n_formats;
	char sha256[65]; /* of the last picture; empty: lossy */
	bool is_libvncclient;
	uint8_t *file;
	const uint8_t *data; /* the stream, inside file */
	size_t len;
};

static inline uint8_t *
vector_read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p = NULL;
	long n;

	if (f == NULL)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (n = ftell(f)) > 0) {
		rewind(f);
		p = malloc((size_t)n);
		*len = p != NULL ? fread(p, 1, (size_t)n, f) : 0;
	}
	fclose(f);
	return p;
}

static inline bool
vector_format(const json_t *hex, struct rfb_pixel_format *pf)
{
	uint8_t wire[RFB_PIXEL_FORMAT_LEN];
	const char *s = json_string_value(hex);
	unsigned byte;

	if (s == NULL || strlen(s) != 2 * sizeof(wire))
		return false;
	for (size_t i = 0; i < sizeof(wire); i++) {
		if (sscanf(s + 2 * i, "%2x", &byte) != 1)
			return false;
		wire[i] = (uint8_t)byte;
	}
	return rfb_pixel_format_parse(pf, wire) == 0;
}

static inline bool
vector_head(struct vector *v, const json_t *head)
{
	const char *hash = json_string_value(json_object_get(head, "sha256"));
	const json_t *each;
	size_t i;

	v->width = (uint16_t)json_integer_value(json_object_get(head, "width"));
	v->height =
	    (uint16_t)json_integer_value(json_object_get(head, "height"));
	v->is_libvncclient =
	    json_is_true(json_object_get(head, "libvncclient"));
	if (hash != NULL)
		snprintf(v->sha256, sizeof(v->sha256), "%s", hash);
	json_array_foreach(json_object_get(head, "formats"), i, each) {
		struct vector_switch *s = &v->formats[v->n_formats++];

		s->offset =
		    (size_t)json_integer_value(json_object_get(each, "offset"));
		if (v->n_formats == VECTOR_MAX_FORMATS ||
		    !vector_format(
			json_object_get(each, "pixel_format"), &s->pf))
			return false;
	}
	return v->width > 0 && v->height > 0 &&
	    vector_format(json_object_get(head, "pixel_format"), &v->pf);
}

static inline void
vector_release(struct vector *v)
{
	free(v->file);
	v->file = NULL;
}

/* False when the file is missing or is not a vector. */
static inline bool
vector_load(struct vector *v, const char *path)
{
	const uint8_t *nl;
	json_t *head;
	size_t len = 0;
	bool is_good;

	memset(v, 0, sizeof(*v));
	v->file = vector_read_file(path, &len);
	nl = v->file != NULL ? memchr(v->file, '\n', len) : NULL;
	if (nl == NULL) {
		vector_release(v);
		return false;
	}
	v->data = nl + 1;
	v->len = len - (size_t)(v->data - v->file);
	head =
	    json_loadb((const char *)v->file, (size_t)(nl - v->file), 0, NULL);
	is_good = head != NULL && vector_head(v, head);
	json_decref(head);
	if (!is_good)
		vector_release(v);
	return is_good;
}

/* The offset of the next switch at or after `at`; the end if none. */
static inline size_t
vector_next_stop(const struct vector *v, size_t at)
{
	for (size_t i = 0; i < v->n_formats; i++) {
		if (v->formats[i].offset > at)
			return v->formats[i].offset;
	}
	return v->len;
}

static inline int
vector_switch_at(const struct vector *v, struct rfb_decoder *d, size_t at)
{
	for (size_t i = 0; i < v->n_formats; i++) {
		if (v->formats[i].offset == at)
			return rfb_decoder_set_pixel_format(
			    d, &v->formats[i].pf);
	}
	return 0;
}

/* Bytes [at, to) in pieces of at most piece_max bytes. */
static inline int
vector_feed_part(const struct vector *v, struct rfb_decoder *d, size_t at,
    size_t to, size_t piece_max)
{
	size_t n;
	int rc = 0;

	while (rc == 0 && at < to) {
		rc = vector_switch_at(v, d, at);
		n = min_size(vector_next_stop(v, at), to) - at;
		n = min_size(piece_max, n);
		if (rc == 0)
			rc = rfb_decoder_feed(d, v->data + at, n);
		at += n;
	}
	return rc;
}

/* All of it. */
static inline int
vector_feed(const struct vector *v, struct rfb_decoder *d, size_t piece_max)
{
	return vector_feed_part(v, d, 0, v->len, piece_max);
}

#endif
