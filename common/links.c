#include "common/links.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/keyfile.h"
#include "common/s3_endpoint.h"
#include "common/sigv4.h"

struct link_signer {
	const struct conf_store *conf;
	bool is_s3;
	bool is_download;
	int64_t person; /* 0: nobody */
	uint8_t key[LINK_KEY_LEN];
	struct sigv4_key s3;
	struct s3_endpoint endpoint;
};

static int
read_s3_key(struct link_signer *s, char *err, size_t err_len)
{
	const struct conf_store *c = s->conf;
	int rc = s3_endpoint_read(&s->endpoint, c, err, err_len);

	if (rc == 0 && c->s3_access_key_file == NULL) {
		snprintf(err, err_len,
		    "store.s3_links = direct needs s3_access_key_file: links "
		    "are signed with a key that stays; set s3_links = storage "
		    "for keys from elsewhere");
		return ERR_CONFIG;
	}
	if (rc == 0)
		rc =
		    sigv4_key_read(&s->s3, c->s3_access_key_file, err, err_len);
	s->s3.region = c->s3_region;
	s->s3.service = "s3";
	return rc == 0 ? 0 : ERR_CONFIG;
}

static int
read_link_key(struct link_signer *s, char *err, size_t err_len)
{
	int rc = keyfile_read("store.link_key_file", s->conf->link_key_file,
	    s->key, sizeof(s->key), err, err_len);

	return rc == 0 ? 0 : ERR_CONFIG;
}

bool
link_is_direct(const struct conf_store *conf)
{
	return strcmp(conf->kind, "s3") == 0 && conf->s3_links != NULL &&
	    strcmp(conf->s3_links, "direct") == 0;
}

