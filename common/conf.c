#include "common/conf.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"

#define ROW(s, name, type, field, preset, lo, hi, choices, help)               \
	{                                                                      \
		name, type, offsetof(struct s, field), preset, lo, hi,         \
		    choices, help                                              \
	}

const struct conf_opt conf_log_opts[2] = {
	ROW(conf_log, "level", CONF_CHOICE, level, "info", 0, 0,
	    "debug|info|warn|error", "The lowest level that is written."),
	ROW(conf_log, "format", CONF_CHOICE, format, "text", 0, 0, "text|json",
	    "`text` for people, `json` for log collectors; one line an "
	    "event."),
};

const struct conf_opt conf_database_opts[7] = {
	ROW(conf_database, "url", CONF_STR, url, "postgresql:///relaycam", 0, 0,
	    NULL,
	    "libpq connection string or URI. A password belongs into a "
	    "`passfile`, not here; over TCP give `sslmode=verify-full` and "
	    "`sslrootcert`. Of several hosts each attempt tries the "
	    "next one, for `connect_timeout` seconds (5); servers that only "
	    "read are passed over unless `target_session_attrs` is given."),
	ROW(conf_database, "relay_user", CONF_STR, relay_user, NULL, 0, 0, NULL,
	    "The relay logs in as this role instead of `url`'s user: "
	    "`relaycam_relay` ([hardening.md](hardening.md))."),
	ROW(conf_database, "storage_user", CONF_STR, storage_user, NULL, 0, 0,
	    NULL, "The same for storage: `relaycam_storage`."),
	ROW(conf_database, "console_user", CONF_STR, console_user, NULL, 0, 0,
	    NULL, "The same for the console: `relaycam_console`."),
	ROW(conf_database, "admin_user", CONF_STR, admin_user, NULL, 0, 0,
	    NULL,
	    "The same for the command line `relaycam`: `relaycam_admin`."),
	ROW(conf_database, "owner_user", CONF_STR, owner_user, NULL, 0, 0, NULL,
	    "The same for `relaycam migrate`: `relaycam_owner`."),
	ROW(conf_database, "answer_seconds", CONF_SECONDS, answer_seconds, "10",
	    1, 3600, NULL,
	    "A server that leaves a query of relay or storage unanswered for "
	    "this long is given up and connected to anew. Queries are limited "
	    "to less."),
};

const struct conf_opt conf_spool_opts[2] = {
	ROW(conf_spool, "dir", CONF_STR, dir, "/var/spool/relaycam", 0, 0, NULL,
	    "Folder on a local disk; relay and storage of one node "
	    "name the same one."),
	ROW(conf_spool, "min_free_bytes", CONF_SIZE, min_free_bytes, "100M", 0,
	    INT64_MAX, NULL,
	    "A recording does not start, or stops, when less is free (C6)."),
};

