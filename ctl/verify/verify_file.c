/* One recording against its manifest. */
#include "ctl/verify/verify_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manifest/clip.h"
#include "common/err.h"
#include "webm/webm_walk.h"

#define MANIFEST_MAX (4 << 20)

const char *
verify_result_name(enum verify_result kind)
{
	static const char *const names[] = { "good", "changed", "missing",
		"added", "no_file", "no_manifest", "manifest", "unsigned",
		"signature", "unknown_key", "unreadable", "swapped",
		"no_original", "original", "other_original", "range" };

	return names[kind];
}

void
verify_file_say(
    struct verify_file *p, enum verify_result kind, const char *fmt, ...)
{
	va_list ap;

	p->kind = kind;
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

/* NAME.json for NAME.webm, else NAME.webm.json. */
static void
find_manifest(struct verify_file *p)
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
verify_file_load_manifest(struct verify_file *p, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = fd >= 0 ? malloc(MANIFEST_MAX + 1) : NULL;
	int64_t n = text != NULL
	    ? webm_read_file(&fd, 0, (uint8_t *)text, MANIFEST_MAX + 1)
	    : -1;
	json_t *j = NULL;

	if (n < 0)
		verify_file_say(p,
		    errno == ENOENT ? VERIFY_NO_MANIFEST : VERIFY_UNREADABLE,
		    "its manifest %.400s: %s", path, strerror(errno));
	else if (n > MANIFEST_MAX ||
	    (j = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL)) ==
		NULL)
		verify_file_say(
		    p, VERIFY_MANIFEST, "%.400s is no manifest", path);
	free(text);
	if (fd >= 0)
		close(fd);
	return j;
}

/* ", 0:00:03.000 to 0:00:04.000 of the recording,"; "": it shows no time. */
static const char *
times_text(const struct verify_file *p, char out[160])
{
	char from[POSITION_MAX] = "", to[POSITION_MAX] = "its end";

	out[0] = '\0';
	if (p->from_ms < 0 && p->to_ms < 0)
		return out;
	if (p->from_ms >= 0)
		verify_position(p->from_ms, from);
	if (p->to_ms >= 0)
		verify_position(p->to_ms, to);
	snprintf(out, 160, ", %s%s%s of the recording,", from,
	    p->from_ms >= 0 ? " to " : "what comes before ", to);
	return out;
}

static void
say_fault(struct verify_file *p)
{
	const struct evidence_fault *f = &p->fault;
	uint64_t last = f->offset + f->len - 1;
	char times[160];

	switch (f->kind) {
	case EVIDENCE_CHANGED:
		verify_file_say(p, VERIFY_CHANGED,
		    "bytes %" PRIu64 " to %" PRIu64 " (of %lld)%s are not "
		    "those that were recorded",
		    f->offset, last, (long long)p->facts.bytes,
		    times_text(p, times));
		break;
	case EVIDENCE_MISSING:
		verify_file_say(p, VERIFY_MISSING,
		    "it was cut off: it ends before byte %" PRIu64 ", and "
		    "%lld bytes were recorded",
		    last, (long long)p->facts.bytes);
		break;
	case EVIDENCE_ADDED:
		verify_file_say(p, VERIFY_ADDED,
		    "bytes %" PRIu64 " to %" PRIu64 " were added behind its "
		    "end",
		    f->offset, last);
		break;
	}
}

void
verify_file_check_bytes(struct verify_file *p, const struct evidence *e)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc = ERR_IO;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		rc = evidence_verify(e, webm_read_file, &fd, &p->fault);
	else if (fd >= 0)
		errno = EISDIR;
	if (rc == ERR_CORRUPT) {
		evidence_locate(e, webm_read_file, &fd, &p->fault);
		verify_find_times(p, fd);
		say_fault(p);
	} else if (rc != 0 && fd < 0 && errno == ENOENT)
		verify_file_say(
		    p, VERIFY_NO_FILE, "the recording is not there");
	else if (rc != 0)
		verify_file_say(p, VERIFY_UNREADABLE, "cannot read it: %s",
		    strerror(errno));
	if (fd >= 0)
		close(fd);
}

void
verify_file_check_signature(struct verify_file *p, const json_t *manifest,
    const struct verify_keys *keys)
{
	const struct evidence_key *by;

	switch (evidence_check_signature(
	    manifest, keys->list, keys->n, &by, p->key_id)) {
	case 0:
		break;
	case ERR_NOTFOUND:
		verify_file_say(p, VERIFY_UNSIGNED,
		    "its bytes are those of its manifest, but nobody signed "
		    "that");
		break;
	case ERR_DENIED:
		verify_file_say(p, VERIFY_UNKNOWN_KEY,
		    "its bytes are those of its manifest, but that is signed "
		    "with key %s, which is not among the known ones%s",
		    p->key_id[0] != '\0' ? p->key_id : "(none)",
		    keys->n == 0 ? ": give the server's with --key FILE" : "");
		break;
	default:
		verify_file_say(p, VERIFY_SIGNATURE,
		    "the signature of its manifest is wrong: the manifest was "
		    "changed");
		break;
	}
}

static void
check_manifest(struct verify_file *p, const json_t *manifest,
    const struct verify_keys *keys)
{
	struct evidence e;
	const char *why;

	evidence_init(&e);
	verify_file_check_signature(p, manifest, keys);
	if (evidence_facts_read(&p->facts, manifest, &why) != 0 ||
	    evidence_parse(&e, manifest, &why) != 0)
		verify_file_say(p, VERIFY_MANIFEST, "%s", why);
	else {
		p->has_facts = p->kind != VERIFY_SIGNATURE;
		/* what is wrong with the bytes matters more than who signed,
		 * unless the list of them is wrong itself */
		if (p->kind != VERIFY_SIGNATURE)
			verify_file_check_bytes(p, &e);
	}
	evidence_release(&e);
}

void
verify_file_check(struct verify_file *p, const struct verify_keys *keys)
{
	json_t *manifest;

	if (p->kind != VERIFY_GOOD)
		return; /* known already: there is nothing to read */
	if (p->shown[0] == '\0')
		memcpy(p->shown, p->path, sizeof(p->shown));
	if (p->manifest[0] == '\0')
		find_manifest(p);
	manifest = verify_file_load_manifest(p, p->manifest);
	if (manifest == NULL)
		return;
	p->is_clip = clip_is(manifest);
	if (p->is_clip)
		verify_file_check_clip(p, manifest, keys);
	else
		check_manifest(p, manifest, keys);
	json_decref(manifest);
	if (p->kind == VERIFY_GOOD && !p->is_clip)
		verify_file_say(p, VERIFY_GOOD,
		    "%lld bytes as they were recorded, file %lld of session "
		    "%s, signed with key %s",
		    (long long)p->facts.bytes, (long long)p->facts.seq,
		    p->facts.session, p->key_id);
}
