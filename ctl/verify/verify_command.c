/*
 * relaycam verify: whether recordings are what was recorded (X3). Files and
 * folders are checked offline; --session fetches what is stored of a session
 * first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "ctl/command.h"
#include "ctl/ctl_http.h"
#include "ctl/recordings/link.h"
#include "ctl/pg.h"
#include "ctl/verify/verify_keys.h"
#include "ctl/recordings/ctl_recordings.h"

static int
run_folder(const char *folder, const struct verify_keys *keys, bool json)
{
	struct verify_set s = { .n = 0 };
	int rc = verify_set_read_folder(&s, folder);

	if (rc == 0)
		rc = verify_set_check(&s, keys);
	if (rc == 0)
		rc = verify_set_print(&s, json);
	verify_set_release(&s);
	return rc;
}

/* One file says nothing of its session, so nothing is said of it. */
static int
run_file(const struct args *a, const struct verify_keys *keys)
{
	struct verify_set s = { .is_good = true };
	struct verify_file *p = verify_set_add(&s);
	int rc;

	if (p == NULL)
		return STATUS_FAILED;
	if (snprintf(p->path, sizeof(p->path), "%s", a->words[0]) >=
		(int)sizeof(p->path) - 8 ||
	    (a->n_words > 1 &&
		snprintf(p->manifest, sizeof(p->manifest), "%s", a->words[1]) >=
		    (int)sizeof(p->manifest))) {
		verify_set_release(&s);
		return ctl_usage("the name is too long");
	}
	if (args_has(a, "original"))
		snprintf(p->original, sizeof(p->original), "%s",
		    args_get(a, "original"));
	verify_file_check(p, keys);
	s.is_good = p->kind == VERIFY_GOOD;
	s.sessions = json_array();
	rc = verify_set_print(&s, args_has(a, "json"));
	verify_set_release(&s);
	return rc;
}

/* ---- a session, from the store ---- */

struct download {
	struct ctl *c;
	const char *ca;
	char folder[64];
	int n;
};

/* A new file with what is stored of r; none when nothing is. */
static int
get(struct ctl *c, const struct recording *r, const char *ca,
    const char *action, const char *path)
{
	struct signed_link link;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct ctl_http_get g = { .ca_file = link_ca_file(c, r, ca),
		.url = link.url,
		.total = -1,
		.progress = true,
		.on_data = ctl_http_to_file,
		.arg = &fd };
	int rc;

	if (fd < 0)
		return ctl_failed(errno, "cannot write %s", path);
	rc = link_new(c, r, NULL, action, &link);
	if (rc == 0)
		rc = ctl_http_get(&g);
	close(fd);
	if (rc != 0)
		unlink(path);
	if (rc == ERR_NOTFOUND)
		return 0; /* its absence is a result, not an error */
	if (rc < 0)
		return ctl_error("cannot read %s: %s%s", r->object_key, g.why,
		    rc == ERR_CONFIG ? "; give its CA with --ca FILE" : "");
	return rc;
}

int
recording_fetch_manifest(
    struct ctl *c, const struct recording *r, const char *ca, const char *media)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT object_key FROM evidence "
	    "WHERE segment_id = $1 AND object_key IS NOT NULL",
	    r->id);
	int rc = res != NULL ? 0 : STATUS_FAILED;
	struct recording manifest = *r;
	char path[VERIFY_PATH_MAX];
	size_t len = strlen(media);

	if (len > 5 && strcmp(media + len - 5, ".webm") == 0)
		len -= 5;
	snprintf(path, sizeof(path), "%.*s.json", (int)len, media);
	if (rc == 0 && PQntuples(res) > 0 && access(path, F_OK) != 0) {
		snprintf(manifest.object_key, sizeof(manifest.object_key), "%s",
		    PQgetvalue(res, 0, 0));
		rc = get(c, &manifest, ca, "download", path);
	}
	PQclear(res);
	return rc;
}

/* The folder store's own file when this account can read it. */
static int
obtain(struct download *d, const struct recording *r, const char *suffix,
    char path[VERIFY_PATH_MAX])
{
	if (strcmp(r->store, "folder") == 0) {
		snprintf(path, VERIFY_PATH_MAX, "%s/%s", d->c->store.folder,
		    r->object_key);
		if (access(path, R_OK) == 0)
			return 0;
	}
	snprintf(path, VERIFY_PATH_MAX, "%s/%d%s", d->folder, d->n, suffix);
	return get(d->c, r, d->ca, "verify", path);
}

static int
add_recording(
    struct download *d, struct verify_set *s, const char *id, const char *key)
{
	struct verify_file *p = verify_set_add(s);
	struct recording r;
	int rc = p != NULL ? recording_find(d->c, id, &r) : STATUS_FAILED;

