#include "common/proxy_bio.h"

#include <openssl/bio.h>
#include <stdlib.h>

#include "common/err.h"

/* Until the header was read; then the BIO has none of it. */
struct header {
	proxy_bio_cb *cb;
	void *arg;
	size_t have;
	uint8_t data[PROXY_HEADER_MAX];
};

static void
drop_header(BIO *b)
{
	free(BIO_get_data(b));
	BIO_set_data(b, NULL);
}

static bool
take_header(BIO *b, const struct header *h)
{
	struct proxy_source source;
	bool ok = proxy_header_read(h->data, h->have, &source) == 0 &&
	    h->cb(h->arg, &source);

	drop_header(b);
	return ok;
}

/* Reads on. Returns 1 when the header is complete and right, or as BIO_read. */
static int
read_header(BIO *b, struct header *h)
{
	for (;;) {
		ssize_t wanted = proxy_header_wanted(h->data, h->have);
		int n;

		if (wanted < 0)
			return -1;
		if (h->have >= PROXY_FIXED_LEN && h->have == (size_t)wanted)
			return take_header(b, h) ? 1 : -1;
		n = BIO_read(BIO_next(b), h->data + h->have,
		    (int)((size_t)wanted - h->have));
		if (n <= 0) {
			BIO_copy_next_retry(b);
			return n;
		}
		h->have += (size_t)n;
	}
}

static int
on_read(BIO *b, char *data, int len)
{
	struct header *h = BIO_get_data(b);
	int n;

	BIO_clear_retry_flags(b);
	if (!BIO_get_init(b))
		return -1; /* no header came, nothing else is read */
	if (h != NULL) {
		n = read_header(b, h);
		if (n <= 0) {
			if (!BIO_should_retry(b))
				BIO_set_init(b, 0);
			return n;
		}
	}
	n = BIO_read(BIO_next(b), data, len);
	BIO_copy_next_retry(b);
	return n;
}

static long
on_ctrl(BIO *b, int cmd, long arg, void *ptr)
{
	return BIO_next(b) != NULL ? BIO_ctrl(BIO_next(b), cmd, arg, ptr) : 0;
}

static int
on_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static int
on_destroy(BIO *b)
{
	drop_header(b);
	return 1;
}

static BIO_METHOD *
method(void)
{
	static BIO_METHOD *m;

	if (m != NULL)
		return m;
	m = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_FILTER, "PROXY protocol");
	if (m != NULL) {
		BIO_meth_set_read(m, on_read);
		BIO_meth_set_ctrl(m, on_ctrl);
		BIO_meth_set_create(m, on_create);
		BIO_meth_set_destroy(m, on_destroy);
	}
	return m;
}

int
proxy_bio_insert(SSL *ssl, proxy_bio_cb *cb, void *arg)
{
	struct header *h = calloc(1, sizeof(*h));
	BIO *socket = SSL_get_rbio(ssl), *b = NULL;

	if (h != NULL && method() != NULL)
		b = BIO_new(method());
	if (b == NULL) {
		free(h);
		return ERR_NOMEM;
	}
	h->cb = cb;
	h->arg = arg;
	BIO_set_data(b, h);
	BIO_up_ref(socket); /* the end of writing keeps its own */
	BIO_push(b, socket);
	SSL_set0_rbio(ssl, b);
	return 0;
}
