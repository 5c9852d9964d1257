#include <string.h>

#include "common/err.h"
#include "rfb/enc/enc.h"

/* Progressive pictures have ten or so; each one passes over all pixels. */
#define MAX_SCANS 16

/* Entropy-coded data has no such pair; in other segments it may stand by
 * chance. */
static bool
has_many_scans(const uint8_t *p, size_t len)
{
	static const uint8_t start_of_scan[2] = { 0xff, 0xda };
	unsigned n = 0;
	const uint8_t *found;

	while ((found = memmem(p, len, start_of_scan, 2)) != NULL) {
		n++;
		len -= (size_t)(found + 2 - p);
		p = found + 2;
	}
	return n > MAX_SCANS;
}

static int
check_size(struct enc *e, const uint8_t *p, size_t len)
{
	int w, h, sampling, space;

	if (tjDecompressHeader3(e->tj, p, len, &w, &h, &sampling, &space) != 0)
		return enc_fail(e, ERR_PROTOCOL, "JPEG header is corrupt");
	if (w != e->w || h != e->h)
		return enc_fail(
		    e, ERR_PROTOCOL, "JPEG of another size than its rectangle");
	return 0;
}

/*
 * Straight into the picture. The alpha of BGRA is 255, the X of BGRX would
 * be undefined. Warnings are let pass, as viewers do: the rows are written
 * all the same. Too many scans, a way to burn hours, are not: libjpeg's own
 * limit is 500.
 */
int
enc_tight_jpeg(struct enc *e, const uint8_t *p, size_t len)
{
	int rc;

	if (e->tj == NULL)
		e->tj = tjInitDecompress();
	if (e->tj == NULL)
		return enc_fail(e, ERR_NOMEM, "out of memory");
	rc = check_size(e, p, len);
	if (rc != 0)
		return rc;
	if (has_many_scans(p, len))
		return enc_fail(e, ERR_LIMIT, "JPEG with too many scans");
	if (tjDecompress2(e->tj, p, len, (uint8_t *)e->at, e->w,
		(int)(e->stride * sizeof(*e->at)), e->h, TJPF_BGRA,
		TJFLAG_LIMITSCANS) != 0 &&
	    tjGetErrorCode(e->tj) != TJERR_WARNING)
		return enc_fail(e, ERR_PROTOCOL, "JPEG data is corrupt");
	return 0;
}
