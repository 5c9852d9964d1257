/*
 * For tests and benchmarks: a vector through libvncclient. It reads the
 * stream from the file itself; as no server's list of messages was ever
 * told to it, it sends nothing.
 */
#ifndef TESTS_VECTORS_LIBVNC_H
#define TESTS_VECTORS_LIBVNC_H

#include <fcntl.h>
#include <rfb/rfbclient.h>
#include <unistd.h>

#include "tests/vectors/vector.h"

static inline void
libvnc_quiet(const char *format, ...)
{
}

static inline void
libvnc_format(rfbPixelFormat *to, const struct rfb_pixel_format *pf)
{
	to->bitsPerPixel = pf->bits_per_pixel;
	to->depth = pf->depth;
	to->bigEndian = pf->big_endian;
	to->trueColour = 1;
	to->redMax = pf->red_max;
	to->greenMax = pf->green_max;
	to->blueMax = pf->blue_max;
	to->redShift = pf->red_shift;
	to->greenShift = pf->green_shift;
	to->blueShift = pf->blue_shift;
}

/* The default one leaves a new framebuffer as malloc gives it. */
static inline rfbBool
libvnc_black(rfbClient *c)
{
	free(c->frameBuffer);
	c->frameBuffer =
	    calloc((size_t)c->width * c->height, c->format.bitsPerPixel / 8);
	return c->frameBuffer != NULL;
}

/* Reads from the stream's first byte in path. NULL on failure. */
static inline rfbClient *
libvnc_open(const struct vector *v, const char *path)
{
	rfbClient *c;

	rfbClientLog = libvnc_quiet;
	rfbClientErr = libvnc_quiet;
	c = rfbGetClient(8, 3, 4);
	if (c == NULL)
		return NULL;
	libvnc_format(&c->format, &v->pf);
	/* Of the server's own format it looks at this one, for ZRLE. */
	c->si.format.greenMax = 255;
	c->MallocFrameBuffer = libvnc_black;
	c->width = v->width;
	c->height = v->height;
	c->canHandleNewFBSize = TRUE;
	c->sock = open(path, O_RDONLY | O_CLOEXEC);
	if (c->sock < 0 || !libvnc_black(c) ||
	    lseek(c->sock, v->data - v->file, SEEK_SET) < 0) {
		rfbClientCleanup(c);
		return NULL;
	}
	return c;
}

static inline bool
libvnc_has_more(const struct vector *v, const rfbClient *c)
{
	off_t at = lseek(c->sock, 0, SEEK_CUR);

	return c->buffered > 0 || at < (v->data - v->file) + (off_t)v->len;
}

/* All messages; false when one is not understood. */
static inline bool
libvnc_run(const struct vector *v, rfbClient *c)
{
	while (libvnc_has_more(v, c)) {
		if (!HandleRFBServerMessage(c))
			return false;
	}
	return true;
}

static inline void
libvnc_close(rfbClient *c)
{
	uint8_t *picture = c->frameBuffer;

	/* Not freed by the library: a cursor, and the picture. */
	free(c->rcSource);
	free(c->rcMask);
	c->rcSource = c->rcMask = NULL;
	rfbClientCleanup(c);
	free(picture);
}

#endif
