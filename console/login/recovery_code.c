#include "console/login/recovery_code.h"

#include <ctype.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>

#include "common/bytes.h"
#include "common/token.h"

#define CHARS 16
#define GROUP 4

static const char set[] = "abcdefghijklmnopqrstuvwxyz234567";

void
recovery_code_new(char out[RECOVERY_CODE_MAX])
{
	size_t at = 0;

	for (unsigned i = 0; i < CHARS; i++) {
		if (i > 0 && i % GROUP == 0)
			out[at++] = '-';
		out[at++] = set[randombytes_uniform(sizeof(set) - 1)];
	}
	out[at] = '\0';
}

bool
recovery_code_hash(const char *text, char out[RECOVERY_HASH_MAX])
{
	char plain[CHARS], hash[TOKEN_HASH_MAX];
	size_t n = 0;

	for (; *text != '\0'; text++) {
		char ch = (char)tolower((unsigned char)*text);

		if (ch == '-' || ch == ' ')
			continue;
		if (n == CHARS || strchr(set, ch) == NULL)
			return false;
		plain[n++] = ch;
	}
	if (n != CHARS)
		return false;
	token_hash(plain, sizeof(plain), hash);
	memcpy(out, hash + 2, RECOVERY_HASH_MAX); /* behind "\x" */
	wipe(plain, sizeof(plain));
	return true;
}