const struct conf_opt conf_store_opts[21] = {
	ROW(conf_store, "kind", CONF_CHOICE, kind, "folder", 0, 0, "folder|s3",
	    "`folder` for one machine, `s3` for any compatible server (M8)."),
	ROW(conf_store, "folder", CONF_STR, folder,
	    "/var/lib/relaycam/recordings", 0, 0, NULL,
	    "Where the folder store keeps recordings."),
	ROW(conf_store, "public_url", CONF_STR, public_url,
	    "https://localhost:8444", 0, 0, NULL,
	    "What links that the storage daemon signs begin with."),
	ROW(conf_store, "link_key_file", CONF_STR, link_key_file,
	    "/etc/relaycam/link.key", 0, 0, NULL,
	    "32 random bytes that sign them."),
	ROW(conf_store, "link_seconds", CONF_SECONDS, link_seconds, "600", 1,
	    604800, NULL, "How long a link lives after it was issued (T6)."),
	ROW(conf_store, "s3_links", CONF_CHOICE, s3_links, "storage", 0, 0,
	    "storage|direct",
	    "Where links to recordings in S3 lead: to the storage daemon, "
	    "which reads them there, so that a client that began can continue "
	    "(T6); `direct` to the S3 server, where it cannot."),
	ROW(conf_store, "s3_endpoint", CONF_STR, s3_endpoint, NULL, 0, 0, NULL,
	    "`https://host[:port]` of the S3 server, without a path."),
	ROW(conf_store, "s3_region", CONF_STR, s3_region, "us-east-1", 0, 0,
	    NULL, "Region that requests are signed for."),
	ROW(conf_store, "s3_bucket", CONF_STR, s3_bucket, NULL, 0, 0, NULL,
	    "Bucket; it must exist."),
	ROW(conf_store, "s3_access_key_file", CONF_STR, s3_access_key_file,
	    NULL, 0, 0, NULL,
	    "File with two lines, access key and secret key, and a third one, "
	    "the session token, where there is one. Mode 0600; read again "
	    "for each request."),
	ROW(conf_store, "s3_credentials", CONF_CHOICE, s3_credentials, "file",
	    0, 0, "file|web-identity|container|instance",
	    "Where the key comes from: s3_access_key_file; a role that "
	    "s3_token_file stands for (AssumeRoleWithWebIdentity); a "
	    "container's credentials endpoint; the metadata service of the "
	    "machine (IMDSv2). All but `file` are renewed before they end."),
	ROW(conf_store, "s3_credentials_url", CONF_STR, s3_credentials_url,
	    NULL, 0, 0, NULL,
	    "Where such credentials are asked for; unset: "
	    "`AWS_ENDPOINT_URL_STS` or AWS's STS of s3_region, "
	    "`AWS_CONTAINER_CREDENTIALS_FULL_URI` or "
	    "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, or 169.254.169.254."),
	ROW(conf_store, "s3_role_arn", CONF_STR, s3_role_arn, NULL, 0, 0, NULL,
	    "Role of `web-identity`; unset: `AWS_ROLE_ARN`."),
	ROW(conf_store, "s3_token_file", CONF_STR, s3_token_file, NULL, 0, 0,
	    NULL,
	    "File with the token that `web-identity` or `container` show; "
	    "unset: `AWS_WEB_IDENTITY_TOKEN_FILE` or "
	    "`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`. Read again each time."),
	ROW(conf_store, "s3_encryption", CONF_CHOICE, s3_encryption, "none", 0,
	    0, "none|s3|kms",
	    "Encryption that the S3 server is asked for with each object: "
	    "`s3` (SSE-S3) or `kms` (SSE-KMS); `none`: as the bucket has it."),
	ROW(conf_store, "s3_kms_key", CONF_STR, s3_kms_key, NULL, 0, 0, NULL,
	    "Key of `kms`; unset: the server's own."),
	ROW(conf_store, "s3_ca_file", CONF_STR, s3_ca_file, NULL, 0, 0, NULL,
	    "CA certificates for the S3 server; unset: the system's."),
	ROW(conf_store, "s3_part_bytes", CONF_SIZE, s3_part_bytes, "0", 0,
	    INT64_C(5) << 30, NULL,
	    "Size of an upload's part, 5M or more; a restart resumes at a "
	    "part. 0: as much as the link carried in 2 s, from 8M to 64M."),
	ROW(conf_store, "s3_parallel_parts", CONF_INT, s3_parallel_parts, "4",
	    1, 8, NULL, "Parts of one upload that are sent at a time."),
	ROW(conf_store, "s3_upload_bytes_per_second", CONF_SIZE,
	    s3_upload_bytes_per_second, "0", 0, INT64_C(1) << 40, NULL,
	    "What all uploads of this machine together may send; 65536 or "
	    "more, 0: unlimited."),
	ROW(conf_store, "s3_path_style", CONF_BOOL, s3_path_style, "on", 0, 0,
	    NULL, "`on`: bucket in the path; `off`: in the host name."),
};

const struct conf_opt conf_secrets_opts[2] = {
	ROW(conf_secrets, "seal_key_file", CONF_STR, seal_key_file,
	    "/etc/relaycam/seal.key", 0, 0, NULL,
	    "32 random bytes that seal the endpoints' passwords in the "
	    "database. Mode 0600. Without it they cannot be opened again."),
	ROW(conf_secrets, "evidence_key_file", CONF_STR, evidence_key_file,
	    "/var/lib/relaycam/evidence.key", 0, 0, NULL,
	    "Ed25519 seed of 32 bytes that the storage daemon signs the "
	    "manifests of recordings with (X3). Mode 0600. It makes the file "
	    "when there is none, and `.pub` beside it. Empty: nothing is "
	    "signed."),
};

/* Writes one sentence into err; returns ERR_CONFIG for `return fail(...)`. */
__attribute__((format(printf, 3, 4))) static int
fail(char *err, size_t err_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return ERR_CONFIG;
}

