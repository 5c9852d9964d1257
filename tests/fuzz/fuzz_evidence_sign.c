/*
 * Manifests and key files over any bytes: what a manifest says of its place
 * is within bounds, and nothing that was not signed passes as signed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "manifest/evidence_order.h"
#include "manifest/evidence_sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_manifest(const json_t *j)
{
	/* a public key of low order would make anything pass: refused */
	static const struct evidence_key keys[] = {
		{ { 0x01 }, "0123456789abcdef" },
		{ { 0xd7, 0x5a, 0x98, 0x01 }, "21fe31dfa154a261" },
	};
	const struct evidence_key *by;
	struct evidence_facts f[2];
	struct evidence_order found[2];
	char id[EVIDENCE_KEY_ID_MAX];
	const char *why;

	if (evidence_check_signature(j, keys, 2, &by, id) == 0)
		abort();
	if (strlen(id) != 0 && strlen(id) != sizeof(id) - 1)
		abort();
	if (evidence_facts_read(&f[0], j, &why) != 0)
		return;
	if (f[0].seq < 1 || f[0].bytes < 1 || strlen(f[0].session) != 36)
		abort();
	f[1] = f[0];
	if (evidence_order_check(f, 2, found, 2) == 0)
		abort(); /* the same number twice */
}

static void
check_keys(const uint8_t *data, size_t len)
{
	static struct evidence_key keys[EVIDENCE_KEYS_MAX];
	char *text = malloc(len + 1);
	unsigned line;
	int n;

	if (text == NULL)
		return;
	memcpy(text, data, len);
	text[len] = '\0';
	n = evidence_keys_parse(text, keys, &line);
	for (int i = 0; i < n; i++)
		if (strlen(keys[i].id) != EVIDENCE_KEY_ID_MAX - 1)
			abort();
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *j = json_loadb((const char *)data, len, 0, NULL);

	check_manifest(j);
	json_decref(j);
	check_keys(data, len);
	return 0;
}
