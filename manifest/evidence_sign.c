#include "manifest/evidence_sign.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json.h"
#include "common/keyfile.h"

#define FIELD  "signature"
#define PREFIX "relaycam signed manifest 1\n"
#define WORD   "relaycam-evidence "

void
evidence_key_name(struct evidence_key *k)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, k->bytes, sizeof(k->bytes));
	sodium_bin2hex(k->id, sizeof(k->id), hash, (sizeof(k->id) - 1) / 2);
}

char *
evidence_key_print(
    const struct evidence_key *k, char out[EVIDENCE_KEY_TEXT_MAX])
{
	memcpy(out, WORD, strlen(WORD));
	sodium_bin2hex(out + strlen(WORD), EVIDENCE_KEY_TEXT_MAX - strlen(WORD),
	    k->bytes, sizeof(k->bytes));
	return out;
}

/* Exactly len bytes in hex, then nothing more of it. */
static bool
parse_hex(const char *s, uint8_t *out, size_t len)
{
	const char *end = s;
	size_t have = 0;

	return s != NULL && strnlen(s, 2 * len) == 2 * len &&
	    sodium_hex2bin(out, len, s, 2 * len, NULL, &have, &end) == 0 &&
	    have == len && end == s + 2 * len;
}

static bool
parse_key(const char *s, size_t len, struct evidence_key *k)
{
	const char *hex = s + strlen(WORD), *end = hex + 2 * sizeof(k->bytes);

	if (len < strlen(WORD) + 2 * sizeof(k->bytes) ||
	    strncmp(s, WORD, strlen(WORD)) != 0 ||
	    !parse_hex(hex, k->bytes, sizeof(k->bytes)) ||
	    (end < s + len && strchr(" \t\r", *end) == NULL))
		return false;
	evidence_key_name(k);
	return true;
}

int
evidence_keys_parse(const char *text,
    struct evidence_key keys[EVIDENCE_KEYS_MAX], unsigned *line)
{
	int n = 0;

	for (*line = 1; *text != '\0'; (*line)++) {
		size_t len = strcspn(text, "\n");

		if (text[0] != '#' && strspn(text, " \t\r") < len) {
			if (n == EVIDENCE_KEYS_MAX)
				return ERR_LIMIT;
			if (!parse_key(text, len, &keys[n]))
				return ERR_CORRUPT;
			n++;
		}
		text += len + (text[len] == '\n');
	}
	return n;
}

int
evidence_signer_read(
    struct evidence_signer *s, const char *path, char *why, size_t why_len)
{
	uint8_t seed[EVIDENCE_SEED_LEN];
	int rc = ERR_NOMEM;

	snprintf(why, why_len, "out of memory");
	if (sodium_init() >= 0)
		rc = keyfile_read(
		    "evidence key", path, seed, sizeof(seed), why, why_len);

	memset(s, 0, sizeof(*s));
	if (rc == 0) {
		crypto_sign_seed_keypair(s->key.bytes, s->secret, seed);
		evidence_key_name(&s->key);
	}
	wipe(seed, sizeof(seed));
	return rc;
}

/*
 * What is signed: the prefix and all of the manifest but its signature, in
 * one form only: names in order, no spaces, UTF-8 as it is. Heap; NULL for
 * memory, or for text that JSON cannot hold.
 */
static char *
canonical(const json_t *manifest, size_t *len)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)manifest);
	size_t n = 0;
	char *out = NULL;

	if (copy != NULL) {
		json_object_del(copy, FIELD);
		n = json_dumpb(copy, NULL, 0, JSON_SORT_KEYS | JSON_COMPACT);
	}
	if (n > 0)
		out = malloc(strlen(PREFIX) + n);
	if (out != NULL) {
		memcpy(out, PREFIX, strlen(PREFIX));
		json_dumpb(copy, out + strlen(PREFIX), n,
		    JSON_SORT_KEYS | JSON_COMPACT);
		*len = strlen(PREFIX) + n;
	}
	json_decref(copy);
	return out;
}

int
evidence_sign(json_t *manifest, const struct evidence_signer *s)
{
	uint8_t sig[EVIDENCE_SIGNATURE_LEN];
	char hex[2 * EVIDENCE_SIGNATURE_LEN + 1];
	size_t len;
	char *text = canonical(manifest, &len);
	json_t *j;

	if (text == NULL)
		return ERR_NOMEM;
	crypto_sign_detached(sig, NULL, (uint8_t *)text, len, s->secret);
	free(text);
	sodium_bin2hex(hex, sizeof(hex), sig, sizeof(sig));
	j = json_pack(
	    "{s:i, s:s, s:s}", "version", 1, "key", s->key.id, "ed25519", hex);
	return json_object_set_new(manifest, FIELD, j) == 0 ? 0 : ERR_NOMEM;
}

int
evidence_signature_bytes(
    const json_t *manifest, uint8_t out[EVIDENCE_SIGNATURE_LEN])
{
	const char *hex =
	    json_text(json_object_get(manifest, FIELD), "ed25519");

	return hex != NULL && strlen(hex) == 2 * EVIDENCE_SIGNATURE_LEN &&
		parse_hex(hex, out, EVIDENCE_SIGNATURE_LEN)
	    ? 0
	    : ERR_NOTFOUND;
}

/* The id of the key that a signature names; "" without a good one. */
static void
claimed_id(const json_t *manifest, char out[EVIDENCE_KEY_ID_MAX])
{
	const char *id = json_text(json_object_get(manifest, FIELD), "key");

	out[0] = '\0';
	if (id != NULL && strlen(id) == EVIDENCE_KEY_ID_MAX - 1 &&
	    strspn(id, "0123456789abcdef") == EVIDENCE_KEY_ID_MAX - 1)
		memcpy(out, id, EVIDENCE_KEY_ID_MAX);
}

int
evidence_check_signature(const json_t *manifest,
    const struct evidence_key *keys, size_t n, const struct evidence_key **by,
    char key_id[EVIDENCE_KEY_ID_MAX])
{
	char id[EVIDENCE_KEY_ID_MAX];
	uint8_t sig[EVIDENCE_SIGNATURE_LEN];
	size_t len, i = 0;
	char *text;
	int rc;

	claimed_id(manifest, id);
	if (key_id != NULL)
		memcpy(key_id, id, sizeof(id));
	*by = NULL;
	if (json_object_get(manifest, FIELD) == NULL)
		return ERR_NOTFOUND;
	if (evidence_signature_bytes(manifest, sig) != 0)
		return ERR_CORRUPT;
	while (i < n && strcmp(keys[i].id, id) != 0)
		i++;
	if (i == n)
		return ERR_DENIED;
	text = canonical(manifest, &len);
	if (text == NULL)
		return ERR_NOMEM;
	rc = crypto_sign_verify_detached(
		 sig, (uint8_t *)text, len, keys[i].bytes) == 0
	    ? 0
	    : ERR_CORRUPT;
	free(text);
	if (rc == 0)
		*by = &keys[i];
	return rc;
}
