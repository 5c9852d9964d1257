#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "common/err.h"
#include "console/login/passkey.h"

static bool
is_text(const json_t *o, const char *name, const char *want)
{
	const json_t *v = json_object_get(o, name);

	return json_is_string(v) && json_string_length(v) == strlen(want) &&
	    strcmp(json_string_value(v), want) == 0;
}

static bool
take_challenge(const json_t *o, uint8_t challenge[CHALLENGE_LEN])
{
	const json_t *v = json_object_get(o, "challenge");
	size_t n = 0;

	return json_is_string(v) &&
	    sodium_base642bin(challenge, CHALLENGE_LEN, json_string_value(v),
		json_string_length(v), NULL, &n, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
	    n == CHALLENGE_LEN;
}

int
client_data_check(const struct passkey_rp *rp, struct passkey_bytes json,
    const char *type, uint8_t challenge[CHALLENGE_LEN])
{
	json_t *o = NULL;
	bool is_right;

	if (rp->is_usable && json.len <= CLIENT_DATA_MAX)
		o = json_loadb((const char *)json.data, json.len,
		    JSON_REJECT_DUPLICATES, NULL);
	/* members that are not known are allowed: section 5.8.1.2 */
	is_right = json_is_object(o) && is_text(o, "type", type) &&
	    is_text(o, "origin", rp->origin) && take_challenge(o, challenge) &&
	    !json_is_true(json_object_get(o, "crossOrigin")) &&
	    json_object_get(o, "topOrigin") == NULL;
	json_decref(o);
	return is_right ? 0 : ERR_DENIED;
}
