/*
 * relaycam evidence-key: the keys that recordings are signed with (X3). The
 * secret half is a file of the storage daemon; the public one is for anybody
 * who checks a recording.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "ctl/command.h"
#include "ctl/file.h"
#include "ctl/pg.h"
#include "ctl/proof_keys.h"
#include "ctl/table.h"

#define KEYS_TEXT_MAX (EVIDENCE_KEYS_MAX * 200)

int
proof_keys_read(const struct ctl *c, const char *given, struct proof_keys *keys)
{
	char beside[PROOF_PATH_MAX];
	const char *path = given;
	unsigned line;
	size_t len;
	char *text;
	int n;

	keys->n = 0;
	if (path == NULL && c->secrets.evidence_key_file != NULL) {
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
take_keys(const PGresult *res, struct proof_keys *keys)
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
proof_keys_query(struct ctl *c, struct proof_keys *keys)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT encode(public_key, 'hex') FROM evidence_keys "
	    "ORDER BY added_at DESC LIMIT 257");
	int rc = res != NULL ? take_keys(res, keys) : STATUS_FAILED;

	PQclear(res);
	return rc;
}

/* A file that was not there before. */
static int
write_new(const char *path, mode_t mode, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int rc = 0;

	if (fd < 0)
		return ctl_error("cannot make %s: %s", path, strerror(errno));
	if (write(fd, data, len) != (ssize_t)len || fsync(fd) != 0)
		rc = ctl_error("cannot write %s: %s", path, strerror(errno));
	close(fd);
	if (rc != 0)
		unlink(path);
	return rc;
}

static int
write_pair(const char *path, const uint8_t seed[EVIDENCE_SEED_LEN],
    const struct evidence_key *k)
{
	char line[EVIDENCE_KEY_TEXT_MAX + 1], public_path[PROOF_PATH_MAX];
	int rc;

	if (snprintf(public_path, sizeof(public_path), "%s.pub", path) >=
	    (int)sizeof(public_path))
		return ctl_usage("the name is too long");
	evidence_key_print(k, line);
	strcat(line, "\n");
	rc = write_new(public_path, 0644, line, strlen(line));
	if (rc == 0) {
		rc = write_new(path, 0600, seed, EVIDENCE_SEED_LEN);
		if (rc != 0)
			unlink(public_path);
	}
	return rc;
}

static int
run_create(struct ctl *c, const struct args *a)
{
	uint8_t seed[EVIDENCE_SEED_LEN], secret[crypto_sign_SECRETKEYBYTES];
	struct evidence_key k;
	int rc;

	(void)c;
	if (sodium_init() < 0)
		return ctl_error("no source of random numbers");
	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(k.bytes, secret, seed);
	evidence_key_name(&k);
	rc = write_pair(a->words[0], seed, &k);
	wipe(seed, sizeof(seed));
	wipe(secret, sizeof(secret));
	if (rc == 0)
		printf("key %s: secret in %s, public in %s.pub\n", k.id,
		    a->words[0], a->words[0]);
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
	struct proof_keys keys;
	char line[EVIDENCE_KEY_TEXT_MAX];
	int rc = proof_keys_query(c, &keys);

	(void)a;
	if (rc == 0 && keys.n == 0)
		rc = ctl_error("there are no keys: recordings are not signed");
	for (size_t i = 0; rc == 0 && i < keys.n; i++)
		printf("%s # %s\n", evidence_key_print(&keys.list[i], line),
		    keys.list[i].id);
	return rc;
}

static const struct arg_opt list_opts[] = { OPT_JSON, OPT_UTC };

static const struct command commands[] = {
	{ "create", "FILE", 1, 1, NULL, 0,
	    "Makes a key for a storage daemon.\n\nWrites the secret half to "
	    "FILE (mode 0600; give it to the account of the storage\ndaemon "
	    "and name it in [secrets] evidence_key_file) and the public one "
	    "to FILE.pub.\nFiles that are there are not overwritten.",
	    run_create },
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