	if (rc != 0)
		return rc;
	d->n++;
	snprintf(p->shown, sizeof(p->shown), "%s", r.object_key);
	if (r.store[0] == '\0') {
		p->kind = VERIFY_NO_FILE;
		snprintf(p->text, sizeof(p->text),
		    "there is no stored file: "
		    "it is %s",
		    r.status);
		return 0;
	}
	if (key[0] == '\0') {
		p->kind = VERIFY_NO_MANIFEST;
		snprintf(
		    p->text, sizeof(p->text), "no manifest was stored with it");
		return 0;
	}
	rc = obtain(d, &r, ".webm", p->path);
	snprintf(r.object_key, sizeof(r.object_key), "%s", key);
	return rc != 0 ? rc : obtain(d, &r, ".json", p->manifest);
}

static int
add_session(struct download *d, struct verify_set *s, const char *text)
{
	char id[UUID_TEXT_MAX];
	int rc = uuid_find(d->c, "sessions", "session", text, id);
	PGresult *res;

	if (rc != 0)
		return rc;
	res = PG_QUERY(d->c,
	    "SELECT g.id, coalesce(e.object_key, '') FROM segments g "
	    "LEFT JOIN evidence e ON e.segment_id = g.id "
	    "WHERE g.session_id = $1 ORDER BY g.seq",
	    id);
	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 0)
		rc = ctl_error("session %s has no recordings", id);
	for (int i = 0; rc == 0 && i < PQntuples(res); i++)
		rc = add_recording(
		    d, s, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1));
	PQclear(res);
	return rc;
}

/* Only files lie in it, and all of them are ours. */
static void
remove_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(folder);
}

static int
run_session(struct ctl *c, const struct args *a, struct verify_keys *keys)
{
	struct download d = { .c = c,
		.ca = args_get(a, "ca"),
		.folder = "/var/tmp/relaycam-verify-XXXXXX" };
	struct verify_set s = { .n = 0 };
	int rc = keys->n > 0 ? 0 : verify_keys_query(c, keys);

	if (rc != 0)
		return rc;
	if (mkdtemp(d.folder) == NULL)
		return ctl_failed(errno, "cannot make %s", d.folder);
	rc = add_session(&d, &s, args_get(a, "session"));
	if (rc == 0)
		rc = verify_set_check(&s, keys);
	if (rc == 0)
		rc = verify_set_print(&s, args_has(a, "json"));
	verify_set_release(&s);
	remove_folder(d.folder);
	return rc;
}

static int
run_verify(struct ctl *c, const struct args *a)
{
	bool session = args_has(a, "session");
	struct verify_keys keys;
	struct stat st;
	int rc;

	if (session == (a->n_words > 0) || (session && args_has(a, "original")))
		return ctl_usage("verify: expected FILE, FOLDER, or --session "
				 "ID");
	rc = verify_keys_read(c, args_get(a, "key"), &keys);
	if (rc != 0)
		return rc;
	if (session)
		return run_session(c, a, &keys);
	if (stat(a->words[0], &st) != 0)
		return ctl_failed(errno, "cannot read %s", a->words[0]);
	if (!S_ISDIR(st.st_mode))
		return run_file(a, &keys);
	if (a->n_words > 1 || args_has(a, "original"))
		return ctl_usage("verify: a folder has its manifests in it");
	return run_folder(a->words[0], &keys, args_has(a, "json"));
}

static const struct arg_opt opts[] = {
	{ "key", "FILE", "public keys that may have signed it" },
	{ "original", "FILE", "of a clip: the manifest of its recording" },
	{ "session", "ID", "all stored files of this session" },
	{ "ca", "FILE", "PEM: CA of the server that links point at" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ NULL, "[FILE [MANIFEST] | FOLDER]", 0, 2, OPTS(opts),
	    "Checks that recordings are what was recorded.\n\n"
	    "FILE: a downloaded recording; MANIFEST: its .json, if that does "
	    "not lie beside it.\nFOLDER: all recordings in it and below, and "
	    "whether they are all files of their\nsessions. Both need no "
	    "server. --session ID: what is stored of a session.\n\n"
	    "Of a clip, --original FILE is the manifest of the recording that "
	    "it was cut from;\nin a folder that is found by itself.\n\n"
	    "--key FILE has the keys that \"relaycam evidence-key export\" "
	    "prints; without it\nthe .pub beside [secrets] evidence_key_file "
	    "counts, and for --session those of\nthe database.\n\n"
	    "Exit status: 0 all is good, 1 something is not or cannot be "
	    "checked.",
	    run_verify },
};

const struct command_group group_verify = { "verify",
	"checks that recordings are what was recorded", commands, 1 };
