/* On a worker: what a clip is made of, step by step. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/json.h"
#include "storage/clips/clip_build_internal.h"

#define PIECE (64 * 1024)

const char *
clip_build_source(const struct clip_build *b)
{
	return b->phase == CLIP_MANIFEST ? b->manifest_key : b->key.recording;
}

int
clip_build_target(const struct clip_build *b)
{
	return b->phase == CLIP_MANIFEST ? b->manifest_fd : b->parts_fd;
}

/* A sentence of clip_plan and clip_cut, as people are told it. */
static int
fail_why(struct clip_build *b, int err, const char *why)
{
	if (err == ERR_CORRUPT || err == ERR_LIMIT)
		return clip_build_fail(b, err, "%c%s.",
		    why[0] >= 'a' && why[0] <= 'z' ? why[0] - 'a' + 'A'
						   : why[0],
		    why + 1);
	return clip_build_fail(
	    b, err, "The clip cannot be made: %s.", err_text(err));
}

/* ---- the recording's manifest ---- */

/* The clip's manifest repeats what this one says, and is signed. */
static bool
is_as_stored(const struct clip_build *b, const char *text, size_t len)
{
	uint8_t sum[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(sum, (const uint8_t *)text, len);
	return !b->is_manifest_known ||
	    memcmp(sum, b->manifest_sha256, sizeof(sum)) == 0;
}

static json_t *
load(const struct clip_build *b)
{
	char *text = malloc((size_t)b->end + 1);
	int fd = b->manifest_fd;
	int64_t n = text != NULL
	    ? webm_read_file(&fd, 0, (uint8_t *)text, (size_t)b->end)
	    : -1;
	json_t *j = n > 0 && is_as_stored(b, text, (size_t)n)
	    ? json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL)
	    : NULL;

	free(text);
	return j;
}

static void
want(struct clip_build *b, enum clip_phase phase, uint64_t at, uint64_t end)
{
	b->phase = phase;
	b->at = at;
	b->end = end;
	if (phase == CLIP_HEADER)
		b->etag[0] = '\0'; /* of another object */
}

/* It is the one that the database knows, by its bytes and its root. */
static int
take_manifest(struct clip_build *b)
{
	const char *id, *why = "";
	int rc;

	b->original = load(b);
	id = json_text(b->original, "segment");
	rc = b->original != NULL
	    ? evidence_parse(&b->evidence, b->original, &why)
	    : ERR_CORRUPT;
	if (rc == ERR_NOMEM)
		return fail_why(b, rc, why);
	if (rc != 0 || id == NULL || strcmp(id, b->segment) != 0 ||
	    memcmp(b->evidence.root, b->expected_root, 32) != 0 ||
	    b->evidence.n < 3)
		return clip_build_fail(b, ERR_CORRUPT,
		    "The manifest of this recording was changed, so there is "
		    "no clip of it.");
	/* it is read into the spool, before anything else is known of it */
	if (b->evidence.blocks[b->evidence.n - 1].len > WEBM_HEADER_MAX)
		return fail_why(b, ERR_CORRUPT, clip_not_ours);
	want(b, CLIP_HEADER, 0, b->evidence.blocks[b->evidence.n - 1].len);
	return 0;
}

/* ---- the recording ---- */

static struct webm_view
view(struct clip_build *b)
{
	const struct evidence_block *last =
	    &b->evidence.blocks[b->evidence.n - 2];

	return (struct webm_view){ webm_read_file, &b->parts_fd,
		last->offset + last->len };
}

static int
plan(struct clip_build *b)
{
	struct webm_view v = view(b);
	const struct evidence_block *first, *last;
	const char *why;
	int rc = clip_plan(&b->plan, &v, &b->evidence, (uint64_t)b->from_ms,
	    (uint64_t)b->to_ms, &why);

	if (rc != 0)
		return fail_why(b, rc, why);
	first = &b->evidence.blocks[b->plan.first];
	last = first + b->plan.n - 1;
	want(b, CLIP_BLOCKS, first->offset, last->offset + last->len);
	return 0;
}

