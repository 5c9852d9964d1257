#include "console/login/authenticator_data.h"

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "common/err.h"
#include "console/login/cbor.h"

#define HASH_LEN   32
#define HEAD_LEN   (HASH_LEN + 1 + 4)
#define AAGUID_LEN 16

/* A map at *at, which moves behind it. */
static int
take_map(const uint8_t *data, size_t len, size_t *at)
{
	enum cbor_major major;
	uint64_t n;
	ssize_t item = cbor_item(data + *at, len - *at);

	if (item < 0 || cbor_head(data + *at, len - *at, &major, &n) < 0 ||
	    major != CBOR_MAP)
		return ERR_PROTOCOL;
	*at += (size_t)item;
	return 0;
}

/* Of a COSE key that was checked: its member 3 (RFC 9052 section 7.1). */
static int64_t
algorithm_of(const uint8_t *key, size_t len)
{
	enum cbor_major major;
	uint64_t n, name, value;
	size_t at = (size_t)cbor_head(key, len, &major, &n);

	for (; n > 0; n--) {
		cbor_head(key + at, len - at, &major, &name);
		at += (size_t)cbor_item(key + at, len - at);
		if (major == CBOR_UNSIGNED && name == 3) {
			cbor_head(key + at, len - at, &major, &value);
			return major == CBOR_NEGATIVE && value < INT32_MAX
			    ? -1 - (int64_t)value
			    : 0;
		}
		at += (size_t)cbor_item(key + at, len - at);
	}
	return 0;
}

static int
take_credential(
    struct authenticator_data *a, const uint8_t *data, size_t len, size_t *at)
{
	size_t id_len;

	if (len - *at < AAGUID_LEN + 2)
		return ERR_PROTOCOL;
	*at += AAGUID_LEN;
	id_len = (size_t)data[*at] << 8 | data[*at + 1];
	*at += 2;
	if (id_len == 0 || id_len > CREDENTIAL_ID_MAX || id_len > len - *at)
		return ERR_PROTOCOL;
	a->credential_id = data + *at;
	a->credential_id_len = id_len;
	*at += id_len;
	a->key = data + *at;
	if (take_map(data, len, at) != 0)
		return ERR_PROTOCOL;
	a->key_len = (size_t)(data + *at - a->key);
	a->algorithm = algorithm_of(a->key, a->key_len);
	return 0;
}

int
authenticator_data_parse(
    struct authenticator_data *a, const uint8_t *data, size_t len)
{
	size_t at = HEAD_LEN;

	memset(a, 0, sizeof(*a));
	if (len < HEAD_LEN || len > AUTHENTICATOR_DATA_MAX)
		return ERR_PROTOCOL;
	a->rp_id_hash = data;
	a->flags = data[HASH_LEN];
	for (size_t i = HASH_LEN + 1; i < HEAD_LEN; i++)
		a->sign_count = a->sign_count << 8 | data[i];
	if ((a->flags & FLAG_CREDENTIAL) != 0 &&
	    take_credential(a, data, len, &at) != 0)
		return ERR_PROTOCOL;
	if ((a->flags & FLAG_EXTENSIONS) != 0 && take_map(data, len, &at) != 0)
		return ERR_PROTOCOL;
	return at == len ? 0 : ERR_PROTOCOL;
}

/* ---- attestation objects ---- */

static bool
is_key(const uint8_t *text, uint64_t n, const char *want)
{
	return n == strlen(want) && memcmp(text, want, n) == 0;
}

/* One pair at data; each key has to be there once. */
static ssize_t
take_pair(struct attestation *a, const uint8_t *data, size_t len)
{
	enum cbor_major key_major, major;
	uint64_t n, value;
	ssize_t key = cbor_item(data, len);
	ssize_t key_head = cbor_head(data, len, &key_major, &n);
	ssize_t item =
	    key > 0 ? cbor_item(data + key, len - (size_t)key) : ERR_PROTOCOL;
	const uint8_t *name = data + key_head, *at = data + key;
	ssize_t head;

	if (item < 0 || key_major != CBOR_TEXT)
		return ERR_PROTOCOL;
	head = cbor_head(at, (size_t)item, &major, &value);
	if (is_key(name, n, "fmt") && major == CBOR_TEXT && a->format == NULL) {
		a->format = (const char *)at + head;
		a->format_len = (size_t)value;
	} else if (is_key(name, n, "attStmt") && major == CBOR_MAP &&
	    a->statement == NULL) {
		a->statement = at;
		a->statement_len = (size_t)item;
	} else if (is_key(name, n, "authData") && major == CBOR_BYTES &&
	    a->data == NULL) {
		a->data = at + head;
		a->data_len = (size_t)value;
	} else {
		return ERR_PROTOCOL;
	}
	return key + item;
}

int
attestation_parse(struct attestation *a, const uint8_t *data, size_t len)
{
	enum cbor_major major;
	uint64_t n;
	ssize_t at = cbor_head(data, len, &major, &n);

	memset(a, 0, sizeof(*a));
	if (at < 0 || len > ATTESTATION_MAX || major != CBOR_MAP || n != 3)
		return ERR_PROTOCOL;
	for (unsigned i = 0; i < 3; i++) {
		ssize_t pair = take_pair(a, data + at, len - (size_t)at);

		if (pair < 0)
			return ERR_PROTOCOL;
		at += pair;
	}
	return (size_t)at == len ? 0 : ERR_PROTOCOL;
}
