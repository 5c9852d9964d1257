#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

int
enc_fail(struct enc *e, int err, const char *why)
{
	e->why = why;
	return err;
}

const struct enc_codec *
enc_find_picture(int32_t encoding)
{
	static const struct enc_codec *const codecs[] = { &enc_tight, &enc_zrle,
		&enc_raw, &enc_copyrect, &enc_hextile, &enc_zlib, &enc_rre,
		&enc_corre };

	for (size_t i = 0; i < N_ELEMENTS(codecs); i++) {
		if (codecs[i]->encoding == encoding)
			return codecs[i];
	}
	return NULL;
}

int
enc_grow(struct enc *e, void **buf, size_t *cap, size_t need)
{
	void *p;

	if (need <= *cap)
		return 0;
	p = malloc(need);
	if (p == NULL)
		return enc_fail(e, ERR_NOMEM, "out of memory");
	free(*buf);
	*buf = p;
	*cap = need;
	return 0;
}

const uint8_t *
enc_want(struct enc *e, struct enc_span *s, size_t n)
{
	size_t left = (size_t)(s->end - s->p), take;

	if (e->n_kept == 0 && left >= n)
		return s->p;
	if (n > sizeof(e->kept))
		return NULL; /* no codec asks for that much */
	take = e->n_kept < n ? min_size(n - e->n_kept, left) : 0;
	memcpy(e->kept + e->n_kept, s->p, take);
	e->n_kept += take;
	s->p += take;
	return e->n_kept == n ? e->kept : NULL;
}

void
enc_done(struct enc *e, struct enc_span *s, size_t n)
{
	if (e->n_kept == 0)
		s->p += n;
	e->n_kept = 0;
}

void
enc_release(struct enc *e)
{
	enc_inflater_release(&e->zlib);
	enc_inflater_release(&e->zrle);
	for (size_t i = 0; i < N_ELEMENTS(e->tight_streams); i++)
		enc_inflater_release(&e->tight_streams[i]);
	if (e->tj != NULL)
		tjDestroy(e->tj);
	enc_format_release(&e->cursor_format);
	free(e->scratch);
	free(e->gradient);
	free(e->jpeg);
	free(e->cursor);
}