/* What people want to know of the recording, without its manifest. */
static int
describe(const struct clip_build *b, json_t *clip)
{
	static const char *const names[] = { "session", "team", "endpoint",
		"technician", "monitor", "time_zone" };
	const json_t *start = json_object_get(b->original, "start_wall_ns");

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		json_t *v = json_object_get(b->original, names[i]);

		if (v != NULL && json_object_set(clip, names[i], v) != 0)
			return ERR_NOMEM;
	}
	if (!json_is_integer(start))
		return 0;
	return json_object_set_new(clip, "start_wall_ns",
		   json_integer(json_integer_value(start) +
		       json_int(clip, "from_ms") * 1000000)) == 0
	    ? 0
	    : ERR_NOMEM;
}

static int
write_manifest(struct clip_build *b, struct clip_made *made)
{
	struct clip_facts *f = &made->facts;
	char sum[65];
	json_t *j;
	int rc = 0;

	f->id = b->key.id;
	f->segment = b->segment;
	f->person = b->author;
	f->reason = b->reason;
	f->made_at = b->made_at;
	f->asked_from_ms = b->from_ms;
	f->asked_to_ms = b->to_ms;
	j = clip_to_json(f);
	if (j == NULL || describe(b, j) != 0 ||
	    json_object_set_new(
		j, "bytes", json_integer((json_int_t)made->bytes)) != 0 ||
	    json_object_set_new(j, "sha256",
		json_string(http_hex(made->sha256, 32, sum))) != 0 ||
	    json_object_set_new(
		j, "evidence", evidence_to_json(&made->evidence)) != 0)
		rc = ERR_NOMEM;
	if (rc == 0 && b->signer != NULL)
		rc = evidence_sign(j, b->signer);
	if (rc == 0)
		b->manifest = json_dumps(j, JSON_INDENT(1));
	json_decref(j);
	return rc == 0 && b->manifest == NULL ? ERR_NOMEM : rc;
}

static int
cut(struct clip_build *b)
{
	struct webm_view v = view(b);
	struct clip_made made = { 0 };
	const char *why = "";
	int rc = clip_cut(&made, &b->plan, &v, &b->evidence, b->key.id,
	    (uint64_t)b->to_ms, b->out_fd, &why);

	if (rc == 0)
		rc = write_manifest(b, &made);
	evidence_release(&made.evidence);
	if (rc != 0)
		return fail_why(b, rc, why);
	b->phase = CLIP_DONE;
	return 0;
}

void
clip_build_step(struct worker_job *work)
{
	struct clip_build *b = (struct clip_build *)work;
	const struct evidence_block *cues;

	switch (b->phase) {
	case CLIP_MANIFEST:
		take_manifest(b);
		break;
	case CLIP_HEADER:
		cues = &b->evidence.blocks[b->evidence.n - 2];
		want(b, CLIP_CUES, cues->offset, cues->offset + cues->len);
		if (cues->len > CLIP_CUES_MAX)
			clip_build_fail(b, ERR_CORRUPT,
			    "The recording has no cues, so there is no clip "
			    "of it.");
		break;
	case CLIP_CUES:
		plan(b);
		break;
	case CLIP_BLOCKS:
		cut(b);
		break;
	case CLIP_DONE:
		break;
	}
}

/* ---- from the folder store ---- */

static int
copy(struct clip_build *b, int from)
{
	uint8_t buf[PIECE];

	while (b->at < b->end) {
		size_t len = (size_t)min_u64(sizeof(buf), b->end - b->at);
		int64_t n = webm_read_file(&from, b->at, buf, len);

		if (n < 0)
			return fail_why(b, (int)n, "");
		if (n > 0 &&
		    pwrite(clip_build_target(b), buf, (size_t)n,
			(off_t)b->at) != n)
			return clip_build_fail(b, ERR_NOSPACE,
			    "The spool has no room for a clip.");
		b->at += (uint64_t)n;
		if (n < (int64_t)len)
			break; /* the hashes will say what is missing */
	}
	return 0;
}

void
clip_build_all(struct worker_job *work)
{
	struct clip_build *b = (struct clip_build *)work;

	while (b->err == 0 && b->phase != CLIP_DONE) {
		int fd = beneath_open(b->root, clip_build_source(b));

		if (fd < 0) {
			clip_build_fail(b, ERR_NOTFOUND,
			    "The recording of this clip is not in the store: "
			    "%s.",
			    strerror(errno));
			return;
		}
		if (copy(b, fd) == 0)
			clip_build_step(work);
		close(fd);
	}
}

void
clip_build_release_work(struct clip_build *b)
{
	json_decref(b->original);
	evidence_release(&b->evidence);
}
