#include "common/login/known_login.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/http.h"
#include "common/login/login_throttle.h"
#include "common/proxy_protocol.h"

/* The offset is KNOWN_LOGINS_MAX less the one that is noted. */
const char known_login_statement[] =
    "WITH p AS (UPDATE people SET failed_logins = 0, last_login_at = now() "
    "  WHERE name = $1 RETURNING id), "
    "k AS (INSERT INTO known_logins (id, person_id) "
    "  SELECT decode($3, 'hex'), id FROM p WHERE $3 <> '' "
    "  ON CONFLICT (id) DO UPDATE SET last_at = now()), "
    "o AS (DELETE FROM known_logins WHERE id IN (SELECT l.id "
    "  FROM known_logins l JOIN p ON l.person_id = p.id "
    "  WHERE l.id <> decode($3, 'hex') "
    "  ORDER BY l.last_at DESC OFFSET 15)) "
    "DELETE FROM login_failures WHERE client_addr IN ($2, "
    "'name tried: ' || $1)";

void
known_login_id(char out[KNOWN_LOGIN_ID_LEN],
    const uint8_t seal_key[SEAL_KEY_LEN], const char *person,
    const char *client_addr)
{
	char prefix[LOGIN_PREFIX_LEN], text[256];
	uint8_t hash[32];
	int n;

	if (strcmp(client_addr, CLIENT_UNKNOWN) == 0) {
		out[0] = '\0';
		return;
	}
	login_prefix(prefix, client_addr);
	/* no name has a line feed, so no two pairs have one text; the first
	 * line keeps it apart from other uses of the key */
	n = snprintf(
	    text, sizeof(text), "relaycam known login\n%s\n%s", person, prefix);
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	crypto_generichash(hash, sizeof(hash), (const uint8_t *)text,
	    (unsigned long long)n, seal_key, SEAL_KEY_LEN);
	http_hex(hash, sizeof(hash), out);
}
