#include "storage/files/files_archive.h"

#include <event2/buffer.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/db.h"
#include "common/err.h"
#include "common/tls_connections.h"
#include "common/uuid.h"
#include "storage/daemon.h"
#include "storage/files/files_internal.h"
#include "storage/files/zip_stream.h"
#include "storage/node.h"
#include "storage/store/store.h"

#define PREFIX "archive/"
#define SUFFIX ".zip"
#define ID_LEN 36

enum col { REFUSAL, KEY, BYTES, ENDED };

struct entry {
	char *key;
	uint64_t bytes;
	int64_t ended_s;
};

struct files_archive {
	struct files *f;
	struct zip_stream *zip;
	struct evbuffer *out; /* of zip */
	char id[UUID_TEXT_MAX];
	uint64_t bytes;
	int n, next; /* entries */
	struct entry entries[];
};

/* A request that waits for the database; req is NULL once it went away. */
struct ask {
	struct files_request r;
};

bool
files_archive_is_key(const char *key)
{
	size_t len = strlen(PREFIX);

	return strncmp(key, PREFIX, len) == 0 &&
	    strspn(key + len, "0123456789abcdef-") == ID_LEN &&
	    strcmp(key + len + ID_LEN, SUFFIX) == 0;
}

static const char *
id_of(const char *key, char id[UUID_TEXT_MAX])
{
	snprintf(id, UUID_TEXT_MAX, "%.*s", ID_LEN, key + strlen(PREFIX));
	return id;
}

/* ---- what is in it ---- */

void
files_archive_free(struct files_archive *a)
{
	if (a == NULL)
		return;
	zip_stream_free(a->zip);
	if (a->out != NULL)
		evbuffer_free(a->out);
	for (int i = 0; i < a->n; i++)
		free(a->entries[i].key);
	free(a);
}

const char *
files_archive_id(const struct files_archive *a)
{
	return a->id;
}

uint64_t
files_archive_bytes(const struct files_archive *a)
{
	return a->bytes;
}

static struct files_archive *
archive_new(const struct files_request *r, PGresult *res)
{
	int n = PQntuples(res);
	struct files_archive *a =
	    calloc(1, sizeof(*a) + (size_t)n * sizeof(a->entries[0]));

	if (a == NULL)
		return NULL;
	a->f = r->f;
	id_of(r->key, a->id);
	a->out = evbuffer_new();
	a->zip = a->out != NULL ? zip_stream_new(a->out) : NULL;
	for (a->n = 0; a->n < n; a->n++) {
		struct entry *e = &a->entries[a->n];

		e->key = strdup(PQgetvalue(res, a->n, KEY));
		if (e->key == NULL)
			break;
		e->bytes = strtoull(PQgetvalue(res, a->n, BYTES), NULL, 10);
		e->ended_s = strtoll(PQgetvalue(res, a->n, ENDED), NULL, 10);
		a->bytes += e->bytes;
	}
	if (a->zip != NULL && a->n == n)
		return a;
	files_archive_free(a);
	return NULL;
}

/* A descriptor, -1 when the store has it, or ERR_*: what is here is not what
 * the row says, or nothing is. */
static int
open_entry(const struct files_archive *a, const struct entry *e)
{
	const struct store *store = a->f->d->store;
	bool is_growing = false;
	struct stat st;
	int fd = files_open(a->f, e->key, &is_growing);

	if (fd < 0)
		return store->ops->read != NULL ? -1 : ERR_NOTFOUND;
	if (!is_growing && fstat(fd, &st) == 0 &&
	    (uint64_t)st.st_size == e->bytes)
		return fd;
	close(fd);
	return ERR_CORRUPT;
}

/* The first file that is not here, or NULL. Only a folder can be asked without
 * waiting; what S3 does not have breaks the ZIP off. */
