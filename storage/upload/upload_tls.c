/* Which connections of the server of signed files are those of agents. */
#include <string.h>

#include "common/bytes.h"
#include "storage/upload/receiver_internal.h"

static int
accept_any(int ok, X509_STORE_CTX *ctx)
{
	return 1; /* who it is, is looked up by its SHA-256 */
}

/* Agents show a certificate; browsers are not asked for one. */
static int
select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	static const char *const known[] = { TUS_ALPN, "http/1.1" };

	for (size_t k = 0; k < N_ELEMENTS(known); k++)
		for (unsigned i = 0; i < in_len; i += in[i] + 1u) {
			if (in[i] != strlen(known[k]) ||
			    i + 1u + in[i] > in_len ||
			    memcmp(in + i + 1, known[k], in[i]) != 0)
				continue;
			if (k == 0)
				SSL_set_verify(
				    ssl, SSL_VERIFY_PEER, accept_any);
			*out = in + i + 1;
			*out_len = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_NOACK; /* as without this setting */
}

void
receiver_prepare(SSL_CTX *ctx)
{
	SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
}
