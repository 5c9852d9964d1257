#include "storage/files/grant.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"

#define NUMBER_MAX 19 /* digits */
#define MAC_LEN    64
#define VALUE_MAX  160

int
grant_new(struct grant *g, uint64_t expires_s, int64_t person)
{
	uint8_t id[GRANT_ID_LEN / 2];

	if (RAND_bytes(id, sizeof(id)) != 1)
		return ERR_IO;
	g->expires_s = expires_s;
	g->person = person;
	http_hex(id, sizeof(id), g->id);
	return 0;
}

static void
sign(const struct grant *g, const uint8_t key[LINK_KEY_LEN],
    const char *object_key, char out[MAC_LEN + 1])
{
	char text[LINK_OBJECT_MAX + 128];
	uint8_t mac[32];
	unsigned len = sizeof(mac);
	int n = snprintf(text, sizeof(text),
	    "relaycam-grant\n%s\n%llu\n%lld\n%s", object_key,
	    (unsigned long long)g->expires_s, (long long)g->person, g->id);

	HMAC(EVP_sha256(), key, LINK_KEY_LEN, (const uint8_t *)text,
	    min_size((size_t)n, sizeof(text) - 1), mac, &len);
	http_hex(mac, sizeof(mac), out);
}

/* The path of "https://host:port/path/", without its last slash. */
static struct span {
	const char *at;
	size_t len;
} path_of(const char *url)
{
	const char *host = strstr(url, "://");
	const char *path = strchr(host != NULL ? host + 3 : url, '/');
	struct span s = { path, path != NULL ? strlen(path) : 0 };

	while (s.len > 0 && s.at[s.len - 1] == '/')
		s.len--;
	return s;
}

int
grant_write(const struct grant *g, const uint8_t key[LINK_KEY_LEN],
    const char *base, const char *object_key, uint64_t now_s,
    char out[GRANT_TEXT_MAX])
{
	char path[3 * LINK_OBJECT_MAX + 1], mac[MAC_LEN + 1];
	struct span before = path_of(base);
	int n;

	if (strlen(object_key) > LINK_OBJECT_MAX ||
	    http_encode(object_key, 1, path, sizeof(path)) < 0)
		return ERR_LIMIT;
	for (size_t i = 0; i < before.len; i++)
		if (before.at[i] == ';' || before.at[i] <= ' ')
			return ERR_LIMIT;
	sign(g, key, object_key, mac);
	n = snprintf(out, GRANT_TEXT_MAX,
	    GRANT_NAME "=1.%llu.%lld.%s.%s; Path=%.*s/files/%s; "
		       "Max-Age=%llu; Secure; HttpOnly; SameSite=Lax",
	    (unsigned long long)g->expires_s, (long long)g->person, g->id, mac,
	    (int)before.len, before.len > 0 ? before.at : "", path,
	    (unsigned long long)(g->expires_s > now_s ? g->expires_s - now_s
						      : 0));
	return n > 0 && n < GRANT_TEXT_MAX ? 0 : ERR_LIMIT;
}

/* A decimal number and the dot behind it, or NULL; *s moves on. */
static bool
take_number(const char **s, uint64_t *v)
{
	size_t n = strspn(*s, "0123456789");

	if (n == 0 || n > NUMBER_MAX || (*s)[n] != '.' ||
	    (n > 1 && (*s)[0] == '0'))
		return false;
	*v = strtoull(*s, NULL, 10);
	*s += n + 1;
	return *v <= INT64_MAX;
}

/* One cookie's value, a string. */
static int
read_value(struct grant *g, const uint8_t key[LINK_KEY_LEN], const char *value,
    const char *object_key, uint64_t now_s)
{
	char mac[MAC_LEN + 1];
	uint64_t person;

	if (strncmp(value, "1.", 2) != 0)
		return ERR_DENIED;
	value += 2;
	if (!take_number(&value, &g->expires_s) ||
	    !take_number(&value, &person) ||
	    strspn(value, "0123456789abcdef") != GRANT_ID_LEN ||
	    value[GRANT_ID_LEN] != '.' ||
	    strlen(value) != GRANT_ID_LEN + 1 + MAC_LEN)
		return ERR_DENIED;
	g->person = (int64_t)person;
	memcpy(g->id, value, GRANT_ID_LEN);
	g->id[GRANT_ID_LEN] = '\0';
	sign(g, key, object_key, mac);
	if (!equal_constant_time(mac, value + GRANT_ID_LEN + 1, MAC_LEN))
		return ERR_DENIED;
	return now_s < g->expires_s ? 0 : ERR_TIMEOUT;
}

/* The next cookie of our name: its value into out, cut when it is longer than
 * any of ours. Returns where to go on, or NULL. */
static const char *
next_cookie(const char *s, char out[VALUE_MAX])
{
	const size_t name_len = strlen(GRANT_NAME);

	while (*s != '\0') {
		const char *pair = s + strspn(s, " \t;");
		size_t len = strcspn(pair, ";");

		s = pair + len;
		if (len <= name_len || pair[name_len] != '=' ||
		    memcmp(pair, GRANT_NAME, name_len) != 0)
			continue;
		while (
		    len > 0 && (pair[len - 1] == ' ' || pair[len - 1] == '\t'))
			len--;
		len = len > name_len ? len - name_len - 1 : 0;
		snprintf(out, VALUE_MAX, "%.*s",
		    (int)min_size(len, VALUE_MAX - 1), pair + name_len + 1);
		return s;
	}
	return NULL;
}

int
grant_read(struct grant *g, const uint8_t key[LINK_KEY_LEN],
    const char *cookies, const char *object_key, uint64_t now_s)
{
	char value[VALUE_MAX];
	int rc = ERR_NOTFOUND;

	if (cookies == NULL || strlen(object_key) > LINK_OBJECT_MAX)
		return ERR_NOTFOUND;
	for (unsigned i = 0; i < GRANT_TRIES && rc != 0; i++) {
		int now;

		cookies = next_cookie(cookies, value);
		if (cookies == NULL)
			break;
		now = read_value(g, key, value, object_key, now_s);
		if (rc != ERR_TIMEOUT)
			rc = now;
		else if (now == 0)
			rc = 0;
	}
	wipe(value, sizeof(value));
	return rc;
}
