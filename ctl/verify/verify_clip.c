/* A clip (docs/clips.md) against its own manifest and its original's. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "manifest/clip.h"
#include "common/err.h"
#include "common/json.h"
#include "ctl/verify/verify_internal.h"

static void
describe(struct verify_file *p, const struct clip_facts *c)
{
	snprintf(p->clip_of, sizeof(p->clip_of), "%s", c->segment);
	json_decref(p->clip);
	p->clip = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:s,s:s,s:s}", "clip",
	    c->id, "recording", c->segment, "from_ms", (json_int_t)c->from_ms,
	    "to_ms", (json_int_t)c->to_ms, "asked_from_ms",
	    (json_int_t)c->asked_from_ms, "asked_to_ms",
	    (json_int_t)c->asked_to_ms, "person", c->person, "reason",
	    c->reason, "made_at", c->made_at);
}

/* ---- the original ---- */

static bool
original_is_signed(struct verify_file *p, const json_t *original,
    const struct verify_keys *keys)
{
	const struct evidence_key *by;
	char id[EVIDENCE_KEY_ID_MAX] = "";

	switch (
	    evidence_check_signature(original, keys->list, keys->n, &by, id)) {
	case 0:
		return true;
	case ERR_NOTFOUND:
		verify_file_say(p, VERIFY_ORIGINAL,
		    "nobody signed the manifest of its original");
		return false;
	case ERR_DENIED:
		verify_file_say(p, VERIFY_ORIGINAL,
		    "the manifest of its original is signed with key %s, "
		    "which is not among the known ones",
		    id[0] != '\0' ? id : "(none)");
		return false;
	default:
		verify_file_say(p, VERIFY_ORIGINAL,
		    "the signature of its original's manifest is wrong: that "
		    "manifest was changed");
		return false;
	}
}

static void
say_fault(struct verify_file *p, const struct clip_fault *f,
    const struct clip_facts *c)
{
	char from[POSITION_MAX], to[POSITION_MAX];

	switch (f->kind) {
	case CLIP_OTHER_ORIGINAL:
		verify_file_say(p, VERIFY_OTHER_ORIGINAL,
		    "it was cut from recording %s with another root than the "
		    "manifest of the original states",
		    c->segment);
		break;
	case CLIP_RANGE:
		verify_file_say(p, VERIFY_RANGE,
		    "its pictures do not lie between %s and %s of its "
		    "original, as its manifest says",
		    verify_position(c->from_ms, from),
		    verify_position(c->to_ms, to));
		break;
	case CLIP_SHAPE:
		verify_file_say(p, VERIFY_CHANGED,
		    "from byte %" PRIu64 " on it has no pictures that follow "
		    "each other as in its original",
		    f->offset);
		break;
	case CLIP_CONTENT:
		p->fault = (struct evidence_fault){ EVIDENCE_CHANGED, f->offset,
			f->len };
		verify_file_say(p, VERIFY_CHANGED,
		    "bytes %" PRIu64 " to %" PRIu64 " are not those of its "
		    "original",
		    f->offset, f->offset + f->len - 1);
		break;
	}
}

/* Who signed the clip says nothing of what is in it. */
static void
say_good(struct verify_file *p, const struct clip_facts *c, uint64_t tail)
{
	char from[POSITION_MAX], to[POSITION_MAX], rest[128] = "";

	if (p->kind != VERIFY_GOOD)
		return;
	if (tail > 0)
		snprintf(rest, sizeof(rest),
		    "; of its last %" PRIu64 " bytes of pictures the "
		    "signature alone says so",
		    tail);
	verify_file_say(p, VERIFY_GOOD,
	    "a clip of recording %s, %s to %s, unchanged, by %.60s (%.200s), "
	    "signed with key %s%s",
	    c->segment, verify_position(c->from_ms, from),
	    verify_position(c->to_ms, to), c->person, c->reason, p->key_id,
	    rest);
	/* a reason may have lines, and none of them is a result of ours */
	for (char *s = p->text; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

static void
compare(struct verify_file *p, const struct clip_facts *c,
    const struct evidence *e, const struct evidence *original)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct clip_fault fault;
	uint64_t tail = 0;
	int rc = fd >= 0
	    ? clip_compare(c, e, original, webm_read_file, &fd, &tail, &fault)
	    : ERR_IO;

	if (fd >= 0)
		close(fd);
	if (rc == ERR_CORRUPT)
		say_fault(p, &fault, c);
	else if (rc != 0)
		verify_file_say(
		    p, VERIFY_UNREADABLE, "cannot read it: %s", err_text(rc));
	else
		say_good(p, c, tail);
}

static void
check_original(struct verify_file *p, const struct clip_facts *c,
    const struct evidence *e, const struct verify_keys *keys)
{
	json_t *j = verify_file_load_manifest(p, p->original);
	const char *id = json_text(j, "segment");
	struct evidence original;
	const char *why;

	if (j == NULL)
		return;
	evidence_init(&original);
	if (!original_is_signed(p, j, keys))
		;
	else if (evidence_parse(&original, j, &why) != 0)
		verify_file_say(p, VERIFY_ORIGINAL, "of its original: %s", why);
	else if (strcmp(id, c->segment) != 0)
		verify_file_say(p, VERIFY_OTHER_ORIGINAL,
		    "it was cut from recording %s; the manifest of the "
		    "original is that of %.36s",
		    c->segment, id);
	else
		compare(p, c, e, &original);
	evidence_release(&original);
	json_decref(j);
}

/* ---- the clip ---- */

static void
check_parts(struct verify_file *p, const struct clip_facts *c,
    const struct evidence *e, const struct verify_keys *keys)
{
	enum verify_result by = p->kind; /* what its signature is */

	p->facts.bytes = (int64_t)(e->blocks[e->n > 1 ? e->n - 2 : 0].offset +
	    e->blocks[e->n > 1 ? e->n - 2 : 0].len);
	verify_file_check_bytes(p, e);
	if (p->kind != by)
		return;
	if (p->original[0] != '\0')
		check_original(p, c, e, keys);
	else if (p->kind == VERIFY_GOOD)
		verify_file_say(p, VERIFY_NO_ORIGINAL,
		    "it is as it was signed with key %s; give the manifest of "
		    "recording %s with --original FILE to see that it is a "
		    "part of that",
		    p->key_id, c->segment);
}

void
verify_file_check_clip(struct verify_file *p, const json_t *manifest,
    const struct verify_keys *keys)
{
	struct clip_facts c;
	struct evidence e;
	const char *why;

	evidence_init(&e);
	verify_file_check_signature(p, manifest, keys);
	if (clip_read(&c, manifest, &why) != 0 ||
	    evidence_parse_clip(&e, manifest, c.id, c.root, &why) != 0)
		verify_file_say(p, VERIFY_MANIFEST, "%s", why);
	else {
		describe(p, &c);
		if (p->kind != VERIFY_SIGNATURE)
			check_parts(p, &c, &e, keys);
	}
	evidence_release(&e);
}
