#include "rfb/dh.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <stdbool.h>

#include "common/err.h"

#define PRIVATE_BITS_MAX 512

struct numbers {
	BIGNUM *generator, *prime, *peer, *key, *result;
	BIGNUM *top; /* prime - 2 */
	BN_CTX *ctx;
};

static void
release(struct numbers *n)
{
	BN_free(n->generator);
	BN_free(n->prime);
	BN_free(n->peer);
	BN_clear_free(n->key);
	BN_clear_free(n->result);
	BN_free(n->top);
	BN_CTX_free(n->ctx);
	ERR_clear_error(); /* or TLS on this thread would report them */
}

static bool
load(struct numbers *n, const struct rfb_dh_params *p)
{
	n->generator = BN_bin2bn(p->generator, (int)p->generator_len, NULL);
	n->prime = BN_bin2bn(p->prime, (int)p->len, NULL);
	n->peer = BN_bin2bn(p->peer, (int)p->len, NULL);
	n->key = BN_secure_new();
	n->result = BN_secure_new();
	n->ctx = BN_CTX_secure_new();
	n->top = n->prime != NULL ? BN_dup(n->prime) : NULL;
	return n->generator != NULL && n->peer != NULL && n->key != NULL &&
	    n->result != NULL && n->ctx != NULL && n->top != NULL;
}

/* 0, 1 and prime - 1 give the secret away. */
static bool
is_in_range(const struct numbers *n, const BIGNUM *number)
{
	return !BN_is_zero(number) && !BN_is_one(number) &&
	    BN_cmp(number, n->top) <= 0;
}

static int
check(struct numbers *n)
{
	if (!BN_is_odd(n->prime) || BN_num_bits(n->prime) < 3)
		return ERR_PROTOCOL;
	if (BN_sub_word(n->top, 2) != 1)
		return ERR_NOMEM;
	return is_in_range(n, n->generator) && is_in_range(n, n->peer)
	    ? 0
	    : ERR_PROTOCOL;
}

/* base to the power of the private key, len bytes at to. */
static bool
power(struct numbers *n, const BIGNUM *base, uint8_t *to, size_t len)
{
	return BN_mod_exp_mont_consttime(
		   n->result, base, n->key, n->prime, n->ctx, NULL) == 1 &&
	    BN_bn2binpad(n->result, to, (int)len) == (int)len;
}

/* A private key of at least 2 and at most prime - 2. */
static bool
draw_key(struct numbers *n)
{
	int bits = BN_num_bits(n->prime) - 1;

	if (bits > PRIVATE_BITS_MAX)
		bits = PRIVATE_BITS_MAX;
	do
		if (BN_priv_rand(
			n->key, bits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1)
			return false;
	while (!is_in_range(n, n->key));
	BN_set_flags(n->key, BN_FLG_CONSTTIME);
	return true;
}

int
rfb_dh_agree(
    const struct rfb_dh_params *p, uint8_t *public_key, uint8_t *secret)
{
	struct numbers n = { 0 };
	int rc = load(&n, p) ? check(&n) : ERR_NOMEM;

	if (rc == 0 &&
	    !(draw_key(&n) && power(&n, n.generator, public_key, p->len) &&
		power(&n, n.peer, secret, p->len)))
		rc = ERR_NOMEM;
	release(&n);
	return rc;
}
