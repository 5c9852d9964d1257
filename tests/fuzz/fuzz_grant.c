/* Cookie fields: none is a grant by chance, and a real one among them is
 * found unless others stand before it. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/files/grant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[LINK_KEY_LEN] = { 9 };
	struct grant real = { 2000, 5, "0123456789abcdef" }, g = { 0 };
	char cookie[GRANT_TEXT_MAX], *field = calloc(1, size + GRANT_TEXT_MAX);

	if (field == NULL)
		return 0;
	if (size > 0)
		memcpy(field, data, size);
	assert(grant_read(&g, key, field, "a/b.webm", 1000) != 0);
	assert(grant_write(&real, key, "https://a", "a/b.webm", 1000, cookie) ==
	    0);
	*strchr(cookie, ';') = '\0';
	memmove(field + strlen(cookie) + 1, field, strlen(field) + 1);
	memcpy(field, cookie, strlen(cookie));
	field[strlen(cookie)] = ';';
	assert(grant_read(&g, key, field, "a/b.webm", 1000) == 0);
	assert(g.person == 5 && g.expires_s == 2000);
	free(field);
	return 0;
}
