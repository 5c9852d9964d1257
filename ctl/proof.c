/* One recording against its manifest. */
#include "ctl/proof_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clip.h"
#include "common/err.h"
#include "common/webm_walk.h"

#define MANIFEST_MAX (4 << 20)

const char *
proof_kind_name(enum proof_kind kind)
{
	static const char *const names[] = { "good", "changed", "missing",
		"added", "no_file", "no_manifest", "manifest", "unsigned",
		"signature", "unknown_key", "unreadable", "swapped",
		"no_original", "original", "other_original", "range" };

	return names[kind];
}

void
proof_say(struct proof *p, enum proof_kind kind, const char *fmt, ...)
{
	va_list ap;

	p->kind = kind;
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

/* NAME.json for NAME.webm, else NAME.webm.json. */
static void
find_manifest(struct proof *p)
{
	size_t len = strlen(p->path);

	if (len > 5 && strcmp(p->path + len - 5, ".webm") == 0) {
		snprintf(p->manifest, sizeof(p->manifest), "%.*s.json",
		    (int)(len - 5), p->path);
		if (access(p->manifest, F_OK) == 0)
			return;
	}
	snprintf(p->manifest, sizeof(p->manifest), "%.4000s.json", p->path);
}

/* At most MANIFEST_MAX bytes of JSON; NULL and a sentence in p. */
json_t *
proof_load_manifest(struct proof *p, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = fd >= 0 ? malloc(MANIFEST_MAX + 1) : NULL;
	int64_t n = text != NULL
	    ? webm_read_file(&fd, 0, (uint8_t *)text, MANIFEST_MAX + 1)
	    : -1;
	json_t *j = NULL;

	if (n < 0)
		proof_say(p,
		    errno == ENOENT ? PROOF_NO_MANIFEST : PROOF_UNREADABLE,
		    "its manifest %.400s: %s", path, strerror(errno));
	else if (n > MANIFEST_MAX ||
	    (j = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL)) ==
		NULL)
		proof_say(p, PROOF_MANIFEST, "%.400s is no manifest", path);
	free(text);
	if (fd >= 0)
		close(fd);
	return j;
}

static void
say_fault(struct proof *p)
{
	const struct evidence_fault *f = &p->fault;
	uint64_t last = f->offset + f->len - 1;

	switch (f->kind) {
	case EVIDENCE_CHANGED:
		proof_say(p, PROOF_CHANGED,
		    "bytes %" PRIu64 " to %" PRIu64 " (of %lld) are not those "
		    "that were recorded",
		    f->offset, last, (long long)p->facts.bytes);
		break;
	case EVIDENCE_MISSING:
		proof_say(p, PROOF_MISSING,
		    "it was cut off: it ends before byte %" PRIu64 ", and "
		    "%lld bytes were recorded",
		    last, (long long)p->facts.bytes);
		break;
	case EVIDENCE_ADDED:
		proof_say(p, PROOF_ADDED,
		    "bytes %" PRIu64 " to %" PRIu64 " were added behind its "
		    "end",
		    f->offset, last);
		break;
	}
}

void
proof_check_bytes(struct proof *p, const struct evidence *e)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc = ERR_IO;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		rc = evidence_verify(e, webm_read_file, &fd, &p->fault);
	else if (fd >= 0)
		errno = EISDIR;
	if (rc == ERR_CORRUPT)
		say_fault(p);
	else if (rc != 0 && fd < 0 && errno == ENOENT)
		proof_say(p, PROOF_NO_FILE, "the recording is not there");
	else if (rc != 0)
		proof_say(
		    p, PROOF_UNREADABLE, "cannot read it: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

void
proof_check_signature(
    struct proof *p, const json_t *manifest, const struct proof_keys *keys)
{
	const struct evidence_key *by;

	switch (evidence_check_signature(
	    manifest, keys->list, keys->n, &by, p->key_id)) {
	case 0:
		break;
	case ERR_NOTFOUND:
		proof_say(p, PROOF_UNSIGNED,
		    "its bytes are those of its manifest, but nobody signed "
		    "that");
		break;
	case ERR_DENIED:
		proof_say(p, PROOF_UNKNOWN_KEY,
		    "its bytes are those of its manifest, but that is signed "
		    "with key %s, which is not among the known ones%s",
		    p->key_id[0] != '\0' ? p->key_id : "(none)",
		    keys->n == 0 ? ": give the server's with --key FILE" : "");
		break;
	default:
		proof_say(p, PROOF_SIGNATURE,
		    "the signature of its manifest is wrong: the manifest was "
		    "changed");
		break;
	}
}

static void
check_manifest(
    struct proof *p, const json_t *manifest, const struct proof_keys *keys)
{
	struct evidence e;
	const char *why;

	evidence_init(&e);
	proof_check_signature(p, manifest, keys);
	if (evidence_facts_read(&p->facts, manifest, &why) != 0 ||
	    evidence_parse(&e, manifest, &why) != 0)
		proof_say(p, PROOF_MANIFEST, "%s", why);
	else {
		p->has_facts = p->kind != PROOF_SIGNATURE;
		/* what is wrong with the bytes matters more than who signed,
		 * unless the list of them is wrong itself */
		if (p->kind != PROOF_SIGNATURE)
			proof_check_bytes(p, &e);
	}
	evidence_release(&e);
}

void
proof_check(struct proof *p, const struct proof_keys *keys)
{
	json_t *manifest;

	if (p->kind != PROOF_GOOD)
		return; /* known already: there is nothing to read */
	if (p->shown[0] == '\0')
		memcpy(p->shown, p->path, sizeof(p->shown));
	if (p->manifest[0] == '\0')
		find_manifest(p);
	manifest = proof_load_manifest(p, p->manifest);
	if (manifest == NULL)
		return;
	p->is_clip = clip_is(manifest);
	if (p->is_clip)
		proof_check_clip(p, manifest, keys);
	else
		check_manifest(p, manifest, keys);
	json_decref(manifest);
	if (p->kind == PROOF_GOOD && !p->is_clip)
		proof_say(p, PROOF_GOOD,
		    "%lld bytes as they were recorded, file %lld of session "
		    "%s, signed with key %s",
		    (long long)p->facts.bytes, (long long)p->facts.seq,
		    p->facts.session, p->key_id);
}
