/*
 * relaycam recordings fetch: a stored file to a local one. Bytes go to
 * FILE.part, which a later run continues; only a file with the right size
 * and SHA-256 gets its name. A link that dies underway is replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "ctl/file.h"
#include "ctl/ctl_http.h"
#include "ctl/recordings/link.h"
#include "ctl/recordings/ctl_recordings.h"

#define ATTEMPTS 5 /* in a row that brought no byte */
#define PATH_LEN 4096

struct fetch {
	struct ctl *c;
	const struct recording *rec;
	const char *ca_file;
	bool quiet;
	char path[PATH_LEN], part[PATH_LEN + 8];
	int fd;
	int64_t have; /* bytes in the part file */
};

/* FILE, or the recording's own name in the folder (default: this one). */
static int
choose_path(struct fetch *f, const char *output)
{
	struct stat st;
	int n;

	if (output == NULL)
		n = snprintf(f->path, sizeof(f->path), "%s", f->rec->file_name);
	else if (stat(output, &st) == 0 && S_ISDIR(st.st_mode))
		n = snprintf(f->path, sizeof(f->path), "%s/%s", output,
		    f->rec->file_name);
	else
		n = snprintf(f->path, sizeof(f->path), "%s", output);
	if (n >= (int)sizeof(f->path))
		return ctl_usage("--output: the name is too long");
	snprintf(f->part, sizeof(f->part), "%s.part", f->path);
	return 0;
}

static bool
is_right_file(const char *path, const struct recording *r)
{
	uint8_t digest[32];
	int64_t bytes;

	return file_sha256(path, digest, &bytes) == 0 && bytes == r->bytes &&
	    memcmp(digest, r->sha256, sizeof(digest)) == 0;
}

static int
open_part(struct fetch *f)
{
	struct stat st;

	f->fd = open(f->part, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return ctl_failed(errno, "cannot write %s", f->part);
	if (flock(f->fd, LOCK_EX | LOCK_NB) != 0)
		return ctl_error(
		    "%s is being written by another relaycam", f->part);
	if (fstat(f->fd, &st) != 0)
		return ctl_failed(errno, "%s", f->part);
	f->have = st.st_size;
	if (f->have > f->rec->bytes)
		f->have = 0; /* no beginning of this file */
	if (f->have > 0 && !f->quiet)
		fprintf(
		    stderr, "continuing at byte %lld\n", (long long)f->have);
	return 0;
}

static int
on_data(void *arg, int64_t at, const void *data, size_t len)
{
	struct fetch *f = arg;
	const char *p = data;
	ssize_t n;

	if (at + (int64_t)len > f->rec->bytes)
		return ERR_CORRUPT; /* more than was stored */
	while (len > 0) {
		n = pwrite(f->fd, p, len, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ENOSPC ? ERR_NOSPACE : ERR_IO;
		p += n;
		at += n;
		len -= (size_t)n;
	}
	f->have = at;
	return 0;
}

/* One link, one transfer. Returns an enum err or a status (> 0). */
static int
attempt(struct fetch *f, char *why)
{
	struct ctl_http_get g = { .ca_file = f->ca_file,
		.offset = f->have,
		.total = f->rec->bytes,
		.progress = !f->quiet,
		.on_data = on_data,
		.arg = f };
	struct signed_link link;
	int rc = link_new(f->c, f->rec, NULL, "download", &link);

	if (rc != 0)
		return rc;
	g.url = link.url;
	rc = ctl_http_get(&g);
	snprintf(why, CTL_HTTP_WHY_MAX, "%s", g.why);
	return rc;
}

static int
explain(const struct fetch *f, int rc, const char *why)
{
	switch (rc) {
	case ERR_NOSPACE:
		return ctl_error("no space left for %s", f->part);
	case ERR_IO:
		return ctl_failed(errno, "cannot write %s", f->part);
	case ERR_CORRUPT:
		return ctl_error("the stored file is larger than the %lld "
				 "bytes that were noted: \"relaycam recordings "
				 "verify %s\"",
		    (long long)f->rec->bytes, f->rec->id);
	case ERR_CONFIG:
		return ctl_error("%s; give its CA with --ca FILE", why);
	case ERR_DENIED:
		return ctl_error("%s: do relaycam and the storage daemon use "
				 "the same keys, and is the clock right?",
		    why);
	}
	return ctl_error("%s; %lld of %lld bytes are in %s, the next fetch "
			 "continues there",
	    why, (long long)f->have, (long long)f->rec->bytes, f->part);
}

/* Until all bytes are there; a broken transfer goes on with a new link. */
static int
transfer(struct fetch *f)
{
	char why[CTL_HTTP_WHY_MAX] = "the server sent too little";
	int failures = 0;
	int rc = 0;

	while (f->have < f->rec->bytes) {
		int64_t before = f->have;

		rc = attempt(f, why);
		if (rc > 0)
			return rc; /* explained already */
		failures = f->have > before ? 0 : failures + 1;
		/* a dead link is no error once it has brought something */
		if (rc != 0 && rc != ERR_UNAVAILABLE &&
		    !(rc == ERR_DENIED && before > 0))
			return explain(f, rc, why);
		if (failures >= ATTEMPTS)
			return explain(f, ERR_UNAVAILABLE, why);
		if (failures > 0)
			sleep((unsigned)failures); /* back-off */
	}
	return 0;
}

static int
finish(struct fetch *f)
{
	if (ftruncate(f->fd, f->rec->bytes) != 0 || fsync(f->fd) != 0)
		return ctl_failed(errno, "cannot write %s", f->part);
	if (!is_right_file(f->part, f->rec)) {
		unlink(f->part);
		return ctl_error("what came has another SHA-256 than what was "
				 "stored, and was removed: \"relaycam "
				 "recordings verify %s\" checks the stored "
				 "file",
		    f->rec->id);
	}
	if (rename(f->part, f->path) != 0)
		return ctl_failed(errno, "cannot rename %s", f->part);
	printf("%s: %lld bytes, SHA-256 is right\n", f->path,
	    (long long)f->rec->bytes);
	return 0;
}

static int
fetch(struct fetch *f)
{
	int rc;

	if (access(f->path, F_OK) == 0) {
		if (!is_right_file(f->path, f->rec))
			return ctl_error(
			    "%s exists and is another file", f->path);
		printf("%s is there already, SHA-256 is right\n", f->path);
		return 0;
	}
	rc = open_part(f);
	if (rc == 0)
		rc = transfer(f);
	if (rc == 0)
		rc = finish(f);
	if (f->fd >= 0)
		close(f->fd);
	return rc;
}

int
recordings_run_fetch(struct ctl *c, const struct args *a)
{
	struct recording rec;
	struct fetch f = { .c = c, .rec = &rec, .fd = -1 };
	int rc = recording_find(c, a->words[0], &rec);

	if (rc == 0)
		rc = recording_must_be_stored(&rec);
	if (rc == 0 && (rec.bytes < 0 || !rec.has_sha256))
		rc = ctl_error("recording %s has no size or SHA-256 in the "
			       "database; \"relaycam check\" says what else "
			       "is wrong",
		    rec.id);
	if (rc == 0)
		rc = choose_path(&f, args_get(a, "output"));
	if (rc != 0)
		return rc;
	f.ca_file = link_ca_file(c, &rec, args_get(a, "ca"));
	f.quiet = args_has(a, "quiet");
	rc = fetch(&f);
	return rc != 0
	    ? rc
	    : recording_fetch_manifest(c, &rec, args_get(a, "ca"), f.path);
}
