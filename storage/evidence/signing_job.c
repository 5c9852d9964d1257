/* On a thread: a file against its recorder's evidence, and the signature. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "manifest/evidence.h"
#include "common/http.h"
#include "webm/webm_walk.h"
#include "manifest/manifest.h"
#include "storage/evidence/signing.h"

/* A reader that hashes on the way: blocks are asked for in a row. */
struct pass {
	struct signing_job *j;
	uint64_t at;
	struct sha256 *head; /* of what was seen; NULL: nothing was */
};

static void
hash(struct pass *p, const uint8_t *buf, size_t len)
{
	const struct signing_head *h = &p->j->head;
	uint64_t from = p->at > h->from ? p->at : h->from;
	uint64_t to = min_u64(p->at + len, h->to);

	file_hash_add(&p->j->hash, buf, len);
	if (from < to && p->head != NULL)
		sha256_add(p->head, buf + (from - p->at), to - from);
	p->at += len;
}

static int64_t
read_pass(void *arg, uint64_t offset, uint8_t *buf, size_t len)
{
	struct pass *p = arg;
	int64_t n;

	if (atomic_load(p->j->stopping))
		return ERR_CANCELLED;
	n = webm_read_file(&p->j->fd, offset, buf, len);
	if (n >= 0 && offset == p->at)
		hash(p, buf, (size_t)n);
	return n;
}

static int
compare_head(struct signing_job *j, struct pass *p)
{
	uint8_t sum[32];

	if (j->head.to == 0)
		return 0;
	if (sha256_end(p->head, sum) != 0)
		return store_fail(&j->r, ERR_NOMEM, "out of memory");
	if (j->head.to <= p->at && memcmp(sum, j->head.sha256, 32) == 0)
		return 0;
	return store_fail(&j->r, ERR_CORRUPT,
	    "bytes %" PRIu64 " to %" PRIu64 " are not those that were seen "
	    "while it was recorded",
	    j->head.from, j->head.to - 1);
}

static int
compare_pass(struct signing_job *j, const struct evidence *e, struct pass *p)
{
	static const char *const what[] = { [EVIDENCE_CHANGED] = "were changed",
		[EVIDENCE_MISSING] = "are missing, or some of them",
		[EVIDENCE_ADDED] = "were added" };
	struct evidence_fault f;
	int rc = evidence_verify(e, read_pass, p, &f);

	if (rc == ERR_CORRUPT)
		return store_fail(&j->r, rc,
		    "bytes %" PRIu64 " to %" PRIu64 " %s since they were "
		    "recorded",
		    f.offset, f.offset + f.len - 1, what[f.kind]);
	if (rc == 0)
		rc = file_hash_end(&j->hash);
	if (rc == 0)
		rc = file_hash_md5s(&j->hash, j->fd, 0, j->stopping);
	if (rc != 0)
		return store_fail(&j->r, rc, "spool: %s", err_text(rc));
	return compare_head(j, p);
}

static int
compare(struct signing_job *j, const struct evidence *e)
{
	struct pass p = { .j = j };
	int rc = file_hash_init(&j->hash, j->bytes, j->part_bytes);

	if (rc == 0 && j->head.to != 0 && (p.head = sha256_new()) == NULL)
		rc = ERR_NOMEM;
	rc = rc != 0 ? store_fail(&j->r, rc, "out of memory")
		     : compare_pass(j, e, &p);
	sha256_free(p.head);
	return rc;
}

static int
set_hash(json_t *manifest, const char *name, const uint8_t sum[32])
{
	char hex[65];

	return json_object_set_new(
	    manifest, name, json_string(http_hex(sum, 32, hex)));
}

/* As a file, for the store; memory only. */
static int
write_manifest(struct signing_job *j, const json_t *manifest)
{
	char *text = json_dumps(manifest, JSON_INDENT(1));
	size_t len = text != NULL ? strlen(text) : 0, at = 0;

	j->manifest_fd = memfd_create("manifest", MFD_CLOEXEC);
	while (at < len && j->manifest_fd >= 0) {
		ssize_t n = write(j->manifest_fd, text + at, len - at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	free(text);
	j->manifest_len = len;
	return len > 0 && at == len ? 0 : ERR_NOMEM;
}

/* Adds what storage knows, and signs. */
static int
complete(struct signing_job *j, json_t *manifest)
{
	int rc = 0;

	json_object_del(manifest, "signature"); /* only ours counts */
	json_object_del(manifest, "previous_root");
	if (json_object_set_new(manifest, "seq", json_integer(j->seq)) != 0 ||
	    set_hash(manifest, "sha256", j->hash.sha256) != 0 ||
	    (j->has_previous &&
		set_hash(manifest, "previous_root", j->previous) != 0))
		return ERR_NOMEM;
	if (j->signer != NULL)
		rc = evidence_sign(manifest, j->signer);
	if (rc != 0)
		return rc;
	j->is_signed = j->signer != NULL;
	if (j->is_signed)
		evidence_signature_bytes(manifest, j->signature);
	return write_manifest(j, manifest);
}

static json_t *
load(const struct signing_job *j)
{
	char *text = malloc(MANIFEST_MAX);
	json_t *manifest = NULL;
	size_t len = 0;
	ssize_t n = 0;
	int fd;

	fd = openat(
	    j->dir, j->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	while (text != NULL && fd >= 0 && len < MANIFEST_MAX &&
	    (n = read(fd, text + len, MANIFEST_MAX - len)) > 0)
		len += (size_t)n;
	if (text != NULL && fd >= 0 && n == 0)
		manifest = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (fd >= 0)
		close(fd);
	free(text);
	return manifest;
}

void
signing_run(struct worker_job *work)
{
	struct signing_job *j = (struct signing_job *)work;
	json_t *manifest = load(j);
	struct evidence e;
	const char *why;
	int rc;

	if (manifest == NULL) {
		store_fail(&j->r, ERR_IO, "its manifest cannot be read");
		return;
	}
	rc = evidence_parse(&e, manifest, &why);
	if (rc == ERR_CORRUPT)
		store_fail(&j->r, rc, "%s", why);
	else if (rc == 0) {
		memcpy(j->root, e.root, sizeof(j->root));
		rc = compare(j, &e);
		if (rc == 0 && (rc = complete(j, manifest)) != 0)
			store_fail(&j->r, rc, "signing: %s", err_text(rc));
	} else if (rc != ERR_NOTFOUND)
		store_fail(&j->r, rc, "%s", err_text(rc));
	evidence_release(&e);
	json_decref(manifest);
}
