#include "storage/clips/clip_key.h"

#include <stdio.h>
#include <string.h>

#define MARK   ".clip-"
#define ID_LEN 36

bool
clip_key_read(struct clip_key *k, const char *key)
{
	const char *dot = strrchr(key, '.');
	size_t len = dot != NULL ? (size_t)(dot - key) : 0;
	size_t behind = strlen(MARK) + ID_LEN;
	const char *mark = len > behind ? dot - behind : NULL;

	if (mark == NULL || strncmp(mark, MARK, strlen(MARK)) != 0 ||
	    strspn(mark + strlen(MARK), "0123456789abcdef-") != ID_LEN)
		return false;
	k->is_manifest = strcmp(dot, ".json") == 0;
	if (!k->is_manifest && strcmp(dot, ".webm") != 0)
		return false;
	memcpy(k->id, mark + strlen(MARK), ID_LEN);
	k->id[ID_LEN] = '\0';
	snprintf(k->recording, sizeof(k->recording), "%.*s.webm",
	    (int)(mark - key), key);
	return true;
}