int
link_signer_new(struct link_signer **out, const struct conf_store *conf,
    char *err, size_t err_len)
{
	struct link_signer *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (s == NULL)
		return ERR_NOMEM;
	s->conf = conf;
	s->is_s3 = link_is_direct(conf);
	rc = s->is_s3 ? read_s3_key(s, err, err_len)
		      : read_link_key(s, err, err_len);
	if (rc != 0) {
		link_signer_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
link_signer_free(struct link_signer *s)
{
	if (s != NULL)
		wipe(s, sizeof(*s));
	free(s);
}

void
link_signer_set_person(struct link_signer *s, int64_t person)
{
	s->person = person;
}

void
link_signer_set_download(struct link_signer *s, bool is_download)
{
	s->is_download = is_download;
}

/*
 * HMAC over "relaycam-file\n<key>\n<expires>", and "\n<person>" where there
 * is one, as hex. No field holds a line feed.
 */
static void
link_signature(const uint8_t key[LINK_KEY_LEN], const char *object_key,
    const char *expires, const char *person, char out[65])
{
	char text[LINK_OBJECT_MAX + 64];
	uint8_t mac[32];
	unsigned len = sizeof(mac);
	int n = snprintf(text, sizeof(text), "relaycam-file\n%s\n%s%s%s",
	    object_key, expires, person != NULL ? "\n" : "",
	    person != NULL ? person : "");

	HMAC(EVP_sha256(), key, LINK_KEY_LEN, (const uint8_t *)text,
	    min_size((size_t)n, sizeof(text) - 1), mac, &len);
	http_hex(mac, sizeof(mac), out);
}

static int
fits(int n, size_t len)
{
	return n >= 0 && (size_t)n < len ? 0 : ERR_LIMIT;
}

static int
make_folder(const struct link_signer *s, const char *object_key,
    uint64_t expires_s, char *url, size_t url_len)
{
	char path[3 * LINK_OBJECT_MAX + 1], expires[24], person[24], hex[65];
	size_t base_len = strlen(s->conf->public_url);

	if (http_encode(object_key, 1, path, sizeof(path)) < 0)
		return ERR_LIMIT;
	while (base_len > 0 && s->conf->public_url[base_len - 1] == '/')
		base_len--;
	snprintf(
	    expires, sizeof(expires), "%llu", (unsigned long long)expires_s);
	snprintf(person, sizeof(person), "%lld", (long long)s->person);
	link_signature(
	    s->key, object_key, expires, s->person != 0 ? person : NULL, hex);
	return fits(
	    snprintf(url, url_len,
		"%.*s/files/%s?expires=%s%s%s&signature=%s%s", (int)base_len,
		s->conf->public_url, path, expires,
		s->person != 0 ? "&person=" : "", s->person != 0 ? person : "",
		hex, s->is_download ? "&download=1" : ""),
	    url_len);
}

/* A picture and a signed manifest lie beside a recording. */
static const char *
media_type(const char *object_key)
{
	const char *dot = strrchr(object_key, '.');

	return dot == NULL              ? "video/webm"
	    : strcmp(dot, ".jpg") == 0  ? "image/jpeg"
	    : strcmp(dot, ".json") == 0 ? "application/json"
					: "video/webm";
}

static int
make_s3(const struct link_signer *s, const char *object_key, uint64_t now_s,
    uint32_t seconds, char *url, size_t url_len)
{
	char path[LINK_OBJECT_MAX + 128], target[LINK_URL_MAX];
	char name[256], disposition[300];
	struct sigv4_pair query[] = {
		{ "response-content-type", media_type(object_key) },
		{ "response-content-disposition", disposition },
	};
	struct sigv4_request rq = { .method = "GET",
		.host = s->endpoint.host,
		.path = path,
		.query = query,
		.n_query = N_ELEMENTS(query),
		.payload = SIGV4_UNSIGNED,
		.time_s = now_s };
	int rc;

	snprintf(disposition, sizeof(disposition), "%s; filename=\"%s\"",
	    s->is_download ? "attachment" : "inline",
	    link_filename(object_key, name, sizeof(name)));
	rc = s3_endpoint_path(&s->endpoint, object_key, path, sizeof(path));
	if (rc == 0)
		rc =
		    sigv4_presign(&s->s3, &rq, seconds, target, sizeof(target));
	if (rc != 0)
		return rc;
	return fits(snprintf(url, url_len, "%s://%s%s", s->endpoint.scheme,
			s->endpoint.host, target),
	    url_len);
}

int
link_make_until(const struct link_signer *s, const char *object_key,
    uint64_t now_s, uint64_t expires_s, char *url, size_t url_len)
{
	uint64_t most = (uint64_t)s->conf->link_seconds, seconds;

	if (strlen(object_key) > LINK_OBJECT_MAX)
		return ERR_LIMIT;
	if (expires_s <= now_s)
		return ERR_TIMEOUT;
	seconds = expires_s - now_s < most ? expires_s - now_s : most;
	if (s->is_s3)
		return make_s3(
		    s, object_key, now_s, (uint32_t)seconds, url, url_len);
	return make_folder(s, object_key, now_s + seconds, url, url_len);
}

int
link_make(const struct link_signer *s, const char *object_key, uint64_t now_s,
    char *url, size_t url_len, uint64_t *expires_s)
{
	uint64_t end = now_s + (uint64_t)s->conf->link_seconds;

	if (expires_s != NULL)
		*expires_s = end;
	return link_make_until(s, object_key, now_s, end, url, url_len);
}

char *
link_filename(const char *object_key, char *out, size_t out_len)
{
	char copy[LINK_OBJECT_MAX + 1], *part[6], *save = NULL;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", object_key);
	for (char *p = strtok_r(copy, "/", &save); p != NULL && n < 6;
	     p = strtok_r(NULL, "/", &save))
		part[n++] = p;
	if (n == 5) /* team/endpoint/session/monitor/time */
		snprintf(out, out_len, "%s_%s_%.*s_%.8s%s", part[1], part[3],
		    (int)strcspn(part[4], "."), part[4], part[2],
		    part[4] + strcspn(part[4], "."));
	else
		snprintf(out, out_len, "%s", n > 0 ? part[n - 1] : "file");
	for (char *p = out; *p != '\0'; p++)
		if (*p == '"' || *p == '\\' || (unsigned char)*p < 0x20 ||
		    (unsigned char)*p > 0x7e)
			*p = '_';
	return out;
}

int
link_verify(const uint8_t key[LINK_KEY_LEN], const char *object_key,
    const char *expires, const char *person, const char *signature,
    uint64_t now_s, uint64_t *expires_s)
{
	char hex[65];

	if (strlen(object_key) > LINK_OBJECT_MAX ||
	    strchr(object_key, '\n') != NULL || strlen(expires) > 19 ||
	    expires[0] == '\0' ||
	    strspn(expires, "0123456789") != strlen(expires) ||
	    (person != NULL &&
		(strlen(person) > 18 || person[0] == '\0' ||
		    strspn(person, "0123456789") != strlen(person))))
		return ERR_DENIED;
	link_signature(key, object_key, expires, person, hex);
	if (strlen(signature) != 64 || !equal_constant_time(hex, signature, 64))
		return ERR_DENIED;
	*expires_s = strtoull(expires, NULL, 10);
	return now_s < *expires_s ? 0 : ERR_TIMEOUT;
}
