#include "console/login/qr_svg.h"

#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET 4 /* modules around it, ISO/IEC 18004 section 5.3.8 */

/* Runs of dark modules of a row, each a rectangle of height 1. */
static void
print_row(FILE *f, const unsigned char *row, int width, int y)
{
	for (int x = 0; x < width; x++) {
		int n = 0;

		while (x + n < width && (row[x + n] & 1) != 0)
			n++;
		if (n == 0)
			continue;
		fprintf(f, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, n, n);
		x += n;
	}
}

char *
qr_svg(const char *text)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	char *svg = NULL;
	size_t len;
	FILE *f = code != NULL ? open_memstream(&svg, &len) : NULL;
	int size;

	if (f == NULL) {
		QRcode_free(code);
		return NULL;
	}
	size = code->width + 2 * QUIET;
	fprintf(f,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
	    "shape-rendering=\"crispEdges\"><path fill=\"#fff\" "
	    "d=\"M0 0h%dv%dH0z\"/><path d=\"",
	    size, size, size, size);
	for (int y = 0; y < code->width; y++)
		print_row(f, code->data + y * code->width, code->width, y);
	fputs("\"/></svg>", f);
	QRcode_free(code);
	if (fclose(f) == 0)
		return svg;
	free(svg);
	return NULL;
}
