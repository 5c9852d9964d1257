/* Which connections of the server of signed files are those of agents. */
#include "common/bytes.h"
#include "common/tls.h"
#include "storage/upload/receiver_internal.h"

/* Agents show a certificate; browsers are not asked for one. */
static int
select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	static const struct tls_protocol known[] = {
		{ TUS_ALPN, true },
		{ "http/1.1", false },
	};

	return tls_choose_protocol(
		   ssl, known, N_ELEMENTS(known), out, out_len, in, in_len)
	    ? SSL_TLSEXT_ERR_OK
	    : SSL_TLSEXT_ERR_NOACK; /* as without this setting */
}

void
receiver_prepare(SSL_CTX *ctx)
{
	SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
}