static int
parse_bool(const char *s, bool *out)
{
	static const char *const yes[] = { "on", "true", "yes", "1" };
	static const char *const no[] = { "off", "false", "no", "0" };

	for (size_t i = 0; i < N_ELEMENTS(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0) {
			*out = true;
			return 0;
		}
		if (strcasecmp(s, no[i]) == 0) {
			*out = false;
			return 0;
		}
	}
	return ERR_CONFIG;
}

static int64_t
unit_factor(enum conf_type type, const char *unit)
{
	static const struct {
		enum conf_type type;
		char letter;
		int64_t factor;
	} units[] = {
		{ CONF_SIZE, 'k', 1 << 10 },
		{ CONF_SIZE, 'm', 1 << 20 },
		{ CONF_SIZE, 'g', 1 << 30 },
		{ CONF_SECONDS, 's', 1 },
		{ CONF_SECONDS, 'm', 60 },
		{ CONF_SECONDS, 'h', 3600 },
		{ CONF_SECONDS, 'd', 86400 },
	};

	if (*unit == '\0')
		return 1;
	for (size_t i = 0; i < N_ELEMENTS(units); i++)
		if (units[i].type == type && unit[1] == '\0' &&
		    tolower((unsigned char)*unit) == units[i].letter)
			return units[i].factor;
	return 0;
}

static int
parse_number(const struct conf_opt *o, const char *s, int64_t *out)
{
	int64_t factor, v;
	char *end;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (end == s || errno != 0)
		return ERR_CONFIG;
	factor = unit_factor(o->type, end);
	if (factor == 0 || __builtin_mul_overflow(v, factor, &v))
		return ERR_CONFIG;
	if ((o->min != 0 || o->max != 0) && (v < o->min || v > o->max))
		return ERR_LIMIT;
	*out = v;
	return 0;
}

static bool
is_choice(const char *choices, const char *s)
{
	size_t n = strlen(s);

	if (strchr(s, '|') != NULL)
		return false;
	for (const char *c = choices; c != NULL; c = strchr(c, '|')) {
		if (*c == '|')
			c++;
		if (strncmp(c, s, n) == 0 && (c[n] == '|' || c[n] == '\0'))
			return true;
	}
	return false;
}

static int
set_string(char **field, const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		return ERR_NOMEM;
	if (*field != NULL)
		wipe(*field, strlen(*field));
	free(*field);
	*field = copy;
	return 0;
}

static const char *
expected(const struct conf_opt *o)
{
	switch (o->type) {
	case CONF_BOOL:
		return "on or off";
	case CONF_SIZE:
		return "a number of bytes, with K, M or G";
	case CONF_SECONDS:
		return "a number of seconds, or with s, m, h, d";
	case CONF_INT:
		return "a whole number";
	case CONF_CHOICE:
		return o->choices;
	case CONF_STR:
		break;
	}
	return "text";
}

static int
set_value(const struct conf_section *sec, const struct conf_opt *o,
    const char *s, char *err, size_t err_len)
{
	char *field = (char *)sec->base + o->offset;
	int rc = 0;

	switch (o->type) {
	case CONF_STR:
		return set_string((char **)(void *)field, s);
	case CONF_CHOICE:
		if (is_choice(o->choices, s))
			return set_string((char **)(void *)field, s);
		rc = ERR_CONFIG;
		break;
	case CONF_BOOL:
		rc = parse_bool(s, (bool *)field);
		break;
	case CONF_INT:
	case CONF_SIZE:
	case CONF_SECONDS:
		rc = parse_number(o, s, (int64_t *)(void *)field);
		break;
	}
	if (rc == ERR_LIMIT)
		return fail(err, err_len, "%s.%s = %s is outside %lld..%lld",
		    sec->name, o->name, s, (long long)o->min,
		    (long long)o->max);
	if (rc != 0)
		return fail(err, err_len, "%s.%s = %s: expected %s", sec->name,
		    o->name, s, expected(o));
	return 0;
}

int
conf_defaults(const struct conf_section *sections, size_t n)
{
	char err[256];

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sections[i].n_opts; k++) {
			const struct conf_opt *o = &sections[i].opts[k];

			if (o->preset != NULL &&
			    set_value(&sections[i], o, o->preset, err,
				sizeof(err)) != 0)
				return ERR_NOMEM;
		}
	return 0;
}

