#include "console/login/passkey.h"

#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

/* Those of the options that pages ask with (console/api/passkeys.c). */
static const int algorithms[] = { COSE_ES256, COSE_EDDSA, COSE_RS256 };

static bool
is_for_us(const struct authenticator_data *a, const struct passkey_rp *rp)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)rp->id, strlen(rp->id), hash);
	return memcmp(hash, a->rp_id_hash, sizeof(hash)) == 0 &&
	    (a->flags & FLAG_USER_PRESENT) != 0 &&
	    (a->flags & FLAG_USER_VERIFIED) != 0;
}

/* ---- new ones ---- */

/* libfido2 wants to know the algorithm before it reads the key. */
static int
set_data(fido_cred_t *c, const struct attestation *a,
    const struct authenticator_data *d)
{
	for (size_t i = 0; i < N_ELEMENTS(algorithms); i++)
		if (d->algorithm == algorithms[i])
			return fido_cred_set_type(c, algorithms[i]) ==
				    FIDO_OK &&
				fido_cred_set_authdata_raw(
				    c, a->data, a->data_len) == FIDO_OK
			    ? 0
			    : ERR_PROTOCOL;
	return ERR_PROTOCOL;
}

static bool
has_format(const struct attestation *a, const char *format)
{
	return a->format_len == strlen(format) &&
	    memcmp(a->format, format, a->format_len) == 0;
}

static int
verify_packed(fido_cred_t *c, const struct attestation *a)
{
	if (fido_cred_set_fmt(c, "packed") != FIDO_OK ||
	    fido_cred_set_attstmt(c, a->statement, a->statement_len) != FIDO_OK)
		return ERR_PROTOCOL;
	return (fido_cred_x5c_ptr(c) != NULL
		       ? fido_cred_verify(c)
		       : fido_cred_verify_self(c)) == FIDO_OK
	    ? 0
	    : ERR_DENIED;
}

/* Browsers that are asked for no attestation send none, or the key's own
 * signature. */
static int
verify_statement(fido_cred_t *c, const struct attestation *a)
{
	if (has_format(a, "none"))
		return a->statement_len == 1 ? 0 : ERR_PROTOCOL; /* empty */
	return has_format(a, "packed") ? verify_packed(c, a) : ERR_PROTOCOL;
}

static int
take(
    struct passkey *p, const fido_cred_t *c, const struct authenticator_data *d)
{
	size_t n = fido_cred_pubkey_len(c);

	if (n == 0 || n > sizeof(p->key))
		return ERR_PROTOCOL;
	memcpy(p->id, d->credential_id, d->credential_id_len);
	p->id_len = d->credential_id_len;
	memcpy(p->key, fido_cred_pubkey_ptr(c), n);
	p->key_len = n;
	p->algorithm = fido_cred_type(c);
	p->sign_count = d->sign_count;
	return 0;
}

static int
read_attestation(fido_cred_t *c, const struct passkey_rp *rp,
    struct passkey_bytes client_data, const struct attestation *a,
    const struct authenticator_data *d)
{
	if (c == NULL ||
	    fido_cred_set_clientdata(c, client_data.data, client_data.len) !=
		FIDO_OK ||
	    fido_cred_set_rp(c, rp->id, NULL) != FIDO_OK ||
	    fido_cred_set_uv(c, FIDO_OPT_TRUE) != FIDO_OK)
		return ERR_NOMEM;
	return set_data(c, a, d);
}

int
passkey_register(struct passkey *p, const struct passkey_rp *rp,
    struct passkey_bytes client_data, struct passkey_bytes attestation)
{
	struct authenticator_data d;
	struct attestation a;
	fido_cred_t *c;
	int rc;

	if (attestation_parse(&a, attestation.data, attestation.len) != 0 ||
	    authenticator_data_parse(&d, a.data, a.data_len) != 0 ||
	    d.credential_id == NULL)
		return ERR_PROTOCOL;
	if (!is_for_us(&d, rp))
		return ERR_DENIED;
	c = fido_cred_new();
	rc = read_attestation(c, rp, client_data, &a, &d);
	if (rc == 0)
		rc = verify_statement(c, &a);
	if (rc == 0)
		rc = take(p, c, &d);
	fido_cred_free(&c);
	return rc;
}

/* ---- signatures ---- */

/* Checks by the key of a passkey; FIDO_OK when it is right. */
static int
verify_by(const fido_assert_t *a, const struct passkey *p)
{
	int rc = FIDO_ERR_INVALID_ARGUMENT;
	es256_pk_t *es256 = NULL;
	eddsa_pk_t *eddsa = NULL;
	rs256_pk_t *rs256 = NULL;

	if (p->algorithm == COSE_ES256 && (es256 = es256_pk_new()) != NULL &&
	    es256_pk_from_ptr(es256, p->key, p->key_len) == FIDO_OK)
		rc = fido_assert_verify(a, 0, COSE_ES256, es256);
	else if (p->algorithm == COSE_EDDSA &&
	    (eddsa = eddsa_pk_new()) != NULL &&
	    eddsa_pk_from_ptr(eddsa, p->key, p->key_len) == FIDO_OK)
		rc = fido_assert_verify(a, 0, COSE_EDDSA, eddsa);
	else if (p->algorithm == COSE_RS256 &&
	    (rs256 = rs256_pk_new()) != NULL &&
	    rs256_pk_from_ptr(rs256, p->key, p->key_len) == FIDO_OK)
		rc = fido_assert_verify(a, 0, COSE_RS256, rs256);
	es256_pk_free(&es256);
	eddsa_pk_free(&eddsa);
	rs256_pk_free(&rs256);
	return rc;
}

static int
set_assertion(fido_assert_t *a, const struct passkey_rp *rp,
    struct passkey_bytes client_data, struct passkey_bytes data,
    struct passkey_bytes signature)
{
	if (a == NULL || fido_assert_set_count(a, 1) != FIDO_OK ||
	    fido_assert_set_clientdata(a, client_data.data, client_data.len) !=
		FIDO_OK ||
	    fido_assert_set_rp(a, rp->id) != FIDO_OK ||
	    fido_assert_set_up(a, FIDO_OPT_TRUE) != FIDO_OK ||
	    fido_assert_set_uv(a, FIDO_OPT_TRUE) != FIDO_OK)
		return ERR_NOMEM;
	return fido_assert_set_authdata_raw(a, 0, data.data, data.len) ==
		    FIDO_OK &&
		fido_assert_set_sig(a, 0, signature.data, signature.len) ==
		    FIDO_OK
	    ? 0
	    : ERR_PROTOCOL;
}

int
passkey_verify(const struct passkey *p, const struct passkey_rp *rp,
    struct passkey_bytes client_data, struct passkey_bytes data,
    struct passkey_bytes signature, uint32_t *sign_count)
{
	struct authenticator_data d;
	fido_assert_t *a;
	int rc;

	if (authenticator_data_parse(&d, data.data, data.len) != 0 ||
	    d.credential_id != NULL || signature.len == 0 ||
	    signature.len > PASSKEY_SIGNATURE_MAX)
		return ERR_PROTOCOL;
	if (!is_for_us(&d, rp))
		return ERR_DENIED;
	a = fido_assert_new();
	rc = set_assertion(a, rp, client_data, data, signature);
	if (rc == 0 && verify_by(a, p) != FIDO_OK)
		rc = ERR_DENIED;
	fido_assert_free(&a);
	*sign_count = d.sign_count;
	return rc;
}
