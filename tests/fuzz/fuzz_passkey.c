/* What a browser sends of an authenticator: nothing that is made up registers
 * or logs in, and libfido2 sees only what passed our own look at it. */
#include <fido.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "console/login/cbor.h"
#include "console/login/passkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
start(struct passkey_rp *rp)
{
	static int is_started;

	if (!is_started)
		fido_init(0);
	is_started = 1;
	if (passkey_rp_set(rp, "https://console.example:8443") != 0)
		abort();
}

static void
try_signature(const struct passkey_rp *rp, struct passkey_bytes in)
{
	/* a key that nobody has signed with */
	static const int algorithms[] = { -7, -8, -257 };
	struct passkey p = { .key_len = 64 };
	uint32_t count;

	memset(p.key, 3, sizeof(p.key));
	for (int i = 0; i < 3; i++) {
		p.algorithm = algorithms[i];
		p.key_len = i == 0 ? 64 : i == 1 ? 32 : 259;
		if (passkey_verify(&p, rp, in, in, in, &count) == 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct passkey_bytes in = { data, len };
	uint8_t challenge[CHALLENGE_LEN];
	struct authenticator_data a;
	struct passkey_rp rp;
	struct passkey p;
	ssize_t n = cbor_item(data, len);

	start(&rp);
	if (n == 0 || n > (ssize_t)len)
		abort();
	if (authenticator_data_parse(&a, data, len) == 0 &&
	    a.credential_id != NULL &&
	    (a.credential_id + a.credential_id_len > a.key ||
		a.key + a.key_len > data + len))
		abort();
	client_data_check(&rp, in, "webauthn.get", challenge);
	if (passkey_register(&p, &rp, in, in) == 0 &&
	    (p.id_len == 0 || p.key_len == 0))
		abort();
	try_signature(&rp, in);
	return 0;
}
