/*
 * relaycam evidence-key: the keys that recordings are signed with (X3). The
 * secret half is a file of the storage daemon; the public one is for anybody
 * who checks a recording.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "manifest/evidence_keyfile.h"
#include "common/keyfile.h"
#include "ctl/command.h"
#include "ctl/file.h"
#include "ctl/pg.h"
#include "ctl/verify/verify_keys.h"
#include "ctl/table.h"

#define KEYS_TEXT_MAX (EVIDENCE_KEYS_MAX * 200)

static bool
is_set(const char *path)
{
	return path != NULL && path[0] != '\0';
}

int
verify_keys_read(
    const struct ctl *c, const char *given, struct verify_keys *keys)
{
	char beside[VERIFY_PATH_MAX];
	const char *path = given;
	unsigned line;
	size_t len;
	char *text;
	int n;

	keys->n = 0;
	if (path == NULL && is_set(c->secrets.evidence_key_file)) {
		snprintf(beside, sizeof(beside), "%s.pub",
		    c->secrets.evidence_key_file);
		path = access(beside, R_OK) == 0 ? beside : NULL;
	}
	if (path == NULL)
		return 0;
	if (file_read(path, KEYS_TEXT_MAX, &text, &len) != 0)
		return STATUS_FAILED;
	n = evidence_keys_parse(text, keys->list, &line);
	free(text);
	if (n < 0)
		return ctl_error("%s, line %u: expected \"relaycam-evidence\" "
				 "and 64 hex digits",
		    path, line);
	if (n == 0)
		return ctl_error("%s: there is no key in it", path);
	keys->n = (size_t)n;
	return 0;
}

static int
take_keys(const PGresult *res, struct verify_keys *keys)
{
	int n = PQntuples(res);

	if (n > EVIDENCE_KEYS_MAX)
		return ctl_error("more than %d keys", EVIDENCE_KEYS_MAX);
	for (int i = 0; i < n; i++) {
		struct evidence_key *k = &keys->list[i];
		size_t len;

		if (sodium_hex2bin(k->bytes, sizeof(k->bytes),
			PQgetvalue(res, i, 0), 2 * sizeof(k->bytes), NULL, &len,
			NULL) != 0)
			return ctl_error("the database holds a wrong key");
		evidence_key_name(k);
	}
	keys->n = (size_t)n;
	return 0;
}

int
verify_keys_query(struct ctl *c, struct verify_keys *keys)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT encode(public_key, 'hex') FROM evidence_keys "
	    "ORDER BY added_at DESC LIMIT 257");
	int rc = res != NULL ? take_keys(res, keys) : STATUS_FAILED;

	PQclear(res);
	return rc;
}

static int
run_create(struct ctl *c, const struct args *a)
{
	const char *path = a->words[0];
	struct evidence_key k;
	int rc = evidence_keyfile_create(path, &k);

	(void)c;
	if (rc != 0)
		return rc == ERR_IO
		    ? ctl_failed(errno, "cannot make %s", path)
		    : ctl_error("cannot make %s: %s", path, err_text(rc));
	printf("key %s: secret in %s, public in %s.pub\n", k.id, path, path);
	return 0;
}

/* The public half of a secret one that this account can read. */
static int
read_seed(const char *path, struct verify_keys *keys)
{
	struct evidence_signer s;
	char why[KEYFILE_WHY_MAX];
	int rc = evidence_signer_read(&s, path, why, sizeof(why));

	keys->list[0] = s.key;
	keys->n = 1;
	wipe(&s, sizeof(s));
	return rc == 0 ? 0 : ctl_error("%s", why);
}

static void
print_keys(const struct verify_keys *keys)
{
	char line[EVIDENCE_KEY_TEXT_MAX];

	for (size_t i = 0; i < keys->n; i++)
		printf("%s # %s\n", evidence_key_print(&keys->list[i], line),
		    keys->list[i].id);
}

/* Needs no database: which key this node signs with, or did. */
static int
run_show(struct ctl *c, const struct args *a)
{
	const char *path =
	    a->n_words > 0 ? a->words[0] : c->secrets.evidence_key_file;
	struct verify_keys keys;
	size_t len;
	int rc;

	if (!is_set(path))
		return ctl_config("[secrets] evidence_key_file is empty: "
				  "recordings are not signed");
	len = strlen(path);
	rc = len > 4 && strcmp(path + len - 4, ".pub") == 0
	    ? verify_keys_read(c, path, &keys)
	    : read_seed(path, &keys);
	if (rc == 0)
		print_keys(&keys);
	return rc;
}

static const struct column cols[] = {
	{ "id", "KEY", COLUMN_TEXT, "k.id" },
	{ "host", "HOST", COLUMN_TEXT, "k.host" },
	{ "added_at", "SINCE", COLUMN_TIME, "k.added_at" },
	{ "recordings", "RECORDINGS", COLUMN_INT,
	    "(SELECT count(*) FROM evidence e WHERE e.key_id = k.id)" },
	{ "public_key", NULL, COLUMN_TEXT, "encode(k.public_key, 'hex')" },
};
#define N_COLS (int)N_ELEMENTS(cols)

static int
run_list(struct ctl *c, const struct args *a)
{
	struct sql q;

	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, cols, N_COLS, "'UTC'");
	sql_add(&q, "FROM evidence_keys k ORDER BY k.added_at");
	return table_list(c, a, &q, cols, N_COLS, args_has(a, "utc"),
	    "no keys: recordings are not signed");
}

static int
run_export(struct ctl *c, const struct args *a)
{
	struct verify_keys keys = { 0 };
	int rc = verify_keys_query(c, &keys);

	(void)a;
	if (rc == 0 && keys.n == 0)
		rc = ctl_error("there are no keys: recordings are not signed");
	if (rc == 0)
		print_keys(&keys);
	return rc;
}

static const struct arg_opt list_opts[] = { OPT_JSON, OPT_UTC };

static const struct command commands[] = {
	{ "create", "FILE", 1, 1, NULL, 0,
	    "Makes a key for a storage daemon, which else makes its own.\n\n"
	    "Writes the secret half to FILE (mode 0600; give it to the "
	    "account of the storage\ndaemon and name it in [secrets] "
	    "evidence_key_file). A FILE that is there is not\noverwritten; "
	    "the public half is put on top of FILE.pub.",
	    run_create },
	{ "show", "[FILE]", 0, 1, NULL, 0,
	    "Prints the public half of a key, and its id behind '#'.\n\n"
	    "FILE: a secret half, or a file of public ones (.pub); without "
	    "it, the one of\n[secrets] evidence_key_file on this machine. "
	    "Needs no database.",
	    run_show },
	{ "list", "", 0, 0, OPTS(list_opts),
	    "Lists the keys that recordings were signed with.", run_list },
	{ "export", "", 0, 0, NULL, 0,
	    "Prints the public keys, for \"relaycam verify --key FILE\".\n\n"
	    "Keep a copy where the server's administrators cannot change it.",
	    run_export },
};

const struct command_group group_evidence_key = { "evidence-key",
	"keys that recordings are signed with", commands,
	N_ELEMENTS(commands) };
