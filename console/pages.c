#include "console/pages.h"

#include <event2/http.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/file_table.h"
#include "common/http.h"
#include "common/links.h"
#include "console/api/answer.h"
#include "console/api/relay_place.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/db_pool.h"
#include "console/http/gzip.h"
#include "console/http/page_policy.h"
#include "console/worker.h"

#define ASSETS     "/assets/"
#define HASH_LEN   16 /* hex digits of it */
#define HOLE       "{{assets}}"
#define MAP_BEGIN  "<script type=\"importmap\">"
#define MAP_END    "</script>"
#define LIST_BEGIN "data-pages=\""
#define LIST_MAX   1024
#define IMMUTABLE  "public, max-age=31536000, immutable"

/* A body, and the same compressed: NULL where that is not shorter. */
struct body {
	char *data, *gzip;
	size_t len, gzip_len;
};

struct pages {
	const struct conf_store *store;
	struct file_table *table;
	struct body *bodies; /* of the table's files; data is the table's */
	char hash[HASH_LEN + 1];
	struct body shell;   /* index.html, with its holes filled */
	char map_hash[64];   /* base64 of the import map's SHA-256 */
	char list[LIST_MAX]; /* " login sessions ... " */
};

/* ---- loading ---- */

static void
compress(struct body *b)
{
	b->gzip = gzip_whole(b->data, b->len, &b->gzip_len);
	if (b->gzip != NULL && b->gzip_len >= b->len) {
		free(b->gzip);
		b->gzip = NULL;
	}
}

static int
compress_all(struct pages *p)
{
	size_t n = file_table_count(p->table);

	p->bodies = calloc(n, sizeof(*p->bodies));
	if (p->bodies == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct table_file *f = file_table_at(p->table, i);

		p->bodies[i].data = (char *)f->data;
		p->bodies[i].len = f->len;
		compress(&p->bodies[i]);
	}
	return 0;
}

/* Of all names and contents: their etags are hashes. */
static void
name_assets(struct pages *p)
{
	uint8_t sum[SHA256_DIGEST_LENGTH] = { 0 };
	char text[2 * SHA256_DIGEST_LENGTH + 1024];

	for (size_t i = 0; i < file_table_count(p->table); i++) {
		const struct table_file *f = file_table_at(p->table, i);

		http_hex(sum, sizeof(sum), text);
		snprintf(
		    text + 2 * sizeof(sum), 1024, "%s %s", f->etag, f->path);
		SHA256((const uint8_t *)text, strlen(text), sum);
	}
	http_hex(sum, HASH_LEN / 2, p->hash);
}

/* The page with "/assets/HASH" in its holes. */
static char *
fill_holes(const struct pages *p, const struct table_file *f)
{
	const char *at = (const char *)f->data, *end = at + f->len, *hole;
	char *out = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&out, &len);

	if (to == NULL)
		return NULL;
	while ((hole = memmem(at, (size_t)(end - at), HOLE, strlen(HOLE))) !=
	    NULL) {
		fwrite(at, 1, (size_t)(hole - at), to);
		fprintf(to, ASSETS "%s", p->hash);
		at = hole + strlen(HOLE);
	}
	fwrite(at, 1, (size_t)(end - at), to);
	if (fclose(to) != 0) {
		free(out);
		return NULL;
	}
	return out;
}

/* What lies between two texts; NULL: they are not there. */
static const char *
between(const char *text, const char *begin, const char *end, size_t *len)
{
	const char *at = strstr(text, begin), *stop;

	if (at == NULL)
		return NULL;
	at += strlen(begin);
	stop = strstr(at, end);
	*len = stop != NULL ? (size_t)(stop - at) : 0;
	return stop != NULL ? at : NULL;
}

/* The hash by which the policy lets the import map through, and the list of
 * pages. */
static int
read_shell(struct pages *p, char *err, size_t err_len)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	const char *map, *list;
	size_t map_len, list_len;

	map = between(p->shell.data, MAP_BEGIN, MAP_END, &map_len);
	list = between(p->shell.data, LIST_BEGIN, "\"", &list_len);
	if (map == NULL || list == NULL || list_len + 3 > sizeof(p->list)) {
		snprintf(err, err_len,
		    "index.html of console.pages_dir has no import map or no "
		    "list of pages");
		return ERR_CONFIG;
	}
	SHA256((const uint8_t *)map, map_len, hash);
	EVP_EncodeBlock((unsigned char *)p->map_hash, hash, sizeof(hash));
	snprintf(p->list, sizeof(p->list), " %.*s ", (int)list_len, list);
	return 0;
}

static int
make_shell(struct pages *p, const char *folder, char *err, size_t err_len)
{
	const struct table_file *f = file_table_find(p->table, "/index.html");

	if (f == NULL) {
		snprintf(err, err_len,
		    "console.pages_dir = %s has no "
		    "index.html",
		    folder);
		return ERR_CONFIG;
	}
	p->shell.data = fill_holes(p, f);
	if (p->shell.data == NULL)
		return ERR_NOMEM;
	p->shell.len = strlen(p->shell.data);
	compress(&p->shell);
	return read_shell(p, err, err_len);
}

