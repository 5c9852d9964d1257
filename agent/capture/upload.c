#include "agent/capture/upload.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/capture/exchange.h"
#include "agent/dial.h"
#include "common/bytes.h"
#include "common/err.h"
#include "common/uuid.h"

#define HASH_PIECE  (256 * 1024) /* hashed per turn of the loop */
#define SHA256_LEN  32
#define BASE64_MAX  64 /* of a digest or a UUID, with the NUL */
#define SOON_S      1
#define RETRY_MAX_S 3600 /* that a server may ask for */

enum step {
	UPLOAD_HASHES,
	UPLOAD_DIALS,
	UPLOAD_CREATES, /* POST */
	UPLOAD_SENDS,   /* PATCH */
	UPLOAD_FORGETS, /* DELETE */
};

struct upload {
	struct event_base *base;
	struct upload_to to;
	char id[UUID_TEXT_MAX];
	upload_cb *cb;
	void *arg;
	enum step step;
	struct event *turn; /* the next piece to hash */
	EVP_MD_CTX *md;
	struct dial *dial;
	struct exchange *exchange;
	struct proxy proxy;
	char digest[BASE64_MAX];
	uint64_t size, hashed;
	uint64_t from, sent; /* of the request under way; of those before */
	uint64_t offset;     /* of storage, as it said last */
	bool is_moved;       /* a wrong offset was set right once */
};

static void on_answer(
    void *arg, const struct exchange_answer *a, const char *why);

void
upload_cancel(struct upload *u)
{
	if (u == NULL)
		return;
	if (u->turn != NULL)
		event_free(u->turn);
	EVP_MD_CTX_free(u->md);
	dial_cancel(u->dial);
	exchange_free(u->exchange);
	if (u->to.fd >= 0)
		close(u->to.fd);
	wipe(&u->proxy, sizeof(u->proxy));
	free(u);
}

static uint64_t
sent_so_far(const struct upload *u)
{
	return u->sent +
	    (u->step == UPLOAD_SENDS ? exchange_at(u->exchange) - u->from : 0);
}

/* The one end. why: may be static, or of what is freed here. */
static void
finish(struct upload *u, enum upload_end end, unsigned wait_s, const char *why)
{
	char text[UPLOAD_WHY_MAX];
	struct upload_result res = { end, u->offset, sent_so_far(u), wait_s,
		text };
	upload_cb *cb = u->cb;
	void *arg = u->arg;

	snprintf(text, sizeof(text), "%s", why);
	upload_cancel(u);
	cb(arg, &res);
}

/* ---- requests ---- */

