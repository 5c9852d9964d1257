#include "console/oidc/login_state.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"

#define BOX_LEN (sizeof(struct login_state) + SEAL_OVERHEAD)

_Static_assert(2 * BOX_LEN < LOGIN_STATE_TEXT_MAX, "room for the hex digits");

/* Apart from other uses of the key: a sealed password is no login. */
static void
derive(const uint8_t seal_key[SEAL_KEY_LEN], uint8_t key[SEAL_KEY_LEN])
{
	static const char use[] = "relaycam single sign-on login";

	crypto_generichash(key, SEAL_KEY_LEN, (const uint8_t *)use,
	    sizeof(use) - 1, seal_key, SEAL_KEY_LEN);
}

static void
random_text(char out[OIDC_BASE64_32])
{
	uint8_t bytes[32];

	randombytes_buf(bytes, sizeof(bytes));
	oidc_base64_32(bytes, out);
	wipe(bytes, sizeof(bytes));
}

void
login_state_new(struct login_state *s, int64_t team_id, const char *return_to,
    uint64_t now_s)
{
	memset(s, 0, sizeof(*s));
	s->expires_s = now_s + LOGIN_STATE_SECONDS;
	s->team_id = team_id;
	random_text(s->state);
	random_text(s->nonce);
	random_text(s->verifier);
	snprintf(s->return_to, sizeof(s->return_to), "%s", return_to);
}

char *
login_state_seal(const struct login_state *s,
    const uint8_t seal_key[SEAL_KEY_LEN], char out[LOGIN_STATE_TEXT_MAX])
{
	uint8_t key[SEAL_KEY_LEN], box[BOX_LEN];

	derive(seal_key, key);
	seal(key, s, sizeof(*s), box);
	wipe(key, sizeof(key));
	return http_hex(box, sizeof(box), out);
}

int
login_state_open(struct login_state *s, const uint8_t seal_key[SEAL_KEY_LEN],
    const char *text, size_t len, uint64_t now_s)
{
	uint8_t key[SEAL_KEY_LEN], box[BOX_LEN];
	char hex[2 * BOX_LEN + 1];
	int rc = ERR_CORRUPT;

	memset(s, 0, sizeof(*s));
	if (len != 2 * BOX_LEN)
		return ERR_CORRUPT;
	memcpy(hex, text, len);
	hex[len] = '\0';
	derive(seal_key, key);
	if (http_unhex(hex, box, sizeof(box)) == 0 &&
	    seal_open(key, box, sizeof(box), (uint8_t *)s) == (int)sizeof(*s))
		rc = now_s < s->expires_s ? 0 : ERR_TIMEOUT;
	wipe(key, sizeof(key));
	if (rc != 0)
		wipe(s, sizeof(*s));
	return rc;
}