/* Finds and sets section.key; *known tells whether the section is ours. */
static int
set_named(const struct conf_section *sections, size_t n, const char *section,
    const char *key, const char *value, bool *known, char *err, size_t err_len)
{
	bool partial = false;

	*known = false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(sections[i].name, section) != 0)
			continue;
		*known = true;
		partial |= sections[i].partial;
		for (size_t k = 0; k < sections[i].n_opts; k++)
			if (strcmp(sections[i].opts[k].name, key) == 0)
				return set_value(&sections[i],
				    &sections[i].opts[k], value, err, err_len);
	}
	if (*known && !partial)
		return fail(err, err_len,
		    "[%s] has no setting \"%s\"; --config-reference lists "
		    "them",
		    section, key);
	return 0;
}

struct read_state {
	const struct conf_section *sections;
	size_t n;
	char err[256];
	int rc;
};

static int
on_ini(void *arg, const char *section, const char *name, const char *value)
{
	struct read_state *st = arg;
	bool known;

	st->rc = set_named(st->sections, st->n, section, name, value, &known,
	    st->err, sizeof(st->err));
	return st->rc == 0;
}

int
conf_read(const char *path, const struct conf_section *sections, size_t n,
    char *err, size_t err_len)
{
	struct read_state st = { .sections = sections, .n = n };
	FILE *f = fopen(path, "re");
	int line;

	if (f == NULL) {
		fail(err, err_len, "cannot read %s: %s", path, strerror(errno));
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	}
	line = ini_parse_file(f, on_ini, &st);
	fclose(f);
	if (line == 0)
		return 0;
	return fail(err, err_len, "%s:%d: %s", path, line,
	    st.err[0] != '\0' ? st.err : "expected [section] or key = value");
}

int
conf_set(const char *assignment, const struct conf_section *sections, size_t n,
    char *err, size_t err_len)
{
	char section[64], key[64];
	bool known;
	int used = 0;
	int rc;

	if (sscanf(assignment, "%63[a-z0-9_].%63[a-z0-9_]=%n", section, key,
		&used) != 2 ||
	    used == 0)
		return fail(err, err_len,
		    "--set %s: expected section.key=value", assignment);
	rc = set_named(
	    sections, n, section, key, assignment + used, &known, err, err_len);
	if (rc == 0 && !known)
		return fail(err, err_len, "--set %s: no section [%s] here",
		    assignment, section);
	return rc;
}

void
conf_release(const struct conf_section *sections, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sections[i].n_opts; k++) {
			const struct conf_opt *o = &sections[i].opts[k];
			char **field;

			if (o->type != CONF_STR && o->type != CONF_CHOICE)
				continue;
			field = (char **)(void *)((char *)sections[i].base +
			    o->offset);
			if (*field != NULL)
				wipe(*field, strlen(*field));
			free(*field);
			*field = NULL;
		}
}

/* "a|b" as "`a`, `b`. "; a bar would end the table's cell. */
static void
print_choices(FILE *f, const char *choices)
{
	if (choices == NULL)
		return;
	fputc('`', f);
	for (const char *c = choices; *c != '\0'; c++)
		if (*c == '|')
			fputs("`, `", f);
		else
			fputc(*c, f);
	fputs("`. ", f);
}

void
conf_print_reference(FILE *f, const struct conf_section *sections, size_t n)
{
	static const char *const types[] = { "text", "number", "on/off",
		"bytes", "seconds", "choice" };

	for (size_t i = 0; i < n; i++) {
		if (sections[i].partial)
			continue; /* its own program prints it */
		fprintf(
		    f, "## [%s]\n\n%s\n\n", sections[i].name, sections[i].help);
		fprintf(f,
		    "| setting | kind | default | meaning |\n"
		    "| --- | --- | --- | --- |\n");
		for (size_t k = 0; k < sections[i].n_opts; k++) {
			const struct conf_opt *o = &sections[i].opts[k];

			fprintf(f, "| `%s` | %s | %s | ", o->name,
			    types[o->type],
			    o->preset != NULL ? o->preset : "(unset)");
			print_choices(f, o->choices);
			fprintf(f, "%s |\n", o->help);
		}
		fprintf(f, "\n");
	}
}

int
conf_log_apply(const struct conf_log *c, const char *program)
{
	enum log_level level;

	if (log_level_parse(c->level, &level) != 0)
		return ERR_CONFIG;
	log_setup(program, level,
	    strcmp(c->format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	return 0;
}