static void
base64(char out[BASE64_MAX], const void *data, size_t len)
{
	EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

/* with: what only this request says. */
static void
ask(struct upload *u, enum step step, const char *method, const char *path,
    const char *with, uint64_t to)
{
	char host[HOSTPORT_TEXT_MAX], fields[1024];
	const struct exchange_request r = { .method = method,
		.path = path,
		.fields = fields,
		.fd = u->to.fd,
		.from = u->from,
		.to = to,
		.rate = u->to.rate };

	u->step = step;
	snprintf(fields, sizeof(fields),
	    "Host: %s\r\nTus-Resumable: 1.0.0\r\n%s",
	    hostport_format(&u->to.storage, host), with);
	if (exchange_send(u->exchange, &r) != 0) {
		u->step = UPLOAD_DIALS;
		finish(u, UPLOAD_AGAIN, SOON_S, "it closed the connection");
	}
}

static void
create(struct upload *u)
{
	char id[BASE64_MAX], with[512];

	base64(id, u->id, strlen(u->id));
	snprintf(with, sizeof(with),
	    "Upload-Length: %llu\r\n"
	    "Upload-Metadata: capture %s,encryption c2VjcmV0c3RyZWFt\r\n"
	    "Repr-Digest: sha-256=:%s:\r\n",
	    (unsigned long long)u->size, id, u->digest);
	u->from = 0;
	ask(u, UPLOAD_CREATES, "POST", "/captures", with, 0);
}

static void
send_from(struct upload *u, uint64_t offset)
{
	char path[64], with[160];

	u->offset = offset;
	if (offset > u->size) {
		finish(u, UPLOAD_AGAIN, 0, "it has more than there is");
		return;
	}
	if (offset == u->size) {
		finish(u, UPLOAD_DONE, 0, "");
		return;
	}
	snprintf(path, sizeof(path), "/captures/%s", u->id);
	snprintf(with, sizeof(with),
	    "Upload-Offset: %llu\r\n"
	    "Content-Type: application/offset+octet-stream\r\n",
	    (unsigned long long)offset);
	u->from = offset;
	ask(u, UPLOAD_SENDS, "PATCH", path, with, u->size);
}

static void
forget(struct upload *u)
{
	char path[64];

	snprintf(path, sizeof(path), "/captures/%s", u->id);
	ask(u, UPLOAD_FORGETS, "DELETE", path, "", 0);
}

/* ---- answers ---- */

/* What went wrong, in storage's words where it has some. */
static void
refused(struct upload *u, const struct exchange_answer *a)
{
	char why[UPLOAD_WHY_MAX];
	uint64_t wait = 0;

	exchange_number(a, "Retry-After", &wait);
	/* another connection of ours is being ended; or the upload expired */
	if (a->status == 423 || (a->status == 404 && u->step == UPLOAD_SENDS))
		wait = SOON_S;
	snprintf(why, sizeof(why), "it answers %d%s%s", a->status,
	    a->text[0] != '\0' ? ": " : "", a->text);
	finish(u, UPLOAD_AGAIN, (unsigned)min_u64(wait, RETRY_MAX_S), why);
}

static void
on_created(struct upload *u, const struct exchange_answer *a)
{
	uint64_t offset = 0;
	bool has_offset = exchange_number(a, "Upload-Offset", &offset);

	if (a->status == 201 || (a->status == 409 && has_offset))
		send_from(u, offset);
	else
		refused(u, a);
}

static void
on_sent(struct upload *u, const struct exchange_answer *a)
{
	uint64_t offset;

	u->sent += exchange_at(u->exchange) - u->from;
	u->from = exchange_at(u->exchange);
	if ((a->status != 204 && a->status != 409) ||
	    !exchange_number(a, "Upload-Offset", &offset)) {
		refused(u, a);
	} else if (a->status == 204 && offset == u->size) {
		finish(u, UPLOAD_DONE, 0, "");
	} else if (u->is_moved || !a->keeps) {
		refused(u, a);
	} else {
		u->is_moved = true;
		send_from(u, offset);
	}
}

static void
on_answer(void *arg, const struct exchange_answer *a, const char *why)
{
	struct upload *u = arg;

	if (a == NULL)
		finish(u, UPLOAD_AGAIN, 0, why);
	else if (u->step == UPLOAD_CREATES && a->keeps)
		on_created(u, a);
	else if (u->step == UPLOAD_SENDS)
		on_sent(u, a);
	else if (u->step == UPLOAD_FORGETS &&
	    (a->status == 204 || a->status == 404 || a->status == 410))
		finish(u, UPLOAD_GONE, 0, "");
	else
		refused(u, a);
}

/* ---- the way there ---- */

static void
on_dialed(void *arg, struct bufferevent *bev, const char *why)
{
	struct upload *u = arg;

	u->dial = NULL; /* it frees itself */
	if (bev == NULL) {
		finish(u, UPLOAD_AGAIN, 0, why);
		return;
	}
	u->exchange = exchange_new(u->base, bev, on_answer, u);
	if (u->exchange == NULL)
		finish(u, UPLOAD_AGAIN, 0, err_text(ERR_NOMEM));
	else if (u->to.fd < 0)
		forget(u);
	else
		create(u);
}

static int
dial(struct upload *u)
{
	const struct settings *s = u->to.settings;
	const struct dial_to to = { &u->to.storage, &u->proxy, u->to.trust,
		UPLOAD_ALPN, (unsigned)s->conf.connect_s,
		(unsigned)s->conf.peer_lost_s };

	u->step = UPLOAD_DIALS;
	u->dial = dial_start(u->base, &to, on_dialed, u);
	return u->dial != NULL ? 0 : ERR_NOMEM;
}

static void
hash_piece(struct upload *u)
{
	static const struct timeval at_once = { 0 };
	uint8_t piece[HASH_PIECE], sha256[SHA256_LEN];
	size_t want = (size_t)min_u64(sizeof(piece), u->size - u->hashed);
	ssize_t n =
	    want == 0 ? 0 : pread(u->to.fd, piece, want, (off_t)u->hashed);

	if ((want != 0 && n <= 0) ||
	    EVP_DigestUpdate(u->md, piece, (size_t)n) != 1) {
		finish(u, UPLOAD_AGAIN, 0, "the capture's file cannot be read");
		return;
	}
	u->hashed += (uint64_t)n;
	if (u->hashed < u->size) {
		if (event_add(u->turn, &at_once) != 0)
			finish(u, UPLOAD_AGAIN, 0, err_text(ERR_NOMEM));
		return;
	}
	EVP_DigestFinal_ex(u->md, sha256, NULL);
	base64(u->digest, sha256, sizeof(sha256));
	if (dial(u) != 0)
		finish(u, UPLOAD_AGAIN, 0, err_text(ERR_NOMEM));
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	hash_piece(arg);
}

static int
start(struct upload *u)
{
	static const struct timeval at_once = { 0 };
	struct stat st;

	if (proxy_choose(
		u->to.settings->conf.proxy, u->to.storage.host, &u->proxy) != 0)
		return ERR_CONFIG;
	if (u->to.fd < 0)
		return dial(u);
	if (fstat(u->to.fd, &st) != 0)
		return ERR_IO;
	u->size = (uint64_t)st.st_size;
	u->md = EVP_MD_CTX_new();
	u->turn = evtimer_new(u->base, on_turn, u);
	return u->md != NULL && u->turn != NULL &&
		EVP_DigestInit_ex(u->md, EVP_sha256(), NULL) == 1 &&
		event_add(u->turn, &at_once) == 0
	    ? 0
	    : ERR_NOMEM;
}

struct upload *
upload_start(struct event_base *base, const struct upload_to *to, upload_cb *cb,
    void *arg)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		if (to->fd >= 0)
			close(to->fd);
		return NULL;
	}
	u->base = base;
	u->to = *to;
	u->to.id = u->id;
	snprintf(u->id, sizeof(u->id), "%s", to->id);
	u->cb = cb;
	u->arg = arg;
	if (start(u) == 0)
		return u;
	upload_cancel(u);
	return NULL;
}