static const char *
find_lost(const struct files_archive *a)
{
	int fd;

	for (int i = 0; i < a->n; i++) {
		fd = open_entry(a, &a->entries[i]);
		if (fd < -1)
			return a->entries[i].key;
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

/* ---- sending ---- */

int
files_archive_next(struct files_archive *a, struct archive_file *file)
{
	const struct entry *e = &a->entries[a->next];
	const char *slash; /* behind the team */
	int rc;

	if (a->next >= a->n)
		return zip_stream_end(a->zip);
	a->next++;
	file->fd = open_entry(a, e);
	if (file->fd < -1)
		return file->fd;
	snprintf(file->key, sizeof(file->key), "%s", e->key);
	file->bytes = e->bytes;
	slash = strchr(e->key, '/');
	rc = zip_stream_begin(
	    a->zip, slash != NULL ? slash + 1 : e->key, e->bytes, e->ended_s);
	if (rc == 0)
		return 1;
	if (file->fd >= 0)
		close(file->fd);
	return rc;
}

int
files_archive_pack(struct files_archive *a, struct evbuffer *chunk)
{
	struct evbuffer_iovec part;
	int rc;

	while (evbuffer_peek(chunk, -1, NULL, &part, 1) > 0) {
		rc = zip_stream_write(a->zip, part.iov_base, part.iov_len);
		if (rc != 0)
			return rc;
		evbuffer_drain(chunk, part.iov_len);
	}
	return evbuffer_add_buffer(chunk, a->out) == 0 ? 0 : ERR_NOMEM;
}

/* ---- the request ---- */

static void
on_close(struct evhttp_connection *conn, void *arg)
{
	struct ask *ask = arg;
	struct evhttp_request *req = ask->r.req;

	ask->r.req = NULL;
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_send_reply_end(req);
}

static void
add_headers(const struct files_request *r, const char *id)
{
	char text[100];

	files_common_headers(r->f, r->req);
	snprintf(text, sizeof(text),
	    "attachment; filename=\"recordings-%.8s.zip\"", id);
	files_add_header(r->req, "Content-Type", "application/zip");
	files_add_header(r->req, "Content-Disposition", text);
	files_add_header(r->req, "Accept-Ranges", "none");
	files_add_header(r->req, "Cache-Control", "no-store");
}

static void
answer(const struct files_request *r, PGresult *res)
{
	struct files_archive *a = archive_new(r, res);
	const char *lost = a != NULL ? find_lost(a) : NULL;
	char text[OBJECT_KEY_MAX + 80];

	if (a == NULL) {
		files_refuse_memory(r->f, r->req);
		return;
	}
	if (lost != NULL) {
		snprintf(text, sizeof(text),
		    "The file of the recording %s is not on this node.", lost);
		r->f->d->counters.files_notfound++;
		files_refuse(r->f, r->req, 409, "Conflict", text);
		files_archive_free(a);
		return;
	}
	add_headers(r, a->id);
	r->f->d->counters.files_ok++;
	files_download_archive(r, a);
}

static void
refuse(const struct files_request *r, const char *why)
{
	char text[300];

	r->f->d->counters.files_denied++;
	snprintf(text, sizeof(text), "This ZIP is not sent: %.200s.", why);
	files_refuse(r->f, r->req, 403, "Forbidden", text);
}

static void
answer_unknown(const struct files_request *r)
{
	r->f->d->counters.files_refused++;
	files_add_header(r->req, "Retry-After", "5");
	files_refuse(r->f, r->req, 503, "Service Unavailable",
	    "The database is away, so it is not known what is in this ZIP.");
}

static void
on_rows(void *arg, PGresult *res)
{
	struct ask *ask = arg;
	const struct files_request *r = &ask->r;

	r->f->d->counters.files_active--;
	if (r->req != NULL)
		evhttp_connection_set_closecb(
		    evhttp_request_get_connection(r->req), NULL, NULL);
	if (r->req != NULL && !r->f->d->exiting) {
		if (!db_ok(res, "open archive"))
			answer_unknown(r);
		else if (PQntuples(res) == 0) {
			r->f->d->counters.files_notfound++;
			files_refuse(r->f, r->req, 404, "Not Found",
			    "There is no such ZIP any more.");
		} else if (!PQgetisnull(res, 0, REFUSAL))
			refuse(r, PQgetvalue(res, 0, REFUSAL));
		else
			answer(r, res);
	}
	free(ask);
}

/* Who asks, for the audit log; heap, or NULL. */
static char *
origin_of(const struct files_request *r)
{
	json_t *j = json_pack("{s:s,s:I}", "client",
	    tls_connections_client(r->req), "link_expires",
	    (json_int_t)r->expires_s);
	char *text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return text;
}

static int
ask_database(struct ask *ask)
{
	const struct daemon *d = ask->r.f->d;
	char id[UUID_TEXT_MAX], person[24], *origin = origin_of(&ask->r);
	const char *params[] = { id_of(ask->r.key, id),
		ask->r.person != 0 ? person : NULL, d->actor, origin,
		node_id(d->node) };
	int rc = ERR_NOMEM;

	snprintf(person, sizeof(person), "%lld", (long long)ask->r.person);
	if (origin != NULL)
		rc = db_query_now(d->db,
		    "SELECT refusal, object_key, bytes, ended_s FROM "
		    "archive_open($1::uuid, $2::bigint, $3, $4::jsonb, "
		    "$5::uuid)",
		    5, params, on_rows, ask);
	free(origin);
	return rc;
}

bool
files_serve_archive(const struct files_request *r)
{
	struct ask *ask;

	if (!files_archive_is_key(r->key))
		return false;
	ask = calloc(1, sizeof(*ask));
	if (ask == NULL) {
		files_refuse_memory(r->f, r->req);
		return true;
	}
	ask->r = *r;
	if (ask_database(ask) != 0) {
		free(ask);
		answer_unknown(r);
		return true;
	}
	r->f->d->counters.files_active++;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), on_close, ask);
	return true;
}