static int
load(struct pages *p, const struct conf_console *c, char *err, size_t err_len)
{
	int rc;

	p->table = file_table_new();
	if (p->table == NULL)
		return ERR_NOMEM;
	rc = file_table_add(p->table, c->pages_dir, "", err, err_len);
	if (rc == 0)
		rc = file_table_add(
		    p->table, c->modules_dir, "/modules", err, err_len);
	if (rc != 0)
		return rc;
	file_table_sort(p->table);
	name_assets(p);
	rc = compress_all(p);
	return rc != 0 ? rc : make_shell(p, c->pages_dir, err, err_len);
}

int
pages_new(struct pages **out, const struct conf_console *c,
    const struct conf_store *store, char *err, size_t err_len)
{
	struct pages *p;
	int rc;

	*out = NULL;
	if (c->pages_dir == NULL || c->pages_dir[0] == '\0')
		return 0;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ERR_NOMEM;
	p->store = store;
	rc = load(p, c, err, err_len);
	if (rc != 0) {
		pages_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void
pages_free(struct pages *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; p->bodies != NULL && i < file_table_count(p->table);
	     i++)
		free(p->bodies[i].gzip);
	free(p->bodies);
	file_table_free(p->table);
	free(p->shell.data);
	free(p->shell.gzip);
	free(p);
}

/* ---- answers ---- */

bool
pages_has(const char *path)
{
	return strncmp(path, "/api/", 5) != 0;
}

static void
send_body(
    struct request *r, unsigned status, const char *type, const struct body *b)
{
	request_bytes(r, status, type,
	    (struct request_body){
		.data = b->data,
		.len = b->len,
		.gzip = b->gzip,
		.gzip_len = b->gzip_len,
	    });
}

/* name: of a file; NULL or one that is not there: 404. */
static void
send_file(const struct pages *p, struct request *r, const char *name,
    const char *cache_control)
{
	const struct table_file *f =
	    name != NULL ? file_table_find(p->table, name) : NULL;

	if (f == NULL) {
		request_not_found(r);
		return;
	}
	request_field(r, "Cache-Control", cache_control);
	send_body(r, 200, f->type, &p->bodies[f - file_table_at(p->table, 0)]);
}

/* rest: behind "/assets/". */
static void
send_asset(const struct pages *p, struct request *r, const char *rest)
{
	bool is_ours = strncmp(rest, p->hash, HASH_LEN) == 0;

	send_file(p, r, is_ours ? rest + HASH_LEN : NULL, IMMUTABLE);
}

/* Does the list have the path's first word? */
static bool
is_page(const struct pages *p, const char *path)
{
	size_t len = strcspn(path + 1, "/");
	char word[64];

	if (len == 0)
		return path[1] == '\0';
	if (len + 3 > sizeof(word))
		return false;
	snprintf(word, sizeof(word), " %.*s ", (int)len, path + 1);
	return strstr(p->list, word) != NULL;
}

/* Where signed links lead: to storage, or to the S3 server, or to a node that
 * still writes the file. */
static void
list_media(const struct pages *p, const PGresult *res, char list[ORIGINS_MAX])
{
	list[0] = '\0';
	page_origins_add(list,
	    link_is_direct(p->store) ? p->store->s3_endpoint
				     : p->store->public_url);
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		return;
	for (int i = 0; i < PQntuples(res); i++)
		page_origins_add(list, PQgetvalue(res, i, 0));
}

static void
send_shell(struct request *r, const PGresult *res)
{
	const struct pages *p = r->worker->pages;
	char media[ORIGINS_MAX], policy[PAGE_POLICY_MAX], viewer[PLACE_MAX];

	if (r->http == NULL) {
		request_free(r);
		return;
	}
	list_media(p, res, media);
	request_field(r, "Content-Security-Policy",
	    page_policy(
		p->map_hash, media, relay_viewer_url(r, viewer), policy));
	request_field(r, "Cache-Control", "no-cache");
	send_body(r, r->is_not_found ? 404 : 200, "text/html; charset=utf-8",
	    &p->shell);
}

static void
on_nodes(void *arg, PGresult *res)
{
	send_shell(arg, res);
}

void
pages_answer(const struct pages *p, struct request *r, const char *path)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(r->http);
	static const char nodes_sql[] =
	    "SELECT DISTINCT files_url FROM nodes WHERE files_url IS NOT NULL "
	    "AND heartbeat_at > now() - interval '1 day'";

	if (p == NULL || path[0] != '/') {
		request_not_found(r);
	} else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		request_field(r, "Allow", "GET, HEAD");
		request_problem(r, 405, "method-not-allowed",
		    "This resource does not take that method.");
	} else if (strncmp(path, ASSETS, strlen(ASSETS)) == 0) {
		send_asset(p, r, path + strlen(ASSETS));
	} else if (strcmp(path, "/favicon.ico") == 0) {
		/* browsers ask for it where a page names none, as those of the
		 * API do that lead from one page to another */
		send_file(p, r, "/favicon.svg", "max-age=86400");
	} else {
		r->is_not_found = !is_page(p, path);
		/* without a database there is a page all the same */
		if (db_pool_query(
			r->worker->db, nodes_sql, 0, NULL, on_nodes, r) != 0)
			send_shell(r, NULL);
	}
}
